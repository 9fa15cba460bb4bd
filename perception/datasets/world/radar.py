"""Automotive radar on the procedural world: what a 77 GHz sensor of the nuScenes kind reports, with its weaknesses.

A fan of rays finds the reflecting surface; the echoes fall into resolution cells of range, azimuth and radial velocity; strong cells
become detections with measurement noise. There is no height. Weak or far targets drop out, multipath adds ghosts behind strong targets
and clutter appears anywhere.

Frame: x forward, y left, z up in the sensor (z is always 0). Azimuth grows to the left. Radial velocity is positive when the target recedes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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


class Echoes(NamedTuple):
    """What the sensor receives, N rows each: of rays, then of resolution cells, then detections.

    range, azimuth: metres, radians. radial, compensated: m/s, raw and without the sensor's own motion. strength: square metres of rays, dBsm of cells.
    instance, semantic: what reflects. speed: of that over ground, m/s.
    """

    range: np.ndarray
    azimuth: np.ndarray
    radial: np.ndarray
    compensated: np.ndarray
    strength: np.ndarray
    instance: np.ndarray
    semantic: np.ndarray
    speed: np.ndarray

    def take(self, rows: np.ndarray) -> Echoes:
        """Some of the rows."""
        return Echoes(*(column[rows] for column in self))


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
    sensor_velocity = np.asarray(sensor_velocity, np.float64)
    rays = _reflections(posed, radar_class, world_from_sensor, sensor_velocity, object_motion, model)
    found = _detections(_cells(rays, model), rng, model, noise)
    false_alarm = np.zeros(len(found.range), np.int8)
    if noise:
        found, false_alarm = _measured(found, sensor_velocity, world_from_sensor, rng, model)
    return RadarScan(
        range=found.range.astype(np.float32),
        azimuth=found.azimuth.astype(np.float32),
        radial_velocity=found.radial.astype(np.float32),
        radial_velocity_compensated=found.compensated.astype(np.float32),
        rcs=found.strength.astype(np.float32),
        dyn_prop=_dynamic_property(found),
        instance=found.instance.astype(np.int32),
        semantic=found.semantic.astype(np.uint8),
        false_alarm_index=false_alarm,
        world_from_sensor=world_from_sensor,
        sensor_velocity=sensor_velocity,
    )


def _reflections(
    posed,
    radar_class: np.ndarray,
    world_from_sensor: np.ndarray,
    sensor_velocity: np.ndarray,
    object_motion: dict[int, tuple[np.ndarray, float]],
    model: RadarModel,
) -> Echoes:
    """The rays that meet something within reach."""
    _, rays = _fan(model)
    world_rays = rays @ world_from_sensor[:3, :3].T.astype(np.float32)
    hits = posed.cast(np.broadcast_to(world_from_sensor[:3, 3].astype(np.float32), world_rays.shape), world_rays)
    azimuth = np.arctan2(rays[:, 1], rays[:, 0])
    distance = np.where(np.isfinite(hits.t), hits.t, np.inf)
    allowed = np.where(np.abs(azimuth) < model.far_field_of_view / 2, model.max_range, model.near_range)
    index = np.flatnonzero((distance > model.min_range) & (distance < allowed))
    distance, instance, towards = distance[index].astype(np.float64), hits.instance[index], world_rays[index]
    towards, semantic = towards.astype(np.float64), hits.semantic[index]
    moving, velocity, heading = _motion_of(instance, object_motion)
    compensated = np.einsum("ij,ij->i", velocity, towards)

    # Strength of each ray's patch: its surface (range² times solid angle) times the material's reflectivity and a lobe around the mirror direction.
    solid = model.azimuth_step * (model.elevations[-1] - model.elevations[0]) / max(len(model.elevations) - 1, 1)
    facing = np.abs(np.einsum("ij,ij->i", hits.normal[index].astype(np.float64), towards))
    strength = (
        distance**2 * solid * 10 ** (_SURFACE_DB[radar_class[hits.material[index]]] / 10) * (0.1 + 2.0 * facing**6)
    )
    typical = _RCS_TABLE[semantic]
    has_class = moving & np.isfinite(typical[:, 0])
    if has_class.any():
        aspect = np.abs(np.sin(np.arctan2(towards[:, 1], towards[:, 0])[has_class] - heading[has_class]))
        total = typical[has_class, 0] * (1 - aspect) + typical[has_class, 1] * aspect
        # The class's cross-section is shared by the object's visible rays in proportion to their patches.
        ids, inverse = np.unique(instance[has_class], return_inverse=True)
        patch = strength[has_class]
        share = patch / np.maximum(np.bincount(inverse, patch, len(ids))[inverse], 1e-12)
        strength[has_class] = 10 ** (total / 10) * share
    radial = compensated - towards @ sensor_velocity
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    return Echoes(distance, azimuth[index], radial, compensated, strength, instance, semantic, speed)


def _motion_of(
    instance: np.ndarray, object_motion: dict[int, tuple[np.ndarray, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R,) whether an instance is an object, (R, 3) its world velocity and (R,) world heading; 0 for the rest."""
    velocity, heading = np.zeros((len(instance), 3)), np.zeros(len(instance))
    if not object_motion:
        return np.zeros(len(instance), bool), velocity, heading
    known = np.array(sorted(object_motion), np.int64)
    slot = np.minimum(np.searchsorted(known, instance), len(known) - 1)
    moving = known[slot] == instance
    velocity[moving] = np.array([object_motion[int(k)][0] for k in known], np.float64)[slot[moving]]
    heading[moving] = np.array([object_motion[int(k)][1] for k in known], np.float64)[slot[moving]]
    return moving, velocity, heading


