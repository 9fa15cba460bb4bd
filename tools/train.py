"""Train a recipe: `python tools/train.py models/polymax/polymax_world_tiny.py --work-dir work_dirs/tiny`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a recipe.")
    parser.add_argument("recipe", help="recipe file, such as models/polymax/polymax_world_tiny.py")
    parser.add_argument("--work-dir", help="run folder; default work_dirs/<name of the recipe>")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="PATH",
        help="go on from the newest loadable checkpoint of the run folder, or from PATH",
    )
    parser.add_argument("--amp", action="store_true", help="train in bfloat16 (GPUs; falls back to float32 elsewhere)")
    parser.add_argument("--check", action="store_true", help="one batch of everything, print what it costs, and stop")
    parser.add_argument("--seed", type=int, help="seed of everything; default: the recipe's, else 0")
    parser.add_argument("--max-minutes", type=float, help="stop, save and publish after so many minutes")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="changes to the recipe"
    )
    parser.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="open checkpoints that may run code; only if you trust their maker",
    )
    return parser.parse_args(arguments)


def main() -> int:
    options = parse_arguments()

    def body() -> int:
        from perception.engine.train import train

        train(
            options.recipe,
            options.work_dir,
            options.resume,
            options.cfg_options,
            options.amp,
            options.seed,
            options.max_minutes,
            options.launcher,
            options.trust_checkpoint,
            options.check,
        )
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
