"""Floors, tiles and wood."""

import numpy as np

from .bank import texture
from .noise import SIZE, cells, fractal, grain, grid, masonry, per_cell, smoothstep, warp
from .walls import relief


def wood_grain(rng, rings: float = 1.0):
    """Grain along u: (brightness around 0, dark-line mask)."""
    slow = warp(fractal(rng, 1.1, low=2, high=70, stretch=(0.06, 1.0)), rng, 3)
    lines = np.sin(6.0 * rings * slow + 2.5 * fractal(rng, 1.4, high=6, stretch=(0.3, 1)))
    pores = fractal(rng, 0.1, low=30, stretch=(0.08, 1.2))
    return 0.12 * lines + 0.06 * pores, 0.6 * smoothstep(0.3, 1.2, lines + 0.4 * pores)


@texture("wood", variants=6, scale_m=0.9)
def wood(rng, variant):
    shade, mask = wood_grain(rng, (0.6, 1.0, 1.6, 2.4, 0.35, 1.2)[variant])
    if variant == 5:  # knots
        distance, _, _ = cells(rng, 3)
        ring = np.sin(distance * 1.1) * np.exp(-distance / 11)
        shade, mask = (
            shade + 0.3 * ring - 0.35 * np.exp(-((distance / 5) ** 2)),
            np.maximum(mask, np.exp(-((distance / 6) ** 2))),
        )
    return 1 + shade * (1.0, 1.4, 0.9, 0.7, 0.5, 1.0)[variant] + 0.015 * grain(rng), mask


@texture("planks", variants=6, scale_m=1.6)
def planks(rng, variant):
    rows, columns = ((10, 2), (16, 4), (8, 2), (12, 2), (20, 4), (8, 1))[variant]
    shade, mask = wood_grain(rng, 1.2)
    distance, number, _, _ = masonry(rows, columns, (0.5, 0.5, 0.5, 0.5, 0.5, 0.0)[variant])
    offset = (per_cell(rng, number) * SIZE).astype(np.int32)  # each plank shows another piece of wood
    u, v = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    shade, mask = (x[(v + 3 * offset) % SIZE, (u + offset) % SIZE] for x in (shade, mask))
    tone = per_cell(rng, number)
    contrast = (0.35, 0.5, 0.25, 0.7, 0.4, 0.3)[variant]
    gap = 1 - 0.55 * (distance < (0.9, 0.7, 0.7, 1.2, 0.8, 1.6)[variant])
    return (1 + contrast * (tone - 0.5) + shade) * gap + 0.015 * grain(rng), 0.6 * mask + 0.3 * (tone > 0.7)


