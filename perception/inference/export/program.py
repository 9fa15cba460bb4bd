"""Tracing a model with `torch.export`: batch and, where the network allows it, picture size stay free."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from perception.inference.export.examples import Examples, ExportError, example_inputs
from perception.inference.export.structure import FlatNetwork, Structure, flatten


@dataclasses.dataclass(frozen=True)
class Traced:
    """A traced model: the program, how its inputs and outputs are called, and which axes are free."""

    program: torch.export.ExportedProgram
    examples: Examples
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    structure: Structure
    free: dict[str, tuple[int, ...]]  # input -> axes of any length
    notes: tuple[str, ...]

    @property
    def free_batch(self) -> bool:
        return all(0 in self.free.get(name, ()) for name in self.inputs)

    @property
    def free_size(self) -> bool:
        return bool(self.examples.size_axes) and all(
            axis in self.free.get(name, ()) for name, axes in self.examples.size_axes.items() for axis in axes
        )


def trace(model: Any, width: int = 640, height: int = 480) -> Traced:
    """Trace `model` (in evaluation mode, on the CPU) on pictures of `width` x `height`.

    Free axes are tried first with batch and size, then with the batch alone, then with none. Raises `ExportError` with the
    exporter's reason when not even that works.
    """
    examples = example_inputs(model, width, height)
    names = tuple(examples.inputs)
    with torch.no_grad():
        try:
            outputs, _, structure = flatten(model(**examples.inputs))
        except TypeError as error:
            raise ExportError(f"{type(model).__name__} cannot be exported: {error}") from error
    flat, notes, reason = FlatNetwork(model, names).eval(), list(getattr(model, "export_notes", ())), ""
    for batch, size in _attempts(bool(examples.size_axes)):
        wanted = {name: _axes(examples, name, batch, size) for name in names}
        shapes = tuple({axis: torch.export.Dim.AUTO for axis in wanted[name]} for name in names)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values = tuple(examples.inputs.values())
                program = torch.export.export(flat, values, dynamic_shapes=(shapes,), strict=False)
        except Exception as error:  # the tracer's errors have no common base
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"
            notes.append(f"{_what(batch, size)} did not work ({reason})")
            continue
        return Traced(program, examples, names, tuple(outputs), structure, _free_axes(program, names), tuple(notes))
    raise ExportError(f"{type(model).__name__} cannot be exported; torch.export says {reason}")


def _attempts(sized: bool) -> Iterator[tuple[bool, bool]]:
    if sized:
        yield True, True
    yield True, False
    yield False, False


def _what(batch: bool, size: bool) -> str:
    return "any batch and any size" if size else "any batch" if batch else "a fixed batch and size"


def _axes(examples: Examples, name: str, batch: bool, size: bool) -> tuple[int, ...]:
    return ((0,) if batch else ()) + (examples.size_axes.get(name, ()) if size else ())


def _free_axes(program: torch.export.ExportedProgram, names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the axes that the tracer left symbolic (it fixes an axis on its own when the network depends on its length)."""
    wanted = set(program.graph_signature.user_inputs)
    found = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    return {
        name: tuple(axis for axis, length in enumerate(value.shape) if _is_free(length))
        for name, value in zip(names, found, strict=True)
    }


def _is_free(length: int | torch.SymInt) -> bool:
    """Whether an axis may have any length; one that the tracer fixed may still be a symbol, with a number behind it."""
    return isinstance(length, torch.SymInt) and length.node.maybe_as_int() is None
