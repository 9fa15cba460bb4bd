"""Cube maps: six square pictures of 90 degrees, their seams closed by cube padding.

    one unfolded cube, faces in the order of the tensors                   a face's axes: u right, v down, d outwards

              +-------+                 0 back    d = -z, u = -x, v = +y
              |   5   |  top            1 down    d = +y, u = +x, v = -z
      +-------+-------+-------+-------+ 2 front   d = +z, u = +x, v = +y
      | 3 left|2 front|4 right| 0 back| 3 left    d = -x, u = +z, v = +y
      +-------+-------+-------+-------+ 4 right   d = +x, u = -z, v = +y
              |   1   |  down           5 top     d = -y, u = +x, v = +z
              +-------+

Camera axes x right, y down, z forward. Faces: (B, 6, C, h, h), pixel centres at + 0.5. The order is that of BiFuse (Wang et al., CVPR 2020), whose cube
padding this is: a convolution that reads a strip of the neighbouring face where it would read zeros sees no border.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.geometry import sphere
from perception.ops.constants import cached_constants, is_tracing

FACES = ("back", "down", "front", "left", "right", "top")
# face -> columns (u, v, d) in panorama axes
_AXES = {
    "back": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "down": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "front": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "left": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "right": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "top": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
}
# face -> for its upper, lower, left and right side: the neighbour, which of the neighbour's sides, and how its strip is turned ("t" transposed, then
# "y" rows and "x" columns reversed)
_NEIGHBOURS = {
    "back": (("top", "up", "yx"), ("down", "down", "yx"), ("right", "right", ""), ("left", "left", "")),
    "down": (("front", "down", ""), ("back", "down", "yx"), ("left", "down", "yt"), ("right", "down", "xt")),
    "front": (("top", "down", ""), ("down", "up", ""), ("left", "right", ""), ("right", "left", "")),
    "left": (("top", "left", "yt"), ("down", "left", "xt"), ("back", "right", ""), ("front", "left", "")),
    "right": (("top", "right", "xt"), ("down", "right", "yt"), ("front", "right", ""), ("back", "left", "")),
    "top": (("back", "up", "yx"), ("front", "up", ""), ("left", "up", "xt"), ("right", "up", "yt")),
}


def face_rotations() -> np.ndarray:
    """(6, 3, 3) float64 ``panorama_from_face``: columns are a face's right, down and outward axes."""
    return np.array([np.array(_AXES[name], np.float64).T for name in FACES])


