"""Official weights -> a published folder: `python tools/convert.py monodetr checkpoint.pth out --recipe models/monodetr/monodetr_r50_kitti.py`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def main() -> int:
    from perception.inference.convert import SYSTEMS

    parser = argparse.ArgumentParser(description="Convert official weights and report what became of every entry.")
    parser.add_argument("system", help=", ".join(SYSTEMS))
    parser.add_argument("source", metavar="IN", help="the official checkpoint; a folder where there are several files")
    parser.add_argument("out", metavar="OUT", help="folder for config.json and model.safetensors")
    parser.add_argument("--recipe", help="recipe whose model the weights belong to")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="open a file that may run code; only if you trust its maker"
    )
    options = parser.parse_args()

    def body() -> int:
        from perception.engine.recipe import jsonable, load_recipe
        from perception.inference.convert import convert_checkpoint

        model = jsonable(load_recipe(options.recipe, options.cfg_options)["model"]) if options.recipe else None
        folder, report = convert_checkpoint(
            options.system, options.source, options.out, model, options.trust_checkpoint
        )
        print(f"{report.text}\n-> {folder}")
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
