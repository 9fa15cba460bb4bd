"""Text files that people write: UTF-8 everywhere, with or without the byte order mark of Windows editors, any line ends."""

from __future__ import annotations

from pathlib import Path


def read_text(path: str | Path) -> str:
    """Text of a file. Raises `OSError`, and `UnicodeDecodeError` (a `ValueError`) for what is no UTF-8."""
    return Path(path).read_text(encoding="utf-8-sig")
