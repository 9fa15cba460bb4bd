"""NYU Depth v2: the labelled MATLAB file, and the picture folders that most depth code trains on.

NYUv2        nyu_depth_v2_labeled.mat (MATLAB 7.3 = HDF5, extra `nyu`): 1449 frames of 480x640 with depth, 894 labels and instances. h5py shows MATLAB's
             axes reversed: images (1449, 3, 640, 480), depths (1449, 640, 480). splits.mat and classMapping40.mat beside it (1-based!).
NYUv2Folder  SCENE/rgb_NNNNN.jpg + SCENE/sync_depth_NNNNN.png (BTS; 16 bit, millimetres), NNNNN_colors.png + NNNNN_depth.png (16 bit, millimetres), or
             SCENE/N.jpg + SCENE/N.png (DenseDepth's 8-bit training copy, 255 = 10 m); a list file "rgb depth focal" chooses and orders.

The intrinsics are the toolbox's of the colour camera; its principal point counts pixels from 1, so 0.5 is taken off for centres at 0.5.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import (
    Entry,
    FileDataset,
    depth_tensors,
    existing_folder,
    image_tensor,
    matrix_tensor,
    read_depth_png,
    read_lines,
    read_rgb,
)
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.geometry.cameras import Pinhole

FX, FY, CX, CY = 518.857901, 519.469611, 325.582449 - 0.5, 253.736166 - 0.5  # at 640x480
FRAMES, TRAIN, TEST = 1449, 795, 654


def nyu_camera(width: int = 640, height: int = 480) -> Pinhole:
    """The colour camera at a size (the whole picture scaled)."""
    sx, sy = width / 640, height / 480
    return Pinhole(FX * sx, FY * sy, CX * sx, CY * sy, width, height, source="file")


def add_normals(sample: dict[str, Any], camera: Pinhole) -> dict[str, Any]:
    """Add ``normals`` (3, H, W) computed from the sample's depth."""
    from perception.geometry.pointcloud import normals_from_depth

    normals, _ = normals_from_depth(sample["depth"].numpy(), camera, sample["depth_valid"].numpy())
    sample["normals"] = torch.from_numpy(np.ascontiguousarray(normals.transpose(2, 0, 1)))
    return sample


