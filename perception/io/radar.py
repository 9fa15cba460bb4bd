"""nuScenes radar sweeps: 18 fields, 43 bytes a point, filters by the sensor's own quality codes.

Sensor frame: x forward, y left, z up (always 0). `rcs` is in dBsm; `vx, vy` is the measured velocity relative to the moving sensor, `vx_comp,
vy_comp` the same with the vehicle's own motion taken out, both in the sensor's axes and along the line of sight. An empty sweep
is stored as one point of NaN.

dyn_prop: 0 moving, 1 stationary, 2 oncoming, 3 stationary candidate, 4 unknown, 5 crossing stationary, 6 crossing moving, 7 stopped
ambig_state: 0 invalid, 1 ambiguous, 2 staggered ramp, 3 unambiguous, 4 stationary candidates
pdh0 (false alarm): 0 invalid, 1 < 25 %, 2 50 %, 3 75 %, 4 90 %, 5 99 %, 6 99.9 %, 7 <= 100 %
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from perception.errors import InputError, RecipeError, nearest
from perception.io.pcd import read_pcd, write_pcd

FIELDS: tuple[tuple[str, str], ...] = (
    ("x", "f4"),
    ("y", "f4"),
    ("z", "f4"),
    ("dyn_prop", "i1"),
    ("id", "i2"),
    ("rcs", "f4"),
    ("vx", "f4"),
    ("vy", "f4"),
    ("vx_comp", "f4"),
    ("vy_comp", "f4"),
    ("is_quality_valid", "i1"),
    ("ambig_state", "i1"),
    ("x_rms", "i1"),
    ("y_rms", "i1"),
    ("invalid_state", "i1"),
    ("pdh0", "i1"),
    ("vx_rms", "i1"),
    ("vy_rms", "i1"),
)
NAMES = tuple(name for name, _ in FIELDS)


@dataclasses.dataclass(frozen=True)
class RadarFilter:
    """Codes that a point may have; None accepts all."""

    invalid_state: tuple[int, ...] | None = None
    dyn_prop: tuple[int, ...] | None = None
    ambig_state: tuple[int, ...] | None = None

    def mask(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool for (N, 18) points."""
        keep = np.ones(len(points), bool)
        for name, codes in dataclasses.asdict(self).items():
            if codes is not None:
                keep &= np.isin(points[:, NAMES.index(name)], codes)
        return keep


# "devkit" is what the official reader does by default, "crn" what CRN's released data preparation does.
FILTERS: dict[str, RadarFilter] = {
    "none": RadarFilter(),
    "devkit": RadarFilter((0,), tuple(range(7)), (3,)),
    "crn": RadarFilter((0, 4, 8, 9, 10, 11, 12, 15, 16, 17), tuple(range(8)), (3,)),
}


def radar_filter(value: str | RadarFilter | Mapping[str, Sequence[int]]) -> RadarFilter:
    """A filter by name, or from ``{"ambig_state": (3,)}``. Raises `RecipeError`."""
    if isinstance(value, RadarFilter):
        return value
    if isinstance(value, str):
        if value not in FILTERS:
            raise RecipeError(
                f"radar filter {value!r} is unknown; known: {', '.join(FILTERS)}.{nearest(value, FILTERS)}"
            )
        return FILTERS[value]
    try:
        return RadarFilter(**{name: tuple(codes) for name, codes in value.items()})
    except TypeError as error:
        raise RecipeError(f"a radar filter knows invalid_state, dyn_prop, ambig_state; {error}") from error


def read_radar(path: str | Path, keep: str | RadarFilter | Mapping[str, Sequence[int]] = "none") -> np.ndarray:
    """Read a sweep -> (N, 18) float32 in the order of `NAMES`; points with NaN and those that `keep` refuses are left out.

    Raises `InputError` for a file without the 18 fields.
    """
    fields = read_pcd(path)
    missing = [name for name in NAMES if name not in fields]
    if missing:
        raise InputError(f"{Path(path).name} is not a radar sweep: fields {', '.join(missing[:5])} are missing")
    points = np.stack([fields[name].astype(np.float32) for name in NAMES], 1)
    points = points[np.isfinite(points).all(1)]
    return points[radar_filter(keep).mask(points)]


def write_radar(path: str | Path, points: np.ndarray | Mapping[str, np.ndarray]) -> Path:
    """Write (N, 18) points, or columns by name (missing ones are 0), in nuScenes' layout; no point is written as one of NaN."""
    if isinstance(points, Mapping):
        unknown = set(points) - set(NAMES)
        if unknown:
            raise InputError(f"radar fields {sorted(unknown)} are unknown; known: {', '.join(NAMES)}")
        count = len(next(iter(points.values())))
        columns = {name: np.asarray(points.get(name, np.zeros(count))) for name in NAMES}
    else:
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != len(NAMES):
            raise InputError(f"radar points must have the shape (N, {len(NAMES)}); found {points.shape}")
        columns = {name: points[:, i] for i, name in enumerate(NAMES)}
    if not len(columns["x"]):
        columns = {name: np.full(1, np.nan if kind[0] == "f" else 0) for name, kind in FIELDS}
    typed = {name: columns[name].astype(np.dtype(f"<{kind}")) for name, kind in FIELDS}
    return write_pcd(path, typed, trailer=b"\n")