def _cells(rays: Echoes, model: RadarModel) -> Echoes:
    """The resolution cells that rays fall into.

    The strongest ray of a cell stands for it: its instance, class and speed; range, azimuth and velocity are power-weighted means over its rays.
    """
    bins = (
        np.floor(rays.range / model.range_cell).astype(np.int64),
        np.floor((rays.azimuth + np.pi) / model.azimuth_cell).astype(np.int64),
        np.floor((rays.radial + 200.0) / model.velocity_cell).astype(np.int64),
    )
    cells, inverse = np.unique((bins[0] * 4096 + bins[1]) * 4096 + bins[2], return_inverse=True)
    count = len(cells)
    power = np.bincount(inverse, rays.strength, count)
    order = np.lexsort((-rays.strength, inverse))
    first = order[np.searchsorted(inverse[order], np.arange(count))] if count else order
    weight = np.where(rays.instance[first][inverse] == rays.instance, rays.strength, 0.0)
    norm = np.maximum(np.bincount(inverse, weight, count), 1e-30)
    means = (rays.range, rays.azimuth, rays.radial, rays.compensated)
    return Echoes(
        *(np.bincount(inverse, weight * column, count) / norm for column in means),
        strength=10 * np.log10(np.maximum(power, 1e-12)),
        instance=rays.instance[first].astype(np.int32),
        semantic=rays.semantic[first].astype(np.uint8),
        speed=rays.speed[first],
    )


def _detections(cells: Echoes, rng: np.random.Generator, model: RadarModel, noise: bool) -> Echoes:
    """The cells strong enough to be seen; with noise their strength fluctuates and they drop out by chance."""
    count = len(cells.range)
    cells = cells._replace(strength=cells.strength + (rng.standard_normal(count) * 3.0 if noise else np.zeros(count)))
    margin = cells.strength - 40 * np.log10(np.maximum(cells.range, 1.0)) - (model.sensitivity_db - 20.0)
    if noise:
        keep = rng.random(count) < 0.97 / (1 + np.exp(-np.clip(margin / 2.0, -50, 50)))
    else:
        keep = margin > 0
    chosen = np.flatnonzero(keep & (margin > -8.0))
    # Real sensors deliver a bounded list: one that forgets the weakest.
    received = (cells.strength - 20 * np.log10(np.maximum(cells.range, 1.0)))[chosen]
    return cells.take(np.sort(chosen[np.argsort(-received, kind="stable")][: model.max_detections]))


