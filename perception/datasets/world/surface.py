"""Surface detail at hits: texture coordinates, albedo, interpolated normals.

Per-triangle tables are made once a scene and shared by all its instants (`PosedScene.shared`): the texture coordinates of a hit
are one gather of six numbers and two multiply-adds.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.raycast import PosedScene

# Texture axes by the dominant axis and sign of the triangle's normal: +x, -x, +y, -y, +z, -z (the convention of `textures.mapping`).
_U_AXIS = np.array([1, 1, 0, 0, 0, 0])
_U_SIGN = np.array([1, -1, -1, 1, 1, -1], np.float32)
_V_AXIS = np.array([2, 2, 2, 2, 1, 1])


def texture_coordinates(posed: PosedScene) -> np.ndarray:
    """(T, 6) float32: u, v at the first corner, then the steps to the second and the third corner, in tiles."""
    table = posed.shared.get("uv")
    if table is None:
        mesh = posed.mesh
        corners = mesh.local[mesh.triangles]  # (T, 3, 3)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        axis = np.argmax(np.abs(normal) * np.float32([1.001, 1.0005, 1.0]), axis=1)
        face = 2 * axis + (np.take_along_axis(normal, axis[:, None], 1)[:, 0] < 0)
        tiles = 1 / posed.materials.arrays.scale_m[mesh.material]
        rows = np.arange(len(face))[:, None]
        u = corners[rows, [[0, 1, 2]], _U_AXIS[face][:, None]] * (_U_SIGN[face] * tiles)[:, None]
        v = corners[rows, [[0, 1, 2]], _V_AXIS[face][:, None]] * -tiles[:, None]
        table = np.empty((len(face), 6), np.float32)
        table[:, 0], table[:, 1] = u[:, 0], v[:, 0]
        table[:, 2], table[:, 3] = u[:, 1] - u[:, 0], v[:, 1] - v[:, 0]
        table[:, 4], table[:, 5] = u[:, 2] - u[:, 0], v[:, 2] - v[:, 0]
        posed.shared["uv"] = table
    return table


def _texture_numbers(posed: PosedScene, bank) -> np.ndarray:
    """(M,) int32: texture number of each material, -1 = plain."""
    numbers = posed.shared.get("textures")
    if numbers is None:
        names = posed.materials.arrays.texture
        numbers = np.array([bank.index(name) if name else -1 for name in names], np.int32)
        posed.shared["textures"] = numbers
    return numbers


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) inner products of vectors (3, N); either may be (3, 1)."""
    result = a[0] * b[0]
    result += a[1] * b[1]
    result += a[2] * b[2]
    return result


def column(values) -> np.ndarray:
    """(3, 1) float32 of three numbers."""
    return np.array(values, np.float32)[:, None]


def albedo_of(posed: PosedScene, triangle, barycentric, material, t, cosine, pixel_angle: float) -> np.ndarray:
    """(3, N) float32 albedo of N hits; barycentric (2, N), t ray length [m], cosine between ray and normal, pixel_angle radians."""
    from perception.datasets.world.textures import texture_bank
    from perception.datasets.world.textures.bank import colour_codes, decoding

    table = posed.materials.arrays
    bank = texture_bank()
    numbers = np.take(_texture_numbers(posed, bank), material)
    chosen = np.flatnonzero(numbers >= 0)
    albedo = np.empty((3, len(material)), np.float32)
    everything = len(chosen) == len(numbers)
    if not everything:
        for k in range(3):
            np.take(table.colour[:, k], material, out=albedo[k], mode="clip")
        if not len(chosen):
            return albedo
        triangle, material = np.take(triangle, chosen), np.take(material, chosen)
        barycentric = np.take(barycentric, chosen, axis=1)
        t, cosine, numbers = t[chosen], cosine[chosen], numbers[chosen]
    six = np.take(texture_coordinates(posed), triangle, axis=0)
    uv = np.empty((len(triangle), 2), np.float32)
    for k in range(2):
        uv[:, k] = six[:, k] + barycentric[0] * six[:, 2 + k] + barycentric[1] * six[:, 4 + k]
    footprint = (
        t * np.float32(pixel_angle) / (np.sqrt(np.maximum(cosine, np.float32(0.05))) * np.take(table.scale_m, material))
    )
    texel = colour_codes(bank, numbers, uv, footprint)  # (n, 4) uint8
    masked = np.flatnonzero(texel[:, 3])
    linear, share = decoding()
    if len(masked):
        mask, masked_material = np.take(share, texel[masked, 3]), material[masked]
    for k in range(3):
        first = np.take(table.colour[:, k], material)
        if len(masked):
            part = first[masked]
            part += mask * (np.take(table.tint2[:, k], masked_material) - part)
            first[masked] = part
        first *= np.take(linear, texel[:, k])
        if everything:
            albedo[k] = first
        else:
            albedo[k, chosen] = first
    return albedo


