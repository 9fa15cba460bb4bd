"""What stands in which kind of room. Each plan furnishes a `Room`; nothing is certain, sizes and numbers have long tails."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.rooms import beds, clutter, decor, fixtures, seating, storage, tables
from perception.datasets.world.rooms.layout import Room
from perception.datasets.world.rooms.piece import Part
from perception.datasets.world.rooms.shell import Wall


class Furnisher:
    """The helpers that plans share: one design of chair, one pool of books and one lamp glow a room."""

    def __init__(self, room: Room, glow: int, lamp_colour, lit: bool) -> None:
        self.room, self.kit = room, room.kit
        self.glow, self.lamp_colour, self.lit = glow, lamp_colour, lit
        self._books: storage.BookPool | None = None
        self._rows: list[Part] = []
        self._chair_parts: dict[str, list[Part]] = {}

    # seats ------------------------------------------------------------------------------------------------------------

    def chair(self, office: bool = False) -> Part:
        """A chair of the room's design (two finished copies a design)."""
        key = "office" if office else "plain"
        parts = self._chair_parts.get(key)
        if parts is None:
            design = seating.ChairDesign(self.kit, office)
            parts = self._chair_parts[key] = [design.build() for _ in range(2 if design.kind == "office" else 1)]
        return self.kit.pick(parts)

    def chairs_around(
        self, part: Part, x: float, y: float, yaw: float, share: float = 0.85, ends: bool = True, person: float = 0.04
    ) -> None:
        """Chairs facing a table."""
        kit, room = self.kit, self.room
        half = (part.high - part.low) / 2
        seats = max(1, int(2 * half[1] / 0.62))
        spots = [
            (side * (half[0] + 0.12), (k - (seats - 1) / 2) * 2 * half[1] / seats, side)
            for side in (-1, 1)
            for k in range(seats)
        ]
        if ends and half[1] > 0.4:
            spots += [(0.0, side * (half[1] + 0.12), 2 * side) for side in (-1, 1)]
        c, s = np.cos(yaw), np.sin(yaw)
        for px, py, side in spots:
            if not kit.chance(share):
                continue
            chair = self.chair()
            facing = {1: np.pi, -1: 0.0, 2: -np.pi / 2, -2: np.pi / 2}[side]
            out = kit.between(-0.08, 0.35)
            dx, dy = (np.sign(px) * out, 0) if abs(side) == 1 else (0, np.sign(py) * out)
            ax, ay = px + dx, py + dy
            turn = yaw + facing + kit.rng.normal(0, 0.12 if kit.chance(0.8) else 0.6)
            wx, wy = x + c * ax - s * ay, y + s * ax + c * ay
            if room.try_put(chair, wx, wy, turn, margin=-0.06 if out < 0.15 else 0.0) and kit.chance(person):
                self.sitting(wx, wy, turn, 0.46)

    # people -----------------------------------------------------------------------------------------------------------

    def sitting(self, x: float, y: float, yaw: float, seat: float) -> None:
        """A person on a seat."""
        self.room.put(person(self.kit, seat), x + 0.06 * np.cos(yaw), y + 0.06 * np.sin(yaw), 0.0, yaw, block=False)

    def standing(self) -> None:
        """A person somewhere on the floor."""
        self.room.free_standing(person(self.kit, None), tries=6)

    # storage ----------------------------------------------------------------------------------------------------------

    def row(self, length: float, height: float, depth: float) -> Part | None:
        """A row of books that fits, from a pool of a dozen."""
        if self._books is None:
            self._books = storage.BookPool(self.kit)
            kit = self.kit
            self._rows = [
                storage.books(kit, self._books, kit.between(0.12, 0.9), kit.between(0.24, 0.32), 0.22) for _ in range(9)
            ]
        fitting = [p for p in self._rows if p.high[1] <= length and p.high[2] <= height and p.high[0] <= depth + 0.03]
        return self.kit.pick(fitting) if fitting else None

    def fill(self, cells, x: float, y: float, yaw: float, books: float = 0.65, z: float = 0.0) -> None:
        """Fill shelf compartments with books and things."""
        kit, room = self.kit, self.room
        for x0, x1, y0, y1, floor, free in cells:
            at = y0 + 0.01
            depth = x1 - x0
            while at < y1 - 0.06:
                roll = kit.rng.random()
                row = self.row(y1 - at, free, depth) if roll < books else None
                if row is not None:
                    room.place_on(row, x, y, yaw, (x1 - 0.02 - float(row.high[0]), at, floor), z=z)
                    at += float(row.high[1]) + 0.01
                    if kit.chance(0.6):
                        at += kit.between(0, 0.2)
                elif roll < books + 0.25:
                    small = room.prop(clutter.SHELF if kit.chance(0.8) else (clutter.carton,))
                    size = small.high - small.low
                    if size[2] < free and size[1] < y1 - at and size[0] < depth + 0.05:
                        room.place_on(
                            small,
                            x,
                            y,
                            yaw,
                            (x0 + depth / 2 - float(small.low[0] + small.high[0]) / 2, at - float(small.low[1]), floor),
                            z=z,
                        )
                    at += float(size[1]) + kit.between(0.02, 0.15)
                else:
                    at += kit.between(0.1, 0.5)

    def bookcase(self, wall: Wall | None = None, books: float = 0.65) -> bool:
        """A filled bookcase or rack at a wall."""
        part, cells = storage.bookcase(self.kit) if self.kit.chance(0.8) else storage.rack(self.kit)
        spot = self.room.against(part, wall)
        if spot is None:
            return False
        x, y, yaw, _ = spot
        self.fill(cells, x, y, yaw, books)
        self.room.scatter(part, x, y, yaw, (clutter.carton, clutter.ornament, clutter.vase, clutter.basket), 1.0)
        return True

    def boards(self, wall: Wall | None = None) -> None:
        """Filled wall shelves."""
        part, cells = storage.wall_shelf(self.kit)
        spot = self.room.hang(part, wall, z=self.kit.between(1.15, 1.6))
        if spot is not None:
            w, s, z = spot
            at = w.point(s, 0.002 - float(part.low[0]))
            self.fill(cells, at[0], at[1], w.yaw, 0.5, z)

    def cupboard(self, make, makers=clutter.LIVING, count: float = 2.5, **options):
        """A cabinet at a wall with things on it; returns its place or None."""
        part = make(self.kit)
        spot = self.room.against(part, **options)
        if spot is not None:
            x, y, yaw, wall = spot
            if self.kit.chance(0.3) and part.high[2] < 1.2:
                self.lamp_on(part, x, y, yaw)
            self.room.scatter(part, x, y, yaw, makers, count)
            if part.high[2] < 1.3 and self.kit.chance(0.5):  # a picture or mirror above it
                s = float(np.dot(np.array([x, y]) - wall.origin, wall.along))
                if self.kit.chance(0.75):
                    piece = decor.picture(self.kit)
                else:
                    piece = decor.mirror(self.kit, self.kit.between(0.4, 0.9), self.kit.between(0.5, 1.1))
                z = float(part.high[2]) + 0.25 - float(piece.low[2])
                if z + float(piece.high[2]) < self.room.height - 0.1:
                    self.room.hang(piece, wall, z=z, s=s, tries=1)
        return None if spot is None else (part, *spot)

    # light ------------------------------------------------------------------------------------------------------------

    def lamp_on(self, part: Part, x: float, y: float, yaw: float) -> None:
        """A table lamp on the first top of a piece."""
        if not part.tops:
            return
        lamp, height = decor.table_lamp(self.kit, self.glow)
        x0, x1, y0, y1, z, free = part.tops[0]
        if lamp.high[2] > free + 0.2:
            return
        at = (x0 * 0.6 + x1 * 0.4, self.kit.pick((y0 * 0.8 + y1 * 0.2, y0 * 0.2 + y1 * 0.8)), z)
        self.room.place_on(lamp, x, y, yaw, at, self.kit.between(-1, 1))
        if self.lit:
            c, s = np.cos(yaw), np.sin(yaw)
            world = (x + c * at[0] - s * at[1], y + s * at[0] + c * at[1], z + height + 0.08)
            self.room.light(world, self.kit.between(0.08, 0.25), self.lamp_colour)

    def floor_lamp(self) -> None:
        """A standing lamp near a wall."""
        lamp, height = decor.floor_lamp(self.kit, self.glow)
        spot = self.room.against(lamp, gap=0.05, before_windows=1.0)
        if spot is not None and self.lit:
            self.room.light((spot[0], spot[1], height + 0.1), self.kit.between(0.2, 0.6), self.lamp_colour)

    def ceiling_lights(self, office: bool = False) -> None:
        """One pendant, or rows of panels."""
        kit, room = self.kit, self.room
        w, d = room.size
        if office or room.area > 28 or kit.chance(0.25):
            nx, ny = max(1, round(w / kit.between(2.0, 3.5))), max(1, round(d / kit.between(2.0, 3.5)))
            part, turn = decor.ceiling_light(kit, self.glow, office or kit.chance(0.4)), kit.pick((0.0, np.pi / 2))
            spots = [((i + 0.5) * w / nx, (j + 0.5) * d / ny) for i in range(nx) for j in range(ny)]
            for x, y in spots[:16]:
                room.put(part, room.bounds[0] + x, room.bounds[1] + y, room.height, turn, block=False)
            if self.lit:
                chosen = kit.rng.permutation(len(spots))[:3]
                for k in chosen:
                    x, y = spots[k]
                    strength = kit.between(0.9, 1.6) * room.height**2 * 0.16 * max(len(spots) / 3, 1) ** 0.5
                    room.light(
                        (room.bounds[0] + x, room.bounds[1] + y, room.height - 0.25), strength, self.lamp_colour, -0.05
                    )
            return
        drop = kit.between(0.25, max(0.3, room.height - 1.95)) if kit.chance(0.7) else 0.0
        x, y = room.bounds[0] + w * kit.between(0.4, 0.6), room.bounds[1] + d * kit.between(0.4, 0.6)
        part = decor.pendant(kit, self.glow, drop) if drop else decor.ceiling_light(kit, self.glow, False)
        room.put(part, x, y, room.height, kit.between(0, 3), block=False)
        if self.lit:
            room.light((x, y, room.height - drop - 0.2), kit.between(0.7, 1.6), self.lamp_colour)

    # walls ------------------------------------------------------------------------------------------------------------

    def decorate(self, pictures: float, plants: float = 1.0) -> None:
        """Pictures, clocks, wall lamps, boards, plants, floor clutter."""
        kit, room = self.kit, self.room
        for _ in range(int(kit.rng.poisson(pictures))):
            room.hang(decor.picture(kit))
        if kit.chance(0.25):  # a group of frames
            wall, base = kit.pick(room.walls), kit.between(1.3, 1.7)
            s0 = kit.between(0.4, max(wall.length - 1.2, 0.5))
            for k in range(int(kit.rng.integers(3, 7))):
                room.hang(
                    decor.picture(kit, kit.between(0.18, 0.4)),
                    wall,
                    z=base + kit.between(-0.3, 0.3),
                    s=s0 + k * 0.33,
                    tries=1,
                )
        if kit.chance(0.25):
            room.hang(decor.wall_clock(kit), z=kit.between(1.8, 2.0))
        if kit.chance(0.25):
            for _ in range(kit.pick((1, 2))):
                spot = room.hang(decor.wall_lamp(kit, self.glow), z=kit.between(1.5, 1.85))
                if spot is not None and self.lit and len(room.lamps) < 5:
                    at = spot[0].point(spot[1], 0.2)
                    room.light((at[0], at[1], spot[2] + 0.15), kit.between(0.1, 0.3), self.lamp_colour)
        for _ in range(int(kit.rng.poisson(plants))):
            tall = decor.plant(kit)
            if tall.high[2] > 0.5:
                if kit.chance(0.7):
                    room.against(tall, gap=0.03, before_windows=1.0, tries=5)
                else:
                    room.free_standing(tall, tries=4)
            else:
                room.pool.setdefault("plant", []).append(tall)

    def fill_up(self, share: float, most: int = 7) -> None:
        """Add furniture that suits the room until it covers this share of the floor (or `most` pieces are in)."""
        kit, room = self.kit, self.room
        extra = _EXTRA.get(room.kind, _EXTRA[""])
        for _ in range(most):
            covered = sum(
                (o[2] - o[0]) * (o[3] - o[1]) for o in room.obstacles if o[4] < 0.3 and (o[4], o[5]) != (0.0, 2.0)
            )
            if covered > share * room.area:
                return
            kit.pick(extra)(self)

    def floor_clutter(self, count: float, makers=clutter.FLOOR) -> None:
        """Things left on the floor, more often along the walls."""
        for _ in range(int(self.kit.rng.poisson(count))):
            part = self.room.prop(makers, 0.7)
            if self.kit.chance(0.6):
                self.room.against(part, gap=self.kit.between(0.0, 0.2), tries=3, before_windows=1.0)
            else:
                self.room.free_standing(part, tries=4)

    def rug(self, x: float, y: float, length: float, width: float, yaw: float) -> None:
        """A rug around a place, kept inside the room."""
        bx0, by0, bx1, by1 = self.room.bounds
        part = decor.rug(self.kit, length, width)
        x0, y0, x1, y1 = self.room.footprint(part, 0, 0, yaw)
        if x1 - x0 < bx1 - bx0 - 0.1 and y1 - y0 < by1 - by0 - 0.1:
            at = (
                float(np.clip(x, bx0 - x0 + 0.03, bx1 - x1 - 0.03)),
                float(np.clip(y, by0 - y0 + 0.03, by1 - y1 - 0.03)),
            )
            self.room.put(part, *at, 0.002, yaw, block=False)


