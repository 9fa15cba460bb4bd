"""``perception predict | export | models | backbones``: the command line. Each command is a file of `perception.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from perception import __version__
from perception.commands import backbones, export, models, predict
from perception.errors import PerceptionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status. Errors that are the user's to mend are printed as one sentence."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    try:
        return options.run(options)
    except PerceptionError as error:
        print(f"perception: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("perception: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="perception", description="Depth and 3D perception from pictures.")
    parser.add_argument("--version", action="version", version=f"perception3d {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (predict, export, models, backbones):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
