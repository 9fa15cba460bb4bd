"""Ablations of a recipe: the same weights tested in several ways, or a training for each variant, and one table.

Variants are a JSON file, name -> {"train": [changes to the recipe], "test": [further changes for testing alone]}:

    {"all": {}, "radar off": {"test": ["test_dataloader.dataset.radar=False"]}, "no HAT": {"train": ["model.hat=False"]}}

A variant without "train" tests the weights that are given (or the first variant's that has been trained with the recipe as it is).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perception.engine.checkpoint import to_plain
from perception.engine.evaluate import evaluate, finite
from perception.engine.files import write_json
from perception.errors import RecipeError

METRICS = ("nuscenes/nds", "nuscenes/map", "nuscenes/ap/car", "nuscenes/mave", "occupancy/miou", "tracking/amota")


def read_variants(path: str | Path) -> dict[str, dict[str, list[str]]]:
    """Variants of a file, see the module. Raises `RecipeError`."""
    try:
        held = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise RecipeError(f"the variants {str(path)!r} cannot be read: {error}") from None
    good = (
        isinstance(held, dict)
        and held
        and all(isinstance(v, dict) and v.keys() <= {"train", "test"} for v in held.values())
    )
    if not good or not all(
        isinstance(o, list) and all(isinstance(x, str) for x in o) for v in held.values() for o in v.values()
    ):
        raise RecipeError(f'the variants {str(path)!r} must be {{name: {{"train": [changes], "test": [changes]}}}}')
    return {str(name): {"train": v.get("train", []), "test": v.get("test", [])} for name, v in held.items()}


def ablate(
    recipe: str | Path,
    variants: dict[str, dict[str, list[str]]],
    work_dir: str | Path,
    checkpoint: str | Path | None = None,
    train: bool = False,
    options: Sequence[str] = (),
    world_seed: int | None = None,
    max_minutes: float | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of each variant, name -> {"metrics/name": value}; finished ones are read from `work_dir`, so the work may be interrupted.

    Args:
        checkpoint: weights for the variants that change testing alone; without it the unchanged recipe is trained for them.
        train: train the variants that need it; else they are left out.
        options: changes for all variants. max_minutes: of each training.
    """
    work_dir = Path(work_dir)
    results: dict[str, dict[str, Any]] = {}
    for name, variant in variants.items():
        if variant["train"] and not train:
            print(f"{name}: left out, it needs a training", flush=True)
            continue
        if not variant["train"] and checkpoint is None and not train:
            raise RecipeError(f"variant {name!r} needs weights: give --checkpoint, or --train")
        asked = {"options": [*options, *variant["train"], *variant["test"]], "world_seed": world_seed}
        asked["weights"] = str(checkpoint) if not variant["train"] and checkpoint is not None else None
        place = work_dir / f"{slug(name)}.json"
        held = json.loads(place.read_text()) if place.is_file() else {}
        if held.get("asked") != asked:
            print(f"{name}: {' '.join(asked['options']) or 'the recipe as it is'}", flush=True)
            weights = asked["weights"] or trained(recipe, work_dir, [*options, *variant["train"]], max_minutes)
            metrics = evaluate(recipe, weights, world_seed, asked["options"])
            held = {"asked": asked, "metrics": finite(to_plain(metrics))}
            write_json(place, held)
        results[name] = held["metrics"]
    return results


def trained(recipe: str | Path, work_dir: Path, options: list[str], max_minutes: float | None) -> Path:
    """Run folder of the recipe with `options`, trained, or gone on with where it stopped."""
    from perception.engine.train import train

    folder = work_dir / "runs" / (slug(" ".join(options)) or "plain")
    status = folder / "status.json"
    if not status.is_file() or json.loads(status.read_text()).get("ended") not in ("finished", "time"):
        resume = any(folder.glob("iter_*.pth"))
        train(recipe, folder, resume=resume, options=options, max_minutes=max_minutes)
    return folder


def slug(text: str) -> str:
    """A file name of a text: short, and another one for another text."""
    import hashlib

    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return plain if len(plain) <= 60 else f"{plain[:50]}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def table(results: dict[str, dict[str, Any]], metrics: Sequence[str] = METRICS) -> str:
    """Markdown: a row a variant, a column a metric; "-" where a variant has no such number."""
    heads = [name.split("/", 1)[-1] for name in metrics]
    rows = [f"| variant | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    for name, found in results.items():
        values = [found.get(metric) for metric in metrics]
        shown = ["-" if v is None else f"{v:.3f}" for v in values]
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(rows)