_LOOKS = (
    ("#f1c9ad", "#54391f"),
    ("#e0ac85", "#15110e"),
    ("#c68a5f", "#2e2018"),
    ("#9b6544", "#15110e"),
    ("#6b4129", "#15110e"),
    ("#f1c9ad", "#c9a86a"),
    ("#e6b896", "#9a9a98"),
)


def person(kit, seat: float | None) -> Part:
    """A person: standing, or sitting on a seat of height `seat` with the pelvis at the origin."""
    from perception.datasets.world.materials import srgb
    from perception.datasets.world.people import Pose, add_person, standing
    from perception.datasets.world.templates import ROLE, ROLES, Shape

    skin, hair = kit.pick(_LOOKS)
    shape = Shape()
    height = float(np.clip(kit.rng.normal(1.7, 0.1), 1.45, 1.97))
    if seat is None:
        add_person(kit.rng, shape, height, standing(kit.rng))
    else:
        arms = kit.between(0.3, 1.0)
        pose = Pose(
            (1.5, 1.45),
            (1.5, 1.4),
            (arms, arms * 0.9),
            (kit.between(0.5, 1.3),) * 2,
            kit.between(-0.1, 0.2),
            kit.rng.normal(0, 0.4),
        )
        add_person(kit.rng, shape, height, pose, (0, 0, seat + 0.06 * height), ground=False)
    look = np.full(len(ROLES), kit.plastic(), np.int16)
    for role, material in (
        ("skin", kit.add("plain", srgb(skin), smooth=True)),
        ("hair", kit.add("fur", srgb(hair), scale=0.3)),
        ("top", kit.fabric(0.35)),
        ("bottom", kit.fabric(0.05)),
        ("shoes", kit.leather()),
        ("bag", kit.fabric(0.1)),
        ("hat", kit.fabric(0.1)),
    ):
        look[ROLE[role]] = material
    mesh = shape.build()
    mesh.material = kit.wild_ids(len(mesh.triangles)) if kit.wild else look[mesh.material]
    mesh.semantic = np.full(len(mesh.triangles), ID["person"], np.uint8)
    low, high = mesh.bounds()
    return Part(ID["person"], mesh, low, high, [], "sitting" if seat is not None else "standing")


