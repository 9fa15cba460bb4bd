#!/usr/bin/env python3
"""Measure speed: one sub-command for each file of tools/benchmarks.

python tools/benchmark.py                         # lists the benchmarks
python tools/benchmark.py world --repeat 5        # each has options of its own: python tools/benchmark.py world --help
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
_FOLDER = Path(__file__).resolve().parent / "benchmarks"


def benchmarks() -> dict[str, Path]:
    """Return name -> file of every benchmark.

    A benchmark is a file with a docstring and either ``main(arguments: list[str]) -> int``, or ``arguments(parser)``, which adds its options, and
    ``run(options) -> int``, which prints the figures and returns the exit status. Nothing but the chosen one is imported.
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("*.py")) if not path.stem.startswith("_")}


def first_line(path: Path) -> str:
    """First line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem).split("\n")[0]


def load(path: Path) -> ModuleType:
    """Import a benchmark from its file."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark that the first argument names with the others; returns the exit status."""
    from perception.engine.command import run_command
    from perception.errors import InputError, nearest

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    known = benchmarks()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip() + "\n\nbenchmarks:")
        for name, path in known.items():
            print(f"  {name:<20} {first_line(path)}")
        return 0

    def body() -> int:
        name, rest = arguments[0], arguments[1:]
        if name not in known:
            raise InputError(f"benchmark {name!r} is not known, only {', '.join(known)}.{nearest(name, known)}")
        module = load(known[name])
        if not hasattr(module, "run"):
            return module.main(rest)
        parser = argparse.ArgumentParser(prog=f"benchmark.py {name}", description=first_line(known[name]))
        module.arguments(parser)
        return module.run(parser.parse_args(rest))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
