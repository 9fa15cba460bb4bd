"""Periodic building blocks of the texture families: coloured noise, cells, masonry, small drawing helpers.

Everything is (SIZE, SIZE) float32 and tiles without a seam. Rows grow downwards, columns to the right.
"""

from functools import cache, lru_cache

import cv2
import numpy as np

SIZE = 256
Array = np.ndarray


@cache
def _frequencies() -> tuple[Array, Array]:
    rows = np.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    columns = np.arange(SIZE // 2 + 1, dtype=np.float32)[None]
    return rows, columns


@cache
def grid() -> tuple[Array, Array]:
    """Columns and rows in [0, 1) at the pixel centres: u (SIZE, SIZE), v (SIZE, SIZE)."""
    t = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    u, v = np.meshgrid(t, t)
    return u, v


def fractal(
    rng: np.random.Generator,
    beta: float = 1.0,
    low: float = 1.0,
    high: float = 128.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Array:
    """Noise with amplitude ~ 1 / frequency**beta between `low` and `high` cycles a tile; zero mean, unit deviation.

    `stretch` = (along u, along v): values above 1 draw the structures out along that direction.
    """
    amplitude = _amplitude(float(beta), float(low), float(high), tuple(float(x) for x in stretch))
    phase = rng.random(amplitude.shape, dtype=np.float32) * np.float32(2 * np.pi)
    spectrum = np.empty(amplitude.shape, np.complex64)
    np.multiply(amplitude, np.cos(phase), out=spectrum.real)
    np.multiply(amplitude, np.sin(phase), out=spectrum.imag)
    noise = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    deviation = float(np.sqrt(np.vdot(noise, noise) / noise.size))
    noise *= np.float32(1 / max(deviation, 1e-9))
    return noise


@lru_cache(maxsize=64)
def _amplitude(beta: float, low: float, high: float, stretch: tuple[float, float]) -> Array:
    rows, columns = _frequencies()
    radius = np.hypot(columns * stretch[0], rows * stretch[1])
    inside = (radius >= low) & (radius <= high) & (radius > 0)  # frequency 0 is left out: zero mean
    return np.where(inside, np.maximum(radius, 0.5) ** -beta, 0).astype(np.float32)


def grain(rng: np.random.Generator) -> Array:
    """White noise, one value a pixel: zero mean, unit deviation."""
    return rng.standard_normal((SIZE, SIZE), dtype=np.float32)


def smoothstep(low: float, high: float, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def warp(image: Array, rng: np.random.Generator, pixels: float, beta: float = 1.6) -> Array:
    """Bend an image by periodic noise of deviation `pixels`."""
    x, y = np.meshgrid(np.arange(SIZE, dtype=np.float32), np.arange(SIZE, dtype=np.float32))
    x = np.mod(x + pixels * fractal(rng, beta, high=24), SIZE)
    y = np.mod(y + pixels * fractal(rng, beta, high=24), SIZE)
    padded = cv2.copyMakeBorder(image, 0, 1, 0, 1, cv2.BORDER_WRAP)
    return cv2.remap(padded, x, y, cv2.INTER_LINEAR)


def roll_blur(image: Array, sigma: float) -> Array:
    """Gaussian blur that wraps around."""
    pad = int(4 * sigma) + 2
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_WRAP)
    return cv2.GaussianBlur(wide, (0, 0), sigma)[pad : pad + SIZE, pad : pad + SIZE]


def points(rng: np.random.Generator, per_side: int, jitter: float = 0.9) -> Array:
    """A jittered grid of per_side**2 points in pixels, (N, 2) as (x, y)."""
    step = SIZE / per_side
    base = (np.stack(np.meshgrid(np.arange(per_side), np.arange(per_side)), -1).reshape(-1, 2) + 0.5) * step
    return (base + (rng.random(base.shape) - 0.5) * step * jitter) % SIZE


def cells(rng: np.random.Generator, per_side: int, jitter: float = 0.9) -> tuple[Array, Array, Array]:
    """Periodic Voronoi cells: distance to the seed [px], distance to the border [px], cell number (int32, 0...)."""
    seeds = points(rng, per_side, jitter).astype(np.int32) % SIZE
    pad = min(SIZE // 2, int(3 * SIZE / per_side))
    numbers = np.full((SIZE, SIZE), -1, np.int32)
    numbers[seeds[:, 1], seeds[:, 0]] = np.arange(len(seeds))
    wide = cv2.copyMakeBorder(numbers, pad, pad, pad, pad, cv2.BORDER_WRAP)
    free = (wide < 0).astype(np.uint8)
    distance, labels = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(labels.max() + 1, np.int32)
    of_label[labels[free == 0]] = wide[free == 0]
    owner = of_label[labels]
    edge = (owner != np.roll(owner, 1, 0)) | (owner != np.roll(owner, 1, 1))
    border = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    inside = slice(pad, pad + SIZE)
    return distance[inside, inside], border[inside, inside], owner[inside, inside]


def masonry(rows: int, columns: int, shift: float = 0.5) -> tuple[Array, Array, Array, Array]:
    """Running bond: distance to the nearest joint [px], cell number, and the position inside the cell (u, v in 0..1).

    `shift` moves each second row by that part of a cell; `rows` must then be even for the pattern to tile.
    """
    u, v = grid()
    row = np.floor(v * rows)
    along = u * columns + shift * (row % 2)
    column = np.floor(along)
    inside_u, inside_v = along - column, v * rows - row
    du = np.minimum(inside_u, 1 - inside_u) * (SIZE / columns)
    dv = np.minimum(inside_v, 1 - inside_v) * (SIZE / rows)
    number = (row * columns + column % columns).astype(np.int32)
    return np.minimum(du, dv), number, inside_u, inside_v


def per_cell(rng: np.random.Generator, number: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """One uniform random value for each cell number."""
    return rng.uniform(low, high, int(number.max()) + 1).astype(np.float32)[number]


def stamp(image: Array, x: float, y: float, draw) -> None:
    """Call draw(cx, cy) at every wrapped copy of a position, so that marks which cross the border tile."""
    for ox in (-SIZE, 0, SIZE):
        for oy in (-SIZE, 0, SIZE):
            if -64 <= x + ox < SIZE + 64 and -64 <= y + oy < SIZE + 64:
                draw(x + ox, y + oy)
