"""The coordinates of a street: a corridor of curved (s, d), its cross-section, and strips and quads in them.

Everything along a street is placed by (s, d): metres along the centre line and metres to its left. `Corridor.at` maps to the world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.scene import Path
from perception.datasets.world.shapes import grid


class Corridor:
    """A smooth centre line with slopes. start, end: range of s (metres); s = 0 lies at the world's origin."""

    def __init__(self, rng: np.random.Generator, bend: float, slope: float, start: float, end: float) -> None:
        """bend: largest curvature (1/m); slope: largest inclination."""
        self.start, self.end = start, end
        self.s = np.arange(start - 30, end + 30.1, 2.0)
        waves = rng.uniform(80, 300, 3)
        phases = rng.uniform(0, 2 * np.pi, (2, 3))
        weights = rng.dirichlet((1, 1, 1))
        curvature = bend * sum(
            w * np.sin(self.s / l * 2 * np.pi + p) for w, l, p in zip(weights, waves, phases[0], strict=True)
        )
        heading = np.cumsum(curvature) * 2.0
        zero = int(np.argmin(np.abs(self.s)))
        self.heading = heading - heading[zero] + rng.uniform(-np.pi, np.pi)
        incline = slope * sum(
            w * np.sin(self.s / l * 1.4 * np.pi + p) for w, l, p in zip(weights, waves, phases[1], strict=True)
        )
        x, y, z = (np.cumsum(v) * 2.0 for v in (np.cos(self.heading), np.sin(self.heading), incline))
        self.line = np.stack([x - x[zero], y - y[zero], z - z[zero]], 1)
        self._table = np.concatenate([self.line, self.heading[:, None]], 1)

    def at(self, s, d=0.0, z=0.0) -> np.ndarray:
        """World points (..., 3) float64 at s, d and z metres above the road's centre line there."""
        if isinstance(s, float) and isinstance(d, float | int):
            return self._one(s, d, z)
        s, d, z = np.asarray(s, float), np.asarray(d, float), np.asarray(z, float)
        place = np.clip((s - self.s[0]) * 0.5, 0, len(self.s) - 1.001)
        index = place.astype(np.int64)
        row = self._table[index]
        row = row + (self._table[index + 1] - row) * (place - index)[..., None]
        yaw = row[..., 3]
        x, y, up = row[..., 0] - d * np.sin(yaw), row[..., 1] + d * np.cos(yaw), row[..., 2] + z
        return np.stack(np.broadcast_arrays(x, y, up), -1)

    def _one(self, s: float, d: float, z: float) -> np.ndarray:
        place = min(max((s - self.s[0]) * 0.5, 0.0), len(self.s) - 1.001)
        index = int(place)
        x, y, up, yaw = (self._table[index] + (self._table[index + 1] - self._table[index]) * (place - index)).tolist()
        return np.array((x - d * math.sin(yaw), y + d * math.cos(yaw), up + float(z)))

    def yaw(self, s):
        """Heading of the centre line in radians."""
        return np.interp(s, self.s, self.heading)

    def pitch(self, s: float) -> float:
        """Pitch (positive = nose down) when driving towards larger s."""
        index = int(min(max((s - self.s[0]) * 0.5, 0.0), len(self.s) - 2))
        return -math.atan(float(self.line[index + 1, 2] - self.line[index, 2]) / 2)

    def path(
        self, d: float, forward: bool = True, start: float | None = None, end: float | None = None, z: float = 0.0
    ) -> Path:
        """A `Path` at offset d, driven towards larger s (`forward`) or back."""
        s = np.arange(self.start - 25 if start is None else start, (self.end + 25 if end is None else end) + 0.1, 3.0)
        points = self.at(s, d, z)
        return Path(points, s) if forward else Path(points[::-1], s[::-1])


def ribbon(
    builder: MeshBuilder, corridor: Corridor, span, across, heights=(0.0, 0.0), step: float = 4.0, **attributes
) -> None:
    """A strip: span (s0, s1), across (d0, d1) with heights above the centre line; d0 < d1 makes it face up."""
    count = max(int(np.ceil((span[1] - span[0]) / step)), 1) + 1
    s = np.linspace(span[0], span[1], count)[:, None]
    d, z = np.array([across]), np.array([heights])
    points = corridor.at(s, d, z)
    local = np.stack(np.broadcast_arrays(s, d, z), -1).astype(np.float32)
    vertices, triangles = grid(points)
    builder.batch(vertices[None], triangles, local=local.reshape(1, -1, 3), **attributes)


def patches(builder: MeshBuilder, corridor: Corridor, rectangles, z: float = 0.008, **attributes) -> None:
    """Thin paint: rectangles (K, 4) of s0, s1, d0, d1, each a quad just above the road."""
    r = np.asarray(rectangles, float).reshape(-1, 4)
    if not len(r):
        return
    s, d = r[:, [0, 1, 1, 0]], r[:, [2, 2, 3, 3]]
    local = np.stack([s, d, np.zeros_like(s)], -1)
    builder.batch(corridor.at(s, d, z), np.array([[0, 1, 2], [0, 2, 3]], np.int32), local=local, **attributes)


@dataclass
class Layout:
    """The cross-section in metres; "right" is the side of own traffic (negative d when driving on the right).

    drive: -1 right-hand traffic, +1 left-hand. lanes: (own, oncoming). parking: width of the parking lanes (own, oncoming), 0 = none.
    verge, pavement: widths per side. kerb: height, 0 = none. crossings: s of side roads; side_width: their half width.
    """

    drive: int = -1
    lanes: tuple[int, int] = (1, 1)
    lane_width: float = 3.2
    parking: tuple[float, float] = (0.0, 0.0)
    angled: tuple[bool, bool] = (False, False)
    cycle: float = 0.0
    median: float = 0.0
    verge: float = 0.0
    pavement: tuple[float, float] = (2.5, 2.5)
    kerb: float = 0.13
    crossings: list[float] = field(default_factory=list)
    side_width: float = 3.5
    marked: bool = True
    zebras: list[float] = field(default_factory=list)
    lights: bool = False

    def lane_centre(self, own: bool, index: int) -> float:
        """d of a lane's centre; index 0 is next to the middle."""
        offset = self.median / 2 + (index + 0.5) * self.lane_width
        return offset * (self.drive if own else -self.drive)

    def edge(self, own: bool) -> float:
        """Distance from the centre line to the kerb, positive."""
        k = 0 if own else 1
        return self.median / 2 + self.lanes[k] * self.lane_width + self.cycle + self.parking[k]

    def sides(self):
        """(sign of d, own side?) for both sides."""
        return ((self.drive, True), (-self.drive, False))

    def outer(self, own: bool) -> float:
        """Distance from the centre line to the back of the pavement, positive."""
        return self.edge(own) + self.verge + self.pavement[0 if own else 1]

    def gaps(self, margin: float = 0.0) -> list[tuple[float, float]]:
        """Spans of s that the side roads take."""
        return [(c - self.side_width - margin, c + self.side_width + margin) for c in self.crossings]

    def spans(self, start: float, end: float, margin: float = 0.0) -> list[tuple[float, float]]:
        """What remains of (start, end) between the side roads."""
        spans, s = [], start
        for low, high in sorted(self.gaps(margin)):
            if low - s > 1:
                spans.append((s, min(low, end)))
            s = max(s, high)
        if end - s > 1:
            spans.append((s, end))
        return spans
