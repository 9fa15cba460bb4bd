"""Walls and building stone: plaster, wallpaper, brick, blocks, concrete, marble, metal, roofs."""

import cv2
import numpy as np

from .bank import texture
from .noise import SIZE, cells, fractal, grain, grid, masonry, per_cell, points, roll_blur, smoothstep, stamp, warp


def relief(height, strength: float = 1.0):
    """Light from the upper left on a height field: (SIZE, SIZE) brightness around 0."""
    return strength * (
        (np.roll(height, 1, 1) - np.roll(height, -1, 1)) + (np.roll(height, 1, 0) - np.roll(height, -1, 0))
    )


@texture("plaster", variants=5, scale_m=1.6)
def plaster(rng, variant):
    base = 1 + 0.03 * fractal(rng, 1.2, high=12)
    if variant == 0:  # paint roller
        return base + 0.035 * fractal(rng, 0.2, low=40) + 0.02 * grain(rng)
    if variant == 1:  # rough cast
        bumps = fractal(rng, 0.6, low=16, high=90)
        return base + relief(np.maximum(bumps, -0.5), 0.07) + 0.03 * grain(rng)
    if variant == 2:  # trowelled in arcs
        strokes = warp(fractal(rng, 0.8, low=6, stretch=(0.15, 2.0)), rng, 14)
        return base + relief(strokes, 0.06) + 0.02 * grain(rng)
    if variant == 3:  # old, with stains and cracks
        _, border, _ = cells(rng, 4)
        crack = 1 - smoothstep(0.3, 1.6, warp(border, rng, 5))
        stain = smoothstep(0.6, 2.0, fractal(rng, 1.3, high=40))
        return base * (1 - 0.18 * crack * (fractal(rng, 1.0, high=10) > 0.9)) + 0.03 * grain(rng), 0.5 * stain
    return base + 0.05 * fractal(rng, 0.9, low=3) + 0.015 * grain(rng), 0.6 * smoothstep(
        -0.5, 1.5, fractal(rng, 1.4, high=30)
    )


