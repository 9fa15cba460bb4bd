"""Small files of a run folder: whole or absent, and the leftovers of killed writers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from perception.io.atomic import atomic_write


def write_text(path: str | Path, text: str) -> None:
    """Write `text` atomically as UTF-8."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` atomically as strict JSON (no NaN)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files that a killed process left in `folder`."""
    for leftover in folder.glob(".*.tmp*"):
        with contextlib.suppress(OSError):
            leftover.unlink()
