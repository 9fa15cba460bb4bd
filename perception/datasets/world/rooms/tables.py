"""Tables, desks, stools of every sort: pieces in their own frame (front +x, floor z = 0)."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece


def _top_material(kit: Kit) -> int:
    roll = kit.rng.random()
    if roll < 0.6:
        return kit.wood()
    if roll < 0.72:
        return kit.other_wood()
    if roll < 0.84:
        return kit.plastic()
    return kit.stone()


def _legs(piece: Piece, kit: Kit, length: float, width: float, height: float, material: int, style: int) -> None:
    """Carry a top of (length, width) whose underside is at `height`."""
    thick = kit.between(0.03, 0.075)
    x, y = length / 2 - thick * 0.8, width / 2 - thick * 0.8
    if style == 0:  # square posts with an apron
        for sx in (-1, 1):
            for sy in (-1, 1):
                piece.box((sx * x, sy * y, height / 2), (thick, thick, height), material)
        if kit.chance(0.7):
            for sx in (-1, 1):
                piece.box((sx * x, 0, height - 0.05), (0.022, 2 * y, 0.09), material)
                piece.box((0, sx * y, height - 0.05), (2 * x, 0.022, 0.09), material)
    elif style == 1:  # splayed round legs
        for sx in (-1, 1):
            for sy in (-1, 1):
                piece.tube(
                    (sx * x * 0.98, sy * y * 0.98, 0),
                    (sx * x * 0.82, sy * y * 0.82, height),
                    thick * 0.6,
                    material,
                    taper=1.7,
                )
    elif style == 2:  # one column with a foot
        radius = min(length, width) * 0.5
        piece.cylinder((0, 0, height / 2), (thick * 2, thick * 2, height), material)
        if kit.chance(0.5):
            piece.cylinder((0, 0, 0.015), (radius * 1.2, radius * 1.2, 0.03), material, sides=18)
        else:
            for k in range(4):
                a = np.pi / 4 + k * np.pi / 2
                piece.tube(
                    (0, 0, 0.12), (radius * 0.8 * np.cos(a), radius * 0.8 * np.sin(a), 0.02), 0.05, material, taper=0.6
                )
    elif style == 3:  # panels at both ends
        for sy in (-1, 1):
            piece.box((0, sy * y, height / 2), (length * 0.9, 0.03, height), material)
        piece.box((-length * 0.3, 0, height * 0.65), (0.02, 2 * y, height * 0.5), material)
    elif style == 4:  # trestles
        for sy in (-0.72, 0.72):
            for sx in (-1, 1):
                piece.tube((sx * x, sy * y, 0), (sx * x * 0.25, sy * y, height), thick * 0.7, material)
            piece.box((0, sy * y, height * 0.3), (length * 0.7, thick * 0.5, thick), material)
        piece.box((0, 0, height * 0.3), (thick, 1.4 * y, thick), material)
    else:  # metal frames
        d = thick * 0.6
        for sy in (-1, 1):
            piece.box((-x, sy * y, height / 2), (d, d, height), material)
            piece.box((x, sy * y, height / 2), (d, d, height), material)
            piece.box((0, sy * y, d / 2), (2 * x, d, d), material)


def _plate(piece: Piece, kit: Kit, length: float, width: float, z: float, shape: str) -> float:
    """The top with its upper face at `z`; returns the underside's height."""
    thick, material = kit.between(0.018, 0.05), _top_material(kit)
    if shape == "round":
        piece.cylinder((0, 0, z - thick / 2), (length, width, thick), material, sides=28)
        r = 0.34
        piece.top(-length * r, length * r, -width * r, width * r, z)
    else:
        if kit.chance(0.3):
            piece.rounded((0, 0, z - thick / 2), (length, width, thick), material, bevel=0.03)
        else:
            piece.box((0, 0, z - thick / 2), (length, width, thick), material)
        piece.top(-length / 2, length / 2, -width / 2, width / 2, z)
    return z - thick


def dining_table(kit: Kit, size: float | None = None) -> Part:
    """Dining or meeting table; length runs along y."""
    piece = Piece(kit, "table", "dining")
    round_top = kit.chance(0.3)
    width = size or (kit.between(0.9, 1.4) if round_top else float(np.exp(kit.rng.normal(0.4, 0.28))))
    depth = width * kit.between(0.9, 1.0) if round_top else kit.between(0.7, 1.05)
    z = kit.between(0.7, 0.78)
    under = _plate(piece, kit, depth, width, z, "round" if round_top else "box")
    legs = kit.metal() if kit.chance(0.3) else kit.wood()
    _legs(piece, kit, depth, width, under, legs, 2 if round_top and kit.chance(0.7) else kit.pick((0, 0, 1, 3, 4, 5)))
    if kit.chance(0.22):  # table cloth: hangs over the edges
        cloth, drop = kit.fabric(0.6), kit.between(0.12, 0.35)
        n = 36
        a = np.linspace(0, 2 * np.pi, n, endpoint=False)
        power = 1.0 if round_top else 0.12
        x = np.sign(np.cos(a)) * np.abs(np.cos(a)) ** power * depth * 0.51
        y = np.sign(np.sin(a)) * np.abs(np.sin(a)) ** power * width * 0.505
        wave = 1 + 0.02 * np.sin(a * 9)
        rim = np.stack([x, y, np.full(n, z + 0.004)], -1)
        hem = np.stack([x * wave * 1.03, y * wave * 1.02, z - drop + 0.03 * np.sin(a * 5)], -1)
        centre = np.zeros((n, 3)) + [0, 0, z + 0.006]
        points = np.stack([hem, rim, centre])
        local = points.copy()
        local[0, :, 0] *= 1.2
        piece.surface(points, cloth, wrap=True)
    return piece.finish()


