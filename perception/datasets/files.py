"""What the readers of files share: reading with one kind of error, a list of entries, a check of what is missing or broken.

A reader lists its entries (dictionaries of paths, one a sample) without opening them; a missing file is found when the reader is
built, a broken one when it is read or by `check`. Both name the first five and the number of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.resize import resize_sample
from perception.errors import DatasetError, PerceptionError
from perception.io.text import read_text

Entry = dict[str, Any]


def read_image(path: str | Path, flags: int | None = None) -> np.ndarray:
    """Decode an image file as OpenCV does (BGR for colour). Raises `DatasetError` with the file's name."""
    import cv2

    flags = cv2.IMREAD_UNCHANGED if flags is None else flags
    try:
        data = np.fromfile(str(path), np.uint8)
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise DatasetError(f"{str(path)!r} is not an image that can be decoded ({data.size} bytes)")
    return image


def read_rgb(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB. EXIF rotation is ignored: labels are stored for the raw raster. Raises `DatasetError`."""
    import cv2

    bgr = read_image(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def read_depth_png(path: str | Path, units_per_metre: float, missing: Sequence[int] = (0,)) -> np.ndarray:
    """16-bit depth image -> (H, W) float32 metres, 0 where the stored value is one of `missing`. Raises `DatasetError`."""
    raw = read_image(path)
    if raw.ndim != 2 or raw.dtype not in (np.uint16, np.uint8):
        raise DatasetError(f"{str(path)!r}: expected a 16-bit image of one channel, found {raw.dtype} {raw.shape}")
    depth = raw.astype(np.float32) / units_per_metre
    depth[np.isin(raw, list(missing))] = 0.0
    return depth


def image_tensor(rgb: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


def depth_tensors(depth: np.ndarray) -> dict[str, torch.Tensor]:
    """(H, W) metres, 0 or not finite where unknown -> ``depth`` float32 and ``depth_valid`` bool."""
    valid = np.isfinite(depth) & (depth > 0)
    return {
        "depth": torch.from_numpy(np.where(valid, depth, 0).astype(np.float32)),
        "depth_valid": torch.from_numpy(valid),
    }


def matrix_tensor(fx: float, fy: float, cx: float, cy: float) -> torch.Tensor:
    """(3, 3) float32 intrinsics; pass cx, cy with pixel centres at integer + 0.5."""
    return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float32)


@dataclasses.dataclass
class CheckReport:
    """What a look at all files of a data set found. `figures` are the reader's own statistics in words, `values` those that others compare.

    `warnings` are doubts that need a person's eye; the check passes with them.
    """

    name: str
    samples: int
    missing: list[str] = dataclasses.field(default_factory=list)
    broken: list[str] = dataclasses.field(default_factory=list)
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)
    values: dict[str, float] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing and not self.broken and self.samples > 0

    def text(self, most: int | None = 5) -> str:
        """A few lines for people: counts, the first `most` problems of each kind (None: all), the figures."""
        lines = [
            f"{self.name}: {self.samples} samples, {len(self.missing)} missing files, {len(self.broken)} broken samples"
        ]
        for title, items in (("missing", self.missing), ("broken", self.broken)):
            shown = items[:most]
            lines += [f"  {title}: {item}" for item in shown]
            if len(shown) < len(items):
                lines.append(f"  ... and {len(items) - len(shown)} more {title}")
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


class FileDataset:
    """Base of the readers of files: subclasses pass their entries and write `load(entry, index) -> sample`.

    missing  "raise": a listed file that does not exist is a `DatasetError` at once; "skip": such entries are left out, and counted in
             `skipped`
    size     None, or (height, width) that every sample is resized to;  fit  "crop" | "stretch" (`resize_sample`)
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        root: str | Path,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        if missing not in ("raise", "skip"):
            raise DatasetError(f"{type(self).__name__}: missing must be 'raise' or 'skip'; found {missing!r}")
        self.root, self.size, self.fit = Path(root), None if size is None else (int(size[0]), int(size[1])), fit
        self.entries = list(entries)
        self.skipped: list[str] = []
        self.absent = [[str(p) for p in _paths(entry) if not p.exists()] for entry in self.entries]
        lost = [path for paths in self.absent for path in paths]
        if lost and (missing == "raise" or all(self.absent)):
            raise DatasetError(
                f"{type(self).__name__}: {len(lost)} files of {len(self.entries)} samples are missing under {str(self.root)!r}; first: "
                + ", ".join(lost[:5])
            )
        if lost:
            self.skipped = lost
            self.entries = [entry for entry, paths in zip(self.entries, self.absent, strict=True) if not paths]
        if not self.entries:
            raise DatasetError(f"{type(self).__name__}: no sample found under {str(self.root)!r}; {self.layout()}")

    def layout(self) -> str:
        """One clause that says what files are expected where."""
        return f"see datasets/ for the layout of {type(self).__name__}"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        """Read one sample at its full size."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} samples; found index {index}")
        index = int(index) % len(self)
        sample = self.load(self.entries[index], index)
        _, height, width = sample["image"].shape
        meta = {"name": self.name_of(self.entries[index]), "index": index, "width": width, "height": height}
        sample["meta"] = {**meta, **sample.get("meta", {})}
        return sample if self.size is None else resize_sample(sample, self.size, self.fit)

    def name_of(self, entry: Entry) -> str:
        """What identifies an entry in messages: its image's path under the root."""
        path = Path(entry["image"])
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def check(self, progress: Callable[[Iterable], Iterable] = iter) -> CheckReport:
        """Read every sample and report what is missing or broken, with the ranges of what was read."""
        report = CheckReport(type(self).__name__, len(self), list(self.skipped))
        figures = Figures()
        for index in progress(range(len(self))):
            try:
                figures.add(self[index])
            except PerceptionError as error:
                report.broken.append(f"{self.name_of(self.entries[index])}: {error}")
            except Exception as error:  # a broken file may raise anything; the check must go on
                report.broken.append(f"{self.name_of(self.entries[index])}: {type(error).__name__}: {error}")
        report.figures, report.values = figures.summary(), figures.values()
        return report


class Figures:
    """Ranges over the samples of a check: image sizes, depth limits and valid share, labels, boxes."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.depth: list[tuple[float, float, float, float]] = []
        self.labels: dict[str, np.ndarray] = {}
        self.boxes = 0

    def add(self, sample: Mapping[str, Any]) -> None:
        _, height, width = sample["image"].shape
        self.sizes[f"{width}x{height}"] = self.sizes.get(f"{width}x{height}", 0) + 1
        if "depth" in sample:
            valid = sample["depth"][sample["depth_valid"]]
            if valid.numel():
                share = valid.numel() / sample["depth"].numel()
                self.depth.append((float(valid.min()), float(valid.median()), float(valid.max()), share))
            else:
                self.depth.append((np.nan, np.nan, np.nan, 0.0))
        for name in ("semantic", "labels3d"):
            if name in sample and sample[name].numel():
                counts = np.bincount(sample[name].numpy().ravel().clip(0, 4095), minlength=256)
                held = self.labels.get(name, np.zeros(0, np.int64))
                total = np.zeros(max(len(held), len(counts)), np.int64)
                total[: len(held)] += held
                total[: len(counts)] += counts
                self.labels[name] = total
        self.boxes += len(sample.get("boxes3d", ()))

    def values(self) -> dict[str, float]:
        """depth_median [m; of the images' medians] and depth_share (0..1) where there is depth."""
        if not self.depth:
            return {}
        _, middle, _, share = np.array(self.depth).T
        known = middle[np.isfinite(middle)]
        median = {"depth_median": float(np.median(known))} if len(known) else {}
        return {**median, "depth_share": float(share.mean())}

    def summary(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"sizes": ", ".join(f"{size} ({n})" for size, n in sorted(self.sizes.items())[:8])}
        if self.depth:
            low, middle, high, share = np.array(self.depth).T
            empty = int((share == 0).sum())
            figures["depth [m]"] = (
                f"min {np.nanmin(low):.3f}, median of medians {np.nanmedian(middle):.3f}, max {np.nanmax(high):.3f}, "
                f"valid share {share.mean():.3f} ({share.min():.3f}..{share.max():.3f})"
            )
            if empty:
                figures["samples without depth"] = empty
        for name, counts in self.labels.items():
            present = np.flatnonzero(counts)
            figures[name] = (
                f"{len(present)} labels: {', '.join(map(str, present[:12]))}{' ...' if len(present) > 12 else ''}"
            )
        if self.boxes:
            figures["3D boxes"] = self.boxes
        return figures


def _paths(entry: Entry) -> list[Path]:
    return [value for value in entry.values() if isinstance(value, Path)]


def existing_folder(root: str | Path, what: str, *parts: str) -> Path:
    """Return ``root/part`` for the first of `parts` that is a folder. Raises `DatasetError` that names what was looked for."""
    root = Path(root).expanduser()
    for part in parts or ("",):
        if (root / part).is_dir():
            return root / part
    wanted = " or ".join(repr(str(root / part)) for part in parts or ("",))
    raise DatasetError(f"{what}: no folder {wanted}; download the data set or correct `root`")


def read_lines(path: str | Path, what: str) -> list[str]:
    """Non-empty lines of a list file. Raises `DatasetError`."""
    try:
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not a text file" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise DatasetError(f"{what}: the list {str(path)!r} cannot be read: {reason}") from error
