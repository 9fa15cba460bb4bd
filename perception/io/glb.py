"""GLB (binary glTF 2.0) out: point clouds and meshes with vertex colours or a texture, for every 3D viewer and browser.

Our camera frame has y down and z forward; glTF has y up and looks along -z. The writer turns points by diag(1, -1, -1), so a scene stands upright and
is seen from where the camera stood. Materials are unlit: the colours are those of the photo, without a lamp.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import transforms
from perception.io.atomic import atomic_write

_FLIP = np.array([1, -1, -1], np.float32)
_POINTS, _TRIANGLES = 0, 4
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_CLAMP, _REPEAT = 33071, 10497
_LARGEST_TEXTURE = 4096  # pixels on its longer side: more than that some graphics cards refuse


def _linear_colours(colors: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 sRGB -> (N, 4) uint16 linear with full alpha: glTF's vertex colours are linear, 8 bits would band the shadows."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    table = np.rint(linear * 65535).astype("<u2")
    out = np.full((len(colors), 4), 65535, "<u2")
    out[:, :3] = table[colors]
    return out


class _Buffer:
    """The binary part and the glTF records that point into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, raw: bytes, target: int | None = None) -> int:
        self.data.extend(b"\0" * (-len(self.data) % 4))
        record: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)}
        if target is not None:
            record["target"] = target
        self.data.extend(raw)
        self.views.append(record)
        return len(self.views) - 1

    def accessor(self, values: np.ndarray, component: int, kind: str, target: int, **extra: Any) -> int:
        record = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        self.accessors.append({**record, **extra})
        return len(self.accessors) - 1


def write_glb(
    path: str | Path,
    points: np.ndarray,
    *,
    colors: np.ndarray | None = None,
    faces: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    uv: np.ndarray | None = None,
    texture: np.ndarray | None = None,
    flip: bool = True,
    double_sided: bool = True,
) -> Path:
    """Write (N, 3) points (camera frame, metres) as a cloud, or as a mesh with (M, 3) triangles, atomically.

    colors: (N, 3) uint8 RGB. normals: (N, 3). uv: (N, 2) in 0..1, (0, 0) at the texture's upper left corner, u beyond 1 on from its left border, with texture (H, W, 3) uint8.
    flip: turn from our camera frame into glTF's. double_sided: draw triangles from behind too; without, one looks through a room's nearer walls from outside. Raises `InputError` for NaN, wrong shapes, or triangles that point outside.
    """
    path = Path(path)
    points = np.asarray(points, np.float32)
    count = len(points)
    _check_vertices(path.name, points, colors, {"normals": (normals, 3), "uv": (uv, 2)})
    if faces is not None and len(faces):
        faces = np.asarray(faces)
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.min() < 0 or faces.max() >= count:
            raise InputError(
                f"{path.name}: triangles must have shape (M, 3) and point at the {count} vertices; found {faces.shape}"
            )
    buffer = _Buffer()
    document: dict[str, Any] = {"asset": {"version": "2.0", "generator": "perception3d"}, "scene": 0}
    if count == 0:  # glTF allows no empty accessors: an empty scene is an empty node
        document |= {"scenes": [{"nodes": [0]}], "nodes": [{"name": "empty"}]}
        return _write(path, document, buffer)
    primitive = {
        "attributes": _attributes(buffer, points, colors, normals, uv, _FLIP if flip else np.ones(3, np.float32)),
        "mode": _POINTS,
        "material": 0,
    }
    material: dict[str, Any] = {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "doubleSided": double_sided,
        "extensions": {"KHR_materials_unlit": {}},
    }
    if uv is not None and texture is not None:
        document |= _texture(buffer, texture, bool(np.max(uv[:, 0]) > 1))
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    if faces is not None and len(faces):
        index = np.ascontiguousarray(faces.reshape(-1), "<u4")
        primitive |= {"mode": _TRIANGLES, "indices": buffer.accessor(index, _UINT32, "SCALAR", _INDICES)}
    document |= {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "extensionsUsed": ["KHR_materials_unlit"],
        "accessors": buffer.accessors,
    }
    return _write(path, document, buffer)


def _check_vertices(
    name: str, points: np.ndarray, colors: np.ndarray | None, others: Mapping[str, tuple[np.ndarray | None, int]]
) -> None:
    """Raise `InputError` for values that do not belong to (N, 3) finite points. others: values and their columns by name."""
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"{name}: points must be finite and of shape (N, 3); found {points.shape}")
    for what, (value, width) in {"colors": (colors, 3), **others}.items():
        if value is not None and np.shape(value) != (len(points), width):
            raise InputError(f"{name}: {what} must have shape ({len(points)}, {width}); found {np.shape(value)}")
    if colors is not None and np.asarray(colors).dtype != np.uint8:
        raise InputError(f"{name}: colours must be uint8 RGB; found {np.asarray(colors).dtype}")