# plans ----------------------------------------------------------------------------------------------------------------


def desk_place(f: Furnisher, width: float | None = None, **options) -> bool:
    """A desk with screen, keyboard, chair, lamp and papers."""
    kit, room = f.kit, f.room
    part = tables.desk(kit, width)
    spot = room.against(part, clear=0.5, before_windows=0.7, **options)
    if spot is None:
        return False
    desk_top(f, part, *spot[:3])
    return True


def desk_top(f: Furnisher, part: Part, x: float, y: float, yaw: float, person_there: float = 0.08) -> None:
    """Equip a placed desk."""
    kit, room = f.kit, f.room
    z, half = part.tops[0][4], (part.high[1] - part.low[1]) / 2
    depth = (part.tops[0][1] - part.tops[0][0]) / 2
    if kit.chance(0.75):
        n = 2 if half > 0.65 and kit.chance(0.35) else 1
        screen = decor.monitor(kit)
        for k in range(n):
            side = 0 if n == 1 else (2 * k - 1)
            room.place_on(screen, x, y, yaw, (-depth * 0.45, side * 0.36 + kit.between(-0.05, 0.05), z), -side * 0.25)
        room.place_on(
            clutter.keyboard(kit), x, y, yaw, (depth * 0.35, kit.between(-0.1, 0.1), z), kit.between(-0.08, 0.08)
        )
    elif kit.chance(0.7):
        room.place_on(decor.laptop(kit), x, y, yaw, (depth * 0.1, kit.between(-0.2, 0.2), z), kit.between(-0.3, 0.3))
    if kit.chance(0.45):
        f.lamp_on(part, x, y, yaw)
    x0, x1, y0, y1, top, free = part.tops[0]
    sides = [(x0, x1, y0, y0 + (y1 - y0) * 0.27, top, free), (x0, x1, y1 - (y1 - y0) * 0.27, y1, top, free)]
    room.scatter(part, x, y, yaw, clutter.DESK, 2.2, tops=sides)
    chair = f.chair(office=True) if kit.chance(0.8) else f.chair()
    out = depth + kit.between(0.1, 0.5)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = yaw + np.pi + kit.rng.normal(0, 0.4)
    px, py = x + c * out, y + s * out
    if room.try_put(chair, px, py, turn, margin=-0.25) and kit.chance(person_there):
        f.sitting(px, py, turn, 0.48)


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
    f.floor_clutter(3, (clutter.carton, clutter.basket, clutter.bag))


