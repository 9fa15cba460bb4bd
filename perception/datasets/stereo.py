"""Stereo pairs and frame pairs of public benchmarks, with disparity or optical flow.

    KITTI 2015   root/training/{image_2,image_3}/NNNNNN_10.png, disp_{occ,noc}_0/NNNNNN_10.png;   image_2/NNNNNN_11.png, flow_{occ,noc}/NNNNNN_10.png
    KITTI 2012   root/training/{colored_0,colored_1}/..., disp_{occ,noc}/...;                     colored_0/NNNNNN_11.png, flow_{occ,noc}/...
    Middlebury   root/SCENE/{im0.png,im1.png,disp0GT.pfm}, calib.txt, mask0nocc.png               2014, 2021 and MiddEval3 scenes
    Scene Flow   root/frames_cleanpass/TRAIN/A/NNNN/{left,right}/FFFF.png, root/disparity/TRAIN/A/NNNN/left/FFFF.pfm

Disparity and flow are in pixels of the first picture; unknown pixels are 0 and False in ``disparity_valid`` / ``flow_valid``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import (
    Entry,
    FileDataset,
    existing_folder,
    image_tensor,
    matrix_tensor,
    read_image,
    read_rgb,
)
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError, PerceptionError
from perception.io.depth_files import read_pfm
from perception.io.flow_files import read_flow_png
from perception.io.text import read_text


class PairDataset(FileDataset):
    """Base of the readers: entries hold ``image``, ``second`` and what `truth` reads.

    crop: (H, W) of a random window, the same in both pictures and the truth, so that pictures of several sizes make batches; None: whole pictures.
    """

    def __init__(self, entries: Any, root: Path, missing: str = "raise", crop: Sequence[int] | None = None) -> None:
        super().__init__(entries, root, missing)
        self.crop = None if crop is None else (int(crop[0]), int(crop[1]))

    def truth(self, entry: Entry) -> dict[str, torch.Tensor]:
        """``disparity`` or ``flow`` with its mask, and ``intrinsics`` and ``baseline`` where they are known."""
        raise NotImplementedError

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        first, second = read_rgb(entry["image"]), read_rgb(entry["second"])
        try:
            sample: dict[str, Any] = {
                "image": image_tensor(first),
                "second": image_tensor(second),
                **self.truth(entry),
            }
        except PerceptionError as error:
            raise DatasetError(f"{self.name_of(entry)}: {error}") from error
        shape = sample["image"].shape[-2:]
        for key in ("second", "disparity", "flow"):
            if key in sample and sample[key].shape[-2:] != shape:
                raise DatasetError(
                    f"{self.name_of(entry)}: {key} of size {tuple(sample[key].shape[-2:])} belongs to a picture of {tuple(shape)}"
                )
        return sample if self.crop is None else self._cropped(sample, entry)

    def _cropped(self, sample: dict[str, Any], entry: Entry) -> dict[str, Any]:
        height, width = sample["image"].shape[-2:]
        rows, columns = self.crop
        if rows > height or columns > width:
            raise DatasetError(
                f"{self.name_of(entry)}: a picture of {width}x{height} has no window of {columns}x{rows}"
            )
        top, left = (int(torch.randint(n + 1, ())) for n in (height - rows, width - columns))
        for key in ("image", "second", "disparity", "disparity_valid", "flow", "flow_valid"):
            if key in sample:
                sample[key] = sample[key][..., top : top + rows, left : left + columns].contiguous()
        if "intrinsics" in sample:
            sample["intrinsics"][:2, 2] -= torch.tensor([left, top], dtype=torch.float32)
        return sample


def disparity_tensors(disparity: np.ndarray, valid: np.ndarray) -> dict[str, torch.Tensor]:
    """(H, W) pixels and mask -> ``disparity`` (0 where unknown) and ``disparity_valid``."""
    known = valid & np.isfinite(disparity)
    return {
        "disparity": torch.from_numpy(np.where(known, disparity, 0).astype(np.float32)),
        "disparity_valid": torch.from_numpy(known),
    }


def _kitti_root(root: str | Path, split: str) -> tuple[Path, Path, bool]:
    if split not in ("training", "testing"):
        raise DatasetError(f"KITTI stereo and flow: split must be 'training' or 'testing'; found {split!r}")
    root = existing_folder(root, "KITTI stereo and flow")
    folder = existing_folder(root, "KITTI stereo and flow", split)
    return root, folder, (folder / "image_2").is_dir()


@register_dataset
class KittiStereo(PairDataset):
    """KITTI 2015 or 2012 (told by their folders). split: "training" (the test set has no truth). occluded: also points that the right camera cannot see."""

    def __init__(
        self,
        root: str | Path,
        split: str = "training",
        occluded: bool = True,
        missing: str = "raise",
        crop: Sequence[int] | None = None,
    ) -> None:
        root, folder, new = _kitti_root(root, split)
        left, right = ("image_2", "image_3") if new else ("colored_0", "colored_1")
        truth = ("disp_occ" if occluded else "disp_noc") + ("_0" if new else "")
        entries = [
            {"image": path, "second": folder / right / path.name, "disparity": folder / truth / path.name}
            for path in sorted((folder / left).glob("*_10.png"))
        ]
        super().__init__(entries, root, missing, crop)

    def layout(self) -> str:
        return "expected training/{image_2,image_3,disp_occ_0}/*_10.png (2015) or {colored_0,colored_1,disp_occ} (2012)"

    def truth(self, entry: Entry) -> dict[str, torch.Tensor]:
        raw = read_image(entry["disparity"])
        if raw.ndim != 2 or raw.dtype != np.uint16:
            raise DatasetError(f"{entry['disparity'].name} must be a 16-bit picture; found {raw.dtype} {raw.shape}")
        return disparity_tensors(raw.astype(np.float32) / 256, raw > 0)


@register_dataset
class KittiFlow(PairDataset):
    """KITTI 2015 or 2012 optical flow. occluded: also points that leave the picture or are hidden in the second frame."""

    def __init__(
        self,
        root: str | Path,
        split: str = "training",
        occluded: bool = True,
        missing: str = "raise",
        crop: Sequence[int] | None = None,
    ) -> None:
        root, folder, new = _kitti_root(root, split)
        pictures, truth = folder / ("image_2" if new else "colored_0"), "flow_occ" if occluded else "flow_noc"
        entries = [
            {
                "image": path,
                "second": path.with_name(path.name.replace("_10", "_11")),
                "flow": folder / truth / path.name,
            }
            for path in sorted(pictures.glob("*_10.png"))
        ]
        super().__init__(entries, root, missing, crop)

    def layout(self) -> str:
        return "expected training/image_2/*_10.png with *_11.png, and flow_occ/*_10.png"

    def truth(self, entry: Entry) -> dict[str, torch.Tensor]:
        flow, valid = read_flow_png(entry["flow"])
        return {
            "flow": torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1))),
            "flow_valid": torch.from_numpy(valid),
        }


def read_middlebury_calibration(path: str | Path) -> dict[str, Any]:
    """``intrinsics`` (3, 3) with centres at integer + 0.5, ``baseline`` metres and ``doffs`` pixels of a calib.txt. Raises `DatasetError`."""
    try:
        lines = dict(line.split("=", 1) for line in read_text(path).split("\n") if "=" in line)
        matrix = [[float(v) for v in row.split()] for row in lines["cam0"].strip(" []").split(";")]
        (fx, _, cx), (_, fy, cy) = matrix[0], matrix[1]
        baseline, doffs = float(lines["baseline"]) / 1000, float(lines["doffs"])
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DatasetError(f"{str(path)!r} is not a Middlebury calibration: {error}") from error
    return {"intrinsics": matrix_tensor(fx, fy, cx + 0.5, cy + 0.5), "baseline": baseline, "doffs": doffs}


@register_dataset
class Middlebury(PairDataset):
    """Middlebury scenes of 2014 and later. occluded: also points that the right camera cannot see (False needs mask0nocc.png). scenes: None for all folders."""

    def __init__(
        self,
        root: str | Path,
        scenes: Sequence[str] | None = None,
        occluded: bool = True,
        missing: str = "raise",
        crop: Sequence[int] | None = None,
    ) -> None:
        root = existing_folder(root, "Middlebury")
        folders = [root / name for name in scenes] if scenes else sorted(p.parent for p in root.glob("*/im0.png"))
        self.occluded = occluded
        super().__init__([self._entry(folder) for folder in folders], root, missing, crop)

    def _entry(self, folder: Path) -> Entry:
        entry: Entry = {name: folder / file for name, file in (("image", "im0.png"), ("second", "im1.png"))}
        entry |= {"disparity": folder / "disp0GT.pfm", "calibration": folder / "calib.txt"}
        if not self.occluded:
            entry["mask"] = folder / "mask0nocc.png"
        if not entry["disparity"].exists() and (folder / "disp0.pfm").exists():
            entry["disparity"] = folder / "disp0.pfm"
        return entry

    def layout(self) -> str:
        return "expected SCENE/im0.png, im1.png, disp0GT.pfm (or disp0.pfm) and calib.txt"

    def truth(self, entry: Entry) -> dict[str, torch.Tensor]:
        disparity = read_pfm(entry["disparity"])
        valid = np.isfinite(disparity) & (disparity > 0)
        if "mask" in entry:
            valid &= read_image(entry["mask"]) == 255
        camera = read_middlebury_calibration(entry["calibration"])
        numbers = {name: torch.tensor(float(camera[name])) for name in ("baseline", "doffs")}
        return {**disparity_tensors(disparity, valid), "intrinsics": camera["intrinsics"], **numbers}


@register_dataset
class SceneFlow(PairDataset):
    """Scene Flow (FlyingThings3D) disparity. split: "TRAIN" or "TEST". passes: "clean" and / or "final"."""

    def __init__(
        self,
        root: str | Path,
        split: str = "TRAIN",
        passes: Sequence[str] = ("clean", "final"),
        missing: str = "raise",
        crop: Sequence[int] | None = None,
    ) -> None:
        root = existing_folder(root, "Scene Flow")
        super().__init__(list(self._find(root, split, passes)), root, missing, crop)

    @staticmethod
    def _find(root: Path, split: str, passes: Sequence[str]) -> Iterator[Entry]:
        for name in passes:
            frames = existing_folder(root, "Scene Flow", f"frames_{name}pass") / split
            for left in sorted(path for path in frames.rglob("*.png") if path.parent.name == "left"):
                place = left.relative_to(root / f"frames_{name}pass")
                yield {
                    "image": left,
                    "second": left.parents[1] / "right" / left.name,
                    "disparity": root / "disparity" / place.with_suffix(".pfm"),
                }

    def layout(self) -> str:
        return "expected frames_cleanpass/TRAIN/A/NNNN/{left,right}/*.png and disparity/TRAIN/A/NNNN/left/*.pfm"

    def truth(self, entry: Entry) -> dict[str, torch.Tensor]:
        disparity = np.abs(read_pfm(entry["disparity"]))  # some copies store the left map negative
        return disparity_tensors(disparity, np.isfinite(disparity))
