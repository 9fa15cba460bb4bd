"""``perception models``: the zoo as a table, or as JSON for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any


def add(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    command = commands.add_parser("models", help="list the models: what they do, licence, where the weights are")
    command.add_argument("--task", help="only models that do this: depth, normals, segmentation, boxes3d, ...")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the rows; return the exit status."""
    from perception.inference.zoo import list_models

    rows = list_models(options.task)
    if options.json:
        keys = ("name", "tasks", "title", "licence", "address", "sha256", "card")
        print(json.dumps([{key: getattr(row, key) for key in keys} for row in rows], indent=1))
        return 0
    header = ("NAME", "TASKS", "LICENCE", "WEIGHTS", "WHAT")
    table = [header] + [(row.name, ",".join(row.tasks), row.licence, row.address, row.title) for row in rows]
    _print_table(table)
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip())
