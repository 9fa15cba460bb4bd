"""Evaluating weights by a recipe's test set; `tools/test.py` is a command line over `evaluate`."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from perception.engine import distributed
from perception.engine.checkpoint import MARKER, to_plain
from perception.engine.files import write_json
from perception.engine.recipe import jsonable, load_recipe
from perception.engine.runner import PerceptionRunner
from perception.engine.schema import check_recipe
from perception.errors import RecipeError, WeightsError, nearest


def evaluate(
    recipe: str | Path,
    checkpoint: str | Path,
    world_seed: int | None = None,
    options: list[str] | None = None,
    json_path: str | Path | None = None,
    show_dir: str | Path | None = None,
    launcher: str = "none",
    trust: bool = False,
) -> dict[str, float]:
    """Evaluate `checkpoint` on the recipe's ``test_dataloader`` with its ``test_evaluator``, and print the reports.

    Args:
        checkpoint: a training checkpoint (its averaged weights), a run folder or its ``last_checkpoint``, a published folder, ``"bundled"``,
            or the name of bundled weights.
        world_seed: seed of a generated test set: scenes that nobody has seen.
        json_path: write the metrics, what was evaluated and how there.
        show_dir: save the first predictions as pictures there.

    Raises:
        PerceptionError: one sentence about what is wrong.
    """
    path = Path(recipe)
    config = load_recipe(path, options)
    config.setdefault("name", path.stem)
    config["seed"] = config.get("seed") or 0
    if world_seed is not None:
        loader = config.get("test_dataloader") or {}
        if "dataset" not in loader:
            raise RecipeError(f"recipe {path} has no test_dataloader.dataset to give the seed to")
        set_world_seed(loader["dataset"], world_seed)
    check_recipe(config, train=False)
    weights = find_weights(config, checkpoint)
    config["load_from"] = str(weights)
    rank, _ = distributed.start_processes(launcher)
    with contextlib.ExitStack() as stack:
        stack.callback(distributed.stop_processes)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="perception_test_"))
        if show_dir is not None and rank == 0:
            config["custom_hooks"] = [
                *(config.get("custom_hooks") or []),
                {"type": "SavePredictionsHook", "folder": str(show_dir)},
            ]
        hooks = {"log": None, "param_scheduler": None, "checkpoint": None, "signals": None, "pictures": None}
        config["default_hooks"] = {**(config.get("default_hooks") or {}), **hooks}
        runner = PerceptionRunner(config, folder, trust=trust, train=False, launcher=launcher)
        metrics = runner.test()
        if rank == 0:
            print(f"{config['name']}: {weights}, {runner.test_loop.samples} samples", flush=True)
            for name, text in runner.test_loop.reports.items():
                print(f"\n{name}\n{text}", flush=True)
            if json_path is not None:
                write_json(
                    json_path,
                    {
                        "recipe": config["name"],
                        "weights": str(weights),
                        "world_seed": world_seed,
                        "dataset": jsonable(config["test_dataloader"]["dataset"]),
                        "samples": runner.test_loop.samples,
                        "metrics": finite(to_plain(metrics)),
                    },
                )
        return metrics


def set_world_seed(dataset: dict[str, Any], seed: int) -> None:
    """Give a generated data set another seed: as many scenes as before, none of them ever trained on.

    A range of scene seeds moves to ``10**9 + 10**5 * seed``, far above what recipes train on; a plain ``seed`` is replaced; a `Concat`
    passes the seed on to its parts.
    """
    if "datasets" in dataset:
        for part in dataset["datasets"]:
            set_world_seed(part, seed)
        return
    if "seeds" not in dataset:
        dataset["seed"] = seed
        return
    scenes = dataset["seeds"]
    count = scenes if isinstance(scenes, int) else scenes[1] - scenes[0] + 1
    first = 10**9 + 10**5 * seed
    dataset["seeds"] = [first, first + count - 1]


def find_weights(config: dict[str, Any], checkpoint: str | Path) -> Path:
    """Return the path of `checkpoint`: a path, the name of bundled weights, or ``"bundled"``, the weights that the recipe's ``bundled`` names.

    Raises `WeightsError` when they are not there.
    """
    from perception.inference.zoo import BUNDLED

    if str(checkpoint) == "bundled":
        name = config.get("bundled")
        if not name:
            raise RecipeError(f"recipe {config['name']!r} names no bundled weights; give the path of a checkpoint")
        folder = BUNDLED / name
        if not (folder / "model.safetensors").is_file():
            raise WeightsError(
                f"the bundled weights {name!r} are not in this installation; give the path of a checkpoint"
            )
        return folder
    path = Path(checkpoint)
    if path.exists():
        return _newest_of(path)
    names = [folder.parent.name for folder in BUNDLED.glob("*/model.safetensors")]
    if str(checkpoint) in names:
        return BUNDLED / str(checkpoint)
    raise WeightsError(
        f"checkpoint {path} does not exist; give a file of a run folder, a run folder, a published folder, 'bundled' or the name of "
        f"bundled weights.{nearest(str(checkpoint), names)}"
    )


def _newest_of(path: Path) -> Path:
    """Return what a marker file or a run folder points to; other paths unchanged."""
    if path.is_dir() and not any((path / name).is_file() for name in ("model.safetensors", MARKER)):
        raise WeightsError(
            f"the folder {path} has no weights: neither a run's {MARKER} nor a model.safetensors is in it"
        )
    marker = path / MARKER if path.is_dir() and not (path / "model.safetensors").is_file() else path
    if marker.name != MARKER or not marker.is_file():
        return path
    newest = marker.parent / marker.read_text(encoding="utf-8").strip()
    if not newest.is_file():
        raise WeightsError(f"{marker} names {newest.name}, which is not there; give the path of a checkpoint")
    return newest


def finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics with numbers that JSON cannot hold as None."""
    return {
        k: None if isinstance(v, float) and (v != v or v in (float("inf"), float("-inf"))) else v
        for k, v in metrics.items()
    }
