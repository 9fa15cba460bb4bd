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
from perception.datasets.world.surface import albedo_of, column, dot, smooth_normals

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
    """Radiance (n, 3) of the rays `rows` (a slice or indices), all of which met something; `before`: how many such rays came before.

    Inside, vectors and colours are (3, n): NumPy's loops then run along the rays, which is several times as fast as along three numbers.
    """
    light, table = posed.lighting, posed.materials.arrays
    material, triangle, t = hits.material[rows], hits.triangle[rows], hits.t[rows]
    barycentric = np.ascontiguousarray(hits.barycentric[rows].T)
    flat, view = np.ascontiguousarray(hits.normal[rows].T), np.ascontiguousarray(view.T)
    normal = smooth_normals(posed, triangle, barycentric, flat, view, material)
    cosine = -dot(normal, view)
    albedo = albedo_of(posed, triangle, barycentric, material, t, cosine, pixel_angle)
    point = view * t
    point += hits.origins[:, None] if hits.origins.ndim == 1 else hits.origins[rows].T
    point += flat * _OFFSET

    colour = ambient(light, normal)
    open_share = soft[:, 0]
    colour *= 1 - np.float32(light.occlusion_strength) * (1 - open_share)
    if len(light.lamps):
        colour += soft[:, 1:].T
    sun = sun_visible(posed, point, normal, light, before)
    if sun is not None:
        colour += sun * column(light.sun_colour)
    if table.emission.any():
        colour += np.take(table.emission, material)
    colour *= albedo
    _add_mirror(colour, posed, light, table, material, point, normal, view, cosine, sun, open_share, reflections)
    if light.haze_density > 0:
        clear = np.exp(t * np.float32(-light.haze_density))
        colour *= clear
        colour += (1 - clear) * column(light.haze_colour)
    return colour.T


def ambient(light: Lighting, normal: np.ndarray) -> np.ndarray:
    """(3, N) light from sky and ground on open surfaces with these normals (3, N)."""
    up = normal[2]
    side, top, down = (column(c) for c in (light.ambient_side, light.ambient_up, light.ambient_down))
    result = np.maximum(up, 0) * (top - side)
    result += np.maximum(-up, 0) * (down - side)
    result += side
    return result


def sun_visible(
    posed: PosedScene, point: np.ndarray, normal: np.ndarray, light: Lighting, before: int = 0
) -> np.ndarray | None:
    """(N,) float32: cosine to the sun where it is seen, 0 elsewhere; None without a sun. point, normal (3, N).

    before: number of points in earlier calls, so that the scatter of soft shadows does not depend on how a picture is cut.
    """
    if max(light.sun_colour) <= 0:
        return None
    sun = column(light.sun_direction)
    cosine = np.maximum(dot(normal, sun), 0)
    facing = np.flatnonzero(cosine > 0.01)
    if len(facing):
        scatter = _jitter()
        towards = sun + np.take(scatter, (facing + before) % scatter.shape[1], axis=1) * np.float32(light.sun_size)
        cosine[facing] *= ~posed.occluded(np.take(point, facing, axis=1).T, towards.T)
    return cosine


@lru_cache(maxsize=1)
def _jitter() -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7002])))
    return np.ascontiguousarray(rng.uniform(-1, 1, (8191, 3)).astype(np.float32).T)


def _add_mirror(
    colour, posed, light, table, material, point, normal, view, cosine, sun, open_share, reflections
) -> None:
    """Add highlights and mirror images in place, for the shiny part of the rays. colour, point, normal, view (3, N), the others (N,)."""
    specular = np.take(table.specular, material)
    roughness = np.take(table.roughness, material)
    if light.wetness > 0:
        wet = table.wettable[material] * np.float32(light.wetness) * np.clip(normal[2] * 2 - 1, 0, 1)
        wet *= puddles(point, light)
        colour *= 1 - np.float32(0.45) * np.minimum(wet * 2, 1)
        specular = np.maximum(specular, wet)
        roughness = roughness * (1 - wet)
    shiny = np.flatnonzero(specular > 0.06)
    if not len(shiny):
        return
    n, d, facing = np.take(normal, shiny, 1), np.take(view, shiny, 1), np.clip(cosine[shiny], 0, 1)
    s, rough = specular[shiny], roughness[shiny]
    mirror = d + (2 * facing) * n
    grazing = 1 - facing
    square = grazing * grazing
    fresnel = s * (np.float32(0.06) + np.float32(0.94) * square * square * grazing + np.float32(0.22) * s * s)
    fresnel *= 1 - np.float32(0.75) * rough
    # An average environment, then true mirror rays where they would be noticed.
    image = ambient(light, mirror) * (np.float32(0.35) + np.float32(0.65) * open_share[shiny])
    traced = np.flatnonzero((fresnel > 0.05) & (rough < 0.45))
    if reflections and len(traced):
        image[:, traced] = _mirror_image(posed, light, table, point[:, shiny[traced]], mirror[:, traced])
    image *= fresnel
    if sun is not None:
        towards = dot(mirror, column(light.sun_direction))
        near = np.flatnonzero((towards > 0.6) & (sun[shiny] > 0))
        power = 4 + 400 * (1 - rough[near]) ** 4
        glint = towards[near] ** power
        glint *= s[near] * np.minimum(sun[shiny[near]] * 4, 1) * (power * np.float32(0.03) + 0.3)
    for k in range(3):
        colour[k, shiny] += image[k]
        if sun is not None:
            colour[k, shiny[near]] += glint * np.float32(light.sun_colour[k])


def _mirror_image(posed, light, table, origins, directions) -> np.ndarray:
    """(3, N) radiance seen in a mirror: sky, or the hit's mean colour under unshadowed light. origins, directions (3, N)."""
    directions = directions / np.sqrt(dot(directions, directions))
    rows = np.ascontiguousarray(directions.T)
    hits = posed.cast(origins.T, rows)
    image = light.sky.radiance(rows).T
    met = np.flatnonzero(hits.valid)
    if len(met):
        material, normal = hits.material[met], np.ascontiguousarray(hits.normal[met].T)
        lit = ambient(light, normal)
        lit *= np.float32(0.8)
        if max(light.sun_colour) > 0:
            lit += np.maximum(dot(normal, column(light.sun_direction)), 0) * (
                np.float32(0.6) * column(light.sun_colour)
            )
        lit += table.emission[material]
        lit *= np.take(table.colour, material, axis=0).T
        image[:, met] = lit
    return np.minimum(image, np.float32(6))


def puddles(point: np.ndarray, light: Lighting) -> np.ndarray:
    """(N,) in [0.25, 1]: how wet the ground is at these points (3, N); patches from the cloud noise."""
    from perception.datasets.world.sky import cloud_noise

    noise = cloud_noise(3)
    size = len(noise)
    row = (point[1] * np.float32(size / 23.0)).astype(np.int32) % size
    place = (point[0] * np.float32(size / 41.0)).astype(np.int32) % size
    return np.clip((noise[row, place] - (1 - light.wetness)) * 4 + 0.5, 0.25, 1)


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
