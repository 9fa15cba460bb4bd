"""PanoSUNCG: panoramas of synthetic houses along paths (Wang et al. 2018). Its owners withdrew the data set in May 2025: this is a reader only.

    root/rotated/{train,val}.txt            scenes, one a line
    root/rotated/SCENE/PATH.txt/I_color.png, I_depth.png      PATH.txt is a FOLDER; I = 0, 1, ...; turned so that the camera looks along the path
    root/labels/SCENE/PATH.txt              the path: one "x y z" a line
or, single panoramas:  root/HOUSE/color/NAME with root/HOUSE/depth/NAME

Depth is the range, 8 bit, metres = v * 10 / 255 (readers disagree, so the factor is an argument).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from perception.datasets.files import Entry, image_tensor, read_image, read_lines, read_rgb
from perception.datasets.panorama import PanoramaDataset
from perception.datasets.registry import register_dataset
from perception.datasets.resize import resize_sample
from perception.errors import DatasetError


@register_dataset
class PanoSUNCG(PanoramaDataset):
    """PanoSUNCG's layouts, see the module.

    split          "train", "val" (the lists), or "all"; for the layout with lists
    offsets        further frames of the path, such as (-1, 1): adds ``neighbours`` (T, 3, H, W) uint8 and ``neighbour_from_camera`` (T, 4, 4)
                   float32 [m], as `WorldPanoramaVideo` does; frames without them, or where the camera stands still, are left out
    metres_at_255  depth of the stored value 255
    """

    published: ClassVar[dict[str, int]] = {"UniFuse train": 19934, "UniFuse val": 1091, "UniFuse test": 3944}

    def __init__(
        self,
        root: str | Path,
        listing: str | Path | None = None,
        split: str = "all",
        offsets: Sequence[int] = (),
        metres_at_255: float = 10.0,
        **rest: Any,
    ) -> None:
        if split not in ("train", "val", "all"):
            raise DatasetError(f"PanoSUNCG: split must be one of train, val, all; found {split!r}")
        if listing is not None and offsets:
            raise DatasetError(
                "PanoSUNCG: offsets need the paths' own lists (`split`); a `listing` has single panoramas"
            )
        self.split, self.offsets = split, tuple(int(step) for step in offsets)
        self.metres_at_255 = float(metres_at_255)
        super().__init__(root, listing, **rest)

    def layout(self) -> str:
        return "expected rotated/SCENE/PATH.txt/I_color.png with I_depth.png, or HOUSE/color/NAME.jpg with HOUSE/depth/NAME.png"

    def find(self, root: Path) -> Iterable[Entry]:
        if (root / "rotated").is_dir():
            yield from self._paths(root)
            return
        if self.offsets:
            raise DatasetError(f"PanoSUNCG: offsets need the layout with paths; no folder {str(root / 'rotated')!r}")
        for path in sorted(p for p in root.glob("*/color/*") if p.suffix.lower() in (".jpg", ".png")):
            depth = path.parents[1] / "depth"
            for name in (f"{path.stem}.png", f"{path.stem}.jpg", path.stem.replace("color", "depth") + ".png"):
                if (depth / name).exists():
                    yield {"image": path, "depth": depth / name}
                    break

    def _paths(self, root: Path) -> Iterator[Entry]:
        if self.split == "all":
            scenes = sorted(p.name for p in (root / "rotated").iterdir() if p.is_dir())
        else:
            scenes = read_lines(root / "rotated" / f"{self.split}.txt", "PanoSUNCG")
        for scene in scenes:
            for folder in sorted(p for p in (root / "rotated" / scene).glob("*") if p.is_dir()):
                frames = sorted(int(p.name.split("_")[0]) for p in folder.glob("*_color.png"))
                poses = self._poses(root, scene, folder.name) if self.offsets else None
                for frame in frames:
                    entry: Entry = {
                        "image": folder / f"{frame}_color.png",
                        "depth": folder / f"{frame}_depth.png",
                    }
                    if poses is not None:
                        others = [frame + step for step in self.offsets]
                        if any(
                            i not in frames or i >= len(poses) or np.isnan(poses[i]).any() for i in [frame, *others]
                        ):
                            continue
                        entry["others"] = [folder / f"{i}_color.png" for i in others]
                        entry["poses"] = np.stack([poses[i] @ np.linalg.inv(poses[frame]) for i in others])
                    yield entry

    @staticmethod
    def _poses(root: Path, scene: str, name: str) -> np.ndarray:
        path = root / "labels" / scene / name
        try:
            places = np.array([line.split() for line in read_lines(path, "PanoSUNCG")], np.float64)
            return camera_from_world_along(places.reshape(-1, 3))
        except ValueError as error:
            raise DatasetError(f"{str(path)!r} must hold one 'x y z' a line: {error}") from error

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        sample = super().load(entry, index)
        if "others" in entry:
            others = [{"image": image_tensor(read_rgb(path)), "meta": {}} for path in entry["others"]]
            if self.size is not None:
                others = [resize_sample(other, self.size, self.fit) for other in others]
            sample["neighbours"] = torch.stack([other["image"] for other in others])
            sample["neighbour_from_camera"] = torch.from_numpy(entry["poses"]).float()
        return sample

    def stored(self) -> str:
        return f"8 bit, range in metres * {255 / self.metres_at_255:g}; 0 unknown"

    def read_range(self, path: Path) -> np.ndarray:
        raw = read_image(path).astype(np.float32)
        grey = raw.mean(-1) if raw.ndim == 3 else raw  # three channels are averaged, as UniFuse does
        return (grey * (self.metres_at_255 / 255.0)).astype(np.float32)


def camera_from_world_along(places: np.ndarray) -> np.ndarray:
    """(N, 3) places of a path -> (N, 4, 4) poses of cameras that look along it, turned about the y axis alone; NaN where it stands still.

    The last frame looks as the one before it. Axes as stored: z is forward after the turn.
    """
    step = np.diff(places, axis=0)
    step = np.concatenate([step, step[-1:]]) if len(step) else np.full_like(places, np.nan)
    length = np.hypot(step[:, 0], step[:, 2])
    with np.errstate(invalid="ignore", divide="ignore"):
        side, ahead = step[:, 0] / length, step[:, 2] / length
    zero, one = np.zeros(len(places)), np.ones(len(places))
    rotation = np.stack(
        [np.stack([ahead, zero, -side], -1), np.stack([zero, one, zero], -1), np.stack([side, zero, ahead], -1)], 1
    )
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, :3, :3] = rotation
    poses[:, :3, 3] = -(rotation @ places[:, :, None])[..., 0]
    return poses


__all__ = ["PanoSUNCG", "camera_from_world_along"]