def bedroom(f: Furnisher) -> None:
    kit, room = f.kit, f.room
    part = beds.bed(kit) if room.area > 7 or kit.chance(0.6) else beds.bed(kit, 0.9)
    if min(room.size) < 2.7 and part.high[1] - part.low[1] > 1.3:
        part = beds.bed(kit, 1.0)
    spot = room.against(part, tries=25, before_windows=0.5)
    if spot:
        x, y, yaw, wall = spot
        half = (part.high[1] - part.low[1]) / 2
        room.scatter(part, x, y, yaw, (clutter.clothes, clutter.bag, clutter.papers, clutter.toy), 1.0)
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
        f.cupboard(storage.wardrobe, (clutter.carton, clutter.bag), 1.2)
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
        room.scatter(part, *yaw_part[:3], (clutter.toy,), 1.5)
    for _ in range(2):
        f.bookcase(books=0.35)
    if kit.chance(0.6):
        f.cupboard(storage.chest, (clutter.toy,), 3)
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
    f.floor_clutter(8, (clutter.toy, clutter.toy, clutter.toy, clutter.carton, clutter.basket, clutter.clothes))
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
        room.scatter(part, x, y, yaw, (clutter.papers, clutter.clothes, clutter.bag), 0.7)
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


def dining_set(f: Furnisher, size: float | None = None, laid: float = 3.0) -> bool:
    """A table with chairs, free in the room."""
    kit, room = f.kit, f.room
    part = tables.dining_table(kit, size)
    spot = room.free_standing(part, (0.0, np.pi / 2), margin=0.45, tries=15) or room.free_standing(
        part, (0.0, np.pi / 2), margin=0.1
    )
    if spot is None:
        return False
    x, y, yaw = spot
    room.scatter(part, x, y, yaw, clutter.LIVING + (clutter.bowl, clutter.cup, clutter.papers), laid)
    f.chairs_around(part, x, y, yaw)
    if kit.chance(0.4):
        f.rug(x, y, kit.between(1.6, 2.4), kit.between(1.8, 3.0), yaw)
    return True


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
    f.floor_clutter(1.5, (clutter.basket, clutter.bag, clutter.carton, clutter.shoes))
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
    f.floor_clutter(2, (clutter.basket, clutter.clothes, clutter.shoes, clutter.roll_holder))


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
                room.scatter(part, *spot[:3], (clutter.bag, clutter.clothes, clutter.papers, clutter.carton), 1.0)
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
    f.floor_clutter(3, (clutter.bag, clutter.carton, clutter.basket))


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
                (clutter.carton, clutter.carton, clutter.packet, clutter.bottle, clutter.basket, clutter.kitchen_thing),
                3.5,
                tops=[cell],
            )
    f.ceiling_lights(office=True)
    f.decorate(0.6, 0.1)
    f.floor_clutter(9, (clutter.carton, clutter.carton, clutter.carton, clutter.bag, clutter.basket))
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


