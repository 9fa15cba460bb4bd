"""Parcels without a building to live in: parks, car parks, building sites, squares, fields, woods."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.crowd import pedestrian
from perception.datasets.world.kerbside import lamp_post
from perception.datasets.world.mesh import pose
from perception.datasets.world.parking import park
from perception.datasets.world.plot_edges import boundary, cover
from perception.datasets.world.templates import template
from perception.datasets.world.traffic import choose


def park_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    boundary(street, greens, s0, s1, sign, front + 0.3, choose(rng, {"hedge": 3, "rails": 3, "wall": 1, "none": 4}))
    for _ in range(int((s1 - s0) * rng.uniform(0.1, 0.28))):
        greens.tree(float(rng.uniform(s0, s1)), sign * (front + float(rng.uniform(2, 30))), layout.kerb - 0.1)
    for _ in range(int(rng.poisson(4))):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + float(rng.uniform(1, 16))), layout.kerb - 0.05)
    for _ in range(int(rng.integers(0, 3))):
        street.furniture(
            "bench",
            4,
            "fence",
            float(rng.uniform(s0, s1)),
            sign * (front + 1.8),
            layout.kerb,
            np.pi / 2 * -sign,
            (0.6, 2.0),
        )
    for _ in range(int(rng.integers(0, 3))):
        pedestrian(
            street,
            float(rng.uniform(s0 + 1, s1 - 1)),
            sign * (front + float(rng.uniform(2, 8))),
            layout.kerb - 0.05,
            standing=True,
        )


def lot_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    """A car park with rows across or along."""
    rng, layout = street.rng, street.layout
    asphalt = street.kit.textured("asphalt", street.kit.vary("#6f6f70", 0.15))
    depth = float(rng.uniform(14, 34))
    cover(street, s0, s1, sign, front - 0.05, front + depth, "road", asphalt)
    z = layout.kerb + 0.015
    full = rng.uniform(0.3, 0.95)
    for row in np.arange(front + 3.2, front + min(depth - 2, 16), 8.2):
        for s in np.arange(s0 + 2, s1 - 1.5, 2.75):
            if rng.random() < full:
                kind = "van" if rng.random() < 0.06 else None
                park(
                    street,
                    float(s),
                    sign * float(row),
                    np.pi / 2 * (1 if rng.random() < 0.5 else -1) + rng.normal(0, 0.03),
                    kind,
                    z,
                )
    if rng.random() < 0.5:
        boundary(street, greens, s0 + 3, s1 - 3, sign, front + 0.25, choose(rng, {"hedge": 3, "mesh": 2, "rails": 2}))
    for _ in range(2):
        lamp_post(street, float(rng.uniform(s0 + 2, s1 - 2)), sign * (front + depth * 0.5), z, 0.0)
    _backdrop(street, greens, stock, s0, s1, sign, front + depth + 2)


def _backdrop(street, greens, stock, s0, s1, sign, d) -> None:
    """Something behind an open parcel: trees or a building."""
    rng = street.rng
    if rng.random() < 0.5:
        for s in np.arange(s0, s1, 6.0):
            greens.tree(float(s + rng.normal(0, 1.5)), sign * (d + float(rng.uniform(0, 6))), street.layout.kerb)
    elif rng.random() < 0.7:
        stock.put(stock.shape("hall"), "hall", s0, s1, sign, d)


def site_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    """A building site: fence or barriers, soil, machines, a shell."""
    rng, layout = street.rng, street.layout
    soil = street.kit.textured("soil" if rng.random() < 0.6 else "gravel", street.kit.vary("#8a7458", 0.2))
    cover(street, s0, s1, sign, front - 0.05, front + 26, "terrain", soil)
    z = layout.kerb + 0.02
    if rng.random() < 0.5:
        boundary(street, greens, s0, s1, sign, front + 0.35, "mesh" if rng.random() < 0.6 else "boards")
    else:
        variant = street.variant(16)
        shape = template("barrier", variant)
        for s in np.arange(s0 + 1.2, s1 - 1.2, shape.size[1] + 0.1):
            if street.ground.claim(float(s), sign * (front + 0.3), shape.size[0], shape.size[1], np.pi / 2, 0.0):
                street.thing(
                    "barrier",
                    street.kit.dress(shape, ID["barrier"]),
                    shape.size,
                    street.resting(float(s), sign * (front + 0.3), z, np.pi / 2, shape.size[2], False),
                    "",
                    shape.model,
                )
    for _ in range(int(rng.integers(1, 4))):
        park(
            street,
            float(rng.uniform(s0 + 4, s1 - 4)),
            sign * (front + float(rng.uniform(4, 14))),
            float(rng.uniform(-np.pi, np.pi)),
            "construction_vehicle" if rng.random() < 0.7 else "truck",
            z,
        )
    for _ in range(int(rng.integers(1, 4))):
        at = street.corridor.at(float(rng.uniform(s0 + 3, s1 - 3)), sign * (front + float(rng.uniform(8, 20))), z)
        size = rng.uniform((3, 3, 1.2), (8, 6, 4))
        street.builder.blob(rng, at, size, 0.15, 2, material=soil, semantic=ID["terrain"])
        heap = np.eye(4)
        heap[:3, 3] = at
        street.wall(heap, -0.5 * size, 0.5 * size)
    if rng.random() < 0.6:  # the concrete shell of a house to be
        b, depth, wide = street.builder, 10.0, min(s1 - s0 - 4, 18.0)
        concrete = street.kit.lookup_like("concrete")
        middle, yaw = (s0 + s1) / 2, float(street.corridor.yaw((s0 + s1) / 2))
        for k in range(int(rng.integers(1, 5))):
            b.box(
                street.corridor.at(middle, sign * (front + 15), z + 3.0 * k + 3.0),
                (wide, depth, 0.25),
                yaw,
                material=concrete,
                semantic=ID["building"],
            )
            if k == 0:
                slab = pose(street.corridor.at(middle, sign * (front + 15), z + 3.0), yaw)
                street.wall(slab, (-wide / 2, -depth / 2, -0.25), (wide / 2, depth / 2, 0.25))
            posts = [
                street.corridor.at(middle + a * wide * 0.46, sign * (front + 15 + c * depth * 0.45), z + 3.0 * k + 1.5)
                for a in (-1, -0.33, 0.33, 1)
                for c in (-1, 1)
            ]
            b.box(posts, (0.4, 0.4, 3.0), yaw, material=concrete, semantic=ID["building"])
            for post in posts if k == 0 else ():
                street.wall(pose(post, yaw), (-0.2, -0.2, -1.5), (0.2, 0.2, 1.5))


def plaza_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    depth = float(rng.uniform(8, 18))
    cover(street, s0, s1, sign, front - 0.05, front + depth, "pavement")
    z = layout.kerb + 0.015
    for _ in range(int(rng.integers(2, 8))):
        kind, count, semantic, room = (
            ("parasol", 5, "fence", (2.6, 2.6)),
            ("bench", 4, "fence", (0.8, 2.0)),
            ("board", 6, "traffic_sign", (1.2, 1.5)),
            ("bollard", 6, "pole", (0.5, 0.5)),
        )[int(rng.choice(4, p=[0.4, 0.25, 0.1, 0.25]))]
        street.furniture(
            kind,
            count,
            semantic,
            float(rng.uniform(s0 + 2, s1 - 2)),
            sign * (front + float(rng.uniform(1.5, depth - 2))),
            z,
            float(rng.uniform(0, 6.28)),
            room,
        )
    for _ in range(int(rng.poisson(4))):
        pedestrian(
            street,
            float(rng.uniform(s0 + 1, s1 - 1)),
            sign * (front + float(rng.uniform(1, depth - 1))),
            z,
            standing=rng.random() < 0.5,
            child=rng.random() < 0.15,
        )
    for s in np.arange(s0 + 4, s1 - 3, 8.0):
        if rng.random() < 0.5 and street.ground.claim(float(s), sign * (front + 3), 1.2, 1.2):
            greens.tree(float(s), sign * (front + 3), z, small=True)
    count = max(int((s1 - s0) / 15), 1)
    for k in range(count):
        a, e = s0 + (s1 - s0) * k / count, s0 + (s1 - s0) * (k + 1) / count
        stock.put(stock.shape("corner"), "block", a, e, sign, front + depth)


def field_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    if rng.random() < 0.3:
        boundary(
            street, greens, s0, s1, sign, front + 1.0, choose(rng, {"rails": 3, "mesh": 2, "hedge": 2, "pickets": 1})
        )
    for _ in range(int(rng.poisson(4))):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + 1 + float(rng.exponential(5))), layout.kerb - 0.15)
    for _ in range(int(rng.poisson(1.2))):
        greens.tree(float(rng.uniform(s0, s1)), sign * (front + 3 + float(rng.exponential(12))), layout.kerb - 0.2)
    look = greens._look()
    for _ in range(int((s1 - s0) / 3)):
        street.still(
            template("tuft", street.variant(5)),
            "vegetation",
            float(rng.uniform(s0, s1)),
            sign * (front + 0.3 + float(rng.exponential(1.5))),
            layout.kerb - 0.05,
            float(rng.uniform(0, 6)),
            (1.4, 1.4, float(rng.uniform(0.7, 1.8))),
            look,
        )


def wood_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    dense = rng.uniform(2.8, 5.0)
    for row in range(3):
        for s in np.arange(s0, s1, dense * (1 + 0.4 * row)):
            greens.tree(
                float(s + rng.normal(0, 1)),
                sign * (front + 2.5 + 5 * row + float(rng.uniform(0, 4))),
                layout.kerb - 0.2,
            )
    for _ in range(int((s1 - s0) / 4)):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + 1.2 + float(rng.uniform(0, 4))), layout.kerb - 0.1)
