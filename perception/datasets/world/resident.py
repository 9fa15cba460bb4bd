"""Prerendered frames held in memory (the GPU's, where there is one), handed out as whole batches in compact types.

``{"type": "ResidentWorld", "cache": "out/world", "kind": "mixed", "seeds": [0, 9999], "size": [192, 256]}`` renders what is not there yet, as
``type="World"`` does; ``{"type": "ResidentWorld", "folder": "out/world/world-1a2b3c"}`` reads folders that `prerender` made (several: a list).

A frame of 192 x 256 takes about 440 kB. A batch is one gather of each array; types of the contract (float32 depth, normals, int64 classes) are made
by `on_device` after the batch is on the device that trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.registry import register_dataset
from perception.datasets.world import classes
from perception.datasets.world.cache import ARRAYS, PrerenderedWorld
from perception.errors import DatasetError, RecipeError

_TEXT = ("name", "kind", "style")


@register_dataset
class ResidentWorld(torch.utils.data.Dataset):
    """Samples with ``image, intrinsics, depth, depth_valid, normals, semantic, instance, meta`` as far as they were rendered.

    Args:
        folder: folder or folders that `perception.datasets.world.cache.prerender` made.
        cache: instead of `folder`: where `World` keeps its frames; `options` are the arguments of `World`.
        device: where frames are held: "cpu", "cuda" or "auto" (the GPU where there is one). On a GPU use num_workers=0.
        labels: "classes" or "groups" (`classes.TRAINING_GROUPS`).
        limit: hold only the first so many frames of each folder.

    Raises `DatasetError` for folders without frames or frames that do not fit into memory.
    """

    def __init__(
        self,
        folder: str | Sequence[str] | None = None,
        cache: str | None = None,
        device: str = "cpu",
        labels: str = "classes",
        limit: int | None = None,
        **options: Any,
    ) -> None:
        if labels not in ("classes", "groups"):
            raise RecipeError(f"labels of ResidentWorld must be 'classes' or 'groups', found {labels!r}")
        if (folder is None) == (cache is None):
            raise RecipeError("ResidentWorld needs either `folder` or `cache`")
        if folder is None:
            from perception.datasets.world.dataset import WorldDataset

            sources = [WorldDataset(cache=cache, labels=labels, **options).rendered]
        else:
            folders = [folder] if isinstance(folder, str | Path) else folder
            sources = [PrerenderedWorld(path) for path in folders]
        self.labels = labels
        self.device = (
            torch.device("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else torch.device(device)
        )
        self._lookup: dict[torch.device, torch.Tensor] = {}
        self._load(sources, limit)

    def _load(self, sources: list[PrerenderedWorld], limit: int | None) -> None:
        """Fill one set of arrays for each picture size."""
        parts: dict[tuple[int, int], list[dict]] = {}
        numbers: dict[tuple[int, int], list[np.ndarray]] = {}
        start = 0
        for source in sources:
            held = 0
            for block in source.blocks():
                count = len(block["image"]) if limit is None else min(len(block["image"]), limit - held)
                if count <= 0:
                    break
                size = tuple(block["image"].shape[1:3])
                parts.setdefault(size, []).append((block, count))
                numbers.setdefault(size, []).append(np.arange(start, start + count))
                start, held = start + count, held + count
        if not start:
            raise DatasetError("ResidentWorld found no frames; name folders that prerender made")
        self._place = np.zeros((start, 2), dtype=np.int64)  # frame -> (size, row)
        self._arrays: list[dict[str, torch.Tensor]] = []
        self._meta: list[dict[str, list[str]]] = []
        self.groups = {size: np.concatenate(found) for size, found in numbers.items()}
        for place, (size, found) in enumerate(parts.items()):
            rows = len(self.groups[size])
            self._place[self.groups[size], 0] = place
            self._place[self.groups[size], 1] = np.arange(rows)
            arrays: dict[str, torch.Tensor] = {}
            try:
                for name in (name for name in ARRAYS if name in found[0][0]):
                    arrays[name] = self._joined(name, found, rows)
            except (RuntimeError, MemoryError) as error:
                raise DatasetError(
                    f"{rows} frames of {size[0]} x {size[1]} do not fit into the memory of {self.device}; hold fewer with `limit`"
                ) from error
            frames = {key: np.concatenate([b["frames"][key][:n] for b, n in found]) for key in found[0][0]["frames"]}
            if "intrinsics" in frames:
                arrays["intrinsics"] = torch.from_numpy(frames["intrinsics"].astype(np.float32)).to(self.device)
            self._arrays.append(arrays)
            self._meta.append({key: [str(v).strip() for v in frames[key]] for key in _TEXT if key in frames})

    def _joined(self, name: str, found: list[tuple[dict, int]], rows: int) -> torch.Tensor:
        first = found[0][0][name]
        kind = np.int16 if first.dtype == np.uint16 else first.dtype  # torch gathers no uint16; the bits are the same
        joined = torch.empty(
            (rows, *first.shape[1:]), dtype=torch.from_numpy(np.empty(0, kind)).dtype, device=self.device
        )
        start = 0
        for block, count in found:
            part = np.array(block[name][:count]).view(kind)
            joined[start : start + count].copy_(torch.from_numpy(part))
            start += count
        return joined

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the semantic labels."""
        return classes.NAMES if self.labels == "classes" else classes.TRAINING_GROUPS

    def __len__(self) -> int:
        return len(self._place)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Return a compact batch of frames of one size; `on_device` finishes it. Raises `DatasetError` for mixed sizes."""
        places = self._place[list(indices)]
        if (places[:, 0] != places[0, 0]).any():
            raise DatasetError("a batch of ResidentWorld must hold frames of one size; draw it from one of `groups`")
        arrays, meta = self._arrays[places[0, 0]], self._meta[places[0, 0]]
        rows = torch.from_numpy(places[:, 1]).to(self.device)
        batch: dict[str, Any] = {name: array.index_select(0, rows) for name, array in arrays.items()}
        height, width = batch["image"].shape[1:3]
        batch["meta"] = [
            {
                **{key: values[row] for key, values in meta.items()},
                "width": width,
                "height": height,
                "index": int(index),
            }
            for index, row in zip(indices, places[:, 1], strict=True)
        ]
        return batch

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one finished sample."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} is outside 0..{len(self) - 1}")
        batch = self.on_device(self.__getitems__([index % len(self)]))
        return {name: value[0] for name, value in batch.items()}

    def on_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Turn a compact batch into the types of the contract, wherever it is."""
        new = dict(batch)
        new["image"] = batch["image"].permute(0, 3, 1, 2)  # (B, 3, H, W), channels-last in memory
        if "depth" in batch:
            new["depth"] = batch["depth"].float()
            new["depth_valid"] = new["depth"] > 0
        if "normals" in batch:
            new["normals"] = torch.nn.functional.normalize(batch["normals"].permute(0, 3, 1, 2).float(), dim=1)
        if "semantic" in batch:
            new["semantic"] = self._table(batch["semantic"].device)[batch["semantic"].long()]
        if "instance" in batch:
            new["instance"] = batch["instance"].int() & 0xFFFF
        return new

    def _table(self, device: torch.device) -> torch.Tensor:
        if device not in self._lookup:
            table = classes.GROUP_OF if self.labels == "groups" else np.arange(256)
            self._lookup[device] = torch.from_numpy(np.asarray(table).astype(np.int64)).to(device)
        return self._lookup[device]
