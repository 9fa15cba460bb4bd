"""Noise families and plain patterns: for the wild style, and for stains and variation."""

import numpy as np

from .bank import texture
from .noise import SIZE, cells, fractal, grain, grid, per_cell, smoothstep, warp
from .walls import relief


@texture("noise", variants=6, scale_m=1.0)
def noise(rng, variant):
    beta, low, high = ((0, 1, 128), (0.5, 1, 128), (1.0, 1, 128), (1.5, 1, 128), (0.3, 8, 40), (0.2, 30, 128))[variant]
    return 1 + (0.25, 0.3, 0.3, 0.3, 0.3, 0.3)[variant] * fractal(rng, beta, low, high), smoothstep(
        -1, 1, fractal(rng, 1.0)
    )


@texture("blobs", variants=3, scale_m=1.0)
def blobs(rng, variant):
    field = warp(fractal(rng, 0.8, low=(2, 5, 10)[variant], high=(10, 20, 40)[variant]), rng, 6)
    return 1 + 0.05 * grain(rng), smoothstep(-0.1, 0.1, field)


@texture("checker", variants=2, scale_m=1.0)
def checker(rng, variant):
    u, v = grid()
    count = (6, 16)[variant]
    return 1 + 0.06 * grain(rng), ((np.floor(u * count) + np.floor(v * count)) % 2).astype(np.float32)


@texture("stripes", variants=3, scale_m=1.0)
def stripes(rng, variant):
    u, v = grid()
    phase = (10 * u, 8 * u + 8 * v, 12 * v)[variant]
    return 1 + 0.06 * grain(rng), smoothstep(
        -0.1, 0.1, np.sin(2 * np.pi * phase + (0.5 * fractal(rng, 1.4) if variant == 2 else 0))
    )


@texture("cellular", variants=3, scale_m=1.0)
def cellular(rng, variant):
    distance, border, number = cells(rng, (6, 12, 24)[variant])
    number = np.maximum(number, 0)
    return 0.5 + per_cell(rng, number) + relief(np.minimum(border, 4), 0.05) + 0.04 * grain(rng), per_cell(
        rng, number
    ) > 0.5


@texture("swirl", variants=2, scale_m=1.0)
def swirl(rng, variant):
    field = warp(warp(fractal(rng, 1.2, high=20), rng, 14), rng, 8)
    return 1 + 0.1 * fractal(rng, 0.6) + 0.04 * grain(rng), smoothstep(-0.2, 0.2, np.sin((6, 14)[variant] * field))


@texture("plain", variants=1, scale_m=1.0)
def plain(rng, variant):
    """Next to nothing: for paint, plastic and porcelain."""
    return 1 + 0.015 * grain(rng) + 0.015 * fractal(rng, 1.0)


@texture("confetti", variants=1, scale_m=1.0, coloured=True)
def confetti(rng, variant):
    _, _, number = cells(rng, 14)
    return rng.random((14 * 14, 3)).astype(np.float32)[np.maximum(number, 0)] * (1 + 0.1 * np.ones((SIZE, SIZE, 1)))
