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


def albedo_of(posed: PosedScene, triangle, barycentric, material, t, cosine, pixel_angle: float) -> np.ndarray:
    """(N, 3) float32 albedo of N hits; t ray length [m], cosine between ray and normal, pixel_angle radians."""
    from perception.datasets.world.textures import sample, texture_bank

    table = posed.materials.arrays
    bank = texture_bank()
    albedo = np.take(table.colour, material, axis=0)
    numbers = np.take(_texture_numbers(posed, bank), material)
    chosen = np.flatnonzero(numbers >= 0)
    if not len(chosen):
        return albedo
    everything = len(chosen) == len(numbers)
    if not everything:
        triangle, material = np.take(triangle, chosen), np.take(material, chosen)
        barycentric = np.take(barycentric, chosen, axis=0)
        t, cosine, numbers = t[chosen], cosine[chosen], numbers[chosen]
    six = np.take(texture_coordinates(posed), triangle, axis=0)
    uv = six[:, 0:2] + barycentric[:, :1] * six[:, 2:4]
    uv += barycentric[:, 1:] * six[:, 4:6]
    footprint = (
        t * np.float32(pixel_angle) / (np.sqrt(np.maximum(cosine, np.float32(0.05))) * np.take(table.scale_m, material))
    )
    texel = sample(bank, numbers, uv, footprint)
    first = np.take(table.colour, material, axis=0)
    masked = np.flatnonzero(texel[:, 3] > 0)
    if len(masked):
        part = np.take(first, masked, axis=0)
        part += texel[masked, 3:] * (np.take(table.tint2, material[masked], axis=0) - part)
        first[masked] = part
    first *= texel[:, :3]
    if everything:
        return first
    albedo[chosen] = first
    return albedo


def smooth_normals(posed: PosedScene, triangle, barycentric, normal, view, material) -> np.ndarray:
    """`normal` (N, 3), with interpolated vertex normals where the material is smooth; always facing the viewer."""
    wanted = np.flatnonzero(posed.materials.arrays.smooth[material])
    if not len(wanted):
        return normal
    corners = posed.mesh.triangles[triangle[wanted]]
    vertex = vertex_normals(posed)
    u, v = barycentric[wanted, :1], barycentric[wanted, 1:]
    flat = normal[wanted]
    mixed = np.zeros_like(flat)
    for k, weight in enumerate((1 - u - v, u, v)):
        corner = vertex[corners[:, k]]
        agreement = np.einsum("ij,ij->i", corner, flat)
        # Windings that disagree with the ray's side are flipped; sharp corners (boxes) keep the flat normal.
        corner = corner * np.sign(agreement)[:, None]
        corner = np.where((np.abs(agreement) < 0.64)[:, None], flat, corner)
        mixed += weight * corner
    mixed += flat * np.float32(0.05)
    away = np.einsum("ij,ij->i", mixed, view[wanted]) > 0
    mixed[away] = flat[away]
    mixed /= np.maximum(np.sqrt(np.einsum("ij,ij->i", mixed, mixed)), np.float32(1e-6))[:, None]
    result = normal.copy()
    result[wanted] = mixed
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