def coffee_table(kit: Kit) -> Part:
    """Low table before a sofa."""
    piece = Piece(kit, "table", "coffee")
    shape = "round" if kit.chance(0.3) else "box"
    width = kit.between(0.6, 0.9) if shape == "round" else kit.between(0.7, 1.4)
    depth = width if shape == "round" else kit.between(0.45, 0.75)
    z = kit.between(0.32, 0.5)
    under = _plate(piece, kit, depth, width, z, shape)
    material = kit.metal() if kit.chance(0.4) else kit.wood()
    if shape == "box" and kit.chance(0.3):  # a solid block or a chest
        piece.box((0, 0, under / 2), (depth * 0.92, width * 0.94, under), kit.wood())
    else:
        _legs(piece, kit, depth, width, under, material, kit.pick((0, 1, 5)) if shape == "box" else kit.pick((1, 2)))
        if shape == "box" and kit.chance(0.4):
            piece.box((0, 0, 0.14), (depth * 0.88, width * 0.9, 0.02), kit.wood())
    return piece.finish()


def side_table(kit: Kit) -> Part:
    """Small table or bedside cabinet."""
    piece = Piece(kit, "table", "side")
    width, depth, z = kit.between(0.35, 0.6), kit.between(0.33, 0.5), kit.between(0.4, 0.68)
    if kit.chance(0.5):
        under = _plate(piece, kit, depth, width, z, kit.pick(("round", "box")))
        _legs(piece, kit, depth, width, under, kit.metal() if kit.chance(0.5) else kit.wood(), kit.pick((0, 1, 2)))
        return piece.finish()
    wood = kit.wood()
    piece.box((0, 0, 0.05 + (z - 0.05) / 2), (depth, width, z - 0.05), wood)
    piece.box((0, 0, 0.025), (depth * 0.9, width * 0.9, 0.05), wood)
    drawers = int(kit.rng.integers(1, 4))
    step = (z - 0.1) / drawers
    handle = kit.metal()
    for k in range(drawers):
        cz = 0.08 + step * (k + 0.5)
        piece.box((depth / 2 + 0.006, 0, cz), (0.014, width * 0.92, step * 0.9), wood)
        piece.box((depth / 2 + 0.025, 0, cz), (0.02, width * 0.25, 0.014), handle)
    piece.top(-depth / 2, depth / 2, -width / 2, width / 2, z)
    return piece.finish()


def desk(kit: Kit, width: float | None = None) -> Part:
    """Desk with drawers or open legs; the sitter's side is +x."""
    piece = Piece(kit, "table", "desk")
    width, depth, z = width or kit.between(1.0, 1.8), kit.between(0.55, 0.82), kit.between(0.7, 0.77)
    under = _plate(piece, kit, depth, width, z, "box")
    body = kit.wood()
    style = kit.pick(("drawers", "drawers2", "legs", "legs", "panels"))
    if style in ("drawers", "drawers2"):
        w, handle = kit.between(0.36, 0.46), kit.metal()
        sides = (-1, 1) if style == "drawers2" and width > 1.25 else (kit.pick((-1, 1)),)
        for side in sides:
            y = side * (width / 2 - w / 2 - 0.02)
            piece.box((0, y, under / 2), (depth * 0.92, w, under), body)
            count = int(kit.rng.integers(2, 5))
            for k in range(count):
                h = (under - 0.08) / count
                cz = 0.06 + h * (k + 0.5)
                piece.box((depth * 0.46 + 0.008, y, cz), (0.016, w * 0.93, h * 0.92), body)
                piece.box((depth * 0.46 + 0.026, y, cz + h * 0.2), (0.016, w * 0.4, 0.015), handle)
        if len(sides) == 1:
            y = -sides[0] * (width / 2 - 0.03)
            piece.box((0, y, under / 2), (depth * 0.9, 0.03, under), body)
        piece.box((-depth * 0.42, 0, under * 0.65), (0.02, width * 0.94, under * 0.6), body)
    else:
        _legs(
            piece,
            kit,
            depth,
            width,
            under,
            kit.metal() if kit.chance(0.6) else body,
            3 if style == "panels" else kit.pick((0, 1, 4, 5)),
        )
    return piece.finish()


def bench(kit: Kit) -> Part:
    """Bench of a hall or corridor."""
    piece = Piece(kit, "chair", "bench")
    width, depth, z = kit.between(1.0, 1.9), kit.between(0.35, 0.48), kit.between(0.42, 0.48)
    wood = kit.wood()
    piece.rounded((0, 0, z - 0.025), (depth, width, 0.05), wood if kit.chance(0.6) else kit.fabric(), bevel=0.04)
    _legs(
        piece, kit, depth * 0.9, width * 0.94, z - 0.05, kit.metal() if kit.chance(0.5) else wood, kit.pick((0, 3, 5))
    )
    if kit.chance(0.35):
        for zz in (0.62, 0.78):
            piece.box((-depth / 2 + 0.02, 0, zz), (0.03, width, 0.09), wood)
        for sy in (-0.46, 0.46):
            piece.box((-depth / 2 + 0.02, sy * width, 0.6), (0.035, 0.04, 0.5), wood)
    if kit.chance(0.5):
        piece.top(-depth / 2, depth / 2, -width / 2, width / 2, z)
    return piece.finish()
