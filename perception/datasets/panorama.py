"""Panoramas (equirectangular, 2:1) with depth. Depth is the RANGE along each pixel's ray, metres, 0 unknown; there are no intrinsics.

Stanford2D3D  area_*/pano/{rgb,depth}/camera_ID_ROOM_frame_equirectangular_domain_{rgb,depth}.png   16 bit, metres * 512, 65535 unknown
Matterport3D  SCENE/pano_skybox_color/ID.jpg with SCENE/pano_depth/ID.png (UniFuse's stitching)      16 bit, metres * 4000, 0 unknown
Panorama3D60  {Matterport3D,Stanford2D3D,SunCG,...}/*_color_*.png with *_depth_*.exr                 metres, far background is unknown
PanoSUNCG     see `perception.datasets.panosuncg`
PanoramaFolder  one's own: NAME/image.* with NAME/depth.*, or images/ with depth/ (`ImageFolder`, depth_kind "range")

A list file has one line a sample, ``rgb depth``, relative to the root; OmniFusion's and UniFuse's lists work (a leading "/" is dropped). Bring samples
to a fixed size with ``size=(512, 1024), fit="stretch"``: depth takes the nearest pixel, so unknown values never bleed into known ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from perception.datasets.files import (
    CheckReport,
    Entry,
    FileDataset,
    depth_tensors,
    existing_folder,
    image_tensor,
    read_depth_png,
    read_image,
    read_lines,
    read_rgb,
)
from perception.datasets.folder import ImageFolder
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.io.depth_files import read_depth

STANFORD_FOLDS = {
    "train": ("area_1", "area_2", "area_3", "area_4", "area_6"),
    "test": ("area_5", "area_5a", "area_5b"),
    "all": (),
}


class PanoramaDataset(FileDataset):
    """Base of the readers: entries come from a list file or from `find`; subclasses say how depth is stored.

    root, listing   as in the module;  min_depth, max_depth  truth outside (metres) is unknown;  missing, size, fit  see `FileDataset`
    """

    def __init__(
        self,
        root: str | Path,
        listing: str | Path | None = None,
        min_depth: float = 0.0,
        max_depth: float = float("inf"),
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "stretch",
    ) -> None:
        root = existing_folder(root, type(self).__name__)
        self.min_depth, self.max_depth = float(min_depth), float(max_depth)
        entries = self.find(root) if listing is None else listed_pairs(root, listing, type(self).__name__)
        super().__init__(entries, root, missing, size, fit)

    # Numbers of samples in published lists, and stored values of single files that people have posted: {name pattern: (least, largest known,
    # largest)}.
    published: ClassVar[dict[str, int]] = {}
    known_files: ClassVar[dict[str, tuple[int, int, int]]] = {}
    # Medians [m] that indoor panoramas have; others point to a wrong unit.
    usual_median: ClassVar[tuple[float, float]] = (0.7, 6.0)

    def check(self, progress: Callable[[Iterable], Iterable] = iter) -> CheckReport:
        """`FileDataset.check`, compared with what is known of the data set: counts, single files, the usual depth."""
        report = super().check(progress)
        report.figures["stored depth"] = self.stored()
        if self.published:
            listed = ", ".join(f"{name} {count}" for name, count in self.published.items())
            same = [name for name, count in self.published.items() if count == len(self)]
            report.figures["published lists"] = (
                f"{listed}; {f'these are as many as {same[0]}' if same else 'another count here'}"
            )
        report.warnings += doubts(report.values, *self.usual_median)
        for entry in self.entries:
            for pattern, expected in self.known_files.items():
                if not entry["depth"].match(pattern):
                    continue
                raw = read_image(entry["depth"])
                found = (int(raw[raw > 0].min()), int(raw[raw < 65535].max(initial=0)), int(raw.max()))
                text = f"{entry['depth'].name}: stored values {found}, known {expected}"
                report.figures["known file"] = text
                if found != expected:
                    report.warnings.append(f"{text}: this is another preparation of the data set")
        return report

    def stored(self) -> str:
        """Unit of the files, in words."""
        raise NotImplementedError

    def find(self, root: Path) -> Iterable[Entry]:
        """Entries {"image", "depth"} under the root."""
        raise NotImplementedError

    def read_range(self, path: Path) -> np.ndarray:
        """(H, W) float32 metres, 0 unknown."""
        raise NotImplementedError

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb, depth = read_rgb(entry["image"]), self.read_range(entry["depth"])
        if depth.shape != rgb.shape[:2]:
            rows = ((np.arange(rgb.shape[0]) + 0.5) * depth.shape[0] / rgb.shape[0]).astype(int)
            columns = ((np.arange(rgb.shape[1]) + 0.5) * depth.shape[1] / rgb.shape[1]).astype(int)
            depth = depth[rows[:, None], columns[None]]
        depth = np.where((depth > self.min_depth) & (depth <= self.max_depth), depth, 0)
        return {"image": image_tensor(rgb), **depth_tensors(depth), "meta": {"depth_kind": "range"}}


def doubts(values: Mapping[str, float], low: float, high: float) -> list[str]:
    """What is odd about the depth of panoramas whose `values` a check found: another median than `low` to `high` metres, or mostly unknown."""
    found = []
    middle = values.get("depth_median")
    if middle is not None and not low <= middle <= high:
        found.append(
            f"the median depth {middle:.3g} m is not what indoor panoramas have ({low:g} to {high:g} m): check the stored unit"
        )
    if values.get("depth_share", 1.0) < 0.3:
        found.append("less than 30 % of the depth is known: check the value that stands for unknown")
    return found


def listed_pairs(root: Path, listing: str | Path, what: str) -> list[Entry]:
    """Entries of a list file ``rgb depth [...]``."""
    entries = []
    for line in read_lines(listing, what):
        words = line.split()
        if len(words) < 2:
            raise DatasetError(f"{what}: a line of {str(listing)!r} must read 'rgb depth'; found {line!r}")
        entries.append({"image": root / words[0].lstrip("/"), "depth": root / words[1].lstrip("/")})
    return entries


@register_dataset
class Stanford2D3D(PanoramaDataset):
    """Stanford 2D-3D-S panoramas. `split`: "train" (areas 1, 2, 3, 4, 6), "test" (area 5), "all"; unused with a list.

    colour  folder of the pictures: "rgb" as released (black poles), "rgb_" where UniFuse's preparation has filled them in
    """

    published: ClassVar[dict[str, int]] = {
        "OmniFusion train": 1040,
        "OmniFusion test": 373,
        "UniFuse train": 1000,
        "UniFuse val": 40,
        "all": 1413,
    }
    # Posted by HoHoNet's authors (issue 5): least, largest known and largest stored value.
    known_files: ClassVar[dict[str, tuple[int, int, int]]] = {
        "area_5a/pano/depth/camera_e7c078fe*_office_11_*_depth.png": (356, 3156, 65535)
    }

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        listing: str | Path | None = None,
        colour: str = "rgb",
        **rest: Any,
    ) -> None:
        if split not in STANFORD_FOLDS:
            raise DatasetError(f"Stanford2D3D: split must be one of {', '.join(STANFORD_FOLDS)}; found {split!r}")
        self.areas, self.colour = STANFORD_FOLDS[split], colour
        super().__init__(root, listing, **rest)

    def layout(self) -> str:
        return "expected area_*/pano/rgb/*_rgb.png with area_*/pano/depth/*_depth.png"

    def find(self, root: Path) -> Iterable[Entry]:
        for path in sorted(root.glob(f"area_*/pano/{self.colour}/*_rgb.png")):
            if not self.areas or path.parents[2].name in self.areas:
                name = path.name.removesuffix("_rgb.png") + "_depth.png"
                yield {"image": path, "depth": path.parents[1] / "depth" / name}

    def read_range(self, path: Path) -> np.ndarray:
        return read_depth_png(path, 512.0, (0, 65535))

    def stored(self) -> str:
        return "16 bit, range in metres * 512; 0 and 65535 unknown"


@register_dataset
class Matterport3D(PanoramaDataset):
    """Matterport3D panoramas in UniFuse's preparation; `units` stored units a metre (4000; DA-2's copy has 2560)."""

    published: ClassVar[dict[str, int]] = {
        "OmniFusion train (holds val)": 8786,
        "UniFuse train": 7829,
        "val": 957,
        "test": 2014,
        "all": 10800,
    }

    def __init__(self, root: str | Path, listing: str | Path | None = None, units: float = 4000.0, **rest: Any) -> None:
        self.units = float(units)
        super().__init__(root, listing, **rest)

    def layout(self) -> str:
        return "expected SCENE/pano_skybox_color/ID.jpg with SCENE/pano_depth/ID.png"

    def find(self, root: Path) -> Iterable[Entry]:
        for path in sorted(root.glob("*/pano_skybox_color/*.jpg")):
            yield {"image": path, "depth": path.parents[1] / "pano_depth" / f"{path.stem}.png"}

    def read_range(self, path: Path) -> np.ndarray:
        return read_depth_png(path, self.units)

    def stored(self) -> str:
        return f"16 bit, range in metres * {self.units:g}; 0 unknown"


@register_dataset
class Panorama3D60(PanoramaDataset):
    """3D60 / 360D / Pano3D renderings: colour pictures with EXR depth. `far`: values beyond it are background (unknown) [m]."""

    published: ClassVar[dict[str, int]] = {
        "OmniDepth test": 1298,
        "Matterport train": 27304,
        "Matterport test": 1016,
        "Stanford": 4636,
        "SunCG": 4351,
        "SceneNet": 1336,
    }

    def __init__(self, root: str | Path, listing: str | Path | None = None, far: float = 20.0, **rest: Any) -> None:
        self.far = float(far)
        super().__init__(root, listing, **rest)

    def layout(self) -> str:
        return "expected pictures *_color_*.png with *_depth_*.exr of the same name"

    def find(self, root: Path) -> Iterable[Entry]:
        for path in sorted(p for p in root.rglob("*.exr") if "depth" in p.name):
            for name in ("color", "rgb"):
                image = path.with_name(path.name.replace("depth", name)).with_suffix(".png")
                if image.exists():
                    yield {"image": image, "depth": path}
                    break

    def read_range(self, path: Path) -> np.ndarray:
        depth, _ = read_depth(path)
        return np.where(depth < self.far, depth, 0)

    def stored(self) -> str:
        return f"float, range in metres; {self.far:g} m and beyond unknown"


@register_dataset
class PanoramaFolder(ImageFolder):
    """One's own panoramas: `ImageFolder` whose depth is the range along the ray; intrinsics, where given, are ignored."""

    def check(self, progress: Callable[[Iterable], Iterable] = iter) -> CheckReport:
        """`FileDataset.check`, with the doubts of `PanoramaDataset.check`; streets and squares may have other medians than rooms."""
        report = super().check(progress)
        report.figures["stored depth"] = (
            "range in metres: .npy, .exr and .pfm as they are, 16 bit by meta.json's depth_scale (else what the file says, else 1000)"
        )
        report.warnings += doubts(report.values, *PanoramaDataset.usual_median)
        return report

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        sample = super().load(entry, index)
        sample.pop("intrinsics", None)
        sample["meta"]["depth_kind"] = "range"
        return sample
