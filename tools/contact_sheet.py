#!/usr/bin/env python3
"""Draw the pictures of the world that docs/world.md shows.

python tools/contact_sheet.py                          # all of them into docs/pictures
python tools/contact_sheet.py streets night --out out  # some of them elsewhere
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and draw the sheets; returns the exit status."""
    from perception.datasets.world import sheets
    from perception.errors import PerceptionError

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="SHEET", help="default: all of " + ", ".join(sheets.SHEETS))
    parser.add_argument("--out", default="docs/pictures", help="folder (default: docs/pictures)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default 0)")
    given = parser.parse_args(arguments)
    try:
        for name in given.names or sheets.SHEETS:
            path = sheets.write(name, given.out, given.seed)
            print(f"{path}  {path.stat().st_size / 1000:.0f} kB", flush=True)
    except PerceptionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
