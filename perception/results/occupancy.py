"""Which voxels around the vehicle are occupied, and by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.results.base import Result, check_shape, frozen, output_folder, write_json

OCC3D_CLASSES = (
    "others", "barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone", "trailer",
    "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade", "vegetation", "free",
)  # fmt: skip

# Ground and buildings in quiet colours, road users in lively ones; classes by other names get the palette's.
_COLORS = {
    "others": (150, 150, 150), "barrier": (205, 120, 70), "bicycle": (220, 70, 130), "bus": (250, 190, 40), "car": (45, 125, 240),
    "construction_vehicle": (190, 140, 30), "motorcycle": (200, 50, 60), "pedestrian": (235, 30, 60), "traffic_cone": (255, 120, 20),
    "trailer": (130, 80, 200), "truck": (100, 60, 220), "driveable_surface": (112, 116, 124), "other_flat": (150, 140, 130),
    "sidewalk": (188, 180, 170), "terrain": (160, 175, 115), "manmade": (212, 196, 172), "vegetation": (75, 145, 75),
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class OccupancyResult(Result):
    """labels: (X, Y, Z) uint8 class of every voxel, ego frame (x forward, y left, z up); the last class is free space, 255 unknown.

    lower: (3,) lower corner of the volume, metres; size: (3,) edges of a voxel, metres.
    """

    labels: np.ndarray
    lower: Sequence[float]
    size: Sequence[float]
    class_names: Sequence[str] = OCC3D_CLASSES

    def __post_init__(self) -> None:
        labels = frozen(self.labels, np.uint8)
        check_shape("occupancy labels", labels, ("X", "Y", "Z"))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        for name in ("lower", "size"):
            value = tuple(float(v) for v in getattr(self, name))
            if len(value) != 3:
                raise InputError(f"the {name} of an occupancy volume needs 3 numbers (x, y, z); found {len(value)}")
            object.__setattr__(self, name, value)
        known = labels[labels != 255]
        if known.size and known.max() >= len(self.class_names):
            raise InputError(
                f"occupancy labels must lie in 0..{len(self.class_names) - 1} or be 255; found {int(known.max())}"
            )

    @property
    def free(self) -> int:
        """Label of free space."""
        return len(self.class_names) - 1

    @property
    def occupied(self) -> np.ndarray:
        """(X, Y, Z) bool."""
        return (self.labels != self.free) & (self.labels != 255)

    def __repr__(self) -> str:
        return (
            f"OccupancyResult({' x '.join(map(str, self.labels.shape))} voxels of {self.size[0]:g} m, "
            f"{int(self.occupied.sum())} occupied, ego frame)"
        )

    def centres(self) -> np.ndarray:
        """(N, 3) float32 centres of the occupied voxels, metres."""
        index = np.argwhere(self.occupied)
        return ((index + 0.5) * np.array(self.size) + np.array(self.lower)).astype(np.float32)

    def colors(self) -> np.ndarray:
        """(N, 3) uint8 class colours of the occupied voxels."""
        return self.class_colors()[self.labels[self.occupied]]

    def class_colors(self) -> np.ndarray:
        """(C, 3) uint8 colour of every class."""
        from perception.drawing.colors import palette

        table = np.array(palette(len(self.class_names)), np.uint8)
        for i, name in enumerate(self.class_names):
            table[i] = _COLORS.get(name, table[i])
        return table

    def mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Faces between occupied and other voxels: (V, 3) float32 vertices, (F, 3) int32 triangles, (V, 3) uint8 colours."""
        index, colors = np.argwhere(self.occupied), self.colors()
        full = np.pad(self.occupied, 1)
        vertices, shades = [], []
        for axis in range(3):
            others = [a for a in range(3) if a != axis]
            for side in (0, 1):
                step = np.zeros(3, np.int64)
                step[axis] = 2 * side - 1
                open_side = ~full[tuple((index + 1 + step).T)]
                corner = np.repeat(index[open_side][:, None].astype(np.float64), 4, 1)
                corner[..., axis] += side
                square = ((0, 0), (1, 0), (1, 1), (0, 1))
                turn = square if (side == 1) == (axis != 1) else square[::-1]  # counter-clockwise seen from outside
                for k, (a, b) in enumerate(turn):
                    corner[:, k, others[0]] += a
                    corner[:, k, others[1]] += b
                vertices.append(corner.reshape(-1, 3))
                shade = (1.0, 0.8, 0.9)[axis] if axis != 2 else (0.6, 1.0)[side]
                shades.append(np.repeat((colors[open_side] * shade).astype(np.uint8), 4, 0))
        points = np.concatenate(vertices) * np.array(self.size) + np.array(self.lower)
        first = np.arange(0, len(points), 4)[:, None]
        triangles = np.concatenate([first + (0, 1, 2), first + (0, 2, 3)]).astype(np.int32)
        return points.astype(np.float32), triangles, np.concatenate(shades)

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """uint8 RGB view from above, forward is up: the highest occupied voxel of each column, brighter the higher."""
        occupied = self.occupied
        depth = occupied.shape[2]
        top = depth - 1 - np.argmax(occupied[..., ::-1], axis=2)
        any_ = occupied.any(2)
        label = np.take_along_axis(self.labels, top[..., None], 2)[..., 0]
        table = self.class_colors().astype(np.float64)
        colors = table[np.where(any_, label, 0)] * (0.55 + 0.45 * (top / max(depth - 1, 1)))[..., None]
        picture = np.where(any_[..., None], colors, 24).astype(np.uint8)
        picture = picture[::-1, ::-1]  # x forward is up, y left is left
        zoom = max(1, 480 // max(picture.shape[:2]))
        return np.ascontiguousarray(picture.repeat(zoom, 0).repeat(zoom, 1))

    def summary(self) -> dict[str, Any]:
        """JSON-able description."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        return {
            "type": "occupancy",
            "shape": list(self.labels.shape),
            "lower": list(self.lower),
            "voxel": list(self.size),
            "frame": "ego",
            "voxels": {name: int(counts[i]) for i, name in enumerate(self.class_names)},
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write occupancy.npz (``semantics``, as Occ3D), occupancy.ply and occupancy.glb (coloured voxels; the GLB stands upright), .png, .json."""
        from perception.io import atomic_path, glb, images, ply

        folder = output_folder(folder)
        paths = {name: folder / f"occupancy.{name}" for name in ("npz", "ply", "glb", "png", "json")}
        with atomic_path(paths["npz"]) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, semantics=self.labels, lower=self.lower, size=self.size)
        points, triangles, colors = self.mesh()
        if len(points):
            ply.write_ply(paths["ply"], points, colors=colors, faces=triangles)
            glb.write_glb(paths["glb"], glb.camera_axes(points, "ego"), colors=colors, faces=triangles)
        else:
            del paths["ply"], paths["glb"]
        images.write_image(paths["png"], self.preview())
        write_json(paths["json"], self.summary())
        return {f"occupancy_{name}": path for name, path in paths.items()}

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return {"type": "occupancy", **{field.name: getattr(self, field.name) for field in fields(self)}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OccupancyResult:
        """Inverse of `to_dict`."""
        return cls(**{key: value for key, value in values.items() if key != "type"})
