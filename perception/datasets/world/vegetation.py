"""Trees, bushes and hedges. Crowns are clouds of leaf cards around a few dark cores: ragged outlines, holes of sky, few triangles.

Templates with the trunk's foot at the origin (not centred). Roles: bark, leaf, leaf2, flower.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.shapes import grid
from perception.datasets.world.templates import Shape, Template, maker

TREES = ("broadleaf", "round_tree", "poplar", "conifer", "pine", "palm", "birch", "bare")


def _cards(rng, shape: Shape, centres: np.ndarray, size, role: str, droop: float = 0.0) -> None:
    """One randomly turned leaf-cluster triangle pair (a bent quad) per centre (K, 3); size scalar or (K,)."""
    count = len(centres)
    size = np.broadcast_to(np.asarray(size, float), (count,))[:, None]
    a = rng.normal(size=(count, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(a, rng.normal(size=(count, 3)))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    a, b = a * size * rng.uniform(0.6, 1.2, (count, 1)), b * size * rng.uniform(0.4, 0.9, (count, 1))
    b[:, 2] -= droop * size[:, 0]
    corners = np.stack([centres - a, centres - b * 0.8, centres + a, centres + b], 1)
    shape.quad(corners, role=role, local=corners + rng.uniform(0, 3, (count, 1, 3)))


def _ball(rng, count: int, shell: float = 0.6) -> np.ndarray:
    """Points in the unit ball, most of them between `shell` and 1 of the radius."""
    p = rng.normal(size=(count, 3))
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    return p * rng.uniform(shell, 1.0, (count, 1))


def _trunk(rng, shape: Shape, height: float, thick: float, lean: float = 0.03) -> np.ndarray:
    """A slightly crooked trunk; returns its top."""
    steps = 3
    points = np.zeros((steps + 1, 3))
    points[:, 2] = np.linspace(-0.3, height, steps + 1)
    points[1:, :2] = np.cumsum(rng.normal(0, lean * height / steps, (steps, 2)), 0)
    sizes = thick * np.linspace(1.15, 0.7, steps + 1)
    for k in range(steps):
        shape.tube(points[k], points[k + 1], sizes[k], sides=7, taper=sizes[k + 1] / sizes[k], caps=False, role="bark")
    return points[-1]


def _clumps(rng, shape: Shape, centres, radii, cards: float, size: float, role="leaf", core: float = 0.72) -> None:
    """Leafy clumps: a dark jittered core each, with cards around it."""
    centres, radii = np.asarray(centres, float), np.asarray(radii, float).reshape(-1, 1)
    squash = np.array([1, 1, rng.uniform(0.7, 0.95)])
    shape.blob(rng, centres, radii * 2 * core * squash, 0.3, 0, role="leaf2")
    share = np.maximum((cards * radii[:, 0] ** 2 / (radii**2).sum()).astype(int), 4)
    points = [c + _ball(rng, n, 0.65) * r * squash for c, r, n in zip(centres, radii, share, strict=True)]
    points = np.concatenate(points)
    # The lit upper side shows the lighter leaf, the underside the darker one.
    upper = rng.random(len(points)) < 0.65
    _cards(rng, shape, points[upper], size * rng.uniform(0.7, 1.3, int(upper.sum())), role)
    _cards(rng, shape, points[~upper], size * rng.uniform(0.7, 1.3, int((~upper).sum())), "leaf2")


def _branches(shape: Shape, start, ends, thick: float) -> None:
    shape.tube(np.broadcast_to(start, np.shape(ends)), ends, thick, sides=4, taper=0.4, caps=False, role="bark")


def _crowned(rng, shape: Shape, few: float, large: float, kind: str) -> None:
    """Broad crowns on a clear trunk; a round tree is clipped to a ball."""
    u = rng.uniform
    height = u(6, 13) if kind != "round_tree" else u(4, 7)
    clear = height * u(0.2, 0.38)
    spread = height * (u(0.25, 0.38) if kind != "birch" else u(0.16, 0.22))
    top = _trunk(rng, shape, clear + height * 0.2, height * u(0.025, 0.04))
    count = int(rng.integers(7, 13)) if kind != "round_tree" else 2
    middle = np.array([top[0], top[1], (clear + height) / 2])
    half = (height - clear) / 2
    if kind == "round_tree":
        centres, radii = [middle, middle + [0, 0, 0.1]], [min(spread, half)] * 2
    else:
        centres = middle + _ball(rng, count, 0.3) * np.array([spread, spread, half]) * 0.7
        radii = u(0.32, 0.55, count) * spread
    _branches(shape, top - [0, 0, height * 0.2], np.asarray(centres), height * 0.014)
    _clumps(rng, shape, centres, radii, 420 * few, spread * u(0.11, 0.16) * large)


def _poplar(rng, shape: Shape, few: float, large: float) -> None:
    """A slender column."""
    u = rng.uniform
    height = u(8, 16)
    _trunk(rng, shape, height * 0.6, height * 0.022)
    z = np.linspace(height * 0.2, height * 0.93, 7)
    radii = height * 0.1 * np.sin(np.linspace(0.5, 2.8, 7)) + 0.2
    centres = np.stack([rng.normal(0, 0.15, 7), rng.normal(0, 0.15, 7), z], 1)
    _clumps(rng, shape, centres, radii, 380 * few, height * 0.035 * large)


def _conifer(rng, shape: Shape, few: float, large: float) -> None:
    """A cone of twigs."""
    u = rng.uniform
    height, width = u(6, 15), u(0.16, 0.26)
    _trunk(rng, shape, height * 0.9, height * 0.02, 0.005)
    foot = height * u(0.05, 0.2)
    cards = int(420 * few)
    level = rng.random(cards) ** 0.7
    angle = rng.uniform(0, 2 * np.pi, cards)
    radius = width * height * (1.02 - level) * rng.uniform(0.55, 1.05, cards)
    points = np.stack([np.cos(angle) * radius, np.sin(angle) * radius, foot + level * (height - foot)], 1)
    _cards(rng, shape, points, height * 0.055 * large * (1.25 - level), "leaf", 0.35)
    for k in range(4):
        z = foot + (height - foot) * k / 4
        size = 2 * width * height * (1 - k / 4) * 0.75
        shape.cone((0, 0, z + (height - z) * 0.45), (size, size, (height - z) * 0.9), sides=7, role="leaf2")


def _pine(rng, shape: Shape, few: float, large: float) -> None:
    """Flat clumps on a high trunk."""
    u = rng.uniform
    height = u(9, 16)
    top = _trunk(rng, shape, height * 0.85, height * 0.028)
    count = int(rng.integers(4, 8))
    centres = np.stack(
        [
            rng.normal(0, height * 0.1, count),
            rng.normal(0, height * 0.1, count),
            height * rng.uniform(0.62, 0.95, count),
        ],
        1,
    )
    _branches(shape, top * 0.75, centres, height * 0.012)
    _clumps(rng, shape, centres, u(0.09, 0.15, count) * height, 330 * few, height * 0.035 * large, core=0.6)


def _palm(rng, shape: Shape) -> None:
    """Leaves around the top of a bare trunk."""
    u = rng.uniform
    height = u(5, 11)
    top = _trunk(rng, shape, height, height * 0.035, 0.05)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(11, 17)), endpoint=False) + rng.normal(0, 0.15):
        reach, rise = u(1.6, 2.6), u(0.1, 1.0)
        s = np.linspace(0, 1, 6)
        spine = np.stack([s * reach, np.zeros(6), rise * s - (0.9 + rise) * s**2 * 1.1], 1)
        wide = np.sin(np.pi * np.clip(s + 0.12, 0, 1))[:, None] * np.array([[0, 0.33, -0.1]])
        rows = np.stack([spine + wide, spine, spine + wide * [1, -1, 1]], 1)
        c, n = np.cos(angle), np.sin(angle)
        rows = np.stack([c * rows[..., 0] - n * rows[..., 1], n * rows[..., 0] + c * rows[..., 1], rows[..., 2]], -1)
        shape.mesh(*grid(rows + top), role="leaf" if rng.random() < 0.7 else "leaf2")


def _bare(rng, shape: Shape) -> None:
    """Branches and twigs without leaves."""
    u = rng.uniform
    height = u(5, 12)
    top = _trunk(rng, shape, height * 0.45, height * 0.03)
    tips = top + np.stack(
        [rng.normal(0, 0.22 * height, 9), rng.normal(0, 0.22 * height, 9), height * rng.uniform(0.2, 0.5, 9)], 1
    )
    _branches(shape, top - [0, 0, height * 0.08], tips, height * 0.012)
    for share in (0.4, 0.65, 0.9):
        base = top - [0, 0, height * 0.08]
        start = np.repeat(base + (tips - base) * share, 5, 0)
        end = start + rng.normal(0, 0.09 * height, start.shape) + [0, 0, 0.08 * height]
        shape.tube(start, end, height * 0.005, sides=3, taper=0.3, caps=False, role="bark")
        twig = end + rng.normal(0, 0.05 * height, start.shape) + [0, 0, 0.03 * height]
        shape.tube(end, twig, height * 0.003, sides=3, taper=0.3, caps=False, role="bark")


def _tree(rng, kind: str, coarse: bool = False) -> Template:
    few, large = (0.22, 1.9) if coarse else (0.72, 1.1)  # share of the leaf cards, and their size to make up for it
    shape = Shape()
    if kind == "palm":
        _palm(rng, shape)
    elif kind == "bare":
        _bare(rng, shape)
    elif kind in ("poplar", "conifer", "pine"):
        {"poplar": _poplar, "conifer": _conifer, "pine": _pine}[kind](rng, shape, few, large)
    else:
        _crowned(rng, shape, few, large, kind)
    return shape.template(kind, centred=False)


for _kind in TREES:
    maker(_kind)(lambda rng, variant, _kind=_kind: _tree(rng, _kind))
    maker(_kind + "_far")(lambda rng, variant, _kind=_kind: _tree(rng, _kind, coarse=True))


@maker("bush_far")
def _bush_far(rng, variant: int) -> Template:
    return _bush(rng, variant, 0.3)


@maker("bush")
def _bush(rng, variant: int, few: float = 1.0) -> Template:
    shape = Shape()
    count = int(rng.integers(2, 5))
    size = rng.uniform(0.4, 1.0)
    centres = np.stack(
        [rng.normal(0, 0.5 * size, count), rng.normal(0, 0.5 * size, count), rng.uniform(0.35, 0.7, count) * size], 1
    )
    _clumps(
        rng, shape, centres, rng.uniform(0.5, 0.8, count) * size, 90 * few, (0.17 * size + 0.05) * few**-0.4, core=0.85
    )
    if variant % 3 == 0:
        points = centres[0] + _ball(rng, 40, 0.9) * size
        _cards(rng, shape, points[points[:, 2] > 0.2], 0.07, "flower")
    return shape.template("bush", centred=False)


@maker("hedge")
def _hedge(rng, variant: int) -> Template:
    """A clipped hedge of 2 x 0.7 x 1 m, to be strung along x."""
    shape = Shape()
    shape.blob(rng, [(x, 0, 0.5) for x in (-0.75, 0, 0.75)], (0.9, 0.68, 1.0), 0.05, 0, role="leaf2")
    shape.box((0, 0, 0.48), (2.0, 0.62, 0.96), role="leaf")
    points = rng.uniform((-1.0, -0.38, 0.05), (1.0, 0.38, 1.05), (70, 3))
    face = rng.integers(0, 3, 70)
    points[face == 0, 1] = 0.34
    points[face == 1, 1] = -0.34
    points[face == 2, 2] = 1.0
    _cards(rng, shape, points, 0.14, "leaf")
    return shape.template("hedge", centred=False)


@maker("tuft")
def _tuft(rng, variant: int) -> Template:
    """Tall grass."""
    shape = Shape()
    count = 26
    foot = np.concatenate([rng.normal(0, 0.22, (count, 2)), np.zeros((count, 1))], 1)
    tip = foot + np.concatenate([rng.normal(0, 0.16, (count, 2)), rng.uniform(0.15, 0.5, (count, 1))], 1)
    side = np.concatenate([rng.normal(0, 0.03, (count, 2)), np.zeros((count, 1))], 1)
    corners = np.stack([foot - side, foot + side, tip, tip - side * 0.2], 1)
    shape.quad(corners, role="leaf")
    return shape.template("tuft", centred=False)
