"""Tensors that depend on sizes alone (position tables, sampling grids) are made once and kept, per size, device and dtype."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def is_tracing() -> bool:
    """Whether the code runs to be recorded (`torch.compile`, `torch.export`, ONNX, `torch.jit.trace`) and not for its numbers."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()


def cached_constants(maxsize: int = 16) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function of hashable arguments that returns constant tensors; callers must not write into them.

    While a graph is recorded nothing is cached (a recorded tensor means nothing outside its graph). Cached tensors are ordinary ones even when
    first made under `torch.inference_mode`, so that training may use them afterwards.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.lru_cache(maxsize=maxsize)
        def make(*args: P.args, **kwargs: P.kwargs) -> R:
            with torch.inference_mode(False), torch.no_grad():
                return function(*args, **kwargs)

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            if is_tracing():
                return function(*args, **kwargs)
            return make(*args, **kwargs)

        wrapper.cache_clear = make.cache_clear  # type: ignore[attr-defined]
        return wrapper

    return decorate
