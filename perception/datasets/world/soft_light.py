"""Ambient occlusion and lamp light, at half resolution for pictures.

Rays of a pattern of 3x3 pixels share 27 directions (three each); averaging 3x3 neighbours on the same surface then removes the
pattern exactly where the surface is flat. Values spread to full resolution only between pixels of one surface, recognised by a key
made of the triangle's orientation and instance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from perception.datasets.world.raycast import Hits, PosedScene
from perception.datasets.world.surface import dot

_RAYS = 3  # a pixel
_PART = 8192  # points that are lit at a time: fits the processor's cache


def soft_light(posed: PosedScene, hits: Hits, shape: tuple[int, int] | None) -> np.ndarray:
    """(N, 4) float32 of N rays: share of open sky in reach [0, 1], then lamp light (R, G, B); 1 and 0 where the ray met nothing."""
    if shape is None or min(shape) < 6:
        return _trace(posed, hits, np.arange(len(hits)), np.arange(len(hits), dtype=np.int32) % 9)
    height, width = shape
    index = np.arange(height * width).reshape(height, width)
    low = index[::2, ::2]
    rows, columns = np.meshgrid(np.arange(low.shape[0]) % 3, np.arange(low.shape[1]) % 3, indexing="ij")
    which, pattern = low.ravel(), (3 * rows + columns).ravel()
    lamps = len(posed.lighting.lamps) > 0
    values = np.empty((4 if lamps else 1, *low.shape), np.float32)
    flat = values.reshape(len(values), -1)
    for start in range(0, len(which), _PART):
        part = slice(start, start + _PART)
        flat[:, part] = _trace(posed, hits, which[part], pattern[part]).T[: len(values)]
    keys = np.take(surface_keys(posed), hits.triangle, mode="wrap").reshape(height, width)
    small = np.ascontiguousarray(keys[::2, ::2])
    full = _spread(_blur(values, small), small, keys).reshape(len(values), -1)
    result = np.zeros((height * width, 4), np.float32)
    for k in range(len(full)):
        result[:, k] = full[k]
    return result


def surface_keys(posed: PosedScene) -> np.ndarray:
    """(T+1,) int32: equal for triangles of one instance that face about the same way."""
    keys = posed.__dict__.get("_keys")
    if keys is None:
        step = np.rint(posed.triangle_normals * 5).astype(np.int32) + 8
        keys = (step[:, 0] * 17 + step[:, 1]) * 17 + step[:, 2] + posed.instance * 4913
        posed.__dict__["_keys"] = keys
    return keys


def _blur(values: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Mean of the 3x3 neighbours with the same key; values (C, h, w), keys (h, w)."""
    height, width = keys.shape
    total, weight = values.copy(), np.ones(keys.shape, np.float32)
    wide, wide_keys = _padded(values), _padded(keys)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            if dy != 1 or dx != 1:
                there = (..., slice(dy, dy + height), slice(dx, dx + width))
                same = (wide_keys[there] == keys).astype(np.float32)
                total += wide[there] * same
                weight += same
    return total / weight


def _padded(image: np.ndarray) -> np.ndarray:
    """`image` (..., h, w) with its edge repeated once on every side."""
    return np.pad(image, [(0, 0)] * (image.ndim - 2) + [(1, 1), (1, 1)], mode="edge")


