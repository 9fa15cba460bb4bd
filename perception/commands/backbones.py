"""``perception backbones``: what every head takes, from stored facts; networks are built where asked for, or where the list is short."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from perception.errors import PerceptionError

PROBED_AT_ONCE = 25  # rows for which networks are built without being asked


def add(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    command = commands.add_parser("backbones", help="list the backbones that every head takes")
    command.add_argument("--filter", default="*", metavar="F", help="part of a name, or a pattern such as 'convnext*'")
    command.add_argument(
        "--probe",
        action="store_true",
        help="build every row's network instead of reading stored facts (a second a row)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the rows; return the exit status."""
    import timm

    from perception.models.backbones import facts, list_backbones

    names = list_backbones(options.filter if set("*?[") & set(options.filter) else f"*{options.filter}*")
    if not names:
        raise PerceptionError(f"no backbone matches {options.filter!r}")
    width = max(map(len, names))
    print(f"{'NAME':{width}}  {'PARAMS':>9}  {'STRIDES':13}  {'LICENCE':18}  PICTURES")
    stored = set() if options.probe else {name for name in names if facts.is_known(name)}
    left_out = 0
    for name in names:
        if name in stored or options.probe or len(names) <= PROBED_AT_ONCE:
            found = facts.backbone_facts(name, options.probe)
            parameters = f"{found.parameters / 1e6:.2f}M" if found.parameters else "-"
            row = (parameters, " ".join(map(str, found.strides)), found.licence, found.rule)
        else:
            left_out += 1
            row = ("?", "?", facts.licence_of(name), "?")
        print(f"{name:{width}}  {row[0]:>9}  {row[1]:13}  {row[2]:18}  {row[3]}", flush=True)
    if stored and facts.table_release() != timm.__version__:
        print(
            f"parameters, strides and pictures as of timm {facts.table_release()}; --probe asks timm {timm.__version__}",
            file=sys.stderr,
        )
    if left_out:
        print(
            f"{left_out} rows with '?' were not probed: narrow the list with --filter, or add --probe", file=sys.stderr
        )
    return 0
