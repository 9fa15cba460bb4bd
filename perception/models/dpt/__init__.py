"""DPT: the plain dense head, one value a pixel."""

from __future__ import annotations

from perception.models.dpt.model import DPT

__all__ = ["DPT"]
