"""Training samples of a whole rig: what ``{"type": "World", "rig": "stereo", ...}`` returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from perception.datasets.world import rigs
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Moment
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole


def moment_sample(world: World, moment: Moment, rig: rigs.Rig, label_of: np.ndarray, limits: dict) -> dict[str, Any]:
    """Return tensors of everything that a rig measured around one key time.

    ``images`` (C, 3, H, W) uint8, ``intrinsics`` (C, 3, 3), ``ego_from_camera`` (C, 4, 4), ``world_from_ego`` (4, 4) at the key time,
    ``world_from_camera`` (C, 4, 4) each at its own time, ``times`` (C,) float64 seconds; the maps that were rendered, one a camera: ``depth``,
    ``depth_valid``, ``normals``, ``semantic``, ``instance``, ``panoptic``, ``flow`` (C, 2, H, W), ``flow_valid``, ``scene_flow``, ``disparity``.
    Cameras of unequal sizes give lists. In the ego frame of the key time: ``lidar`` (P, 4) x, y, z, intensity; ``radar`` (R, 7) x, y, z, compensated
    velocity x, y, raw radial velocity, cross-section (dBsm); ``boxes3d`` (N, 7), ``labels3d``, ``velocity`` (N, 2), ``track_ids`` of the objects
    that a camera sees; ``occupancy``, ``mask_camera``, ``mask_lidar`` (X, Y, Z).

    label_of (256,): label of each category, -1 = left out. limits: ``min_visibility``, ``min_pixels``, ``max_distance``.
    """
    frames = [moment.frames[camera.name] for camera in rig.cameras]
    ego_from_world = transforms.inverse(np.asarray(moment.world_from_ego, np.float64))
    sample: dict[str, Any] = {
        "images": _stacked([frame.image.transpose(2, 0, 1) for frame in frames]),
        "ego_from_camera": torch.from_numpy(np.stack([c.ego_from_sensor for c in rig.cameras]).astype(np.float32)),
        "world_from_camera": torch.from_numpy(np.stack([frame.world_from_camera for frame in frames])),
        "world_from_ego": torch.from_numpy(np.array(moment.world_from_ego, np.float64)),
        "times": torch.tensor([frame.time for frame in frames], dtype=torch.float64),
    }
    if all(isinstance(camera.model, Pinhole) for camera in rig.cameras):
        sample["intrinsics"] = torch.from_numpy(np.stack([frame.intrinsics for frame in frames]))
    for name, target, kind, channels in _MAPS:
        maps = [getattr(frame, name) for frame in frames]
        if maps and all(values is not None for values in maps):
            maps = [values.transpose(2, 0, 1) if channels else values for values in maps]
            sample[target] = _stacked([values.astype(kind) for values in maps])
    if moment.lidars:
        clouds = [
            np.c_[
                transforms.apply(ego_from_world @ scan.world_from_sensor, scan.points.astype(np.float64)),
                scan.intensity,
            ]
            for scan in moment.lidars.values()
        ]
        sample["lidar"] = torch.from_numpy(np.concatenate(clouds).astype(np.float32))
    if moment.radars:
        sample["radar"] = torch.from_numpy(np.concatenate([_radar(s, ego_from_world) for s in moment.radars.values()]))
    if frames and frames[0].boxes is not None:
        sample |= _boxes(world, moment, frames, ego_from_world, label_of, limits)
    if moment.occupancy is not None:
        sample["occupancy"] = torch.from_numpy(moment.occupancy.semantics)
        sample["mask_camera"] = torch.from_numpy(moment.occupancy.mask_camera)
        sample["mask_lidar"] = torch.from_numpy(moment.occupancy.mask_lidar)
    return sample


# name in a frame, name in a sample, type, whether the last axis is channels
_MAPS = (
    ("depth", "depth", np.float32, False),
    ("valid", "depth_valid", bool, False),
    ("normals", "normals", np.float32, True),
    ("semantic", "semantic", np.int64, False),
    ("instance", "instance", np.int32, False),
    ("panoptic", "panoptic", np.int32, False),
    ("flow", "flow", np.float32, True),
    ("flow_valid", "flow_valid", bool, False),
    ("scene_flow", "scene_flow", np.float32, True),
    ("disparity", "disparity", np.float32, False),
)


def _stacked(arrays: list[np.ndarray]) -> torch.Tensor | list[torch.Tensor]:
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    return torch.stack(tensors) if len({tensor.shape for tensor in tensors}) == 1 else tensors


def _radar(scan, ego_from_world: np.ndarray) -> np.ndarray:
    ego_from_sensor = ego_from_world @ scan.world_from_sensor
    points = transforms.apply(ego_from_sensor, scan.points.astype(np.float64))
    velocity = scan.velocity_compensated.astype(np.float64) @ ego_from_sensor[:2, :2].T
    return np.c_[points, velocity, scan.radial_velocity, scan.rcs].astype(np.float32)


def _boxes(world: World, moment: Moment, frames, ego_from_world, label_of, limits) -> dict[str, torch.Tensor]:
    seen: set[int] = set()
    for frame in frames:
        boxes = frame.boxes
        keep = (boxes.visibility >= limits["min_visibility"]) & (boxes.visible_pixels >= limits["min_pixels"])
        seen.update(boxes.instance[keep].tolist())
    rows, labels, velocities, ids = [], [], [], []
    for item in world.scene.objects:
        matrix = ego_from_world @ np.asarray(item.pose(moment.time), np.float64)
        near = np.hypot(*matrix[:2, 3]) <= limits["max_distance"]
        if item.id in seen and label_of[item.category] >= 0 and near:
            rows.append([*matrix[:3, 3], *item.size, np.arctan2(matrix[1, 0], matrix[0, 0])])
            labels.append(int(label_of[item.category]))
            velocities.append((ego_from_world[:3, :3] @ item.velocity(moment.time))[:2])
            ids.append(item.id)
    return {
        "boxes3d": torch.tensor(np.array(rows, np.float32).reshape(-1, 7)),
        "labels3d": torch.tensor(labels, dtype=torch.int64),
        "velocity": torch.tensor(np.array(velocities, np.float32).reshape(-1, 2)),
        "track_ids": torch.tensor(ids, dtype=torch.int64),
    }
