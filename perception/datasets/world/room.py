"""Rooms from a seed: `build_room`. World frame: floor at z = 0, the room's corner near the origin, walls along x and y."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.mesh import Mesh
from perception.datasets.world.rooms import storage
from perception.datasets.world.rooms.furnisher import Furnisher
from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.layout import Room
from perception.datasets.world.rooms.light import choose_mood, light_room
from perception.datasets.world.rooms.outside import surroundings
from perception.datasets.world.rooms.piece import Piece
from perception.datasets.world.rooms.plans import PLANS, fill_up
from perception.datasets.world.rooms.shell import (
    Shell,
    Wall,
    build_wall,
    choose_finishes,
    curtains,
    door,
    skirting,
    window,
)
from perception.datasets.world.scene import Scene
from perception.errors import InputError, nearest

ROOM_KINDS = tuple(plan.__name__ for plan in PLANS)


def build_room(rng: np.random.Generator, style: str = "plausible", seed: int = 0, kind: str | None = None) -> Scene:
    """Build a furnished room. style: "plausible" or "wild" (random finishes, floating shapes). kind: one of `ROOM_KINDS` or None
    for a random one. Raises InputError for an unknown kind."""
    if kind is not None and kind not in ROOM_KINDS:
        raise InputError(
            f"room kind {kind!r} is unknown; known are {', '.join(ROOM_KINDS)}.{nearest(kind, ROOM_KINDS)}"
        )
    kit = Kit(rng, style)
    plans = list(PLANS)
    weights = np.array([PLANS[p][0] for p in plans])
    plan = (
        plans[int(rng.choice(len(plans), p=weights / weights.sum()))] if kind is None else plans[ROOM_KINDS.index(kind)]
    )
    kind = plan.__name__
    room, thickness = _outline(kit, plan, kind)
    _cut_openings(kit, room)
    has_windows = any(o.kind == "window" for w in room.walls for o in w.openings)
    mood = choose_mood(kit, has_windows)
    shell = Shell(kit)
    choose_finishes(shell, mood.daylight)
    glow = kit.glow(mood.lamp_colour, kit.between(1.5, 6.0)) if mood.lit else kit.add("", (0.72, 0.7, 0.64))
    _finish_shell(kit, shell, room, thickness, mood)
    furnisher = Furnisher(room, glow, mood.lamp_colour, mood.lit)
    plan(furnisher)
    fill_up(furnisher, kit.between(0.18, 0.5))
    if kit.chance(0.1) and room.area > 5:
        furnisher.standing()
    if kit.wild:
        _floating(kit, room)
    stations = _stations(kit, room)
    annexes = _annexes(kit, shell, room, thickness, furnisher)
    outer = [w for w in room.walls if any(o.kind == "window" and o.pane == "open" for o in w.openings)]
    if outer:
        surroundings(shell, outer, kit.pick((0.4, 0.4, 3.2, 6.0, 15.0)), mood.night)
    lighting = light_room(kit, room, mood)
    static: Mesh = shell.finish()
    info = {"room": kind, "mood": mood.name, "objects": len(room.objects)}
    info |= {"height": room.height, "bounds": room.bounds, "annexes": annexes}
    return Scene(seed, "room", style, mood.name, static, room.objects, kit.table, lighting, None, stations, info)


# outline --------------------------------------------------------------------------------------------------------------


def _outline(kit: Kit, plan, kind: str) -> tuple[Room, float]:
    _, short, long, heights = PLANS[plan]
    stretch = float(np.exp(kit.rng.normal(0, 0.08)))
    a, b = kit.between(*short) * stretch, kit.between(*long) * stretch
    width, depth = (a, b) if kit.chance(0.5) else (b, a)
    height = kit.between(*heights)
    if kit.chance(0.06):
        height *= kit.between(1.1, 1.5)
    corners = [(0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)]
    notch = None
    if kit.chance(0.18) and min(a, b) > 3.0 and kind != "corridor":  # an L
        nw, nd = width * kit.between(0.2, 0.45), depth * kit.between(0.2, 0.45)
        corners = [
            (0.0, 0.0),
            (width, 0.0),
            (width, depth - nd),
            (width - nw, depth - nd),
            (width - nw, depth),
            (0.0, depth),
        ]
        notch = (width - nw, depth - nd, width, depth)
        if kit.chance(0.5):
            corners = [(width - x, y) for x, y in corners][::-1]
            notch = (0.0, depth - nd, nw, depth)
    n = len(corners)
    turn = [_cross(corners[i - 1], corners[i], corners[(i + 1) % n]) > 0 for i in range(n)]
    walls = []
    for i in range(n):
        p, q = np.array(corners[i]), np.array(corners[(i + 1) % n])
        length = float(np.linalg.norm(q - p))
        e = (q - p) / length
        walls.append(Wall(q, np.array([-e[1], e[0]]), length, height, extend=(turn[(i + 1) % n], turn[i])))
    room = Room(kit, (0.0, 0.0, width, depth), height, walls, kind)
    if notch is not None:
        room.block(notch, 0.0, height)
    return room, kit.between(0.1, 0.32)


def _cross(o, a, b) -> float:
    return (a[0] - o[0]) * (b[1] - a[1]) - (a[1] - o[1]) * (b[0] - a[0])


def _cut_openings(kit: Kit, room: Room) -> None:
    """Doors on inner walls, windows on outer ones."""
    walls = room.walls
    main = [w for w in walls if all(w.extend)] or walls
    inner = kit.pick(main)
    inner.outer = False
    for w in walls:
        if w is not inner and kit.chance(0.3):
            w.outer = False
    height = min(kit.between(1.98, 2.12), room.height - 0.12)
    doors = 0
    for w in walls:
        if w.outer or w.length < 1.3:
            continue
        for _ in range(max(1, int(w.length / 3.0)) if room.kind == "corridor" else 1):
            if w is not inner and kit.chance(0.45):
                continue
            wide = kit.chance(0.2) and w.length > 2.6 and all(w.extend)
            width = kit.between(1.3, min(2.6, w.length - 0.8)) if wide else kit.between(0.78, 1.02)
            width = min(width, w.length - 0.32)  # the narrowest corridors
            centre = kit.between(width / 2 + 0.15, w.length - width / 2 - 0.15)
            top = min(kit.between(2.05, 2.4), room.height - 0.12) if wide else height
            if w.free(centre - width / 2, centre + width / 2, 0, top, 0.2):
                hole = w.hole(
                    "passage" if wide or (kit.chance(0.15) and all(w.extend)) else "door", centre, width, 0.0, top
                )
                doors += 1
                near, out = w.point(centre, 0.0), w.point(centre, 0.85)
                reach = np.abs(w.along) * (hole.s1 - hole.s0) / 2
                low, high = np.minimum(near, out) - reach, np.maximum(near, out) + reach
                room.block((low[0], low[1], high[0], high[1]), 0.0, 2.0)
    if room.kind in ("store",) and kit.chance(0.7):
        return
    pane = kit.pick(("open", "open", "open", "bright", "bright", "frosted" if room.kind == "bathroom" else "open"))
    for w in walls:
        if not w.outer or w.length < 1.0 or kit.chance(0.25):
            continue
        tall = kit.chance(0.18)
        sill = 0.0 if tall else kit.between(0.55, 1.15)
        top = min(kit.between(1.95, 2.4), room.height - 0.15)
        if room.kind == "bathroom":
            sill = kit.between(1.0, 1.4)
        count = int(np.clip(kit.rng.poisson(w.length / 2.6), 1, 5))
        same = kit.between(0.6, 1.9)
        for k in range(count):
            width = min(same, w.length / count - 0.3)
            if width < 0.4:
                continue
            centre = (k + 0.5) * w.length / count + kit.rng.normal(0, 0.05)
            if w.free(centre - width / 2, centre + width / 2, sill, top, 0.1):
                w.hole("window", centre, width, sill + (0.03 if tall else 0), top, pane)


# shell ----------------------------------------------------------------------------------------------------------------


def _finish_shell(kit: Kit, shell: Shell, room: Room, thickness: float, mood) -> None:
    x0, y0, x1, y1 = room.bounds
    t, h, kind = thickness, room.height, room.kind
    wall_material = kit.wall(kind)
    accent = kit.wall(kind) if kit.chance(0.35) else wall_material
    accent_wall = int(kit.rng.integers(len(room.walls)))
    floor, ceiling = kit.floor(kind), kit.ceiling(kind)
    centre, size = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0 + 2 * t, y1 - y0 + 2 * t)
    shell.box((*centre, -0.1), (*size, 0.2), floor, ID["floor"])
    shell.box((*centre, h + 0.1), (*size, 0.2), ceiling, ID["ceiling"])
    skirt = kit.trim if kit.chance(0.6) else kit.wood()
    with_skirt, skirt_height = kit.chance(0.85), kit.between(0.05, 0.16)
    cornice, dado, rail = kit.chance(0.25), kit.chance(0.12), kit.between(0.9, 1.0)
    panel = kit.paint() if kit.chance(0.5) else kit.wood()
    radiator = _radiator_material(kit)
    for i, wall in enumerate(room.walls):
        build_wall(shell, wall, accent if i == accent_wall else wall_material, t)
        if dado:
            skirting(shell, wall, panel, 0.0, rail, 0.012)
            skirting(shell, wall, kit.trim, rail, rail + 0.05, 0.03)
        if with_skirt:
            skirting(shell, wall, skirt, 0.0, skirt_height, 0.016)
        if cornice:
            skirting(shell, wall, kit.trim, h - 0.09, h, 0.07)
        for hole in wall.openings:
            if hole.kind == "door":
                hole.pane = kit.pick(("closed", "closed", "ajar", "away", "none")) if all(wall.extend) else "closed"
                door(shell, wall, hole, t, hole.pane)
                _switch(kit, shell, wall, hole)
            elif hole.kind == "passage":
                if kit.chance(0.6):
                    door(shell, wall, hole, t, "none")
            else:
                if hole.pane == "open" and mood.night and kit.chance(0.6):
                    hole.pane = "dark"
                window(shell, wall, hole, t)
                if kit.chance(0.55) and room.kind != "bathroom":
                    curtains(shell, wall, hole)
                if hole.z0 > 0.5 and kit.chance(0.45):
                    _radiator(kit, room, wall, hole, radiator)
        if kit.chance(0.5) and wall.length > 1:  # sockets
            s = kit.between(0.3, wall.length - 0.3)
            if wall.free(s - 0.1, s + 0.1, 0.25, 0.4):
                shell.on_wall(wall, (s - 0.04, s + 0.04), (0, 0.012), (0.26, 0.34), kit.trim, ID["wall"])
    _ceiling_extras(kit, shell, room, ceiling)
    if kind == "hall" and kit.chance(0.5):
        d = kit.between(0.3, 0.6)
        for x in np.arange(2.5, room.size[0] - 2.0, kit.between(3, 5)):
            for y in (room.size[1] * 0.3, room.size[1] * 0.7):
                shell.box((x, y, h / 2), (d, d, h), wall_material, ID["wall"])
                room.block((x - d / 2, y - d / 2, x + d / 2, y + d / 2), 0, h)


def _switch(kit: Kit, shell: Shell, wall: Wall, hole) -> None:
    s = hole.s1 + 0.22
    if s < wall.length - 0.1 and wall.free(s - 0.04, s + 0.04, 1.05, 1.15):
        shell.on_wall(wall, (s - 0.04, s + 0.04), (0, 0.012), (1.06, 1.14), kit.trim, ID["wall"])


def _radiator_material(kit: Kit) -> int:
    return kit.plastic((0.75, 0.75, 0.73)) if kit.chance(0.8) else kit.metal()


def _radiator(kit: Kit, room: Room, wall: Wall, hole, material: int) -> None:
    piece = Piece(kit, "clutter", "radiator")
    width, height = (hole.s1 - hole.s0) * kit.between(0.6, 1.0), min(hole.z0 - 0.2, kit.between(0.4, 0.65))
    if height < 0.25:
        return
    n = max(int(width / 0.055), 4)
    for k in range(n):
        piece.box((0.05, (k + 0.5) * width / n - width / 2, height / 2), (0.07, width / n * 0.65, height), material)
    for z in (0.05, height - 0.05):
        piece.box((0.05, 0, z), (0.05, width, 0.05), material)
    room.hang(piece.finish(), wall, z=0.1, s=(hole.s0 + hole.s1) / 2, tries=1)


def _ceiling_extras(kit: Kit, shell: Shell, room: Room, ceiling: int) -> None:
    """Beams, a sloping attic wall, vents."""
    x0, y0, x1, y1 = room.bounds
    h = room.height
    if kit.chance(0.1):
        wood = kit.wood()
        along_x = kit.chance(0.5)
        for at in np.arange(0.5, (y1 - y0 if along_x else x1 - x0) - 0.2, kit.between(0.7, 1.3)):
            centre = ((x0 + x1) / 2, y0 + at, h - 0.08) if along_x else (x0 + at, (y0 + y1) / 2, h - 0.08)
            size = (x1 - x0, 0.14, 0.17) if along_x else (0.14, y1 - y0, 0.17)
            shell.box(centre, size, wood, ID["ceiling"])
    elif kit.chance(0.1):
        plain = [w for w in room.walls if not w.openings and all(w.extend)]
        if plain:
            wall = kit.pick(plain)
            low, reach = kit.between(0.9, 1.5), kit.between(1.0, 1.8)
            corners = [
                (*wall.point(s, d), z)
                for s, d, z in ((0, 0, low), (wall.length, 0, low), (wall.length, reach, h), (0, reach, h))
            ]
            shell.builder.quad(corners, material=ceiling, semantic=ID["ceiling"])
            wall.taken.append((0, wall.length, low - 0.05, h))
            a, b = wall.point(0, 0), wall.point(wall.length, reach * 0.8)
            low_c, high_c = np.minimum(a, b), np.maximum(a, b)
            room.block((*low_c, *high_c), low, h)
    elif kit.chance(0.3):
        for _ in range(int(kit.rng.integers(1, 4))):
            s = kit.between(0.1, 0.3)
            shell.box(
                (kit.between(x0 + 0.4, x1 - 0.4), kit.between(y0 + 0.4, y1 - 0.4), h - 0.01),
                (s, s, 0.03),
                kit.trim,
                ID["ceiling"],
            )


def _annexes(kit: Kit, shell: Shell, room: Room, thickness: float, main: Furnisher) -> list[tuple]:
    """The room or passage behind each open doorway; returns their bounds (x0, y0, x1, y1)."""
    built = []
    for wall in room.walls:
        holes = [
            o for o in wall.openings if o.kind == "passage" or (o.kind == "door" and o.pane in ("ajar", "away", "none"))
        ]
        if not holes:
            continue
        depth, h = kit.between(1.6, 4.5), room.height
        s0 = max(min(o.s0 for o in holes) - kit.between(0.3, 2.0), -0.5)
        s1 = min(max(o.s1 for o in holes) + kit.between(0.3, 2.0), wall.length + 0.5)
        d1, d0 = -thickness, -thickness - depth
        shell.on_wall(
            wall,
            (s0 - 0.2, s1 + 0.2),
            (d0 - 0.2, d1),
            (-0.2, 0.0),
            kit.floor(kit.pick(("living", "corridor"))),
            ID["floor"],
        )
        shell.on_wall(wall, (s0 - 0.2, s1 + 0.2), (d0 - 0.2, d1), (h, h + 0.2), kit.ceiling(), ID["ceiling"])
        material = kit.wall("living")
        far = Wall(wall.point(s0, d0), wall.normal, s1 - s0, h)
        left = Wall(wall.point(s0, d1), wall.along, depth, h, extend=(False, True))  # faces +s
        right = Wall(wall.point(s1, d0), -wall.along, depth, h, extend=(True, False))
        for w in (left, right, far):
            if w is far and kit.chance(0.35) and s1 - s0 > 1.4:
                hole = w.hole("window", (s1 - s0) / 2, min(1.2, s1 - s0 - 0.4), 0.9, min(2.1, h - 0.2), "bright")
                window(shell, w, hole, 0.15)
                curtains(shell, w, hole)
            elif w is far and kit.chance(0.3) and s1 - s0 > 1.3:
                hole = w.hole("door", (s1 - s0) / 2, 0.85, 0.0, min(2.0, h - 0.15), "closed")
                door(shell, w, hole, 0.15, "closed")
            build_wall(shell, w, material, 0.15)
        corners = np.array([wall.point(s0, d0), wall.point(s1, d1)])
        bounds = (*corners.min(0), *corners.max(0))
        annex = Room(kit, tuple(float(b) for b in bounds), h, [far, left, right], "living")
        annex.objects, annex.pool = room.objects, room.pool
        for hole in holes:  # keep the way in free
            a, b = wall.point(hole.s0, d1), wall.point(hole.s1, d1 - 0.9)
            annex.block((*np.minimum(a, b), *np.maximum(a, b)), 0.0, 2.0)
        f = Furnisher(annex, main.glow, main.lamp_colour, main.lit)
        f._books, f._rows, f._chair_parts = main._books, main._rows, main._chair_parts
        for _ in range(int(kit.rng.integers(1, 4))):
            kit.pick(
                (
                    f.bookcase,
                    lambda f=f: f.cupboard(storage.chest),
                    lambda f=f: f.cupboard(storage.sideboard),
                    lambda a=annex, f=f: a.against(f.chair(), gap=0.05),
                )
            )()
        f.decorate(1.2, 0.6)
        f.floor_clutter(0.7)
        if main.lit or kit.chance(0.3):
            at = wall.point((s0 + s1) / 2, (d0 + d1) / 2)
            strength = kit.between(0.3, 1.2)
            room.lamps.append((np.array([at[0], at[1], h - 0.35]), np.asarray(main.lamp_colour), strength, -1.0))
        built.append(annex.bounds)
    return built


def _floating(kit: Kit, room: Room) -> None:
    """Wild style: shapes that hang in the air."""
    for _ in range(int(kit.rng.integers(4, 30))):
        piece = Piece(kit, "clutter", "floating")
        size = tuple(float(s) for s in np.exp(kit.rng.normal(-1.6, 0.6, 3)).clip(0.04, 1.0))
        kind = kit.pick(("box", "rounded", "soft", "sphere", "cylinder"))
        turn = {"yaw": kit.between(0, 6), "pitch": kit.between(-1.5, 1.5), "roll": kit.between(-1.5, 1.5)}
        getattr(piece, kind)((0, 0, 0), size, 0, **turn)
        part = piece.finish()
        for _ in range(4):
            x, y = kit.between(0.3, room.size[0] - 0.3), kit.between(0.3, room.size[1] - 0.3)
            z = kit.between(0.3, room.height - 0.3)
            if room.fits(room.footprint(part, x, y, 0), z + float(part.low[2]), z + float(part.high[2])):
                room.put(part, x, y, z)
                break


def _stations(kit: Kit, room: Room, count: int = 24) -> np.ndarray:
    """Places for a camera (count, 4): free spots at eye height whose heading takes in many things that are a step away or more."""
    rng = kit.rng
    big = [o for o in room.objects if max(o.size) > 0.3]
    targets = np.array([o.motion.position for o in big] or [[room.size[0] / 2, room.size[1] / 2, 1.0]])
    weight = np.array([min(max(o.size), 2.0) for o in big] or [1.0])
    x0, y0, x1, y1 = room.bounds
    margin = min(0.28, (min(room.size) - 0.1) / 2)
    n = 160
    place = rng.uniform((x0 + margin, y0 + margin), (x1 - margin, y1 - margin), (n, 2))
    z = np.clip(rng.normal(1.42, 0.3, n), 0.7, min(2.0, room.height - 0.25))
    boxes = np.array(
        [o for o in room.obstacles if (o[4], o[5]) != (0.0, 2.0)] or [(0, 0, 0, 0, 9, 9)]
    )  # doorways may be stood in
    b = boxes[None]
    near = (place[:, :1] > b[..., 0] - 0.24) & (place[:, :1] < b[..., 2] + 0.24) & (place[:, 1:] > b[..., 1] - 0.24)
    near &= (place[:, 1:] < b[..., 3] + 0.24) & (z[:, None] > b[..., 4] - 0.25) & (z[:, None] < b[..., 5] + 0.3)
    free = np.flatnonzero(~near.any(1))
    if not len(free):
        return np.array([[(x0 + x1) / 2, (y0 + y1) / 2, 1.5, rng.uniform(-3, 3)]], np.float32)
    place, z = place[free], z[free]
    offset = targets[None, :, :2] - place[:, None]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    angle = np.arctan2(offset[..., 1], offset[..., 0])
    value = weight * np.clip((distance - 0.7) / 0.8, 0, 1) / (1 + 0.15 * distance)
    heading = rng.uniform(-np.pi, np.pi, (len(free), 8))
    seen = np.cos(angle[:, None] - heading[..., None]) > 0.84
    score = (seen * value[:, None]).sum(-1) * np.exp(rng.normal(0, 0.35, heading.shape))
    best = np.argmax(score, 1)
    rows = np.arange(len(free))
    order = np.argsort(-score[rows, best])[:count]
    return np.column_stack([place, z, heading[rows, best]])[order].astype(np.float32)
