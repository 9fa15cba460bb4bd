"""Printed and shining things that carry their own colours: posters, paintings, photos, screens, papers, book spines, packets, keyboards, signs.

One tile is one sheet: map it over the whole face of the object.
"""

import colorsys

import cv2
import numpy as np

from .bank import texture
from .noise import SIZE, fractal, grain, grid, smoothstep, warp

_LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvwy0123456789"))
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)


def hue(rng, saturation=(0.3, 0.9), value=(0.2, 0.9)) -> tuple[float, float, float]:
    """A random linear colour."""
    # Print shuns neon: magenta, violet and pure green are rarer and paler than reds, yellows and blues.
    h = (
        (rng.random() + 0.06 * rng.normal()) % 1
        if rng.random() < 0.35
        else rng.choice((0.0, 0.04, 0.09, 0.13, 0.3, 0.5, 0.57, 0.61, 0.66)) + 0.02
    )
    rgb = colorsys.hsv_to_rgb(
        h, rng.uniform(*saturation) * (0.6 if 0.2 < h < 0.5 or 0.7 < h < 0.95 else 0.9), rng.uniform(*value)
    )
    return tuple(float(c) ** 2.2 for c in rgb)


def word(rng, low: int = 2, high: int = 9) -> str:
    return "".join(rng.choice(_LETTERS, int(rng.integers(low, high))))


def line_of_words(rng, width: int, size: float, font: int) -> str:
    text = word(rng)
    while cv2.getTextSize(text, font, size, 1)[0][0] < width * 0.8:
        text += " " + word(rng)
    return text


def sheet(colour) -> np.ndarray:
    return np.ones((SIZE, SIZE, 3), np.float32) * np.asarray(colour, np.float32)


