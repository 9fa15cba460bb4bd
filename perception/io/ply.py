"""PLY point clouds and meshes: binary little-endian out; ASCII and both binary kinds in."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception.errors import InputError
from perception.io.atomic import atomic_write

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}


@dataclass(frozen=True, eq=False)
class PlyData:
    """points: (N, 3) float32. colors: (N, 3) uint8 or None. normals: (N, 3) float32 or None. faces: (M, 3) int32 triangles or None."""

    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    faces: np.ndarray | None = None


def write_ply(
    path: str | Path,
    points: np.ndarray,
    *,
    colors: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    faces: np.ndarray | None = None,
    comment: str = "metres; x right, y down, z forward",
) -> Path:
    """Write (N, 3) points with optional (N, 3) uint8 colours, (N, 3) normals and (M, 3) triangles, atomically.

    Raises `InputError` for NaN or infinite points, colours of another type, or triangles that point outside.
    """
    path = Path(path)
    points = _checked(path, "points", points, np.float32)
    columns: list[tuple[str, str]] = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    parts = [points]
    if normals is not None:
        columns += [("nx", "<f4"), ("ny", "<f4"), ("nz", "<f4")]
        parts.append(_checked(path, "normals", normals, np.float32, len(points)))
    if colors is not None:
        if np.asarray(colors).dtype != np.uint8:
            raise InputError(f"{path.name}: colours must be uint8 RGB; found {np.asarray(colors).dtype}")
        columns += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
        parts.append(_checked(path, "colors", colors, np.uint8, len(points)))
    table = np.empty(len(points), columns)
    for (name, _), values in zip(columns, (part[:, i] for part in parts for i in range(3)), strict=True):
        table[name] = values
    names = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"comment {comment}", f"element vertex {len(points)}"]
    header += [f"property {names[kind]} {name}" for name, kind in columns]
    face_table = None
    if faces is not None:
        faces = np.asarray(faces)
        if faces.ndim != 2 or faces.shape[1] != 3 or (faces.size and (faces.min() < 0 or faces.max() >= len(points))):
            raise InputError(
                f"{path.name}: triangles must have shape (M, 3) and point at the {len(points)} vertices; found {faces.shape}"
            )
        face_table = np.empty(len(faces), [("count", "u1"), ("index", "<i4", (3,))])
        face_table["count"], face_table["index"] = 3, faces
        header += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    with atomic_write(path) as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(table.tobytes())
        if face_table is not None:
            file.write(face_table.tobytes())
    return path


def _checked(path: Path, what: str, values: np.ndarray, dtype: type, count: int | None = None) -> np.ndarray:
    values = np.asarray(values, dtype)
    if values.ndim != 2 or values.shape[1] != 3 or (count is not None and len(values) != count):
        raise InputError(
            f"{path.name}: {what} must have shape ({'N' if count is None else count}, 3); found {values.shape}"
        )
    if dtype is np.float32 and not np.isfinite(values).all():
        raise InputError(
            f"{path.name}: {what} must be finite; found {int((~np.isfinite(values)).any(-1).sum())} that are not"
        )
    return values


def read_ply(path: str | Path) -> PlyData:
    """Read vertices (x, y, z, colours, normals) and triangles; larger polygons are cut into fans. Raises `InputError`."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from None
    form, elements, at = _header(path, data)
    if form == "ascii":
        tables = _read_ascii(path, data[at:], elements)
    else:
        tables = _read_binary(path, data, at, elements, "<" if form == "binary_little_endian" else ">")
    vertices = tables.get("vertex", {})
    if not {"x", "y", "z"} <= set(vertices):
        raise InputError(f"{path.name} has no vertices with x, y, z")

    def gather(names: tuple[str, ...], dtype: type) -> np.ndarray | None:
        return np.stack([vertices[n] for n in names], -1).astype(dtype) if set(names) <= set(vertices) else None

    colors = gather(("red", "green", "blue"), np.float64)
    if colors is not None:
        whole = vertices["red"].dtype.kind in "iu"
        colors = np.clip(np.rint(colors * (1 if whole else 255)), 0, 255).astype(np.uint8)
    faces = next((v for k, v in tables.get("face", {}).items() if k.startswith("vertex_ind")), None)
    return PlyData(gather(("x", "y", "z"), np.float32), colors, gather(("nx", "ny", "nz"), np.float32), faces)


_Element = tuple[
    str, int, list[tuple[str, str, str | None]]
]  # name, count, [(property, type, type of a list's length)]


