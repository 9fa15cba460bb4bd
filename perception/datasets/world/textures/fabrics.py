"""Cloth, carpets, rugs, leather, wicker."""

import cv2
import numpy as np

from .bank import texture
from .noise import SIZE, cells, fractal, grain, grid, masonry, per_cell, points, roll_blur, smoothstep, stamp, warp
from .walls import _motif, relief


def weave(rng, threads: int, twill: int = 0):
    """Brightness around 0 of crossing threads, `threads` a tile; `twill` shifts the crossings row by row."""
    u, v = grid()
    x, y = u * threads, v * threads
    over = (np.floor(x) + (np.floor(y) if not twill else twill * np.floor(y))) % (2 if not twill else 4) < (
        1 if not twill else 2
    )
    bulge = np.where(over, np.sin(np.pi * np.mod(x, 1)), np.sin(np.pi * np.mod(y, 1)))
    return 0.5 * (bulge - bulge.mean()) + 0.1 * grain(rng)


@texture("fabric", variants=6, scale_m=0.35)
def fabric(rng, variant):
    if variant == 0:
        return 1 + 0.3 * weave(rng, 64)
    if variant == 1:
        return 1 + 0.35 * weave(rng, 64, twill=1) + 0.04 * fractal(rng, 0.8)
    if variant == 2:  # knitted
        u, v = grid()
        stitch = np.sin(2 * np.pi * (20 * v + 0.35 * np.abs(np.mod(u * 16, 1) - 0.5) * 2))
        return 1 + 0.2 * stitch - 0.25 * (np.abs(np.mod(u * 16, 1) - 0.5) > 0.44) + 0.08 * grain(rng)
    if variant == 3:  # tweed
        flecks = fractal(rng, 0.1, low=40)
        return 1 + 0.25 * weave(rng, 32, twill=1) + 0.12 * flecks, 0.8 * (fractal(rng, 0.3, low=25) > 0.8)
    if variant == 4:  # velvet, brushed both ways
        return 1 + 0.12 * fractal(rng, 1.1, low=2, high=40) + 0.08 * grain(rng)
    return (
        1 + 0.15 * fractal(rng, 0.4, low=10, stretch=(0.2, 2)) + 0.15 * fractal(rng, 0.4, low=10, stretch=(2, 0.2))
    )  # linen


@texture("cloth_pattern", variants=10, scale_m=0.7)
def cloth_pattern(rng, variant):
    u, v = grid()
    base = 1 + 0.18 * weave(rng, 96 if variant % 2 else 64) + 0.03 * fractal(rng, 1.0)
    if variant == 0:
        return base, smoothstep(-0.1, 0.1, np.sin(2 * np.pi * 9 * u))
    if variant == 1:  # tartan
        a = (np.sin(2 * np.pi * 4 * u) > 0.2) * 0.5 + (np.abs(np.mod(4 * u, 1) - 0.7) < 0.04) * 0.5
        b = (np.sin(2 * np.pi * 4 * v) > 0.2) * 0.5 + (np.abs(np.mod(4 * v, 1) - 0.7) < 0.04) * 0.5
        return base * (1 - 0.25 * a * b), np.clip(a + b, 0, 1)
    if variant == 2:  # gingham
        return base, 0.5 * ((np.sin(2 * np.pi * 12 * u) > 0).astype(np.float32) + (np.sin(2 * np.pi * 12 * v) > 0))
    if variant == 3:  # polka dots
        x, y = np.mod(u * 10, 1) - 0.5, np.mod(v * 10 + 0.5 * (np.floor(u * 10) % 2), 1) - 0.5
        return base, 1 - smoothstep(0.22, 0.28, np.hypot(x, y))
    if variant == 4:  # zigzag
        return base, smoothstep(-0.1, 0.1, np.sin(2 * np.pi * (8 * v + 0.8 * np.abs(np.mod(u * 8, 1) - 0.5))))
    if variant in (5, 6):  # flowers
        mask, shade = np.zeros((SIZE, SIZE), np.float32), np.ones((SIZE, SIZE), np.float32)
        for x, y in points(rng, 5 if variant == 5 else 9, 0.8):
            radius, petals, turn = (
                rng.uniform(9, 17) * (1 if variant == 5 else 0.55),
                int(rng.integers(4, 8)),
                rng.uniform(0, 6),
            )

            def flower(cx, cy, radius=radius, petals=petals, turn=turn):
                for k in range(petals):
                    a = turn + 2 * np.pi * k / petals
                    center = (round(cx + 0.6 * radius * np.cos(a)), round(cy + 0.6 * radius * np.sin(a)))
                    cv2.ellipse(
                        mask,
                        center,
                        (round(radius * 0.5), round(radius * 0.28)),
                        np.degrees(a),
                        0,
                        360,
                        1.0,
                        -1,
                        cv2.LINE_AA,
                    )
                cv2.circle(shade, (round(cx), round(cy)), max(round(radius * 0.25), 1), 0.4, -1, cv2.LINE_AA)

            stamp(mask, x, y, flower)
        return base * shade, mask
    if variant == 7:  # quilt
        x, y = np.mod(6 * u + 6 * v, 1), np.mod(6 * u - 6 * v, 1)
        seam = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
        return base * (0.65 + 0.45 * smoothstep(0, 0.3, seam)), None
    if variant == 8:  # patchwork
        distance, number, _, _ = masonry(4, 4, 0)
        tone = per_cell(rng, number)
        stripes = np.sin(2 * np.pi * 24 * np.where(per_cell(rng, number) > 0.5, u, v)) > 0
        return base * (0.6 + 0.8 * per_cell(rng, number)) * (1 - 0.3 * (distance < 1)), np.where(
            tone > 0.5, stripes * 0.8, tone
        )
    blobs = warp(fractal(rng, 1.0, low=2, high=12), rng, 8)  # ink blots, camouflage
    return base, smoothstep(0.1, 0.3, blobs)