@register_dataset
class NYUv2(FileDataset):
    """The labelled frames.

    root     folder with nyu_depth_v2_labeled.mat (or the file);  split  "train" (795), "test" (654), "all", or 0-based frame numbers
    depth    "filled" (in-painted) or "raw" (holes stay unknown)
    labels   40 (needs classMapping40.mat; 255 unlabelled), 894 (-1 unlabelled) or None: ``semantic`` 0..labels-1 and ``instance``
    normals  None, or "depth": computed from the depth
    """

    def __init__(
        self,
        root: str | Path,
        split: str | Sequence[int] = "train",
        depth: str = "filled",
        labels: int | None = 40,
        normals: str | None = None,
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        path = Path(root).expanduser()
        path = path / "nyu_depth_v2_labeled.mat" if path.is_dir() else path
        if not path.is_file():
            raise DatasetError(
                f"NYUv2: no file {str(path)!r}; download nyu_depth_v2_labeled.mat (2.8 GB) or correct `root`"
            )
        if depth not in ("filled", "raw") or labels not in (40, 894, None) or normals not in (None, "depth"):
            raise DatasetError(
                f"NYUv2: depth is 'filled' or 'raw', labels 40, 894 or None, normals None or 'depth'; found {depth!r}, {labels!r}, {normals!r}"
            )
        self.path, self.depth_field, self.labels, self.normals = (
            path,
            {"filled": "depths", "raw": "rawDepths"}[depth],
            labels,
            normals,
        )
        self._file: Any = None
        self._owner = 0  # process that opened the file
        self.table = class_table(path.parent) if labels == 40 else None
        numbers = self._frames(split)
        super().__init__([{"image": path, "frame": int(n)} for n in numbers], path.parent, size=size, fit=fit)

    def _frames(self, split: str | Sequence[int]) -> Sequence[int]:
        count = self._field("images").shape[0]
        if not isinstance(split, str):
            return split
        if split == "all":
            return range(count)
        listed = _load_mat(self.path.parent / "splits.mat", "NYUv2 splits")
        key = {"train": "trainNdxs", "test": "testNdxs"}.get(split)
        if key is None or key not in listed:
            raise DatasetError(f"NYUv2: split must be 'train', 'test', 'all' or frame numbers; found {split!r}")
        return [int(n) - 1 for n in np.ravel(listed[key])]  # MATLAB counts from 1

    def _field(self, name: str) -> Any:
        if (
            self._file is None or self._owner != os.getpid()
        ):  # a forked worker must not share the place where its parent reads
            try:
                import h5py
            except ImportError:
                raise DatasetError("NYUv2: the .mat file needs an extra: pip install 'perception3d[nyu]'") from None
            try:
                self._file, self._owner = h5py.File(self.path, "r"), os.getpid()
            except OSError as error:
                raise DatasetError(f"NYUv2: {str(self.path)!r} is not a readable MATLAB 7.3 file: {error}") from error
        if name not in self._file:
            raise DatasetError(f"NYUv2: {str(self.path)!r} has no field {name!r}; found {', '.join(self._file)}")
        return self._file[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}  # each worker opens the file for itself

    def name_of(self, entry: Entry) -> str:
        return f"{self.path.name}[{entry['frame']}]"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        at = entry["frame"]
        rgb = self._field("images")[at].transpose(2, 1, 0)  # (3, W, H) -> (H, W, 3)
        height, width = rgb.shape[:2]
        camera = nyu_camera(width, height)
        sample: dict[str, Any] = {
            "image": image_tensor(rgb),
            "intrinsics": matrix_tensor(camera.fx, camera.fy, camera.cx, camera.cy),
            **depth_tensors(self._field(self.depth_field)[at].T.astype(np.float32)),
        }
        if self.labels is not None:
            raw = self._field("labels")[at].T.astype(np.int64)
            number = self._field("instances")[at].T.astype(np.int64)
            semantic = raw if self.table is None else self.table[np.clip(raw, 0, len(self.table) - 1)]
            sample["semantic"] = torch.from_numpy(
                np.where(semantic == 0, 255 if self.labels == 40 else -1, semantic - 1)
            )
            # An instance is a (label, number) pair; ids are counted through the picture.
            pair = np.where(raw > 0, raw * 1024 + number, 0)
            ids = np.unique(pair, return_inverse=True)[1].reshape(pair.shape) + (0 if (pair == 0).any() else 1)
            sample["instance"] = torch.from_numpy(ids.astype(np.int32))
        return add_normals(sample, camera) if self.normals else sample


def class_table(folder: Path) -> np.ndarray:
    """(895,) table from the 894 labels (0 = unlabelled) to 1..40, 0 unlabelled. Raises `DatasetError`."""
    mapping = _load_mat(folder / "classMapping40.mat", "NYUv2 classes")
    if "mapClass" not in mapping:
        raise DatasetError(f"NYUv2: {str(folder / 'classMapping40.mat')!r} has no field 'mapClass'")
    return np.concatenate([[0], np.ravel(mapping["mapClass"]).astype(np.int64)])


def _load_mat(path: Path, what: str) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        return loadmat(str(path))
    except (OSError, ValueError, NotImplementedError) as error:
        raise DatasetError(f"{what}: {str(path)!r} cannot be read: {error}") from error


@register_dataset
class NYUv2Folder(FileDataset):
    """Picture folders, see the module.

    root     the folder;  listing  None (every pair found) or a list file "rgb depth [focal]" with paths relative to the root; entries whose depth is
             "None" are left out
    scale    stored units a metre of 16-bit depth;  normals  None or "depth";  missing, size, fit  see `FileDataset`
    """

    def __init__(
        self,
        root: str | Path,
        listing: str | Path | None = None,
        scale: float = 1000.0,
        normals: str | None = None,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "NYUv2")
        self.scale, self.normals = float(scale), normals
        entries = _found_pairs(root) if listing is None else _listed_pairs(root, listing)
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected SCENE/rgb_NNNNN.jpg with sync_depth_NNNNN.png, NNNNN_colors.png with NNNNN_depth.png, or SCENE/N.jpg with N.png"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        depth = read_depth_png(entry["depth"], self.scale)
        if depth.shape != rgb.shape[:2]:
            raise DatasetError(
                f"{str(entry['depth'])!r}: depth of shape {depth.shape} belongs to a picture of {rgb.shape[:2]}"
            )
        if _is_eight_bit(entry["depth"]):
            depth = depth * (self.scale / 25.5)  # DenseDepth's copy: 255 = 10 m
        camera = nyu_camera(rgb.shape[1], rgb.shape[0])
        sample = {
            "image": image_tensor(rgb),
            "intrinsics": matrix_tensor(camera.fx, camera.fy, camera.cx, camera.cy),
            **depth_tensors(depth),
        }
        return add_normals(sample, camera) if self.normals else sample


def _is_eight_bit(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(25)[24:25] == b"\x08"  # bit depth in the PNG header


def _found_pairs(root: Path) -> list[Entry]:
    entries = []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        stem = path.stem
        if stem.startswith("rgb_"):
            depth = path.with_name(f"sync_depth_{stem[4:]}.png")
        elif stem.endswith("_colors"):
            depth = path.with_name(f"{stem[:-7]}_depth.png")
        elif path.suffix.lower() in (".jpg", ".jpeg"):
            depth = path.with_suffix(".png")
            if not depth.exists():
                continue
        else:
            continue
        entries.append({"image": path, "depth": depth})
    return entries


def _listed_pairs(root: Path, listing: str | Path) -> list[Entry]:
    entries = []
    for line in read_lines(listing, "NYUv2"):
        words = line.replace(",", " ").split()
        if len(words) < 2:
            raise DatasetError(f"NYUv2: a line of {str(listing)!r} must name a picture and its depth; found {line!r}")
        if words[1] != "None":
            entries.append({"image": root / words[0].lstrip("/"), "depth": root / words[1].lstrip("/")})
    return entries