def _seat(f: Furnisher) -> None:
    f.room.against(f.chair(), gap=0.05)


def _armchair(f: Furnisher) -> None:
    f.room.against(seating.armchair(f.kit), gap=0.08, before_windows=0.8)


def _chest(f: Furnisher) -> None:
    f.cupboard(storage.chest)


def _sideboard(f: Furnisher) -> None:
    f.cupboard(storage.sideboard)


def _wardrobe(f: Furnisher) -> None:
    f.cupboard(storage.wardrobe, (clutter.carton, clutter.bag), 1.2)


def _filing(f: Furnisher) -> None:
    f.cupboard(storage.filing_cabinet, clutter.DESK)


def _plant(f: Furnisher) -> None:
    f.room.against(decor.plant(f.kit, f.kit.between(0.6, 1.8)), gap=0.03, before_windows=1.0)


def _desk(f: Furnisher) -> None:
    desk_place(f)


def _heap(f: Furnisher) -> None:
    f.floor_clutter(3)


_EXTRA = {
    "": (Furnisher.bookcase, _seat, _armchair, _chest, _sideboard, _plant, _heap),
    "bedroom": (_chest, _wardrobe, Furnisher.bookcase, _armchair, _desk, _heap, _plant),
    "nursery": (_chest, _wardrobe, Furnisher.bookcase, _heap, _desk),
    "living": (Furnisher.bookcase, _armchair, _sideboard, _chest, _plant, dining_set, _desk),
    "office": (_desk, _desk, Furnisher.bookcase, _filing, _plant, _heap),
    "classroom": (_desk, Furnisher.bookcase, _filing, _seat),
    "kitchen": (_sideboard, _seat, dining_set, _heap),
    "bathroom": (_chest, _heap, towel, _plant),
    "hall": (_sideboard, _plant, dining_set, _armchair),
    "store": (_heap, Furnisher.bookcase),
}

