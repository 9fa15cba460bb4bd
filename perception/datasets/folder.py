"""A plain folder of one's own: a picture, its depth and a few words of JSON; for people whose data set has no reader.

One folder a sample (what ``tools/make_world.py --layout folder`` writes)      or parallel folders
    root/NAME/image.jpg | .png                                                     root/images/NAME.jpg | .png
    root/NAME/depth.png | .npy | .exr | .pfm        optional                       root/depth/NAME.png ...
    root/NAME/normals.npy | .png                    optional                       root/normals/NAME.npy ...
    root/NAME/semantic.png, instance.png            optional                       root/semantic/NAME.png, root/instance/NAME.png
    root/NAME/meta.json                             optional                       root/meta/NAME.json, or one root/meta.json for all

meta.json: ``intrinsics`` 3x3 in pixels (or ``fx, fy, cx, cy``); ``pixel_centres`` 0.5 (default: the first pixel's centre is at 0.5, 0.5) or 0 (OpenCV);
``normalized`` true when intrinsics are fractions of width and height; ``depth_scale`` stored units a metre of a 16-bit depth (default: what the PNG
itself says, else 1000); ``depth_kind`` "z" (default) or "range"; ``depth_missing`` stored values that mean unknown (default [0]).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    read_lines,
    read_rgb,
)
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError
from perception.io.depth_files import read_depth, read_depth_png
from perception.io.images import read_png, write_ids, write_image
from perception.io.normal_files import read_normals
from perception.io.text import read_text

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm")
DEPTHS = (".png", ".npy", ".exr", ".pfm", ".pgm")
_PARTS = {
    "depth": DEPTHS,
    "normals": (".npy", ".png"),
    "semantic": (".png",),
    "instance": (".png",),
    "meta": (".json",),
}


@register_dataset
class ImageFolder(FileDataset):
    """Plain folder, see the module.

    root   the folder;  names  sample names to read, or a list file with one a line; None = all;  depth  whether samples without depth are left out
    intrinsics, depth_scale   defaults for samples whose meta.json is silent: (fx, fy, cx, cy) and stored units a metre
    missing, size, fit   see `FileDataset`
    Samples hold ``image``, and where the files are there ``intrinsics``, ``depth``, ``depth_valid``, ``normals``, ``semantic``, ``instance``.
    """

    def __init__(
        self,
        root: str | Path,
        names: Sequence[str] | str | Path | None = None,
        depth: bool = True,
        intrinsics: Sequence[float] | None = None,
        depth_scale: float | None = None,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "ImageFolder")
        self.default_intrinsics, self.default_scale = intrinsics, depth_scale
        entries = _nested(root) or _parallel(root)
        if names is not None:
            wanted = read_lines(names, "ImageFolder") if isinstance(names, str | Path) else names
            by_name = {entry["name"]: entry for entry in entries}
            unknown = [name for name in wanted if name not in by_name]
            if unknown:
                raise DatasetError(
                    f"ImageFolder: {len(unknown)} names have no sample in {str(root)!r}: {', '.join(unknown[:5])}"
                )
            entries = [by_name[name] for name in wanted]
        if depth:
            entries = [entry for entry in entries if "depth" in entry]
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected NAME/image.jpg with NAME/depth.png, or images/NAME.jpg with depth/NAME.png"

    def name_of(self, entry: Entry) -> str:
        return entry["name"]

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        height, width = rgb.shape[:2]
        meta = read_meta(entry["meta"]) if "meta" in entry else {}
        sample: dict[str, Any] = {"image": image_tensor(rgb), "meta": {}}
        matrix = meta_intrinsics(meta, width, height, str(entry.get("meta", "")))
        if matrix is None and self.default_intrinsics is not None:
            fx, fy, cx, cy = self.default_intrinsics
            matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        if matrix is not None:
            sample["intrinsics"] = torch.from_numpy(matrix).float()
        if "depth" in entry:
            depth = self._depth(entry["depth"], meta)
            _check_size("depth", depth.shape, (height, width), entry["depth"])
            sample |= depth_tensors(depth)
            sample["meta"]["depth_kind"] = meta.get("depth_kind", "z")
        if "normals" in entry:
            normals = read_normals(entry["normals"])
            _check_size("normals", normals.shape[1:], (height, width), entry["normals"])
            sample["normals"] = torch.from_numpy(normals).float()
        for name, dtype in (("semantic", np.int64), ("instance", np.int32)):
            if name in entry:
                labels, _ = read_png(entry[name])
                _check_size(name, labels.shape, (height, width), entry[name])
                sample[name] = torch.from_numpy(labels.astype(dtype))
        return sample

    def _depth(self, path: Path, meta: Mapping[str, Any]) -> np.ndarray:
        if path.suffix.lower() not in (".png", ".pgm"):
            return read_depth(path)[0]
        scale = meta.get("depth_scale", self.default_scale)
        if scale is None and "depth_scale" not in read_png(path)[1]:
            scale = 1000.0
        return read_depth_png(path, scale, tuple(meta.get("depth_missing", (0,))))[0]


def _check_size(name: str, found: tuple, wanted: tuple[int, int], path: Path) -> None:
    if tuple(found) != wanted:
        raise DatasetError(
            f"{str(path)!r}: {name} must have the picture's size {wanted[1]}x{wanted[0]}; found shape {tuple(found)}"
        )


def _pick(folder: Path, stem: str, suffixes: Sequence[str]) -> Path | None:
    """The file of that stem with the first suffix that is there, in lower or upper case."""
    places = (folder / f"{stem}{written}" for suffix in suffixes for written in (suffix, suffix.upper()))
    return next((place for place in places if place.exists()), None)


def _nested(root: Path) -> list[Entry]:
    entries = []
    for path in sorted(p for p in root.rglob("image.*") if p.suffix.lower() in IMAGES):
        found = {part: _pick(path.parent, part, suffixes) for part, suffixes in _PARTS.items()}
        name = path.parent.relative_to(root).as_posix() if path.parent != root else root.name
        entries.append(
            {"name": name, "image": path, **{part: file for part, file in found.items() if file is not None}}
        )
    return entries


def _parallel(root: Path) -> list[Entry]:
    folder = next((root / name for name in ("images", "image", "rgb") if (root / name).is_dir()), None)
    if folder is None:
        return []
    shared = root / "meta.json"
    entries = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGES):
        name = path.relative_to(folder).with_suffix("").as_posix()
        entry: Entry = {"name": name, "image": path}
        for part, suffixes in _PARTS.items():
            file = _pick(root / part, name, suffixes)
            if file is not None:
                entry[part] = file
        if "meta" not in entry and shared.exists():
            entry["meta"] = shared
        entries.append(entry)
    return entries


def read_meta(path: Path) -> dict[str, Any]:
    """Read a meta.json. Raises `DatasetError`."""
    try:
        meta = json.loads(read_text(path))
        return dict(meta)
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{str(path)!r} is not a JSON object: {error}") from error


def meta_intrinsics(meta: Mapping[str, Any], width: int, height: int, source: str = "meta") -> np.ndarray | None:
    """(3, 3) float64 intrinsics, pixel centres at integer + 0.5, or None where the meta says nothing. Raises `DatasetError`."""
    value = meta.get("intrinsics", meta.get("K"))
    if value is None and {"fx", "fy", "cx", "cy"} <= set(meta):
        value = [[meta["fx"], 0, meta["cx"]], [0, meta["fy"], meta["cy"]], [0, 0, 1]]
    if value is None:
        return None
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise DatasetError(
            f"{source}: intrinsics must be a finite 3x3 matrix with positive focal lengths; found {value}"
        )
    if meta.get("normalized"):
        matrix[0] *= width
        matrix[1] *= height
    if float(meta.get("pixel_centres", 0.5)) == 0.0:
        matrix[:2, 2] += 0.5
    return matrix


def write_sample(
    folder: str | Path,
    image: np.ndarray,
    intrinsics: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    depth_kind: str = "z",
    normals: np.ndarray | None = None,
    semantic: np.ndarray | None = None,
    instance: np.ndarray | None = None,
    **meta: Any,
) -> Path:
    """Write one sample of the nested layout and return its folder.

    image (H, W, 3) uint8 RGB; intrinsics (3, 3), pixel centres at integer + 0.5; depth (H, W) metres, 0 unknown; normals (H, W, 3); labels
    (H, W) below 65536; `meta` further JSON-able entries.
    """
    from perception.io.depth_files import write_depth_png, write_npy

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / "image.png", image)
    content: dict[str, Any] = dict(meta)
    if intrinsics is not None:
        content["intrinsics"] = np.asarray(intrinsics, np.float64).tolist()
    if depth is not None:
        write_depth_png(folder / "depth.png", depth)
        content["depth_kind"] = depth_kind
    if normals is not None:
        write_npy(folder / "normals.npy", normals)
    if semantic is not None:
        write_ids(folder / "semantic.png", semantic)
    if instance is not None:
        write_ids(folder / "instance.png", instance)
    (folder / "meta.json").write_text(json.dumps(content, indent=1) + "\n")
    return folder
