"""Arguments of `HyDRa.forward` from collated batches of rig samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perception.errors import InputError
from perception.models.hydra.radar import pad_points

MATRICES = ("intrinsics", "ego_from_camera", "image_rotation", "image_shift", "bev_from_ego")


def frame_arguments(
    batch: Mapping[str, Any], image_size: tuple[int, int], radar: bool, device: torch.device
) -> dict[str, Any]:
    """Those of one moment. Raises `InputError` for pictures of another size than the network's."""
    images = batch["images"]
    if not isinstance(images, Tensor) or tuple(images.shape[-2:]) != image_size:
        found = tuple(images.shape[-2:]) if isinstance(images, Tensor) else [tuple(x.shape) for x in images]
        raise InputError(
            f"this model needs rigs of equally many pictures of {image_size[0]}x{image_size[1]} pixels; found {found}; "
            "give the data set `size`"
        )
    out: dict[str, Any] = {"images": images.to(device)}
    for name in MATRICES:
        if name in batch:
            out[name] = batch[name].to(device, torch.float32)
    if radar:
        points = batch.get("radar_points")
        if points is None:
            points = [torch.zeros(0, 8)] * len(images)
        points = list(points.unbind(0)) if isinstance(points, Tensor) else points
        out["radar"], out["radar_mask"] = pad_points([p.float().cpu() for p in points], device)
    return out


def past_arguments(
    batch: Mapping[str, Any], frames: int, image_size: tuple[int, int], radar: bool, device: torch.device
) -> list[dict[str, Any]]:
    """Those of the samples' ``history``, newest first; a sample without a frame repeats its present with age NaN."""
    past: Sequence[Sequence[Mapping]] = batch["history"]
    out = []
    now = {name: batch[name] for name in ("images", "intrinsics", "ego_from_camera", "radar_points") if name in batch}
    for step in range(frames):
        rows = []
        for i in range(len(past)):
            if step < len(past[i]):
                rows.append(past[i][step])
            else:
                rows.append(
                    {k: v[i] for k, v in now.items()}
                    | {"past_from_now": torch.eye(4), "age": torch.tensor(float("nan"))}
                )
        frame = {k: [row[k] for row in rows] for k in now}
        for name in ("images", "intrinsics", "ego_from_camera"):
            frame[name] = torch.stack(list(frame[name]))
        for name in ("image_rotation", "image_shift", "bev_from_ego"):
            if name in batch:
                frame[name] = batch[name]
        made = frame_arguments(frame, image_size, radar, device)
        made["past_from_now"] = torch.stack([r["past_from_now"].float() for r in rows]).to(device)
        made["age"] = torch.stack([r["age"].float() for r in rows]).to(device)
        out.append(made)
    return out
