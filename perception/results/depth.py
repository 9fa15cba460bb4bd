"""Depth of a picture or panorama."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, Equirectangular, Pinhole, camera_from_dict
from perception.results.base import Result, check_shape, frozen, output_folder, write_json

KINDS = {
    "metric": "z along the optical axis, metres",
    "relative": "z along the optical axis, up to an unknown scale",
    "range": "Euclidean distance from the camera centre, metres",
    "inverse": "inverse depth up to an unknown scale and shift: larger is nearer, 0 is far away",
}

SAVED_POINTS = 600_000  # pixels of a saved cloud or mesh: a 1024 x 512 panorama is kept whole


@dataclass(frozen=True, eq=False, repr=False)
class DepthResult(Result):
    """depth: (H, W) float32, 0 where invalid. valid: (H, W) bool; left out, finite positive depth (inverse: not negative) is valid. kind: see `KINDS`.

    camera: `Pinhole` ("metric" or "relative" z, or "range") or `Equirectangular` (always "range"); left out, the default camera, which says so.
    confidence: (H, W) float32 in 0..1, or None.
    """

    depth: np.ndarray
    valid: np.ndarray | None = None
    kind: str = "metric"
    camera: Camera | None = None
    confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        depth = frozen(self.depth, np.float32)
        check_shape("depth", depth, ("H", "W"))
        height, width = depth.shape
        if self.kind not in KINDS:
            raise InputError(f"the kind of a depth map must be one of {', '.join(KINDS)}; found {self.kind!r}")
        camera = self.camera or Pinhole.default(width, height)
        if camera.size != (width, height):
            raise InputError(
                f"the depth map is {width}x{height} pixels but its camera's picture is {camera.width}x{camera.height}"
            )
        if isinstance(camera, Equirectangular) and self.kind != "range":
            raise InputError(f"the depth of a panorama must be of kind 'range'; found {self.kind!r}")
        # An inverse depth of 0 is a fact (far away); a depth of 0 is none.
        usable = np.isfinite(depth) & ((depth >= 0) if self.kind == "inverse" else (depth > 0))
        valid = usable if self.valid is None else frozen(self.valid, bool)
        check_shape("valid", valid, depth.shape)
        valid = frozen(valid & usable, bool)
        confidence = None if self.confidence is None else frozen(self.confidence, np.float32)
        if confidence is not None:
            check_shape("confidence", confidence, depth.shape)
        values = {
            "depth": frozen(np.where(valid, depth, 0), np.float32),
            "valid": valid,
            "camera": camera,
            "confidence": confidence,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.depth, dtype=dtype) if copy is not False else np.asarray(self.depth, dtype=dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        return self.depth.shape

    @property
    def unit(self) -> str:
        """ "m", or an empty string for relative and inverse depth."""
        return "" if self.kind in ("relative", "inverse") else "m"

    @property
    def intrinsics_source(self) -> str:
        """Where the camera's intrinsics came from: "caller", "fov", "exif", "file", "model" or "default"."""
        return self.camera.source

    @property
    def guessed_intrinsics(self) -> bool:
        """Whether nobody knew the camera, so that metres and shapes are only plausible."""
        return self.camera.source == "default"

    @cached_property
    def limits(self) -> tuple[float, float]:
        """(smallest, largest) valid depth, or (0, 0) when no pixel is valid."""
        values = self.depth[self.valid]
        return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)

    def __repr__(self) -> str:
        low, high = self.limits
        share = float(self.valid.mean()) if self.valid.size else 0.0
        return (
            f"DepthResult({self.shape[0]}x{self.shape[1]}, {self.kind}, {low:.3g}..{high:.3g}{' ' + self.unit if self.unit else ''}, "
            f"{share:.1%} valid, intrinsics from {self.intrinsics_source})"
        )

    # -- 3D ------------------------------------------------------------------------------------------------------------

    @cached_property
    def _z_or_range(self) -> np.ndarray:
        """What the camera's `unproject` expects. Raises `InputError` for inverse depth, whose shift is unknown."""
        if self.kind == "inverse":
            raise InputError(
                "relative inverse depth has no shape in 3D: call fit_metric(points) with some known depths first, or use a metric model"
            )
        if self.kind == "range" and isinstance(self.camera, Pinhole):
            return self.camera.depth_from_range(self.depth)
        return self.depth

    def fit_metric(self, points: Any) -> DepthResult:
        """Metric depth from inverse (or relative) depth and points whose depth is known, by least squares.

        points: (N, 3) rows [u, v, z]: continuous pixels and z, metres; for inverse depth at least 2 points of different values, for relative depth 1.
        Inverse depth d becomes z = 1 / (a + b d), fitted on 1 / z; relative depth becomes z = b d. Where the fit gives no positive depth, the
        result is invalid. Raises `InputError` for too few usable points, or points that contradict the map (b not positive).
        """
        if self.kind not in ("inverse", "relative"):
            raise InputError(
                f"only inverse and relative depth can be fitted to metres; this depth is of kind {self.kind!r}"
            )
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InputError(f"known points must have shape (N, 3): u, v, z; found {points.shape}")
        height, width = self.shape
        points = points[np.isfinite(points).all(1) & (points[:, 2] > 0)]
        column, row = np.floor(points[:, :2]).astype(np.int64).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        inside[inside] &= self.valid[row[inside], column[inside]]
        value, z = self.depth[row[inside], column[inside]].astype(np.float64), points[inside, 2]
        if self.kind == "relative":
            factor = float((value * z).sum() / (value * value).sum()) if value.size else 0.0
            offset, metres = 0.0, factor * self.depth
        else:
            spread = float(np.ptp(value)) if value.size else 0.0
            if value.size < 2 or spread <= 1e-6 * float(value.max()):
                raise InputError(
                    f"fitting inverse depth needs at least 2 known points of different values on valid pixels; found {value.size}"
                )
            (offset, factor), *_ = np.linalg.lstsq(np.stack([np.ones_like(value), value], 1), 1 / z, rcond=None)
            with np.errstate(divide="ignore"):
                metres = 1 / (offset + factor * self.depth.astype(np.float64))
        if not factor > 0:
            raise InputError(
                "the known points contradict the depth map: far points are where it says near; check u, v and z"
            )
        valid = self.valid & np.isfinite(metres) & (metres > 0)
        return DepthResult(np.where(valid, metres, 0), valid, "metric", self.camera, self.confidence)

    def points(self) -> np.ndarray:
        """(H, W, 3) float32 points, camera frame, metres (or relative); 0 where invalid."""
        return self.camera.unproject(self._z_or_range)

    def point_cloud(self, image: np.ndarray | None = None, max_points: int | None = None) -> Any:
        """Valid pixels as a `PointCloud`, coloured by `image` (H, W, 3) uint8; every n-th row and column so that at most `max_points` pixels remain."""
        from perception.results.point_cloud import PointCloud

        if image is not None:
            check_shape("image", np.asarray(image), (*self.shape, 3))
        step = 1
        while max_points is not None and -(-self.shape[0] // step) * -(-self.shape[1] // step) > max(max_points, 1):
            step += 1
        chosen = self.valid[::step, ::step]
        colors = None if image is None else np.asarray(image)[::step, ::step][chosen]
        return PointCloud(self.points()[::step, ::step][chosen], colors)

    def mesh(self, image: np.ndarray | None = None, max_vertices: int | None = SAVED_POINTS) -> Any:
        """Triangle mesh (`geometry.mesh.Mesh`) without triangles stretched across depth edges, coloured by `image`."""
        from perception.geometry.mesh import depth_to_mesh

        return depth_to_mesh(self._z_or_range, self.camera, self.valid, image, max_vertices=max_vertices)

    def normals(self) -> Any:
        """Surface normals from the depth's gradient, as a `NormalsResult`."""
        from perception.geometry.pointcloud import normals_from_depth
        from perception.results.normals import NormalsResult

        normals, valid = normals_from_depth(self._z_or_range, self.camera, self.valid)
        return NormalsResult(normals, valid, self.camera)

    # -- out -----------------------------------------------------------------------------------------------------------

    def preview(self, image: np.ndarray | None = None, limits: tuple[float, float] | None = None) -> np.ndarray:
        """(H, W, 3) uint8: coloured depth, warm = near, with its legend inside. limits: of the colours, (near, far); inverse depth has none."""
        from perception.drawing import draw_depth, draw_inverse_depth

        if self.kind == "inverse":
            return draw_inverse_depth(self.depth, self.valid)
        return draw_depth(self.depth, self.valid, unit=self.unit, limits=limits)

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        low, high = self.limits
        return {
            "type": "depth",
            "kind": self.kind,
            "meaning": KINDS[self.kind],
            "height": self.shape[0],
            "width": self.shape[1],
            "valid_fraction": float(self.valid.mean()),
            "minimum": low,
            "maximum": high,
            "camera": self.camera.to_dict(),
            "intrinsics_source": self.intrinsics_source,
            "guessed_intrinsics": self.guessed_intrinsics,
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write depth.npy (float32, 0 = invalid), depth.png (16 bit, scale in its text), depth_preview.png, points.ply and .glb, mesh.ply (vertex
        colours) and .glb (with the image as its texture), depth.json.

        Clouds and meshes take every n-th pixel of large pictures, so that a 12 megapixel photo does not become hundreds of megabytes.
        """
        from perception.io import depth_files, glb, images, ply

        folder = output_folder(folder)
        paths = {
            "depth": depth_files.write_npy(folder / "depth.npy", self.depth),
            "depth_png": depth_files.write_depth_png(folder / "depth.png", self.depth, self.valid, kind=self.kind),
            "depth_preview": images.write_image(folder / "depth_preview.png", self.preview()),
        }
        if self.kind != "inverse":  # which has no shape in 3D
            cloud, mesh = self.point_cloud(image, SAVED_POINTS), self.mesh(image)
            paths |= {
                "points_ply": ply.write_ply(folder / "points.ply", cloud.points, colors=cloud.colors),
                "points_glb": glb.write_glb(folder / "points.glb", cloud.points, colors=cloud.colors),
                "mesh_glb": glb.write_mesh_glb(folder / "mesh.glb", mesh, image),
                "mesh_ply": ply.write_ply(folder / "mesh.ply", mesh.vertices, colors=mesh.colors, faces=mesh.faces),
            }
        paths["depth_json"] = write_json(
            folder / "depth.json",
            {
                **self.summary(),
                "depth_png_scale": depth_files.recorded_scale(paths["depth_png"]),
                "files": {key: path.name for key, path in paths.items()},
            },
        )
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        return {
            "type": "depth",
            "depth": self.depth,
            "valid": self.valid,
            "kind": self.kind,
            "camera": self.camera.to_dict(),
            "confidence": self.confidence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DepthResult:
        """Inverse of `to_dict`; nested lists are taken too."""
        camera = values.get("camera")
        return cls(
            np.asarray(values["depth"], np.float32),
            values.get("valid"),
            values.get("kind", "metric"),
            camera_from_dict(camera) if isinstance(camera, Mapping) else camera,
            values.get("confidence"),
        )