# plan -> (weight, (short side low, high), (long side low, high), height low, high)
PLANS = {
    office: (1.2, (2.4, 5.5), (3.0, 8.5), (2.4, 3.2)),
    bedroom: (1.7, (2.3, 4.2), (2.9, 5.2), (2.25, 2.9)),
    nursery: (0.5, (2.2, 3.6), (2.8, 4.6), (2.3, 2.8)),
    living: (2.0, (2.9, 5.5), (3.5, 7.5), (2.3, 3.3)),
    dining: (0.8, (2.6, 4.4), (3.2, 5.8), (2.3, 3.1)),
    kitchen: (1.4, (1.8, 4.0), (2.5, 5.5), (2.3, 2.9)),
    bathroom: (0.8, (1.4, 2.8), (1.9, 3.8), (2.2, 2.7)),
    corridor: (0.5, (1.15, 2.3), (4.0, 13.0), (2.3, 3.2)),
    hall: (0.6, (5.0, 10.0), (6.5, 15.0), (2.7, 5.0)),
    classroom: (0.6, (4.0, 7.5), (5.0, 10.0), (2.6, 3.4)),
    store: (0.4, (1.8, 4.5), (2.4, 7.0), (2.3, 3.2)),
    library: (0.5, (2.6, 4.8), (3.2, 6.5), (2.4, 3.3)),
}
