"""Construction vehicles: excavators, wheel loaders, backhoes, rollers, dumpers, forklifts, mobile cranes."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.loft import add_wheels
from perception.datasets.world.shapes import extrude
from perception.datasets.world.templates import Shape, Template, maker


def _cab(shape: Shape, x: float, y: float, z: float, size) -> None:
    """Glass box with corner posts and a roof; z is its floor."""
    lx, ly, lz = size
    shape.box((x, y, z + lz * 0.55), (lx * 0.94, ly * 0.94, lz * 0.8), role="glass")
    shape.box(
        [(x + a * lx / 2, y + b * ly / 2, z + lz / 2) for a in (1, -1) for b in (1, -1)], (0.09, 0.09, lz), role="trim"
    )
    shape.bevelled_box((x, y, z + lz), (lx * 1.1, ly * 1.1, 0.12), role="paint")
    shape.box((x, y, z + lz * 0.12), (lx, ly, lz * 0.26), role="paint")


def _beam(shape: Shape, points, thickness: float, width: float) -> None:
    """A jointed arm in the xz plane through `points` (K, 2)."""
    for (ax, az), (bx, bz) in zip(points[:-1], points[1:], strict=True):
        d = np.array([bx - ax, bz - az])
        n = np.array([-d[1], d[0]]) / np.linalg.norm(d) * thickness / 2
        p = np.array([[ax, az] - n, [bx, bz] - n * 0.7, [bx, bz] + n * 0.7, [ax, az] + n])
        shape.mesh(*extrude(p, width), role="paint")
    shape.tube(
        [(x, -width * 0.6, z) for x, z in points],
        [(x, width * 0.6, z) for x, z in points],
        thickness * 0.7,
        role="trim",
    )


def _excavator(rng, shape: Shape) -> None:
    u = rng.uniform
    s = u(0.55, 1.1)
    track = np.array([[-1.9, 0.35], [-1.55, 0.0], [1.55, 0.0], [1.9, 0.35], [1.6, 0.85], [-1.6, 0.85]]) * s
    for side in (1, -1):
        v, t = extrude(track, 0.55 * s)
        shape.mesh(v + np.float32([0, side * 1.1 * s, 0]), t, role="tyre")
        shape.box((0, side * 1.1 * s, 0.45 * s), (3.0 * s, 0.6 * s, 0.3 * s), role="trim")
    shape.cylinder((0, 0, 0.95 * s), (1.6 * s, 1.6 * s, 0.3 * s), role="trim")
    shape.bevelled_box((-0.5 * s, 0, 1.55 * s), (3.2 * s, 2.5 * s, 0.9 * s), role="paint")
    shape.bevelled_box((-1.6 * s, 0, 1.6 * s), (1.1 * s, 2.5 * s, 1.1 * s), bevel=0.2, role="trim")
    _cab(shape, 0.7 * s, 0.75 * s, 1.3 * s, (1.5 * s, 0.95 * s, 1.6 * s))
    lift, fold = u(0.5, 1.1), u(-1.5, -0.7)
    a = np.array([0.8, 1.6])
    b = a + 2.3 * np.array([np.cos(lift), np.sin(lift)])
    c = b + 2.2 * np.array([np.cos(lift * 0.1), np.sin(lift * 0.1 - 0.1)])
    d = c + 2.1 * np.array([np.cos(fold), np.sin(fold)])
    d[1] = max(d[1], 0.7)
    _beam(shape, np.array([a, b, c, d]) * s, 0.45 * s, 0.35 * s)
    shape.tube(
        ((a[0] + 0.4) * s, 0, (a[1] - 0.1) * s), tuple(np.array([b[0], 0, b[1] - 0.2]) * s), 0.16 * s, role="chrome"
    )
    bucket = np.array([[0.2, 0.3], [-0.6, 0.1], [-0.7, -0.45], [0.0, -0.6], [0.45, -0.2]]) * s + d * s
    shape.mesh(*extrude(bucket, 1.0 * s), role="trim")


def _loader(rng, shape: Shape, backhoe: bool) -> None:
    u = rng.uniform
    s = u(0.75, 1.15)
    add_wheels(shape, [-1.3 * s, 1.3 * s], 2.3 * s, 0.68 * s, 0.5 * s, spokes=False)
    shape.bevelled_box((-1.4 * s, 0, 1.35 * s), (2.3 * s, 1.6 * s, 0.9 * s), bevel=0.15, role="paint")
    shape.bevelled_box((0.7 * s, 0, 1.0 * s), (2.0 * s, 1.1 * s, 0.7 * s), role="paint")
    _cab(shape, -0.1 * s, 0, 1.2 * s, (1.4 * s, 1.4 * s, 1.7 * s))
    height = u(0.4, 1.6)
    for side in (1, -1):
        v, t = extrude(np.array([[0.9, 1.3], [2.9, height - 0.1], [3.0, height + 0.15], [0.9, 1.6]]) * s, 0.2 * s)
        shape.mesh(v + np.float32([0, side * 0.55 * s, 0]), t, role="paint")
    scoop = np.array([[2.8, height + 0.5], [2.7, height - 0.35], [3.7, height - 0.4], [3.0, height - 0.2]]) * s
    shape.mesh(*extrude(scoop, 2.5 * s), role="trim")
    if backhoe:
        _beam(shape, np.array([[-2.3, 1.2], [-3.0, 2.8], [-3.9, 1.6], [-3.7, 0.8]]) * s, 0.35 * s, 0.3 * s)
        shape.mesh(*extrude(np.array([[-3.9, 1.0], [-4.1, 0.5], [-3.6, 0.3], [-3.4, 0.8]]) * s, 0.6 * s), role="trim")
    shape.cylinder((-1.8 * s, 0.4 * s, 2.1 * s), (0.14, 0.14, 0.7 * s), role="trim")
    shape.cylinder((-0.1 * s, 0, 3.05 * s), (0.2, 0.2, 0.2), role="indicator")


def _roller(rng, shape: Shape) -> None:
    s = rng.uniform(0.6, 1.0)
    shape.tube((1.5 * s, -1.0 * s, 0.7 * s), (1.5 * s, 1.0 * s, 0.7 * s), 1.4 * s, sides=20, role="metal")
    shape.box([(1.2 * s, side * 1.1 * s, 0.75 * s) for side in (1, -1)], (2.0 * s, 0.12 * s, 0.3 * s), role="paint")
    if rng.random() < 0.5:
        add_wheels(shape, [-1.4 * s], 2.0 * s, 0.7 * s, 0.5 * s, spokes=False)
    else:
        shape.tube((-1.4 * s, -1.0 * s, 0.7 * s), (-1.4 * s, 1.0 * s, 0.7 * s), 1.4 * s, sides=20, role="metal")
    shape.bevelled_box((-0.9 * s, 0, 1.35 * s), (2.4 * s, 1.4 * s, 0.8 * s), bevel=0.15, role="paint")
    _cab(shape, 0.2 * s, 0, 1.1 * s, (1.2 * s, 1.4 * s, 1.7 * s))


def _dumper(rng, shape: Shape) -> None:
    s = rng.uniform(0.5, 1.0)
    add_wheels(shape, [-1.4 * s, 1.4 * s], 2.3 * s, 0.65 * s, 0.5 * s, spokes=False)
    shape.box((0, 0, 0.8 * s), (4.2 * s, 1.0 * s, 0.4 * s), role="trim")
    skip = np.array([[0.0, 1.0], [2.2, 1.1], [2.7, 1.9], [-0.3, 2.1]]) * s
    shape.mesh(*extrude(skip, 2.2 * s), role="paint")
    shape.blob(rng, (1.1 * s, 0, 2.0 * s), (2.2 * s, 1.8 * s, 0.8 * s), 0.15, role="concrete")
    shape.bevelled_box((-1.5 * s, 0, 1.2 * s), (1.6 * s, 1.7 * s, 0.8 * s), role="paint")
    _cab(shape, -0.9 * s, 0, 1.5 * s, (1.1 * s, 1.3 * s, 1.5 * s))


def _forklift(rng, shape: Shape) -> None:
    add_wheels(shape, [-0.7, 0.7], 1.2, 0.34, 0.25, spokes=False)
    shape.bevelled_box((-0.35, 0, 0.75), (1.6, 1.1, 0.8), bevel=0.15, role="paint")
    posts = [(x, y, 1.6) for x in (-0.7, 0.5) for y in (-0.5, 0.5)]
    shape.box(posts, (0.08, 0.08, 1.3), role="trim")
    shape.box((-0.1, 0, 2.25), (1.4, 1.1, 0.08), role="trim")
    high = rng.uniform(2.0, 3.2)
    shape.box([(1.15, y, high / 2) for y in (-0.35, 0.35)], (0.14, 0.12, high), role="trim")
    fork = rng.uniform(0.12, 0.9)
    shape.box([(1.7, y, fork) for y in (-0.25, 0.25)], (1.1, 0.12, 0.06), role="metal")
    if rng.random() < 0.5:
        shape.box((1.75, 0, fork + 0.5), (1.0, 1.0, 0.9), role="wood")


def _crane(rng, shape: Shape) -> None:
    u = rng.uniform
    length = u(7, 10)
    add_wheels(shape, list(np.linspace(-length / 2 + 1, length / 2 - 1, 4)), 2.6, 0.6, 0.5)
    shape.bevelled_box((0, 0, 1.2), (length, 2.5, 0.7), bevel=0.08, role="paint")
    _cab(shape, length / 2 - 0.9, 0, 1.2, (1.6, 2.4, 1.3))
    shape.bevelled_box((-0.8, 0, 2.1), (3.0, 2.2, 1.1), role="paint2")
    _cab(shape, 0.9, 0.8, 1.6, (1.3, 0.8, 1.4))
    tip = np.array([length * 0.6, 2.6 + u(0.5, 5.0)])
    _beam(shape, np.array([[-1.8, 2.8], tip]), 0.65, 0.55)
    shape.box((tip[0], 0, tip[1] - 1.0), (0.05, 0.05, 1.8), role="trim")


@maker("construction_vehicle")
def _machine(rng, variant: int) -> Template:
    kinds = ("excavator", "loader", "backhoe", "roller", "excavator", "dumper", "forklift", "crane")
    kind = kinds[variant % len(kinds)]
    shape = Shape()
    if kind in ("loader", "backhoe"):
        _loader(rng, shape, kind == "backhoe")
    else:
        {"excavator": _excavator, "roller": _roller, "dumper": _dumper, "forklift": _forklift, "crane": _crane}[kind](
            rng, shape
        )
    return shape.template(kind)
