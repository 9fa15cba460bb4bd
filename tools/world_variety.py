#!/usr/bin/env python3
"""Measure how varied the procedural world's pictures are: bare rooms, exposure, skies, classes, sizes of things.

python tools/world_variety.py --kind room --count 100
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, measure and print; returns the exit status."""
    from perception.engine.command import run_command

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", default="room", help="street or room (default room)")
    parser.add_argument("--style", default="plausible", help="plausible, wild or mixed")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--count", type=int, default=50, help="number of worlds (default 50)")
    parser.add_argument("--views", type=int, default=3, help="pictures of each world (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    given = parser.parse_args(arguments)

    def body() -> int:
        from perception.datasets.world.progress import Bar
        from perception.datasets.world.variety import measure

        bar = Bar(given.count, True, "worlds")
        figures = measure(
            given.kind,
            range(given.seed, given.seed + given.count),
            given.style,
            given.views,
            progress=lambda done, _: bar.update(done),
        )
        bar.close()
        for name, value in figures.items():
            print(f"{name:<28}{value:10.3f}")
        if given.json:
            Path(given.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
