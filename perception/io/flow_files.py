"""Optical flow on disk: Middlebury .flo, KITTI's 16-bit PNG, PFM.

Flow is (H, W, 2) float32 in pixels: a point at (u, v) of this picture is at (u + flow[0], v + flow[1]) of the next one. Unknown pixels are 0 and
False in the (H, W) mask.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perception.errors import InputError
from perception.io.atomic import atomic_write
from perception.io.depth_files import read_pfm

_MAGIC = b"PIEH"  # the bytes of float32 202021.25
_UNKNOWN = 1e9


def _known(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        valid = (np.abs(flow) <= _UNKNOWN).all(-1)
    return np.where(valid[..., None], flow, 0).astype(np.float32), valid


def read_flo(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a Middlebury .flo file. Raises `InputError` for a wrong magic number or length."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from None
    if data[:4] != _MAGIC or len(data) < 12:
        raise InputError(f"{path.name} is not a .flo file: it does not start with {_MAGIC.decode()}")
    width, height = (int(v) for v in np.frombuffer(data, "<i4", 2, 4))
    if min(width, height) < 1 or len(data) - 12 < 8 * width * height:
        raise InputError(
            f"{path.name} is cut off: {width}x{height} vectors were promised, {(len(data) - 12) // 8} are there"
        )
    return _known(np.frombuffer(data, "<f4", 2 * width * height, 12).reshape(height, width, 2))


def write_flo(path: str | Path, flow: np.ndarray, valid: np.ndarray | None = None) -> Path:
    """Write (H, W, 2) flow; pixels outside `valid` become 1e10 (unknown)."""
    path, flow = Path(path), _checked(path, flow)
    values = flow if valid is None else np.where(np.asarray(valid, bool)[..., None], flow, 1e10)
    with atomic_write(path) as file:
        file.write(_MAGIC + np.array([flow.shape[1], flow.shape[0]], "<i4").tobytes())
        file.write(np.ascontiguousarray(values, "<f4").tobytes())
    return path


def _checked(path: str | Path, flow: np.ndarray) -> np.ndarray:
    flow = np.asarray(flow, np.float32)
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise InputError(f"{Path(path).name} needs flow of shape (H, W, 2); found {flow.shape}")
    return flow


def read_flow_png(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read KITTI's flow PNG: three 16-bit channels u, v, valid in file order; u = (stored - 32768) / 64."""
    import cv2  # Pillow keeps only 8 of the 16 bits of colour pictures

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path.name} does not exist")
    stored = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3 or stored.shape[2] != 3:
        raise InputError(f"{path.name} is not a flow picture: three 16-bit channels are needed")
    valid = stored[..., 0] > 0  # OpenCV gives blue first: the file's third channel
    flow = (stored[..., :0:-1].astype(np.float32) - 32768) / 64
    return np.where(valid[..., None], flow, 0).astype(np.float32), valid


def write_flow_png(path: str | Path, flow: np.ndarray, valid: np.ndarray | None = None) -> Path:
    """Write KITTI's flow PNG (steps of 1/64 pixel). Raises `InputError` for flow outside +-512 pixels."""
    import cv2

    path, flow = Path(path), _checked(path, flow)
    valid = np.ones(flow.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    stored = np.rint(np.where(valid[..., None], flow, 0).astype(np.float64) * 64) + 32768
    if not ((stored >= 0) & (stored <= 65535)).all():
        raise InputError(
            f"{path.name} can hold flow between -512 and 512 pixels; found up to {np.abs(flow[valid]).max():.0f}"
        )
    picture = np.dstack([valid, stored[..., 1], stored[..., 0]]).astype(np.uint16)
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise InputError(f"{path.name} could not be encoded")
    with atomic_write(path) as file:
        file.write(data.tobytes())
    return path


def read_flow(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read flow by the suffix (.flo, .png, .pfm) -> (H, W, 2) float32 pixels and (H, W) bool mask."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".flo":
        return read_flo(path)
    if suffix == ".png":
        return read_flow_png(path)
    if suffix == ".pfm":
        values = read_pfm(path)
        if values.ndim != 3:
            raise InputError(f"{path.name} holds one channel; flow needs at least two")
        return _known(values[..., :2])
    raise InputError(f"{path.name} must end in .flo, .png or .pfm to be read as flow")
