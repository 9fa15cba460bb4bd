"""Pot plants, leaf by leaf."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part, Piece
from perception.datasets.world.shapes import grid


def plant(kit: Kit, height: float | None = None) -> Part:
    """Pot plant: palm, rubber plant, bushy, cactus, snake plant or a hanging trailer."""
    piece = Piece(kit, "plant", "plant")
    rng = kit.rng
    height = height or float(np.clip(np.exp(rng.normal(-0.5, 0.6)), 0.15, 2.1))
    pot_height = min(0.1 + height * 0.22, 0.45) * kit.between(0.8, 1.2)
    radius = pot_height * kit.between(0.4, 0.6)
    pot = kit.ceramic(0.35) if kit.chance(0.7) else kit.add("wicker", (0.4, 0.27, 0.15))
    piece.lathe(
        [
            (radius * 0.72, 0),
            (radius * 0.9, pot_height * 0.5),
            (radius, pot_height),
            (radius * 0.88, pot_height),
            (radius * 0.85, pot_height * 0.9),
            (0, pot_height * 0.9),
        ],
        (0, 0, 0),
        pot,
    )
    leaf, stem = kit.leaf(), kit.add("bark", (0.16, 0.11, 0.07), scale=0.2)
    tall = height - pot_height
    kind = (
        kit.pick(("palm", "leafy", "leafy", "bush", "snake", "cactus"))
        if tall > 0.12
        else kit.pick(("leafy", "cactus", "bush"))
    )
    z0 = pot_height * 0.9
    if kind == "cactus":
        for _ in range(int(rng.integers(1, 4))):
            h = tall * kit.between(0.5, 1)
            piece.soft(
                (kit.between(-0.4, 0.4) * radius, kit.between(-0.4, 0.4) * radius, z0 + h / 2),
                (radius * 0.6, radius * 0.6, h),
                leaf,
                power=0.7,
            )
    elif kind == "snake":
        for _ in range(int(rng.integers(6, 14))):
            a, lean, h = kit.between(0, 6.3), kit.between(0, 0.3), tall * kit.between(0.6, 1.05)
            base = radius * 0.6 * kit.between(0, 1)
            s = np.linspace(0, 1, 5)[:, None]
            w = 0.05 * np.array([0.7, 1, 1, 0.8, 0.02])[:, None] * np.array([[-1, 0, 1]])
            out = base + lean * h * s + 0.02 * np.abs(w) * 10
            x = np.cos(a) * out - np.sin(a) * w
            y = np.sin(a) * out + np.cos(a) * w
            piece.surface(np.stack([x, y, z0 + h * s + 0 * w], -1), leaf)
    elif kind == "bush":
        _bush(piece, kit, z0, tall, leaf)
        piece.tube((0, 0, z0 * 0.9), (0, 0, z0 + tall * 0.5), 0.02 + 0.01 * tall, stem, sides=6)
    else:
        count = int(rng.integers(9, 18)) if kind == "palm" else int(rng.integers(14, 34))
        sheets = []
        for k in range(count):
            a, up = kit.between(0, 6.3), kit.between(0.1, 1.2)
            if kind == "palm":
                sheet = _leaf_sheet(tall * kit.between(0.5, 0.8), 0.05 + 0.07 * tall, kit.between(0.3, 0.9), 6)
                at = np.array([0, 0, z0 + tall * 0.45])
            else:
                sheet = _leaf_sheet(0.1 + 0.2 * tall * kit.between(0.5, 1), 0.05 + 0.1 * tall, kit.between(0.1, 0.7))
                at = np.array([0.06 * tall * np.cos(a), 0.06 * tall * np.sin(a), z0 + tall * (0.1 + 0.8 * k / count)])
            c, s = np.cos(up), np.sin(up)
            x, z = sheet[..., 0] * c - sheet[..., 2] * s, sheet[..., 0] * s + sheet[..., 2] * c
            y = sheet[..., 1]
            sheets.append(np.stack([np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y, z], -1) + at)
        _sheets(piece, sheets, leaf)
        piece.tube(
            (0, 0, z0 * 0.9), (0, 0, z0 + tall * (0.5 if kind == "palm" else 0.85)), 0.02 + 0.015 * tall, stem, sides=6
        )
    return piece.finish()


def _bush(piece: Piece, kit: Kit, z0: float, tall: float, leaf: int) -> None:
    """A crown of small leaves that point outwards from its middle."""
    rng = kit.rng
    count = int(rng.integers(45, 110))
    out = rng.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    out[:, 2] = np.abs(out[:, 2]) * 1.2 - 0.35
    base = np.array([0, 0, z0 + tall * 0.45]) + out * [0.3 * tall, 0.3 * tall, 0.45 * tall] * rng.uniform(
        0.3, 1, (count, 1)
    )
    long, wide = (0.06 + 0.16 * tall) * rng.uniform(0.6, 1.3, (2, count, 1, 1, 1))
    sheet = _leaf_sheet(1.0, 1.0, kit.between(0.1, 0.5))
    sheet = np.concatenate(
        [sheet[None, ..., :1] * long, sheet[None, ..., 1:2] * wide * 0.5, sheet[None, ..., 2:] * long], -1
    )
    yaw, up = (
        np.arctan2(out[:, 1], out[:, 0])[:, None, None],
        (0.7 * np.arcsin(np.clip(out[:, 2], -1, 1)))[:, None, None],
    )
    x = sheet[..., 0] * np.cos(up) - sheet[..., 2] * np.sin(up)
    z = sheet[..., 0] * np.sin(up) + sheet[..., 2] * np.cos(up)
    y = sheet[..., 1]
    points = (
        np.stack([np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, z], -1) + base[:, None, None]
    )
    points[..., 2] = np.maximum(points[..., 2], 0.02)
    _sheets(piece, list(points), leaf)


def _sheets(piece: Piece, sheets: list[np.ndarray], material: int) -> None:
    """Equal-shaped sheets in one batch."""
    _, triangles = grid(sheets[0])
    piece.builder.batch(np.stack(sheets).reshape(len(sheets), -1, 3), triangles, material=material)


def _leaf_sheet(length: float, width: float, droop: float, rows: int = 5) -> np.ndarray:
    """A leaf along +x bending down, (rows, 3, 3)."""
    s = np.linspace(0, 1, rows)
    half = width / 2 * np.sin(np.pi * np.clip(s * 0.94 + 0.05, 0, 1)) ** 0.8
    x, z = length * (s - 0.25 * droop * s**2), -droop * length * s**2
    middle = np.stack([x, 0 * s, z], -1)
    side = np.stack([x, half, z + 0.25 * half], -1)
    return np.stack([side * [1, -1, 1], middle, side], 1)
