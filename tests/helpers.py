"""What several tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def sample(path: str) -> Path:
    """Path of a real sample file beside the checkout; skips the test where that folder is absent."""
    found = SHARED / "samples" / path
    if not found.exists():
        pytest.skip(f"sample {path} is not on this machine")
    return found
