"""Kitchens and bathrooms: base and wall units, cookers, refrigerators, sinks, toilets, tubs, showers."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece


class KitchenDesign:
    """Fronts, worktop and handles shared by one kitchen."""

    def __init__(self, kit: Kit) -> None:
        self.front = kit.paint() if kit.chance(0.55) else kit.wood()
        self.upper = self.front if kit.chance(0.6) else kit.paint()
        self.top = kit.stone() if kit.chance(0.6) else kit.wood()
        self.handle = kit.metal()
        self.steel = kit.metal((0.5, 0.5, 0.51))
        self.dark = kit.plastic((0.015, 0.015, 0.016), 0.6)
        self.depth, self.height = kit.between(0.58, 0.64), kit.between(0.86, 0.93)


def base_units(kit: Kit, design: KitchenDesign, width: float) -> Part:
    """A run of base units with worktop; with sink, hob, oven or dishwasher somewhere."""
    piece = Piece(kit, "cabinet", "base units")
    d, h = design.depth, design.height
    piece.box((0, 0, 0.1 + (h - 0.14) / 2), (d - 0.04, width, h - 0.14), design.front)
    piece.box((-0.04, 0, 0.05), (d - 0.12, width, 0.1), design.dark)
    piece.box((0.01, 0, h - 0.02), (d + 0.02, width + 0.01, 0.04), design.top)
    count = max(1, round(width / 0.6))
    w = width / count
    for k in range(count):
        y = -width / 2 + (k + 0.5) * w
        x = d / 2 - 0.02
        roll = kit.rng.random()
        if roll < 0.18:  # oven below a hob
            piece.box(
                (x + 0.01, y, h * 0.5), (0.03, w * 0.97, h * 0.68), design.dark if kit.chance(0.6) else design.steel
            )
            piece.box((x + 0.045, y, h * 0.74), (0.025, w * 0.8, 0.02), design.steel)
            piece.box((0.0, y, h + 0.004), (d * 0.82, w * 0.95, 0.008), design.dark)
            for sx in (-1, 1):
                for sy in (-1, 1):
                    piece.cylinder(
                        (sx * d * 0.19, y + sy * w * 0.22, h + 0.012),
                        (0.17, 0.17, 0.012),
                        design.steel if kit.chance(0.5) else design.dark,
                        sides=14,
                    )
            for j in range(4):
                piece.cylinder(
                    (x + 0.035, y + (j - 1.5) * 0.09, h * 0.86),
                    (0.035, 0.035, 0.03),
                    design.steel,
                    sides=10,
                    pitch=np.pi / 2,
                )
        elif roll < 0.36:  # sink with a tap
            piece.box((0.02, y, h + 0.003), (d * 0.72, w * 0.9, 0.006), design.steel)
            piece.box((0.02, y, h + 0.0035), (d * 0.56, w * 0.7, 0.008), kit.metal((0.12, 0.12, 0.125)))
            piece.tube((-d * 0.32, y, h), (-d * 0.32, y, h + 0.24), 0.028, design.steel)
            piece.tube((-d * 0.32, y, h + 0.24), (-d * 0.08, y, h + 0.26), 0.024, design.steel)
            piece.tube((-d * 0.08, y, h + 0.26), (-d * 0.08, y, h + 0.21), 0.022, design.steel)
            _unit_front(piece, kit, design, x, y, w, h)
        else:
            _unit_front(piece, kit, design, x, y, w, h)
            piece.top(-d * 0.4, d * 0.35, y - w * 0.42, y + w * 0.42, h, 0.45)
    return piece.finish()


def _unit_front(piece: Piece, kit: Kit, design: KitchenDesign, x: float, y: float, w: float, h: float) -> None:
    low, high = 0.11, h - 0.05
    rows = kit.pick((1, 1, 2, 3))
    step = (high - low) / rows
    for r in range(rows):
        z = low + (r + 0.5) * step
        piece.box((x + 0.01, y, z), (0.02, w - 0.008, step - 0.008), design.front)
        piece.box((x + 0.035, y, z + step * 0.3), (0.016, min(0.2, w * 0.4), 0.014), design.handle)


def wall_units(kit: Kit, design: KitchenDesign, width: float) -> Part:
    """Hanging cupboards; z = 0 is their lower edge."""
    piece = Piece(kit, "cabinet", "wall units")
    d, h = kit.between(0.3, 0.38), kit.between(0.55, 0.85)
    count = max(1, round(width / 0.55))
    w = width / count
    for k in range(count):
        y = -width / 2 + (k + 0.5) * w
        if kit.chance(0.14) and count > 1:  # cooker hood instead
            piece.box((0.0, y, 0.1), (d * 1.2, w * 0.95, 0.06), design.steel)
            piece.cylinder((-d * 0.1, y, 0.1 + h / 2), (0.25, 0.25, h), design.steel)
            continue
        piece.box((0, y, h / 2), (d, w - 0.004, h), design.upper)
        piece.box((d / 2 + 0.01, y, h / 2), (0.02, w - 0.01, h - 0.01), design.upper)
        piece.box(
            (d / 2 + 0.032, y + (w * 0.4 if k % 2 == 0 else -w * 0.4), h * 0.2), (0.016, 0.014, 0.13), design.handle
        )
    return piece.finish()


def refrigerator(kit: Kit) -> Part:
    """Refrigerator or tall unit, sometimes with notes on it."""
    piece = Piece(kit, "cabinet", "refrigerator")
    w, d, h = kit.between(0.55, 0.92), kit.between(0.6, 0.75), kit.between(1.45, 2.0)
    skin = kit.plastic((0.75, 0.75, 0.74), 0.3) if kit.chance(0.55) else kit.metal((0.45, 0.45, 0.46))
    split = h * kit.between(0.3, 0.68)
    handle = kit.metal()
    piece.box((-0.02, 0, h / 2), (d - 0.05, w, h), skin)
    for low, high in ((0.03, split), (split, h)):
        piece.rounded((d / 2 - 0.02, 0, (low + high) / 2), (0.06, w - 0.004, high - low - 0.01), skin, bevel=0.06)
        piece.tube(
            (d / 2 + 0.045, w * 0.42, low + (high - low) * 0.25),
            (d / 2 + 0.045, w * 0.42, high - (high - low) * 0.2),
            0.022,
            handle,
        )
    for _ in range(int(kit.rng.integers(0, 5))):
        size = kit.between(0.06, 0.2)
        at = (d / 2 + 0.013, kit.between(-0.35, 0.3) * w, kit.between(split + 0.1, h - 0.15))
        piece.box(at, (0.003, size, size * kit.between(0.8, 1.4)), kit.printed("paper", "poster", "packet"), fit=True)
    piece.top(-d * 0.4, d * 0.3, -w * 0.4, w * 0.4, h, 0.4)
    return piece.finish()


def washing_machine(kit: Kit) -> Part:
    """Front loader."""
    piece = Piece(kit, "cabinet", "washing machine")
    white, dark, steel = (
        kit.plastic((0.78, 0.78, 0.77)),
        kit.plastic((0.03, 0.03, 0.035), 0.6),
        kit.metal((0.5, 0.5, 0.5)),
    )
    piece.rounded((0, 0, 0.425), (0.58, 0.6, 0.85), white, bevel=0.02)
    piece.cylinder((0.3, 0, 0.42), (0.38, 0.38, 0.05), steel, sides=22, pitch=np.pi / 2)
    piece.cylinder((0.31, 0, 0.42), (0.28, 0.28, 0.05), dark, sides=22, pitch=np.pi / 2)
    piece.box((0.292, 0.12, 0.78), (0.012, 0.3, 0.08), dark)
    piece.cylinder((0.3, -0.12, 0.78), (0.06, 0.06, 0.03), steel, pitch=np.pi / 2)
    piece.top(-0.28, 0.28, -0.28, 0.28, 0.85)
    return piece.finish()


def toilet(kit: Kit) -> Part:
    """Bowl, seat, lid, cistern."""
    piece = Piece(kit, "clutter", "toilet")
    white = kit.ceramic(0.95)
    bowl = np.array([(0.1, 0.0), (0.11, 0.05), (0.09, 0.15), (0.13, 0.28), (0.19, 0.38), (0.19, 0.4), (0.0, 0.4)])
    v = []
    for r, z in bowl:
        a = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        v.append(np.stack([0.05 + r * 1.3 * np.cos(a), r * np.sin(a), np.full(18, z)], -1))
    piece.surface(np.array(v), white, wrap=True)
    piece.cylinder((0.05, 0, 0.41), (0.5, 0.38, 0.02), white, sides=20)
    lid = kit.plastic((0.75, 0.75, 0.74)) if kit.chance(0.8) else kit.wood()
    if kit.chance(0.4):
        piece.cylinder((-0.2, 0, 0.62), (0.42, 0.36, 0.02), lid, sides=20, pitch=1.45)
    else:
        piece.cylinder((0.05, 0, 0.428), (0.5, 0.38, 0.018), lid, sides=20)
    if kit.chance(0.75):
        piece.rounded((-0.26, 0, 0.58), (0.17, 0.4, 0.36), white, bevel=0.1)
        piece.rounded((-0.26, 0, 0.77), (0.19, 0.42, 0.03), white, bevel=0.2)
    piece.top(-0.33, -0.2, -0.18, 0.18, 0.79, 0.3)
    return piece.finish()


def washbasin(kit: Kit) -> Part:
    """Basin on a cupboard or a pedestal, with a tap."""
    piece = Piece(kit, "cabinet", "washbasin")
    white, steel = kit.ceramic(0.9), kit.metal((0.55, 0.55, 0.56))
    w, d, z = kit.between(0.45, 1.1), kit.between(0.4, 0.52), kit.between(0.8, 0.88)
    if kit.chance(0.6):
        wood = kit.wood()
        piece.box((-0.01, 0, z / 2 - 0.02), (d - 0.04, w, z - 0.1), wood)
        for side in (-1, 1):
            piece.box((d / 2 - 0.02, side * w / 4, z / 2 - 0.02), (0.02, w / 2 - 0.01, z - 0.13), wood)
            piece.box((d / 2, side * 0.04, z * 0.6), (0.016, 0.012, 0.12), steel)
    else:
        piece.cylinder((0, 0, z / 2), (0.16, 0.18, z), white, taper=1.1)
    rim = np.array([(0.98, -0.1), (1.0, 0.0), (0.9, 0.005), (0.75, -0.05), (0.3, -0.1), (0.0, -0.105)])
    rows = []
    a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for r, dz in rim:
        c, s = np.cos(a), np.sin(a)
        rows.append(
            np.stack(
                [
                    np.sign(c) * np.abs(c) ** 0.6 * r * d / 2,
                    np.sign(s) * np.abs(s) ** 0.6 * r * w / 2,
                    np.full(24, z + dz + 0.02),
                ],
                -1,
            )
        )
    piece.surface(np.array(rows), white, wrap=True)
    piece.tube((-d * 0.4, 0, z), (-d * 0.4, 0, z + 0.16), 0.03, steel)
    piece.tube((-d * 0.4, 0, z + 0.15), (-d * 0.15, 0, z + 0.13), 0.024, steel)
    piece.top(-d * 0.45, -d * 0.3, w * 0.2, w * 0.45, z + 0.02, 0.3)
    piece.top(-d * 0.45, -d * 0.3, -w * 0.45, -w * 0.2, z + 0.02, 0.3)
    return piece.finish()


def bathtub(kit: Kit) -> Part:
    """Tub along y, hollow; sometimes with a shower curtain."""
    piece = Piece(kit, "clutter", "bathtub")
    w, d, h = kit.between(1.5, 1.8), kit.between(0.7, 0.82), kit.between(0.5, 0.62)
    white = kit.ceramic(0.95)
    free = kit.chance(0.35)
    a = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    c, s = np.cos(a), np.sin(a)
    power = 0.8 if free else 0.3
    cx, cy = np.sign(c) * np.abs(c) ** power, np.sign(s) * np.abs(s) ** power
    profile = [
        (0.8 if free else 0.98, 0.0),
        (0.9 if free else 0.99, h * 0.5),
        (1.0, h),
        (0.93, h + 0.01),
        (0.86, h - 0.03),
        (0.7, 0.16),
        (0.0, 0.15),
    ]
    piece.surface(
        np.array([np.stack([cx * r * d / 2, cy * r * w / 2, np.full(28, z)], -1) for r, z in profile]), white, wrap=True
    )
    steel = kit.metal((0.55, 0.55, 0.56))
    piece.tube((-d * 0.46, 0.1, h + 0.05), (-d * 0.3, 0.1, h + 0.12), 0.035, steel)
    if kit.chance(0.5):
        piece.tube((-d * 0.47, 0.3, h), (-d * 0.47, 0.3, 1.95), 0.022, steel)
        piece.cylinder((-d * 0.38, 0.3, 1.95), (0.18, 0.18, 0.02), steel)
    if kit.chance(0.4) and not free:
        columns = 30
        y = np.linspace(-w / 2, -w / 2 + w * kit.between(0.3, 1.0), columns)
        x = d / 2 - 0.02 + 0.035 * np.sin(np.linspace(0, 40, columns))
        points = np.stack([np.stack([x, y, np.full(columns, z)], -1) for z in (h * 0.6, 1.3, 2.0)])
        piece.surface(points, kit.fabric(0.5))
        piece.tube((d / 2 - 0.02, -w / 2, 2.02), (d / 2 - 0.02, w / 2, 2.02), 0.022, steel)
    return piece.finish()


def shower(kit: Kit) -> Part:
    """Shower tray with a screen's frame."""
    piece = Piece(kit, "clutter", "shower")
    s = kit.between(0.8, 1.0)
    steel, white = kit.metal((0.55, 0.55, 0.56)), kit.ceramic(0.9)
    piece.box((0, 0, 0.04), (s, s, 0.08), white)
    for x, y in ((s / 2, s / 2), (s / 2, -s / 2), (-s / 2, s / 2)):
        piece.box((x, y, 1.0), (0.03, 0.03, 2.0), steel)
    piece.box((s / 2, 0, 1.98), (0.03, s, 0.04), steel)
    piece.box((0, s / 2, 1.98), (s, 0.03, 0.04), steel)
    piece.tube((-s / 2 + 0.04, 0, 0.9), (-s / 2 + 0.04, 0, 2.05), 0.022, steel)
    piece.tube((-s / 2 + 0.04, 0, 2.05), (-s / 2 + 0.3, 0, 2.05), 0.022, steel)
    piece.cylinder((-s / 2 + 0.3, 0, 2.03), (0.2, 0.2, 0.02), steel, sides=16)
    return piece.finish()
