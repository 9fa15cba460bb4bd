"""A procedural world: streets and rooms from a seed, any sensor, exact truth, no download. See docs/world.md."""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "World": "render",
    "Frame": "rendered",
    "Moment": "rendered",
    "WorldDataset": "dataset",
    "PrerenderedWorld": "cache",
    "prerender": "cache",
    "Rig": "rigs",
    "build_rig": "rigs",
}
__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