@texture("carpet", variants=4, scale_m=0.8)
def carpet(rng, variant):
    tufts, _, number = cells(rng, 40)
    base = 1 + 0.25 * (1 - tufts / 3) + 0.12 * grain(rng) + 0.08 * fractal(rng, 1.1)
    if variant == 0:
        return base
    if variant == 1:  # flecked
        return base, 0.9 * (per_cell(rng, np.maximum(number, 0)) > 0.75)
    if variant == 2:  # loops in rows
        return 1 + 0.3 * np.sin(2 * np.pi * 40 * grid()[1]) * np.sin(2 * np.pi * 40 * grid()[0]) + 0.1 * grain(rng)
    distance, number, _, _ = masonry(2, 2, 0)  # office carpet tiles
    u, v = grid()
    lines = np.where(number % 2 == (number // 2) % 2, u, v)
    return base + 0.1 * np.sin(2 * np.pi * 32 * lines) - 0.15 * (distance < 1) + 0.15 * (per_cell(rng, number) - 0.5)


@texture("rug", variants=6, scale_m=1.0)
def rug(rng, variant):
    """One tile is one rug: border and field, to be stretched over the whole piece."""
    u, v = grid()
    x, y = np.abs(u - 0.5), np.abs(v - 0.5)
    edge = 0.5 - np.maximum(x, y)
    field = np.zeros((SIZE, SIZE), np.float32)
    size = int(rng.choice([16, 32]))
    tile = _motif(rng, size)
    if variant < 3:
        field = np.tile(np.maximum(tile, tile[::-1]), (SIZE // size, SIZE // size))
        medallion = np.cos(6 * np.arctan2(y, x)) * 0.04 + 0.2 - np.hypot(x, y)
        field = np.where(medallion > 0, 1 - field, field * 0.8)
        field = np.where((edge > 0.03) & (edge < 0.1), np.tile(tile.T, (SIZE // size, SIZE // size)), field)
        field = np.where((np.abs(edge - 0.11) < 0.008) | (np.abs(edge - 0.025) < 0.008), 1, field)
    elif variant == 3:
        field = smoothstep(-0.1, 0.1, np.sin(2 * np.pi * (14 * v + 1.5 * np.abs(np.mod(u * 6, 1) - 0.5)))) * (
            edge > 0.03
        )
    elif variant == 4:
        field = (np.sin(2 * np.pi * 10 * np.maximum(x, y) ** 1.0 * 2) > 0).astype(np.float32)
    else:
        field = smoothstep(0, 0.2, fractal(rng, 1.4, high=8))
    return 1 + 0.12 * grain(rng) + 0.1 * weave(rng, 64) + 0.05 * fractal(rng, 1.0), field


@texture("leather", variants=2, scale_m=0.4)
def leather(rng, variant):
    _, border, _ = cells(rng, 34 - 10 * variant)
    return 1 + 0.14 * np.minimum(border, 3) / 3 + 0.05 * fractal(rng, 1.2) + relief(roll_blur(grain(rng), 1.2), 0.12)


@texture("wicker", variants=1, scale_m=0.3)
def wicker(rng, variant):
    return 1 + 0.7 * weave(rng, 16) + 0.06 * fractal(rng, 0.6)


@texture("fur", variants=1, scale_m=0.6)
def fur(rng, variant):
    hair = warp(fractal(rng, 0.5, low=8, stretch=(2.0, 0.25)), rng, 10)
    return 1 + 0.22 * hair + 0.06 * grain(rng), smoothstep(0.5, 1.5, hair)
