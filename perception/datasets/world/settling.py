"""Making room: the last step of a street moves what its generators put into something else, or leaves it out.

The generators of a street reserve ground as they go (`placing.Ground`), but crowns hang over cars, groups of people are wider than their
pavement, and yards are filled before their fences are known. `settle` goes through what may move, the heavy things first: parked vehicles,
street furniture, people, plants. Whatever overlaps a solid that stands already takes the nearest free place, a plant may also shrink; what
finds none is left out. No random numbers are drawn, so streets without overlaps stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from perception.datasets.world.placing import Mover, Standing, Street
    from perception.datasets.world.templates import Template

_CLEARANCE = 3.0  # metres over the lanes in which nothing grows
_HEIGHTS = (0.3, 0.7, 1.0, 1.3, 1.6, 2.0, 2.4, 2.8, 3.2, 3.7, 4.5, 6.0)
_AIR = 0.1  # metres between plants and what they grow beside
_APART = 0.7  # metres between the stems of two trees
_SLIM = (1.0, 0.85, 0.7, 0.55)
_SHIFTS = np.array(
    (
        (0, 0),
        (0, 0.4),
        (0.6, 0),
        (-0.6, 0),
        (0, 0.9),
        (1.2, 0),
        (-1.2, 0),
        (0, 1.5),
        (2, 0),
        (-2, 0),
        (0, 2.2),
        (3, 1),
        (-3, 1),
    )
)  # along, outwards
_STEPS = (0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 2.7, 3.5, 4.5, 6.0)
_ALONG = (*_STEPS, *(-step for step in _STEPS[1:]))
_OUTWARDS = sorted((abs(a) + b, a, b) for a in _ALONG for b in _STEPS[:6])  # for street furniture, the nearest first
_BESIDE = 0.03  # metres around vehicles and people


class Solids:
    """Upright boxes in the world: columns x, y, cos and sin of the heading, half length, half width, bottom, top (metres)."""

    def __init__(self) -> None:
        self._rows = np.zeros((512, 8))
        self._count = 0

    @property
    def rows(self) -> np.ndarray:
        """(N, 8) float64."""
        return self._rows[: self._count]

    def add(self, row: np.ndarray) -> None:
        """Append a box (8,)."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1

    def meets(self, row: np.ndarray) -> bool:
        """Whether the box overlaps one of these (separating axes of upright boxes)."""
        t = self.rows
        x, y, c, n, length, width, low, high = row
        dx, dy = t[:, 0] - x, t[:, 1] - y
        cos, sin = np.abs(c * t[:, 2] + n * t[:, 3]), np.abs(c * t[:, 3] - n * t[:, 2])
        return bool(
            (
                (np.abs(c * dx + n * dy) < length + t[:, 4] * cos + t[:, 5] * sin)
                & (np.abs(c * dy - n * dx) < width + t[:, 4] * sin + t[:, 5] * cos)
                & (np.abs(t[:, 2] * dx + t[:, 3] * dy) < t[:, 4] + length * cos + width * sin)
                & (np.abs(t[:, 2] * dy - t[:, 3] * dx) < t[:, 5] + length * sin + width * cos)
                & (low < t[:, 7])
                & (high > t[:, 6])
            ).any()
        )

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(P, N) metres sideways from the points (P, 2 or 3) to the boxes, 0 within."""
        t = self.rows
        dx, dy = points[:, :1] - t[:, 0], points[:, 1:2] - t[:, 1]
        along = np.maximum(np.abs(t[:, 2] * dx + t[:, 3] * dy) - t[:, 4], 0)
        return np.hypot(along, np.maximum(np.abs(t[:, 2] * dy - t[:, 3] * dx) - t[:, 5], 0))


def box_row(matrix: np.ndarray, low: np.ndarray, high: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """(8,) row of `Solids`: the box from `low` to `high` (3,) in the frame of `matrix` (4, 4), grown sideways by `margin`."""
    centre = matrix[:3, :3] @ ((low + high) / 2) + matrix[:3, 3]
    half = (high - low) / 2
    flat = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return np.array(
        (
            centre[0], centre[1], matrix[0, 0] / flat, matrix[1, 0] / flat,
            half[0] + margin, half[1] + margin, centre[2] - half[2], centre[2] + half[2],
        )
    )  # fmt: skip


def settle(street: Street) -> None:
    """Move, shrink or drop what overlaps; then add everything static to the street's mesh."""
    solids = Solids()
    for row in street.walls:
        solids.add(row)
    movers = {id(mover.item) for mover in street.movers}
    for item in street.objects:
        if id(item) not in movers:
            solids.add(_object_row(item))
    green = [thing for thing in street.standing if thing.plant or thing.model == "hedge"]
    for thing, rise in zip(green, _rise(street, green), strict=True):
        thing.z += float(rise)
    furniture = [thing for thing in street.standing if not thing.plant]
    for thing in furniture:
        if thing.fixed:
            solids.add(_standing_row(street, thing))
    dropped = {id(m.item) for m in street.movers if not m.person and not _settle_object(street, m, solids)}
    furniture = [thing for thing in furniture if thing.fixed or _settle_thing(street, thing, solids)]
    dropped |= {id(m.item) for m in street.movers if m.person and not _settle_object(street, m, solids)}
    _renumber(street, dropped)
    plants = _settle_plants(street, [thing for thing in street.standing if thing.plant], solids)
    street.standing = [*furniture, *plants]
    for thing in street.standing:
        street.builder.add(thing.mesh, street.pose(thing.s, thing.d, thing.z, thing.yaw))


