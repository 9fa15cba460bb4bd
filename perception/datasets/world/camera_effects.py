"""What a real camera does to linear light: metering, white balance, lens, noise, tone curve, sharpening, JPEG, borders.

`apply` is the whole chain; every step draws its strength from the given random stream, so a picture is reproducible from its seed.
Order of light: exposure and colour matrix, vignetting, lens and motion blur, sensor noise, clipping and tone curve (8 bits from here
on), sharpening, rescaling, JPEG, borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

_LUMA = np.float32([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Strength:
    """How often and how strongly each effect is applied; 1 = as in mixed photos, 0 = off. `exposure_spread` in stops."""

    exposure_spread: float = 0.55
    colour: float = 1.0
    lens: float = 1.0
    noise: float = 1.0
    compression: float = 1.0
    borders: float = 1.0


PHOTO = Strength()
CLEAN = Strength(exposure_spread=0.0, colour=0.0, lens=0.0, noise=0.0, compression=0.0, borders=0.0)


def apply(
    image: np.ndarray, rng: np.random.Generator, exposure: float | None = None, strength: Strength = PHOTO
) -> np.ndarray:
    """Turn linear radiance (H, W, 3) float32 into a photo, (H, W, 3) uint8 sRGB.

    exposure: factor from radiance to display-linear light that suits the scene (`Lighting.exposure`): the camera takes the mean (in
    stops) of it and its own metering, so that nights stay darker than days; None = metering alone.
    """
    image = np.asarray(image, np.float32)
    height, width = image.shape[:2]
    out = _expose(image, rng, exposure, strength)
    _vignette(out, rng, strength)
    out = _blur(out, rng, strength)
    out = _noise(out, rng, strength)
    photo = _tone(out, rng, strength)
    photo = _sharpen(photo, rng, strength)
    if rng.random() < 0.06 * strength.lens and min(height, width) > 32:  # a smaller picture, enlarged
        part = rng.uniform(0.45, 0.9)
        small = cv2.resize(photo, (int(width * part), int(height * part)), interpolation=cv2.INTER_AREA)
        photo = cv2.resize(small, (width, height), interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])))
    if rng.random() < 0.6 * strength.compression:
        quality = int(np.clip(rng.normal(78, 16), 25, 98))
        code = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        photo = cv2.imdecode(code, cv2.IMREAD_COLOR)  # channel order does not matter to a round trip
    if rng.random() < 0.05 * strength.borders:
        _border(photo, rng)
    return photo


def meter(image: np.ndarray) -> float:
    """Exposure that a camera would choose: brings the mix of mean and median luminance of (H, W, 3) linear light to mid grey."""
    luminance = image[::3, ::3] @ _LUMA
    centre = luminance[luminance.shape[0] // 4 :]  # metering favours the lower part: less sky, fewer ceiling lamps
    level = 0.5 * float(np.minimum(centre, 4 * np.median(centre) + 1e-4).mean()) + 0.5 * float(np.median(centre))
    return 0.2 / max(level, 1e-4)


def _expose(image: np.ndarray, rng, exposure: float | None, strength: Strength) -> np.ndarray:
    stops = rng.normal(0, 1) * strength.exposure_spread
    roll = rng.random()
    if strength.exposure_spread > 0:
        if roll < 0.07:
            stops -= rng.uniform(0.8, 2.2)  # too dark
        elif roll > 0.93:
            stops += rng.uniform(0.6, 1.6)  # too bright
    gain = (meter(image) if exposure is None else (meter(image) * exposure) ** 0.5) * 2.0**stops
    # White balance: cameras take out most of the light's colour, and then err.
    mean = np.minimum(image[::4, ::4].reshape(-1, 3), 4 / gain).mean(0) + 1e-5
    balance = (mean.mean() / mean) ** rng.uniform(0.25, 0.95)
    balance = np.clip(balance, 0.45, 2.2) ** strength.colour
    balance = balance * np.exp(rng.normal(0, 0.05, 3) * strength.colour)
    saturation = float(np.clip(np.exp(rng.normal(0, 0.22) * strength.colour), 0.3, 1.6))
    if rng.random() < 0.02 * strength.colour:
        saturation = 0.0  # black and white
    matrix = (saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * np.tile(_LUMA, (3, 1))) @ np.diag(balance)
    return cv2.transform(image, (matrix * gain).astype(np.float32))


@lru_cache(maxsize=8)
def _radius2(height: int, width: int) -> np.ndarray:
    """(H, W, 1) squared distance from the centre, 1 in the corners."""
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    aspect = width / height
    r2 = (y[:, None] ** 2 + (x[None] * aspect) ** 2) / (1 + aspect**2)
    return r2[..., None].astype(np.float32)


def _vignette(image: np.ndarray, rng, strength: Strength) -> None:
    amount = rng.uniform(0, 0.55) ** 1.5 * strength.lens
    if rng.random() < 0.6 and amount > 0.01:
        image *= np.repeat(1 - np.float32(amount) * _radius2(*image.shape[:2]), 3, axis=2)


def _blur(image: np.ndarray, rng, strength: Strength) -> np.ndarray:
    roll, scale = rng.random(), image.shape[0] / 240
    if roll < 0.4 * strength.lens:
        return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.9) * max(scale**0.7, 0.5)))
    if roll < 0.48 * strength.lens:
        length, angle = max(3, int(rng.uniform(2, 5) * scale)), rng.uniform(0, np.pi)
        size = length | 1
        kernel = np.zeros((size, size), np.float32)
        middle, dx, dy = size // 2, np.cos(angle) * length / 2, np.sin(angle) * length / 2
        start, end = (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))
        cv2.line(kernel, start, end, 1.0)
        return cv2.filter2D(image, -1, kernel / kernel.sum())
    return image


@lru_cache(maxsize=1)
def _noise_field() -> np.ndarray:
    """(768, 768, 3) float32 Gaussian noise, a little coloured: white grain plus soft colour blotches."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7101])))
    fine = rng.standard_normal((768, 768, 3), dtype=np.float32)
    grey = rng.standard_normal((768, 768, 1), dtype=np.float32)
    blotch = cv2.GaussianBlur(rng.standard_normal((768, 768, 3), dtype=np.float32), (0, 0), 1.2) * 2
    field = 0.6 * fine + 0.6 * grey + 0.5 * blotch
    return field / field.std()


