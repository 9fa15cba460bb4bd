"""Reading foreign checkpoints: their tensors, and renaming by rules. `perception.io.checkpoints` loads them strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from perception.errors import WeightsError
from perception.io.checkpoints import read_checkpoint


def state_of(file_or_state: str | Path | Mapping) -> dict[str, Tensor]:
    """Read a checkpoint file, or take a loaded one, and return its flat state without wrappers (``model_state``, ``module.``)."""
    state = file_or_state
    if isinstance(state, str | Path):
        state = read_checkpoint(state)
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
