"""Reading foreign checkpoints: safe loading, renaming by rules, strict loading."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from perception.errors import WeightsError


def state_of(file_or_state: str | Path | Mapping) -> dict[str, Tensor]:
    """Read a checkpoint file, or take a loaded one, and return its flat state without wrappers (``model_state``, ``module.``)."""
    state = file_or_state
    if isinstance(state, str | Path):
        try:
            with torch.serialization.safe_globals([argparse.Namespace]):  # a command line kept beside the weights
                state = torch.load(state, map_location="cpu", weights_only=True)
        except Exception as error:
            raise WeightsError(f"the checkpoint {Path(file_or_state).name!r} cannot be read safely: {error}") from error
    for key in ("model_state", "state_dict", "model"):
        if key in state and isinstance(state[key], Mapping):
            state = state[key]
    return {key.removeprefix("module."): value for key, value in state.items()}


def rename(state: Mapping[str, Tensor], rules: list[tuple[str, str | None]]) -> dict[str, Tensor]:
    """Apply the first fitting rule to every key; entries whose rule is None are left out."""
    compiled = [(re.compile(pattern), target) for pattern, target in rules]
    out, unknown = {}, []
    for key, value in state.items():
        for pattern, target in compiled:
            match = pattern.match(key)
            if match:
                if target is not None:
                    out[match.expand(target) + key[match.end() :]] = value
                break
        else:
            unknown.append(key)
    if unknown:
        raise WeightsError(
            f"{len(unknown)} entries of the checkpoint are unknown, first {', '.join(sorted(unknown)[:3])}; it belongs to another model"
        )
    return out


def load_strictly(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a converted state. Raises `WeightsError` that lists the first missing, unexpected or misshapen entries."""
    check_fit(model, state)
    model.load_state_dict(state)


def check_fit(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise the `WeightsError` of `load_strictly` without loading."""
    own = model.state_dict()
    complaints = []
    for title, keys in (
        ("missing", sorted(set(own) - set(state))),
        ("unexpected", sorted(set(state) - set(own))),
        (
            "of another shape",
            [
                f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
                for k in own
                if k in state and state[k].shape != own[k].shape
            ],
        ),
    ):
        if keys:
            complaints.append(f"{len(keys)} {title} ({', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''})")
    if complaints:
        raise WeightsError(f"the weights do not fit this {type(model).__name__}: entries {'; '.join(complaints)}")
