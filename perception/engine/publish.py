"""The published form of a trained model: ``config.json`` (registry name and literals, provenance) + ``model.safetensors``.

It is the layout of the Hugging Face hub and what `perception.load` reads. Nothing in it is code, and nothing here needs
mmengine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from perception.engine.checkpoint import to_plain
from perception.engine.files import write_json
from perception.io.atomic import atomic_write

FORMAT = "perception/1"


def publish(
    folder: str | Path,
    model: dict[str, Any],
    state: dict[str, torch.Tensor],
    provenance: dict[str, Any] | None = None,
    half: bool = False,
    about: dict[str, Any] | None = None,
) -> Path:
    """Write ``config.json`` and ``model.safetensors`` into `folder`, each atomically, the configuration last.

    Args:
        model: ``{"type": registered name, **literal arguments}``; builds the model that `state` fits.
        state: weights by name; tied tensors are stored once for each name.
        provenance: recipe, seed, iterations, time, metrics: anything that is plain data.
        about: what the zoo shows: title, tasks, licence, default.
        half: store matrices and kernels as float16 (vectors such as norms stay float32); loading turns them back.

    Raises `OutputError` when the folder cannot be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    with atomic_write(folder / "model.safetensors") as file:
        file.write(save({name: _stored(tensor, half) for name, tensor in state.items()}, metadata={"format": "pt"}))
    config = {
        "format": FORMAT,
        "model": model,
        "about": to_plain(about or {}),
        "dtype": "float16" if half else "float32",
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "provenance": to_plain(provenance or {}),
    }
    write_json(folder / "config.json", config)
    return folder


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point() and tensor.ndim >= 2:
        tensor = tensor.half()
    return tensor.contiguous().clone()
