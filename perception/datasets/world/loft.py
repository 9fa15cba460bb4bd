"""Vehicle bodies as lofts: cross-sections along the length, joined into a skin with glass where windows are.

Each station x has a half cross-section of nine points from the underbody's middle to the roof's middle::

        8 roof middle ---- 7 roof edge
                              \\ 6 top of the side window
                               | 5 foot of the side window
                              _/ 4 belt
                             |   3 widest
        0 under ---- 1 ---- 2 sill (lifted over the wheels)

The heights and widths are piecewise linear functions of x, so that a body style is a table of a few points.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from perception.datasets.world.shapes import grid
from perception.datasets.world.templates import ROLE, Shape

Line = list[tuple[float, float]]


@dataclass
class Body:
    """All lengths in metres; x runs from the rear bumper (0) to the front bumper (length), z from the ground.

    belt: height of bonnet, window foot and boot lid by x. roof: height of the roof by x, equal to or below the belt where there is no
    cabin. width: half width by x as a share of the full half width. sides: x spans of side windows. screens: x spans where the roof band
    is glass (windscreen, rear window). wheels: x of the axles. inset: how far the roof edge lies inside the belt.
    """

    length: float
    width: float
    belt: Line
    roof: Line
    taper: Line
    sides: list[tuple[float, float]] = field(default_factory=list)
    screens: list[tuple[float, float]] = field(default_factory=list)
    wheels: list[float] = field(default_factory=list)
    wheel_radius: float = 0.32
    wheel_width: float = 0.22
    sill: float = 0.22
    inset: float = 0.17
    rail: float = 0.09  # height of the roof rail over the side window
    cladding: bool = False  # dark plastic along the sill
    top_role: str = "paint"
    arch_steps: int = 8
    gap: float = 0.06  # stations closer than this are merged
    flat: float = 0.0  # 0: rounded sides, 1: flat sides (vans, buses)


def _merge(stations: np.ndarray, needed: set[float], gap: float) -> np.ndarray:
    """Sorted stations at least `gap` apart; those in `needed` always stay and displace close neighbours."""
    kept: list[float] = []
    for x in sorted(set(stations.tolist())):
        if kept and x - kept[-1] < gap:
            if x not in needed or x - kept[-1] < 0.012:
                continue
            if kept[-1] not in needed:
                kept.pop()
        kept.append(x)
    return np.array(kept)


def add_body(shape: Shape, body: Body) -> None:
    """Add the skin to `shape`, rear at x = 0."""
    x = _stations(body)
    belt = np.interp(x, *np.array(body.belt).T)
    roof = np.maximum(np.interp(x, *np.array(body.roof).T), belt + 0.015)
    points, cells = _sections(body, x, belt, roof), _roles(body, x, belt, roof)
    # The underbody's middle is left open: it is never seen.
    vertices, triangles = grid(np.roll(points, -1, axis=1)[:, :15])
    shape.mesh(vertices, triangles, material=np.repeat(cells[:, 1:15].ravel(), 2))
    for row, flip in ((0, True), (len(x) - 1, False)):
        ring = points[row]
        middle_point = ring.mean(0, keepdims=True)
        i = np.arange(16)
        fan = np.stack([i, (i + 1) % 16, np.full(16, 16)], 1)
        shape.mesh(np.concatenate([ring, middle_point]), fan[:, ::-1] if flip else fan, role="paint")


def _stations(body: Body) -> np.ndarray:
    """(X,) where cross-sections are taken: at every bend and pane, and around the wheels."""
    r, arch = body.wheel_radius, _arch(body)
    start = -np.arcsin(min((r - body.sill) / arch, 0.99))
    angles = np.linspace(start, np.pi - start, body.arch_steps)
    arches = [x + arch * np.cos(angles) for x in body.wheels]
    shape_marks = [p[0] for line in (body.belt, body.roof) for p in line] + [x for span in body.screens for x in span]
    if body.sides:  # the front side window's foot and the last pane's end
        shape_marks += [body.sides[0][0], min(low for low, _ in body.sides)]
    needed = {0.0, float(body.length), *(float(x) for x in shape_marks)}
    marks = [p[0] for p in body.taper] + [x for span in body.sides for x in span]
    x = np.concatenate([np.array(sorted(needed)), np.array(marks), *arches])
    return _merge(x[(x >= 0) & (x <= body.length)], needed, body.gap)


def _arch(body: Body) -> float:
    """Radius of the cut around a wheel."""
    return body.wheel_radius * 1.13


def _sections(body: Body, x: np.ndarray, belt: np.ndarray, roof: np.ndarray) -> np.ndarray:
    """(X, 16, 3) points around each cross-section, from the middle of the underbody over the left side."""
    r, arch = body.wheel_radius, _arch(body)
    wide = np.interp(x, *np.array(body.taper).T) * body.width / 2
    # The chin and the tail rise a little from the sill.
    end = np.clip(np.minimum(x, body.length - x) / (0.13 * body.length), 0, 1)
    bottom = body.sill + (1 - end) ** 2 * 0.07
    for wheel in body.wheels:
        inside = np.clip(arch**2 - (x - wheel) ** 2, 0, None)
        bottom = np.maximum(bottom, np.where(inside > 0, r + np.sqrt(inside), 0))
    bottom = np.minimum(bottom, belt - 0.08)
    cabin = np.clip((roof - belt) / 0.35, 0, 1)  # 0 over bonnet and boot
    rise = roof - belt
    inset = body.inset * np.clip(rise / 0.45, 0, 1)
    soft = 1 - body.flat
    middle = bottom + (belt - bottom) * 0.55
    y = np.stack(
        [
            np.zeros_like(x),
            wide * 0.86,
            wide * (0.985 - 0.025 * soft),
            wide,
            wide * (0.995 - 0.025 * soft),
            wide * (0.985 - 0.055 * soft * cabin - 0.09 * (1 - cabin)),
            wide * (0.985 - 0.055 * soft * cabin - 0.16 * (1 - cabin)) - inset * 0.85,
            wide * (0.95 - 0.055 * soft * cabin - 0.3 * (1 - cabin)) - inset,
            np.zeros_like(x),
        ],
        1,
    )
    y = np.maximum(y, 0)
    rail = np.minimum(body.rail, rise * 0.3)
    crown = 0.02 + 0.02 * soft
    under = np.maximum(bottom - 0.02, np.minimum(bottom, 0.16))
    z = np.stack(
        [
            under,
            under,
            bottom,
            middle,
            belt - 0.05 * np.minimum((belt - bottom) / 0.4, 1),
            belt,
            belt + rise - rail,
            roof,
            roof + crown,
        ],
        1,
    )
    points = np.empty((len(x), 16, 3))
    points[:, :, 0] = x[:, None]
    points[:, :9, 1], points[:, 9:, 1] = y, -y[:, 7:0:-1]
    points[:, :9, 2], points[:, 9:, 2] = z, z[:, 7:0:-1]
    return points


def _roles(body: Body, x: np.ndarray, belt: np.ndarray, roof: np.ndarray) -> np.ndarray:
    """(X - 1, 16) int16 role of each cell between the points of two cross-sections: paint, trim, glass."""
    cells = np.full((len(x) - 1, 16), ROLE["paint"], np.int16)
    centre = (x[1:] + x[:-1]) / 2
    cells[:, [1, 14]] = ROLE["trim"]
    if body.cladding:
        cells[:, [2, 13]] = ROLE["trim"]
    if body.top_role != "paint":
        high = (roof[1:] + roof[:-1]) / 2 > belt.max() + 0.1
        for column in (6, 7, 8, 9):
            cells[high, column] = ROLE[body.top_role]
    for low, high in body.sides:
        chosen = (centre > low) & (centre < high)
        cells[np.ix_(chosen, [5, 10])] = ROLE["glass"]
    for low, high in body.screens:
        chosen = (centre > low) & (centre < high)
        cells[np.ix_(chosen, [7, 8])] = ROLE["glass"]
    return cells


def add_wheels(
    shape: Shape, axles: list[float], track: float, radius: float, width: float, sides: int = 12, spokes=True
):
    """Wheels at x = `axles`, outer faces at y = +-track / 2: tread, sidewall, rim with spokes."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    circle = np.stack([np.cos(angle), np.zeros(sides), np.sin(angle)], 1)
    rings = np.stack([circle * radius, circle * radius, circle * radius * 0.66, circle * radius * 0.62])
    rings[0, :, 1], rings[2, :, 1], rings[3, :, 1] = -width, 0.006, -0.015
    hub = np.array([[0.0, 0.012, 0.0]])
    vertices, triangles = grid(rings, wrap=True)
    i = np.arange(sides)
    cap = np.stack([i + 3 * sides, (i + 1) % sides + 3 * sides, np.full(sides, 4 * sides)], 1)
    roles = np.full(len(triangles), ROLE["tyre"], np.int16)
    roles[4 * sides :] = ROLE["rim"]
    face = np.where(i % 3 == 0, ROLE["trim"], ROLE["rim"]) if spokes else np.full(sides, ROLE["rim"])
    triangles = np.concatenate([triangles, cap])
    roles = np.concatenate([roles, face])
    vertices = np.concatenate([vertices, hub])
    copies = [(vertices * [1, s, 1] + [x, s * track / 2, radius]) for x in axles for s in (1, -1)]
    shape.batch(np.array(copies), triangles, role=np.tile(roles, (len(copies), 1)))


def add_lamps(shape: Shape, x: float, forward: float, y: float, z: float, size, role: str, depth: float = 0.3) -> None:
    """A pair of lamps whose faces stand 1 cm proud of x; forward +1 (front) or -1 (rear). size (width, height)."""
    centre = [(x + forward * (0.012 - depth / 2), side * y, z) for side in (1, -1)]
    shape.box(centre, (depth, size[0], size[1]), role=role)
