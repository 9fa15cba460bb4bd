"""Which camera took this picture: the caller's word, a field of view, EXIF, a default; in this order, and the camera says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.geometry.cameras import camera_from_dict
from perception.io.images import LoadedImage

CameraLike = (
    Pinhole
    | Equirectangular
    | np.ndarray
    | Sequence[float]
    | Sequence[Sequence[float]]
    | Mapping[str, Any]
    | str
    | Path
    | None
)


def resolve_camera(
    image: LoadedImage, camera: CameraLike, fov: float | None = None, kind: str = "pinhole"
) -> Pinhole | Equirectangular:
    """Return the camera of `image`.

    Args:
        image: a loaded picture; its size must be the camera's.
        camera: `Pinhole`, `Equirectangular`, (3, 3) matrix, (fx, fy, cx, cy), the same by name, what a camera's ``to_dict`` gave, path of a KITTI calibration file (its P2), ``{"longitude": (left, right),
            "latitude": (bottom, top)}`` in radians for a panorama of whatever size the picture has, or None.
        fov: horizontal field of view in degrees, used when `camera` is None; of perspective pictures.
        kind: "pinhole" or "equirectangular", what the model needs.

    Raises `InputError` when the camera has another size or kind, or is no camera, and for a `fov` of a panorama.
    """
    height, width = image.pixels.shape[:2]
    if fov is not None and kind == "equirectangular":
        raise InputError(
            f"a field of view belongs to perspective pictures; found fov={fov:g} for a panorama: one that shows less than 360 x 180 degrees is described by "
            "its edges, camera={'longitude': (left, right), 'latitude': (bottom, top)} in radians, --angles=LEFT,RIGHT,BOTTOM,TOP in degrees"
        )
    chosen = _given(camera, width, height)
    if chosen is None:
        if kind == "equirectangular":
            return Equirectangular(width, height)
        if fov is not None:
            return Pinhole.from_fov(width=width, height=height, horizontal_degrees=fov)
        if image.focal_35mm:
            return Pinhole.from_exif_35mm(width, height, image.focal_35mm)
        return Pinhole.default(width, height)
    if (chosen.width, chosen.height) != (width, height):
        raise InputError(
            f"the camera is for pictures of {chosen.width}x{chosen.height} pixels, {image.name} has {width}x{height}; "
            "use camera.resize(width, height) if the picture was resized"
        )
    wanted = Equirectangular if kind == "equirectangular" else Pinhole
    if not isinstance(chosen, wanted):
        raise InputError(f"this model needs a camera of kind {wanted.__name__}, found {type(chosen).__name__}")
    return chosen


def cameras_of(camera: CameraLike | Sequence[CameraLike], count: int) -> list[CameraLike]:
    """The camera of each of `count` pictures: one for all of them, or a list with one each.

    Four numbers (or three rows of three) are one camera, also for four pictures. Raises `InputError` for a list of another length.
    """
    if not isinstance(camera, list | tuple) or _is_one_camera(camera):
        return [camera] * count
    if len(camera) != count:
        raise InputError(f"{count} pictures need one camera for all, or one each; found a list of {len(camera)}")
    return list(camera)


def guess_notes(camera: Pinhole | Equirectangular, result: Any) -> tuple[str, ...]:
    """A sentence where metres of `result` rest on a guessed `camera`; in words that Python, the command line and the app share."""
    depth = result.depth
    in_metres = result.boxes3d is not None or (depth is not None and depth.kind in ("metric", "range"))
    if not in_metres or not isinstance(camera, Pinhole) or camera.source != "default":
        return ()
    return (
        f"the camera is unknown, so a horizontal field of view of {camera.fov_degrees[0]:.0f} degrees was assumed: "
        "give its field of view (fov) or its intrinsics for distances in true metres",
    )


def _is_one_camera(values: Sequence[Any]) -> bool:
    """Whether a list holds the numbers of one camera (fx, fy, cx, cy, or the rows of a matrix) and not cameras."""
    try:
        array = np.asarray(values)
    except ValueError:  # of different shapes
        return False
    return array.dtype.kind in "iuf" and (array.ndim == 1 or array.shape == (3, 3))


def _given(camera: Any, width: int, height: int) -> Pinhole | Equirectangular | None:
    if camera is None or isinstance(camera, (Pinhole, Equirectangular)):
        return camera
    if isinstance(camera, str | Path):
        from perception.io.kitti import read_calibration

        return Pinhole.from_matrix(read_calibration(camera).intrinsics(), width, height, source="file")
    if isinstance(camera, Mapping):
        if "type" in camera:
            return camera_from_dict(camera)
        if set(camera) == {"fx", "fy", "cx", "cy"}:
            return Pinhole(**camera, width=width, height=height)
        known = {"longitude", "latitude"}
        limits = {name: tuple(value) for name, value in camera.items() if name in known and np.size(value) == 2}
        if len(limits) != len(camera) or not limits:
            raise InputError(
                "a camera's dictionary holds fx, fy, cx and cy in pixels, what a camera's to_dict gave, or the angles of a panorama, longitude (left, right) "
                f"and latitude (bottom, top); found {dict(camera)}"
            )
        return Equirectangular(width, height, **limits)
    try:
        values = np.asarray(camera.detach().cpu() if hasattr(camera, "detach") else camera, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"a camera is a Pinhole, a 3x3 matrix, four numbers fx, fy, cx, cy or a KITTI calibration file; found {camera!r}"
        ) from None
    if values.shape == (3, 3):
        return Pinhole.from_matrix(values, width, height)
    if values.shape == (4,):
        fx, fy, cx, cy = values.tolist()
        return Pinhole(fx, fy, cx, cy, width, height)
    raise InputError(f"a camera matrix should have shape (3, 3), or be fx, fy, cx, cy; found shape {values.shape}")
