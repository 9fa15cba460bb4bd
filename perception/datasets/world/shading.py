"""Radiance of hits: texture, sun and lamps with cast shadows, ambient occlusion, reflections, haze, sky.

`shade` is the entry point. Rays of a picture should be passed with ``shape=(H, W)``: lamps and ambient occlusion are then
computed at half resolution and spread within surfaces, which cannot be seen and saves most of their cost. Sun shadows are always
traced for each ray. Everything is deterministic: sampling patterns are fixed tables.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from perception.datasets.world.lighting import Lighting
from perception.datasets.world.raycast import Hits, PosedScene
from perception.datasets.world.soft_light import soft_light
from perception.datasets.world.surface import albedo_of, smooth_normals

_OFFSET = np.float32(0.012)  # metres that secondary rays start off the surface
_PART = 16384  # rays that are shaded at a time


def shade(
    posed: PosedScene,
    hits: Hits,
    origins: np.ndarray,
    directions: np.ndarray,
    pixel_angle: float = 0.002,
    shape: tuple[int, int] | None = None,
    reflections: bool = True,
) -> np.ndarray:
    """Linear radiance (N, 3) float32 along N rays.

    hits: of the same rays. origins (3,) or (N, 3), directions (N, 3) float32 unit, world. pixel_angle: radians between
    neighbouring rays (1 / focal length in pixels), selects texture detail. shape: (H, W) when the rays are a picture in row-major
    order. reflections: trace mirror rays of shiny surfaces (else they reflect the sky's mean colours).
    """
    light = posed.lighting
    directions = np.asarray(directions, np.float32)
    radiance = np.empty((len(hits), 3), np.float32)
    valid = hits.valid
    soft = soft_light(posed, hits, shape) if valid.any() else None  # (N, 4) of all rays: occlusion, lamp colour
    met = 0
    # In parts that fit the processor's cache: NumPy then is about twice as fast as on whole pictures.
    for start in range(0, len(hits), _PART):
        part = slice(start, min(start + _PART, len(hits)))
        inside = valid[part]
        count = int(np.count_nonzero(inside))
        if count == len(inside):
            radiance[part] = _surfaces(posed, hits, part, soft[part], directions[part], pixel_angle, met, reflections)
        else:
            sky = np.flatnonzero(~inside) + start
            radiance[sky] = light.sky.radiance(directions[sky])
            if count:
                rows = np.flatnonzero(inside) + start
                colour = _surfaces(posed, hits, rows, soft[rows], directions[rows], pixel_angle, met, reflections)
                radiance[rows] = colour
        met += count
    return radiance


def _surfaces(posed, hits: Hits, rows, soft, view, pixel_angle: float, before: int, reflections: bool) -> np.ndarray:
    """Radiance (n, 3) of the rays `rows` (a slice or indices), all of which met something; `before`: how many such rays came before."""
    light, table = posed.lighting, posed.materials.arrays
    material, triangle, barycentric, t = hits.material[rows], hits.triangle[rows], hits.barycentric[rows], hits.t[rows]
    flat = hits.normal[rows]
    normal = smooth_normals(posed, triangle, barycentric, flat, view, material)
    cosine = -np.einsum("ij,ij->i", normal, view)
    albedo = albedo_of(posed, triangle, barycentric, material, t, cosine, pixel_angle)
    point = hits.points(rows) + flat * _OFFSET

    colour = ambient(light, normal)
    open_share = soft[:, 0]
    colour *= (1 - np.float32(light.occlusion_strength) * (1 - open_share))[:, None]
    if len(light.lamps):
        colour += soft[:, 1:]
    sun = sun_visible(posed, point, normal, light, before)
    if sun is not None:
        colour += sun[:, None] * np.float32(light.sun_colour)
    if table.emission.any():
        colour += np.take(table.emission, material)[:, None]
    colour *= albedo
    _add_mirror(colour, posed, light, table, material, point, normal, view, cosine, sun, open_share, reflections)
    if light.haze_density > 0:
        clear = np.exp(t * np.float32(-light.haze_density))[:, None]
        colour *= clear
        colour += (1 - clear) * np.float32(light.haze_colour)
    return colour


def ambient(light: Lighting, normal: np.ndarray) -> np.ndarray:
    """(N, 3) light from sky and ground on open surfaces with these normals."""
    up = normal[:, 2:]
    side, top, down = (np.float32(c) for c in (light.ambient_side, light.ambient_up, light.ambient_down))
    result = np.maximum(up, 0) * (top - side)
    result += np.maximum(-up, 0) * (down - side)
    result += side
    return result


def sun_visible(
    posed: PosedScene, point: np.ndarray, normal: np.ndarray, light: Lighting, before: int = 0
) -> np.ndarray | None:
    """(N,) float32: cosine to the sun where it is seen, 0 elsewhere; None without a sun. before: number of points in earlier calls."""
    if max(light.sun_colour) <= 0:
        return None
    sun = np.float32(light.sun_direction)
    cosine = np.maximum(normal @ sun, 0)
    facing = np.flatnonzero(cosine > 0.01)
    if len(facing):
        towards = sun + _jitter()[(facing + before) % len(_jitter())] * np.float32(light.sun_size)
        cosine[facing] *= ~posed.occluded(point[facing], towards)
    return cosine


@lru_cache(maxsize=1)
def _jitter() -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7002])))
    return rng.uniform(-1, 1, (8191, 3)).astype(np.float32)


def _add_mirror(
    colour, posed, light, table, material, point, normal, view, cosine, sun, open_share, reflections
) -> None:
    """Add highlights and mirror images in place, for the shiny part of the rays."""
    specular = np.take(table.specular, material)
    roughness = np.take(table.roughness, material)
    if light.wetness > 0:
        wet = table.wettable[material] * np.float32(light.wetness) * np.clip(normal[:, 2] * 2 - 1, 0, 1)
        wet *= puddles(point, light)
        colour *= (1 - np.float32(0.45) * np.minimum(wet * 2, 1))[:, None]
        specular = np.maximum(specular, wet)
        roughness = roughness * (1 - wet)
    shiny = np.flatnonzero(specular > 0.06)
    if not len(shiny):
        return
    n, d, facing = np.take(normal, shiny, 0), np.take(view, shiny, 0), np.clip(cosine[shiny], 0, 1)
    s, rough = specular[shiny], roughness[shiny]
    mirror = d + (2 * facing)[:, None] * n
    grazing = 1 - facing
    square = grazing * grazing
    fresnel = s * (np.float32(0.06) + np.float32(0.94) * square * square * grazing + np.float32(0.22) * s * s)
    fresnel *= 1 - np.float32(0.75) * rough
    # An average environment, then true mirror rays where they would be noticed.
    image = ambient(light, mirror) * (np.float32(0.35) + np.float32(0.65) * open_share[shiny])[:, None]
    traced = np.flatnonzero((fresnel > 0.05) & (rough < 0.45))
    if reflections and len(traced):
        image[traced] = _mirror_image(posed, light, table, point[shiny[traced]], mirror[traced])
    colour[shiny] += image * fresnel[:, None]
    if sun is not None:
        towards = mirror @ np.float32(light.sun_direction)
        near = np.flatnonzero((towards > 0.6) & (sun[shiny] > 0))
        power = 4 + 400 * (1 - rough[near]) ** 4
        glint = towards[near] ** power
        glint *= s[near] * np.minimum(sun[shiny[near]] * 4, 1) * (power * np.float32(0.03) + 0.3)
        colour[shiny[near]] += glint[:, None] * np.float32(light.sun_colour)


def _mirror_image(posed, light, table, origins, directions) -> np.ndarray:
    """(N, 3) radiance seen in a mirror: sky, or the hit's mean colour under unshadowed light."""
    length = np.sqrt(np.einsum("ij,ij->i", directions, directions))
    directions = directions / length[:, None]
    hits = posed.cast(origins, directions)
    image = light.sky.radiance(directions)
    met = np.flatnonzero(hits.valid)
    if len(met):
        material, normal = hits.material[met], hits.normal[met]
        lit = ambient(light, normal) * np.float32(0.8)
        if max(light.sun_colour) > 0:
            lit += np.maximum(normal @ np.float32(light.sun_direction), 0)[:, None] * (
                0.6 * np.float32(light.sun_colour)
            )
        lit += table.emission[material][:, None]
        image[met] = lit * table.colour[material]
    return np.minimum(image, np.float32(6))


def puddles(point: np.ndarray, light: Lighting) -> np.ndarray:
    """(N,) in [0.25, 1]: how wet the ground is here; patches from the cloud noise."""
    from perception.datasets.world.sky import cloud_noise

    noise = cloud_noise(3)
    size = len(noise)
    row = (point[:, 1] * np.float32(size / 23.0)).astype(np.int32) % size
    column = (point[:, 0] * np.float32(size / 41.0)).astype(np.int32) % size
    return np.clip((noise[row, column] - (1 - light.wetness)) * 4 + 0.5, 0.25, 1)


def develop(radiance: np.ndarray, exposure: float = 1.0) -> np.ndarray:
    """Linear radiance (..., 3) -> sRGB uint8 with a soft shoulder; a neutral camera for previews."""
    x = np.maximum(radiance * np.float32(exposure), 0)
    bright = x > 0.7
    x[bright] = 0.7 + 0.3 * (1 - np.exp(-(x[bright] - 0.7) / 0.3))
    return _srgb_table()[(np.minimum(x, 1) * 4095).astype(np.int32)]


@lru_cache(maxsize=1)
def _srgb_table() -> np.ndarray:
    x = np.linspace(0, 1, 4096)
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(np.uint8)
