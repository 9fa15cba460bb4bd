"""People on the pavements and crossings."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.placing import Mover, Street
from perception.datasets.world.scene import Motion, Path
from perception.datasets.world.templates import template


def pedestrian(
    street: Street,
    s: float,
    d: float,
    z: float,
    standing: bool = False,
    heading: float | None = None,
    child: bool = False,
) -> bool:
    """One person on foot at (s, d); walking ones follow the pavement (heading None) or cross the road along +-d."""
    rng, kit = street.rng, street.kit
    from perception.datasets.world.classes import ID

    kind = "child" if child else "person"
    number = street.variant(40 if kind == "person" else 16)
    if standing:
        number -= number % (5 if kind == "person" else 4)
    shape = template(kind + "_far" if abs(s - 12) > 30 else kind, number)
    tall = float(np.exp(rng.normal(0, 0.035)))
    scale = (tall, tall * float(np.exp(rng.normal(0, 0.05))), tall)
    size = shape.scaled_size(scale)
    still = standing or shape.model == "standing"
    speed = 0.0
    yaw = (
        float(rng.uniform(-np.pi, np.pi))
        if still and heading is None
        else (heading if heading is not None else float(rng.integers(2)) * np.pi)
    )
    if not street.ground.claim(s, d, max(size[0], 0.6), max(size[1], 0.6), yaw, 0.05):
        return False
    mesh = kit.dress(shape, ID["person"], scale, kit.person_roles())
    if not still:
        speed = float(rng.uniform(0.8, 1.7))

    def motion(s: float, d: float, yaw: float) -> Motion:
        if still:
            return street.resting(s, d, z, yaw, size[2], tilt=False)
        return _walk(street, s, d, z, yaw, speed, size[2] / 2)

    state = "pedestrian.standing" if still else "pedestrian.moving"
    item = street.thing("person", mesh, size, motion(s, d, yaw), state, shape.model)
    street.movers.append(Mover(item, s, d, yaw, motion, person=True))
    return True


def _walk(street: Street, s: float, d: float, z: float, yaw: float, speed: float, lift: float) -> Motion:
    """Along the street, or across it where `yaw` says so."""
    if abs(np.sin(yaw)) > 0.7:
        ends = np.linspace(d - np.sign(np.sin(yaw)) * 20, d + np.sign(np.sin(yaw)) * 20, 41)
        edges = [street.layout.edge(street.layout.drive == sign) for sign in (1, -1)]
        points = street.corridor.at(s, ends, np.where((ends > edges[0]) | (ends < -edges[1]), street.layout.kerb, 0.0))
        motion = Motion(path=Path(points), start=20.0, speed=speed, lift=lift, upright=True)
        # Start exactly at (s, d): the path's height steps at the kerb change its length a little.
        motion.start = float(motion.path.along[np.argmin(np.abs(ends - d))])
        return motion
    way = street.corridor.path(d, bool(np.cos(yaw) > 0), s - 60, s + 60, z)
    return Motion(path=way, start=way.find(s), speed=speed, lift=lift, upright=True)


def people(street: Street, amount: float) -> None:
    """Pedestrians on pavements and crossings, alone, in pairs and groups."""
    rng, layout = street.rng, street.layout
    for sign, own in layout.sides():
        wide = layout.pavement[0 if own else 1]
        low = layout.edge(own) + layout.verge
        for _ in range(int(rng.poisson(amount))):
            s = float(rng.uniform(-15, 75) if rng.random() < 0.8 else rng.uniform(60, 130))
            if any(a - 1 < s < b + 1 for a, b in layout.gaps()):
                continue
            d = low + 0.5 + rng.random() * max(wide - 1.0, 0.2)
            heading = float(rng.integers(2)) * np.pi
            for k in range(1 + int(rng.random() < 0.3) + int(rng.random() < 0.1)):
                child = rng.random() < (0.1 if k == 0 else 0.35)
                pedestrian(
                    street,
                    s + rng.normal(0, 0.15),
                    sign * (d + 0.75 * k),
                    layout.kerb,
                    rng.random() < 0.15,
                    heading + rng.normal(0, 0.05),
                    child,
                )
    spots = [(z, 0.9) for z in layout.zebras] + [
        (c + side * (layout.side_width + 3.2), 0.6) for c in layout.crossings if layout.lights for side in (-1, 1)
    ]
    left, right = (layout.edge(layout.drive == s) for s in (1, -1))
    for s, chance in spots:
        while rng.random() < chance:
            chance *= 0.75
            heading = np.pi / 2 * (1 if rng.random() < 0.5 else -1)
            pedestrian(
                street,
                s + rng.uniform(-1.2, 1.2),
                float(rng.uniform(-right, left)),
                0.0,
                False,
                heading,
                rng.random() < 0.12,
            )
    if rng.random() < 0.25:  # someone crossing where there is no crossing
        pedestrian(
            street,
            float(rng.uniform(12, 60)),
            float(rng.uniform(-right, left)),
            0.0,
            False,
            np.pi / 2 * (1 if rng.random() < 0.5 else -1),
        )