def _noise(image: np.ndarray, rng, strength: Strength) -> np.ndarray:
    if strength.noise <= 0:
        return image
    field, (height, width) = _noise_field(), image.shape[:2]
    y, x = (int(v) for v in rng.integers(0, 768, 2))
    if height + y > 768 or width + x > 768:
        rows, columns = (y + np.arange(height)) % 768, (x + np.arange(width)) % 768
        part = field[rows][:, columns]
    else:
        part = field[y : y + height, x : x + width]
    shot = float(np.exp(rng.normal(np.log(0.005), 0.8))) * strength.noise
    read = float(np.exp(rng.normal(np.log(0.002), 0.7))) * strength.noise
    deviation = np.maximum(image, 0)
    deviation *= np.float32(min(shot, 0.035) ** 2 * 8)
    deviation += np.float32(min(read, 0.012) ** 2)
    np.sqrt(deviation, out=deviation)
    deviation *= part
    deviation += image
    return deviation


_STEPS = 2048


def _tone(image: np.ndarray, rng, strength: Strength) -> np.ndarray:
    """Clip, bend and quantise: (H, W, 3) linear -> uint8."""
    t = np.linspace(0, 1, _STEPS) ** 2 * 4  # the table is dense in the dark; it covers light up to 4
    knee = rng.uniform(0.55, 0.95) if rng.random() < 0.75 else 1.0  # hard clipping now and then
    over = np.maximum(t - knee, 0)
    x = (
        np.where(t > knee, knee + (1 - knee) * (1 - np.exp(-over / max(1 - knee, 1e-3) * 0.8)), t)
        if knee < 1
        else np.minimum(t, 1)
    )
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    contrast = rng.normal(0.15, 0.25) * strength.colour
    y = np.clip(y, 0, 1)
    y = np.clip(y + contrast * y * (1 - y) * (2 * y - 1), 0, 1)
    black = rng.uniform(0, 0.05) * (rng.random() < 0.3) * strength.colour  # flare lifts the blacks
    y = black + (1 - black) * y ** float(np.exp(rng.normal(0, 0.08) * strength.colour))
    table = np.clip(np.round(y * 255), 0, 255).astype(np.uint8)
    code = np.clip(image, 0, 4)
    np.sqrt(code, out=code)
    code *= np.float32((_STEPS - 1) / 2)
    return np.take(table, code.astype(np.int16))


def _sharpen(photo: np.ndarray, rng, strength: Strength) -> np.ndarray:
    if rng.random() < 0.3 * strength.lens:
        amount = float(rng.uniform(0.2, 0.9))
        return cv2.addWeighted(photo, 1 + amount, cv2.GaussianBlur(photo, (0, 0), 1.0), -amount, 0)
    return photo


def _border(photo: np.ndarray, rng) -> None:
    """Black or white margins, as scanned and undistorted pictures have them."""
    height, width = photo.shape[:2]
    value = 0 if rng.random() < 0.8 else 255
    top, bottom = (int(rng.uniform(0, 0.045) * height) for _ in range(2))
    left, right = (int(rng.uniform(0, 0.045) * width) for _ in range(2))
    photo[:top] = value
    photo[height - bottom :] = value
    photo[:, :left] = value
    photo[:, width - right :] = value
