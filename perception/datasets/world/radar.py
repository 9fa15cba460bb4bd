"""Automotive radar on the procedural world: what a 77 GHz sensor of the nuScenes kind reports, with its weaknesses.

A fan of rays finds the reflecting surface; the echoes fall into resolution cells of range, azimuth and radial velocity; strong cells
become detections with measurement noise. There is no height. Weak or far targets drop out, multipath adds ghosts behind strong targets
and clutter appears anywhere.

Frame: x forward, y left, z up in the sensor (z is always 0). Azimuth grows to the left. Radial velocity is positive when the target recedes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from perception.datasets.world import classes

# Typical radar cross-section (dBsm): seen from the front or rear, seen from the side.
RCS = {
    "car": (7.0, 13.0),
    "truck": (14.0, 21.0),
    "bus": (15.0, 22.0),
    "trailer": (13.0, 21.0),
    "construction_vehicle": (13.0, 17.0),
    "motorcycle": (1.0, 4.0),
    "bicycle": (-3.0, 1.0),
    "person": (-5.0, -5.0),
    "barrier": (-1.0, 3.0),
    "traffic_cone": (-12.0, -12.0),
}
MOVING, STATIONARY, ONCOMING, CROSSING_MOVING, STOPPED = 0, 1, 2, 6, 7


@dataclass(frozen=True)
class RadarModel:
    """Field of view and cells. Angles in radians, lengths in metres, velocities in m/s."""

    field_of_view: float = np.deg2rad(120.0)
    far_field_of_view: float = np.deg2rad(18.0)
    near_range: float = 70.0
    max_range: float = 250.0
    min_range: float = 0.4
    azimuth_step: float = np.deg2rad(0.5)
    elevations: tuple[float, ...] = tuple(np.deg2rad([-5.0, -3.0, -1.5, -0.5, 0.5, 1.5, 3.0, 5.0, 8.0]).tolist())
    range_cell: float = 0.8
    azimuth_cell: float = np.deg2rad(2.5)
    velocity_cell: float = 0.4
    range_sigma: float = 0.1
    azimuth_sigma: float = np.deg2rad(0.5)
    velocity_sigma: float = 0.06
    sensitivity_db: float = -52.0
    clutter_rate: float = 3.0
    ghost_probability: float = 0.05
    max_detections: int = 125


@dataclass
class RadarScan:
    """Detections, N rows each, sensor frame.

    range, azimuth: metres, radians. radial_velocity: raw, relative to the moving sensor; radial_velocity_compensated: with the sensor's own
    motion removed (m/s, positive = receding). rcs: dBsm. dyn_prop: nuScenes code. instance: truth, 0 = static world, -1 = clutter or ghost.
    """

    range: np.ndarray
    azimuth: np.ndarray
    radial_velocity: np.ndarray
    radial_velocity_compensated: np.ndarray
    rcs: np.ndarray
    dyn_prop: np.ndarray
    instance: np.ndarray
    semantic: np.ndarray
    false_alarm_index: np.ndarray
    name: str = "radar"
    time: float = 0.0
    world_from_sensor: np.ndarray | None = None
    sensor_velocity: np.ndarray | None = None

    @property
    def points(self) -> np.ndarray:
        """(N, 3) float32 positions in the sensor frame, z = 0."""
        x, y = self.range * np.cos(self.azimuth), self.range * np.sin(self.azimuth)
        return np.stack([x, y, np.zeros_like(x)], 1).astype(np.float32)

    @property
    def velocity(self) -> np.ndarray:
        """(N, 2) float32 raw velocity along the line of sight, sensor frame (what nuScenes calls vx, vy)."""
        return (self.radial_velocity[:, None] * _line_of_sight(self.azimuth)).astype(np.float32)

    @property
    def velocity_compensated(self) -> np.ndarray:
        """(N, 2) float32 ego-compensated velocity along the line of sight, sensor frame (vx_comp, vy_comp)."""
        return (self.radial_velocity_compensated[:, None] * _line_of_sight(self.azimuth)).astype(np.float32)


def _line_of_sight(azimuth: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(azimuth), np.sin(azimuth)], -1)


@lru_cache(maxsize=4)
def _fan(model: RadarModel) -> tuple[np.ndarray, np.ndarray]:
    """Return ray azimuths (R,) and unit rays (R, 3) float32, sensor frame."""
    count = int(round(model.field_of_view / model.azimuth_step)) + 1
    azimuth = np.linspace(-model.field_of_view / 2, model.field_of_view / 2, count)
    up = np.asarray(model.elevations)
    azimuth, up = (grid.ravel() for grid in np.meshgrid(azimuth, up, indexing="ij"))
    rays = np.stack([np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)], 1)
    return azimuth, rays.astype(np.float32)


def _class_rcs() -> np.ndarray:
    """(256, 2) dBsm for front/rear and side view; NaN where a class has no typical value of its own."""
    table = np.full((256, 2), np.nan)
    for name, values in RCS.items():
        table[classes.ID[name]] = values
    return table


_RCS_TABLE = _class_rcs()
# Reflection strength (dB re 1 m² per m² of surface) of the materials' radar classes: none, weak, medium, metal.
_SURFACE_DB = np.array([-60.0, -22.0, -13.0, -3.0])


def scan(
    posed,
    radar_class: np.ndarray,
    world_from_sensor: np.ndarray,
    sensor_velocity: np.ndarray,
    object_motion: dict[int, tuple[np.ndarray, float]],
    rng: np.random.Generator,
    model: RadarModel | None = None,
    noise: bool = True,
) -> RadarScan:
    """Return one measurement.

    posed: a `PosedScene`. radar_class: (M,) class of each material. world_from_sensor: 4x4. sensor_velocity: (3,) world velocity of the sensor.
    object_motion: instance id -> (world velocity (3,), world heading in radians). noise=False leaves out measurement noise, clutter, ghosts
    and drop-out; the surviving detections are then exact.
    """
    model = model or RadarModel()
    _, rays = _fan(model)
    world_rays = rays @ world_from_sensor[:3, :3].T.astype(np.float32)
    hits = posed.cast(np.broadcast_to(world_from_sensor[:3, 3].astype(np.float32), world_rays.shape), world_rays)
    ray_azimuth = np.arctan2(rays[:, 1], rays[:, 0])
    distance = np.where(np.isfinite(hits.t), hits.t, np.inf)
    allowed = np.where(np.abs(ray_azimuth) < model.far_field_of_view / 2, model.max_range, model.near_range)
    index = np.flatnonzero((distance > model.min_range) & (distance < allowed))
    distance, azimuth, instance = distance[index].astype(np.float64), ray_azimuth[index], hits.instance[index]
    semantic, towards = hits.semantic[index], world_rays[index].astype(np.float64)
    known = np.array(sorted(object_motion), np.int64)
    velocities = np.array([object_motion[int(k)][0] for k in known], np.float64).reshape(-1, 3)
    headings = np.array([object_motion[int(k)][1] for k in known], np.float64)
    slot = np.searchsorted(known, instance) if len(known) else np.zeros(len(instance), np.int64)
    slot = np.minimum(slot, max(len(known) - 1, 0))
    moving = (known[slot] == instance) if len(known) else np.zeros(len(instance), bool)
    own = np.zeros((len(index), 3))
    own[moving] = velocities[slot[moving]]
    compensated = np.einsum("ij,ij->i", own, towards)
    radial = compensated - towards @ np.asarray(sensor_velocity, np.float64)

    # Strength of each ray's patch: its surface (range² times solid angle) times the material's reflectivity and a lobe around the mirror direction.
    solid = model.azimuth_step * (model.elevations[-1] - model.elevations[0]) / max(len(model.elevations) - 1, 1)
    facing = np.abs(np.einsum("ij,ij->i", hits.normal[index].astype(np.float64), towards))
    strength = (
        distance**2 * solid * 10 ** (_SURFACE_DB[radar_class[hits.material[index]]] / 10) * (0.1 + 2.0 * facing**6)
    )
    typical = _RCS_TABLE[semantic]
    has_class = moving & np.isfinite(typical[:, 0])
    if has_class.any():
        aspect = np.abs(np.sin(np.arctan2(towards[:, 1], towards[:, 0])[has_class] - headings[slot[has_class]]))
        total = typical[has_class, 0] * (1 - aspect) + typical[has_class, 1] * aspect
        # The class's cross-section is shared by the object's visible rays in proportion to their patches.
        ids, inverse = np.unique(instance[has_class], return_inverse=True)
        patch = strength[has_class]
        share = patch / np.maximum(np.bincount(inverse, patch, len(ids))[inverse], 1e-12)
        strength[has_class] = 10 ** (total / 10) * share

    bins = (
        np.floor(distance / model.range_cell).astype(np.int64),
        np.floor((azimuth + np.pi) / model.azimuth_cell).astype(np.int64),
        np.floor((radial + 200.0) / model.velocity_cell).astype(np.int64),
    )
    key = (bins[0] * 4096 + bins[1]) * 4096 + bins[2]
    cells, inverse = np.unique(key, return_inverse=True)
    count = len(cells)
    power = np.bincount(inverse, strength, count)
    # The strongest ray of a cell stands for it: its instance, class and velocity; range and azimuth are power-weighted means over its rays.
    order = np.lexsort((-strength, inverse))
    first = order[np.searchsorted(inverse[order], np.arange(count))] if count else order
    same = instance[first][inverse] == instance
    weight = np.where(same, strength, 0.0)
    norm = np.maximum(np.bincount(inverse, weight, count), 1e-30)
    cell_range = np.bincount(inverse, weight * distance, count) / norm
    cell_azimuth = np.bincount(inverse, weight * azimuth, count) / norm
    cell_radial = np.bincount(inverse, weight * radial, count) / norm
    cell_compensated = np.bincount(inverse, weight * compensated, count) / norm
    rcs = 10 * np.log10(np.maximum(power, 1e-12))
    cell_instance, cell_semantic = instance[first].astype(np.int32), semantic[first].astype(np.uint8)
    speed = np.hypot(*own[first, :2].T) if count else np.zeros(0)

    fluctuation = rng.standard_normal(count) * 3.0 if noise else np.zeros(count)
    rcs = rcs + fluctuation
    margin = rcs - 40 * np.log10(np.maximum(cell_range, 1.0)) - (model.sensitivity_db - 20.0)
    if noise:
        keep = rng.random(count) < 0.97 / (1 + np.exp(-np.clip(margin / 2.0, -50, 50)))
    else:
        keep = margin > 0
    keep &= margin > -8.0
    chosen = np.flatnonzero(keep)
    # Real sensors deliver a bounded list: one that forgets the weakest.
    chosen = chosen[np.argsort(-(rcs - 20 * np.log10(np.maximum(cell_range, 1.0)))[chosen], kind="stable")][
        : model.max_detections
    ]
    chosen = np.sort(chosen)
    columns = [cell_range, cell_azimuth, cell_radial, cell_compensated, rcs, cell_instance, cell_semantic, speed]
    columns = [column[chosen] for column in columns]
    false_alarm = np.zeros(len(chosen), np.int8)
    if noise:
        n = len(chosen)
        columns[0] = columns[0] + rng.standard_normal(n) * model.range_sigma
        columns[1] = columns[1] + rng.standard_normal(n) * model.azimuth_sigma
        error = rng.standard_normal(n) * model.velocity_sigma
        columns[2], columns[3] = columns[2] + error, columns[3] + error
        columns, false_alarm = _add_false_alarms(columns, np.asarray(sensor_velocity), world_from_sensor, rng, model)
    distance, azimuth, radial, compensated, rcs, instance, semantic, speed = columns
    dyn_prop = np.where(instance > 0, np.where(speed > 0.3, MOVING, STOPPED), STATIONARY)
    dyn_prop = np.where((dyn_prop == MOVING) & (compensated < -0.5 * np.maximum(speed, 0.1)), ONCOMING, dyn_prop)
    dyn_prop = np.where((dyn_prop == MOVING) & (np.abs(compensated) < 0.3 * speed), CROSSING_MOVING, dyn_prop)
    dyn_prop = np.where((instance < 0) & (np.abs(compensated) > 0.5), MOVING, dyn_prop)
    return RadarScan(
        range=distance.astype(np.float32),
        azimuth=azimuth.astype(np.float32),
        radial_velocity=radial.astype(np.float32),
        radial_velocity_compensated=compensated.astype(np.float32),
        rcs=rcs.astype(np.float32),
        dyn_prop=dyn_prop.astype(np.int8),
        instance=instance.astype(np.int32),
        semantic=semantic.astype(np.uint8),
        false_alarm_index=false_alarm,
        world_from_sensor=world_from_sensor,
        sensor_velocity=np.asarray(sensor_velocity, np.float64),
    )


def _add_false_alarms(columns, sensor_velocity, world_from_sensor, rng, model):
    """Append ghosts (a second bounce: farther, same direction, doubled closing speed, weaker) and clutter (anywhere, weak)."""
    n = len(columns[0])
    strong = (
        np.flatnonzero((rng.random(n) < model.ghost_probability) & (columns[4] > 5.0)) if n else np.zeros(0, np.int64)
    )
    ghost = [column[strong].copy() for column in columns]
    extra = rng.uniform(3.0, 20.0, len(strong))
    ghost[0] = ghost[0] + extra
    ghost[1] = ghost[1] + rng.standard_normal(len(strong)) * np.deg2rad(2.0)
    ghost[2], ghost[3] = ghost[2] * 2.0, ghost[3] * 2.0 + (ghost[2] - ghost[3])
    ghost[4] = ghost[4] - rng.uniform(6.0, 12.0, len(strong))
    ghost[5] = np.full(len(strong), -1, np.int32)
    count = int(rng.poisson(model.clutter_rate))
    azimuth = rng.uniform(-0.5, 0.5, count) * model.field_of_view
    distance = rng.uniform(2.0, model.near_range, count)
    local = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(count)], 1) @ world_from_sensor[:3, :3].T
    own = np.where(rng.random(count) < 0.7, 0.0, rng.normal(0.0, 4.0, count))
    clutter = [
        distance,
        azimuth,
        own - local @ sensor_velocity,
        own,
        rng.uniform(-12.0, 2.0, count),
        np.full(count, -1, np.int32),
        np.full(count, classes.IGNORE, np.uint8),
        np.abs(own),
    ]
    merged = [np.concatenate([a, b, c]) for a, b, c in zip(columns, ghost, clutter, strict=True)]
    kind = np.concatenate([np.zeros(n), np.ones(len(strong)), np.full(count, 2)]).astype(np.int8)
    inside = merged[0] < model.max_range
    return [column[inside] for column in merged], kind[inside]
