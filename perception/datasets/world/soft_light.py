"""Ambient occlusion and lamp light, at half resolution for pictures.

Rays of a pattern of 3x3 pixels share 27 directions (three each); averaging 3x3 neighbours on the same surface then removes the
pattern exactly where the surface is flat. Values spread to full resolution only between pixels of one surface, recognised by a key
made of the triangle's orientation and instance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from perception.datasets.world.raycast import Hits, PosedScene

_RAYS = 3  # a pixel


def soft_light(posed: PosedScene, hits: Hits, shape: tuple[int, int] | None) -> np.ndarray:
    """(N, 4) float32 of N rays: share of open sky in reach [0, 1], then lamp light (R, G, B); 1 and 0 where the ray met nothing."""
    if shape is None or min(shape) < 6:
        return _trace(posed, hits, np.arange(len(hits)), np.arange(len(hits), dtype=np.int32) % 9)
    height, width = shape
    index = np.arange(height * width).reshape(height, width)
    low = index[::2, ::2]
    rows, columns = np.meshgrid(np.arange(low.shape[0]) % 3, np.arange(low.shape[1]) % 3, indexing="ij")
    values = _trace(posed, hits, low.ravel(), (3 * rows + columns).ravel()).reshape(*low.shape, 4)
    keys = np.take(surface_keys(posed), hits.triangle, mode="wrap").reshape(height, width)
    lamps = len(posed.lighting.lamps) > 0
    if not lamps:
        values = values[..., :1]
    small = keys[::2, ::2]
    values = _blur(values, small)
    full = _spread(values, small, keys).reshape(-1, values.shape[-1])
    if lamps:
        return full
    return np.concatenate([full, np.zeros((len(full), 3), np.float32)], 1)


def surface_keys(posed: PosedScene) -> np.ndarray:
    """(T+1,) int32: equal for triangles of one instance that face about the same way."""
    keys = posed.__dict__.get("_keys")
    if keys is None:
        step = np.rint(posed.triangle_normals * 5).astype(np.int32) + 8
        keys = (step[:, 0] * 17 + step[:, 1]) * 17 + step[:, 2] + posed.instance * 4913
        posed.__dict__["_keys"] = keys
    return keys


def _shifted(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """`image` moved so that result[y, x] = image[y + dy, x + dx], edges repeated."""
    rows = np.clip(np.arange(image.shape[0]) + dy, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) + dx, 0, image.shape[1] - 1)
    return image[rows][:, columns]


def _blur(values: np.ndarray, keys: np.ndarray) -> np.ndarray:
    total, weight = values.copy(), np.ones(keys.shape, np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                same = (_shifted(keys, dy, dx) == keys).astype(np.float32)
                total += _shifted(values, dy, dx) * same[..., None]
                weight += same
    return total / weight[..., None]


def _spread(values: np.ndarray, small: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Half-resolution values (h, w, C) to the pixels of `keys` (H, W): the mean of the nearest samples on the same surface."""
    height, width = keys.shape
    result = np.empty((height, width, values.shape[-1]), np.float32)
    right, below = _shifted(values, 0, 1), _shifted(values, 1, 0)
    key_right, key_below = _shifted(small, 0, 1), _shifted(small, 1, 0)
    result[::2, ::2] = values

    def mix(pixel_keys, choices):
        h, w = pixel_keys.shape
        total = np.float32(1e-3) * choices[0][0][:h, :w]
        weight = np.full((h, w), 1e-3, np.float32)
        for value, key in choices:
            same = (key[:h, :w] == pixel_keys).astype(np.float32)
            total = total + value[:h, :w] * same[..., None]
            weight += same
        return total / weight[..., None]

    result[::2, 1::2] = mix(keys[::2, 1::2], [(values, small), (right, key_right)])
    result[1::2, ::2] = mix(keys[1::2, ::2], [(values, small), (below, key_below)])
    corner, key_corner = _shifted(right, 1, 0), _shifted(key_right, 1, 0)
    choices = [(values, small), (right, key_right), (below, key_below), (corner, key_corner)]
    result[1::2, 1::2] = mix(keys[1::2, 1::2], choices)
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
    normal = hits.normal[which]
    point = hits.points(which) + normal * np.float32(0.015)
    if light.occlusion_strength > 0:
        directions = _hemisphere()[pattern]  # (n, RAYS, 3)
        # Orthonormal basis about the normal without branches (Duff et al. 2017).
        sign = np.where(normal[:, 2] >= 0, np.float32(1), np.float32(-1))
        a = -1 / (sign + normal[:, 2])
        b = normal[:, 0] * normal[:, 1] * a
        x_axis = np.stack([1 + sign * normal[:, 0] ** 2 * a, sign * b, -sign * normal[:, 0]], 1)
        y_axis = np.stack([b, sign + normal[:, 1] ** 2 * a, -normal[:, 1]], 1)
        world = directions[..., :1] * x_axis[:, None] + directions[..., 1:2] * y_axis[:, None]
        world += directions[..., 2:] * normal[:, None]
        blocked = posed.occluded(np.repeat(point, _RAYS, 0), world.reshape(-1, 3), light.occlusion_reach)
        result[met, 0] = 1 - blocked.reshape(-1, _RAYS).mean(1, dtype=np.float32)
    if len(light.lamps):
        result[met, 1:] = _lamps(posed, point, normal, pattern)
    return result


def _lamps(posed: PosedScene, point: np.ndarray, normal: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """(n, 3) light of the lamps, each with a shadow ray where it matters."""
    lamps = posed.lighting.lamps
    result = np.zeros((len(point), 3), np.float32)
    scatter = _hemisphere()[:, 0] * 2 - np.float32([0, 0, 1])  # soft shadows: the lamp is about as large as its radius
    for k in range(len(lamps)):
        strongest = float(lamps.colour[k].max())
        reach = np.sqrt(strongest / 0.004)
        to = lamps.position[k] - point
        square = np.einsum("ij,ij->i", to, to)
        near = np.flatnonzero(square < reach * reach)
        if not len(near):
            continue
        to, square = to[near], np.maximum(square[near], np.float32(0.01))
        length = np.sqrt(square)
        cosine = np.einsum("ij,ij->i", to, normal[near]) / length
        gain = np.maximum(cosine, 0) / square
        gain *= np.clip(1 - (square / np.float32(reach * reach)) ** 2, 0, 1)
        if lamps.cone[k] > -0.999:
            along = -(to @ lamps.direction[k]) / length
            gain *= np.clip((along - lamps.cone[k]) / lamps.soft[k], 0, 1)
        useful = np.flatnonzero(gain * strongest > 0.003)
        if not len(useful):
            continue
        near, to, length, gain = near[useful], to[useful], length[useful], gain[useful]
        to = to + scatter[pattern[near]] * np.float32(lamps.radius[k])
        # The lamp's own housing must not shade it: stop short of it.
        to *= np.maximum(1 - np.float32(lamps.clearance[k]) / length, np.float32(0.05))[:, None]
        gain *= ~posed.blocked_between(point[near], to)
        result[near] += gain[:, None] * lamps.colour[k]
    return result