def smooth_normals(posed: PosedScene, triangle, barycentric, normal, view, material) -> np.ndarray:
    """`normal` (3, N), with interpolated vertex normals where the material is smooth; always facing the viewer. barycentric (2, N)."""
    wanted = np.flatnonzero(np.take(posed.materials.arrays.smooth, material))
    if not len(wanted):
        return normal
    corners = np.take(posed.mesh.triangles, triangle[wanted], axis=0)
    vertex = vertex_normals(posed)
    u, v = barycentric[0, wanted], barycentric[1, wanted]
    flat = np.take(normal, wanted, axis=1)
    mixed = np.zeros_like(flat)
    for k, weight in enumerate((1 - u - v, u, v)):
        corner = np.ascontiguousarray(np.take(vertex, corners[:, k], axis=0).T)
        agreement = dot(corner, flat)
        # Windings that disagree with the ray's side are flipped; sharp corners (boxes) keep the flat normal.
        corner *= np.sign(agreement)
        corner = np.where(np.abs(agreement) < 0.64, flat, corner)
        corner *= weight
        mixed += corner
    mixed += flat * np.float32(0.05)
    away = np.flatnonzero(dot(mixed, np.take(view, wanted, axis=1)) > 0)
    mixed[:, away] = flat[:, away]
    mixed /= np.maximum(np.sqrt(dot(mixed, mixed)), np.float32(1e-6))
    result = normal.copy()
    result[:, wanted] = mixed
    return result


def vertex_normals(posed: PosedScene) -> np.ndarray:
    """(V, 3) float32 mean of the adjoining triangles' normals weighted by area; 0 where nothing is smooth."""
    normals = posed.__dict__.get("_vertex_normals")
    if normals is None:
        first = posed.first_moving
        if "still_vertex_normals" not in posed.shared:
            posed.shared["still_vertex_normals"] = _vertex_normals(posed, slice(0, first))
        normals = posed.shared["still_vertex_normals"]
        if first < len(posed.mesh.triangles):
            moving = _vertex_normals(posed, slice(first, None))
            low = int(posed.mesh.triangles[first:].min())  # moving objects own all vertices from here on
            normals = np.concatenate([normals[:low], moving[low:]])
        posed.__dict__["_vertex_normals"] = normals
    return normals


def _vertex_normals(posed: PosedScene, part: slice) -> np.ndarray:
    mesh = posed.mesh
    chosen = np.flatnonzero(posed.materials.arrays.smooth[mesh.material[part]]) + (part.start or 0)
    triangles = mesh.triangles[chosen]
    a, b, c = (mesh.vertices[triangles[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)
    normals = np.zeros((len(mesh.vertices), 3), np.float32)
    flat = triangles.ravel()
    for k in range(3):
        weights = np.repeat(area[:, k], 3)
        normals[:, k] = np.bincount(flat, weights, minlength=len(normals))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals
