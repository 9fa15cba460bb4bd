"""COCO panoptic: root/annotations/panoptic_<split>.json, its PNG folder of the same name, and the pictures root/<split>/.

PNG: id = R + 256 G + 65536 B, 0 = void, ids unique within a picture. Category ids have gaps (1..200 for 133 categories); samples number them
0..132 in the order of the JSON, things and stuff as `things` and `stuff` say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import Entry, FileDataset, existing_folder, image_tensor, read_image, read_rgb
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.io.text import read_text


@register_dataset
class CocoPanoptic(FileDataset):
    """COCO panoptic pictures.

    root, split   as above ("train2017", "val2017");  annotations  another JSON;  images  another picture folder;  missing, size, fit  see `FileDataset`
    Samples: ``semantic`` (255 = void), ``instance`` (things: 1, 2, ... in the picture; crowds and stuff 0), ``panoptic`` ids as stored and
    ``segments`` (dicts: id, category_id numbered 0.., iscrowd, area).
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "val2017",
        annotations: str | Path | None = None,
        images: str | Path | None = None,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "COCO panoptic")
        listing = Path(annotations) if annotations else root / "annotations" / f"panoptic_{split}.json"
        pictures = Path(images) if images else existing_folder(root, "COCO panoptic", split, f"images/{split}")
        try:
            content = json.loads(read_text(listing))
            self.categories = content["categories"]
            files = {image["id"]: image["file_name"] for image in content.get("images", [])}
            entries = [
                {
                    "image": pictures / files.get(row["image_id"], row["file_name"].replace(".png", ".jpg")),
                    "panoptic": listing.with_suffix("") / row["file_name"],
                    "segments": row["segments_info"],
                }
                for row in content["annotations"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"COCO panoptic: {str(listing)!r} cannot be read: {error}") from error
        self.number = {category["id"]: i for i, category in enumerate(self.categories)}
        self.things = [i for i, category in enumerate(self.categories) if category.get("isthing", 1)]
        self.stuff = [i for i, category in enumerate(self.categories) if not category.get("isthing", 1)]
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected annotations/panoptic_val2017.json, annotations/panoptic_val2017/*.png and val2017/*.jpg"

    @property
    def class_names(self) -> list[str]:
        return [category["name"] for category in self.categories]

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb, raw = read_rgb(entry["image"]), read_image(entry["panoptic"])
        if raw.ndim != 3 or raw.shape[:2] != rgb.shape[:2]:
            raise DatasetError(
                f"{str(entry['panoptic'])!r}: expected an RGB id map of {rgb.shape[:2]}; found shape {raw.shape}"
            )
        blue, green, red = np.moveaxis(raw[..., :3].astype(np.int64), -1, 0)
        ids = red + 256 * green + 65536 * blue
        segments = self._segments(entry, ids)
        present, inverse = np.unique(ids, return_inverse=True)
        by_id = {segment["id"]: segment for segment in segments}
        semantic, instance = np.full(len(present), 255), np.zeros(len(present), np.int64)
        things = set(self.things)
        for i, value in enumerate(present.tolist()):
            if value in by_id:
                semantic[i] = by_id[value]["category_id"]
                if semantic[i] in things and not by_id[value]["iscrowd"]:
                    instance[i] = instance.max() + 1
        shape = ids.shape
        return {
            "image": image_tensor(rgb),
            "semantic": torch.from_numpy(semantic[inverse].reshape(shape).astype(np.int64)),
            "instance": torch.from_numpy(instance[inverse].reshape(shape).astype(np.int32)),
            "panoptic": torch.from_numpy(ids.astype(np.int32)),
            "segments": segments,
        }

    def _segments(self, entry: Entry, ids: np.ndarray) -> list[dict[str, int]]:
        segments = []
        for row in entry["segments"]:
            if row["category_id"] not in self.number:
                raise DatasetError(
                    f"{str(entry['panoptic'])!r}: category {row['category_id']} is not in the JSON's categories"
                )
            segments.append(
                {
                    "id": int(row["id"]),
                    "category_id": self.number[row["category_id"]],
                    "iscrowd": int(row.get("iscrowd", 0)),
                    "area": int(row.get("area", 0)),
                }
            )
        unlisted = set(np.unique(ids).tolist()) - {segment["id"] for segment in segments} - {0}
        if unlisted:
            raise DatasetError(f"{str(entry['panoptic'])!r}: id {min(unlisted)} is in the map but not in the JSON")
        return segments
