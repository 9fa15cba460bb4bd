"""Parked vehicles and road works."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.crowd import pedestrian
from perception.datasets.world.placing import Mover, Street
from perception.datasets.world.scene import Motion
from perception.datasets.world.templates import template
from perception.datasets.world.traffic import choose, vehicle


def park(street: Street, s: float, d: float, yaw: float, kind: str | None, z: float = 0.0) -> float:
    from perception.datasets.world.classes import ID

    category, shape, scale, lookup = vehicle(street, kind)
    size = shape.scaled_size(scale)
    if not street.ground.claim(s, d, size[0], size[1], yaw, 0.1):
        return 0.0
    state = "cycle.without_rider" if category in ("bicycle", "motorcycle") else "vehicle.parked"

    def motion(s: float, d: float, yaw: float) -> Motion:
        return street.resting(s, d, z, yaw, size[2])

    mesh = street.kit.dress(shape, ID[category], scale, lookup)
    item = street.thing(category, mesh, size, motion(s, d, yaw), state, shape.model)
    street.movers.append(Mover(item, s, d, yaw, motion))
    return size[0]


def fill_parking(street: Street) -> None:
    """Rows of parked vehicles in the parking lanes, parallel or at an angle."""
    rng, layout = street.rng, street.layout
    full = rng.uniform(0.35, 0.95)
    kinds = {"": 90, "van": 4, "truck": 2.5, "motorcycle": 2.5, "trailer": 1, "bus": 0.4}
    for sign, own in layout.sides():
        side = 0 if own else 1
        width = layout.parking[side]
        if not width:
            continue
        d = sign * (layout.edge(own) - width / 2)
        yaw0 = 0.0 if own else np.pi
        angled = layout.angled[side]
        slant = float(rng.uniform(0.9, 1.571)) if angled else 0.0
        for span in layout.spans(-36.0, 105.0, 7.0):
            s = span[0] + 2.5
            while s < span[1] - 3:
                thin = full * (1.0 if s < 70 else 0.6)
                if any(abs(s - z) < 5 for z in layout.zebras) or rng.random() > thin:
                    s += 2.8 if angled else rng.uniform(3, 6)
                    continue
                kind = choose(rng, kinds) or None
                if kind == "trailer" or (angled and kind in ("truck", "bus")):
                    kind = "van"
                if angled:
                    yaw = (-sign * slant if own else np.pi + sign * slant) + (np.pi if rng.random() < 0.3 else 0)
                    park(street, s, d, yaw + rng.normal(0, 0.03), kind)
                    s += 2.75 / max(np.sin(slant), 0.5)
                    continue
                ahead = {"truck": 4.5, "bus": 6.2}.get(kind, 2.7)
                wrong = np.pi if rng.random() < (0.06 if own else 0.06) else 0.0
                taken = park(
                    street, s + ahead, d + sign * rng.normal(0.0, 0.08), yaw0 + wrong + rng.normal(0, 0.02), kind
                )
                s += ahead + (taken / 2 if taken else 0) + abs(rng.normal(0.7, 0.5)) + 0.2


def road_works(street: Street) -> None:
    """Cones, barriers, a machine and a sign where a lane's edge is closed."""
    rng, layout = street.rng, street.layout
    from perception.datasets.world.classes import ID

    sign, own = layout.sides()[int(rng.integers(2))]
    edge = layout.edge(own)
    s0, length = float(rng.uniform(12, 45)), float(rng.uniform(10, 30))
    inner = edge - (layout.parking[0 if own else 1] or 1.0) - rng.uniform(0, 0.3)
    shape_kind = "cone" if rng.random() < 0.6 else "barrier"
    variant = street.variant(16)
    step = 2.2 if shape_kind == "cone" else 3.2
    category = "traffic_cone" if shape_kind == "cone" else "barrier"

    def put(s, d, yaw):
        shape = template(shape_kind, variant)
        scale = (1.0, 1.0, 1.0)
        size = shape.scaled_size(scale)
        if street.ground.claim(s, d, size[0], size[1], yaw, 0.03):
            mesh = street.kit.dress(shape, ID[category], scale)
            street.thing(category, mesh, size, street.resting(s, d, 0, yaw, size[2], tilt=False), "", shape.model)

    for s in np.arange(s0, s0 + length, step):
        put(float(s + rng.normal(0, 0.15)), sign * inner, np.pi / 2 + rng.normal(0, 0.05))
    for d in np.arange(inner + step * 0.5, edge, step * 0.6):
        put(s0 - 0.6, sign * float(d), rng.normal(0, 0.05))
    if rng.random() < 0.75:
        park(
            street,
            s0 + length * 0.5,
            sign * (edge + rng.uniform(-0.2, 1.5)),
            (0.0 if own else np.pi) + rng.normal(0, 0.2),
            "construction_vehicle",
        )
    for _ in range(int(rng.integers(0, 4))):
        pedestrian(street, s0 + rng.uniform(0, length), sign * (inner + rng.uniform(0.6, 1.4)), 0.0, standing=True)
    heap = (s0 + length * 0.8, sign * (edge - 0.6))
    if rng.random() < 0.4 and street.ground.claim(*heap, 3, 1.6):
        b = street.builder
        b.blob(
            rng,
            street.corridor.at(*heap, 0.0),
            (3.0, 1.8, rng.uniform(0.8, 1.8)),
            0.15,
            2,
            material=street.kit.textured("soil", "#8a7458"),
            semantic=ID["terrain"],
        )
