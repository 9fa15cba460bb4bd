"""Training throughput: images a second, the share of the time spent waiting for data, and peak memory.

    python tools/benchmarks/train.py models/polymax/dpt_world_tiny.py --steps 50

The recipe's data are used as they are: the first run with a generated world also fills its cache.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from perception.engine.command import run_command


def measure(recipe: str | Path, options: list[str] | None = None, steps: int = 50, warmup: int = 5) -> dict[str, float]:
    """Return ``seconds`` a step, ``images_per_second``, ``data_share`` and ``memory_mib`` of training `recipe`."""
    from perception.engine.check import benchmark_training
    from perception.engine.recipe import load_recipe
    from perception.engine.schema import check_recipe

    config = load_recipe(recipe, options)
    config.setdefault("name", Path(recipe).stem)
    config["seed"] = config.get("seed") or 0
    check_recipe(config)
    return benchmark_training(config, steps, warmup)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure training throughput.")
    parser.add_argument("recipe")
    parser.add_argument("--steps", type=int, default=50, help="iterations that are timed (default: 50)")
    parser.add_argument("--warmup", type=int, default=5, help="iterations before them (default: 5)")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    options = parser.parse_args(arguments)

    def body() -> int:
        figures = measure(options.recipe, options.cfg_options, options.steps, options.warmup)
        if options.json:
            from perception.engine.files import write_json

            write_json(options.json, figures)
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
