"""SPIdepth and SQLdepth: depth from one picture, learned from video alone (arXiv 2404.12501, 2309.00526)."""

from __future__ import annotations

from perception.models.spidepth.model import SPIdepth

__all__ = ["SPIdepth"]
