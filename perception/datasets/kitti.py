"""KITTI object detection: reader and writer of the official layout, splits, calibration, DontCare areas.

    root/training/{image_2,image_3,calib,label_2,velodyne}/NNNNNN.{png,png,txt,txt,bin}
    root/testing/{image_2,...}                       (no label_2)
    root/ImageSets/{train,val,trainval,test}.txt     one stem a line; the usual ("Chen") split has 3712 + 3769 frames

Boxes of a sample live in the frame of its camera (the rectified frame moved by `camera_offset`), where the pinhole `intrinsics`
project exactly; see `perception.io.kitti` for the conventions on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import Entry, FileDataset, existing_folder, image_tensor, read_lines, read_rgb
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.io.kitti import (
    KittiCalibration,
    KittiLabels,
    format_calibration,
    read_calibration,
    read_labels,
    write_labels,
)

CLASSES = ("Pedestrian", "Car", "Cyclist")


@register_dataset
class KittiObject(FileDataset):
    """KITTI object frames.

    root      folder with training/ and testing/
    split     "train", "val", "trainval", "test" (ImageSets/<split>.txt), "all" (every image of training/), a list file, or stems
    classes   names of the labels 0, 1, ...; objects of other types are only in `kitti_labels`
    camera    2 (left colour) or 3 (right colour)
    velodyne  add ``points`` (N, 4) float32: x, y, z in the camera frame [m], reflectance;  depth  add LiDAR depth in the image
    missing, size, fit   see `FileDataset`

    Samples hold ``image``, ``intrinsics``, ``projection`` (3, 4; as on disk, pixel centres at integers), ``camera_offset`` (3,), and for
    labelled frames ``boxes3d``, ``labels3d``, ``boxes2d`` (N, 4; continuous pixels), ``truncation``, ``occlusion``, ``alpha``,
    ``ignored_boxes2d`` (DontCare), and ``kitti_labels``, the file itself (`KittiLabels`).
    """

    def __init__(
        self,
        root: str | Path,
        split: str | Path | Sequence[str] = "train",
        classes: Sequence[str] = CLASSES,
        camera: int = 2,
        velodyne: bool = False,
        depth: bool = False,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "KITTI object data")
        self.classes, self.camera, self.velodyne, self.depth = tuple(classes), int(camera), velodyne, depth
        folder = root / ("testing" if split == "test" else "training")
        entries = []
        for stem in split_stems(root, folder, split, self.camera):
            entry: Entry = {
                "image": _image_path(folder / f"image_{self.camera}", stem),
                "calib": folder / "calib" / f"{stem}.txt",
            }
            if split != "test":
                entry["label"] = folder / "label_2" / f"{stem}.txt"
            if velodyne or depth:
                full = folder / "velodyne" / f"{stem}.bin"
                reduced = folder / "velodyne_reduced" / f"{stem}.bin"
                entry["velodyne"] = reduced if reduced.exists() and not full.exists() else full
            entries.append(entry)
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected training/image_2/NNNNNN.png with calib/ and label_2/ beside it"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        calibration = read_calibration(entry["calib"])
        offset = calibration.offset(self.camera)
        sample: dict[str, Any] = {
            "image": image_tensor(rgb),
            "intrinsics": torch.from_numpy(calibration.intrinsics(self.camera)).float(),
            "projection": torch.from_numpy(calibration.projection(self.camera)).float(),
            "camera_offset": torch.from_numpy(offset),
            "meta": {"stem": entry["image"].stem},
        }
        if "label" in entry:
            sample |= label_tensors(read_labels(entry["label"]), self.classes, offset)
        if "velodyne" in entry:
            points = read_velodyne(entry["velodyne"], calibration, offset)
            if self.velodyne:
                sample["points"] = torch.from_numpy(points)
            if self.depth:
                sample |= project_depth(points[:, :3], sample["intrinsics"].numpy(), rgb.shape[:2])
        return sample


def label_tensors(labels: KittiLabels, classes: Sequence[str], offset: np.ndarray) -> dict[str, Any]:
    """The label entries of a sample (see `KittiObject`)."""
    known = {name: i for i, name in enumerate(classes)}
    chosen = labels[np.array([t in known for t in labels.types], bool)]
    ignored = labels[labels.types == "DontCare"]

    def tensor(values: Any) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    return {
        "boxes3d": tensor(chosen.boxes3d(offset)),
        "labels3d": torch.tensor([known[t] for t in chosen.types], dtype=torch.int64),
        "boxes2d": tensor(chosen.boxes2d + 0.5),
        "truncation": tensor(chosen.truncated),
        "occlusion": torch.from_numpy(chosen.occluded.astype(np.int64)),
        "alpha": tensor(chosen.alpha),
        "ignored_boxes2d": tensor(ignored.boxes2d + 0.5),
        "kitti_labels": labels,
    }


def split_stems(root: Path, folder: Path, split: str | Path | Sequence[str], camera: int = 2) -> list[str]:
    """Stems of a split (see `KittiObject`). Raises `DatasetError`."""
    if isinstance(split, Path):
        return read_lines(split, "KITTI object data")
    if not isinstance(split, str):
        return [str(stem) for stem in split]
    if split == "all":
        return sorted(p.stem for p in folder.glob(f"image_{camera}/*") if p.suffix in (".png", ".jpg"))
    listed = root / "ImageSets" / f"{split}.txt"
    if listed.exists():
        return read_lines(listed, "KITTI object data")
    if Path(split).is_file():
        return read_lines(split, "KITTI object data")
    if split == "test":
        return sorted(p.stem for p in folder.glob(f"image_{camera}/*") if p.suffix in (".png", ".jpg"))
    raise DatasetError(f"KITTI object data: split {split!r} needs the list {str(listed)!r}; or use split='all'")


def read_velodyne(path: str | Path, calibration: KittiCalibration, offset: Sequence[float]) -> np.ndarray:
    """LiDAR sweep -> (N, 4) float32: x, y, z in the camera frame [m], reflectance 0..1. Raises `DatasetError`."""
    try:
        raw = np.fromfile(str(path), np.float32)
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    if raw.size % 4:
        raise DatasetError(f"{str(path)!r}: a sweep holds 4 float32 a point; found {raw.size} values")
    points = raw.reshape(-1, 4).copy()
    matrix = calibration.rectified_from_velodyne()
    points[:, :3] = points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3] + np.asarray(offset)
    return points


def project_depth(points: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """(N, 3) points in the camera frame -> sparse ``depth`` (H, W) [m] and ``depth_valid``; the nearest point of a pixel wins."""
    height, width = size
    points = points[points[:, 2] > 0.1]
    pixels = points @ np.asarray(intrinsics, np.float64).T
    u, v = np.floor(pixels[:, :2] / pixels[:, 2:3]).astype(np.int64).T
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    depth = np.full(height * width, np.inf, np.float32)
    np.minimum.at(depth, v[inside] * width + u[inside], points[inside, 2].astype(np.float32))
    valid = np.isfinite(depth).reshape(height, width)
    depth = np.where(np.isfinite(depth), depth, 0).reshape(height, width)
    return {"depth": torch.from_numpy(depth), "depth_valid": torch.from_numpy(valid)}


def _image_path(folder: Path, stem: str) -> Path:
    jpg = folder / f"{stem}.jpg"
    return jpg if jpg.exists() else folder / f"{stem}.png"


class KittiWriter:
    """Writes frames in the official layout: ``write(...)`` for each, then ``finish()`` for the split lists.

    root: the folder that gets training/ and ImageSets/.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.splits: dict[str, list[str]] = {}

    def write(
        self,
        stem: str,
        image: np.ndarray,
        calibration: KittiCalibration | np.ndarray,
        labels: KittiLabels | None,
        split: str = "train",
        points: np.ndarray | None = None,
    ) -> None:
        """Write one frame.

        image (H, W, 3) uint8 RGB; calibration, or intrinsics (3, 3) of this project's convention; labels None for split "test";
        points (N, 4) float32 in the LiDAR frame of the calibration: x forward, y left, z up, reflectance.
        """
        import cv2

        folder = self.root / ("testing" if split == "test" else "training")
        parts = (
            "image_2",
            "calib",
            *(("velodyne",) if points is not None else ()),
            *(("label_2",) if labels is not None else ()),
        )
        for part in parts:
            (folder / part).mkdir(parents=True, exist_ok=True)
        target = folder / "image_2" / f"{stem}.png"
        if not cv2.imwrite(str(target), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
            raise DatasetError(f"{str(target)!r} cannot be written")
        if not isinstance(calibration, KittiCalibration):
            calibration = KittiCalibration.from_intrinsics(calibration)
        (folder / "calib" / f"{stem}.txt").write_text(format_calibration(calibration))
        if labels is not None:
            write_labels(folder / "label_2" / f"{stem}.txt", labels)
        if points is not None:
            np.asarray(points, "<f4").tofile(str(folder / "velodyne" / f"{stem}.bin"))
        self.splits.setdefault(split, []).append(stem)

    def finish(self) -> None:
        """Write ImageSets/<split>.txt (and trainval.txt where there are both parts)."""
        lists = {name: sorted(stems) for name, stems in self.splits.items()}
        if "train" in lists and "val" in lists:
            lists["trainval"] = sorted([*lists["train"], *lists["val"]])
        (self.root / "ImageSets").mkdir(parents=True, exist_ok=True)
        for name, stems in lists.items():
            (self.root / "ImageSets" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))


def write_results(folder: str | Path, results: Iterable[tuple[str, KittiLabels]]) -> int:
    """Write a submission: one ``NNNNNN.txt`` a frame, empty files for frames without a detection. Returns the number of files.

    Results of an earlier run in `folder` are removed first, so that none of them is evaluated by mistake.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9]*.txt"):
        old.unlink()
    count = 0
    for stem, labels in results:
        write_labels(folder / f"{stem}.txt", labels)
        count += 1
    return count