@texture("parquet", variants=2, scale_m=1.2)
def parquet(rng, variant):
    u, v = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    shade, mask = wood_grain(rng, 1.4)
    if variant == 0:  # basket weave: squares of four strips
        block = SIZE // 8
        upright = ((u // block) + (v // block)) % 2 == 1
        strip = np.where(upright, u % block, v % block) // (block // 4)
        edge = np.where(upright, u, v) % (block // 4) == 0
        edge |= (u % block == 0) | (v % block == 0)
        number = ((v // block) * 8 + u // block) * 4 + strip
    else:  # herringbone: strips of 4 : 1
        w = SIZE // 16
        i, j = u // w, v // w
        k = (i - j) % 8
        upright = k >= 4
        start_i = np.where(upright, i, i - k)
        start_j = np.where(upright, j - (7 - k), j)
        number = (start_j % 16) * 16 + start_i % 16 + 256 * upright
        edge = np.where(upright, (u % w == 0) | ((k == 7) & (v % w == 0)), (v % w == 0) | ((k == 0) & (u % w == 0)))
    offset = (per_cell(rng, number) * SIZE).astype(np.int32)
    across, along = np.where(upright, u, v), np.where(upright, v, u)
    shade, mask = (x[(across + offset) % SIZE, (along + 5 * offset) % SIZE] for x in (shade, mask))
    tone = per_cell(rng, number)
    return (1 + 0.4 * (tone - 0.5) + shade) * (1 - 0.45 * edge), 0.6 * mask


@texture("tiles", variants=8, scale_m=1.2)
def tiles(rng, variant):
    rows, columns, shift = (
        (4, 4, 0),
        (8, 8, 0),
        (12, 6, 0.5),
        (2, 2, 0),
        (4, 4, 0),
        (16, 16, 0),
        (8, 8, 0),
        (6, 2, 0.5),
    )[variant]
    distance, number, u, v = masonry(rows, columns, shift)
    joint = 1 - smoothstep(0.7, 1.7, distance)
    body = 1 + 0.1 * (per_cell(rng, number) - 0.5) + 0.03 * fractal(rng, 1.0) + 0.012 * grain(rng)
    body += relief(smoothstep(0.5, 3, distance), 0.05)
    mask = joint
    if variant in (1, 4):  # chess board
        column, row = number % columns, number // columns
        mask = np.maximum(joint * 0.5, ((column + row) % 2).astype(np.float32))
    if variant == 3:  # large slabs of stone
        body += 0.08 * fractal(rng, 1.1, low=3)
    if variant == 5:  # mosaic
        body *= 1 + 0.5 * (per_cell(rng, number) - 0.5)
    if variant == 6:  # cement tiles with an ornament in each
        x, y = np.abs(u - 0.5), np.abs(v - 0.5)
        flower = np.cos(4 * np.arctan2(y, x)) * 0.12 + 0.26 - np.hypot(x, y)
        corner = np.hypot(0.5 - x, 0.5 - y) < 0.2
        mask = np.maximum(joint * 0.5, smoothstep(0, 0.03, flower) + corner)
    return np.where(joint > 0.6, 1 + 0.05 * grain(rng), body), np.clip(mask, 0, 1)


@texture("hexagons", variants=1, scale_m=0.8)
def hexagons(rng, variant):
    u, v = grid()
    x, y = (
        u * 8,
        v * 8 * 7 / 8,
    )  # 8 columns and 7 rows of near-regular hexagons would not tile: two lattices of 8 x 4 do
    y = v * 4
    a = np.stack([np.mod(x, 1) - 0.5, (np.mod(y, 1) - 0.5) * 1.732], 0)
    b = np.stack([np.mod(x + 0.5, 1) - 0.5, (np.mod(y + 0.5, 1) - 0.5) * 1.732], 0)
    first = (a**2).sum(0) < (b**2).sum(0)
    p = np.abs(np.where(first, a, b))
    edge = 0.5 - np.maximum(p[0], 0.5 * p[0] + 0.866 * p[1])
    number = np.where(
        first, np.floor(x) % 8 + 8 * (np.floor(y) % 4), 32 + np.floor(x + 0.5) % 8 + 8 * (np.floor(y + 0.5) % 4)
    )
    number = number.astype(np.int32)
    joint = 1 - smoothstep(0.03, 0.06, edge)
    return 1 + 0.25 * (per_cell(rng, number) - 0.5) + 0.02 * grain(rng), np.maximum(joint, per_cell(rng, number) > 0.8)


@texture("terrazzo", variants=2, scale_m=0.7)
def terrazzo(rng, variant):
    _, border, number = cells(rng, 22 + 10 * variant, 1.0)
    size = per_cell(rng, np.maximum(number, 0), -2.0, 4.0)
    chip = (border > 2.0 - size * 0.3) & (size > 0)
    tone = per_cell(rng, np.maximum(number, 0))
    return np.where(chip, 0.5 + tone, 1 + 0.03 * fractal(rng, 1.0)) + 0.015 * grain(rng), chip * (tone > 0.5)


@texture("linoleum", variants=2, scale_m=1.5)
def linoleum(rng, variant):
    flecks = fractal(rng, 0.3, low=12, high=100, stretch=(0.4, 1.6) if variant else (1, 1))
    return 1 + 0.05 * flecks + 0.03 * fractal(rng, 1.1) + 0.02 * grain(rng), smoothstep(1.0, 1.6, flecks)
