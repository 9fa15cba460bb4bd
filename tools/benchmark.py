#!/usr/bin/env python3
"""Measure speed: one sub-command for each file of tools/benchmarks.

python tools/benchmark.py                         # lists the benchmarks
python tools/benchmark.py world --repeat 5        # options differ, see --help of each
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
_FOLDER = Path(__file__).resolve().parent / "benchmarks"


def benchmarks() -> dict[str, Path]:
    """Return name -> file of every benchmark.

    A benchmark is a file with a docstring, ``arguments(parser) -> None``, which adds its options, and ``run(options) -> int``, which prints the
    figures and returns the exit status. Heavy imports belong into `run`.
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("*.py")) if not path.stem.startswith("_")}


def load(path: Path) -> ModuleType:
    """Import a benchmark from its file."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run a benchmark; returns the exit status."""
    from perception.errors import PerceptionError

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(title="benchmarks", metavar="NAME", required=True)
    for name, path in benchmarks().items():
        module = load(path)
        text = (module.__doc__ or name).strip()
        command = commands.add_parser(name, help=text.split("\n")[0], description=text.split("\n")[0])
        module.arguments(command)
        command.set_defaults(run=module.run)
    given = parser.parse_args(arguments)
    try:
        return given.run(given)
    except PerceptionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
