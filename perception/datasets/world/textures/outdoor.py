"""Ground and plants: asphalt, gravel, paving, grass, soil, leaves, bark, snow, water."""

import cv2
import numpy as np

from .bank import texture
from .noise import SIZE, cells, fractal, grain, masonry, per_cell, points, smoothstep, stamp, warp
from .walls import relief


@texture("asphalt", variants=4, scale_m=1.6)
def asphalt(rng, variant):
    distance, _, number = cells(rng, 56)
    stones = (per_cell(rng, np.maximum(number, 0)) - 0.5) * np.clip(1 - distance / 3.5, 0, 1)
    base = 1 + 0.7 * stones + 0.12 * grain(rng) + 0.08 * fractal(rng, 1.2)
    if variant == 0:
        return base
    if variant == 1:  # cracked, with tar
        _, border, _ = cells(rng, 3)
        return base, 1 - smoothstep(0.5, 1.8, warp(border, rng, 9)) * 1.0
    if variant == 2:  # patched
        return base * (1 + 0.12 * np.sign(fractal(rng, 1.6, high=5))), smoothstep(0.8, 1.4, fractal(rng, 1.3))
    return 1 + 0.5 * (base - 1), 0.6 * smoothstep(0, 2, fractal(rng, 1.4, stretch=(0.2, 1.5)))  # worn wheel tracks


@texture("gravel", variants=3, scale_m=1.2)
def gravel(rng, variant):
    distance, border, number = cells(rng, (26, 40, 16)[variant])
    number = np.maximum(number, 0)
    tone = per_cell(rng, number)
    dome = np.minimum(border, 6)
    return (0.55 + 0.9 * tone + relief(dome, 0.07)) * smoothstep(-0.5, 2.5, border) + 0.05 * grain(rng), per_cell(
        rng, number
    ) > 0.6


@texture("paving", variants=5, scale_m=1.8)
def paving(rng, variant):
    if variant == 4:  # cobbles
        _, distance, number = cells(rng, 12, 0.55)
        number = np.maximum(number, 0)
    else:
        distance, number, _, _ = masonry(*((6, 6, 0), (8, 4, 0.5), (4, 4, 0.5), (18, 9, 0.5))[variant])
    joint = 1 - smoothstep(0.8, 2.2, warp(distance, rng, 0.5, 0.8))
    body = 1 + 0.3 * (per_cell(rng, number) - 0.5) + 0.07 * fractal(rng, 0.8) + 0.06 * grain(rng)
    body += relief(smoothstep(0, 8 if variant == 4 else 3, distance), 0.25 if variant == 4 else 0.06)
    return body * (1 - 0.35 * joint), 0.8 * joint


def _blades(rng, count: int, length: float):
    """Strokes drawn back to front: (brightness, mask)."""
    shade = np.full((SIZE, SIZE), 0.45, np.float32)
    tone = np.zeros((SIZE, SIZE), np.float32)
    start = rng.uniform(0, SIZE, (count, 2))
    angle = rng.normal(-np.pi / 2, 0.7, count)
    reach = length * rng.uniform(0.4, 1.2, count)
    light = np.linspace(0.5, 1.7, count) * rng.uniform(0.7, 1.2, count)
    dry = rng.random(count)
    for k in range(count):
        end = start[k] + reach[k] * np.array([np.cos(angle[k]), np.sin(angle[k])])
        for ox in (0, SIZE if min(start[k][0], end[0]) < 16 else 0):
            for oy in (0, SIZE if min(start[k][1], end[1]) < 16 else 0):
                a = (int(start[k][0] + ox), int(start[k][1] + oy))
                b = (int(end[0] + ox), int(end[1] + oy))
                cv2.line(shade, a, b, float(light[k]), 1, cv2.LINE_AA)
                cv2.line(tone, a, b, float(dry[k]), 1)
    return shade, tone


