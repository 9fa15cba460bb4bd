"""The helpers that all plans of rooms share: seats, people, shelves with books, lamps, pictures, desks and dining sets."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.rooms import belongings, clutter, decor, pot_plants, seating, storage, tables
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
                    small = room.prop(clutter.SHELF if kit.chance(0.8) else (belongings.carton,))
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
        self.room.scatter(part, x, y, yaw, (belongings.carton, clutter.ornament, clutter.vase, belongings.basket), 1.0)
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
            tall = pot_plants.plant(kit)
            if tall.high[2] > 0.5:
                if kit.chance(0.7):
                    room.against(tall, gap=0.03, before_windows=1.0, tries=5)
                else:
                    room.free_standing(tall, tries=4)
            else:
                room.pool.setdefault("plant", []).append(tall)

    def floor_clutter(self, count: float, makers=belongings.FLOOR) -> None:
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
