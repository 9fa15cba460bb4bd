"""What two pictures of one scene say about each other: disparity of a rectified stereo pair, and optical flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, Pinhole, camera_from_dict
from perception.results.base import Result, check_shape, frozen, output_folder, write_json
from perception.results.depth import DepthResult


@dataclass(frozen=True, eq=False, repr=False)
class DisparityResult(Result):
    """disparity: (H, W) float32 pixels, not negative, of the left picture: its point (u, v) is at (u - disparity, v) in the right one. 0 = infinitely far.

    valid: (H, W) bool; left out, finite and not negative is valid. camera: the left `Pinhole`. confidence: (H, W) float32 in 0..1, or None.
    """

    disparity: np.ndarray
    valid: np.ndarray | None = None
    camera: Camera | None = None
    confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        disparity = frozen(self.disparity, np.float32)
        check_shape("disparity", disparity, ("H", "W"))
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(disparity) & (disparity >= 0)
        valid = usable if self.valid is None else frozen(self.valid, bool)
        check_shape("valid", valid, disparity.shape)
        valid = frozen(valid & usable, bool)
        if self.camera is not None and self.camera.size != disparity.shape[::-1]:
            raise InputError(
                f"the disparity map is {disparity.shape[1]}x{disparity.shape[0]} pixels but its camera's picture is {self.camera.width}x{self.camera.height}"
            )
        confidence = None if self.confidence is None else frozen(self.confidence, np.float32)
        if confidence is not None:
            check_shape("confidence", confidence, disparity.shape)
        for name, value in (
            ("disparity", frozen(np.where(valid, disparity, 0), np.float32)),
            ("valid", valid),
            ("confidence", confidence),
        ):
            object.__setattr__(self, name, value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.disparity, dtype=dtype) if copy is not False else np.asarray(self.disparity, dtype=dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        return self.disparity.shape

    def __repr__(self) -> str:
        values = self.disparity[self.valid]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        return f"DisparityResult({self.shape[0]}x{self.shape[1]}, {low:.3g}..{high:.3g} pixels, {self.valid.mean():.1%} valid)"

    def to_depth(
        self, baseline: float, camera: Pinhole | None = None, offset: float = 0.0, least: float = 0.1
    ) -> DepthResult:
        """Metric depth z = fx baseline / (disparity + offset), metres; disparities below `least` pixels are too far to measure and become invalid.

        baseline: metres between the cameras. camera: the left one, if the result does not know it. offset: principal point of the right camera minus that of the
        left one, pixels (Middlebury's doffs). Raises `InputError` without a camera or for a baseline that is not positive.
        """
        camera = camera or self.camera
        if not isinstance(camera, Pinhole):
            raise InputError("depth from disparity needs the left pinhole camera; give camera=")
        if not baseline > 0:
            raise InputError(f"the baseline of a stereo pair must be positive metres; found {baseline}")
        shifted = self.disparity + np.float32(offset)
        valid = self.valid & (shifted >= least)
        depth = np.where(valid, camera.fx * baseline / np.maximum(shifted, 1e-6), 0)
        return DepthResult(depth, valid, "metric", camera, self.confidence)

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8: coloured disparity, warm = near."""
        from perception.drawing import draw_disparity

        return draw_disparity(self.disparity, self.valid)

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        values = self.disparity[self.valid]
        return {
            "type": "disparity",
            "meaning": "pixels that a point of the left picture lies further left in the right picture",
            "height": self.shape[0],
            "width": self.shape[1],
            "valid_fraction": float(self.valid.mean()),
            "minimum": float(values.min()) if values.size else 0.0,
            "maximum": float(values.max()) if values.size else 0.0,
            "camera": None if self.camera is None else self.camera.to_dict(),
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write disparity.npy and disparity.pfm (float32; unknown: 0, and infinite), disparity.png (16 bit, KITTI's 1/256 pixel), disparity_preview.png, disparity.json."""
        from perception.io import depth_files, images

        folder = output_folder(folder)
        stored = np.clip(np.rint(self.disparity.astype(np.float64) * 256), 1, 65535)
        paths = {
            "disparity": depth_files.write_npy(folder / "disparity.npy", self.disparity),
            "disparity_pfm": depth_files.write_pfm(
                folder / "disparity.pfm", np.where(self.valid, self.disparity, np.inf)
            ),
            "disparity_png": images.write_image(
                folder / "disparity.png", np.where(self.valid, stored, 0).astype(np.uint16)
            ),
            "disparity_preview": images.write_image(folder / "disparity_preview.png", self.preview()),
        }
        files = {key: path.name for key, path in paths.items()}
        paths["disparity_json"] = write_json(folder / "disparity.json", {**self.summary(), "files": files})
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        camera = None if self.camera is None else self.camera.to_dict()
        return {
            "type": "disparity",
            "disparity": self.disparity,
            "valid": self.valid,
            "camera": camera,
            "confidence": self.confidence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DisparityResult:
        """Inverse of `to_dict`."""
        camera = values.get("camera")
        return cls(
            np.asarray(values["disparity"], np.float32),
            values.get("valid"),
            camera_from_dict(camera) if isinstance(camera, Mapping) else camera,
            values.get("confidence"),
        )


@dataclass(frozen=True, eq=False, repr=False)
class FlowResult(Result):
    """flow: (H, W, 2) float32 pixels: the first picture's point (u, v) is at (u + flow[0], v + flow[1]) in the second. valid: (H, W) bool, left out where finite.

    confidence: (H, W) float32 in 0..1, or None.
    """

    flow: np.ndarray
    valid: np.ndarray | None = None
    confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        flow = frozen(self.flow, np.float32)
        check_shape("flow", flow, ("H", "W", 2))
        usable = np.isfinite(flow).all(-1)
        valid = usable if self.valid is None else frozen(self.valid, bool)
        check_shape("valid", valid, flow.shape[:2])
        valid = frozen(valid & usable, bool)
        confidence = None if self.confidence is None else frozen(self.confidence, np.float32)
        if confidence is not None:
            check_shape("confidence", confidence, flow.shape[:2])
        for name, value in (
            ("flow", frozen(np.where(valid[..., None], flow, 0), np.float32)),
            ("valid", valid),
            ("confidence", confidence),
        ):
            object.__setattr__(self, name, value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.flow, dtype=dtype) if copy is not False else np.asarray(self.flow, dtype=dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        return self.flow.shape[:2]

    @property
    def largest(self) -> float:
        """Length of the longest valid motion, pixels."""
        return float(np.linalg.norm(self.flow[self.valid], axis=-1).max()) if self.valid.any() else 0.0

    def __repr__(self) -> str:
        return f"FlowResult({self.shape[0]}x{self.shape[1]}, up to {self.largest:.3g} pixels, {self.valid.mean():.1%} valid)"

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8: hue is the direction, strength the length."""
        from perception.drawing import draw_flow

        return draw_flow(self.flow, self.valid)

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        return {
            "type": "flow",
            "meaning": "pixels (right, down) from a point of the first picture to the same point in the second",
            "height": self.shape[0],
            "width": self.shape[1],
            "valid_fraction": float(self.valid.mean()),
            "largest": self.largest,
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write flow.npy, flow.flo (Middlebury), flow_preview.png, flow.json."""
        from perception.io import depth_files, flow_files, images

        folder = output_folder(folder)
        paths = {
            "flow": depth_files.write_npy(folder / "flow.npy", self.flow),
            "flow_flo": flow_files.write_flo(folder / "flow.flo", self.flow, self.valid),
            "flow_preview": images.write_image(folder / "flow_preview.png", self.preview()),
        }
        files = {key: path.name for key, path in paths.items()}
        paths["flow_json"] = write_json(folder / "flow.json", {**self.summary(), "files": files})
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        return {"type": "flow", "flow": self.flow, "valid": self.valid, "confidence": self.confidence}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FlowResult:
        """Inverse of `to_dict`."""
        return cls(np.asarray(values["flow"], np.float32), values.get("valid"), values.get("confidence"))