def _motif(rng, size: int):
    """A random mirror-symmetric ornament in a (size, size) tile, 0..1."""
    small = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(3, 6))):
        center = (int(rng.integers(0, size // 2)), int(rng.integers(size // 8, size)))
        axes = (int(rng.integers(2, size // 4)), int(rng.integers(2, size // 3)))
        thick = int(rng.choice([-1, 1, 2]))
        cv2.ellipse(
            small, center, axes, float(rng.uniform(0, 180)), 0, float(rng.choice([360, 220])), 1.0, thick, cv2.LINE_AA
        )
    return np.maximum(small, small[:, ::-1])


@texture("wallpaper", variants=8, scale_m=1.1)
def wallpaper(rng, variant):
    u, v = grid()
    fine = 1 + 0.03 * grain(rng) + 0.03 * fractal(rng, 0.5, low=20)
    if variant == 0:  # even stripes
        return fine, smoothstep(-0.1, 0.1, np.sin(2 * np.pi * 8 * u))
    if variant == 1:  # grouped thin stripes
        wave = np.sin(2 * np.pi * 6 * u) + 0.8 * np.sin(2 * np.pi * 18 * u)
        return fine, smoothstep(0.6, 0.9, wave)
    if variant in (2, 3):  # ornaments, each second column shifted
        tile = _motif(rng, 32 if variant == 2 else 64)
        size = tile.shape[0]
        columns = [np.roll(tile, (size // 2) * (k % 2), 0) for k in range(SIZE // size)]
        strip = np.concatenate(columns, 1)
        return fine, np.tile(strip, (SIZE // size, 1))
    if variant == 4:  # dots
        x, y = np.mod(u * 16, 1) - 0.5, np.mod(v * 16, 1) - 0.5
        return fine, 1 - smoothstep(0.16, 0.24, np.hypot(x, y))
    if variant == 5:  # lozenges
        wave = np.abs(np.sin(np.pi * (8 * u + 6 * v))) * np.abs(np.sin(np.pi * (8 * u - 6 * v)))
        return fine, 1 - smoothstep(0.08, 0.16, wave)
    if variant == 6:  # leaves and stems
        mask = np.zeros((SIZE, SIZE), np.float32)
        for x, y in points(rng, 9):
            angle, length = rng.uniform(0, 360), rng.uniform(8, 15)

            def leaf(cx, cy, angle=angle, length=length):
                center = (round(cx), round(cy))
                cv2.ellipse(mask, center, (round(length), round(length / 3)), angle, 0, 360, 1.0, -1, cv2.LINE_AA)
                cv2.ellipse(mask, center, (round(2 * length), round(length)), angle, 0, 130, 0.8, 1, cv2.LINE_AA)

            stamp(mask, x, y, leaf)
        return fine, mask
    weave = np.sin(2 * np.pi * 64 * u + fractal(rng, 1.0)) + np.sin(
        2 * np.pi * 64 * v + fractal(rng, 1.0)
    )  # grass cloth
    return 1 + 0.06 * weave + 0.05 * fractal(rng, 0.3, low=4, stretch=(0.1, 3)), 0.3 * smoothstep(
        0, 2, fractal(rng, 1.0)
    )


@texture("brick", variants=5, scale_m=1.25)
def brick(rng, variant):
    rows, columns, shift, joint = (
        (16, 5, 0.5, 1.6),
        (16, 6, 0.5, 1.2),
        (18, 5, 1 / 3, 1.4),
        (14, 6, 0.5, 2.2),
        (16, 10, 0.5, 1.6),
    )[variant]
    shift = 0.5 if shift != 0.5 and rows % 3 else shift
    distance, number, _, _ = masonry(rows, columns, shift if abs(shift - 0.5) < 1e-6 else 0.5)
    distance = warp(distance, rng, 0.7 + 0.4 * (variant == 3), 0.7)
    mortar = 1 - smoothstep(joint, joint + 1.2, distance)
    body = 1 + 0.35 * (per_cell(rng, number) - 0.5) + 0.08 * fractal(rng, 0.6) + 0.06 * grain(rng)
    if variant in (2, 3):  # a few burnt bricks
        body *= np.where(per_cell(rng, number) > 0.85, 0.55, 1)
    body += relief(smoothstep(joint, joint + 2.5, distance), 0.16)
    return np.where(mortar > 0.5, 1 + 0.08 * fractal(rng, 0.3, low=20), body), mortar


@texture("stone_blocks", variants=4, scale_m=1.8)
def stone_blocks(rng, variant):
    if variant < 2:
        distance, number, _, _ = masonry((6, 8)[variant], (3, 4)[variant])
        distance = warp(distance, rng, 1.2, 0.8)
    else:  # rubble
        _, distance, number = cells(rng, (6, 9)[variant - 2])
        distance = warp(distance, rng, 1.5)
        number = np.maximum(number, 0)
    joint = 1 - smoothstep(1.2, 3.0, distance)
    body = 1 + 0.4 * (per_cell(rng, number) - 0.5) + 0.1 * fractal(rng, 0.9, low=3) + 0.05 * grain(rng)
    body += relief(smoothstep(0.5, 6, distance) + 0.12 * fractal(rng, 0.9, low=8), 0.16)
    return body * (1 - 0.3 * joint), joint


@texture("concrete", variants=4, scale_m=2.0)
def concrete(rng, variant):
    base = 1 + 0.06 * fractal(rng, 1.2, high=40) + 0.04 * fractal(rng, 0.2, low=30) + 0.02 * grain(rng)
    distance, _, _ = cells(rng, 12)
    pores = 1 - 0.35 * (distance < 1.2) * (fractal(rng, 1.0) > 0)
    if variant == 0:
        return base * pores, 0.5 * smoothstep(0.3, 1.8, fractal(rng, 1.5, stretch=(2.0, 0.4)))
    if variant == 1:  # shuttering boards
        v = grid()[1]
        board = np.floor(v * 8).astype(np.int32)
        seam = np.minimum(np.mod(v * 8, 1), 1 - np.mod(v * 8, 1)) * SIZE / 8
        return base * (1 + 0.16 * (per_cell(rng, board) - 0.5)) * (1 - 0.3 * (seam < 1)) + 0.05 * fractal(
            rng, 0.8, stretch=(0.1, 3)
        )
    if variant == 2:  # panels with anchor holes
        distance, number, u, v = masonry(2, 2, 0)
        hole = np.minimum(np.hypot(np.abs(u - 0.5) - 0.25, np.abs(v - 0.5) - 0.25), 1)
        return base * pores * (1 - 0.45 * (distance < 1.2)) * (1 - 0.5 * (hole < 0.022)) + 0.1 * (
            per_cell(rng, number) - 0.5
        )
    return base + 0.05 * fractal(rng, 1.0, low=2), smoothstep(0.5, 1.5, fractal(rng, 1.2))  # stained


@texture("marble", variants=4, scale_m=1.2)
def marble(rng, variant):
    veins = np.abs(warp(fractal(rng, 1.3, high=30), rng, 9))
    thin = np.abs(warp(fractal(rng, 1.1, low=3, high=40), rng, 6))
    mask = np.maximum(1 - smoothstep(0.0, 0.16 + 0.1 * variant, veins), 0.5 * (1 - smoothstep(0, 0.1, thin)))
    base = 1 + 0.06 * fractal(rng, 1.2) + 0.015 * grain(rng)
    if variant == 2:  # slabs
        distance, number, _, _ = masonry(2, 2, 0)
        base = (base + 0.12 * (per_cell(rng, number) - 0.5)) * (1 - 0.4 * (distance < 1))
    if variant == 3:  # granite
        base = 1 + 0.22 * np.sign(fractal(rng, 0.2, low=25)) * (fractal(rng, 0.3, low=20) > 0.3) + 0.08 * grain(rng)
        mask = 0.8 * (fractal(rng, 0.3, low=20, high=90) > 1.0)
    return base, mask


@texture("metal", variants=5, scale_m=0.8)
def metal(rng, variant):
    if variant == 0:  # brushed
        return 1 + 0.07 * fractal(rng, 0.3, stretch=(0.03, 1.5)) + 0.02 * grain(rng)
    if variant == 1:  # painted, scratched
        scratch = np.zeros((SIZE, SIZE), np.float32)
        for _ in range(30):
            x, y, a, length = *rng.uniform(0, SIZE, 2), rng.uniform(0, np.pi), rng.uniform(4, 40)
            end = (round(x + length * np.cos(a)), round(y + length * np.sin(a)))
            cv2.line(scratch, (round(x), round(y)), end, float(rng.uniform(0.2, 0.9)), 1, cv2.LINE_AA)
        return 1 + 0.03 * fractal(rng, 1.0) + 0.015 * grain(rng), scratch
    if variant == 2:  # rust
        rust = smoothstep(-0.2, 0.8, fractal(rng, 1.2))
        return 1 + rust * (0.2 * fractal(rng, 0.7) + 0.1 * grain(rng)) + 0.03 * grain(rng), rust
    if variant == 3:  # corrugated
        u, v = grid()
        return 1 + 0.3 * np.sin(2 * np.pi * 16 * u) + 0.05 * fractal(rng, 1.2) + 0.03 * grain(rng), 0.4 * smoothstep(
            0.8, 1.8, fractal(rng, 1.2, stretch=(2, 0.3))
        )
    distance, _, u, v = masonry(16, 16, 0)  # perforated
    return 1 + 0.04 * fractal(rng, 1.0) - 0.8 * (np.hypot(u - 0.5, v - 0.5) < 0.28) + 0.02 * grain(rng)


@texture("roof", variants=4, scale_m=1.8)
def roof(rng, variant):
    if variant < 2:  # pantiles, plain tiles
        distance, number, u, v = masonry((8, 12)[variant], (10, 12)[variant], (0, 0.5)[variant])
        shade = 0.75 + 0.45 * (1 - v) if variant else 0.7 + 0.5 * np.sin(np.pi * u) * (0.4 + 0.6 * v)
        body = shade * (1 + 0.35 * (per_cell(rng, number) - 0.5)) + 0.08 * fractal(rng, 0.7) + 0.04 * grain(rng)
        return body * (1 - 0.5 * (distance < 1)), 0.7 * smoothstep(0.8, 2, fractal(rng, 1.0))
    if variant == 2:  # slate
        distance, number, _, v = masonry(14, 9)
        return (0.85 + 0.3 * v + 0.4 * (per_cell(rng, number) - 0.5) + 0.06 * fractal(rng, 0.6)) * (
            1 - 0.5 * (distance < 1)
        )
    u, _ = grid()  # standing seams
    seam = np.abs(np.mod(u * 5, 1) - 0.5) * SIZE / 5
    return 1 + 0.4 * (seam < 1.5) - 0.3 * ((seam > 1.5) & (seam < 3)) + 0.05 * fractal(rng, 1.2) + 0.02 * grain(rng)


@texture("siding", variants=2, scale_m=1.6)
def siding(rng, variant):
    u, v = grid()
    along, across = (u, v) if variant == 0 else (v, u)
    board = np.floor(across * 10).astype(np.int32)
    inside = np.mod(across * 10, 1)
    body = 0.85 + 0.25 * inside + 0.1 * (per_cell(rng, board) - 0.5)
    stretch = (0.1, 2.0) if variant == 0 else (2.0, 0.1)
    return body * (1 - 0.5 * (inside < 0.08)) + 0.04 * fractal(rng, 0.5, stretch=stretch) + 0.02 * grain(rng)


@texture("drywall_seams", variants=1, scale_m=2.4)
def drywall_seams(rng, variant):
    distance, number, _, _ = masonry(2, 4, 0)
    return (
        1
        + 0.05 * (per_cell(rng, number) - 0.5)
        - 0.2 * (distance < 1)
        + 0.02 * roll_blur(grain(rng), 1)
        + 0.02 * grain(rng)
    )


@texture("ceiling_tiles", variants=3, scale_m=1.2)
def ceiling_tiles(rng, variant):
    distance, _, u, v = masonry(2, 2, 0)
    if variant == 0:  # mineral fibre with fissures
        speck = smoothstep(1.0, 1.6, fractal(rng, 0.5, low=20, stretch=(0.6, 1.5)))
        return (
            1 - 0.3 * speck + 0.02 * grain(rng) + 0.12 * (distance < 2.5) - 0.25 * ((distance > 2.5) & (distance < 3.6))
        )
    if variant == 1:  # perforated
        du, dv = np.mod(u * 16, 1) - 0.5, np.mod(v * 16, 1) - 0.5
        return 1 - 0.45 * (np.hypot(du, dv) < 0.26) * (distance > 8) + 0.01 * grain(rng) - 0.25 * (distance < 1.5)
    return 1 + relief(smoothstep(2, 9, distance), 0.2) + 0.015 * grain(rng)
