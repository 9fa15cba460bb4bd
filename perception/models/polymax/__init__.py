"""kMaX-DeepLab and PolyMaX: dense prediction by clusters of pixels."""

from __future__ import annotations

from perception.models.polymax.deeplab import KMaXDeepLab
from perception.models.polymax.model import PolyMaX

__all__ = ["KMaXDeepLab", "PolyMaX"]
