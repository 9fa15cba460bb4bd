"""Points in space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.results.base import Result, check_shape, frozen, output_folder


@dataclass(frozen=True, eq=False, repr=False)
class PointCloud(Result):
    """points: (N, 3) float32, metres, in `frame`. colors: (N, 3) uint8 RGB or None. normals: (N, 3) float32 or None.

    Points that are not finite are dropped, together with their colours and normals.
    """

    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    frame: str = "camera"

    def __post_init__(self) -> None:
        points = frozen(self.points, np.float32)
        points = points.reshape(-1, 3) if points.size == 0 else points  # an empty list
        check_shape("points", points, ("N", 3))
        finite = np.isfinite(points).all(-1)
        for name, dtype in (("points", np.float32), ("colors", np.uint8), ("normals", np.float32)):
            value = getattr(self, name)
            if value is None:
                continue
            value = frozen(np.reshape(value, (0, 3)) if np.size(value) == 0 else value, None)
            check_shape(name, value, (len(points), 3))
            if name == "colors" and value.dtype != np.uint8:
                raise InputError(f"point colours must be uint8 RGB; found {value.dtype}")
            object.__setattr__(self, name, frozen(value[finite] if not finite.all() else value, dtype))

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        extra = [name for name in ("colors", "normals") if getattr(self, name) is not None]
        extent = np.ptp(self.points, axis=0) if len(self) else np.zeros(3)
        return (
            f"PointCloud({len(self)} points [m], {self.frame} frame, extent {extent[0]:.2f} x {extent[1]:.2f} x {extent[2]:.2f} m"
            + (f", with {', '.join(extra)}" if extra else "")
            + ")"
        )

    def transformed(self, target_from_source: Any, frame: str) -> PointCloud:
        """The cloud moved by a rigid (4, 4) transform into `frame`."""
        matrix = np.asarray(target_from_source, dtype=np.float64)
        points = self.points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        normals = None if self.normals is None else self.normals @ matrix[:3, :3].T
        return PointCloud(points, self.colors, normals, frame)

    def downsampled(self, voxel: float) -> PointCloud:
        """One point a voxel of that side, metres: the mean of its points (and colours)."""
        from perception.geometry.pointcloud import voxel_downsample

        points, colors, normals = voxel_downsample(self.points, voxel, self.colors, self.normals)
        return PointCloud(points, colors, normals, self.frame)

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """uint8 RGB bird's-eye view of the points."""
        from perception.drawing import draw_bev

        return draw_bev(points=self.points, point_colors=self.colors, frame=self.frame)

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        return {"type": "point_cloud", "points": len(self), "frame": self.frame, "has_colors": self.colors is not None}

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write points.ply and points.glb into a folder; a path that ends in .ply or .glb writes that one file."""
        from perception.io import glb, ply

        path = Path(folder)
        upright = glb.camera_axes(self.points, self.frame)
        if path.suffix.lower() == ".glb":
            return {"points": glb.write_glb(path, upright, colors=self.colors)}
        if path.suffix.lower() == ".ply":
            return {"points": ply.write_ply(path, self.points, colors=self.colors)}
        path = output_folder(path)
        return {
            "points_ply": ply.write_ply(path / "points.ply", self.points, colors=self.colors),
            "points_glb": glb.write_glb(path / "points.glb", upright, colors=self.colors),
        }

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        return {
            "type": "point_cloud",
            "points": self.points,
            "colors": self.colors,
            "normals": self.normals,
            "frame": self.frame,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointCloud:
        """Inverse of `to_dict`; nested lists are taken too."""
        rest = {key: value for key, value in values.items() if key != "type"}
        if rest.get("colors") is not None:
            rest["colors"] = np.asarray(rest["colors"], np.uint8)
        return cls(**rest)
