"""CroCo v2: cross-view completion, and stereo matching and optical flow on top of it (arXiv 2210.10716, 2211.10408)."""

from __future__ import annotations

from perception.models.croco.completion import CroCoCompletion
from perception.models.croco.model import CroCo

__all__ = ["CroCo", "CroCoCompletion"]