def write(image, text, x, y, size, colour, thick=1, font=_FONTS[0]) -> None:
    """Blend text into a float image, baseline at (x, y). OpenCV 5 draws text into 8-bit images only: hence the stencil."""
    (width, height), below = cv2.getTextSize(text, font, float(size), int(thick))
    x, y, pad = int(x), int(y), int(thick) + 2
    stencil = np.zeros((height + below + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(stencil, text, (pad, height + pad), font, float(size), 255, int(thick), cv2.LINE_AA)
    left, top = x - pad, y - height - pad
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + stencil.shape[1], image.shape[1]), min(top + stencil.shape[0], image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = stencil[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) / 255
    target = image[y0:y1, x0:x1]
    if image.ndim == 3:
        part = part[..., None]
    ink = np.asarray(colour if image.ndim == 3 else colour[0], np.float32)
    target += part * (ink - target)


def paragraph(rng, image, x0, y0, x1, y1, size, colour, ragged=0.3) -> None:
    """Lines of random words in a box."""
    font = _FONTS[int(rng.integers(len(_FONTS)))]
    step = int(round(size * 34)) + 1
    for y in range(int(y0) + step, int(y1), step):
        if rng.random() < 0.1:
            continue
        width = (x1 - x0) * (1 - ragged * rng.random() ** 2)
        text = line_of_words(rng, width, size, font)
        part = image[max(y - step, 0) : y + step // 2, int(x0) : int(x0 + width)]
        write(part, text, 0, min(step, y), size, colour, 1, font)


@texture("poster", variants=10, coloured=True)
def poster(rng, variant):
    image = sheet(hue(rng, (0.0, 0.9), (0.25, 0.98)))
    ink = hue(rng, (0.2, 1), (0.05, 0.5)) if image[0, 0].mean() > 0.25 else hue(rng, (0, 0.5), (0.8, 1.0))
    top = int(rng.integers(60, 170))
    if variant % 3 == 0:  # shapes
        for _ in range(int(rng.integers(4, 14))):
            center = tuple(int(c) for c in rng.integers(0, SIZE, 2))
            if rng.random() < 0.5:
                cv2.circle(
                    image, center, int(rng.integers(8, 70)), hue(rng), int(rng.choice([-1, -1, 4, 9])), cv2.LINE_AA
                )
            else:
                box = cv2.boxPoints(
                    (center, tuple(float(s) for s in rng.uniform(15, 140, 2)), float(rng.uniform(0, 90)))
                )
                cv2.fillPoly(image, [box.astype(np.int32)], hue(rng), cv2.LINE_AA)
    elif variant % 3 == 1:  # a picture above, text below
        image[:top] = landscape(rng)[:top]
    else:  # bands
        edges = np.sort(rng.integers(0, SIZE, 4))
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            image[low:high] = hue(rng)
    write(
        image,
        word(rng, 4, 8),
        rng.integers(8, 30),
        rng.integers(top, 235),
        rng.uniform(1.4, 2.6),
        ink,
        rng.integers(3, 8),
        _FONTS[1],
    )
    paragraph(rng, image, 16, top + 10, 240, 250, rng.uniform(0.3, 0.6), ink)
    return image * (1 + 0.02 * grain(rng)[..., None])


def landscape(rng) -> np.ndarray:
    """Sky, hills in layers, water or meadow."""
    u, v = grid()
    low, high = np.array(hue(rng, (0.0, 0.6), (0.7, 1.0))), np.array(hue(rng, (0.2, 0.8), (0.4, 0.9)))
    image = (high + (low - high) * v[..., None]).astype(np.float32)
    clouds = smoothstep(0.3, 1.6, fractal(rng, 1.2, stretch=(0.4, 1.3)))
    image += (clouds * 0.4 * (1 - v))[..., None]
    column = np.arange(SIZE)
    level = rng.uniform(0.35, 0.6)
    for layer in range(int(rng.integers(2, 5))):
        ridge = fractal(rng, 1.5, high=60)[layer] * rng.uniform(0.02, 0.1) + level
        colour = np.array(hue(rng, (0.2, 0.7), (0.15, 0.65 - 0.1 * layer)))
        inside = v > ridge[column][None]
        image[inside] = (colour * (1 + 0.25 * fractal(rng, 0.7)[..., None]))[inside]
        level += rng.uniform(0.08, 0.2)
    return np.clip(image, 0, 1)


@texture("painting", variants=9, coloured=True)
def painting(rng, variant):
    u, v = grid()
    if variant < 3:
        image = landscape(rng)
        image *= 1 + 0.12 * fractal(rng, 0.4, low=20, stretch=(0.5, 1.5))[..., None]
    elif variant < 5:  # portrait, still life
        image = sheet(hue(rng, (0.2, 0.7), (0.1, 0.5))) * (1 + 0.2 * fractal(rng, 1.2)[..., None])
        cv2.ellipse(image, (128, 250), (90, 100), 0, 0, 360, hue(rng, (0.2, 0.9), (0.1, 0.7)), -1, cv2.LINE_AA)
        cv2.ellipse(image, (128, 105), (66, 72), 0, 0, 360, hue(rng, (0.3, 0.8), (0.05, 0.4)), -1, cv2.LINE_AA)
        skin = np.array([0.62, 0.36, 0.24]) * rng.uniform(0.3, 1.1)
        cv2.ellipse(image, (128, 118), (44, 58), 0, 0, 360, tuple(skin.tolist()), -1, cv2.LINE_AA)
        for x in (110, 146):
            cv2.ellipse(image, (x, 110), (8, 4), 0, 0, 360, (0.02, 0.02, 0.02), -1, cv2.LINE_AA)
        cv2.ellipse(image, (128, 148), (15, 4), 0, 0, 180, (0.4, 0.06, 0.06), 2, cv2.LINE_AA)
        image = warp(image, rng, 2)
    elif variant < 7:  # abstract
        bands = warp(fractal(rng, 1.3, high=14), rng, 12)
        palette = np.array([hue(rng, (0.1, 1), (0.1, 1)) for _ in range(6)], np.float32)
        image = palette[np.clip((bands + 2) * 1.5, 0, 5).astype(int)]
        image = image * (1 + 0.15 * fractal(rng, 0.5, low=16)[..., None])
    elif variant == 7:  # grid of colour fields
        image = sheet((0.85, 0.83, 0.78))
        cuts = np.sort(rng.integers(10, SIZE - 10, 5))
        for a, b in zip(cuts[:-1], cuts[1:], strict=True):
            low, high = np.sort(rng.integers(0, SIZE, 2))
            image[a:b, low:high] = hue(rng, (0.6, 1), (0.5, 1))
        for c in cuts:
            image[c - 3 : c + 3] = image[:, c - 3 : c + 3] = 0.02
    else:  # black and white photo
        image = np.repeat(landscape(rng).mean(-1, keepdims=True), 3, -1)
    if variant % 2:  # mount
        frame = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
        image[frame < 0.12] = 0.78
    return np.clip(image * (1 + 0.03 * grain(rng)[..., None]), 0, 1)


@texture("screen", variants=6, coloured=True)
def screen(rng, variant):
    dark = variant % 2 == 0
    image = sheet((0.01, 0.012, 0.02) if dark else (0.85, 0.87, 0.9))
    ink = (0.6, 0.65, 0.7) if dark else (0.03, 0.03, 0.05)
    if variant < 2:  # editor
        for y in range(14, SIZE, 9):
            x = 14 + 12 * int(rng.integers(0, 5))
            for _ in range(int(rng.integers(0, 5))):
                colour = ink if rng.random() < 0.5 else hue(rng, (0.4, 0.9), (0.6, 0.95) if dark else (0.3, 0.6))
                text = word(rng)
                write(image, text, x, y, 0.28, colour)
                x += 8 * len(text)
        image[:, :8] *= 1.6 if dark else 0.8
    elif variant < 4:  # windows, diagrams
        image[:] = landscape(rng) if dark else image
        for _ in range(3):
            x, y = rng.integers(0, 130, 2)
            w, h = rng.integers(70, 126, 2)
            image[y : y + h, x : x + w] = (0.9, 0.9, 0.92)
            image[y : y + 10, x : x + w] = hue(rng, (0.3, 0.9), (0.3, 0.8))
            paragraph(rng, image, x + 4, y + 12, x + w - 4, y + h, 0.3, (0.1, 0.1, 0.12))
    elif variant == 4:  # film
        image = landscape(rng) * 1.1
        image[:24] = image[-24:] = 0.0
    else:  # off: a dark mirror
        image = sheet((0.012, 0.012, 0.014)) * (1 + 0.5 * smoothstep(0, 2, fractal(rng, 1.8, high=6))[..., None])
    return np.clip(image, 0, 1)


@texture("paper", variants=4, coloured=True)
def paper(rng, variant):
    image = sheet((0.8, 0.79, 0.75))
    if variant < 2:  # print in columns
        for k in range(variant + 1):
            paragraph(rng, image, 18 + 115 * k, 30, 125 + 115 * k if variant else 240, 245, 0.3, (0.05, 0.05, 0.05))
        write(image, word(rng, 5, 9), 20, 32, 0.9, (0.02, 0.02, 0.02), 2, _FONTS[2])
    elif variant == 2:  # squared, with writing
        u, v = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
        image[(u % 12 == 0) | (v % 12 == 0)] = (0.5, 0.6, 0.75)
        for y in range(30, 240, 24):
            curve = np.stack([np.arange(20, 230, 3), y + 5 * np.sin(np.cumsum(rng.normal(0.6, 0.5, 70)))], -1)
            cv2.polylines(image, [curve.astype(np.int32)], False, (0.03, 0.04, 0.25), 1, cv2.LINE_AA)
    else:  # chart
        for k in range(9):
            top = int(rng.integers(60, 200))
            image[top:220, 24 + 24 * k : 42 + 24 * k] = hue(rng)
        paragraph(rng, image, 20, 8, 236, 50, 0.4, (0.1, 0.1, 0.1))
    return image


@texture("spine", variants=8, scale_m=0.25, coloured=True)
def spine(rng, variant):
    """A row of book spines, about 12 a tile: for shelves whose books are one block."""
    image = sheet((0.02, 0.02, 0.02))
    x = 0
    while x < SIZE:
        width = min(int(rng.integers(9, 34)), SIZE - x)
        colour = np.array(hue(rng, (0.0, 0.9), (0.08, 0.95)))
        ink = (
            np.array(hue(rng, (0, 0.6), (0.7, 1.0))) if colour.mean() < 0.3 else np.array(hue(rng, (0, 1), (0.0, 0.3)))
        )
        image[:, x : x + width] = colour
        profile = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 0.4
        if rng.random() < 0.6:
            y = int(rng.integers(10, 200))
            image[y : y + int(rng.integers(3, 40)), x : x + width] = ink if rng.random() < 0.4 else hue(rng)
        if width > 10:
            strip = np.zeros((width, SIZE), np.float32)
            write(
                strip,
                word(rng, 4, 9) + " " + word(rng, 3, 9),
                rng.integers(8, 50),
                width * 0.72,
                width / 44 + 0.1,
                (1.0,),
                1 + (width > 22),
            )
            strip = np.rot90(strip, -1)[..., None]
            image[:, x : x + width] += strip * (ink - image[:, x : x + width])
        image[:, x : x + width] *= profile[None, :, None]
        x += width
    return image * (1 + 0.03 * grain(rng)[..., None])


@texture("packet", variants=6, coloured=True)
def packet(rng, variant):
    image = sheet(hue(rng, (0.1, 1.0), (0.4, 1.0)))
    cv2.ellipse(
        image,
        (128, int(rng.integers(90, 170))),
        (int(rng.integers(50, 110)), int(rng.integers(30, 70))),
        0,
        0,
        360,
        hue(rng),
        -1,
    )
    image[int(rng.integers(180, 235)) :] = hue(rng)
    write(image, word(rng, 4, 7), 20, 60, rng.uniform(1.3, 2.0), hue(rng, (0, 1), (0, 1)), 5, _FONTS[1])
    paragraph(rng, image, 20, 180, 236, 250, 0.35, hue(rng, (0, 0.3), (0, 1)))
    return image


@texture("keyboard", variants=1, coloured=True)
def keyboard(rng, variant):
    u, v = grid()
    x, y = np.mod(u * 15 + 0.3 * np.floor(v * 5), 1), np.mod(v * 5, 1)
    key = (np.abs(x - 0.5) < 0.42) & (np.abs(y - 0.5) < 0.4)
    letter = (np.abs(x - 0.35) < 0.1) & (np.abs(y - 0.35) < 0.12)
    return np.where(key[..., None], 0.03, 0.008) + 0.5 * (letter & key)[..., None] * np.ones(3)


@texture("cardboard", variants=2, scale_m=0.6)
def cardboard(rng, variant):
    u, v = grid()
    base = 1 + 0.04 * np.sin(2 * np.pi * 64 * u) + 0.05 * fractal(rng, 0.7) + 0.03 * grain(rng)
    mask = np.zeros((SIZE, SIZE), np.float32)
    if variant:
        write(mask, word(rng, 3, 6), 30, 150, 1.8, (1.0,), 4, _FONTS[1])
        paragraph(rng, mask, 30, 165, 150, 215, 0.4, (1.0,))
        mask[20:60, 190:235] = (np.sin(np.arange(45) * np.arange(45) * 0.11) > 0)[None]
    return base * (1 - 0.15 * (np.abs(v - 0.5) < 0.1)), mask


@texture("sign_text", variants=4, coloured=True)
def sign_text(rng, variant):
    image = sheet(((0.7, 0.7, 0.7), (0.02, 0.08, 0.4), (0.6, 0.02, 0.02), (0.75, 0.5, 0.02))[variant])
    ink = (0.02, 0.02, 0.02) if variant in (0, 3) else (0.85, 0.85, 0.85)
    cv2.rectangle(image, (8, 8), (247, 247), ink, 6)
    for y in (90, 150, 210):
        write(image, word(rng, 3, 7), 26, y, 1.5, ink, 4, _FONTS[1])
    return image
