"""A vehicle's sensors at one moment: cameras with pictures, and what its radars measured.

Frames: ego x forward, y left, z up; cameras x right, y down, z forward; transforms are named target_from_source. All sensors of a `Rig` are expressed in ONE
ego frame, that of the moment itself: a camera that fired 20 ms earlier has an `ego_from_camera` that contains the vehicle's motion since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole

RADAR_COLUMNS = ("x", "y", "z", "rcs", "vx", "vy", "sweep", "lag")


@dataclass(frozen=True, eq=False)
class RigCamera:
    """image: (H, W, 3) uint8 RGB; camera: its `Pinhole`, of the picture's size; ego_from_camera: (4, 4) rigid."""

    image: np.ndarray
    camera: Pinhole
    ego_from_camera: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        image = np.asarray(self.image)
        what = f"camera {self.name!r}" if self.name else "a camera"
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"{what} of a rig needs an (H, W, 3) uint8 picture; found {image.shape} {image.dtype}")
        if not isinstance(self.camera, Pinhole):
            raise InputError(f"{what} of a rig needs a Pinhole; found {type(self.camera).__name__}")
        if (self.camera.height, self.camera.width) != image.shape[:2]:
            raise InputError(
                f"{what} is calibrated for {self.camera.width}x{self.camera.height} pixels, its picture has {image.shape[1]}x{image.shape[0]}; "
                "use camera.resize(width, height) if the picture was resized"
            )
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "ego_from_camera", checked_pose(self.ego_from_camera, f"ego_from_camera of {what}"))


@dataclass(frozen=True, eq=False)
class Rig:
    """cameras: N >= 1. radar_points: (P, 8) float32 in the order of `RADAR_COLUMNS` (ego frame; velocity without the vehicle's own motion), or None.

    global_from_ego: (4, 4) pose, or None (then nothing connects this moment to others). time: seconds. scene: frames with the same name belong together.
    """

    cameras: Sequence[RigCamera]
    radar_points: np.ndarray | None = None
    global_from_ego: np.ndarray | None = None
    time: float | None = None
    scene: str = ""
    name: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        cameras = tuple(self.cameras)
        if not cameras or not all(isinstance(camera, RigCamera) for camera in cameras):
            raise InputError("a rig needs at least one RigCamera with a picture; found none")
        object.__setattr__(self, "cameras", cameras)
        if self.radar_points is not None:
            points = np.asarray(self.radar_points, np.float32)
            if points.ndim != 2 or points.shape[1] != len(RADAR_COLUMNS):
                raise InputError(
                    f"radar_points of a rig must have shape (P, {len(RADAR_COLUMNS)}): {', '.join(RADAR_COLUMNS)}; found {points.shape}"
                )
            object.__setattr__(self, "radar_points", points[np.isfinite(points).all(1)])
        if self.global_from_ego is not None:
            object.__setattr__(self, "global_from_ego", checked_pose(self.global_from_ego, "global_from_ego of a rig"))

    def __repr__(self) -> str:
        radar = "no radar" if self.radar_points is None else f"{len(self.radar_points)} radar points"
        sizes = ", ".join(f"{c.name or 'camera'} {c.camera.width}x{c.camera.height}" for c in self.cameras)
        return f"Rig({self.name or 'unnamed'}: {sizes}; {radar})"

    @classmethod
    def from_arrays(
        cls,
        images: Sequence[Any],
        intrinsics: Any,
        ego_from_camera: Any,
        names: Sequence[str] | None = None,
        **options: Any,
    ) -> Rig:
        """Build from N pictures, (N, 3, 3) intrinsics (pixel centres at integer + 0.5) and (N, 4, 4) poses; `options` are the other fields.

        Raises `InputError` where their numbers or shapes do not fit.
        """
        intrinsics, poses = _numbers(intrinsics, "intrinsics"), _numbers(ego_from_camera, "ego_from_camera")
        count = len(images)
        if intrinsics.shape != (count, 3, 3) or poses.shape != (count, 4, 4):
            raise InputError(
                f"{count} pictures need intrinsics ({count}, 3, 3) and ego_from_camera ({count}, 4, 4); found {intrinsics.shape} and {poses.shape}"
            )
        names = [""] * count if names is None else list(names)
        if len(names) != count:
            raise InputError(f"{count} pictures need as many names; found {len(names)}")
        cameras = []
        for image, matrix, pose, name in zip(images, intrinsics, poses, names, strict=True):
            pixels = image.detach().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
            if pixels.ndim != 3:
                raise InputError(f"pictures of a rig must have shape (H, W, 3); found {pixels.shape}")
            cameras.append(
                RigCamera(pixels, Pinhole.from_matrix(matrix, pixels.shape[1], pixels.shape[0]), pose, str(name))
            )
        return cls(cameras, **options)

    def select(self, cameras: Sequence[str | int]) -> Rig:
        """The same moment with some of the cameras, by name or number. Raises `InputError` for one that is not there."""
        names = [camera.name for camera in self.cameras]
        chosen = []
        for wanted in cameras:
            index = names.index(wanted) if wanted in names else wanted
            if not isinstance(index, int) or not -len(names) <= index < len(names):
                raise InputError(
                    f"this rig has no camera {wanted!r}; it has {', '.join(n or '(unnamed)' for n in names)}"
                )
            chosen.append(self.cameras[index])
        return replace(self, cameras=chosen)

    def without_radar(self) -> Rig:
        """The same moment without radar."""
        return replace(self, radar_points=None)


