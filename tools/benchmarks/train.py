"""Training throughput of a recipe: images a second, the share of the time spent waiting for data, peak memory.

The recipe's data are used as they are: the first run with a generated world also fills its cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("recipe", help="such as models/dpt/dpt_world_tiny.py")
    parser.add_argument("--steps", type=int, default=50, help="iterations that are timed (default 50)")
    parser.add_argument("--warmup", type=int, default=5, help="iterations before them (default 5)")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    from perception.engine.files import write_json

    figures = measure(options.recipe, options.cfg_options, options.steps, options.warmup)
    if options.json:
        write_json(options.json, figures)
    return 0


def measure(recipe: str | Path, changes: list[str] | None = None, steps: int = 50, warmup: int = 5) -> dict[str, float]:
    """Return ``seconds`` a step, ``images_per_second``, ``data_share`` and ``memory_mib`` of training `recipe`."""
    from perception.engine.check import benchmark_training
    from perception.engine.recipe import load_recipe
    from perception.engine.schema import check_recipe

    config = load_recipe(recipe, changes)
    config.setdefault("name", Path(recipe).stem)
    config["seed"] = config.get("seed") or 0
    check_recipe(config)
    return benchmark_training(config, steps, warmup)
