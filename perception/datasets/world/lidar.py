"""Spinning LiDAR on the procedural world: beam patterns, returns with intensity by material, and drop-out.

A scan is taken at one instant (what a motion-compensated point cloud shows). Points are in the sensor's frame
(x right, y forward, z up for the nuScenes-like mount, x forward, y left, z up for the KITTI-like one: the mount decides, the model
sweeps anticlockwise in the sensor's own x-y plane).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from perception.errors import InputError, nearest


@dataclass(frozen=True)
class Pattern:
    """Beam elevations (radians, lowest first), columns a turn, range limits and noise (metres)."""

    elevations: tuple[float, ...]
    columns: int
    min_range: float = 1.0
    max_range: float = 100.0
    range_noise: float = 0.02
    drop_out: float = 0.03


def _degrees(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.deg2rad(np.sort(values)).tolist())


PATTERNS: dict[str, Pattern] = {
    # 32 beams, -30.67 .. 10.67 degrees in equal steps (as on the nuScenes cars)
    "spinning32": Pattern(_degrees(np.linspace(-30.67, 10.67, 32)), 1084, 1.0, 100.0),
    # 64 beams: 32 upper ones 1/3 degree apart, 32 lower ones 1/2 degree apart (as on the KITTI car)
    "spinning64": Pattern(
        _degrees(np.concatenate([2.0 - np.arange(32) / 3.0, -8.83 - np.arange(32) * 0.5])), 2083, 1.5, 120.0
    ),
}


@dataclass
class LidarScan:
    """One turn. All arrays have N rows, ordered by column, then ring.

    points (N, 3) float32, metres, sensor frame; intensity (N,) float32 in [0, 1]; ring (N,) uint8, 0 = lowest beam;
    semantic (N,) uint8; instance (N,) int32, 0 = none; time_offset (N,) float32, seconds before the end of the turn (0 for a frozen scan);
    velocity is not measured by a LiDAR and therefore absent.
    """

    points: np.ndarray
    intensity: np.ndarray
    ring: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    name: str = "lidar"
    time: float = 0.0
    world_from_sensor: np.ndarray | None = None


def pattern(name: str) -> Pattern:
    """Return a beam pattern by name. Raises `InputError` with the nearest known name."""
    if name not in PATTERNS:
        raise InputError(f"LiDAR pattern {name!r} is not known, only {sorted(PATTERNS)}.{nearest(name, PATTERNS)}")
    return PATTERNS[name]


@lru_cache(maxsize=8)
def directions(elevations: tuple[float, ...], columns: int) -> np.ndarray:
    """Return unit rays (columns * beams, 3) float32 in the sensor frame, column by column, lowest beam first."""
    azimuth = (np.arange(columns) + 0.5) / columns * 2 * np.pi - np.pi
    up = np.asarray(elevations)
    rays = np.empty((columns, len(up), 3))
    rays[..., 0] = np.cos(azimuth)[:, None] * np.cos(up)
    rays[..., 1] = np.sin(azimuth)[:, None] * np.cos(up)
    rays[..., 2] = np.sin(up)
    rays = rays.reshape(-1, 3).astype(np.float32)
    rays.setflags(write=False)
    return rays


def scan(
    posed,
    reflectance: np.ndarray,
    world_from_sensor: np.ndarray,
    beam_pattern: Pattern,
    rng: np.random.Generator,
    wetness: float = 0.0,
    skip_instances: tuple[int, ...] = (),
) -> LidarScan:
    """Return one turn of the LiDAR.

    posed: a `PosedScene`. reflectance: (M,) reflectance in [0, 1] of each material. world_from_sensor: 4x4. wetness in [0, 1] (rain) raises
    drop-out and weakens returns from the wet ground. skip_instances: ids that the beams pass (the carrier itself).
    """
    rays = directions(beam_pattern.elevations, beam_pattern.columns)
    beams = len(beam_pattern.elevations)
    # Each turn starts at another angle, as encoders and rotation are not locked to each other.
    turn = float(rng.uniform(0, 2 * np.pi / beam_pattern.columns))
    c, s = np.cos(turn), np.sin(turn)
    rays = rays @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    world_rays = rays @ world_from_sensor[:3, :3].T.astype(np.float32)
    origin = np.broadcast_to(world_from_sensor[:3, 3].astype(np.float32), world_rays.shape)
    hits = posed.cast(origin, world_rays)
    distance = np.where(np.isfinite(hits.t), hits.t, np.inf)
    uniform = rng.random(len(rays), dtype=np.float32)
    noise = rng.standard_normal(len(rays), dtype=np.float32)
    speckle = rng.standard_normal(len(rays), dtype=np.float32)

    reach = (distance > beam_pattern.min_range) & (distance < beam_pattern.max_range)
    index = np.flatnonzero(reach)
    if skip_instances:
        index = index[~np.isin(hits.instance[index], skip_instances)]
    t = distance[index]
    incidence = np.abs(np.einsum("ij,ij->i", hits.normal[index], world_rays[index]))
    # Lambert's law softened by roughness, and the falling energy of far returns: intensity is compensated for range by the sensor up to a floor.
    intensity = reflectance[hits.material[index]] * (0.35 + 0.65 * incidence)
    intensity = intensity * np.exp(speckle[index] * 0.12) * (1.0 - 0.35 * wetness)
    energy = intensity * np.minimum(1.0, (35.0 / np.maximum(t, 1.0)) ** 2) * np.exp(-0.01 * wetness * t)
    keep_probability = (1.0 - beam_pattern.drop_out - 0.1 * wetness) * (1.0 - np.exp(-energy / 0.004))
    keep = uniform[index] < keep_probability
    index, t, intensity = index[keep], t[keep], intensity[keep]
    measured = t + noise[index] * beam_pattern.range_noise
    return LidarScan(
        points=rays[index] * measured[:, None].astype(np.float32),
        intensity=np.clip(intensity, 0.0, 1.0).astype(np.float32),
        ring=(index % beams).astype(np.uint8),
        semantic=hits.semantic[index].astype(np.uint8),
        instance=hits.instance[index].astype(np.int32),
        world_from_sensor=world_from_sensor,
    )