@texture("grass", variants=3, scale_m=1.0)
def grass(rng, variant):
    shade, tone = _blades(rng, (1500, 900, 2000)[variant], (13, 24, 8)[variant])
    patch = smoothstep(0, 2, fractal(rng, 1.4, high=10))
    return shade + 0.05 * fractal(rng, 1.2), np.clip(0.6 * (tone > 0.75) + (0.2, 0.5, 0.1)[variant] * patch, 0, 1)


@texture("soil", variants=3, scale_m=1.4)
def soil(rng, variant):
    clods = fractal(rng, 0.8, low=3)
    base = 1 + relief(clods, 0.16) + 0.1 * fractal(rng, 1.0) + 0.1 * grain(rng)
    if variant == 2:  # dead leaves
        return _leaves(rng, 12, 10)
    return base, smoothstep(0.6, 1.4, fractal(rng, 1.0, low=3)) * (0.4 + 0.5 * variant)


def _leaves(rng, per_side: int, length: float):
    shade = np.full((SIZE, SIZE), 0.35, np.float32)
    tone = np.zeros((SIZE, SIZE), np.float32)
    for layer in (0.65, 0.9, 1.15, 1.4):
        for x, y in points(rng, per_side, 1.5):
            angle, size, light, hue = (
                rng.uniform(0, 360),
                length * rng.uniform(0.6, 1.3),
                layer * rng.uniform(0.75, 1.2),
                rng.random(),
            )

            def leaf(cx, cy, angle=angle, size=size, light=light, hue=hue):
                center, axes = (round(cx), round(cy)), (max(round(size), 1), max(round(size * 0.45), 1))
                cv2.ellipse(shade, center, axes, angle, 0, 360, float(light), -1, cv2.LINE_AA)
                cv2.ellipse(tone, center, axes, angle, 0, 360, float(hue), -1)
                a = np.radians(angle)
                tip = (round(cx + size * np.cos(a)), round(cy + size * np.sin(a)))
                cv2.line(shade, center, tip, float(light * 0.7), 1, cv2.LINE_AA)

            stamp(shade, x, y, leaf)
    return shade + 0.04 * grain(rng), tone * 0.9


@texture("foliage", variants=5, scale_m=1.2)
def foliage(rng, variant):
    if variant == 3:  # needles
        shade, tone = _blades(rng, 1600, 10)
        return shade * (1 + 0.2 * fractal(rng, 1.2)), tone * 0.6
    if variant == 4:  # far canopy: clumps with dark gaps
        clumps = fractal(rng, 0.9, low=4, high=60)
        return np.clip(0.9 + 0.45 * clumps + relief(clumps, 0.12), 0.1, None) + 0.15 * grain(rng), smoothstep(
            0, 2, clumps
        )
    return _leaves(rng, (9, 13, 17)[variant], (14, 9, 6)[variant])


@texture("bark", variants=2, scale_m=0.6)
def bark(rng, variant):
    ridges = warp(np.abs(fractal(rng, 0.9, low=3, high=60, stretch=(2.2, 0.35))), rng, 6)
    if variant == 0:
        return 0.5 + 0.8 * smoothstep(0, 1.2, ridges) + 0.1 * grain(rng), 0.6 * smoothstep(0.8, 1.5, fractal(rng, 1.0))
    scars = smoothstep(1.3, 1.6, fractal(rng, 0.7, low=6, high=50, stretch=(0.25, 1.6)))  # birch
    return 1 + 0.05 * grain(rng) + 0.05 * fractal(rng, 1.0), scars


@texture("snow", variants=1, scale_m=2.0)
def snow(rng, variant):
    return 1 + relief(fractal(rng, 1.3), 0.08) + 0.03 * grain(rng)


@texture("sand", variants=1, scale_m=1.5)
def sand(rng, variant):
    ripples = warp(
        np.sin(2 * np.pi * 12 * np.linspace(0, 1, SIZE, endpoint=False, dtype=np.float32))[:, None].repeat(SIZE, 1),
        rng,
        9,
    )
    return 1 + 0.1 * ripples + 0.12 * grain(rng) + 0.05 * fractal(rng, 1.0)
