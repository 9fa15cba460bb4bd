"""Depth Anything V2: depth from one picture (arXiv 2406.09414)."""

from perception.models.depth_anything.model import DepthAnythingV2

__all__ = ["DepthAnythingV2"]
