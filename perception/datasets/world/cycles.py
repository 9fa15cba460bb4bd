"""Bicycles, motorcycles and scooters, with and without riders. A rider belongs to the machine (as nuScenes counts it)."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.people import Pose, add_person
from perception.datasets.world.shapes import extrude, grid
from perception.datasets.world.templates import Shape, Template, maker


def _ring(
    shape: Shape, x: float, radius: float, tube: float, role: str, width: float | None = None, sides: int = 20
) -> None:
    """A torus in the xz plane about (x, 0, radius)."""
    angle = np.arange(sides + 1) * (2 * np.pi / sides)
    section = np.arange(4) * (2 * np.pi / 3) + np.pi
    wide = (width or tube) / 2
    r = radius - tube / 2 + tube / 2 * np.cos(section)
    points = np.empty((sides + 1, 4, 3))
    points[..., 0] = x + np.cos(angle)[:, None] * r
    points[..., 1] = wide * np.sin(section)
    points[..., 2] = radius + np.sin(angle)[:, None] * r
    shape.mesh(*grid(points), role=role)


def _tubes(shape: Shape, pairs, thick: float, role: str) -> None:
    starts, ends = zip(*pairs, strict=True)
    shape.tube(np.array(starts, float), np.array(ends, float), thick, sides=5, caps=False, role=role)


@maker("bicycle")
def _plain_bicycle(rng, variant: int) -> Template:
    shape = Shape()
    _bicycle(rng, shape)
    return shape.template("bicycle")


@maker("cyclist")
def _cyclist(rng, variant: int) -> Template:
    shape = Shape()
    seat, bar, pedal = _bicycle(rng, shape)
    sporty = rng.random() < 0.35
    height = float(np.clip(rng.normal(1.73, 0.08), 1.52, 1.95))
    phase = rng.uniform(0, 2 * np.pi)
    lean = rng.uniform(0.5, 0.8) if sporty else rng.uniform(0.12, 0.4)
    _rider(
        rng,
        shape,
        height,
        seat,
        bar,
        [pedal + 0.16 * np.array([np.cos(p), 0, np.sin(p)]) for p in (phase, phase + np.pi)],
        lean,
        rng.random() < 0.5,
    )
    return shape.template("cyclist")


def _bicycle(rng, shape: Shape):
    u = rng.uniform
    r = u(0.31, 0.36)
    base = u(0.98, 1.12)
    rear, front = -base / 2, base / 2
    tyre = u(0.03, 0.055)
    for x in (rear, front):
        _ring(shape, x, r, tyre, "rubber")
        angle = np.arange(6) * (np.pi / 6) * 2
        rim = [(x + np.cos(a) * (r - 0.03), 0, r + np.sin(a) * (r - 0.03)) for a in angle]
        shape.tube([(x, 0, r)] * 6, rim, 0.008, sides=3, role="rim")
    crank = np.array([rear + 0.44, 0, r - 0.06])
    seat = np.array([rear + 0.25, 0, r + u(0.52, 0.66)])
    head = np.array([front - 0.16, 0, r + u(0.38, 0.5)])
    bar = head + [-0.06, 0, u(0.08, 0.22)]
    axle_r, axle_f = np.array([rear, 0, r]), np.array([front, 0, r])
    seat_base = crank + (seat - crank) * 0.85
    low = crank + (seat - crank) * (0.25 if rng.random() < 0.3 else 0.8)
    _tubes(
        shape,
        [(crank, seat_base), (low, head), (crank, head - [0, 0, 0.08]), (crank, axle_r), (low, axle_r)],
        u(0.03, 0.045),
        "frame",
    )
    _tubes(
        shape,
        [(head + [-0.03, 0, 0.06], axle_f), (head, bar), (seat_base, seat)],
        0.035,
        "frame" if rng.random() < 0.5 else "trim",
    )
    _tubes(shape, [(bar + [0, -0.28, 0], bar + [0, 0.28, 0])], 0.03, "trim")
    _tubes(shape, [(bar + [0, s * 0.28, 0], bar + [-0.14, s * 0.26, -0.01]) for s in (1, -1)], 0.035, "rubber")
    shape.bevelled_box(seat + [0, 0, 0.02], (0.26, 0.14, 0.06), bevel=0.3, role="seat")
    shape.tube(crank - [0, 0.03, 0], crank + [0, 0.03, 0], 0.18, sides=10, role="trim")
    if rng.random() < 0.5:
        shape.bevelled_box(
            bar + [0.16, 0, -0.06], (0.28, 0.36, 0.24), bevel=0.1, role="bag" if rng.random() < 0.5 else "metal"
        )
    if rng.random() < 0.5:
        shape.box((rear - 0.05, 0, 2 * r + 0.08), (0.42, 0.14, 0.02), role="trim")
        shape.tube((rear - 0.1, 0, 2 * r + 0.08), (rear, 0, r), 0.025, sides=4, role="trim")
        shape.box((rear - 0.26, 0, 2 * r + 0.05), (0.02, 0.07, 0.06), role="lamp_rear")
        if rng.random() < 0.3:
            shape.bevelled_box([(rear, s * 0.16, 2 * r - 0.12) for s in (1, -1)], (0.34, 0.14, 0.34), role="bag")
        elif rng.random() < 0.2:
            shape.bevelled_box((rear - 0.02, 0, 2 * r + 0.25), (0.3, 0.32, 0.3), bevel=0.2, role="child_seat")
    return seat, bar, crank


def _rider(rng, shape, height, seat, bar, feet, lean, helmet) -> None:
    """Solve each leg and arm so that feet meet pedals and hands the bar (two-bone, in the xz plane)."""
    thigh = shin = 0.245 * height
    pelvis = seat + [0.0, 0, 0.055 * height]
    hips, knees = [], []
    for foot in feet:
        d = foot + np.array([-0.03, 0, 0.04]) - pelvis
        reach = min(np.hypot(d[0], d[2]), 0.985 * (thigh + shin))
        bend = np.arccos(np.clip(reach / (2 * thigh), -1, 1))
        direction = np.arctan2(d[0], -d[2])
        hips.append(direction + bend)
        knees.append(2 * bend)
    shoulder = pelvis + np.array([np.sin(lean), 0, np.cos(lean)]) * 0.28 * height
    d = bar - shoulder
    upper, lower = 0.17 * height, 0.165 * height
    reach = min(np.hypot(d[0], d[2]), 0.97 * (upper + lower))
    angle = np.arctan2(d[0], -d[2])
    bend = np.arccos(np.clip(reach / (upper + lower), -1, 1))
    arms = (angle - bend - 0.3 * lean,) * 2
    pose = Pose(
        (hips[0], hips[1]),
        (knees[0], knees[1]),
        arms,
        (2 * bend + 0.3 * lean,) * 2,
        lean,
        rng.normal(0, 0.2),
        0.25,
        0.12,
    )
    add_person(rng, shape, height, pose, pelvis, ground=False, helmet=helmet)


@maker("motorcycle")
def _plain_motorcycle(rng, variant: int) -> Template:
    shape = Shape()
    kind = ("road", "scooter", "sport", "cruiser")[variant % 4]
    _motorcycle(rng, shape, kind)
    return shape.template(kind)


@maker("motorcyclist")
def _motorcyclist(rng, variant: int) -> Template:
    shape = Shape()
    kind = ("road", "scooter", "sport", "cruiser")[variant % 4]
    seat, bar, pegs = _motorcycle(rng, shape, kind)
    lean = {"sport": 0.7, "road": 0.3, "scooter": 0.08, "cruiser": 0.02}[kind] + rng.uniform(0, 0.12)
    _rider(rng, shape, float(rng.uniform(1.62, 1.9)), seat, bar, [pegs, pegs], lean, True)
    if rng.random() < 0.15:
        _rider(
            rng,
            shape,
            1.68,
            seat - [0.38, 0, -0.06],
            seat + [-0.05, 0, 0.25],
            [pegs - [0.25, 0, 0]] * 2,
            lean * 0.6,
            True,
        )
    return shape.template(f"{kind}_rider")


def _motorcycle(rng, shape: Shape, kind: str):
    u = rng.uniform
    scooter = kind == "scooter"
    r = u(0.21, 0.25) if scooter else u(0.29, 0.34)
    base = u(1.2, 1.35) if scooter else (u(1.55, 1.75) if kind == "cruiser" else u(1.35, 1.48))
    rear, front = -base / 2, base / 2
    for x, width in ((rear, 0.17), (front, 0.12)):
        _ring(shape, x, r, 0.12, "rubber", width)
        shape.tube((x, -0.05, r), (x, 0.05, r), r * 1.2, sides=12, role="rim" if rng.random() < 0.6 else "trim")
    seat_z = u(0.72, 0.8) if kind != "cruiser" else u(0.62, 0.7)
    seat = np.array([rear + 0.45, 0, seat_z])
    bar = np.array([front - (0.32 if not scooter else 0.28), 0, seat_z + (0.12 if kind == "sport" else u(0.22, 0.36))])
    head = bar + [0.02, 0, -0.18]
    _tubes(shape, [((head[0], s * 0.1, head[2] + 0.08), (front, s * 0.09, r)) for s in (1, -1)], 0.055, "chrome")
    _tubes(shape, [((bar[0] - 0.04, -0.36, bar[2]), (bar[0] - 0.04, 0.36, bar[2]))], 0.035, "trim")
    _tubes(
        shape, [((bar[0] - 0.02, s * 0.3, bar[2]), (bar[0], s * 0.38, bar[2] + 0.16)) for s in (1, -1)], 0.02, "trim"
    )
    shape.bevelled_box([(bar[0], s * 0.38, bar[2] + 0.17) for s in (1, -1)], (0.04, 0.12, 0.08), role="trim")
    shape.bevelled_box((front - 0.2, 0, head[2] + 0.02), (0.16, 0.2, 0.18), bevel=0.3, role="lamp_front")
    shape.bevelled_box((rear - 0.12, 0, seat_z - 0.05), (0.12, 0.22, 0.09), role="lamp_rear")
    shape.box((rear - 0.2, 0, seat_z - 0.22), (0.02, 0.18, 0.14), role="plate")
    shape.bevelled_box((seat[0] - 0.1, 0, seat_z), (0.72, 0.28, 0.1), bevel=0.3, role="seat")
    if scooter:
        shape.bevelled_box((rear + 0.2, 0, seat_z - 0.25), (0.75, 0.32, 0.38), bevel=0.28, role="paint")
        shape.bevelled_box((0.12, 0, 0.28), (0.6, 0.34, 0.1), bevel=0.2, role="trim")
        shield = np.array(
            [[front - 0.5, 0.3], [front - 0.36, 0.3], [front - 0.14, bar[2] - 0.05], [front - 0.26, bar[2]]]
        )
        shape.mesh(*extrude(shield, 0.42), role="paint")
        pegs = np.array([0.18, 0, 0.36])
        if rng.random() < 0.4:
            shape.bevelled_box((rear + 0.1, 0, seat_z + 0.2), (0.36, 0.4, 0.34), bevel=0.15, role="bag")
    else:
        shape.bevelled_box((0.18, 0, seat_z + 0.06), (0.62, 0.34, 0.28), bevel=0.32, role="paint")
        shape.bevelled_box((0.02, 0, 0.42), (0.55, 0.36, 0.38), bevel=0.15, role="metal")
        shape.bevelled_box((rear + 0.15, 0, seat_z - 0.1), (0.7, 0.2, 0.14), bevel=0.3, role="paint")
        shape.tube((0.0, -0.2, 0.3), (rear - 0.1, -0.22, 0.36), 0.1, sides=8, role="chrome")
        shape.bevelled_box((front - 0.02, 0, 2 * r + 0.03), (0.4, 0.15, 0.06), bevel=0.3, role="paint")
        if kind == "sport":
            shape.bevelled_box((0.35, 0, seat_z - 0.1), (0.7, 0.44, 0.6), bevel=0.35, role="paint")
            shape.bevelled_box((front - 0.3, 0, bar[2] + 0.06), (0.3, 0.36, 0.24), bevel=0.35, role="glass")
        pegs = np.array([-0.05 if kind != "cruiser" else 0.35, 0, 0.36])
        if rng.random() < 0.25:
            shape.bevelled_box((rear + 0.06, 0, seat_z + 0.2), (0.4, 0.46, 0.34), bevel=0.15, role="trim")
    return seat, bar, pegs
