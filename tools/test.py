"""Evaluate weights: `python tools/test.py models/polymax/polymax_world_tiny.py --checkpoint bundled --world-seed 123`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Evaluate weights by a recipe's test set.")
    parser.add_argument("recipe", help="recipe file, such as models/polymax/polymax_world_tiny.py")
    parser.add_argument(
        "--checkpoint", required=True, help="training checkpoint, run, published folder, bundled name, or 'bundled'"
    )
    parser.add_argument("--world-seed", type=int, help="seed of a generated test set; any number you like")
    parser.add_argument("--json", metavar="OUT", help="write the metrics to this file")
    parser.add_argument("--show-dir", metavar="DIR", help="save the first predictions as pictures there")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="changes to the recipe"
    )
    parser.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="open a checkpoint that may run code; only if you trust its maker",
    )
    return parser.parse_args(arguments)


def main() -> int:
    options = parse_arguments()

    def body() -> int:
        from perception.engine.evaluate import evaluate

        evaluate(
            options.recipe,
            options.checkpoint,
            options.world_seed,
            options.cfg_options,
            options.json,
            options.show_dir,
            options.launcher,
            options.trust_checkpoint,
        )
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
