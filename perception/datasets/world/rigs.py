"""Sensor rigs of the procedural world: which sensors a vehicle or a photographer carries, where, and how often they fire.

Frames: camera x right, y down, z forward; LiDAR x right, y forward, z up (as nuScenes mounts it); radar x forward, y left, z up;
ego x forward, y left, z up with its origin on the ground under the rear axle; world z up. Transforms are named ``target_from_source``.

A `Rig` is data only. Every sensor fires at its own times (``phase_s + k / rate_hz``), and the ego pose is evaluated at that time,
so the sensors of one key frame see slightly different poses, as on a real vehicle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import cos, floor, sin

import numpy as np

from perception.errors import InputError, nearest
from perception.geometry.cameras import Equirectangular, Pinhole

CAMERA_FROM_BODY = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
"""Camera axes (x right, y down, z forward) from body axes (x forward, y left, z up)."""
LIDAR_FROM_BODY = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
"""LiDAR axes (x right, y forward, z up) from body axes."""


def rotation_zyx(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Return the 3x3 rotation ``Rz(yaw) Ry(pitch) Rx(roll)``; positive pitch lowers the nose, positive roll lowers the right side."""
    cy, sy, cp, sp, cr, sr = cos(yaw), sin(yaw), cos(pitch), sin(pitch), cos(roll), sin(roll)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def pose(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Return the 4x4 ``parent_from_body`` of a body at (x, y, z) metres turned by yaw, pitch, roll (radians)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_zyx(yaw, pitch, roll)
    matrix[:3, 3] = (x, y, z)
    return matrix


def invert(transform: np.ndarray) -> np.ndarray:
    """Return the inverse of a rigid (..., 4, 4) transform."""
    inverse = np.zeros_like(transform)
    rotation = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, transform[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def camera_pose(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Return ``parent_from_camera`` of a camera that looks along `yaw`; positive pitch looks down."""
    return pose(x, y, z, yaw, pitch, roll) @ invert(CAMERA_FROM_BODY)


@dataclass(frozen=True, eq=False)
class Sensor:
    """A named device fixed to the vehicle; `ego_from_sensor` is 4x4, `rate_hz` and `phase_s` say when it fires."""

    name: str
    ego_from_sensor: np.ndarray
    rate_hz: float = 10.0
    phase_s: float = 0.0

    def time(self, near: float) -> float:
        """Return the firing time (seconds) that is nearest to `near`."""
        return self.phase_s + floor((near - self.phase_s) * self.rate_hz + 0.5) / self.rate_hz


@dataclass(frozen=True, eq=False)
class Camera(Sensor):
    """A pinhole or equirectangular camera."""

    model: Pinhole | Equirectangular = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Lidar(Sensor):
    """A spinning LiDAR; `pattern` is a name of `perception.datasets.world.lidar.PATTERNS`."""

    pattern: str = "spinning32"


@dataclass(frozen=True, eq=False)
class Radar(Sensor):
    """An automotive radar; see `perception.datasets.world.radar.RadarModel`."""

    field_of_view: float = np.deg2rad(120.0)
    max_range: float = 250.0


@dataclass(frozen=True, eq=False)
class Rig:
    """Sensors on one body. `camera(name)` looks one up; `stereo` names the pair (left, right) that disparity refers to."""

    name: str
    cameras: tuple[Camera, ...]
    lidars: tuple[Lidar, ...] = ()
    radars: tuple[Radar, ...] = ()
    stereo: tuple[str, str] | None = None
    on_vehicle: bool = True
    sensors: tuple[Sensor, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Raises `InputError` when two sensors share a name."""
        object.__setattr__(self, "sensors", (*self.cameras, *self.lidars, *self.radars))
        names = [sensor.name for sensor in self.sensors]
        if len(set(names)) != len(names):
            raise InputError(
                f"rig {self.name!r} needs a different name for each sensor, found {names}; rename the repeated ones"
            )

    def camera(self, name: str) -> Camera:
        """Return the camera called `name`. Raises `InputError` with the nearest known name."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        known = [camera.name for camera in self.cameras]
        raise InputError(f"rig {self.name!r} has no camera {name!r}, only {known}.{nearest(name, known)}")


def point_velocity(
    pose_at: Callable[[float], np.ndarray], body_from_point: np.ndarray, time: float, step: float = 0.01
) -> np.ndarray:
    """Return the world velocity (3,) m/s of a point fixed to a moving body, rotation included.

    pose_at: time -> 4x4 ``world_from_body``; body_from_point: 4x4 or (3,) metres. Central difference over ``2 * step`` seconds.
    """
    offset = np.asarray(body_from_point, np.float64)
    offset = offset[:3, 3] if offset.ndim == 2 else offset
    after = np.asarray(pose_at(time + step), np.float64)
    before = np.asarray(pose_at(time - step), np.float64)
    return ((after[:3, :3] @ offset + after[:3, 3]) - (before[:3, :3] @ offset + before[:3, 3])) / (2 * step)


def pinhole_rig(
    width: int = 320,
    height: int = 240,
    horizontal_degrees: float = 70.0,
    height_m: float = 1.5,
    pitch: float = 0.0,
    rate_hz: float = 25.0,
) -> Rig:
    """Return a rig of one centred pinhole camera `height_m` above the ego origin."""
    model = Pinhole.from_fov(width=width, height=height, horizontal_degrees=horizontal_degrees)
    return Rig("pinhole", (Camera("camera", camera_pose(0, 0, height_m, 0.0, pitch), rate_hz, model=model),))


def panorama_rig(width: int = 1024, height: int = 512, height_m: float = 1.5) -> Rig:
    """Return a rig of one equirectangular camera."""
    model = Equirectangular(width=width, height=height)
    return Rig("panorama", (Camera("panorama", camera_pose(0, 0, height_m), 10.0, model=model),))


def stereo_rig(
    width: int = 640,
    height: int = 240,
    horizontal_degrees: float = 80.0,
    baseline: float = 0.54,
    height_m: float = 1.65,
) -> Rig:
    """Return two equal rectified cameras, the right one `baseline` metres to the right of the left one."""
    model = Pinhole.from_fov(width=width, height=height, horizontal_degrees=horizontal_degrees)
    left = Camera("left", camera_pose(0, 0, height_m), 10.0, model=model)
    right = Camera("right", camera_pose(0, -baseline, height_m), 10.0, model=model)
    return Rig("stereo", (left, right), stereo=("left", "right"))


def kitti_rig(width: int = 1242, height: int = 375, focal: float = 721.5377) -> Rig:
    """Return a KITTI-like vehicle: colour stereo pair (0.54 m apart) and a 64-beam LiDAR on the roof; `focal` in pixels of a 1242-pixel-wide image."""
    scale = width / 1242.0
    model = Pinhole(focal * scale, focal * scale, 609.5593 * scale, 172.854 * height / 375.0, width, height)
    left = Camera("image_2", camera_pose(1.03, 0.06, 1.65), 10.0, model=model)
    right = Camera("image_3", camera_pose(1.03, 0.06 - 0.54, 1.65), 10.0, model=model)
    lidar = Lidar("velodyne", pose(0.76, 0.0, 1.73), 10.0, pattern="spinning64")
    return Rig("kitti", (left, right), (lidar,), stereo=("image_2", "image_3"))


# name, x, y, z (m), yaw (deg), horizontal field of view (deg): typical of the nuScenes cars.
_SURROUND_CAMERAS = (
    ("CAM_FRONT", 1.70, 0.02, 1.51, 0.0, 64.6),
    ("CAM_FRONT_RIGHT", 1.55, -0.49, 1.50, -56.0, 64.6),
    ("CAM_BACK_RIGHT", 1.01, -0.48, 1.56, -110.5, 64.6),
    ("CAM_BACK", 0.03, 0.00, 1.57, 179.5, 89.3),
    ("CAM_BACK_LEFT", 1.04, 0.48, 1.59, 108.5, 64.6),
    ("CAM_FRONT_LEFT", 1.52, 0.49, 1.51, 55.0, 64.6),
)
_SURROUND_RADARS = (
    ("RADAR_FRONT", 3.41, 0.00, 0.50, 0.0),
    ("RADAR_FRONT_LEFT", 2.42, 0.80, 0.78, 90.0),
    ("RADAR_FRONT_RIGHT", 2.42, -0.80, 0.77, -90.0),
    ("RADAR_BACK_LEFT", -0.56, 0.62, 0.53, 175.0),
    ("RADAR_BACK_RIGHT", -0.56, -0.62, 0.53, -175.0),
)


def surround_rig(width: int = 1600, height: int = 900, crop_top: int = 0) -> Rig:
    """Return a nuScenes-like vehicle: six cameras (12 Hz), a 32-beam LiDAR (20 Hz) and five radars (13 Hz).

    `width`, `height` are of the delivered picture; the field of view belongs to the width, and `crop_top` rows are cut off above it
    (256x704 from a 396x704 picture: ``surround_rig(704, 256, crop_top=140)``). Cameras fire as the LiDAR sweeps past them.
    """
    cameras = []
    for name, x, y, z, yaw, fov in _SURROUND_CAMERAS:
        centred = Pinhole.from_fov(width=width, height=height + crop_top, horizontal_degrees=fov)
        model = replace(centred, cy=centred.cy - crop_top, height=height)
        phase = ((yaw - 90.0) % 360.0) / 360.0 * 0.05
        cameras.append(Camera(name, camera_pose(x, y, z, np.deg2rad(yaw)), 12.0, phase - 0.025, model=model))
    lidar = Lidar("LIDAR_TOP", pose(0.94, 0.0, 1.84) @ invert(LIDAR_FROM_BODY), 20.0, pattern="spinning32")
    radars = [
        Radar(name, pose(x, y, z, np.deg2rad(yaw)), 13.0, 0.011 * index)
        for index, (name, x, y, z, yaw) in enumerate(_SURROUND_RADARS)
    ]
    return Rig("surround", tuple(cameras), (lidar,), tuple(radars))


RIGS = {
    "pinhole": pinhole_rig,
    "panorama": panorama_rig,
    "stereo": stereo_rig,
    "kitti": kitti_rig,
    "surround": surround_rig,
}


def build_rig(rig: str | Rig | dict, **options: float) -> Rig:
    """Return a rig from its name, ``{"type": name, **options}`` or a ready `Rig`. Raises `InputError` with the nearest known name."""
    if isinstance(rig, Rig):
        return rig
    if isinstance(rig, dict):
        options = {**rig, **options}
        rig = options.pop("type", None)
    if rig not in RIGS:
        raise InputError(f"rig {rig!r} is not known, only {sorted(RIGS)}.{nearest(str(rig), RIGS)}")
    try:
        return RIGS[rig](**options)
    except TypeError as error:
        raise InputError(f"rig {rig!r} cannot be built from {sorted(options)}: {error}") from error
