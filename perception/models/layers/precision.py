"""Geometry in float32, whatever precision the network around it runs in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from perception.ops.constants import is_tracing

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function whose matrix products autocast must leave alone: metres and pixels need more digits than bfloat16 has."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        active = [device for device in ("cuda", "cpu", "mps") if torch.is_autocast_enabled(device)]
        if not active or is_tracing():
            return function(*args, **kwargs)
        with torch.autocast(active[0], enabled=False):
            return function(*args, **kwargs)

    return wrapper
