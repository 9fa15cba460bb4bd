"""Training a recipe from start to published weights; `tools/train.py` is a command line over `train`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import torch

from perception.engine import distributed
from perception.engine.evaluate import find_weights
from perception.engine.files import write_json
from perception.engine.loops import OUT_OF_TIME, SIGNALLED
from perception.engine.publish import publish
from perception.engine.recipe import jsonable, load_recipe
from perception.engine.run_folder import check_disk, describe_run, open_run_folder
from perception.engine.runner import PerceptionRunner
from perception.engine.schema import check_recipe
from perception.io.checkpoints import read_checkpoint


@dataclasses.dataclass(frozen=True)
class TrainingReport:
    """How a training ended: ``"finished"``, ``"time"`` (limit reached) or the signal's name."""

    ended: str
    iteration: int
    work_dir: Path
    export: Path | None
    metrics: dict[str, float]


def train(
    recipe: str | Path,
    work_dir: str | Path | None = None,
    resume: bool | str | Path = False,
    options: list[str] | None = None,
    amp: bool = False,
    seed: int | None = None,
    max_minutes: float | None = None,
    launcher: str = "none",
    trust: bool = False,
    check: bool = False,
) -> TrainingReport | None:
    """Train `recipe`.

    Args:
        recipe: path of a recipe.
        work_dir: run folder; default ``work_dirs/<recipe's name>``.
        resume: True = the newest loadable checkpoint of the run folder; a path = that one.
        options: ``key.sub=value`` changes.
        amp: bfloat16 where the recipe does not say otherwise.
        max_minutes: stop, save and publish after so many minutes.
        launcher: ``none``, ``pytorch`` (torchrun) or ``slurm``.
        trust: read checkpoints with the full unpickler.
        check: build everything, do one batch of everything, print what it costs, and return None.

    Raises:
        PerceptionError: one sentence about what is wrong.
    """
    path = Path(recipe)
    config = load_recipe(path, options)
    config.setdefault("name", path.stem)
    if amp:
        config["amp"] = config.get("amp") or "bfloat16"
    if seed is not None:
        config["seed"] = seed
    if max_minutes is not None:
        config.setdefault("train_cfg", {})["max_minutes"] = max_minutes
    check_recipe(config)
    if config.get("load_from") and not resume:
        config["load_from"] = str(find_weights(config, config["load_from"]))
    config["seed"] = config.get("seed") or 0
    folder = Path(work_dir or config.get("work_dir") or Path("work_dirs") / path.stem)
    rank, _ = distributed.start_processes(launcher)
    runner = None
    try:
        if check:
            from perception.engine.check import check_run

            check_run(config)
            return None
        if rank == 0:
            open_run_folder(folder, bool(resume))
            describe_run(folder, jsonable(config), str(path))
        runner = PerceptionRunner(config, folder, resume, trust, launcher=launcher)
        hook = (config.get("default_hooks") or {}).get("checkpoint") or {}
        parameters = sum(p.numel() for p in runner.training_model.parameters())
        check_disk(folder, parameters, hook.get("keep", 3), bool(config.get("ema")))
        runner.logger.info(f"{config['model']['type']} with {parameters / 1e6:.2f} M parameters, run folder {folder}")
        began = time.monotonic()
        runner.train()
        return _finish(runner, config, path, folder, time.monotonic() - began)
    finally:
        if runner is not None:
            runner.close_logs()
        with contextlib.suppress(Exception):
            distributed.stop_processes()


def _finish(
    runner: PerceptionRunner, config: dict[str, Any], path: Path, folder: Path, seconds: float
) -> TrainingReport:
    """Publish what the run reached, unless a signal cut it short."""
    loop = runner.train_loop
    ended = {SIGNALLED: runner.stop_signal or "SIGNAL", OUT_OF_TIME: "time"}.get(loop.stop_reason, "finished")
    if runner.rank == 0:  # for scripts, such as tools/slurm.sh
        write_json(folder / "status.json", {"ended": ended, "iteration": loop.iter, "max_iters": loop.max_iters})
    newest = folder / f"iter_{loop.iter}.pth"
    metrics = dict(runner.last_metrics)
    if loop.stop_reason == SIGNALLED:
        if runner.rank == 0:
            print(
                f"Stopped by {runner.stop_signal or 'a signal to another process'} at iteration {loop.iter} of {loop.max_iters}; saved {newest}.\n"
                f"Resume with: {resume_command(folder)}",
                flush=True,
            )
        return TrainingReport(ended, loop.iter, folder, None, metrics)
    export = None
    if runner.rank == 0:
        choice = config.get("publish") or {}
        source = folder / "best.pth" if choice.get("which") == "best" and (folder / "best.pth").is_file() else newest
        checkpoint = read_checkpoint(source)
        state = checkpoint.get("ema_state_dict") or checkpoint["state_dict"]
        provenance = {
            "recipe": config["name"],
            "recipe_file": path.name,
            "seed": runner.seed,
            "iterations": checkpoint["meta"]["iter"],
            "planned_iterations": loop.max_iters,
            "samples_seen": checkpoint["meta"]["position"],
            "averaged": "ema_state_dict" in checkpoint,
            "seconds_of_this_process": round(seconds, 1),
            "processes": runner.world_size,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "torch": str(torch.__version__),
            "metrics": metrics,
        }
        export = publish(
            folder / "export",
            runner.recipe["model"],
            state,
            provenance,
            bool(choice.get("half", False)),
            choice.get("about"),
        )
        reason = "time limit reached" if loop.stop_reason == OUT_OF_TIME else "finished"
        print(f"Training {reason} at iteration {loop.iter} of {loop.max_iters}; published {export}", flush=True)
    return TrainingReport(ended, loop.iter, folder, export, metrics)


def resume_command(folder: Path) -> str:
    """Return this process's command line with ``--resume`` in it."""
    import shlex

    words = [word for word in sys.argv]
    if "--resume" in words:
        place = words.index("--resume")
        following = words[place + 1 : place + 2]
        del words[place : place + (2 if following and not following[0].startswith("-") else 1)]
    if not any(word.startswith("--work-dir") for word in words):
        words += ["--work-dir", str(folder)]
    return shlex.join(["python", *words, "--resume"])
