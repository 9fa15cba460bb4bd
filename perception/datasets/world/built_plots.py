"""Parcels with a building: blocks, towers, houses with gardens, halls."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.buildings import footprint
from perception.datasets.world.parking import park
from perception.datasets.world.plot_edges import boundary, cover
from perception.datasets.world.traffic import choose


def block_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng = street.rng
    back = float(rng.uniform(0.5, 3)) if rng.random() < 0.08 else 0.0
    gap = float(rng.uniform(1.5, 4)) if rng.random() < 0.06 else 0.0
    stock.put(shape, "block", s0, s1 - gap, sign, front + back)
    if back > 0:
        cover(street, s0, s1, sign, front, front + back + 0.3, "pavement")


def tower_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng = street.rng
    back = float(rng.uniform(0, 8))
    gap = min(float(rng.uniform(2, 6)), s1 - s0 - 8)
    stock.put(shape, "tower", s0 + gap / 2, s1 - gap / 2, sign, front + back)
    cover(street, s0, s1, sign, front, front + back + 0.3, "pavement")
    if back > 3 and rng.random() < 0.6:
        for s in np.arange(s0 + 3, s1 - 2, 7):
            greens.tree(float(s), sign * (front + 1.8), street.layout.kerb, small=True)


def house_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    u = rng.uniform
    lot = s1 - s0
    shape = stock.shape("house")
    wide, depth = footprint(shape)
    wide = min(wide, lot - 5)
    yard = float(u(2.5, 9))
    middle = (s0 + s1) / 2 + float(u(-0.5, 0.5)) * max(lot - wide - 7, 0)
    if wide > 5:
        stock.put(shape, "house", middle - wide / 2, middle + wide / 2, sign, front + yard)
        street.ground.take(
            middle - wide / 2 - 4,
            middle + wide / 2 + 4,
            *sorted((sign * (front + yard - 0.5), sign * (front + yard + depth))),
        )
    # Boundary: fence, wall, hedge or nothing, with a gap for the drive.
    drive = float(np.clip(middle + (wide / 2 + 1.8) * (1 if rng.random() < 0.5 else -1), s0 + 2, s1 - 2))
    cover(street, drive - 1.5, drive + 1.5, sign, front - 0.05, front + yard + 2, "pavement", z=0.02)
    boundary(street, greens, s0 + 0.2, drive - 1.7, sign, front + 0.25)
    boundary(street, greens, drive + 1.7, s1 - 0.2, sign, front + 0.25)
    if rng.random() < 0.5 and yard > 5:
        park(
            street,
            drive,
            sign * (front + yard - 2.2),
            np.pi / 2 * sign * (1 if rng.random() < 0.5 else -1),
            None,
            layout.kerb + 0.02,
        )
    for _ in range(int(rng.poisson(1.3))):
        s, d = float(u(s0 + 1, s1 - 1)), front + float(u(1.4, max(yard - 1, 1.6)))
        if abs(s - drive) > 2.4 and street.ground.claim(s, sign * d, 1.2, 1.2):
            greens.tree(s, sign * d, layout.kerb, small=True)
    for _ in range(int(rng.poisson(2.5))):
        s, d = float(u(s0 + 1, s1 - 1)), front + float(u(0.9, max(yard - 0.8, 1.2)))
        if abs(s - drive) > 2.2 and street.ground.claim(s, sign * d, 1.0, 1.0):
            greens.bush(s, sign * d, layout.kerb)
    if rng.random() < 0.6:
        greens.tree(float(u(s0, s1)), sign * (front + yard + depth + float(u(3, 10))), layout.kerb)


def hall_plot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    yard = float(rng.uniform(3, 16))
    stock.put(shape, "hall", s0 + 2, s1 - 2, sign, front + yard)
    ground = street.kit.textured(
        ("asphalt", "concrete", "gravel")[int(rng.integers(3))], street.kit.vary("#8a8884", 0.15)
    )
    cover(street, s0, s1, sign, front - 0.05, front + yard + 1, "pavement", ground)
    if rng.random() < 0.6:
        boundary(
            street, greens, s0, s1 - 7, sign, front + 0.3, choose(rng, {"mesh": 5, "rails": 2, "hedge": 2, "wall": 1})
        )
    kinds = {"": 40, "van": 15, "truck": 18, "trailer": 14, "construction_vehicle": 8}
    for _ in range(int(rng.poisson(yard / 3))):
        park(
            street,
            float(rng.uniform(s0 + 3, s1 - 3)),
            sign * (front + float(rng.uniform(2.5, max(yard - 2.5, 2.6)))),
            float(rng.integers(4)) * np.pi / 2,
            choose(rng, kinds) or None,
            layout.kerb + 0.015,
        )
