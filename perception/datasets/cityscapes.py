"""Cityscapes: root/leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with root/gtFine/SPLIT/CITY/*_gtFine_{labelIds,instanceIds}.png.

labelIds 0..33 become the 19 training classes, 255 elsewhere. instanceIds are label * 1000 + number for instances, the plain label for stuff and for
GROUPS of things, which have no instance here (0). Disparity (``disparity/``, 16 bit, d = (v - 1) / 256, 0 invalid) with ``camera/*.json`` gives depth.
"""

from __future__ import annotations

import json
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
    read_image,
    read_rgb,
)
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.io.text import read_text

CLASSES = (
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation terrain sky person rider car truck bus train motorcycle bicycle"
).split()
LABEL_IDS = (
    7,
    8,
    11,
    12,
    13,
    17,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    31,
    32,
    33,
)  # of the training classes, in order
THINGS = tuple(range(11, 19))
_TRAIN_ID = np.full(256, 255, np.int64)
_TRAIN_ID[list(LABEL_IDS)] = np.arange(len(LABEL_IDS))


@register_dataset
class Cityscapes(FileDataset):
    """Cityscapes fine annotations: ``semantic`` 0..18 (255 ignored), ``instance``; with `depth` also ``depth``, ``intrinsics``."""

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        depth: bool = False,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "Cityscapes")
        folder = existing_folder(root, "Cityscapes", f"leftImg8bit/{split}")
        self.depth = depth
        entries = []
        for path in sorted(folder.rglob("*_leftImg8bit.png")):
            city, stem = path.parent.name, path.name.removesuffix("_leftImg8bit.png")
            truth = root / "gtFine" / split / city
            entry: Entry = {
                "image": path,
                "label": truth / f"{stem}_gtFine_labelIds.png",
                "instance": truth / f"{stem}_gtFine_instanceIds.png",
            }
            if depth:
                entry["disparity"] = root / "disparity" / split / city / f"{stem}_disparity.png"
                entry["camera"] = root / "camera" / split / city / f"{stem}_camera.json"
            entries.append(entry)
        super().__init__(entries, root, missing, size, fit)

    class_names = property(lambda self: list(CLASSES))

    def layout(self) -> str:
        return "expected leftImg8bit/train/CITY/*_leftImg8bit.png with gtFine/train/CITY/*_gtFine_labelIds.png"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        labels, numbers = read_image(entry["label"]), read_image(entry["instance"]).astype(np.int64)
        for name, values in (("label", labels), ("instance", numbers)):
            if values.shape != rgb.shape[:2]:
                raise DatasetError(
                    f"{str(entry[name])!r}: expected one label a pixel of {rgb.shape[:2]}; found shape {values.shape}"
                )
        sample: dict[str, Any] = {
            "image": image_tensor(rgb),
            "semantic": torch.from_numpy(_TRAIN_ID[labels]),
            "instance": torch.from_numpy(_count(numbers).astype(np.int32)),
        }
        if self.depth:
            sample |= self._depth(entry)
        return sample

    def _depth(self, entry: Entry) -> dict[str, torch.Tensor]:
        raw = read_image(entry["disparity"]).astype(np.float32)
        try:
            camera = json.loads(read_text(entry["camera"]))
            inner = camera["intrinsic"]
            baseline = float(camera["extrinsic"]["baseline"])
            fx, fy, u0, v0 = (float(inner[name]) for name in ("fx", "fy", "u0", "v0"))
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{str(entry['camera'])!r} is not a Cityscapes camera: {error}") from error
        disparity = np.where(raw > 0, (raw - 1) / 256.0, 0)
        depth = np.where(disparity > 0, baseline * fx / np.maximum(disparity, 1e-6), 0)
        return {**depth_tensors(depth), "intrinsics": matrix_tensor(fx, fy, u0 + 0.5, v0 + 0.5)}


def _count(numbers: np.ndarray) -> np.ndarray:
    """instanceIds -> 1, 2, ... for instances, 0 for stuff and groups."""
    ids = np.where(numbers >= 1000, numbers, 0)
    found, inverse = np.unique(ids, return_inverse=True)
    start = 0 if found[0] == 0 else 1
    return inverse.reshape(ids.shape) + start
