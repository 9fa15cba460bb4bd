"""People: bodies of tapered limbs in walking, standing, sitting and riding poses; adults and children.

A skeleton of joints is bent by a few angles; limbs are tubes with round joints, the trunk is a lofted surface, so silhouettes have
waists, shoulders, necks and feet. Frame: x forward, y left, z up; feet near z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.datasets.world.shapes import grid
from perception.datasets.world.templates import Shape, Template, maker


@dataclass
class Pose:
    """Angles in radians, positive swings forward; pairs are (left, right). lean: trunk forward; turn: head yaw; spread: arms out."""

    hips: tuple[float, float] = (0.0, 0.0)
    knees: tuple[float, float] = (0.0, 0.0)  # bend backwards
    shoulders: tuple[float, float] = (0.0, 0.0)
    elbows: tuple[float, float] = (0.1, 0.1)  # bend forwards
    lean: float = 0.0
    turn: float = 0.0
    spread: float = 0.1
    stance: float = 0.0  # legs apart


def walking(rng: np.random.Generator) -> Pose:
    """A random phase of a stride."""
    phase = rng.uniform(0, 2 * np.pi)
    stride = rng.uniform(0.25, 0.6)
    s = np.sin(phase)
    knees = [max(0.05, 0.9 * stride * (0.5 - a * np.cos(phase)) + 0.1) for a in (1, -1)]
    if rng.random() < 0.12:
        shoulders, elbows = (0.6, s * stride), (1.6, 0.3)  # phone in a hand
    else:
        shoulders, elbows = (-s * stride * 0.8, s * stride * 0.8), (0.25, 0.25)
    return Pose(
        (s * stride, -s * stride), (knees[0], knees[1]), shoulders, elbows, rng.uniform(0, 0.1), rng.normal(0, 0.3)
    )


def standing(rng: np.random.Generator) -> Pose:
    """Resting, arms down, crossed or holding something."""
    kind = int(rng.integers(4))
    shoulders = ((0.05, -0.05), (0.5, 0.5), (0.7, 0.0), (0.3, 0.3))[kind]
    elbows = ((0.1, 0.15), (1.7, 1.7), (1.8, 0.1), (1.2, 1.2))[kind]
    return Pose(
        (0.03, -0.03),
        (0.03, 0.03),
        shoulders,
        elbows,
        rng.uniform(-0.02, 0.06),
        rng.normal(0, 0.5),
        0.1,
        rng.uniform(0, 0.12),
    )


def add_person(
    rng,
    shape: Shape,
    height: float,
    pose: Pose,
    at=(0.0, 0.0, 0.0),
    child: bool = False,
    ground: bool = True,
    helmet: bool = False,
) -> dict:
    """Add a body with its pelvis above `at` (or standing on z = at[2] when `ground`). Returns joint positions."""
    u = rng.uniform
    build = u(0.88, 1.22) if not child else u(0.9, 1.1)
    h = height
    thigh, shin = 0.245 * h, 0.245 * h
    trunk = 0.30 * h
    head = (0.13 if not child else 0.13 + 0.07 * np.clip((1.5 - h) / 0.6, 0, 1)) * h
    pelvis = np.array([0.0, 0.0, 0.0])

    def swing(angle, length):
        return np.array([np.sin(angle), 0.0, -np.cos(angle)]) * length

    joints: dict[str, np.ndarray] = {}
    for side, (sign, hip, knee) in enumerate(((1, pose.hips[0], pose.knees[0]), (-1, pose.hips[1], pose.knees[1]))):
        top = pelvis + [0, sign * 0.052 * h, 0]
        middle = top + swing(hip, thigh) + [0, sign * pose.stance * 0.5 * thigh, 0]
        foot = middle + swing(hip - knee, shin) + [0, sign * pose.stance * 0.3 * shin, 0]
        joints[f"hip{side}"], joints[f"knee{side}"], joints[f"foot{side}"] = top, middle, foot
    tilt = np.array([np.sin(pose.lean), 0, np.cos(pose.lean)])
    chest = pelvis + tilt * trunk
    neck = chest + tilt * 0.03 * h
    for side, (sign, swing_angle, elbow) in enumerate(
        ((1, pose.shoulders[0], pose.elbows[0]), (-1, pose.shoulders[1], pose.elbows[1]))
    ):
        top = chest + [0, sign * 0.108 * h * build**0.5, -0.02 * h]
        out = np.array([0, sign * pose.spread, 0])
        middle = top + swing(swing_angle + pose.lean * 0.3, 0.17 * h) + out * 0.17 * h
        hand = middle + swing(swing_angle + elbow, 0.15 * h) + out * 0.05 * h
        joints[f"shoulder{side}"], joints[f"elbow{side}"], joints[f"hand{side}"] = top, middle, hand
    joints["pelvis"], joints["chest"], joints["neck"] = pelvis, chest, neck
    joints["head"] = neck + [0.015 * h + pose.lean * 0.03, 0, head * 0.5]
    drop = -min(joints["foot0"][2], joints["foot1"][2]) + 0.035 * h if ground else 0.0
    shift = np.array(at, float) + [0, 0, drop]
    joints = {name: p + shift for name, p in joints.items()}
    _draw(rng, shape, joints, h, build, head, pose, helmet)
    return joints


def _tube(shape, a, b, thick, taper, role) -> None:
    shape.tube(a, b, thick, sides=4 if shape.coarse else 6, taper=taper, caps=False, role=role)
    if not shape.coarse:
        shape.sphere(a, thick * 1.0, level=0, role=role)


def _draw(rng, shape, j, h, build, head, pose, helmet) -> None:
    skirt = rng.random() < 0.13 and not helmet
    coat = rng.random() < 0.22 and not helmet
    _limbs(rng, shape, j, h, build, skirt)
    _trunk(rng, shape, j, h, build, skirt, coat)
    _head(rng, shape, j, h, head, pose, helmet)
    if not helmet:
        _carried(rng, shape, j, h)


def _limbs(rng, shape, j, h, build, skirt) -> None:
    short_legs = rng.random() < 0.15
    short_arms = rng.random() < 0.3
    leg = 0.085 * h * build
    for s in (0, 1):
        bare = "skin" if short_legs or (skirt and rng.random() < 0.7) else "bottom"
        _tube(shape, j[f"hip{s}"], j[f"knee{s}"], leg * 1.12, 0.78, "bottom")
        _tube(shape, j[f"knee{s}"], j[f"foot{s}"], leg * 0.85, 0.72, bare)
        forward = j[f"foot{s}"] + [0.055 * h, 0, -0.015 * h]
        shape.bevelled_box(forward - [0.022 * h, 0, 0.0], (0.15 * h, 0.058 * h, 0.045 * h), bevel=0.25, role="shoes")
        arm = 0.058 * h * build
        _tube(shape, j[f"shoulder{s}"], j[f"elbow{s}"], arm, 0.85, "top")
        _tube(shape, j[f"elbow{s}"], j[f"hand{s}"], arm * 0.85, 0.75, "skin" if short_arms else "top")
        shape.box(j[f"hand{s}"], (0.045 * h, 0.035 * h, 0.055 * h), role="skin")


def _trunk(rng, shape, j, h, build, skirt, coat) -> None:
    """Rings of an ellipse from hip to neck; a skirt is a cone of them below."""
    base, top = j["pelvis"], j["chest"]
    hem = -0.10 if not coat else -0.28
    if skirt:
        hem = -0.02
    shares = np.array([hem, 0.0, 0.3, 0.62, 0.88, 1.0, 1.06])
    wide = np.array([0.098, 0.097, 0.09, 0.105, 0.118, 0.08, 0.034]) * h * build
    deep = np.array([0.072, 0.072, 0.066, 0.075, 0.068, 0.048, 0.034]) * h * build
    if hem < -0.1:
        wide[0], deep[0] = wide[0] * 1.2, deep[0] * 1.45
    sides = 6 if shape.coarse else 10
    angle = np.arange(sides) * (2 * np.pi / sides)
    centre = base + (top - base) * shares[:, None]
    rings = np.stack(
        [
            centre[:, :1] + deep[:, None] * np.cos(angle),
            centre[:, 1:2] + wide[:, None] * np.sin(angle),
            centre[:, 2:] + 0 * angle,
        ],
        2,
    )
    shape.mesh(*grid(rings, wrap=True), role="top")
    if skirt:
        knee = (j["knee0"] + j["knee1"]) / 2
        length = rng.uniform(0.6, 1.5)
        rows = base + (knee - base) * np.array([-0.05, 0.5, 1.0])[:, None] * length
        size = np.array([0.09, 0.115, 0.14 + 0.02 * length]) * h
        rings = np.stack([rows[:, :1] + size[:, None] * np.cos(angle), rows[:, 1:2] + size[:, None] * np.sin(angle), rows[:, 2:] + 0 * angle], 2)  # fmt: skip
        shape.mesh(*grid(rings[::-1], wrap=True), role="bottom")


def _head(rng, shape, j, h, head, pose, helmet) -> None:
    """Neck and head with a helmet, a hat, hair or none of them."""
    shape.tube(j["neck"] - [0, 0, 0.02 * h], j["neck"] + [0.01 * h, 0, head * 0.3], 0.06 * h, sides=7, role="skin")
    at = j["head"] + [0, 0, head * 0.06]
    shape.sphere(at, (head * 0.86, head * 0.72, head), level=0 if shape.coarse else 1, role="skin")
    ball = 0 if shape.coarse else 1
    turn = np.array([np.cos(pose.turn), np.sin(pose.turn), 0])
    shape.sphere(at + turn * head * 0.43, head * 0.14, level=0, role="skin")
    if helmet:
        shape.sphere(at + [0, 0, head * 0.12], (head * 1.15, head * 1.0, head * 0.95), level=ball, role="hat")
        return
    cover = rng.random()
    if cover < 0.14:  # cap
        shape.sphere(at + [0, 0, head * 0.2], (head * 0.95, head * 0.82, head * 0.7), level=ball, role="hat")
        shape.box(at + turn * head * 0.5 + [0, 0, head * 0.2], (head * 0.4, head * 0.5, head * 0.05), role="hat")
    elif cover < 0.24:  # woollen hat or hood
        shape.sphere(
            at + [-head * 0.05, 0, head * 0.12], (head * 0.98, head * 0.88, head * 0.9), level=ball, role="hat"
        )
    elif cover < 0.95:
        shape.sphere(
            at - turn * head * 0.08 + [0, 0, head * 0.1],
            (head * 0.93, head * 0.8, head * 0.92),
            level=ball,
            role="hair",
        )
        if rng.random() < 0.35:
            shape.sphere(
                at - turn * head * 0.25 - [0, 0, head * 0.25],
                (head * 0.6, head * 0.75, head * 1.1),
                level=ball,
                role="hair",
            )


def _carried(rng, shape, j, h) -> None:
    """Sometimes a bag or an umbrella."""
    base, top = j["pelvis"], j["chest"]
    thing = rng.random()
    if thing < 0.16:  # rucksack
        shape.bevelled_box(
            base + (top - base) * 0.62 - [0.1 * h, 0, 0], (0.1 * h, 0.17 * h, 0.25 * h), bevel=0.25, role="bag"
        )
    elif thing < 0.28:  # shopping bag
        shape.bevelled_box(j["hand0"] - [0, 0, 0.11 * h], (0.16 * h, 0.07 * h, 0.18 * h), role="bag")
    elif thing < 0.36:  # shoulder bag
        shape.bevelled_box(base + [0, 0.13 * h, 0.0], (0.15 * h, 0.06 * h, 0.13 * h), role="bag")
        shape.tube(base + [0, 0.13 * h, 0.05 * h], top + [0, -0.05 * h, 0], 0.02 * h, sides=4, role="bag")
    elif thing < 0.39:  # umbrella
        hand = j["hand0"]
        top_point = np.array([hand[0], hand[1], j["head"][2] + 0.25 * h])
        shape.tube(hand, top_point, 0.02, sides=4, role="trim")
        shape.cone(top_point, (0.95, 0.95, 0.25), sides=8, role="bag")


@maker("person")
def _person(rng, variant: int, coarse: bool = False) -> Template:
    shape = Shape()
    shape.coarse = coarse
    height = float(np.clip(rng.normal(1.71, 0.09), 1.5, 1.98))
    pose = walking(rng) if variant % 5 else standing(rng)
    add_person(rng, shape, height, pose)
    if variant % 11 == 3:  # pram
        shape.bevelled_box((0.75, 0, 0.75), (0.75, 0.45, 0.35), bevel=0.3, role="child_seat")
        shape.bevelled_box((0.6, 0, 1.0), (0.4, 0.44, 0.35), bevel=0.35, role="child_seat")
        shape.tube(
            [(0.3, 0.2, 1.02), (0.3, -0.2, 1.02)], [(0.7, 0.2, 0.4), (0.7, -0.2, 0.4)], 0.03, sides=5, role="metal"
        )
        wheels = [(x, y, 0.12) for x in (0.5, 1.0) for y in (-0.22, 0.22)]
        shape.tube(wheels, [(x, y + 0.04, z) for x, y, z in wheels], 0.24, sides=10, role="tyre")
        shape.tube(
            [(0.5, 0.18, 0.2), (0.5, -0.18, 0.2)], [(0.9, 0.18, 0.65), (0.9, -0.18, 0.65)], 0.03, sides=5, role="metal"
        )
    return shape.template("standing" if variant % 5 == 0 else "walking")


@maker("child")
def _child(rng, variant: int, coarse: bool = False) -> Template:
    shape = Shape()
    shape.coarse = coarse
    pose = walking(rng) if variant % 4 else standing(rng)
    add_person(rng, shape, float(rng.uniform(0.88, 1.5)), pose, child=True)
    return shape.template("child")


for _kind, _make in (("person", _person), ("child", _child)):
    maker(_kind + "_far")(lambda rng, variant, _make=_make: _make(rng, variant, coarse=True))
