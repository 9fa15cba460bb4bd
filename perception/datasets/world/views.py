"""Where a camera stands: believable and useful viewpoints of a scene, checked by a few probe rays before a picture is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.datasets.world import classes, rigs
from perception.datasets.world.scene import Scene
from perception.geometry.cameras import Equirectangular, Pinhole

_PROBE = (18, 24)
_UP = np.float32([0, 0, 1])
_ANGLES = np.arange(0, 2 * np.pi, np.pi / 10)
# 60 directions: level, and 25 degrees up and down.
_AROUND = np.concatenate(
    [
        np.stack([np.cos(_ANGLES) * c, np.sin(_ANGLES) * c, _ANGLES * 0 + n], 1)
        for c, n in ((1, 0), (0.906, 0.423), (0.906, -0.423))
    ]
).astype(np.float32)


@dataclass(frozen=True, eq=False)
class View:
    """A camera, where it stands (4x4 ``world_from_camera``) and what kind of viewpoint it is ("driver", "free", "room")."""

    camera: Pinhole | Equirectangular
    world_from_camera: np.ndarray
    kind: str


def random_pinhole(
    rng: np.random.Generator, height: int, width: int, degrees: tuple[float, float] = (42.0, 92.0)
) -> Pinhole:
    """Draw a centred camera. The field of view is drawn for a 4:3 picture of the same area, so that wide pictures stay wide."""
    focal_of_43 = 0.5 / np.tan(np.deg2rad(rng.uniform(*degrees)) / 2) * np.sqrt(width * height * 4 / 3)
    # A picture as wide as KITTI's spans 65-100 degrees at the focal lengths that a 4:3 picture of its area would have.
    focal = max(focal_of_43, 0.5 * width / np.tan(np.deg2rad(104.0) / 2))
    return Pinhole(float(focal), float(focal), width / 2, height / 2, width, height)


def sample_views(
    scene: Scene,
    rng: np.random.Generator,
    count: int,
    size: tuple[int, int],
    time: float = 0.0,
    camera: Pinhole | Equirectangular | None = None,
    degrees: tuple[float, float] = (42.0, 92.0),
    viewpoint: str | None = None,
) -> list[View]:
    """Draw `count` viewpoints. size: (H, W) of random pinhole cameras; `camera`: this one instead of random ones.
    viewpoint: "driver" or "free" in streets, None = 70 % driver's.

    Viewpoints inside a solid, within 1 m of anything but the ground, behind a crown or with little but sky are drawn again (16 tries in
    rooms, 32 in streets, then the best one is kept).
    """
    views = []
    for _ in range(count):
        best, best_score = None, -np.inf
        for _ in range(16 if scene.kind == "room" else 32):
            model = camera or random_pinhole(rng, *size, degrees)
            if scene.kind == "room":
                pose, kind = _room_pose(scene, rng)
            else:
                pose, kind = _street_pose(scene, rng, viewpoint)
            if isinstance(model, Equirectangular):
                pose = _upright(pose, rng)
            score = _score(scene, time, model, pose)
            if score > best_score:
                best, best_score = View(model, pose, kind), score
            if score >= 0:
                break
        views.append(best)
    return views


def _upright(pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same place and heading, level to about a degree: how panoramas are taken, and what their latitude means."""
    ahead = pose[:3, 2]
    yaw = float(np.arctan2(ahead[1], ahead[0]))
    return rigs.camera_pose(*pose[:3, 3], yaw, rng.normal() * 0.015, rng.normal() * 0.015)


