"""Depth and camera motion learned from 360-degree video without labels (Wang et al., ACCV 2018, arXiv 1811.05304; BiFuse++, TPAMI 2023)."""

from __future__ import annotations

from perception.models.video360.model import Video360

__all__ = ["Video360"]
