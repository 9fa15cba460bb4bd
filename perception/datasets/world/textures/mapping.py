"""From object-frame coordinates to texture coordinates: box mapping, pixel footprints.

Faces are numbered by their dominant axis: 0 +x, 1 -x, 2 +y, 3 -y, 4 +z, 5 -z. Seen from outside with z up, u runs to the right and
v downwards on all of them, so that text reads the right way round; top faces have u along x and v along -y.
"""

import numpy as np

# face -> (axis of u, sign of u, axis of v, sign of v)
_U_AXIS = np.array([1, 1, 0, 0, 0, 0], np.int8)
_U_SIGN = np.array([1, -1, -1, 1, 1, -1], np.float32)
_V_AXIS = np.array([2, 2, 2, 2, 1, 1], np.int8)
_V_SIGN = np.array([-1, -1, -1, -1, -1, -1], np.float32)


def dominant_face(normals: np.ndarray) -> np.ndarray:
    """Face number (uint8) of object-frame normals (N, 3). Ties go to x, then y, so that curved parts keep vertical mapping."""
    axis = np.argmax(np.abs(normals) * np.array([1.001, 1.0005, 1.0], np.float32), axis=1)
    negative = np.take_along_axis(normals, axis[:, None], 1)[:, 0] < 0
    return (2 * axis + negative).astype(np.uint8)


def triangle_faces(local: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Face number (T,) uint8 of each triangle, from the vertices' object-frame coordinates; for a mesh, once a scene."""
    a, b, c = (local[triangles[:, k]] for k in range(3))
    return dominant_face(np.cross(b - a, c - a))


def box_uv(local: np.ndarray, face: np.ndarray, scale_m: np.ndarray | float) -> np.ndarray:
    """Texture coordinates (N, 2) float32 in tiles, from object coordinates (N, 3), face numbers (N,) and metres a tile (N,)."""
    flat = np.ascontiguousarray(local, np.float32).reshape(-1)
    start = np.arange(len(local), dtype=np.int64) * 3
    uv = np.empty((len(local), 2), np.float32)
    uv[:, 0] = np.take(flat, start + np.take(_U_AXIS, face)) * np.take(_U_SIGN, face)
    uv[:, 1] = np.take(flat, start + np.take(_V_AXIS, face)) * np.take(_V_SIGN, face)
    uv /= np.asarray(scale_m, np.float32).reshape(-1, 1)
    return uv


def pixel_footprint(
    distance: np.ndarray, cosine: np.ndarray, pixel_angle: float, scale_m: np.ndarray | float
) -> np.ndarray:
    """Size of a pixel on the surface in tiles (N,): ray length [m], |cos| between ray and normal, radians a pixel, metres a tile.

    The geometric mean of the short and the long side of the pixel's trace: sharper on grazing floors than the long side alone.
    """
    return distance * np.float32(pixel_angle) / (np.sqrt(np.maximum(cosine, 0.05)) * np.asarray(scale_m, np.float32))