def face_rays(size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """(6, h, h, 3) unit directions of the faces' pixels. Shared and cached: do not write into it."""
    return _face_rays(size, torch.device(device), dtype)


def equirectangular_to_cube(panorama: Tensor, size: int, mode: str = "bilinear") -> Tensor:
    """(B, C, H, W) -> (B, 6, C, size, size)."""
    rays = face_rays(size, panorama.device, sphere.at_least_float32(panorama.dtype)).reshape(6 * size, size, 3)
    cut = sphere.sample_sphere(panorama, rays, mode)
    return cut.view(*cut.shape[:2], 6, size, size).transpose(1, 2)


def cube_to_equirectangular(faces: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 6, C, h, h) -> (B, C, H, W), bilinear across the edges of the cube. size: (H, W)."""
    rays = sphere.equirectangular_directions(*size, faces.device, sphere.at_least_float32(faces.dtype))
    return sample_cube(faces, rays)


def sample_cube(faces: Tensor, rays: Tensor) -> Tensor:
    """Look a cube map up along directions; no direction ever misses.

    faces: (B, 6, C, h, h). rays: (H, W, 3), or (B, H, W, 3), of any length. Returns (B, C, H, W) in the dtype of `faces`; differentiable in both.
    """
    batch, _, channels, side, _ = faces.shape
    padded = pad_cube(faces, 1)  # (B, 6, C, h + 2, h + 2)
    wide = side + 2
    flat = padded.transpose(1, 2).reshape(batch, channels, -1)
    local_u, local_v, face = cube_position(rays.to(sphere.at_least_float32(rays.dtype)))
    # Continuous coordinates in the padded face, whose pixel centres are at integers here.
    u = ((local_u + 1) / 2 * side + 0.5).clamp(0, wide - 1)
    v = ((local_v + 1) / 2 * side + 0.5).clamp(0, wide - 1)
    u0, v0 = u.detach().floor().clamp(max=wide - 2), v.detach().floor().clamp(max=wide - 2)
    fu, fv = u - u0, v - v0
    corner = (face * wide + v0.long()) * wide + u0.long()
    shape = corner.shape if corner.ndim == 3 else (batch, *corner.shape)
    corner = corner.expand(shape).reshape(batch, 1, -1)
    out = 0
    for step, weight in (
        (0, (1 - fu) * (1 - fv)),
        (1, fu * (1 - fv)),
        (wide, (1 - fu) * fv),
        (wide + 1, fu * fv),
    ):
        value = flat.gather(2, (corner + step).expand(-1, channels, -1))
        out = out + value * weight.expand(shape).reshape(batch, 1, -1)
    return out.view(batch, channels, *shape[1:]).to(faces.dtype)


def cube_position(rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., 3) directions -> u, v in -1..1 on the face they meet, and the face's number (int64), (...) each."""
    x, y, z = rays.unbind(-1)
    ax, ay, az = x.abs(), y.abs(), z.abs()
    vertical = (ay >= ax) & (ay >= az)
    sideways = ~vertical & (ax > az)
    face = torch.where(
        vertical, torch.where(y > 0, 1, 5), torch.where(sideways, torch.where(x > 0, 4, 3), torch.where(z > 0, 2, 0))
    )
    depth = torch.where(vertical, ay, torch.where(sideways, ax, az)).clamp(min=1e-12)
    u = torch.where(vertical, x, torch.where(sideways, torch.where(x > 0, -z, z), torch.where(z > 0, x, -x)))
    v = torch.where(vertical, torch.where(y > 0, -z, z), y)
    return u / depth, v / depth, face


def pad_cube(faces: Tensor, pad: int, corners: bool = True) -> Tensor:
    """Cube padding: (B, 6, C, h, h) -> (B, 6, C, h + 2 pad, h + 2 pad) with strips of the neighbouring faces.

    corners: repeat the nearest padded column in the four corners, which belong to no face; False leaves them 0. Raises `InputError` for other shapes
    and for pads beyond a face.
    """
    if faces.ndim != 5 or faces.shape[1] != 6 or faces.shape[-1] != faces.shape[-2]:
        raise InputError(f"a cube map has shape (B, 6, C, h, h); found {tuple(faces.shape)}")
    side = faces.shape[-1]
    if not 0 <= pad <= side:
        raise InputError(f"cube padding reaches at most one face of {side} pixels far; found {pad}")
    if pad == 0:
        return faces
    index, inside = _padding_table(side, pad, faces.device)
    if faces.requires_grad and not is_tracing():
        return _pad_by_strips(faces, pad, corners)
    batch, _, channels = faces.shape[:3]
    flat = faces.transpose(1, 2).reshape(batch, channels, 6 * side * side)
    wide = side + 2 * pad
    out = flat[..., index].view(batch, channels, 6, wide, wide)
    if not corners:
        out = out * inside.to(out.dtype)
    return out.transpose(1, 2)


def _pad_by_strips(faces: Tensor, pad: int, corners: bool) -> Tensor:
    """`pad_cube` for training: the gradient of a gather of everything costs more than a convolution, that of the strips alone does not."""
    side = faces.shape[-1]
    to_face, to_pixel, from_face, from_pixel = _strip_table(side, pad, corners, faces.device)
    strips = faces.flatten(3)[:, from_face, :, from_pixel]  # (K, B, C)
    padded = F.pad(faces, (pad, pad, pad, pad)).flatten(3)
    padded[:, to_face, :, to_pixel] = strips
    return padded.unflatten(3, (side + 2 * pad, side + 2 * pad))


@cached_constants(maxsize=32)
def _strip_table(side: int, pad: int, corners: bool, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each of the K padded pixels: its face, its number there, and the face and number of the pixel that it copies."""
    index, inside = _padding_table(side, pad, torch.device("cpu"))
    wide = side + 2 * pad
    border = torch.ones(wide, wide, dtype=torch.bool) if corners else inside.clone()
    border[pad : pad + side, pad : pad + side] = False
    to_face, to_pixel = border.flatten().repeat(6, 1).nonzero(as_tuple=True)
    source = index.view(6, -1)[to_face, to_pixel]
    table = (to_face, to_pixel, source // side**2, source % side**2)
    return tuple(column.to(device) for column in table)


@cached_constants(maxsize=32)
def _padding_table(side: int, pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(6 (h + 2 pad)^2,) number of the pixel that each padded pixel copies, and (h + 2 pad, h + 2 pad) bool outside the corners."""
    numbers = np.arange(6 * side * side).reshape(6, side, side)
    wide = side + 2 * pad
    table = np.zeros((6, wide, wide), np.int64)
    inner = slice(pad, pad + side)
    places = {
        "up": (slice(0, pad), inner),
        "down": (slice(pad + side, None), inner),
        "left": (inner, slice(0, pad)),
        "right": (inner, slice(pad + side, None)),
    }
    strips = {
        "up": (slice(0, pad), slice(None)),
        "down": (slice(side - pad, None), slice(None)),
        "left": (slice(None), slice(0, pad)),
        "right": (slice(None), slice(side - pad, None)),
    }
    for face, name in enumerate(FACES):
        table[face][inner, inner] = numbers[face]
        for place, (neighbour, edge, turn) in zip(places, _NEIGHBOURS[name], strict=True):
            strip = numbers[FACES.index(neighbour)][strips[edge]]
            strip = strip.T if "t" in turn else strip
            strip = strip[::-1] if "y" in turn else strip
            strip = strip[:, ::-1] if "x" in turn else strip
            table[face][places[place]] = strip
        for rows in (slice(0, pad), slice(pad + side, None)):
            table[face][rows, :pad] = table[face][rows, pad : pad + 1]
            table[face][rows, pad + side :] = table[face][rows, pad + side - 1 : pad + side]
    inside = np.zeros((wide, wide), bool)
    inside[inner] = inside[:, inner] = True
    return torch.from_numpy(table.reshape(-1)).to(device), torch.from_numpy(inside).to(device)


@cached_constants(maxsize=16)
def _face_rays(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    at = (torch.arange(size, dtype=torch.float64) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(at, at, indexing="ij")
    local = torch.stack([u, v, torch.ones_like(u)], -1)
    rays = torch.einsum("fij,hwj->fhwi", torch.from_numpy(face_rotations()), local)
    return (rays / rays.norm(dim=-1, keepdim=True)).to(device, dtype)