def checked_pose(value: Any, what: str) -> np.ndarray:
    """(4, 4) float64. Raises `InputError` unless it is a rigid transform."""
    matrix = _numbers(value, what)
    if matrix.shape != (4, 4):
        raise InputError(f"{what} must have shape (4, 4); found {matrix.shape}")
    if not transforms.is_rigid(matrix, 1e-3):
        raise InputError(f"{what} must be a rigid transform: a rotation, a translation and the last row 0 0 0 1")
    return matrix


def _numbers(value: Any, what: str) -> np.ndarray:
    """float64 array of an array, nested list or tensor on any device. Raises `InputError`."""
    if isinstance(value, list | tuple):
        value = [item.detach().cpu() if hasattr(item, "detach") else item for item in value]
    try:
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must hold numbers in rows of one length; found {str(value)[:60]}") from None


def radar_points(
    xyz: Any,
    velocity: Any = None,
    rcs: Any = None,
    ego_from_radar: Any = None,
    sweep: int = 0,
    lag: float = 0.0,
    sensor_velocity: Any = None,
) -> np.ndarray:
    """Points of one radar as (P, 8) rows of a `Rig`.

    Args:
        xyz: (P, 3) or (P, 2) metres, radar frame (x forward, y left).
        velocity: (P, 2) m/s radar frame along the line of sight, or None (0).
        rcs: (P,) dBsm, or None (the mean of cars).
        ego_from_radar: (4, 4) mount, identity if left out.
        sweep, lag: number and age (seconds) of the measurement.
        sensor_velocity: (2,) or (3,) m/s of the radar over ground, radar frame: given where `velocity` is relative to the moving sensor; its share along each
            line of sight is added.
    """
    xyz = np.asarray(xyz, np.float64)
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3):
        raise InputError(f"radar positions must have shape (P, 3) or (P, 2); found {xyz.shape}")
    count = len(xyz)
    xyz = np.column_stack([xyz, np.zeros((count, 3 - xyz.shape[1]))])
    moving = np.zeros((count, 2)) if velocity is None else np.asarray(velocity, np.float64)
    if moving.shape != (count, 2):
        raise InputError(f"{count} radar points need velocities of shape ({count}, 2); found {moving.shape}")
    if sensor_velocity is not None:
        sight = xyz[:, :2] / np.maximum(np.linalg.norm(xyz[:, :2], axis=1, keepdims=True), 1e-6)
        moving = moving + sight * (sight @ np.asarray(sensor_velocity, np.float64)[:2])[:, None]
    power = np.full(count, 4.783) if rcs is None else np.asarray(rcs, np.float64)
    if power.shape != (count,):
        raise InputError(f"{count} radar points need rcs of shape ({count},); found {power.shape}")
    pose = np.eye(4) if ego_from_radar is None else checked_pose(ego_from_radar, "ego_from_radar")
    moving = transforms.rotate(pose, np.column_stack([moving, np.zeros(count)]))[:, :2]
    rest = np.full((count, 2), (sweep, lag), np.float64)
    return np.column_stack([transforms.apply(pose, xyz), power, moving, rest]).astype(np.float32)