def _measured(
    found: Echoes,
    sensor_velocity: np.ndarray,
    world_from_sensor: np.ndarray,
    rng: np.random.Generator,
    model: RadarModel,
) -> tuple[Echoes, np.ndarray]:
    """Add measurement noise, then false alarms. Returns also (N,) int8 0 = true, 1 = ghost, 2 = clutter."""
    n = len(found.range)
    distance = found.range + rng.standard_normal(n) * model.range_sigma
    azimuth = found.azimuth + rng.standard_normal(n) * model.azimuth_sigma
    error = rng.standard_normal(n) * model.velocity_sigma
    found = found._replace(
        range=distance, azimuth=azimuth, radial=found.radial + error, compensated=found.compensated + error
    )
    ghosts = _ghosts(found, rng, model)
    clutter = _clutter(sensor_velocity, world_from_sensor, rng, model)
    merged = Echoes(*(np.concatenate(columns) for columns in zip(found, ghosts, clutter, strict=True)))
    kind = np.repeat(np.array([0, 1, 2], np.int8), [n, len(ghosts.range), len(clutter.range)])
    inside = merged.range < model.max_range
    return merged.take(inside), kind[inside]


def _ghosts(found: Echoes, rng: np.random.Generator, model: RadarModel) -> Echoes:
    """Second bounces of strong detections: farther, same direction, doubled closing speed, weaker."""
    n = len(found.range)
    strong = np.zeros(0, np.int64)
    if n:
        strong = np.flatnonzero((rng.random(n) < model.ghost_probability) & (found.strength > 5.0))
    seen, count = found.take(strong), len(strong)
    return Echoes(
        range=seen.range + rng.uniform(3.0, 20.0, count),
        azimuth=seen.azimuth + rng.standard_normal(count) * np.deg2rad(2.0),
        radial=seen.radial * 2.0,
        compensated=seen.compensated * 2.0 + (seen.radial - seen.compensated),
        strength=seen.strength - rng.uniform(6.0, 12.0, count),
        instance=np.full(count, -1, np.int32),
        semantic=seen.semantic,
        speed=seen.speed,
    )


def _clutter(
    sensor_velocity: np.ndarray, world_from_sensor: np.ndarray, rng: np.random.Generator, model: RadarModel
) -> Echoes:
    """Weak detections anywhere, most of them still."""
    count = int(rng.poisson(model.clutter_rate))
    azimuth = rng.uniform(-0.5, 0.5, count) * model.field_of_view
    distance = rng.uniform(2.0, model.near_range, count)
    local = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(count)], 1) @ world_from_sensor[:3, :3].T
    own = np.where(rng.random(count) < 0.7, 0.0, rng.normal(0.0, 4.0, count))
    return Echoes(
        distance,
        azimuth,
        own - local @ sensor_velocity,
        own,
        strength=rng.uniform(-12.0, 2.0, count),
        instance=np.full(count, -1, np.int32),
        semantic=np.full(count, classes.IGNORE, np.uint8),
        speed=np.abs(own),
    )


def _dynamic_property(found: Echoes) -> np.ndarray:
    """(N,) int8 nuScenes codes."""
    code = np.where(found.instance > 0, np.where(found.speed > 0.3, MOVING, STOPPED), STATIONARY)
    code = np.where((code == MOVING) & (found.compensated < -0.5 * np.maximum(found.speed, 0.1)), ONCOMING, code)
    code = np.where((code == MOVING) & (np.abs(found.compensated) < 0.3 * found.speed), CROSSING_MOVING, code)
    return np.where((found.instance < 0) & (np.abs(found.compensated) > 0.5), MOVING, code).astype(np.int8)
