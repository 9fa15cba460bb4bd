"""The ground beside a street: meadows and embankments, out to hills at the horizon."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.shapes import grid


class Terrain:
    """One side's ground: a lattice over s (34) and the distance from the centre line (10), whose heights plots may level."""

    def __init__(self, rng, builder: MeshBuilder, corridor, layout, material: int, sign: int, own: bool, rural: bool):
        """Draw the ground on the side `sign` and add it to `builder`."""
        outer = layout.outer(own)
        self.reach = reach = np.array([0, 3, 8, 16, 30, 60, 110, 190, 320, 520]) + outer
        self.s = s = np.linspace(corridor.start - 25, corridor.end + 25, 34)
        self.base = base = layout.kerb - 0.05
        fade = np.clip((reach - outer - (4 if rural else 30)) / 90, 0, 1)
        hills = rng.uniform(0, 30) if rng.random() < 0.6 else 0.0
        roll = rng.uniform(0.0, 1.2) if rural else 0.25
        phase = rng.uniform(0, 6.28, 6)
        wave = (
            sum(np.sin(s[:, None] / l + reach[None] / (l * 1.3) + p) for l, p in zip((17, 37, 90), phase, strict=False))
            / 3
        )
        ridge = sum(np.sin(s[:, None] / l + p) for l, p in zip((60, 110, 45), phase[3:], strict=True)) / 3
        z = base + wave * roll * np.clip((reach - outer) / 20, 0, 1) + (ridge + 0.8) * hills * fade[None] ** 2
        embankment = rng.normal(0, 0.12) if rural else 0.0
        z += np.clip(embankment, -0.12, 0.3) * np.clip(reach - outer, 0, 14)
        in_side_road = np.zeros(len(s), bool)
        for centre in layout.crossings:
            in_side_road |= np.abs(s - centre) < layout.side_width + 9
        z[in_side_road] = np.minimum(z[in_side_road], np.where(reach > outer + 110, z[in_side_road], -0.08))
        self.z = z
        d = sign * reach
        self._order = slice(None) if sign > 0 else slice(None, None, -1)
        # Far columns open out like a fan so that the horizon is closed ahead and behind.
        self._spread = spread = 1 + np.clip((reach - outer - 60) / 200, 0, 3)
        self._centre = centre = (corridor.start + corridor.end) / 2
        self._mirrored = sign < 0
        along = centre + (s[:, None] - centre) * spread
        points = corridor.at(np.clip(along, corridor.s[0], corridor.s[-1]), d[None], z)
        beyond = along - np.clip(along, corridor.s[0], corridor.s[-1])
        yaw = corridor.yaw(np.clip(along, corridor.s[0], corridor.s[-1]))
        points[..., 0] += beyond * np.cos(yaw)
        points[..., 1] += beyond * np.sin(yaw)
        local = np.stack(np.broadcast_arrays(along, d[None], z), -1)[:, self._order]
        vertices, triangles = grid(points[:, self._order])
        self._vertices = np.ascontiguousarray(vertices, np.float32)  # the builder keeps this very array
        builder.batch(
            self._vertices[None],
            triangles,
            material=material,
            semantic=ID["terrain"],
            local=local.reshape(1, -1, 3),
        )

    def level(self, s0: float, s1: float) -> None:
        """Make the ground of a plot flat: 35 m deep, with a slope of one lattice cell on both sides."""
        step = self.s[1] - self.s[0]
        rows = np.flatnonzero((self.s > s0 - step) & (self.s < s1 + step))
        columns = np.flatnonzero(self.reach < self.reach[0] + 35)
        change = np.minimum(self.base, self.z) - self.z  # side roads stay below their asphalt
        change = np.where(self.z > -0.07, self.base - self.z, change)
        part = np.zeros_like(self.z)
        part[np.ix_(rows, columns)] = change[np.ix_(rows, columns)]
        self.z = self.z + part
        self._vertices.reshape(*self.z.shape, 3)[..., 2] += part[:, self._order]

    def rise(self, s: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Metres (N,) that the ground at s, d (distances from the centre line, positive) lies above the foot of the pavement; 0 on the street."""
        spread = np.interp(d, self.reach, self._spread)
        row = (self._centre + (s - self._centre) / spread - self.s[0]) / (self.s[1] - self.s[0])
        i = np.clip(row, 0, len(self.s) - 1.001).astype(int)
        j = np.clip(np.searchsorted(self.reach, d, side="right") - 1, 0, len(self.reach) - 2)
        # The two triangles of a cell share the edge from (i, near) to (i + 1, far).
        near, far = (j + 1, j) if self._mirrored else (j, j + 1)
        point = np.stack([s, d, np.ones(len(s))], 1)[..., None]
        heights = []
        for apex in ((i, far), (i + 1, near)):
            trio = ((i, near), (i + 1, far), apex)
            along = [self._centre + (self.s[a] - self._centre) * self._spread[b] for a, b in trio]
            across = [self.reach[b] for _, b in trio]
            frame = np.stack([np.stack(along, 1), np.stack(across, 1), np.ones((len(s), 3))], 1)
            weights = np.linalg.solve(frame, point)[..., 0]
            z = np.stack([self.z[corner] for corner in trio], 1)
            heights.append(((weights * z).sum(1), weights.min(1)))
        (first, inside), (second, _) = heights
        return np.where(d > self.reach[0], np.where(inside >= 0, first, second) - self.base, 0.0)
