"""The road: its surfaces and its paint, in the coordinates of `corridor`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.corridor import Corridor, Layout, patches, ribbon
from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.terrain import Terrain


@dataclass
class Surfaces:
    """Material ids of the ground."""

    asphalt: int
    parking: int
    cycle: int
    pavement: int
    kerb: int
    verge: int
    terrain: int
    white: int
    yellow: int
    patch: int
    iron: int


_SIDE_LENGTH = 90.0


def build_road(
    rng, builder: MeshBuilder, corridor: Corridor, layout: Layout, surfaces: Surfaces, rural: bool
) -> dict[int, Terrain]:
    """All ground surfaces and markings; returns the ground beside the street by the sign of d."""
    terrain = {}
    start, end = corridor.start, corridor.end
    left, right = (layout.edge(layout.drive == s) for s in (1, -1))
    ribbon(builder, corridor, (start, end), (-right, left), material=surfaces.asphalt, semantic=ID["road"])
    for sign, own in layout.sides():
        _side(rng, builder, corridor, layout, surfaces, sign, own)
        for centre in layout.crossings:
            _side_road(builder, corridor, layout, surfaces, sign, own, centre, rural)
        terrain[sign] = Terrain(rng, builder, corridor, layout, surfaces.terrain, sign, own, rural)
    across = (-layout.outer(layout.drive < 0), layout.outer(layout.drive > 0))
    for span in ((start - 30, start), (end, end + 30)):  # meadow where the road ends
        ribbon(
            builder,
            corridor,
            span,
            across,
            (layout.kerb - 0.05,) * 2,
            material=surfaces.terrain,
            semantic=ID["terrain"],
        )
    _markings(rng, builder, corridor, layout, surfaces)
    _wear(rng, builder, corridor, layout, surfaces)
    return terrain


def _side(
    rng, builder: MeshBuilder, corridor: Corridor, layout: Layout, surfaces: Surfaces, sign: int, own: bool
) -> None:
    """What lies beside the lanes on one side: cycle lane, parking, kerb, verge, pavement."""
    start, end = corridor.start, corridor.end
    edge, outer, kerb, parking = layout.edge(own), layout.outer(own), layout.kerb, layout.parking[0 if own else 1]
    if layout.cycle:
        low = edge - layout.cycle - parking
        _strip(builder, corridor, (start, end), sign, low, low + layout.cycle, 0.006, surfaces.cycle, "road")
    if parking and rng.random() < 0.7:
        for span in layout.spans(start, end, 5):
            _strip(builder, corridor, span, sign, edge - parking, edge, 0.005, surfaces.parking, "road")
    for span in layout.spans(start, end):
        s_edge = edge
        if kerb:
            _wall(builder, corridor, span, sign, edge, 0.0, kerb, surfaces.kerb, "pavement")
            _strip(builder, corridor, span, sign, edge, edge + 0.14, kerb, surfaces.kerb, "pavement")
            s_edge += 0.14
            for s in span:  # the kerb's ends at side roads
                corners = corridor.at([s, s, s, s], sign * np.array([edge, outer, outer, edge]), [0, 0, kerb, kerb])
                builder.quad(corners, material=surfaces.kerb, semantic=ID["pavement"])
        if layout.verge:
            _strip(builder, corridor, span, sign, s_edge, edge + layout.verge, kerb, surfaces.verge, "terrain")
            s_edge = edge + layout.verge
        if outer - s_edge > 0.2:
            _strip(builder, corridor, span, sign, s_edge, outer, kerb, surfaces.pavement, "pavement")


def _side_road(
    builder: MeshBuilder,
    corridor: Corridor,
    layout: Layout,
    surfaces: Surfaces,
    sign: int,
    own: bool,
    centre: float,
    rural: bool,
) -> None:
    """A road that leaves at `centre` along the corridor, with pavements in towns, stop line and dashes."""
    edge, outer, kerb = layout.edge(own), layout.outer(own), layout.kerb
    w, far = layout.side_width, edge + _SIDE_LENGTH
    _strip(
        builder, corridor, (centre - w, centre + w), sign, edge - 0.01, far, 0.0, surfaces.asphalt, "road", step=2 * w
    )
    if not rural:
        for s0, s1 in ((centre - w - 2.2, centre - w), (centre + w, centre + w + 2.2)):
            _strip(builder, corridor, (s0, s1), sign, outer - 0.01, far, kerb, surfaces.pavement, "pavement")
            inner = s1 if s1 <= centre else s0
            corners = corridor.at([inner] * 4, sign * np.array([outer, far, far, outer]), [0, 0, kerb, kerb])
            builder.quad(corners, material=surfaces.kerb, semantic=ID["pavement"])
    mark = edge + 1.0 + (outer - edge) * 0.6
    stop = [centre - w + 0.3, centre - 0.15] if sign > 0 else [centre + 0.15, centre + w - 0.3]
    patches(
        builder,
        corridor,
        [(*stop, *sorted((sign * mark, sign * (mark + 0.4))))],
        material=surfaces.white,
        semantic=ID["road"],
    )
    dash = [
        (centre - 0.06, centre + 0.06, *sorted((sign * (mark + 2 + 5 * k), sign * (mark + 4.5 + 5 * k))))
        for k in range(12)
    ]
    patches(builder, corridor, dash, material=surfaces.white, semantic=ID["road"])


def _strip(builder, corridor, span, sign, near, far, z, material, semantic, step=4.0) -> None:
    across = (near, far) if sign > 0 else (-far, -near)
    ribbon(builder, corridor, span, across, (z, z), step, material=material, semantic=ID[semantic])


def _wall(builder, corridor, span, sign, d, low, high, material, semantic) -> None:
    ribbon(builder, corridor, span, (sign * d, sign * d), (low, high), material=material, semantic=ID[semantic])


def _markings(rng, builder, corridor, layout, surfaces) -> None:
    if layout.marked:
        _lane_lines(rng, builder, corridor, layout, surfaces)
    _parking_bays(rng, builder, corridor, layout, surfaces)
    for s in layout.zebras:
        _zebra(builder, corridor, layout, surfaces, s, 1.6)
    for centre in layout.crossings:
        _junction(rng, builder, corridor, layout, surfaces, centre)


def _lane_lines(rng, builder, corridor, layout, surfaces) -> None:
    """The middle, dashes between lanes, sometimes the edges."""
    start, end = corridor.start, corridor.end
    white, road = surfaces.white, ID["road"]
    middle = surfaces.yellow if rng.random() < 0.35 else white
    solid = rng.random() < 0.35 or layout.lanes[0] + layout.lanes[1] > 3
    dash, gap = ((3.0, 4.5), (3.0, 9.0), (1.5, 3.0))[int(rng.integers(3))]
    for span in layout.spans(start, end, 1.0):
        if layout.median == 0:
            if solid:
                for shift in (-0.12, 0.12):
                    ribbon(
                        builder,
                        corridor,
                        span,
                        (shift - 0.06, shift + 0.06),
                        (0.009, 0.009),
                        material=middle,
                        semantic=road,
                    )
            else:
                patches(builder, corridor, _dashes(span, 0.0, dash, gap, 0.07), material=middle, semantic=road)
        for own in (True, False):
            for k in range(1, layout.lanes[0 if own else 1]):
                d = (layout.lane_centre(own, k) + layout.lane_centre(own, k - 1)) / 2
                patches(builder, corridor, _dashes(span, d, dash, gap, 0.07), material=white, semantic=road)
    if rng.random() < 0.5 or layout.kerb == 0:
        for sign, own in layout.sides():
            d = sign * (layout.edge(own) - layout.parking[0 if own else 1] - layout.cycle - 0.15)
            for span in layout.spans(start, end, 1.0):
                ribbon(builder, corridor, span, (d - 0.06, d + 0.06), (0.009, 0.009), material=white, semantic=road)


def _parking_bays(rng, builder, corridor, layout, surfaces) -> None:
    start, end = corridor.start, corridor.end
    white, road = surfaces.white, ID["road"]
    for sign, own in layout.sides():
        width = layout.parking[0 if own else 1]
        if width and rng.random() < 0.5:
            low, high = layout.edge(own) - width, layout.edge(own)
            pitch = 2.6 if layout.angled[0 if own else 1] else 5.6
            for span in layout.spans(start, end, 6.0):
                s = np.arange(span[0], span[1], pitch)
                lines = [(a - 0.05, a + 0.05, *sorted((sign * low, sign * high))) for a in s]
                patches(builder, corridor, lines, z=0.011, material=white, semantic=road)


def _zebra(builder, corridor, layout, surfaces, s: float, half: float) -> None:
    """Bars of 2 `half` metres across the whole road at `s`."""
    left, right = (layout.edge(layout.drive == s) for s in (1, -1))
    bars = [(s - half, s + half, d, d + 0.5) for d in np.arange(-right + 0.4, left - 0.5, 1.0)]
    patches(builder, corridor, bars, z=0.012, material=surfaces.white, semantic=ID["road"])


def _junction(rng, builder, corridor, layout, surfaces, centre: float) -> None:
    """Stop lines, arrows and crossings before a side road."""
    white, road = surfaces.white, ID["road"]
    stop = centre - layout.side_width - (5.5 if layout.lights else 1.5)
    for own in (True, False):
        sign = layout.drive if own else -layout.drive
        at = stop if own else 2 * centre - stop
        far = layout.edge(own) - layout.parking[0 if own else 1]
        if layout.lights:
            patches(
                builder,
                corridor,
                [(at - 0.2, at + 0.2, *sorted((sign * (layout.median / 2 + 0.1), sign * far)))],
                material=white,
                semantic=road,
            )
        for k in range(layout.lanes[0 if own else 1]):
            if rng.random() < 0.5:
                _arrow(
                    builder,
                    corridor,
                    at + (-6 if own else 6),
                    layout.lane_centre(own, k),
                    1 if own else -1,
                    int(rng.integers(3)) - 1,
                    white,
                )
        if layout.lights and rng.random() < 0.8:
            _zebra(builder, corridor, layout, surfaces, at + (2.6 if own else -2.6), 1.3)


def _dashes(span, d, dash, gap, half) -> list[tuple[float, float, float, float]]:
    return [(s, s + dash, d - half, d + half) for s in np.arange(span[0], span[1] - dash, dash + gap)]


def _arrow(builder, corridor, s, d, forward, turn, material) -> None:
    """A lane arrow whose tip points straight on (turn 0) or aside."""
    shaft = [(s - 1.5, s + (0.8 if turn == 0 else 0.5), d - 0.07, d + 0.07)]
    patches(
        builder,
        corridor,
        [(min(a, b), max(a, b), c, e) for a, b, c, e in shaft],
        material=material,
        semantic=ID["road"],
    )
    if turn == 0:
        tip = np.array([[0.8, -0.35], [2.0, 0.0], [2.0, 0.0], [0.8, 0.35]])
    else:
        tip = np.array([[0.2, 0.0], [1.0, 0.0], [1.0, 0.8 * turn], [0.4, 1.1 * turn]])
    builder.quad(
        corridor.at(s + forward * tip[:, 0], d + forward * tip[:, 1], 0.009), material=material, semantic=ID["road"]
    )


def _wear(rng, builder, corridor, layout, surfaces) -> None:
    """Repairs, cracks and manhole covers."""
    start, end = corridor.start, corridor.end
    left, right = (layout.edge(layout.drive == s) for s in (1, -1))
    count = int(rng.poisson(10))
    s, d = rng.uniform(start, end - 10, count), rng.uniform(-right, left - 1.5, count)
    size = np.exp(rng.normal(0, 0.8, (count, 2))) * [3.0, 0.8]
    rectangles = np.stack([s, s + np.minimum(size[:, 0], 25), d, np.minimum(d + np.minimum(size[:, 1], 3), left)], 1)
    patches(builder, corridor, rectangles, z=0.003, material=surfaces.patch, semantic=ID["road"])
    count = int(rng.poisson(8))
    s, d = rng.uniform(start, end, count), rng.uniform(-right + 0.5, left - 0.5, count)
    angle = np.arange(10) * (2 * np.pi / 10)
    fan = np.array([[0, i, i + 1] for i in range(1, 9)], np.int32)
    points = corridor.at(s[:, None] + 0.33 * np.cos(angle), d[:, None] + 0.33 * np.sin(angle), 0.006)
    if count:
        builder.batch(points, fan, material=surfaces.iron, semantic=ID["road"])
    count = int(rng.poisson(14))
    s, d = rng.uniform(start, end, count), rng.uniform(-right, left, count)
    along = rng.random(count) < 0.5
    length, thin = rng.uniform(1, 6, count), 0.03
    cracks = np.stack([s, s + np.where(along, length, thin), d, d + np.where(along, thin, np.minimum(length, 3))], 1)
    cracks[:, 3] = np.minimum(cracks[:, 3], left)
    patches(builder, corridor, cracks, z=0.004, material=surfaces.iron, semantic=ID["road"])
