#!/usr/bin/env python3
"""Write procedural worlds to disk in the layout of a well-known data set.

python tools/make_world.py --layout kitti --kind street --seed 0 --count 100 --out data/world_kitti
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the export; returns the exit status."""
    from perception.datasets.world.export import export, layouts
    from perception.errors import PerceptionError

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layout", required=True, help="one of: " + ", ".join(layouts()))
    parser.add_argument("--out", required=True, help="an empty folder, made when it is not there")
    parser.add_argument("--kind", help="street, room or mixed; the default suits the layout")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--count", type=int, default=10, help="number of worlds (default 10)")
    parser.add_argument(
        "--views", type=int, default=1, help="pictures of each world; key frames of a nuScenes scene (default 1; 10)"
    )
    parser.add_argument("--style", default="plausible", help="plausible, wild or mixed")
    parser.add_argument("--weather", help="weather of streets; default: the seed decides")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels; default: the layout's own"
    )
    parser.add_argument("--val-share", type=float, default=0.2, help="share of the worlds for validation (default 0.2)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    given = parser.parse_args(arguments)
    try:
        export(
            given.layout,
            given.out,
            kind=given.kind,
            seed=given.seed,
            count=given.count,
            workers=given.workers,
            style=given.style,
            weather=given.weather,
            size=given.size,
            views=given.views,
            val_share=given.val_share,
            overwrite=given.overwrite,
            progress=not given.quiet,
        )
    except PerceptionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