def _spread(values: np.ndarray, small: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Half-resolution values (C, h, w) to the pixels of `keys` (H, W): the mean of the nearest samples on the same surface."""
    height, width = keys.shape
    rows, columns = small.shape
    result = np.empty((len(values), height, width), np.float32)
    wide, wide_keys = _padded(values), _padded(small)

    def at(dy: int, dx: int) -> tuple[np.ndarray, np.ndarray]:
        there = (..., slice(1 + dy, 1 + dy + rows), slice(1 + dx, 1 + dx + columns))
        return wide[there], wide_keys[there]

    def mix(pixel_keys, choices):
        h, w = pixel_keys.shape
        total = np.float32(1e-3) * choices[0][0][:, :h, :w]
        weight = np.full((h, w), 1e-3, np.float32)
        for value, key in choices:
            same = (key[:h, :w] == pixel_keys).astype(np.float32)
            total += value[:, :h, :w] * same
            weight += same
        return total / weight

    here, right, below, corner = at(0, 0), at(0, 1), at(1, 0), at(1, 1)
    result[:, ::2, ::2] = values
    result[:, ::2, 1::2] = mix(keys[::2, 1::2], [here, right])
    result[:, 1::2, ::2] = mix(keys[1::2, ::2], [here, below])
    result[:, 1::2, 1::2] = mix(keys[1::2, 1::2], [here, right, below, corner])
    return result


@lru_cache(maxsize=1)
def _hemisphere() -> np.ndarray:
    """(9, RAYS, 3) float32 cosine-weighted directions about +z: 27 points of a spiral, dealt so that each pixel gets a spread."""
    count = 9 * _RAYS
    i = np.arange(count)
    radius = np.sqrt((i + 0.5) / count)
    angle = i * 2.399963
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], 1)
    order = np.array([0, 5, 7, 3, 8, 1, 6, 2, 4])
    return points.reshape(_RAYS, 9, 3).transpose(1, 0, 2)[order].astype(np.float32)


def _trace(posed: PosedScene, hits: Hits, which: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    light = posed.lighting
    result = np.zeros((len(which), 4), np.float32)
    result[:, 0] = 1
    met = np.flatnonzero(hits.triangle[which] >= 0)
    if not len(met):
        return result
    which, pattern = which[met], pattern[met]
    normal = np.ascontiguousarray(hits.normal[which].T)  # (3, n), as everything below
    point = np.ascontiguousarray(hits.points(which).T)
    point += normal * np.float32(0.015)
    if light.occlusion_strength > 0:
        directions = np.take(_hemisphere(), pattern, axis=0)  # (n, RAYS, 3)
        # Orthonormal basis about the normal without branches (Duff et al. 2017).
        x, y, z = normal
        sign = np.where(z >= 0, np.float32(1), np.float32(-1))
        a = -1 / (sign + z)
        b = x * y * a
        x_axis = (1 + sign * x**2 * a, sign * b, -sign * x)
        y_axis = (b, sign + y**2 * a, -y)
        rays = np.empty((len(met), _RAYS, 6), np.float32)
        for r in range(_RAYS):
            along, across, up = np.ascontiguousarray(directions[:, r].T)
            for k in range(3):
                rays[:, r, k] = point[k]
                world = along * x_axis[k] + across * y_axis[k]
                world += up * normal[k]
                rays[:, r, 3 + k] = world
        blocked = posed.caster.any(rays.reshape(-1, 6), 1e-3, float(light.occlusion_reach))
        result[met, 0] = 1 - blocked.reshape(-1, _RAYS).mean(1, dtype=np.float32)
    if len(light.lamps):
        result[met, 1:] = _lamps(posed, point, normal, pattern).T
    return result


def _lamps(posed: PosedScene, point: np.ndarray, normal: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """(3, n) light of the lamps on points (3, n), each with a shadow ray where it matters."""
    lamps = posed.lighting.lamps
    result = np.zeros_like(point)
    scatter = (
        _hemisphere()[:, 0] * 2 - np.float32([0, 0, 1])
    ).T  # soft shadows: the lamp is about as large as its radius
    for k in range(len(lamps)):
        strongest = float(lamps.colour[k].max())
        reach = np.sqrt(strongest / 0.004)
        to = lamps.position[k][:, None] - point
        square = dot(to, to)
        near = np.flatnonzero(square < reach * reach)
        if not len(near):
            continue
        if len(near) == len(square):
            facing, square = normal, np.maximum(square, np.float32(0.01))
        else:
            to, facing = np.take(to, near, axis=1), np.take(normal, near, axis=1)
            square = np.maximum(square[near], np.float32(0.01))
        length = np.sqrt(square)
        cosine = dot(to, facing) / length
        gain = np.maximum(cosine, 0) / square
        gain *= np.clip(1 - (square / np.float32(reach * reach)) ** 2, 0, 1)
        if lamps.cone[k] > -0.999:
            along = -dot(to, lamps.direction[k][:, None]) / length
            gain *= np.clip((along - lamps.cone[k]) / lamps.soft[k], 0, 1)
        useful = np.flatnonzero(gain * strongest > 0.003)
        if not len(useful):
            continue
        near, to, length, gain = near[useful], np.take(to, useful, axis=1), length[useful], gain[useful]
        to += np.take(scatter, pattern[near], axis=1) * np.float32(lamps.radius[k])
        # The lamp's own housing must not shade it: stop short of it.
        to *= np.maximum(1 - np.float32(lamps.clearance[k]) / length, np.float32(0.05))
        gain *= ~posed.blocked_between(np.take(point, near, axis=1).T, to.T)
        for channel in range(3):
            result[channel, near] += gain * lamps.colour[k, channel]
    return result
