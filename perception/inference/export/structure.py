"""Named outputs of a network <-> a flat list of tensors, which is all that exported files know.

Nested dictionaries and lists become paths such as ``auxiliary/0/logits``; what is no tensor (a number, a text, None) is kept aside
as a constant. The description of the nesting is JSON and travels inside the exported file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Structure = Any  # JSON: {"tensor": i} | {"constant": x} | {"dict": {...}} | {"list": [...]}


def flatten(value: Any) -> tuple[list[str], list[torch.Tensor], Structure]:
    """Return the paths of all tensors inside `value`, the tensors, and the structure that `unflatten` takes.

    Raises `TypeError` for something that is neither tensor, dictionary, list, tuple nor plain constant.
    """
    names: list[str] = []
    tensors: list[torch.Tensor] = []

    def visit(item: Any, path: str) -> Structure:
        if isinstance(item, torch.Tensor):
            names.append(path)
            tensors.append(item)
            return {"tensor": len(tensors) - 1}
        if isinstance(item, dict):
            return {"dict": {key: visit(inner, f"{path}/{key}" if path else key) for key, inner in item.items()}}
        if isinstance(item, list | tuple):
            return {"list": [visit(inner, f"{path}/{i}" if path else str(i)) for i, inner in enumerate(item)]}
        if item is None or isinstance(item, bool | int | float | str):
            return {"constant": item}
        raise TypeError(f"output {path!r} is a {type(item).__name__}, which no exported file can hold")

    structure = visit(value, "")
    return names, tensors, structure


def unflatten(structure: Structure, tensors: Sequence[Any]) -> Any:
    """Inverse of `flatten`; tuples come back as lists."""
    (kind, content), *_ = structure.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "constant":
        return content
    if kind == "dict":
        return {key: unflatten(inner, tensors) for key, inner in content.items()}
    return [unflatten(inner, tensors) for inner in content]


class FlatNetwork(torch.nn.Module):
    """A network that takes its inputs in the order of `names` and returns a tuple of tensors."""

    def __init__(self, network: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, list(names)

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The tensors of the network's outputs, in `flatten`'s order."""
        return tuple(flatten(self.network(**dict(zip(self.names, values, strict=True))))[1])
