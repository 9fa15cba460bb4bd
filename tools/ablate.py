"""Test variants of a recipe, or train and test them, and print one table for its card.

python tools/ablate.py models/hydra/hydra_world_tiny.py --variants models/hydra/ablations.json --checkpoint bundled
python tools/ablate.py models/hydra/hydra_world_tiny.py --variants models/hydra/ablations.json --train --cfg-options train_cfg.max_iters=2000
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="recipe file")
    parser.add_argument(
        "--variants", required=True, metavar="JSON", help="changes of each variant, for training and testing"
    )
    parser.add_argument("--checkpoint", help="weights for variants that change the test alone; as in tools/test.py")
    parser.add_argument(
        "--train", action="store_true", help="train the variants that need it (an interrupted one goes on)"
    )
    parser.add_argument("--work-dir", help="folder of runs and results; default work_dirs/<recipe>_ablation")
    parser.add_argument("--world-seed", type=int, help="seed of the test scenes, as in tools/test.py")
    parser.add_argument("--max-minutes", type=float, help="of each training")
    parser.add_argument("--metrics", nargs="+", help="columns, such as nuscenes/nds occupancy/miou")
    parser.add_argument("--json", metavar="OUT", help="write all metrics to this file")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="for all variants"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)

    def body() -> int:
        from perception.engine.ablation import METRICS, ablate, read_variants, table
        from perception.engine.files import write_json

        folder = options.work_dir or f"work_dirs/{Path(options.recipe).stem}_ablation"
        results = ablate(
            options.recipe,
            read_variants(options.variants),
            folder,
            options.checkpoint,
            options.train,
            options.cfg_options,
            options.world_seed,
            options.max_minutes,
        )
        print("\n" + table(results, options.metrics or METRICS))
        if options.json:
            write_json(options.json, results)
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
