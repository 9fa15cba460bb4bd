"""The camera as a visitor enters it: by the picture's own data, a field of view, lens and sensor, or intrinsics in pixels."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from app.jobs.common import camera_text
from perception.errors import InputError
from perception.geometry import Pinhole
from perception.io.images import LoadedImage

FROM_PICTURE, FROM_FOV, FROM_LENS, FROM_MATRIX = "Picture", "Field of view", "Lens", "Matrix"
MODES = (FROM_PICTURE, FROM_FOV, FROM_LENS, FROM_MATRIX)


@dataclasses.dataclass(frozen=True)
class CameraEntry:
    """fov: horizontal, degrees. focal, sensor: millimetres. matrix: "fx, fy, cx, cy" or nine numbers, pixels of the upright picture.

    opencv: the matrix puts the centre of the first pixel at (0, 0), as OpenCV, KITTI and nuScenes do, not at (0.5, 0.5).
    """

    mode: str = FROM_PICTURE
    fov: float = 60.0
    focal: float = 26.0
    sensor: float = 36.0
    matrix: str = ""
    opencv: bool = False

    def camera(self, image: LoadedImage) -> Pinhole | None:
        """The camera of `image`, or None where the picture is to speak for itself. Raises `InputError` for entries that make no camera."""
        width, height = image.size
        if self.mode == FROM_FOV:
            return Pinhole.from_fov(width=width, height=height, horizontal_degrees=self.fov)
        if self.mode == FROM_LENS:
            return Pinhole.from_focal_mm(width, height, self.focal, self.sensor)
        if self.mode == FROM_MATRIX:
            fx, fy, cx, cy = parse_matrix(self.matrix)
            half = 0.5 if self.opencv else 0.0
            return Pinhole(fx, fy, cx + half, cy + half, width, height)
        if self.mode != FROM_PICTURE:
            raise InputError(f"the camera can be given by {', '.join(MODES)}; found {self.mode!r}")
        return None

    def text(self, image: LoadedImage) -> str:
        """What the page says about the camera before the prediction."""
        camera = self.camera(image) or image.camera()
        exif = f"; EXIF: {image.focal_35mm:g} mm in 35 mm terms" if image.focal_35mm else "; no EXIF focal length"
        return f"{image.width} x {image.height} px, {camera_text(camera)}" + (exif if self.mode == FROM_PICTURE else "")

    def arguments(self, image: LoadedImage) -> str:
        """The same as arguments of a Python call, starting with a comma; empty where there are none."""
        if self.mode == FROM_PICTURE:
            return ""
        if self.mode == FROM_FOV:
            return f", fov={self.fov:g}"
        camera: Any = self.camera(image)
        return f", camera=({camera.fx:.10g}, {camera.fy:.10g}, {camera.cx:.10g}, {camera.cy:.10g})"


def parse_matrix(text: str) -> tuple[float, float, float, float]:
    """(fx, fy, cx, cy) from four numbers or a 3x3 matrix, with any brackets and separators. Raises `InputError`."""
    if len(text) > 400 or re.search(r"[^\d\s.,;:+\-eE\[\]()]", text):
        raise InputError("the matrix K takes numbers only: fx, fy, cx, cy, or all nine")
    try:
        numbers = [float(part) for part in re.findall(r"[^\s,;:\[\]()]+", text)]
    except ValueError:
        raise InputError("the matrix K takes numbers only: fx, fy, cx, cy, or all nine") from None
    if len(numbers) == 9:
        rows = [numbers[0:3], numbers[3:6], numbers[6:9]]
        camera = Pinhole.from_matrix(rows, 1, 1)
        return camera.fx, camera.fy, camera.cx, camera.cy
    if len(numbers) != 4:
        raise InputError(f"the matrix K takes four numbers fx, fy, cx, cy, or nine; found {len(numbers)}")
    fx, fy, cx, cy = numbers
    return fx, fy, cx, cy
