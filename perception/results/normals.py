"""Surface normals of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, camera_from_dict
from perception.results.base import Result, check_shape, frozen, output_folder, write_json


@dataclass(frozen=True, eq=False, repr=False)
class NormalsResult(Result):
    """normals: (H, W, 3) float32 unit vectors, camera frame, towards the camera (z mostly negative), 0 where invalid. valid: (H, W) bool.

    Any non-zero length is taken and normalised; left out, `valid` is where the vector is finite and not zero.
    """

    normals: np.ndarray
    valid: np.ndarray | None = None
    camera: Camera | None = None

    def __post_init__(self) -> None:
        normals = frozen(self.normals, np.float32)
        check_shape("normals", normals, ("H", "W", 3))
        if self.camera is not None and self.camera.size != (normals.shape[1], normals.shape[0]):
            raise InputError(
                f"the normal map is {normals.shape[1]}x{normals.shape[0]} pixels but its camera's picture is {self.camera.size}"
            )
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.linalg.norm(normals.astype(np.float64), axis=-1)
        usable = np.isfinite(length) & (length > 0)
        valid = usable if self.valid is None else frozen(self.valid, bool)
        check_shape("valid", valid, normals.shape[:2])
        valid = frozen(valid & usable, bool)
        scale = np.where(
            valid & (np.abs(length - 1) > 1e-6), length, 1
        )  # what is of unit length already stays bit for bit
        unit = np.where(valid[..., None], normals, 0) / scale[..., None]
        object.__setattr__(self, "normals", frozen(unit, np.float32))
        object.__setattr__(self, "valid", valid)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.normals, dtype=dtype) if copy is not False else np.asarray(self.normals, dtype=dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        return self.normals.shape[:2]

    def __repr__(self) -> str:
        return f"NormalsResult({self.shape[0]}x{self.shape[1]}, unit vectors in the camera frame, {float(self.valid.mean()):.1%} valid)"

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8: red = right, green = up, blue = towards the camera."""
        from perception.drawing import draw_normals

        return draw_normals(self.normals, self.valid)

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        return {
            "type": "normals",
            "frame": "camera: x right, y down, z forward; towards the camera",
            "height": self.shape[0],
            "width": self.shape[1],
            "valid_fraction": float(self.valid.mean()),
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write normals.npy (float32, 0 = invalid), normals_preview.png and normals.json."""
        from perception.io import depth_files, images

        folder = output_folder(folder)
        paths = {
            "normals": depth_files.write_npy(folder / "normals.npy", self.normals),
            "normals_preview": images.write_image(folder / "normals_preview.png", self.preview()),
        }
        paths["normals_json"] = write_json(
            folder / "normals.json", {**self.summary(), "files": {key: path.name for key, path in paths.items()}}
        )
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        camera = None if self.camera is None else self.camera.to_dict()
        return {"type": "normals", "normals": self.normals, "valid": self.valid, "camera": camera}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NormalsResult:
        """Inverse of `to_dict`."""
        camera = values.get("camera")
        return cls(
            np.asarray(values["normals"], np.float32),
            values.get("valid"),
            camera_from_dict(camera) if isinstance(camera, Mapping) else camera,
        )
