"""The published form of a trained model: ``config.json`` (registry name and literals, provenance) + ``model.safetensors``.

It is the layout of the Hugging Face hub. Nothing in it is code, and nothing here needs mmengine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from perception.engine.checkpoint import load_state, read_checkpoint, to_plain
from perception.engine.files import atomic_writer, write_json
from perception.errors import WeightsError

FORMAT = "perception/1"


def publish(
    folder: str | Path,
    model: dict[str, Any],
    state: dict[str, torch.Tensor],
    provenance: dict[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write ``config.json`` and ``model.safetensors`` into `folder`, each atomically, the configuration last.

    Args:
        model: ``{"type": registered name, **literal arguments}``; builds the model that `state` fits.
        state: weights by name; tied tensors are stored once for each name.
        provenance: recipe, seed, iterations, time, metrics: anything that is plain data.
        half: store matrices and kernels as float16 (vectors such as norms stay float32); loading turns them back.
    """
    from safetensors.torch import save

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_writer(folder / "model.safetensors") as file:
            file.write(save({name: _stored(tensor, half) for name, tensor in state.items()}, metadata={"format": "pt"}))
        config = {
            "format": FORMAT,
            "model": model,
            "dtype": "float16" if half else "float32",
            "parameters": sum(tensor.numel() for tensor in state.values()),
            "provenance": to_plain(provenance or {}),
        }
        write_json(folder / "config.json", config)
    except OSError as error:
        raise WeightsError(f"the model could not be written to {folder}: {error}") from error
    return folder


def publish_checkpoint(checkpoint: str | Path, folder: str | Path, half: bool = False, trust: bool = False) -> Path:
    """Publish a training checkpoint: its averaged weights where it has them, else its weights."""
    content = read_checkpoint(checkpoint, trust)
    meta = content.get("meta") or {}
    if "model" not in meta or "state_dict" not in content:
        raise WeightsError(
            f"checkpoint {checkpoint} has no model description; only checkpoints of tools/train.py have one"
        )
    state = content.get("ema_state_dict") or content["state_dict"]
    provenance = {key: value for key, value in meta.items() if key not in ("model", "recipe")}
    return publish(folder, meta["model"], state, provenance, half)


def read_published(folder: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return ``(config, state)`` of a published folder, in float32. Raises `WeightsError` when it is incomplete or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder} is no published model: it has no {name}")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        state = load_file(folder / "model.safetensors")
    except (ValueError, OSError, SafetensorError) as error:
        raise WeightsError(f"published model {folder} is damaged: {error}") from error
    if not isinstance(config, dict) or "type" not in (config.get("model") or {}):
        raise WeightsError(f"{folder / 'config.json'} has no 'model' with a 'type'")
    return config, {name: t.float() if t.dtype == torch.float16 else t for name, t in state.items()}


def load_published(folder: str | Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Build the model of a published folder, load its weights strictly, and return it in eval mode with the config."""
    from perception.models.registry import build_model

    config, state = read_published(folder)
    model = build_model(config["model"])
    load_state(model, state, str(folder))
    return model.eval(), config


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point() and tensor.ndim >= 2:
        tensor = tensor.half()
    return tensor.contiguous().clone()