def _object_row(item, margin: float = 0.0) -> np.ndarray:
    half = np.array(item.size) / 2
    return box_row(item.pose(0.0).astype(np.float64), -half + [0, 0, 0.15], half, margin)


def _settle_box(solids: Solids, row: np.ndarray, places: Iterator, put: Callable[..., np.ndarray]) -> bool:
    """Add the box `row` to the solids or, where it meets one, what ``put(*place)`` returns at the first place that is free; False: none is."""
    if solids.meets(row):
        row = next((there for there in (put(*place) for place in places) if not solids.meets(there)), None)
    if row is not None:
        solids.add(row)
    return row is not None


def _settle_object(street: Street, mover: Mover, solids: Solids) -> bool:
    """Find a place for a parked vehicle or a person; False: there is none."""

    def put(s: float, d: float, yaw: float) -> np.ndarray:
        mover.item.motion = mover.motion(s, d, yaw)
        return _object_row(mover.item, _BESIDE)

    return _settle_box(solids, _object_row(mover.item, _BESIDE), _places(street, mover), put)


def _places(street: Street, mover: Mover) -> Iterator[tuple[float, float, float]]:
    """Other places (s, d, yaw) for an object, the nearest first; it stays on its side of the kerb or of its plot's border."""
    sign, layout = (1.0 if mover.d > 0 else -1.0), street.layout
    own = sign == layout.drive
    away, half = abs(mover.d), min(mover.item.size[:2]) / 2
    borders = (layout.outer(own) + half, layout.edge(own) + 0.3)
    border = next((limit for limit in borders if away >= limit), away)
    if mover.person and away >= layout.edge(own):
        border = min(layout.edge(own) + 0.3, away)
    trials = [
        (abs(shift) + back + 0.5 * abs(forth) + (3.0 if turn else 0.0), shift, back - forth, turn)
        for shift in _ALONG
        for back, forth in [(step, 0.0) for step in _STEPS] + [(0.0, step) for step in _STEPS[1:5]]
        for turn in ((0.0,) if mover.person else (0.0, np.pi / 2))
    ]
    for _, shift, back, turn in sorted(trials):
        s, d = mover.s + shift, away - back
        if d < border or (back < 0 and away < layout.edge(own)) or (shift and not mover.person and _crossed(layout, s)):
            continue
        yield s, sign * d, mover.yaw + turn


def _crossed(layout, s: float) -> bool:
    """Whether a side road or a zebra crossing is near s: no place to park."""
    return any(a - 4 < s < e + 4 for a, e in layout.gaps()) or any(abs(s - zebra) < 5 for zebra in layout.zebras)


def _standing_row(street: Street, thing: Standing) -> np.ndarray:
    return box_row(street.pose(thing.s, thing.d, thing.z, thing.yaw).astype(np.float64), *thing.low_box)


def _settle_thing(street: Street, thing: Standing, solids: Solids) -> bool:
    """Find a place for a piece of street furniture, towards the road; False: there is none."""
    sign, s, d = (1.0 if thing.d > 0 else -1.0), thing.s, abs(thing.d)
    border = min(street.layout.edge(sign == street.layout.drive) + 0.3, d)

    def put(*place: float) -> np.ndarray:
        thing.s, thing.d = place
        return _standing_row(street, thing)

    places = ((s + shift, sign * (d - back)) for _, shift, back in _OUTWARDS if d - back >= border)
    return _settle_box(solids, _standing_row(street, thing), places, put)


@cache
def _profile(shape: Template) -> np.ndarray:
    """(len(_HEIGHTS) + 1,) metres that a plant reaches sideways with the triangles that begin below each height, and with all."""
    corners = shape.vertices[shape.triangles]
    reach = np.hypot(corners[..., 0], corners[..., 1]).max(1)
    low = corners[..., 2].min(1)
    return np.array([reach[low < height].max(initial=0.0) for height in (*_HEIGHTS, np.inf)])


