"""Plans of homes: bedroom, nursery, living room, dining room, kitchen, bathroom. Nothing is certain, sizes and numbers have long tails."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms import beds, belongings, clutter, decor, fixtures, seating, storage, tables
from perception.datasets.world.rooms.furnisher import Furnisher, desk_place, dining_set


def bedroom(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    part = beds.bed(kit) if room.area > 7 or kit.chance(0.6) else beds.bed(kit, 0.9)
    if min(room.size) < 2.7 and part.high[1] - part.low[1] > 1.3:
        part = beds.bed(kit, 1.0)
    spot = room.against(part, tries=25, before_windows=0.5)
    if spot:
        x, y, yaw, wall = spot
        half = (part.high[1] - part.low[1]) / 2
        room.scatter(part, x, y, yaw, (belongings.clothes, belongings.bag, clutter.papers, belongings.toy), 1.0)
        night = tables.side_table(kit)
        for side in (-1, 1):
            if kit.chance(0.75):
                at = wall.point(
                    float(np.dot(np.array([x, y]) - wall.origin, wall.along))
                    + side * (half + 0.06 + (night.high[1] - night.low[1]) / 2),
                    0.03 - float(night.low[0]),
                )
                if room.try_put(night, at[0], at[1], yaw):
                    if kit.chance(0.7):
                        f.lamp_on(night, at[0], at[1], yaw)
                    room.scatter(night, at[0], at[1], yaw, clutter.LIVING, 1.2)
        s = float(np.dot(np.array([x, y]) - wall.origin, wall.along))
        if kit.chance(0.6):
            room.hang(decor.picture(kit, kit.between(0.4, 1.1)), wall, z=kit.between(1.55, 1.8), s=s, tries=1)
        if kit.chance(0.5):
            c, n = np.cos(yaw), np.sin(yaw)
            f.rug(x + c * 0.5, y + n * 0.5, kit.between(1.4, 2.4), kit.between(1.6, 3.0), yaw)
    if kit.chance(0.75):
        f.cupboard(storage.wardrobe, (belongings.carton, belongings.bag), 1.2)
    if kit.chance(0.65):
        f.cupboard(storage.chest)
    if kit.chance(0.5):
        desk_place(f, kit.between(0.8, 1.3))
    if kit.chance(0.5):
        f.bookcase(books=0.5)
    if kit.chance(0.4):
        room.against(seating.armchair(kit), gap=0.1) if kit.chance(0.5) else room.against(f.chair(), gap=0.1)
    if kit.chance(0.3):
        f.boards()
    if kit.chance(0.25):
        room.hang(decor.mirror(kit, kit.between(0.35, 0.7), kit.between(0.9, 1.6)), z=kit.between(1.05, 1.3))
    f.ceiling_lights()
    if kit.chance(0.3):
        f.floor_lamp()
    f.decorate(2.2, 0.9)
    f.floor_clutter(3)


def nursery(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    part = beds.bunk_bed(kit) if kit.chance(0.5) and room.height > 2.3 else beds.bed(kit, 0.85, low=True)
    yaw_part = room.against(part, tries=20, before_windows=0.4)
    if yaw_part:
        room.scatter(part, *yaw_part[:3], (belongings.toy,), 1.5)
    for _ in range(2):
        f.bookcase(books=0.35)
    if kit.chance(0.6):
        f.cupboard(storage.chest, (belongings.toy,), 3)
    if kit.chance(0.6):
        desk_place(f, kit.between(0.7, 1.1))
    f.rug(
        sum(room.bounds[::2]) / 2,
        sum(room.bounds[1::2]) / 2,
        kit.between(1.2, 2.2),
        kit.between(1.2, 2.2),
        kit.between(0, 3),
    )
    f.ceiling_lights()
    f.decorate(3, 0.4)
    f.floor_clutter(
        8, (belongings.toy, belongings.toy, belongings.toy, belongings.carton, belongings.basket, belongings.clothes)
    )
    if kit.chance(0.5):
        room.free_standing(seating.pouf(kit))


def living(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    part = seating.sofa(kit)
    spot = room.against(part, gap=kit.pick((0.02, 0.02, 0.2)), clear=0.6, tries=20, before_windows=0.6)
    if spot is None and room.area > 14:
        free = room.free_standing(part, (0.0, np.pi / 2, np.pi, -np.pi / 2), margin=0.3)
        spot = None if free is None else (*free, None)
    if spot:
        x, y, yaw = spot[:3]
        c, s = np.cos(yaw), np.sin(yaw)
        front = float(part.high[0])
        if kit.chance(0.12):
            f.sitting(x + 0.05 * c, y + 0.05 * s, yaw, 0.5)
        table = tables.coffee_table(kit)
        out = front + 0.32 + (table.high[0] - table.low[0]) / 2
        if kit.chance(0.85) and room.try_put(table, x + c * out, y + s * out, yaw + kit.rng.normal(0, 0.06)):
            room.scatter(table, x + c * out, y + s * out, yaw, clutter.LIVING, 4)
        if kit.chance(0.7):
            f.rug(x + c * out, y + s * out, kit.between(1.3, 2.2), kit.between(1.8, 3.2), yaw)
        room.scatter(part, x, y, yaw, (clutter.papers, belongings.clothes, belongings.bag), 0.7)
        far = out + kit.between(0.7, 1.3)
        for k in range(int(kit.rng.integers(0, 4))):  # seats opposite and at the sides
            seat = seating.armchair(kit) if kit.chance(0.65) else seating.pouf(kit)
            side = kit.pick((-1, 1))
            px, py = (
                (out + kit.between(-0.4, 0.4), side * kit.between(1.1, 1.7))
                if k % 2 == 0
                else (far + 0.5, kit.between(-0.8, 0.8))
            )
            turn = np.arctan2(-py, out - px)
            if room.try_put(seat, x + c * px - s * py, y + s * px + c * py, yaw + turn, margin=0.0) and kit.chance(
                0.08
            ):
                f.sitting(x + c * px - s * py, y + s * px + c * py, yaw + turn, 0.46)
    board = f.cupboard(storage.sideboard, clutter.LIVING, 2.0)
    if kit.chance(0.75):
        if board is not None and board[0].high[2] < 0.95:
            part_b, x, y, yaw, _ = board
            tv = decor.television(kit, min(kit.between(0.8, 1.4), float(part_b.high[1] - part_b.low[1])))
            room.place_on(tv, x, y, yaw, (0.0, 0.0, float(part_b.tops[0][4])))
        else:
            room.hang(decor.television(kit, wall=True), z=kit.between(1.0, 1.4))
    for _ in range(int(kit.rng.integers(0, 3))):
        f.bookcase()
    if kit.chance(0.35):
        f.boards()
    if kit.chance(0.5):
        f.cupboard(tables.side_table, clutter.LIVING, 1.5)
    if kit.chance(0.3):
        f.cupboard(storage.chest)
    if kit.chance(0.3) and room.area > 13:
        dining_set(f)
    if kit.chance(0.2):
        fireplace(f)
    if kit.chance(0.3):
        desk_place(f)
    f.ceiling_lights()
    for _ in range(int(kit.rng.integers(0, 3))):
        f.floor_lamp()
    f.decorate(3.2, 2.0)
    f.floor_clutter(2.5)


def fireplace(f: Furnisher) -> None:
    """A chimney piece with mantel."""
    from perception.datasets.world.rooms.piece import Piece

    kit = f.kit
    piece = Piece(kit, "cabinet", "fireplace")
    stone, w, h = kit.stone() if kit.chance(0.5) else kit.trim, kit.between(1.1, 1.6), kit.between(0.95, 1.25)
    for s in (-1, 1):
        piece.box((0.12, s * (w / 2 - 0.12), h / 2), (0.24, 0.24, h), stone)
    piece.box((0.12, 0, h - 0.12), (0.24, w - 0.48, 0.24), stone)
    piece.box((0.15, 0, h + 0.03), (0.34, w + 0.12, 0.06), stone)
    piece.box((0.02, 0, h * 0.4), (0.04, w - 0.48, h * 0.8), kit.add("brick", (0.03, 0.028, 0.026), (0.05, 0.05, 0.05)))
    for k in range(4):
        piece.tube(
            (0.12, -0.2, 0.06 + 0.05 * k), (0.16, 0.22, 0.05 + 0.05 * k), 0.07, kit.add("bark", (0.16, 0.1, 0.06))
        )
    piece.top(0.0, 0.3, -w / 2, w / 2, h + 0.06, 0.6)
    part = piece.finish()
    spot = f.room.against(part)
    if spot:
        f.room.scatter(part, *spot[:3], clutter.LIVING, 4)


def dining(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    part = tables.dining_table(kit, kit.between(1.3, 2.4) if room.area > 10 else None)
    cx, cy = (room.bounds[0] + room.bounds[2]) / 2, (room.bounds[1] + room.bounds[3]) / 2
    yaw = np.pi / 2 if room.size[0] > room.size[1] else 0.0
    x, y = cx + kit.rng.normal(0, 0.2), cy + kit.rng.normal(0, 0.2)
    if room.try_put(part, x, y, yaw):
        room.scatter(part, x, y, yaw, clutter.LIVING + (clutter.bowl, clutter.cup), 5)
        f.chairs_around(part, x, y, yaw)
        if kit.chance(0.5):
            f.rug(x, y, kit.between(1.8, 2.6), kit.between(2.2, 3.2), yaw)
    for _ in range(int(kit.rng.integers(1, 4))):
        f.cupboard(
            kit.pick((storage.sideboard, storage.chest, storage.wardrobe)), clutter.LIVING + (clutter.kitchen_thing,), 3
        )
    if kit.chance(0.4):
        f.bookcase(books=0.3)
    f.ceiling_lights()
    f.decorate(2.8, 1.6)
    f.floor_clutter(1.2)
    if kit.chance(0.25):
        f.standing()


def kitchen(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    design = fixtures.KitchenDesign(kit)
    order = kit.rng.permutation(len(room.walls))
    done = 0
    for k in order:
        wall = room.walls[int(k)]
        length = wall.length
        if length < 1.3 or done >= (2 if room.area > 7 else 1):
            continue
        start, end = 0.02, length - 0.02
        for hole in sorted(wall.openings, key=lambda o: o.s0):  # the longest stretch without a door
            if hole.kind != "window":
                if hole.s0 - start > end - hole.s1:
                    end = hole.s0 - 0.12
                else:
                    start = hole.s1 + 0.12
        fridge = fixtures.refrigerator(kit) if kit.chance(0.75) and done == 0 else None
        if fridge is not None and end - start > 2.0:
            w = float(fridge.high[1] - fridge.low[1])
            if room.against(fridge, wall, s=start + w / 2 + 0.01, tries=2):
                start += w + 0.03
        width = min(end - start, 4.8)
        if width < 0.6:
            continue
        part = fixtures.base_units(kit, design, width)
        spot = room.against(part, wall, s=start + width / 2, tries=1, before_windows=1.0)
        if spot is None:
            width *= 0.6
            part = fixtures.base_units(kit, design, width)
            spot = room.against(part, wall, s=start + width / 2, tries=1, before_windows=1.0)
        if spot is None:
            continue
        done += 1
        x, y, yaw, _ = spot
        room.scatter(part, x, y, yaw, clutter.KITCHEN, 0.9)
        s = float(np.dot(np.array([x, y]) - wall.origin, wall.along))
        if kit.chance(0.85):  # wall units in the stretches without a window
            edges = [s - width / 2]
            for hole in sorted(wall.openings, key=lambda o: o.s0):
                if hole.kind == "window":
                    edges += [hole.s0 - 0.08, hole.s1 + 0.08]
            edges.append(s + width / 2)
            for a, b in zip(edges[::2], edges[1::2], strict=False):
                if b - a > 0.5:
                    room.hang(
                        fixtures.wall_units(kit, design, b - a - 0.02),
                        wall,
                        z=kit.between(1.38, 1.5),
                        s=(a + b) / 2,
                        tries=1,
                    )
        elif kit.chance(0.8):
            f.boards(wall)
    if kit.chance(0.6):
        dining_set(f, kit.between(0.8, 1.4))
    elif room.area > 11:
        island = fixtures.base_units(kit, design, kit.between(1.2, 2.2))
        spot = room.free_standing(island, (0.0, np.pi / 2, np.pi), margin=0.6)
        if spot:
            room.scatter(island, *spot, clutter.KITCHEN, 0.9)
            f.chairs_around(island, *spot, share=0.4, ends=False)
    if kit.chance(0.3):
        f.cupboard(fixtures.washing_machine, clutter.KITCHEN, 1)
    if kit.chance(0.4):
        f.cupboard(storage.sideboard, clutter.KITCHEN, 3)
    if kit.chance(0.3):
        f.bookcase(books=0.15)
    f.ceiling_lights()
    f.decorate(1.0, 0.8)
    f.floor_clutter(1.5, (belongings.basket, belongings.bag, belongings.carton, belongings.shoes))
    if kit.chance(0.15):
        f.standing()


def bathroom(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    if kit.chance(0.6) and max(room.size) > 1.9:
        room.against(fixtures.bathtub(kit), tries=16, before_windows=0.8)
    else:
        room.against(fixtures.shower(kit), tries=10)
    basin = fixtures.washbasin(kit)
    spot = room.against(basin, clear=0.4, tries=16, before_windows=0.2)
    if spot:
        x, y, yaw, wall = spot
        room.scatter(basin, x, y, yaw, clutter.BATH, 1.2)
        s = float(np.dot(np.array([x, y]) - wall.origin, wall.along))
        room.hang(
            decor.mirror(kit, kit.between(0.4, 1.0), kit.between(0.5, 0.9)), wall, z=kit.between(1.4, 1.6), s=s, tries=1
        )
        if kit.chance(0.5):
            lamp = room.hang(decor.wall_lamp(kit, f.glow), wall, z=2.05, s=s, tries=1)
            if lamp and f.lit:
                at = wall.point(s, 0.25)
                room.light((at[0], at[1], 2.1), kit.between(0.3, 0.6), f.lamp_colour)
    if kit.chance(0.85):
        room.against(fixtures.toilet(kit), clear=0.3, tries=16, before_windows=0.9)
    if kit.chance(0.3):
        f.cupboard(fixtures.washing_machine, clutter.BATH, 1.5)
    for _ in range(int(kit.rng.integers(0, 3))):
        kit.pick(
            (
                lambda: f.cupboard(storage.chest, clutter.BATH, 2),
                lambda: f.cupboard(storage.filing_cabinet, clutter.BATH, 2),
                lambda: f.bookcase(books=0.05),
                f.boards,
            )
        )()
    for _ in range(int(kit.rng.integers(0, 3))):
        towel(f)
    f.rug(
        kit.between(room.bounds[0], room.bounds[2]),
        kit.between(room.bounds[1], room.bounds[3]),
        0.55,
        0.85,
        kit.pick((0, np.pi / 2)),
    )
    f.ceiling_lights()
    f.decorate(0.5, 0.5)
    f.floor_clutter(2, (belongings.basket, belongings.clothes, belongings.shoes, clutter.roll_holder))


def towel(f: Furnisher) -> None:
    """A towel on a rail."""
    from perception.datasets.world.rooms.piece import Piece

    kit = f.kit
    piece = Piece(kit, "clutter", "towel")
    w, h = kit.between(0.3, 0.6), kit.between(0.4, 0.9)
    rail = kit.metal()
    piece.tube((0.07, -w / 2 - 0.06, 0), (0.07, w / 2 + 0.06, 0), 0.02, rail, sides=6)
    for s in (-1, 1):
        piece.tube((0, s * (w / 2 + 0.05), 0), (0.07, s * (w / 2 + 0.05), 0), 0.02, rail, sides=6)
    c = np.linspace(-w / 2, w / 2, 9)
    rows = [(0.05, -h * 0.8), (0.052, -0.02), (0.07, 0.013), (0.088, -0.02), (0.1, -h * 0.5), (0.095, -h)]
    points = np.array([np.stack([np.full(9, x) + 0.008 * np.sin(c * 25), c, np.full(9, z)], -1) for x, z in rows])
    piece.surface(points, kit.fabric(0.4))
    f.room.hang(piece.finish(), z=kit.between(1.1, 1.6))
