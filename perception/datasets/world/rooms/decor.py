"""Lamps, pictures, mirrors, clocks, screens, rugs. Wall pieces lie in the plane x = 0 with their back to -x."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece


def _shade(piece: Piece, kit: Kit, z: float, size: float, height: float, material: int) -> None:
    kind = kit.pick(("drum", "cone", "globe", "bell"))
    if kind == "globe":
        piece.sphere((0, 0, z), (size * 0.8, size * 0.8, size * 0.8), material)
        return
    top = {"drum": 0.92, "cone": 0.5, "bell": 0.35}[kind]
    r = size / 2
    middle = r * (0.75 if kind == "cone" else (0.96 if kind == "drum" else 0.6))
    piece.lathe([(r, -height / 2), (middle, 0.1 * height), (r * top, height / 2)], (0, 0, z), material, sides=18)


def floor_lamp(kit: Kit, glow: int) -> tuple[Part, float]:
    """Standing lamp and the height of its bulb."""
    piece = Piece(kit, "lamp", "floor lamp")
    height, metal = kit.between(1.35, 1.85), kit.metal() if kit.chance(0.7) else kit.wood()
    if kit.chance(0.3):
        for k in range(3):
            a = k * 2 * np.pi / 3 + 0.4
            piece.tube((0.25 * np.cos(a), 0.25 * np.sin(a), 0), (0, 0, height - 0.2), 0.025, metal, sides=6)
    else:
        piece.cylinder((0, 0, 0.015), (0.28, 0.28, 0.03), metal, sides=18)
        piece.tube((0, 0, 0), (0, 0, height), 0.026, metal)
    _shade(piece, kit, height, kit.between(0.25, 0.5), kit.between(0.2, 0.36), glow)
    return piece.finish(), height


def table_lamp(kit: Kit, glow: int) -> tuple[Part, float]:
    """Lamp for a table and the height of its bulb."""
    piece = Piece(kit, "lamp", "table lamp")
    height = kit.between(0.3, 0.55)
    if kit.chance(0.4):  # desk lamp with an arm
        metal = kit.metal() if kit.chance(0.5) else kit.plastic()
        piece.cylinder((0, 0, 0.012), (0.16, 0.16, 0.025), metal, sides=14)
        piece.tube((0, 0, 0.02), (-0.1, 0, height * 0.6), 0.016, metal, sides=6)
        piece.tube((-0.1, 0, height * 0.6), (0.12, 0, height), 0.016, metal, sides=6)
        piece.lathe([(0.075, -0.06), (0.06, 0.0), (0.02, 0.05)], (0.13, 0, height), metal)
        piece.sphere((0.13, 0, height - 0.03), (0.07, 0.07, 0.07), glow, level=1)
        return piece.finish(), height
    body = kit.ceramic(0.3) if kit.chance(0.6) else kit.wood()
    r = kit.between(0.04, 0.1)
    z = np.linspace(0, height * 0.62, 7)
    profile = np.stack(
        [np.maximum(r * (0.55 + 0.45 * np.sin(z * kit.between(9, 22) + kit.between(0, 6))), 0.012), z], -1
    )
    profile[0, 0] = r
    piece.lathe(profile, (0, 0, 0), body)
    piece.tube((0, 0, height * 0.6), (0, 0, height), 0.014, kit.trim, sides=5)
    _shade(piece, kit, height * 0.88, kit.between(0.2, 0.38), height * 0.42, glow)
    return piece.finish(), height * 0.85


def pendant(kit: Kit, glow: int, drop: float) -> Part:
    """Ceiling lamp hanging down from z = 0 by `drop`."""
    piece = Piece(kit, "lamp", "pendant")
    cord, size = kit.plastic((0.03, 0.03, 0.03)), kit.between(0.22, 0.55)
    kind = kit.pick(("shade", "shade", "globes", "ring", "fan"))
    piece.cylinder((0, 0, -0.015), (0.1, 0.1, 0.03), cord, sides=10)
    piece.tube((0, 0, -drop), (0, 0, 0), 0.01 if kind != "fan" else 0.03, cord, sides=5)
    if kind == "shade":
        _shade(piece, kit, -drop, size, size * kit.between(0.4, 0.8), glow if kit.chance(0.7) else kit.metal())
        piece.sphere((0, 0, -drop - 0.02), (0.09, 0.09, 0.09), glow, level=1)
    elif kind == "globes":
        arms, metal = int(kit.rng.integers(3, 7)), kit.metal()
        for k in range(arms):
            a = k * 2 * np.pi / arms
            end = (0.3 * np.cos(a), 0.3 * np.sin(a), -drop + 0.05)
            piece.tube((0, 0, -drop), end, 0.016, metal, sides=5)
            piece.sphere(end, (0.13, 0.13, 0.13), glow, level=1)
    elif kind == "ring":
        piece.lathe(
            [(size * 0.7, -0.03), (size * 0.75, 0), (size * 0.7, 0.03), (size * 0.62, 0), (size * 0.7, -0.03)],
            (0, 0, -drop),
            glow,
            sides=24,
        )
        for k in range(3):
            a = k * 2 * np.pi / 3
            piece.tube(
                (size * 0.7 * np.cos(a), size * 0.7 * np.sin(a), -drop), (0, 0, -drop * 0.3), 0.006, cord, sides=4
            )
    else:
        blade, turn = kit.wood(), kit.between(0, 1)
        for k in range(int(kit.rng.integers(3, 6))):
            a = turn + k * 2 * np.pi / 5
            piece.box((0.36 * np.cos(a), 0.36 * np.sin(a), -drop + 0.06), (0.52, 0.13, 0.012), blade, yaw=a)
        piece.cylinder((0, 0, -drop + 0.06), (0.2, 0.2, 0.1), kit.metal())
        piece.sphere((0, 0, -drop - 0.03), (0.2, 0.2, 0.14), glow)
    return piece.finish()


def ceiling_light(kit: Kit, glow: int, long: bool) -> Part:
    """Panel, tube or bowl under the ceiling (z = 0)."""
    piece = Piece(kit, "lamp", "ceiling light")
    if long:
        length, width = kit.between(0.6, 1.5), kit.between(0.1, 0.6)
        piece.box((0, 0, -0.03), (length, width, 0.06), kit.trim)
        piece.box((0, 0, -0.062), (length * 0.95, width * 0.88, 0.01), glow)
    elif kit.chance(0.5):
        size = kit.between(0.25, 0.45)
        piece.lathe(
            [(0.0, -0.11), (size * 0.3, -0.095), (size * 0.5, -0.03), (size * 0.5, 0)], (0, 0, 0), glow, sides=20
        )
    else:  # track with spots
        metal = kit.plastic()
        piece.box((0, 0, -0.015), (0.03, 1.0, 0.03), metal)
        for k in range(3):
            y = (k - 1) * 0.38
            piece.tube((0, y, -0.03), (0.08, y + 0.03, -0.14), 0.07, metal)
            piece.sphere((0.085, y + 0.03, -0.15), (0.06, 0.06, 0.06), glow, level=1)
    return piece.finish()


def wall_lamp(kit: Kit, glow: int) -> Part:
    """Sconce."""
    piece = Piece(kit, "lamp", "wall lamp")
    piece.box((0.01, 0, 0), (0.02, 0.09, 0.14), kit.metal())
    piece.tube((0.01, 0, 0), (0.12, 0, 0.02), 0.014, kit.metal(), sides=5)
    size = kit.between(0.1, 0.18)
    piece.lathe([(size * 0.6, -size * 0.6), (size * 0.4, size * 0.6)], (0.12, 0, 0.05), glow, sides=12)
    return piece.finish()


def picture(kit: Kit, width: float | None = None) -> Part:
    """Framed painting, print or photo; centre at the origin, hanging on x = 0."""
    piece = Piece(kit, "picture", "picture")
    width = width or float(np.clip(np.exp(kit.rng.normal(-0.7, 0.45)), 0.16, 1.7))
    height = width * kit.pick((0.7, 0.75, 1.0, 1.33, 1.4, 1.5, 0.5))
    height = min(height, 1.3)
    thick = kit.between(0.012, 0.04)
    print_ = kit.printed("painting", "painting", "poster", specular=0.25 if kit.chance(0.4) else 0.02, roughness=0.2)
    border = kit.between(0.012, 0.07) if kit.chance(0.85) else 0.0
    piece.box((thick / 2, 0, 0), (thick, width, height), print_, fit=1.0 if kit.chance(0.5) else kit.between(0.5, 0.95))
    if border:
        frame = kit.wood() if kit.chance(0.4) else (kit.metal() if kit.chance(0.4) else kit.plastic((0.02, 0.02, 0.02)))
        deep = thick + kit.between(0.005, 0.03)
        for side in (-1, 1):
            piece.box((deep / 2, 0, side * (height + border) / 2), (deep, width + 2 * border, border), frame)
            piece.box((deep / 2, side * (width + border) / 2, 0), (deep, border, height), frame)
    return piece.finish()


def mirror(kit: Kit, width: float, height: float) -> Part:
    """Mirror: a very shiny dark sheet with a frame."""
    piece = Piece(kit, "picture", "mirror")
    glass = kit.add("", (0.12, 0.125, 0.13), specular=1.0, roughness=0.02)
    frame = kit.wood() if kit.chance(0.6) else kit.metal()
    if kit.chance(0.25):
        piece.cylinder((0.015, 0, 0), (width, width, 0.03), frame, sides=28, pitch=np.pi / 2)
        piece.cylinder((0.02, 0, 0), (width * 0.93, width * 0.93, 0.03), glass, sides=28, pitch=np.pi / 2)
        return piece.finish()
    piece.box((0.012, 0, 0), (0.024, width + 0.06, height + 0.06), frame)
    piece.box((0.016, 0, 0), (0.024, width, height), glass)
    return piece.finish()


def wall_clock(kit: Kit) -> Part:
    """Round clock with hands."""
    piece = Piece(kit, "clutter", "clock")
    size = kit.between(0.2, 0.4)
    dark = kit.plastic((0.02, 0.02, 0.02))
    piece.cylinder((0.02, 0, 0), (size, size, 0.04), kit.plastic(), sides=24, pitch=np.pi / 2)
    piece.cylinder(
        (0.023, 0, 0), (size * 0.9, size * 0.9, 0.04), kit.plastic((0.75, 0.75, 0.72)), sides=24, pitch=np.pi / 2
    )
    for k in range(12):
        a = k * np.pi / 6
        piece.box((0.044, 0.39 * size * np.sin(a), 0.39 * size * np.cos(a)), (0.003, 0.014, 0.03), dark, roll=-a)
    for length, a in ((0.22, kit.between(0, 6.3)), (0.33, kit.between(0, 6.3))):
        piece.box(
            (0.047, length / 2 * size * np.sin(a), length / 2 * size * np.cos(a)),
            (0.003, 0.012, length * size),
            dark,
            roll=-a,
        )
    return piece.finish()


def board(kit: Kit, width: float) -> Part:
    """Whiteboard, blackboard or pin board with papers."""
    piece = Piece(kit, "picture", "board")
    kind = kit.pick(("white", "white", "black", "pin"))
    height = kit.between(0.8, 1.25)
    frame = kit.metal((0.5, 0.5, 0.5)) if kind != "pin" else kit.wood()
    piece.box((0.012, 0, 0), (0.024, width + 0.05, height + 0.05), frame)
    if kind == "white":
        face = kit.add("paper_2" if kit.chance(0.3) else "plain", (0.85, 0.85, 0.85), specular=0.4, roughness=0.3)
    elif kind == "black":
        face = kit.add("plaster_4", (0.03, 0.06, 0.045), (0.09, 0.12, 0.11))
    else:
        face = kit.add("noise_5", (0.42, 0.28, 0.15), (0.3, 0.18, 0.09), 0.2)
    piece.box((0.015, 0, 0), (0.024, width, height), face)
    for _ in range(int(kit.rng.integers(2, 12)) if kind == "pin" else int(kit.rng.integers(0, 5))):
        w = kit.between(0.1, 0.24)
        h = w * 1.4
        at = (0.029, kit.between(-0.5, 0.5) * (width - w), kit.between(-0.5, 0.5) * (height - h))
        piece.box(at, (0.003, w, h), kit.printed("paper", "poster"), fit=True, roll=kit.between(-0.08, 0.08))
    piece.box((0.04, 0, -height / 2 - 0.02), (0.06, width, 0.015), frame)
    return piece.finish()


def television(kit: Kit, width: float | None = None, wall: bool = False) -> Part:
    """Television: on a foot (z = 0 is the table) or for the wall (centre at the origin)."""
    piece = Piece(kit, "screen", "television")
    width = width or kit.between(0.7, 1.5)
    height = width * 0.58
    bezel = kit.plastic((0.012, 0.012, 0.013), 0.4)
    off = kit.chance(0.55)
    face = (
        kit.add("", (0.008, 0.008, 0.01), specular=0.8, roughness=0.08)
        if off
        else kit.printed("screen_4", "screen_2", "painting", emission=kit.between(0.4, 1.2))
    )
    z = 0.0 if wall else height / 2 + kit.between(0.04, 0.09)
    x = 0.035 if wall else 0.0
    piece.box((x, 0, z), (0.045, width, height), bezel)
    piece.box((x + 0.0235, 0, z + 0.004), (0.004, width * 0.97, height * 0.94), face, fit=True)
    if not wall:
        piece.box((-0.01, 0, 0.01), (0.2, width * 0.4, 0.02), bezel)
        piece.box((-0.015, 0, z / 2), (0.03, 0.12, z), bezel)
    return piece.finish()


def monitor(kit: Kit) -> Part:
    """Computer monitor facing +x."""
    piece = Piece(kit, "screen", "monitor")
    width = kit.between(0.42, 0.75)
    height = width * kit.pick((0.57, 0.57, 0.63, 0.75))
    bezel = kit.plastic((0.015, 0.015, 0.016)) if kit.chance(0.75) else kit.plastic((0.6, 0.6, 0.58))
    on = kit.chance(0.65)
    face = (
        kit.printed("screen", emission=kit.between(0.4, 1.0))
        if on
        else kit.add("", (0.01, 0.01, 0.012), specular=0.6, roughness=0.15)
    )
    z = kit.between(0.1, 0.18) + height / 2
    tilt = kit.between(-0.15, 0.03)
    piece.box((0, 0, z), (0.035, width, height), bezel, pitch=tilt)
    piece.box((0.019, 0, z), (0.003, width * 0.95, height * 0.92), face, fit=True, pitch=tilt)
    piece.box((-0.05, 0, 0.008), (0.18, 0.24, 0.016), bezel)
    piece.box((-0.04, 0, z / 2), (0.03, 0.06, z), bezel)
    return piece.finish()


def laptop(kit: Kit) -> Part:
    """Open laptop, screen facing +x."""
    piece = Piece(kit, "screen", "laptop")
    width = kit.between(0.28, 0.38)
    depth = width * 0.68
    skin = kit.metal((0.5, 0.5, 0.51)) if kit.chance(0.5) else kit.plastic((0.02, 0.02, 0.022))
    lean = kit.between(0.15, 0.5)
    piece.box((0, 0, 0.01), (depth, width, 0.016), skin)
    piece.box((-0.02, 0, 0.0185), (depth * 0.5, width * 0.9, 0.002), kit.printed("keyboard"), fit=True)
    x, z = -depth / 2 - np.sin(lean) * depth / 2, 0.012 + np.cos(lean) * depth / 2
    piece.box((x, 0, z), (0.012, width, depth), skin, pitch=-lean)
    piece.box(
        (x + 0.0065, 0, z + 0.001),
        (0.002, width * 0.94, depth * 0.9),
        kit.printed("screen", emission=kit.between(0.3, 0.9)),
        fit=True,
        pitch=-lean,
    )
    return piece.finish()


def rug(kit: Kit, length: float, width: float) -> Part:
    """A rug on the floor (class floor)."""
    piece = Piece(kit, "floor", "rug")
    a, b = kit.pick(kit.cloths), kit.pick(kit.cloths)
    round_one = kit.chance(0.2)
    if kit.chance(0.65) and not round_one:
        material = kit.table.add(_rug_material(kit, a, b))
        piece.box((0, 0, 0.006), (length, width, 0.012), material, fit=True)
    else:
        material = kit.add(kit.pick(("carpet", "fur", "cloth_pattern")), a, b)
        if round_one:
            piece.cylinder((0, 0, 0.006), (min(length, width),) * 2 + (0.012,), material, sides=28)
        else:
            piece.box((0, 0, 0.006), (length, width, 0.012), material)
    return piece.finish()


def _rug_material(kit: Kit, a, b):
    from perception.datasets.world.materials import Material

    return Material(kit.bank.pick(kit.rng, "rug"), a, b, 1.0)
