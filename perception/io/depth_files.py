"""Depth maps on disk: .npy, 16-bit PNG with its scale, PFM, EXR.

Reading always gives (H, W) float32 metres with 0 where unknown, and the (H, W) bool mask of known pixels. A 16-bit PNG says nothing about its unit
by itself: ours carry the scale (stored units a metre) in a text chunk, others need it from the caller; `SCALES` holds the usual ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perception.errors import InputError, nearest
from perception.io.atomic import atomic_write
from perception.io.images import read_png, write_image

# Stored units a metre, and the stored values that mean "unknown".
SCALES: dict[str, tuple[float, tuple[int, ...]]] = {
    "millimetre": (1000.0, (0, 65535)),
    "nyu": (1000.0, (0,)),
    "redwood": (1000.0, (0,)),
    "seven_scenes": (1000.0, (0, 65535)),
    "scannet": (1000.0, (0,)),
    "kitti": (256.0, (0,)),
    "tum": (5000.0, (0,)),
    "stanford2d3d": (512.0, (65535,)),
    "matterport3d": (4000.0, (0,)),
    "structured3d": (1000.0, (0,)),
}
_FAR = 1e9  # rendered panoramas write 1e10 for "nothing there"


def _known(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid = np.isfinite(depth) & (depth > 0) & (depth < _FAR)
    return np.where(valid, depth, 0).astype(np.float32), valid


def write_npy(path: str | Path, array: np.ndarray) -> Path:
    """Write a float32 array atomically. NaN and infinity are refused: mask them first."""
    path = Path(path)
    value = np.asarray(array, dtype=np.float32)
    if not np.isfinite(value).all():
        raise InputError(f"{path.name} must hold finite values; found {int((~np.isfinite(value)).sum())} that are not")
    with atomic_write(path) as file:
        np.save(file, value, allow_pickle=False)
    return path


def read_npy(path: str | Path) -> np.ndarray:
    """Read one array, never a pickle. Raises `InputError`."""
    path = Path(path)
    try:
        value = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path.name} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path.name} is not a readable .npy file ({str(error).splitlines()[0] if str(error) else 'damaged'})"
        ) from None
    if not isinstance(value, np.ndarray):
        raise InputError(f"{path.name} holds several arrays; one is needed")
    return value


def png_scale(largest: float) -> float:
    """Stored units a metre for depths up to `largest`: 1000 (to 65.5 m), 256 (to 255 m), else what just fits."""
    return next((s for s in (1000.0, 256.0) if largest * s <= 65535), 65535.0 / largest)


def write_depth_png(
    path: str | Path,
    depth: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    scale: float | None = None,
    kind: str = "metric",
) -> Path:
    """Write (H, W) depth as 16-bit PNG: stored = round(depth * scale), 0 = unknown.

    scale: stored units a metre; left out, the finest of `png_scale` that never saturates (relative and inverse depth use the whole range). It is recorded in
    the text chunks "depth_scale", "depth_kind", "depth_comment". Raises `InputError` when a given scale would overflow 16 bits.
    """
    depth = np.asarray(depth, np.float64)
    if kind == "inverse":  # 0 is a value there: far away
        known = np.isfinite(depth) & (depth >= 0)
        depth = np.where(known, depth, 0)
    else:
        depth, known = _known(depth)
    known = known if valid is None else known & np.asarray(valid, bool)
    largest = float(depth[known].max()) if known.any() else 1.0
    if scale is None:
        scale = 65535.0 / largest if kind in ("relative", "inverse") else png_scale(largest)
    elif largest * scale > 65535.5:
        raise InputError(
            f"{Path(path).name}: a depth of {largest:.2f} does not fit into 16 bits at scale {scale:g}; use a scale up to {65535 / largest:.1f}"
        )
    stored = np.where(known, np.clip(np.rint(depth * np.float64(scale)), 1, 65535), 0).astype(np.uint16)
    text = {
        "depth_scale": repr(float(scale)),
        "depth_kind": kind,
        "depth_comment": "depth = stored value / depth_scale, in metres unless the kind is relative or inverse; 0 = unknown",
    }
    return write_image(path, stored, text)


def read_depth_png(
    path: str | Path, scale: float | str | None = None, missing: tuple[int, ...] = (0,)
) -> tuple[np.ndarray, np.ndarray]:
    """Read a 16-bit PNG (or PGM) -> (H, W) float32 depth, metres, 0 = unknown, and (H, W) bool mask.

    scale: stored units a metre, or a name of `SCALES` (which brings its `missing` values); left out, the one recorded in the file.
    """
    path = Path(path)
    stored, text = read_png(path)
    if stored.ndim != 2 or stored.dtype not in (np.uint16, np.uint8):
        raise InputError(
            f"{path.name} must be a 16-bit grey picture of depth; found {stored.dtype} of shape {stored.shape}"
        )
    if isinstance(scale, str):
        if scale not in SCALES:
            raise InputError(f"depth scale {scale!r} is not one of {', '.join(SCALES)}.{nearest(scale, SCALES)}")
        scale, missing = SCALES[scale]
    if scale is None:
        if "depth_scale" not in text:
            raise InputError(
                f"{path.name} does not say its scale; give scale= one of {', '.join(SCALES)}, or stored units a metre"
            )
        scale = float(text["depth_scale"])
    if not scale > 0:
        raise InputError(f"the scale of {path.name} must be positive; found {scale}")
    valid = ~np.isin(stored, missing) & (stored > 0)
    return np.where(valid, stored / np.float64(scale), 0).astype(np.float32), valid


def recorded_scale(path: str | Path) -> float | None:
    """Return the stored units a metre that a depth PNG names in its text, or None."""
    text = read_png(Path(path))[1]
    return float(text["depth_scale"]) if "depth_scale" in text else None


def read_pfm(path: str | Path) -> np.ndarray:
    """Read a portable float map -> (H, W) or (H, W, 3) float32, rows top to bottom. The scale's magnitude is a display hint and is ignored."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from None
    fields, at = [], 0
    while len(fields) < 4:  # type, width, height, scale: separated by any white space, comment lines allowed
        end = data.find(b"\n", at)
        if end < 0 or at > 4096:
            raise InputError(f"{path.name} is not a PFM file: its header is incomplete")
        line = data[at:end].split(b"#")[0]
        fields += line.split()
        at = end + 1
    try:
        channels = {b"PF": 3, b"Pf": 1}[fields[0]]
        width, height, scale = int(fields[1]), int(fields[2]), float(fields[3])
    except (KeyError, ValueError):
        raise InputError(f"{path.name} is not a PFM file: its header reads {b' '.join(fields)[:40]!r}") from None
    count = width * height * channels
    if min(width, height) < 1 or len(data) - at < 4 * count:
        raise InputError(
            f"{path.name} is cut off: {width}x{height}x{channels} floats were promised, {(len(data) - at) // 4} are there"
        )
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", count, at).reshape(height, width, channels)
    out = np.ascontiguousarray(values[::-1], dtype=np.float32)
    return out[..., 0] if channels == 1 else out


