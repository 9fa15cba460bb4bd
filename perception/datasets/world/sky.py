"""The sky: radiance by direction. Gradient from horizon to zenith, clouds from tileable noise, a sun disc with its glow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass
class Sky:
    """Linear radiances (white paper in full sun is about 1). Clouds lie on a plane; `cover` in [0, 1], `cloud_scale` per unit of
    the plane's tangent coordinates, `cloud_offset` shifts the noise. `texture` (S, S, 3) or None: a picture instead (wild)."""

    zenith: tuple[float, float, float] = (0.15, 0.3, 0.7)
    horizon: tuple[float, float, float] = (0.65, 0.75, 0.9)
    ground: tuple[float, float, float] = (0.25, 0.23, 0.2)
    cloud_colour: tuple[float, float, float] = (0.95, 0.95, 0.97)
    cloud_shadow: tuple[float, float, float] = (0.5, 0.53, 0.6)
    cover: float = 0.4
    cloud_scale: float = 0.35
    cloud_offset: tuple[float, float] = (0.0, 0.0)
    cloud_kind: int = 0
    sun_direction: tuple[float, float, float] = (0.3, 0.4, 0.85)
    sun_colour: tuple[float, float, float] = (1.0, 0.95, 0.85)
    sun_disc: float = 1.0  # 0 hides disc and glow
    stars: float = 0.0
    texture: np.ndarray | None = None

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """directions (N, 3) float32 unit, world -> (N, 3) float32 linear radiance."""
        d = np.asarray(directions, np.float32)
        if self.texture is not None:
            return self._picture(d)
        up = d[:, 2]
        colour = _gradient(self.zenith, self.horizon, self.ground)[((up + 1) * 511.5).astype(np.int32)]
        if self.cover > 0.01:
            colour = self._clouds(d, up, colour)
        if self.sun_disc > 0:
            cosine = d @ np.float32(self.sun_direction)
            near = np.maximum(cosine, 0)
            near = near * near
            near = near * near
            glow = near**8 * 0.12 + near**64 * 0.5
            glow += (cosine > 0.9999) * np.float32(30)
            colour = colour + (glow * self.sun_disc * (up > -0.05))[:, None] * np.float32(self.sun_colour)
        return colour

    def _clouds(self, d, up, colour):
        noise = cloud_noise(self.cloud_kind)
        size = noise.shape[0]
        lift = 1 / np.maximum(up + np.float32(0.08), np.float32(0.03))
        x = d[:, 0] * lift * self.cloud_scale + self.cloud_offset[0]
        y = d[:, 1] * lift * self.cloud_scale + self.cloud_offset[1]
        column = ((x - np.floor(x)) * size).astype(np.int32) % size
        row = ((y - np.floor(y)) * size).astype(np.int32) % size
        value = noise[row, column]
        shifted = noise[(row + 9) % size, (column + 7) % size]  # denser towards the sun side: cheap shading
        low = 1 - self.cover
        amount = np.clip((value - low) / 0.25, 0, 1) * np.clip((up + 0.02) / 0.12, 0, 1)
        light = np.clip(0.55 + (value - shifted) * 2.2 - (value - low) * 0.35 * (self.cover > 0.3), 0, 1)[:, None]
        cloud = np.float32(self.cloud_shadow) + light * (np.float32(self.cloud_colour) - np.float32(self.cloud_shadow))
        return colour + amount[:, None] * (cloud - colour)

    def _picture(self, d):
        size = self.texture.shape[0]
        u = np.arctan2(d[:, 1], d[:, 0]) * np.float32(1 / np.pi)
        v = np.arcsin(np.clip(d[:, 2], -1, 1)) * np.float32(2 / np.pi)
        row = (v * self.cloud_scale * size * 2).astype(np.int32) % size
        column = (u * max(round(self.cloud_scale * 4), 1) * size / 2).astype(np.int32) % size
        tint = _gradient(self.zenith, self.horizon, self.ground)[((d[:, 2] + 1) * 511.5).astype(np.int32)]
        return self.texture[row, column] * 0.7 + tint * 0.3


@lru_cache(maxsize=64)
def _gradient(zenith, horizon, ground) -> np.ndarray:
    """(1024, 3) float32: radiance by sine of the elevation from -1 to 1."""
    up = np.linspace(-1, 1, 1024)[:, None]
    rise = np.clip(up, 0, 1) ** 0.55
    above = np.array(horizon) * (1 - rise) + np.array(zenith) * rise
    fall = np.clip(-up * 12, 0, 1)
    below = np.array(horizon) * (1 - fall) + np.array(ground) * fall
    return np.where(up >= 0, above, below).astype(np.float32)


@lru_cache(maxsize=8)
def cloud_noise(kind: int = 0, size: int = 512) -> np.ndarray:
    """(S, S) float32 tileable fractal noise in [0, 1], shaped in the Fourier domain; four kinds from billows to streaks."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7001, kind])))
    fy, fx = np.meshgrid(np.fft.fftfreq(size) * size, np.fft.rfftfreq(size) * size, indexing="ij")
    stretch = (1.0, 1.0, 3.0, 0.6)[kind % 4]
    power = (1.75, 1.45, 1.7, 2.1)[kind % 4]
    radius = np.sqrt(fx**2 + (fy * stretch) ** 2)
    radius[0, 0] = 1
    spectrum = rng.normal(size=fx.shape) + 1j * rng.normal(size=fx.shape)
    field = np.fft.irfft2(spectrum * radius**-power * (radius > 1.5), s=(size, size))
    order = np.sort(field, axis=None)
    # Histogram equalised: `cover` then is the covered share of the sky.
    ranks = np.searchsorted(order, field.ravel()).reshape(field.shape) / order.size
    result = ranks.astype(np.float32)
    result.flags.writeable = False
    return result
