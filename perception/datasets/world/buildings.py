"""Houses, city blocks, towers, halls: templates. Facades are lattices with recessed windows, drawn for a whole wall at once (`facades.py`).

A building's own frame: x along the street front from 0, y into the depth (front wall at y = 0), z up from the ground.
Materials are roles (`templates.ROLES`); `facades.finish` dresses them: one lookup for a building.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.facades import Finish, Wall, balconies, entrance, shop_front, spread, window_grid
from perception.datasets.world.shapes import unit_hip
from perception.datasets.world.templates import Shape, Template, maker


def city_block(rng, width: float, depth: float, floors: int, sides: tuple[bool, bool], coarse: bool = False) -> Shape:
    """A terraced town house or office. sides: whether the left (x = 0) and right walls show (get windows)."""
    u = rng.uniform
    b = Shape()
    b.coarse = coarse
    modern = rng.random() < 0.3
    fin = Finish
    shop = rng.random() < 0.45
    ground = u(3.6, 4.6) if shop else u(2.9, 3.6)
    storey = u(2.8, 3.5)
    win_w, win_h = (u(1.4, 2.4), u(1.4, 2.0)) if modern else (u(0.9, 1.3), u(1.4, 2.1))
    pitch = win_w + (u(0.3, 1.2) if modern else u(0.8, 1.7))
    foot = min(u(0.7, 1.0), storey - win_h - 0.35)
    recess = u(0.08, 0.25)
    bars = int(rng.integers(0, 3)) if not modern else int(rng.integers(0, 2))
    shutters = not modern and rng.random() < 0.2
    height = ground + storey * (floors - 1)
    walls = [Wall(b, (0, 0), (1, 0), width, rng, fin)]
    if sides[1]:
        walls.append(Wall(b, (width, 0), (0, 1), depth, rng, fin))
    if sides[0]:
        walls.append(Wall(b, (0, depth), (0, -1), depth, rng, fin))
    simple = floors > 9
    for index, wall in enumerate(walls):
        for k in range(1, floors):
            z0 = ground + storey * (k - 1)
            centres = spread(wall.length, pitch, win_w)
            holes = window_grid(centres, win_w, z0 + foot, win_h)
            if simple and index:
                wall.panels([(0, wall.length, z0, z0 + storey)], 0.0, fin.wall)
                wall.panels(holes, -0.01, fin.glass)
            else:
                wall.storey(z0, z0 + storey, holes, fin.wall, recess, shutters, bars)
        if shop and index == 0:
            shop_front(rng, wall, ground, fin)
        else:
            centres = spread(wall.length, pitch, win_w)
            door = int(rng.integers(len(centres))) if len(centres) and index == 0 else -1
            keep = np.arange(len(centres)) != door
            wall.storey(
                0,
                ground,
                window_grid(centres[keep], win_w, ground - win_h - 0.5, win_h),
                fin.base if rng.random() < 0.6 else fin.wall,
                recess,
                False,
                bars,
            )
            if door >= 0:
                entrance(wall, centres[door], u(0.95, 1.4), u(2.1, 2.6), fin)
    front = walls[0]
    if not modern:
        front.boxes([(0, width, height - 0.15, height + 0.2)], 0.0, -u(0.15, 0.45), fin.accent)
        if rng.random() < 0.6:
            bands = [
                (0, width, ground + storey * k - 0.1, ground + storey * k + 0.1)
                for k in range(0, floors - 1, int(rng.integers(1, 4)))
            ]
            front.boxes(bands, 0.0, -0.07, fin.accent)
        if rng.random() < 0.3:
            posts = [(x, x + 0.5, 0, height) for x in (0, width - 0.5)]
            front.boxes(posts, 0.0, -0.1, fin.base)
    if rng.random() < 0.35 and floors > 2 and not coarse:
        balconies(rng, front, ground, storey, floors, pitch, fin)
    if rng.random() < 0.6:
        x = float(u(0.1, width - 0.1))
        front.boxes([(x - 0.05, x + 0.05, 0, height)], 0.0, -0.12, fin.dark)
    for wall_index in range(2):  # bare walls to the neighbours, and the back
        if not sides[wall_index]:
            Wall(b, *(((0, depth), (0, -1)), ((width, 0), (0, 1)))[wall_index], depth, rng, fin).panels(
                [(0, depth, 0, height)], 0.0, fin.base
            )
    Wall(b, (width, depth), (-1, 0), width, rng, fin).panels([(0, width, 0, height)], 0.0, fin.base)
    _top(rng, b, width, depth, height, fin, flat=modern or rng.random() < 0.35)
    return b


def _top(rng, b: Shape, width, depth, height, fin: type[Finish], flat: bool) -> None:
    if flat:
        b.box((width / 2, depth / 2, height - 0.1), (width, depth, 0.2), material=fin.dark)
        for centre, size in (
            ((width / 2, 0.12, height + 0.3), (width, 0.24, 0.7)),
            ((0.12, depth / 2, height + 0.3), (0.24, depth, 0.7)),
            ((width - 0.12, depth / 2, height + 0.3), (0.24, depth, 0.7)),
        ):
            b.box(centre, size, material=fin.accent)
        for _ in range(int(rng.integers(0, 4))):
            size = rng.uniform((1, 1, 0.8), (4, 4, 2.6))
            if width > size[0] + 1 and depth > size[1] + 3:
                b.box(
                    (rng.uniform(size[0] / 2, width - size[0] / 2), rng.uniform(2, depth - 2), height + size[2] / 2),
                    size,
                    material=fin.base,
                )
        if rng.random() < 0.3:
            x = float(rng.uniform(0.5, width - 0.5))
            b.tube((x, depth / 2, height), (x, depth / 2, height + rng.uniform(2, 7)), 0.08, sides=4, material=fin.dark)
        return
    rise = rng.uniform(0.3, 0.75) * min(depth / 2, 6)
    b.gable((width / 2, depth / 2, height + rise / 2 + 0.05), (width, depth + 0.7, rise), material=fin.roof)
    if rng.random() < 0.5:
        count = max(int(width / 4), 1)
        x = (np.arange(count) + 0.5) * width / count
        y = depth * 0.16
        z = height + rise * 0.35
        b.box([(a, y + 0.3, z + 0.3) for a in x], (1.3, depth * 0.25, 1.3), material=fin.wall)
        b.box([(a, y + 0.28 - depth * 0.125, z + 0.35) for a in x], (0.9, 0.04, 0.9), material=fin.glass)
        b.gable([(a, y + 0.3, z + 1.2) for a in x], (depth * 0.28, 1.6, 0.5), np.pi / 2, material=fin.roof)
    for _ in range(int(rng.integers(0, 3))):
        b.box(
            (rng.uniform(0.5, width - 0.5), depth * rng.uniform(0.35, 0.65), height + rise + 0.2),
            (0.7, 0.9, 1.8),
            material=fin.base,
        )


def glass_tower(rng, width: float, depth: float, floors: int) -> Shape:
    """A curtain-wall office."""
    b = Shape()
    fin = Finish
    pane = fin.glass
    storey = rng.uniform(3.2, 4.0)
    height = storey * floors
    for origin, along, length in (
        ((0, 0), (1, 0), width),
        ((width, 0), (0, 1), depth),
        ((0, depth), (0, -1), depth),
        ((width, depth), (-1, 0), width),
    ):
        wall = Wall(b, origin, along, length, rng, fin)
        levels = np.arange(floors) * storey
        band = rng.uniform(0.1, 0.9)
        wall.panels([(0, length, z, z + band) for z in levels], -0.04, fin.wall)
        wall.panels([(0, length, z + band, z + storey) for z in levels], 0.0, pane)
        panes = max(int(length / 1.6), 1)
        edges = np.linspace(0, length, panes + 1)
        lit = np.argwhere(rng.random((floors, panes)) < 0.12)
        wall.panels([(edges[k], edges[k + 1], levels[f] + band, levels[f] + storey) for f, k in lit], -0.01, fin.lit)
        wall.panels([(x - 0.06, x + 0.06, 0, height) for x in edges], -0.08, fin.frame)
    _top(rng, b, width, depth, height, fin, flat=True)
    return b


def house(rng, width: float, depth: float, floors: int) -> Shape:
    """A detached house with a pitched roof, maybe a garage and a porch."""
    u = rng.uniform
    b = Shape()
    fin = Finish
    storey = u(2.5, 2.9)
    height = storey * floors + 0.3
    win_w, win_h = u(0.9, 1.6), u(1.0, 1.4)
    pitch, bars, shutters = win_w + u(0.8, 1.8), int(rng.integers(0, 3)), rng.random() < 0.35
    specs = (
        ((0, 0), (1, 0), width),
        ((width, 0), (0, 1), depth),
        ((0, depth), (0, -1), depth),
        ((width, depth), (-1, 0), width),
    )
    for index, (origin, along, length) in enumerate(specs):
        wall = Wall(b, origin, along, length, rng, fin)
        wall.panels([(0, length, -0.5, 0.3)], -0.03, fin.base)
        centres = spread(length, pitch, win_w)
        door = int(rng.integers(len(centres))) if index == 0 and len(centres) else -1
        for k in range(floors):
            z = 0.3 + storey * k
            keep = (np.arange(len(centres)) != door) | (k > 0)
            keep &= rng.random(len(centres)) < 0.85
            wall.storey(
                z,
                z + storey,
                window_grid(centres[keep], win_w, z + storey - win_h - 0.35, win_h),
                fin.wall,
                0.1,
                shutters,
                bars,
            )
        if door >= 0:
            entrance(wall, centres[door], u(0.9, 1.2), 2.15, fin)
            if rng.random() < 0.35:
                c = centres[door]
                wall.boxes([(c - 1.2, c + 1.2, 2.55, 2.7)], 0.0, -1.4, fin.roof)
                wall.boxes([(c - 1.1, c - 1.0, 0, 2.55), (c + 1.0, c + 1.1, 0, 2.55)], -1.25, -1.35, fin.frame)
    eave = u(0.3, 0.7)
    gable_front = rng.random() < 0.4
    span = width if gable_front else depth
    rise = span / 2 * u(0.45, 1.05)
    yaw = np.pi / 2 if gable_front else 0.0
    size = (depth + 2 * eave, width + 2 * eave, rise) if gable_front else (width + 2 * eave, depth + 2 * eave, rise)
    kind = rng.random()
    centre = (width / 2, depth / 2, height + rise / 2 - 0.05)
    if kind < 0.7:
        b.gable(centre, size, yaw, material=fin.roof)
        inner = (depth, width, rise) if gable_front else (width, depth, rise)
        b.gable((centre[0], centre[1], centre[2] - 0.12), np.array(inner) * (1.002, 1.0, 0.93), yaw, material=fin.wall)
    elif kind < 0.9:
        b.instances(unit_hip(float(u(0.2, 0.4))), centre, size, yaw, material=fin.roof)
    else:
        b.box((width / 2, depth / 2, height + 0.1), (width + eave, depth + eave, 0.3), material=fin.accent)
    if rng.random() < 0.6:
        b.box(
            (width * u(0.25, 0.75), depth * 0.5, height + rise * 0.85), (0.6, 0.6, rise * 0.6 + 0.8), material=fin.base
        )
    if rng.random() < 0.4:  # garage
        side = 1 if rng.random() < 0.5 else -1
        x = width + 1.6 if side > 0 else -1.6
        b.box((x, 3.6, 1.3), (3.2, 5.6, 2.6), material=fin.wall)
        b.box((x, 3.6, 2.65), (3.5, 6.0, 0.16), material=fin.dark)
        b.box((x, 0.79, 1.08), (2.5, 0.06, 2.1), material=fin.frame)
    return b


def hall(rng, width: float, depth: float, height: float) -> Shape:
    """An industrial or shopping hall."""
    b = Shape()
    fin = Finish
    for index, (origin, along, length) in enumerate(
        (
            ((0, 0), (1, 0), width),
            ((width, 0), (0, 1), depth),
            ((0, depth), (0, -1), depth),
            ((width, depth), (-1, 0), width),
        )
    ):
        wall = Wall(b, origin, along, length, rng, fin)
        if rng.random() < 0.6:
            band = rng.uniform(0.8, 1.8)
            wall.storey(
                0,
                height,
                window_grid(spread(length, rng.uniform(2.5, 5), 2.0), 1.9, height - band - 1.0, band),
                fin.wall,
                0.1,
            )
        else:
            wall.panels([(0, length, 0, height)], 0.0, fin.wall)
        wall.panels([(0, length, 0, rng.uniform(0.4, 1.2))], -0.03, fin.base)
        if index == 0:
            gates = spread(length, rng.uniform(5, 9), 3.5)
            gates = gates[rng.random(len(gates)) < 0.6]
            wall.boxes(
                window_grid(gates, 3.4, 0.0, min(4.0, height - 1.5)),
                0.0,
                -0.05,
                fin.door if rng.random() < 0.3 else fin.frame,
            )
            if rng.random() < 0.6:
                c = rng.uniform(0.3, 0.7) * length
                wall.boxes([(c - 3, c + 3, height - 1.6, height - 0.3)], 0.0, -0.2, fin.sign)
    if rng.random() < 0.5:
        _top(rng, b, width, depth, height, fin, flat=True)
    else:
        b.gable((width / 2, depth / 2, height + 0.7), (width + 0.4, depth + 0.6, 1.4), material=fin.dark)
    return b


def _finished(shape: Shape, width: float, depth: float) -> Template:
    """Add a foundation, for slopes; the model text holds width and depth."""
    shape.box((width / 2, depth / 2, -1.0), (width - 0.02, depth, 2.0), material=Finish.base)
    return shape.template(f"{width:.3f} {depth:.3f}", centred=False)


def footprint(shape: Template) -> tuple[float, float]:
    """Width along the street and depth of a building template."""
    width, depth = shape.model.split()
    return float(width), float(depth)


FLOORS = 8  # block templates: floors = 2 + variant % FLOORS


@maker("block")
def _block_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(9, 22)), float(rng.uniform(9, 12))
    return _finished(city_block(rng, width, depth, 2 + variant % FLOORS, (False, False)), width, depth)


@maker("block_far")
def _far_block_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(9, 22)), float(rng.uniform(9, 12))
    return _finished(city_block(rng, width, depth, 2 + variant % FLOORS, (False, False), coarse=True), width, depth)


@maker("corner")
def _corner_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(10, 20)), float(rng.uniform(9, 13))
    return _finished(city_block(rng, width, depth, 2 + variant % FLOORS, (True, True)), width, depth)


@maker("tower")
def _tower_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(16, 30)), float(rng.uniform(14, 24))
    return _finished(glass_tower(rng, width, depth, int(rng.integers(5, 16))), width, depth)


@maker("house")
def _house_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(7.5, 13)), float(rng.uniform(7, 11))
    return _finished(house(rng, width, depth, 1 + variant % 2 + (variant % 9 == 0)), width, depth)


@maker("hall")
def _hall_template(rng, variant: int) -> Template:
    width, depth = float(rng.uniform(18, 45)), float(rng.uniform(12, 20))
    return _finished(hall(rng, width, depth, float(rng.uniform(5, 10))), width, depth)