def write_pfm(path: str | Path, values: np.ndarray) -> Path:
    """Write (H, W) or (H, W, 3) float32 as little-endian PFM, atomically."""
    path, values = Path(path), np.asarray(values, "<f4")
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or 0 in values.shape:
        raise InputError(f"{path.name} can hold shape (H, W) or (H, W, 3); found {values.shape}")
    with atomic_write(path) as file:
        file.write(f"{'PF' if values.ndim == 3 else 'Pf'}\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode())
        file.write(np.ascontiguousarray(values[::-1]).tobytes())
    return path


def _openexr(name: str):
    try:
        import OpenEXR
    except ImportError:
        raise InputError(f"{name} is an EXR file, which needs an extra: pip install 'perception3d[exr]'") from None
    return OpenEXR


def read_exr(path: str | Path) -> dict[str, np.ndarray]:
    """Read an EXR file -> {channel name: (H, W) float32}. Needs the extra `exr`."""
    path = Path(path)
    module = _openexr(path.name)
    if not path.is_file():
        raise InputError(f"{path.name} does not exist")
    try:
        with module.File(str(path), separate_channels=True) as file:
            return {key: np.array(channel.pixels, dtype=np.float32) for key, channel in file.channels().items()}
    except Exception as error:
        raise InputError(f"{path.name} is not a readable EXR file ({str(error).splitlines()[0]})") from None


def write_exr(path: str | Path, channels: dict[str, np.ndarray]) -> Path:
    """Write {channel name: (H, W) float32} atomically with ZIP compression. Needs the extra `exr`."""
    from perception.io.atomic import atomic_path

    path = Path(path)
    module = _openexr(path.name)
    header = {"compression": module.ZIP_COMPRESSION, "type": module.scanlineimage}
    values = {key: np.ascontiguousarray(value, np.float32) for key, value in channels.items()}
    with atomic_path(path) as temporary, module.File(header, values) as file:
        file.write(str(temporary))
    return path


def read_depth(path: str | Path, scale: float | str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read any depth file by its suffix: .npy, .png/.pgm (16 bit), .pfm, .exr -> (H, W) float32 metres, 0 = unknown, and (H, W) bool mask.

    scale: as `read_depth_png`; float files are divided by it where given. NaN, infinity, values <= 0 and >= 1e9 are unknown.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".png", ".pgm"):
        return read_depth_png(path, scale)
    if suffix == ".exr":
        channels = read_exr(path)
        values = next(
            (channels[key] for key in ("Z", "Y", "depth", "R") if key in channels), next(iter(channels.values()))
        )
    elif suffix in (".npy", ".pfm"):
        values = read_npy(path) if suffix == ".npy" else read_pfm(path)
    else:
        raise InputError(f"{path.name} must end in .npy, .png, .pgm, .pfm or .exr to be read as depth")
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):  # one channel, last or first
        values = values[..., 0] if values.shape[-1] == 1 else values[0]
    if values.ndim != 2:
        raise InputError(f"{path.name} must hold one (H, W) depth map; found shape {values.shape}")
    depth, valid = _known(values.astype(np.float64))
    if scale is not None:
        factor = SCALES[scale][0] if isinstance(scale, str) and scale in SCALES else float(scale)
        depth = (depth / factor).astype(np.float32)
    return depth, valid