def _street_pose(scene: Scene, rng: np.random.Generator, viewpoint: str | None = None) -> tuple[np.ndarray, str]:
    driver = rng.random() < 0.7
    driver = driver if viewpoint is None else viewpoint == "driver"
    if scene.route is None:
        station = scene.stations[rng.integers(len(scene.stations))].astype(np.float64)
        eye = rigs.pose(station[0], station[1], station[2] - 1.5, station[3])
    else:
        length = scene.route.path.length
        position, yaw, pitch = scene.route.path.at(float(rng.uniform(0.05, 0.8) * length))
        eye = rigs.pose(*position, yaw, pitch)
    if driver:
        turn = 0.0 if rng.random() < 0.6 else rng.choice([-2.2, -1.0, 1.0, 2.2, np.pi]) + rng.normal() * 0.1
        local = rigs.camera_pose(
            0.0,
            rng.normal() * 0.4,
            rng.uniform(1.2, 2.0),
            turn + rng.normal() * 0.06,
            rng.normal() * 0.025,
            rng.normal() * 0.015,
        )
        return eye @ local, "driver"
    side = rng.uniform(2.0, 9.0) * rng.choice([-1.0, 1.0])
    high = rng.random() < 0.25
    local = rigs.camera_pose(
        rng.uniform(-3, 3),
        side,
        rng.uniform(2.5, 7.0) if high else rng.uniform(0.7, 1.9),
        rng.uniform(-np.pi, np.pi) if rng.random() < 0.4 else -np.sign(side) * rng.uniform(0.0, 1.6),
        rng.uniform(0.1, 0.5) if high else rng.normal() * 0.1,
        rng.normal() * 0.03,
    )
    return eye @ local, "free"


def _room_pose(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    station = scene.stations[rng.integers(len(scene.stations))].astype(np.float64)
    pose = rigs.camera_pose(
        station[0],
        station[1],
        np.clip(station[2] + rng.normal() * 0.25, 0.6, 2.1),
        station[3] + rng.normal() * 0.4,
        0.12 + rng.normal() * 0.15,
        rng.normal() * 0.04,
    )
    return pose, "room"


def _score(scene: Scene, time: float, camera: Pinhole | Equirectangular, pose: np.ndarray) -> float:
    """Return 0 for a usable view, else a negative badness."""
    rows = (np.arange(_PROBE[0]) * camera.height) // _PROBE[0] + camera.height // (2 * _PROBE[0])
    columns = (np.arange(_PROBE[1]) * camera.width) // _PROBE[1] + camera.width // (2 * _PROBE[1])
    rays = camera.rays(unit=True) if isinstance(camera, Pinhole) else camera.rays()
    rays = rays[rows[:, None], columns[None, :]].reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    eye = pose[:3, 3].astype(np.float32)
    posed = scene.at(time)
    hits = posed.cast(eye, rays)
    distance = np.where(hits.valid, hits.t, np.inf)
    sky = float(np.mean(~hits.valid))
    blocked = float(np.mean(distance < (0.45 if scene.kind == "room" else 1.2)))
    close = float(np.mean(distance < (0.9 if scene.kind == "room" else 2.2)))
    kinds = len(np.unique(hits.semantic))
    badness = max(0.0, sky - 0.6) + max(0.0, blocked - 0.06) + max(0.0, close - 0.4) + 0.2 * max(0, 3 - kinds)
    if scene.kind == "room":  # mostly bare walls, floor and ceiling teach little
        badness += max(0.0, float(np.mean(np.isin(hits.semantic, _SHELL))) - 0.8)
    else:
        above = posed.cast(eye, _UP[None])
        # Under a roof or within a tree's crown is no place to stand outdoors.
        badness += 1.0 * (bool(above.valid[0]) and float(above.t[0]) < 30.0 and above.semantic[0] in _SOLID)
        around = posed.cast(eye, _AROUND)
        badness += 0.5 * bool(((around.t < 1.0) & ~np.isin(around.semantic, _GROUND)).any())
        screen = np.isin(hits.semantic, _SCREENS) & (distance < 7.0)  # nothing to be seen past
        badness += max(0.0, float(np.mean(screen)) - 0.22)
    return -badness


_SHELL = (classes.ID["floor"], classes.ID["wall"], classes.ID["ceiling"])
_GROUND = tuple(classes.ID[name] for name in ("road", "pavement", "terrain"))
_SCREENS = tuple(classes.ID[name] for name in ("vegetation", "fence", "traffic_sign"))
_SOLID = (classes.ID["building"], classes.ID["vegetation"], classes.ID["truck"], classes.ID["bus"], classes.ID["car"])
