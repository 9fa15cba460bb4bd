"""Point Cloud Data files (PCD 0.7): ascii, binary and binary_compressed, read and written in NumPy.

A file is a text header (FIELDS, SIZE, TYPE, COUNT, WIDTH, HEIGHT, POINTS, DATA) and the points. Binary data is little-endian and packed: one
record a point. Compressed data is LZF with all values of the first field first, then all of the second. nuScenes' radar files are
binary with 18 fields in 43 bytes a point (`perception.io.radar`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from perception.errors import InputError
from perception.io.atomic import atomic_write

_KINDS = {"F": "f", "I": "i", "U": "u"}


def read_pcd(path: str | Path) -> dict[str, np.ndarray]:
    """Return the fields by name, each (N,) or (N, count), in the file's own types. Raises `InputError`."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from None
    return parse_pcd(data, path.name)


def parse_pcd(data: bytes, name: str = "PCD data") -> dict[str, np.ndarray]:
    """Parse the content of a PCD file (see `read_pcd`)."""
    header, body = _header(data, name)
    dtype = record_type(header, name)
    try:
        points = int(header.get("POINTS", [0])[0]) or int(header["WIDTH"][0]) * int(header["HEIGHT"][0])
    except (KeyError, ValueError):
        raise InputError(f"{name}: the PCD header must state POINTS, or WIDTH and HEIGHT") from None
    form = header["DATA"][0].lower()
    if form == "ascii":
        records = _ascii(body, dtype, points, name)
    elif form == "binary":
        if len(body) < points * dtype.itemsize:
            raise InputError(
                f"{name} is cut off: {points} points of {dtype.itemsize} bytes expected, {len(body)} bytes found"
            )
        records = np.frombuffer(body, dtype, points)
    elif form == "binary_compressed":
        return _compressed(body, dtype, points, name)
    else:
        raise InputError(f"{name}: PCD data must be ascii, binary or binary_compressed; found {form!r}")
    return {field: np.ascontiguousarray(records[field]) for field in dtype.names}


def _header(data: bytes, name: str) -> tuple[dict[str, list[str]], bytes]:
    header: dict[str, list[str]] = {}
    at = 0
    while "DATA" not in header:
        end = data.find(b"\n", at)
        if end < 0 or at > 1 << 16:
            raise InputError(f"{name} is not a PCD file: no DATA line in its header")
        words = data[at:end].decode("ascii", "replace").split("#")[0].split()
        if words:
            header[words[0].upper()] = words[1:]
        at = end + 1
    if not header["DATA"]:
        raise InputError(f"{name}: the DATA line of the PCD header is empty")
    return header, data[at:]


def record_type(header: Mapping[str, list[str]], name: str) -> np.dtype:
    """The packed structured type that FIELDS, SIZE, TYPE, COUNT describe. Repeated padding names ("_") are numbered."""
    try:
        fields, sizes, kinds = header["FIELDS"], header["SIZE"], header["TYPE"]
        counts = header.get("COUNT", ["1"] * len(fields))
        if not len(fields) == len(sizes) == len(kinds) == len(counts):
            raise ValueError("lengths differ")
        columns, seen = [], set()
        for i, (field, size, kind, count) in enumerate(zip(fields, sizes, kinds, counts, strict=True)):
            unique = field if field not in seen else f"{field}{i}"
            seen.add(unique)
            base = f"<{_KINDS[kind.upper()]}{int(size)}"
            columns.append((unique, base) if int(count) == 1 else (unique, base, (int(count),)))
        return np.dtype(columns)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{name}: the PCD header's FIELDS, SIZE, TYPE, COUNT do not fit together ({error})") from None


def _ascii(body: bytes, dtype: np.dtype, points: int, name: str) -> np.ndarray:
    rows = body.decode("ascii", "replace").split()
    width = sum(int(np.prod(dtype[field].shape, dtype=int)) for field in dtype.names)
    if len(rows) < points * width:
        raise InputError(f"{name} is cut off: {points * width} numbers expected, {len(rows)} found")
    try:
        table = np.array(rows[: points * width], np.float64).reshape(points, width)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
    records, at = np.zeros(points, dtype), 0
    for field in dtype.names:
        count = int(np.prod(dtype[field].shape, dtype=int))
        records[field] = table[:, at] if dtype[field].shape == () else table[:, at : at + count]
        at += count
    return records


def _compressed(body: bytes, dtype: np.dtype, points: int, name: str) -> dict[str, np.ndarray]:
    packed, plain = (int.from_bytes(body[i : i + 4], "little") for i in (0, 4))
    if plain != points * dtype.itemsize or len(body) < 8 + packed:
        raise InputError(
            f"{name}: the compressed block should hold {points * dtype.itemsize} bytes; its header says {plain}"
        )
    raw = lzf_decompress(body[8 : 8 + packed], plain, name)
    fields, at = {}, 0
    for field in dtype.names:
        base = dtype[field].base
        count = int(np.prod(dtype[field].shape, dtype=int))
        values = np.frombuffer(raw, base, points * count, at)
        at += points * count * base.itemsize
        fields[field] = values.copy() if dtype[field].shape == () else values.reshape(points, count).copy()
    return fields


def lzf_decompress(data: bytes, size: int, name: str = "LZF data") -> bytes:
    """Undo LZF: a control byte below 32 copies that many + 1 literals; others repeat earlier output. Raises `InputError`."""
    out, at = bytearray(), 0
    try:
        while at < len(data):
            control = data[at]
            at += 1
            if control < 32:
                out += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            start = len(out) - ((control & 31) << 8) - data[at] - 1
            at += 1
            length += 2
            if start < 0:
                raise IndexError
            step = len(out) - start
            piece = out[start:]
            out += (piece * (length // step + 1))[:length]  # a copy may overlap what it writes
    except IndexError:
        raise InputError(f"{name}: the compressed data are damaged") from None
    if len(out) != size:
        raise InputError(f"{name}: {size} bytes expected after decompression, {len(out)} found")
    return bytes(out)


def write_pcd(path: str | Path, fields: Mapping[str, np.ndarray], trailer: bytes = b"") -> Path:
    """Write fields (N,) or (N, count) as binary PCD, atomically, in the types they have (little-endian, packed).

    `trailer`: bytes after the last point (nuScenes' reader wants at least one).
    """
    path = Path(path)
    columns = {name: np.asarray(values) for name, values in fields.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise InputError(f"{path.name}: all fields of a point cloud need one length; found {sorted(lengths)}")
    count = lengths.pop()
    dtype = np.dtype([(name, v.dtype.newbyteorder("<"), v.shape[1:]) for name, v in columns.items()])
    if any(v.dtype.kind not in "fiu" for v in columns.values()):
        raise InputError(f"{path.name}: fields must be float, int or unsigned")
    records = np.zeros(count, dtype)
    for name, values in columns.items():
        records[name] = values
    widths = [int(np.prod(v.shape[1:], dtype=int)) for v in columns.values()]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(columns)}",
        f"SIZE {' '.join(str(v.dtype.itemsize) for v in columns.values())}",
        f"TYPE {' '.join(v.dtype.kind.upper() for v in columns.values())}",
        f"COUNT {' '.join(map(str, widths))}",
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        "DATA binary",
    ]
    with atomic_write(path) as file:
        file.write(("\n".join(lines) + "\n").encode("ascii"))
        file.write(records.tobytes() + trailer)
    return path
