"""Writes the world in the layouts of well-known data sets, so that their readers, recipes and evaluators can run on it."""

from __future__ import annotations

from perception.datasets.world.export.layout import Layout, export, layouts

__all__ = ["Layout", "export", "layouts"]
