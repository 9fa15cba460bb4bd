"""OmniFusion: depth of a panorama from tangent images (Li et al., CVPR 2022, arXiv 2203.00838)."""

from __future__ import annotations

from perception.models.omnifusion.model import OmniFusion

__all__ = ["OmniFusion"]
