"""One's own pictures with 3D boxes: one JSON in COCO's manner with a camera matrix a picture (Omni3D files fit).

    {"images":      [{"id": 1, "file_name": "a.jpg", "width": W, "height": H, "K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]}],
     "categories":  [{"id": 7, "name": "forklift"}],
     "annotations": [{"image_id": 1, "category_id": 7,
                      "center_cam": [x, y, z],         metres, camera frame (x right, y down, z forward), geometric centre
                      "dimensions": [w, h, l],         metres
                      "yaw": r  or  "R_cam": 3x3,      yaw about the up axis (0 = length along +x), or the rotation whose first column is the length axis
                      "bbox": [x, y, w, h],            optional 2D box, pixels
                      "ignore": false}]}               optional

``pixel_centres`` (top level): 0 (default, OpenCV) or 0.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import Entry, FileDataset, existing_folder, image_tensor, read_rgb
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.geometry import boxes3d
from perception.geometry.cameras import Pinhole
from perception.io.kitti import KittiLabels
from perception.io.text import read_text


@register_dataset
class Coco3D(FileDataset):
    """Pictures with 3D boxes from one JSON, see the module.

    root         folder that the file names are relative to;  annotations  the JSON (relative to the root);  classes  names of the labels 0, 1, ...;
                 None = all categories of the JSON in its order;  missing, size, fit   see `FileDataset`
    Samples are those of `KittiObject`: ``boxes3d``, ``labels3d``, ``boxes2d``, ``truncation`` and ``occlusion`` (0), ``ignored_boxes2d``, and
    ``kitti_labels``, so that the KITTI protocol can score one's own classes.
    """

    def __init__(
        self,
        root: str | Path,
        annotations: str | Path = "annotations.json",
        classes: Sequence[str] | None = None,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "Coco3D")
        path = root / annotations
        try:
            content = json.loads(read_text(path))
            names = {row["id"]: str(row["name"]) for row in content["categories"]}
            boxes: dict[Any, list] = {}
            for row in content["annotations"]:
                boxes.setdefault(row["image_id"], []).append(row)
            entries = [
                {"image": root / row["file_name"], "K": row["K"], "boxes": boxes.get(row["id"], [])}
                for row in content["images"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"Coco3D: {str(path)!r} cannot be read: {type(error).__name__} {error}") from error
        self.names = names
        self.half = 0.5 - float(content.get("pixel_centres", 0.0))
        self.classes = tuple(classes) if classes is not None else tuple(names.values())
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected annotations.json with images, categories, annotations"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        matrix = np.array(entry["K"], np.float64)
        if matrix.shape != (3, 3):
            raise DatasetError(f"{str(entry['image'])!r}: K must be a 3x3 matrix; found shape {matrix.shape}")
        matrix[:2, 2] += self.half
        camera = Pinhole.from_matrix(matrix, rgb.shape[1], rgb.shape[0], source="file")
        try:
            found = np.array([_box(row) for row in entry["boxes"]], np.float64).reshape(-1, 7)
            types = [self.names[row["category_id"]] for row in entry["boxes"]]
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{str(entry['image'])!r}: a 3D box is incomplete: {type(error).__name__} {error}"
            ) from error
        flat = self._boxes2d(entry["boxes"], found, camera)
        ignored = np.array([bool(row.get("ignore")) for row in entry["boxes"]], bool)
        kept = np.array([t in self.classes for t in types], bool) & ~ignored & np.isfinite(flat).all(1)
        labels = KittiLabels.from_boxes(
            ["DontCare" if skip else t for t, skip in zip(types, ignored, strict=True)],
            found,
            np.nan_to_num(flat) - 0.5,
        )

        def tensor(values: Any) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).float()

        return {
            "image": image_tensor(rgb),
            "intrinsics": tensor(camera.matrix),
            "boxes3d": tensor(found[kept]),
            "labels3d": torch.tensor(
                [self.classes.index(t) for t, k in zip(types, kept, strict=True) if k], dtype=torch.int64
            ),
            "boxes2d": tensor(flat[kept]),
            "truncation": torch.zeros(int(kept.sum())),
            "occlusion": torch.zeros(int(kept.sum()), dtype=torch.int64),
            "alpha": tensor(labels.alpha[kept]),
            "ignored_boxes2d": tensor(np.nan_to_num(flat[ignored])),
            "camera_offset": torch.zeros(3, dtype=torch.float64),
            "kitti_labels": labels[np.isfinite(flat).all(1)],
        }

    def _boxes2d(self, rows: Sequence[Mapping[str, Any]], found: np.ndarray, camera: Pinhole) -> np.ndarray:
        """(N, 4) continuous pixels: the given 2D box, else the projection of the 3D box (NaN when it is out of view)."""
        flat = boxes3d.image_boxes(found, camera) if len(found) else np.zeros((0, 4))
        for i, row in enumerate(rows):
            if row.get("bbox"):
                x, y, w, h = (float(v) for v in row["bbox"])
                flat[i] = [x + self.half, y + self.half, x + w + self.half, y + h + self.half]
        return flat


def _box(row: Mapping[str, Any]) -> list[float]:
    x, y, z = (float(v) for v in row["center_cam"])
    width, height, length = (float(v) for v in row["dimensions"])
    if "yaw" in row:
        yaw = float(row["yaw"])
    else:
        heading = np.array(row["R_cam"], np.float64).reshape(3, 3)[:, 0]
        yaw = float(np.arctan2(heading[2], heading[0]))
    return [x, y, z, length, width, height, yaw]
