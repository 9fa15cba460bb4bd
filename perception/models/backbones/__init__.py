"""Trunks: any timm model by name (`adapter`), and the architectures that timm lacks, registered with it when the adapter is imported.

Nothing is imported before it is asked for: models with a trunk of their own need no timm, whose import costs 200 MB and a second.
"""

import importlib
from typing import Any

_HOMES = {"Backbone": "adapter", "list_backbones": "adapter", "build_backbone": "factory"}
__all__ = ["Backbone", "build_backbone", "list_backbones"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