def _header(path: Path, data: bytes) -> tuple[str, list[_Element], int]:
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise InputError(f"{path.name} is not a PLY file")
    form, elements = "", []
    try:
        for line in data[:end].decode("ascii", "replace").splitlines():
            words = line.split()
            if words[:1] == ["format"]:
                form = words[1]
            elif words[:1] == ["element"]:
                elements.append((words[1], int(words[2]), []))
            elif words[:1] == ["property"]:
                if words[1] == "list":
                    elements[-1][2].append((words[4], _TYPES[words[3]], _TYPES[words[2]]))
                else:
                    elements[-1][2].append((words[2], _TYPES[words[1]], None))
    except (IndexError, KeyError, ValueError):
        raise InputError(f"{path.name} has a PLY header that cannot be understood") from None
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError(f"{path.name} has the unknown PLY format {form!r}")
    return form, elements, data.index(b"\n", end) + 1


def _fans(polygons: list[np.ndarray]) -> np.ndarray:
    triangles = [np.stack([np.full(len(p) - 2, p[0]), p[1:-1], p[2:]], -1) for p in polygons if len(p) >= 3]
    return np.concatenate(triangles).astype(np.int32) if triangles else np.zeros((0, 3), np.int32)


def _read_binary(path: Path, data: bytes, at: int, elements: list[_Element], order: str) -> dict:
    tables: dict[str, dict[str, np.ndarray]] = {}
    for name, count, properties in elements:
        try:
            if all(length is None for _, _, length in properties):
                kind = np.dtype([(prop, order + t) for prop, t, _ in properties])
                rows = np.frombuffer(data, kind, count, at)
                at += count * kind.itemsize
                tables[name] = {prop: rows[prop] for prop, _, _ in properties}
            else:
                tables[name], at = _binary_lists(data, at, count, properties, order)
        except (ValueError, IndexError):
            raise InputError(f"{path.name} is cut off inside its {name} elements") from None
    return tables


def _binary_lists(data: bytes, at: int, count: int, properties: list, order: str) -> tuple[dict, int]:
    first = [(prop, t, length) for prop, t, length in properties]
    if count and len(first) == 1:  # the usual case: every face has as many corners as the first one
        prop, kind, length = first[0]
        corners = int(np.frombuffer(data, order + length, 1, at)[0])
        row = np.dtype([("count", order + length), ("index", order + kind, (corners,))])
        if at + count * row.itemsize <= len(data):
            rows = np.frombuffer(data, row, count, at)
            if (rows["count"] == corners).all():
                return {prop: _fan_table(rows["index"])}, at + count * row.itemsize
    lists: dict[str, list[np.ndarray]] = {prop: [] for prop, _, _ in first}
    for _ in range(count):
        for prop, kind, length in first:
            items = 1
            if length is not None:
                items = int(np.frombuffer(data, order + length, 1, at)[0])
                at += np.dtype(length).itemsize
            lists[prop].append(np.frombuffer(data, order + kind, items, at))
            at += items * np.dtype(kind).itemsize
    return {prop: _fans(lists[prop]) for prop, _, length in first if length is not None}, at


def _fan_table(index: np.ndarray) -> np.ndarray:
    """(M, K) polygons of K corners -> (M (K - 2), 3) triangles."""
    corners = index.shape[1]
    if corners < 3:
        return np.zeros((0, 3), np.int32)
    parts = [np.stack([index[:, 0], index[:, i], index[:, i + 1]], -1) for i in range(1, corners - 1)]
    return np.stack(parts, 1).reshape(-1, 3).astype(np.int32)


def _read_ascii(path: Path, body: bytes, elements: list[_Element]) -> dict:
    lines = io.StringIO(body.decode("ascii", "replace")).read().split("\n")
    lines = [line for line in lines if line.strip()]
    tables: dict[str, dict[str, np.ndarray]] = {}
    at = 0
    for name, count, properties in elements:
        rows = [line.split() for line in lines[at : at + count]]
        at += count
        if len(rows) < count:
            raise InputError(f"{path.name} is cut off inside its {name} elements")
        try:
            if all(length is None for _, _, length in properties):
                values = np.array([row[: len(properties)] for row in rows], np.float64).reshape(count, len(properties))
                tables[name] = {prop: values[:, i].astype(kind) for i, (prop, kind, _) in enumerate(properties)}
            else:
                prop = next(p for p, _, length in properties if length is not None)
                polygons = [np.array(row[1 : 1 + int(row[0])], np.int64) for row in rows]
                tables[name] = {prop: _fans(polygons)}
        except (ValueError, IndexError):
            raise InputError(f"{path.name} has {name} elements that cannot be understood") from None
    return tables