def _settle_plants(street: Street, plants: list[Standing], solids: Solids) -> list[Standing]:
    """Give plants a free place, make them slimmer or leave them out; returns those that stay.

    A plant is taken as round, as wide as it is anywhere below the top of what it stands beside. Crowns may meet, stems keep their distance.
    """
    if not plants:
        return []
    place = np.array([(plant.s, plant.d, plant.z) for plant in plants])
    feet = street.corridor.at(*place.T)
    sizes = np.array([plant.scale for plant in plants])
    profiles = np.stack([_profile(plant.shape) for plant in plants]) * sizes[:, :1]
    trees = np.array([plant.stem for plant in plants])

    def reach(rows, tops: np.ndarray) -> np.ndarray:
        """Radius of the plants below heights (..., P or K) above their feet."""
        return np.take_along_axis(profiles[rows], np.searchsorted(_HEIGHTS, tops / sizes[rows, 2:]), 1)

    radius = reach(slice(None), solids.rows[:, 7] - feet[:, 2:]) + _AIR
    over = reach(slice(None), _CLEARANCE - place[:, 2:])[:, 0]
    lanes = _lane_distance(street, place[:, 0], place[:, 1])
    crowded = (solids.distance(feet) < radius).any(1) | (lanes < over)
    apart = np.hypot(feet[:, None, 0] - feet[:, 0], feet[:, None, 1] - feet[:, 1])
    crowded |= trees & ((apart < _APART) & trees & np.tri(len(plants), k=-1, dtype=bool)).any(1)
    kept = np.ones(len(plants), bool)
    for k in np.flatnonzero(crowded):
        s, d, z = place[k]
        trials = np.where(abs(d) < 0.5, [1, 0], [1, 1 if d > 0 else -1]) * _SHIFTS + (s, d)  # along a median only
        there = street.corridor.at(trials[:, 0], trials[:, 1], z)
        room = np.minimum(
            (solids.distance(there) / radius[k]).min(1), _lane_distance(street, *trials.T) / max(over[k], 0.01)
        )
        if trees[k]:
            others = feet[trees & kept & (np.arange(len(plants)) != k), :2]
            gaps = np.hypot(there[:, None, 0] - others[:, 0], there[:, None, 1] - others[:, 1])
            room[gaps.min(1, initial=np.inf) < _APART] = 0.0
        found = next(((slim, i) for slim in _SLIM for i in np.flatnonzero(room >= slim)), None)
        kept[k] = found is not None
        if found is not None:
            slim, i = found
            feet[k], place[k, :2] = there[i], trials[i]
            if slim != 1.0:
                mesh = plants[k].mesh
                plants[k].mesh = replace(mesh, vertices=mesh.vertices * np.float32((slim, slim, 1.0)))
    moved = [plants[k] for k in np.flatnonzero(crowded & kept)]
    before = _rise(street, moved)
    for plant, (s, d, _) in zip(moved, place[crowded & kept], strict=True):
        plant.s, plant.d = float(s), float(d)
    for plant, change in zip(moved, _rise(street, moved) - before, strict=True):
        plant.z += float(change)
    return [plant for plant, keep in zip(plants, kept, strict=True) if keep]


def _rise(street: Street, things: list[Standing]) -> np.ndarray:
    """(N,) metres that the ground under the things lies above the foot of the pavement."""
    s, d = (np.array([getattr(thing, name) for thing in things], float) for name in "sd")
    rise = np.zeros(len(things))
    for sign, ground in street.terrain.items():
        side = np.flatnonzero(d * sign > 0)
        rise[side] = ground.rise(s[side], np.abs(d[side]))
    return rise


def _lane_distance(street: Street, s: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(N,) metres from (s, d) to the lanes; their outermost 35 cm do not count, nor does a median."""
    layout, corridor = street.layout, street.corridor
    edges = {
        sign: layout.edge(own) - layout.cycle - layout.parking[0 if own else 1] - 0.35 for sign, own in layout.sides()
    }
    distance = np.maximum(np.where(d > 0, d - edges[1], -d - edges[-1]), 0.0)
    if layout.median > 0.8:
        distance = np.maximum(distance, layout.median / 2 + 0.2 - np.abs(d))
    return np.where((s > corridor.start) & (s < corridor.end), distance, np.inf)


def _renumber(street: Street, dropped: set[int]) -> None:
    """Remove objects and close the gaps in the ids."""
    if not dropped:
        return
    street.objects = [item for item in street.objects if id(item) not in dropped]
    number = {0: 0} | {item.id: k for k, item in enumerate(street.objects, 1)}
    street.coupled = [(number[a], number[b]) for a, b in street.coupled]
    street.mobile_lamps = [(number[a], lamps) for a, lamps in street.mobile_lamps]
    for item in street.objects:
        item.id = number[item.id]
