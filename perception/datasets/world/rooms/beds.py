"""Beds with mattress, pillows and a blanket that hangs over the edges; bunk beds, cots."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece


def blanket(piece: Piece, kit: Kit, x0: float, x1: float, width: float, z: float, drop: float, material: int) -> None:
    """A sheet lying from x0 to x1 over a mattress of `width` with its top at `z`, hanging down by `drop` on both sides."""
    rows, columns = 14, 22
    s = np.linspace(0, 1, rows)[:, None]
    half = width / 2 + 0.02
    arc = np.linspace(-1, 1, columns)[None] * (half + drop)
    over = np.maximum(np.abs(arc) - half, 0)
    y = np.sign(arc) * np.minimum(np.abs(arc), half) + np.sign(arc) * 0.12 * over
    noise = np.zeros((rows, columns))
    for _ in range(5):
        fx, fy, phase = kit.between(1, 7), kit.between(1, 7), kit.between(0, 6.3)
        noise += np.sin(fx * s * 3 + fy * arc * 3 + phase) * kit.between(0.003, 0.012)
    slack = kit.between(0.0, 0.12)
    x = x0 + (x1 - x0) * s + slack * np.sin(arc * 3 + kit.between(0, 6)) * (1 - s)
    puff = 0.035 + noise + 0.02 * (s < 0.08)
    zz = z + puff - over + 0 * s
    y = y + np.sign(arc) * np.abs(np.sin(s * 17 + kit.between(0, 6))) * 0.2 * over * 0.3
    foot = np.maximum(s - 0.93, 0) / 0.07
    zz = zz - foot * min(drop * 0.5, 0.12)
    points = np.stack([x + 0 * arc, y + 0 * s, zz], -1)
    local = np.stack([x + 0 * arc, arc + 0 * s, np.zeros_like(zz)], -1)
    local[..., 2] = zz * 0.05
    piece.surface(points, material, local=local)


def bed(kit: Kit, width: float | None = None, low: bool = False) -> Part:
    """A bed; the head is at -x (against the wall)."""
    piece = Piece(kit, "bed", "bed")
    width = width or kit.pick((0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8)) * kit.between(0.97, 1.05)
    length = kit.between(1.95, 2.15)
    base = 0.12 if low else kit.between(0.2, 0.4)
    thick = kit.between(0.16, 0.3)
    z = base + thick
    frame = kit.wood() if kit.chance(0.6) else (kit.fabric() if kit.chance(0.6) else kit.metal())
    style = kit.pick(("slab", "legs", "box", "metal"))
    if style == "box":
        piece.rounded((0, 0, base / 2), (length + 0.04, width + 0.04, base), frame, bevel=0.04)
    else:
        rail = 0.16 if style != "metal" else 0.05
        piece.box((0, 0, base - rail / 2), (length + 0.04, width + 0.05, rail), frame)
        for sx in (-1, 1):
            for sy in (-1, 1):
                piece.box((sx * (length / 2 - 0.04), sy * (width / 2 - 0.03), base / 2), (0.07, 0.07, base), frame)
    piece.soft((0, 0, base + thick / 2), (length, width, thick), kit.linen(), power=0.14, level=3)
    head = kit.between(0.75, 1.35)
    roll = kit.rng.random()
    if roll < 0.35:  # panel
        piece.rounded((-length / 2 - 0.03, 0, head / 2), (0.06, width + 0.06, head), frame, bevel=0.05)
    elif roll < 0.6:  # upholstered
        soft = kit.fabric()
        count = int(kit.rng.integers(1, 6))
        for k in range(count):
            w = (width + 0.1) / count
            piece.soft(
                (-length / 2 - 0.05, (k - (count - 1) / 2) * w, head * 0.62),
                (0.1, w * 0.99, head * 0.76),
                soft,
                power=0.25,
            )
    elif roll < 0.85:  # bars
        for sy in (-1, 1):
            piece.cylinder((-length / 2 - 0.03, sy * width / 2, head / 2), (0.045, 0.045, head), frame)
        for zz in (head, base + 0.18):
            piece.tube((-length / 2 - 0.03, -width / 2, zz), (-length / 2 - 0.03, width / 2, zz), 0.035, frame)
        for k in range(int(width / 0.12)):
            y = -width / 2 + (k + 0.5) * width / int(width / 0.12)
            piece.tube((-length / 2 - 0.03, y, base + 0.18), (-length / 2 - 0.03, y, head), 0.018, frame, sides=5)
    if kit.chance(0.25):
        piece.rounded((length / 2 + 0.02, 0, (z + 0.15) / 2), (0.05, width + 0.05, z + 0.15), frame, bevel=0.05)
    per_row = 1 if width < 1.15 else 2
    linen = kit.linen()
    for row in range(int(kit.rng.integers(1, 4))):
        for k in range(per_row):
            w = width / per_row
            size = (kit.between(0.38, 0.52), min(w * 0.9, 0.75), kit.between(0.13, 0.22))
            y = (k - (per_row - 1) / 2) * w + kit.between(-0.03, 0.03)
            upright = row == 0 and kit.chance(0.4)
            where = (-length / 2 + 0.18 + 0.2 * row, y, z + (0.22 if upright else 0.07 + 0.03 * row))
            cover = linen if row < 2 else kit.fabric(0.7)
            piece.pillow(
                where,
                size,
                cover,
                pitch=(1.1 if upright else 0.25) + kit.between(-0.1, 0.1),
                yaw=kit.between(-0.12, 0.12),
            )
    if kit.chance(0.92):
        x0 = -length / 2 + kit.between(0.4, 0.8)
        blanket(
            piece,
            kit,
            x0,
            length / 2 + 0.02,
            width,
            z,
            kit.between(0.08, thick + 0.12),
            kit.linen() if kit.chance(0.5) else kit.fabric(0.5),
        )
        if kit.chance(0.35):  # throw at the foot
            a = kit.between(0.15, length / 2 - 0.6)
            blanket(piece, kit, a, a + kit.between(0.35, 0.6), width, z + 0.03, kit.between(0.1, 0.3), kit.fabric(0.6))
    if kit.chance(0.3):
        piece.top(0.0, length / 2 - 0.1, -width * 0.35, width * 0.35, z + 0.05, 0.5)
    return piece.finish()


def bunk_bed(kit: Kit) -> Part:
    """Two beds above each other with a ladder."""
    piece = Piece(kit, "bed", "bunk")
    length, width = 2.0, kit.between(0.85, 1.0)
    frame = kit.wood() if kit.chance(0.7) else kit.metal()
    height = kit.between(1.6, 1.85)
    for sx in (-1, 1):
        for sy in (-1, 1):
            piece.box((sx * length / 2, sy * width / 2, height / 2), (0.07, 0.07, height), frame)
    for z in (0.32, height - 0.4):
        for sy in (-1, 1):
            piece.box((0, sy * width / 2, z), (length, 0.03, 0.14), frame)
        piece.box((0, 0, z - 0.05), (length, width, 0.03), frame)
        piece.soft((0, 0, z + 0.1), (length * 0.97, width * 0.95, 0.18), kit.linen(), power=0.14)
        piece.pillow((-length / 2 + 0.3, 0, z + 0.23), (0.4, width * 0.7, 0.14), kit.linen())
        blanket(piece, kit, -0.4, length / 2 - 0.05, width * 0.93, z + 0.19, 0.05, kit.fabric(0.6))
    piece.box((0, width / 2, height - 0.1), (length, 0.025, 0.08), frame)
    piece.box((0, -width / 2, height - 0.1), (length, 0.025, 0.08), frame)
    x = length / 2 - 0.3
    for dx in (-0.18, 0.18):
        piece.tube((x + dx, width / 2 + 0.16, 0), (x + dx, width / 2 + 0.03, height - 0.1), 0.04, frame)
    for k in range(5):
        part = (k + 1) / 6
        y, z = width / 2 + 0.16 - 0.13 * part, (height - 0.1) * part
        piece.tube((x - 0.18, y, z), (x + 0.18, y, z), 0.03, frame)
    return piece.finish()
