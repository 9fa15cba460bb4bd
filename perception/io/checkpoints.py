"""Read weights from files without ever running code from them.

``.safetensors`` holds tensors alone. Every other file is read with ``weights_only=True``: a pickle that names anything but tensors, plain containers
and `argparse.Namespace` is refused. `trust=True` is the one explicit way around that, for files that the caller made.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from perception.errors import WeightsError


class UnsafeWeightsError(WeightsError):
    """A file that could run code when it is opened."""


StateDict = dict[str, torch.Tensor]


def read_checkpoint(path: str | Path, trust: bool = False) -> Any:
    """Return what a checkpoint file holds, on the CPU.

    Raises `WeightsError` for a file that is missing, truncated, no checkpoint at all, or that would run code when it is unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"the checkpoint {str(path)!r} is not there; give the path of an existing file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        # Many official files keep their command line beside the weights: a Namespace is a bag of values and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if not _looks_pickled(path):
            raise WeightsError(f"{path.name!r} is no checkpoint: expected a file of PyTorch or safetensors") from None
        text = str(error).lower()
        if "invalid load key" not in text and ("weights only" in text or "unsupported" in text):
            raise UnsafeWeightsError(
                f"the checkpoint {path.name!r} holds Python objects besides tensors, which could run code; it was not loaded. "
                "If you made this file yourself, pass --trust-checkpoint (trust=True)"
            ) from None
        raise WeightsError(
            f"the checkpoint {path.name!r} is not a readable PyTorch file: {_first_line(error)}"
        ) from None
    except (RuntimeError, EOFError, ValueError, LookupError, OSError, AttributeError, TypeError) as error:
        raise WeightsError(f"the checkpoint {path.name!r} is broken or cut short: {_first_line(error)}") from None


def _looks_pickled(path: Path) -> bool:
    """Whether a file begins as PyTorch's do: a ZIP archive, or a pickle of protocol 2 or later."""
    with open(path, "rb") as file:
        return file.read(4).startswith((b"PK\x03\x04", b"\x80"))


def state_dict_of(
    checkpoint: Any, keys: tuple[str, ...] = ("state_dict", "model", "model_state", "model_state_dict")
) -> StateDict:
    """Find the tensors in a checkpoint: the dictionary itself or the one under a usual key; a ``module.`` prefix is taken off.

    Raises `WeightsError` when there are none.
    """
    state = checkpoint
    for key in keys:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
            break
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        found = sorted(checkpoint)[:5] if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise WeightsError(f"the checkpoint holds no state dictionary of tensors; found {found}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return dict(state)


@dataclasses.dataclass(frozen=True)
class Fit:
    """How a state fits a model, by names of entries: those that fit, and those that do not."""

    fitting: list[str]
    missing: list[str]  # in the model alone
    unexpected: list[str]  # in the state alone
    misshapen: list[str]  # with both shapes

    @property
    def complete(self) -> bool:
        """Whether every entry of each has its counterpart in the other."""
        return not (self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        """What does not fit, with the first few names of each kind."""
        parts = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.misshapen))
        return "; ".join(
            f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            for kind, keys in parts
            if keys
        )


def fit_of(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> Fit:
    """Compare a state with the entries of a model."""
    own = model.state_dict()
    common = [key for key in own if key in state]
    return Fit(
        [key for key in common if state[key].shape == own[key].shape],
        [key for key in own if key not in state],
        [key for key in state if key not in own],
        [f"{k} {tuple(state[k].shape)} for {tuple(own[k].shape)}" for k in common if state[k].shape != own[k].shape],
    )


def check_fit(model: torch.nn.Module, state: Mapping[str, torch.Tensor], what: str = "the checkpoint") -> None:
    """Raise the `WeightsError` of `load_strictly` without loading."""
    fit = fit_of(model, state)
    if not fit.complete:
        raise WeightsError(f"{what} does not fit {type(model).__name__}: keys {fit}")


def load_strictly(model: torch.nn.Module, state: Mapping[str, torch.Tensor], what: str = "the checkpoint") -> None:
    """Load every tensor of `state` into `model`, nothing more and nothing less.

    Raises `WeightsError` that lists the first few missing, unexpected or differently shaped keys; the model is then unchanged.
    """
    check_fit(model, state, what)
    model.load_state_dict(state)


def load_fitting(model: torch.nn.Module, state: Mapping[str, torch.Tensor], what: str = "the checkpoint") -> Fit:
    """Load the tensors of `state` whose name and shape the model knows, to train on from them with other heads or classes.

    Raises `WeightsError` when there is none.
    """
    fit = fit_of(model, state)
    if not fit.fitting:
        raise WeightsError(f"{what} has nothing for {type(model).__name__}: keys {fit}")
    model.load_state_dict({key: state[key] for key in fit.fitting}, strict=False)
    return fit


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object. Raises `WeightsError` when the file is missing, or holds something else."""
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"the file {str(path)!r} is not there") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"the file {path.name!r} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WeightsError(f"the file {path.name!r} should hold a JSON object, found {type(value).__name__}")
    return value


def _read_safetensors(path: Path) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"the weights {path.name!r} are broken or cut short: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
