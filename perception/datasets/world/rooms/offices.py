"""Plans of work and public places: office, corridor, hall, classroom, store, library."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms import belongings, clutter, decor, seating, storage, tables
from perception.datasets.world.rooms.furnisher import Furnisher, desk_place, desk_top, dining_set


def office(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    for _ in range(max(1, int(room.area / kit.between(4, 8)))):
        desk_place(f)
    if room.area > 14 and kit.chance(0.6):  # an island of desks
        part = tables.desk(kit)
        yaw = kit.pick((0.0, np.pi / 2))
        spot = room.free_standing(part, (yaw,), margin=0.6)
        if spot:
            desk_top(f, part, *spot)
            other = room.footprint(part, *spot)
            dx, dy = (
                -np.cos(yaw) * (part.high[0] - part.low[0] + 0.02),
                -np.sin(yaw) * (part.high[0] - part.low[0] + 0.02),
            )
            if other and room.try_put(part, spot[0] + dx, spot[1] + dy, yaw + np.pi):
                desk_top(f, part, spot[0] + dx, spot[1] + dy, yaw + np.pi)
    for _ in range(int(kit.rng.integers(1, 4))):
        kit.pick(
            (
                f.bookcase,
                f.bookcase,
                lambda: f.cupboard(storage.filing_cabinet, clutter.DESK),
                lambda: f.cupboard(storage.wardrobe, clutter.DESK, 1),
            )
        )()
    if kit.chance(0.5):
        f.room.hang(decor.board(kit, kit.between(0.9, 2.2)), z=kit.between(1.45, 1.65))
    f.ceiling_lights(office=True)
    f.decorate(1.8, 1.0)
    f.floor_clutter(3, (belongings.carton, belongings.basket, belongings.bag))


def corridor(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    width = min(room.size)
    for _ in range(int(kit.rng.integers(2, 7))):
        part_makers = [storage.sideboard, storage.chest, tables.side_table] if width > 1.5 else [tables.side_table]
        roll = kit.rng.random()
        if roll < 0.35:
            f.cupboard(kit.pick(part_makers), clutter.LIVING, 2)
        elif roll < 0.55:
            part = tables.bench(kit)
            spot = room.against(part)
            if spot:
                room.scatter(
                    part, *spot[:3], (belongings.bag, belongings.clothes, clutter.papers, belongings.carton), 1.0
                )
        elif roll < 0.75:
            for _ in range(int(kit.rng.integers(1, 4))):
                room.against(f.chair(), gap=0.05)
        elif width > 1.4:
            f.bookcase()
    if kit.chance(0.5):
        f.rug(
            sum(room.bounds[::2]) / 2,
            sum(room.bounds[1::2]) / 2,
            max(room.size) * kit.between(0.3, 0.8),
            width * kit.between(0.4, 0.6),
            0.0 if room.size[0] > room.size[1] else np.pi / 2,
        )
    if kit.chance(0.5):
        coat_rack(f)
    f.ceiling_lights(office=kit.chance(0.6))
    f.decorate(5, 1.8)
    f.floor_clutter(3)
    if kit.chance(0.3):
        f.standing()


def coat_rack(f: Furnisher) -> None:
    """Hooks with coats."""
    from perception.datasets.world.rooms.piece import Piece

    kit = f.kit
    piece = Piece(kit, "clutter", "coats")
    w = kit.between(0.6, 1.3)
    piece.box((0.012, 0, 0), (0.024, w, 0.09), kit.wood())
    n = int(w / 0.2)
    for k in range(n):
        y = -w / 2 + (k + 0.5) * w / n
        piece.tube((0.02, y, 0), (0.08, y, 0.03), 0.015, kit.metal(), sides=5)
        if kit.chance(0.65):
            h = kit.between(0.5, 1.0)
            piece.soft((0.09, y, -h / 2 + 0.03), (0.13, kit.between(0.2, 0.36), h), kit.fabric(0.1), power=0.6)
    f.room.hang(piece.finish(), z=kit.between(1.6, 1.75))


def hall(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    w, d = room.size
    roll = kit.rng.random()
    if roll < 0.4:  # rows of seats facing one side
        yaw = kit.pick((0.0, np.pi / 2, np.pi, -np.pi / 2))
        chair = f.chair()
        pitch, row = kit.between(0.55, 0.75), kit.between(0.85, 1.2)
        for i in range(int(w / (row if abs(np.cos(yaw)) > 0.5 else pitch))):
            for j in range(int(d / (pitch if abs(np.cos(yaw)) > 0.5 else row))):
                sx, sy = (row, pitch) if abs(np.cos(yaw)) > 0.5 else (pitch, row)
                x, y = room.bounds[0] + 0.8 + i * sx, room.bounds[1] + 0.8 + j * sy
                if (
                    kit.chance(0.93)
                    and x < room.bounds[2] - 0.6
                    and y < room.bounds[3] - 0.6
                    and len(room.objects) < 120
                ):
                    if room.try_put(chair, x, y, yaw + kit.rng.normal(0, 0.05)) and kit.chance(0.05):
                        f.sitting(x, y, yaw, 0.46)
        if kit.chance(0.5):
            room.against(tables.desk(kit), clear=0.3)
    elif roll < 0.75:  # groups of tables
        for _ in range(int(room.area / kit.between(6, 12))):
            dining_set(f, laid=1.5)
    else:  # lounge
        for _ in range(int(room.area / 12) + 1):
            seat = seating.sofa(kit)
            spot = room.free_standing(seat, (0.0, np.pi / 2, np.pi, -np.pi / 2), margin=0.3)
            if spot:
                table = tables.coffee_table(kit)
                out = float(seat.high[0]) + 0.7
                if room.try_put(table, spot[0] + np.cos(spot[2]) * out, spot[1] + np.sin(spot[2]) * out, spot[2]):
                    room.scatter(
                        table,
                        spot[0] + np.cos(spot[2]) * out,
                        spot[1] + np.sin(spot[2]) * out,
                        spot[2],
                        clutter.LIVING,
                        2,
                    )
    for _ in range(int(kit.rng.integers(1, 5))):
        kit.pick(
            (
                f.bookcase,
                lambda: f.cupboard(storage.sideboard),
                lambda: room.against(tables.bench(kit)),
                lambda: f.cupboard(storage.wardrobe),
            )
        )()
    if kit.chance(0.5):
        room.hang(decor.board(kit, kit.between(1.5, 3.0)), z=1.7)
    f.ceiling_lights(office=kit.chance(0.6))
    f.decorate(5, 3.5)
    f.floor_clutter(3)
    for _ in range(int(kit.rng.integers(0, 4))):
        f.standing()


def classroom(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    wall = kit.pick(room.walls)
    room.hang(decor.board(kit, min(kit.between(1.8, 3.5), wall.length * 0.7)), wall, z=1.55, s=wall.length / 2, tries=1)
    if kit.chance(0.5):  # meeting table
        part = tables.dining_table(kit, min(kit.between(2.0, 4.0), max(room.size) - 2.2))
        yaw = np.pi / 2 if room.size[0] > room.size[1] else 0.0
        x, y = (room.bounds[0] + room.bounds[2]) / 2, (room.bounds[1] + room.bounds[3]) / 2
        if room.try_put(part, x, y, yaw):
            room.scatter(part, x, y, yaw, clutter.DESK + (decor.laptop,), 6)
            f.chairs_around(part, x, y, yaw, 0.95, person=0.1)
    else:
        part = tables.desk(kit, kit.between(1.1, 1.5))
        facing = wall.yaw
        for _ in range(int(kit.rng.integers(4, 14))):
            spot = room.free_standing(part, (facing + np.pi,), margin=0.35, tries=6)
            if spot is None:
                break
            x, y, yaw = spot
            room.scatter(part, x, y, yaw, clutter.DESK, 1.5)
            for side in (-0.3, 0.3):
                c, s = np.cos(yaw), np.sin(yaw)
                px, py = x + c * 0.55 - s * side, y + s * 0.55 + c * side
                if room.try_put(f.chair(), px, py, yaw + np.pi + kit.rng.normal(0, 0.15), margin=-0.2) and kit.chance(
                    0.08
                ):
                    f.sitting(px, py, yaw + np.pi, 0.46)
    for _ in range(int(kit.rng.integers(1, 4))):
        f.bookcase()
    f.ceiling_lights(office=True)
    f.decorate(4, 1.0)
    f.floor_clutter(3, (belongings.bag, belongings.carton, belongings.basket))


def store(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    for _ in range(int(3 + room.area / 3)):
        part, cells = storage.rack(kit)
        spot = room.against(part) if kit.chance(0.75) else None
        if spot is None:
            free = room.free_standing(part, (0.0, np.pi / 2), margin=0.4, tries=5)
            spot = None if free is None else (*free, None)
        if spot is None:
            continue
        x, y, yaw = spot[:3]
        for cell in cells:
            room.scatter(
                part,
                x,
                y,
                yaw,
                (
                    belongings.carton,
                    belongings.carton,
                    clutter.packet,
                    clutter.bottle,
                    belongings.basket,
                    clutter.kitchen_thing,
                ),
                3.5,
                tops=[cell],
            )
    f.ceiling_lights(office=True)
    f.decorate(0.6, 0.1)
    f.floor_clutter(9, (belongings.carton, belongings.carton, belongings.carton, belongings.bag, belongings.basket))
    if kit.chance(0.15):
        f.standing()


def library(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    for wall in room.walls:
        for _ in range(max(1, int(wall.length / 1.4))):
            f.bookcase(wall, books=0.9)
    if kit.chance(0.6):
        dining_set(f)
    if kit.chance(0.5):
        room.against(seating.armchair(kit), gap=0.3) or room.free_standing(seating.armchair(kit))
    if kit.chance(0.6):
        desk_place(f)
    f.ceiling_lights()
    f.floor_lamp()
    f.decorate(1.5, 1.0)
    f.floor_clutter(2.5)