def _attributes(
    buffer: _Buffer,
    points: np.ndarray,
    colors: np.ndarray | None,
    normals: np.ndarray | None,
    uv: np.ndarray | None,
    sign: np.ndarray,
) -> dict[str, int]:
    """Accessors of what each vertex has; `sign` (3,) turns the axes."""
    placed = np.ascontiguousarray(points * sign + np.float32(0), "<f4")
    limits = {"min": placed.min(0).tolist(), "max": placed.max(0).tolist()}
    found = {"POSITION": buffer.accessor(placed, _FLOAT, "VEC3", _VERTICES, **limits)}
    if normals is not None:
        turned = np.ascontiguousarray(np.asarray(normals) * sign, "<f4")
        found["NORMAL"] = buffer.accessor(turned, _FLOAT, "VEC3", _VERTICES)
    if colors is not None:
        linear = _linear_colours(np.asarray(colors))
        found["COLOR_0"] = buffer.accessor(linear, _UINT16, "VEC4", _VERTICES, normalized=True)
    if uv is not None:
        found["TEXCOORD_0"] = buffer.accessor(np.ascontiguousarray(uv, "<f4"), _FLOAT, "VEC2", _VERTICES)
    return found


def _texture(buffer: _Buffer, texture: np.ndarray, goes_round: bool) -> dict[str, Any]:
    """A document's entries for one picture; `goes_round`: its left border follows its right one."""
    sampler = {"magFilter": 9729, "minFilter": 9987, "wrapS": _REPEAT if goes_round else _CLAMP, "wrapT": _CLAMP}
    return {
        "images": [{"bufferView": buffer.view(_jpeg(texture)), "mimeType": "image/jpeg"}],
        "samplers": [sampler],
        "textures": [{"source": 0, "sampler": 0}],
    }


def camera_axes(points: np.ndarray, frame: str) -> np.ndarray:
    """(N, 3) points of a vehicle's or the global frame (x forward, y left, z up) on camera axes (x right, y down, z forward), as the writer takes them."""
    return np.asarray(points) if frame == "camera" else transforms.apply(transforms.CAMERA_FROM_EGO, np.asarray(points))


def write_mesh_glb(path: str | Path, mesh: Any, texture: np.ndarray | None = None, double_sided: bool = True) -> Path:
    """Write a `geometry.mesh.Mesh` in camera axes: with `texture` (H, W, 3) uint8 over its uv, else with its vertex colours."""
    if texture is None or mesh.uv is None:
        return write_glb(path, mesh.vertices, faces=mesh.faces, colors=mesh.colors, double_sided=double_sided)
    vertices, faces, uv = _unfolded(mesh)
    return write_glb(path, vertices, faces=faces, uv=uv, texture=texture, double_sided=double_sided)


def _unfolded(mesh: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and uv of a mesh whose triangles over a panorama's seam have corners of their own, with u beyond 1.

    Else such a triangle would run back from u = 1 to 0 and show the whole picture, squeezed.
    """
    u = mesh.uv[mesh.faces, 0]  # (M, 3)
    beyond = (np.ptp(u, axis=1) > 0.5)[:, None] & (u < 0.5)
    old, number = np.unique(mesh.faces[beyond], return_inverse=True)
    faces = mesh.faces.copy()
    faces[beyond] = len(mesh.vertices) + number
    return np.concatenate([mesh.vertices, mesh.vertices[old]]), faces, np.concatenate([mesh.uv, mesh.uv[old] + [1, 0]])


def _jpeg(texture: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(texture))
    picture.thumbnail((_LARGEST_TEXTURE, _LARGEST_TEXTURE))
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def _write(path: Path, document: dict[str, Any], buffer: _Buffer) -> Path:
    binary = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    if binary:
        document |= {"buffers": [{"byteLength": len(binary)}], "bufferViews": buffer.views}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = np.array([len(text), 0x4E4F534A], "<u4").tobytes() + text
    if binary:
        chunks += np.array([len(binary), 0x004E4942], "<u4").tobytes() + binary
    with atomic_write(path) as file:
        file.write(b"glTF" + np.array([2, 12 + len(chunks)], "<u4").tobytes() + chunks)
    return path
