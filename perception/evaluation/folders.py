"""Evaluate folders of files without any model: what ``tools/evaluate.py`` runs.

Files belong together when their paths under the two folders are equal but for the suffix; a prediction may also lie in a folder of that name
(what ``perception predict`` writes: ``<name>/depth.npy``). Every ground-truth file needs a prediction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import DatasetError, InputError
from perception.evaluation.base import Evaluator, plane
from perception.io.text import read_text

Progress = Callable[[Iterable], Iterable]
DEPTH_FILES = (".npy", ".png", ".pgm", ".pfm", ".exr")
LABEL_FILES = (".png", ".npy")


def matching_files(
    truth: str | Path, predictions: str | Path, suffixes: Sequence[str], name: str
) -> list[tuple[str, Path, Path]]:
    """Pairs (key, truth file, prediction file) in the order of keys. `name` is the result's own file name, such as "depth".

    Raises `DatasetError` for folders without such files, or truth without a prediction (the first five are named).
    """
    truth, predictions = Path(truth), Path(predictions)
    wanted = _by_key(truth, suffixes, "ground truth")
    found = _by_key(predictions, suffixes, "predictions")
    pairs, missing = [], []
    for key, path in wanted.items():
        match = next((found[k] for k in (key, f"{key}/{name}", f"{key}_{name}") if k in found), None)
        if match is None:
            missing.append(key)
        else:
            pairs.append((key, path, match))
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(wanted)} ground-truth files in {str(truth)!r} have no prediction of the same name in {str(predictions)!r}: "
            + ", ".join(missing[:5])
        )
    return pairs


def _by_key(folder: Path, suffixes: Sequence[str], what: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"the folder of {what} {str(folder)!r} does not exist")
    rank = {suffix: i for i, suffix in enumerate(suffixes)}
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in rank):
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key not in files or rank[path.suffix.lower()] < rank[files[key].suffix.lower()]:
            files[key] = path
    if not files:
        raise DatasetError(f"the folder of {what} {str(folder)!r} holds no file of type {', '.join(suffixes)}")
    return files


def _run(evaluator: Evaluator, items: Iterable[tuple[str, Any, dict[str, Any]]], progress: Progress) -> Evaluator:
    """Judge the files of each name. Raises `InputError`, with that name, for files that cannot be judged."""
    for index, (name, prediction, sample) in enumerate(progress(items)):
        try:
            evaluator.update([prediction], [{**sample, "meta": {"index": index, "name": name}}])
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return evaluator


def depth_folders(
    truth: str | Path,
    predictions: str | Path,
    preset: str = "none",
    alignments: Sequence[str] | None = None,
    truth_scale: float | str | None = None,
    prediction_scale: float | str | None = None,
    intrinsics: Sequence[float] | None = None,
    prior: str | None = None,
    baselines: bool = True,
    kind: str = "depth",
    progress: Progress = iter,
) -> Evaluator:
    """Depth files of two folders; 0 and NaN mean that a prediction has no depth there. `intrinsics`: fx, fy, cx, cy (pixel centres at integer + 0.5) for the vertical prior."""
    from perception.evaluation.depth import DepthEvaluator
    from perception.io.depth_files import read_depth

    evaluator = DepthEvaluator(preset, alignments, prior, baselines, kind)
    matrix = None
    if intrinsics is not None:
        fx, fy, cx, cy = intrinsics
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    def items() -> Iterator[tuple[str, Any, dict[str, Any]]]:
        for name, true_file, file in pairs:
            depth, valid = read_depth(true_file, truth_scale)
            guess = _read_signed(file) if kind == "inverse" else known_depth(*read_depth(file, prediction_scale))
            yield name, {"depth": guess}, {"depth": depth, "depth_valid": valid, "intrinsics": matrix}

    pairs = matching_files(truth, predictions, DEPTH_FILES, "depth")
    return _run(evaluator, _Sized(items(), len(pairs)), progress)


def known_depth(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Predicted depth with NaN where the file has none: it takes no part in an alignment, and is scored as the nearest depth and counted."""
    return np.where(valid, depth, np.nan)


def _read_signed(path: Path) -> np.ndarray:
    """An inverse depth may be negative before its alignment, so it is read without a validity rule."""
    from perception.io.depth_files import read_npy, read_pfm
    from perception.io.images import read_png

    if path.suffix.lower() == ".npy":
        return plane(read_npy(path)).astype(np.float64)
    if path.suffix.lower() == ".pfm":
        return read_pfm(path).astype(np.float64)
    if path.suffix.lower() == ".png":
        return read_png(path)[0].astype(np.float64)
    raise InputError(f"{path.name} must end in .npy, .pfm or .png to be read as inverse depth")


class _Sized:
    """A generator that knows its length, for progress bars."""

    def __init__(self, items: Iterator, count: int) -> None:
        self.items, self.count = items, count

    def __iter__(self) -> Iterator:
        return self.items

    def __len__(self) -> int:
        return self.count


def normals_folders(
    truth: str | Path, predictions: str | Path, crop: str | None = None, progress: Progress = iter
) -> Evaluator:
    """Normal maps of two folders."""
    from perception.evaluation.normals import NormalsEvaluator
    from perception.io.normal_files import read_normals

    pairs = matching_files(truth, predictions, LABEL_FILES, "normals")
    items = (
        (name, {"normals": read_normals(file)}, {"normals": read_normals(true_file)}) for name, true_file, file in pairs
    )
    return _run(NormalsEvaluator(crop), _Sized(items, len(pairs)), progress)


def read_label_map(path: str | Path) -> np.ndarray:
    """Label file -> (H, W) int64: 8/16-bit PNG (palette indices as stored) or .npy."""
    from perception.io.depth_files import read_npy
    from perception.io.images import read_png

    path = Path(path)
    values = read_npy(path) if path.suffix.lower() == ".npy" else read_png(path)[0]
    if values.ndim != 2:
        raise InputError(f"{path.name} must hold one label a pixel; found shape {values.shape}")
    if values.dtype.kind not in "iub" and (values != np.floor(values)).any():
        raise InputError(
            f"{path.name} must hold whole numbers; found {values.dtype} such as {values[values != np.floor(values)][0]}"
        )
    return values.astype(np.int64)


def semantic_folders(
    truth: str | Path,
    predictions: str | Path,
    num_classes: int,
    ignore: int = 255,
    reduce_zero: bool = False,
    progress: Progress = iter,
) -> Evaluator:
    """Label maps of two folders. `reduce_zero`: truth label 0 is void and the classes start at 1 (ADE20K)."""
    from perception.evaluation.segmentation import SemanticEvaluator

    pairs = matching_files(truth, predictions, LABEL_FILES, "semantic")

    def labels(path: Path) -> np.ndarray:
        values = read_label_map(path)
        return np.where(values == 0, ignore, values - 1) if reduce_zero else values

    items = (
        (name, {"semantic": read_label_map(file)}, {"semantic": labels(true_file)}) for name, true_file, file in pairs
    )
    return _run(SemanticEvaluator(num_classes, ignore), _Sized(items, len(pairs)), progress)


def panoptic_folders(truth: str | Path, predictions: str | Path, progress: Progress = iter) -> Evaluator:
    """COCO panoptic results: each side is ``X.json`` with the PNG folder ``X`` beside it; either of the two may be named."""
    from perception.evaluation.panoptic import PanopticEvaluator
    from perception.io.images import read_rgb_ids

    sides = [_coco_panoptic(path) for path in (truth, predictions)]
    categories = sides[0][0].get("categories")
    if not categories:
        raise DatasetError(f"{str(truth)!r}: the JSON needs 'categories' with id and isthing")
    try:
        things = [c["id"] for c in categories if c.get("isthing", 1)]
        stuff = [c["id"] for c in categories if not c.get("isthing", 1)]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{str(truth)!r}: each of the 'categories' needs an id; {error!r}") from error
    guesses = {a["image_id"]: a for a in sides[1][0]["annotations"]}
    wanted = sides[0][0]["annotations"]
    missing = [str(a["image_id"]) for a in wanted if a["image_id"] not in guesses]
    if missing:
        raise DatasetError(f"{len(missing)} of {len(wanted)} images have no prediction: {', '.join(missing[:5])}")

    def items() -> Iterator[tuple[str, Any, dict[str, Any]]]:
        for annotation in wanted:
            guess = guesses[annotation["image_id"]]
            yield (
                annotation["file_name"],
                {"panoptic": read_rgb_ids(sides[1][1] / guess["file_name"]), "segments": guess["segments_info"]},
                {
                    "panoptic": read_rgb_ids(sides[0][1] / annotation["file_name"]),
                    "segments": annotation["segments_info"],
                },
            )

    return _run(PanopticEvaluator(things, stuff), _Sized(items(), len(wanted)), progress)


def _coco_panoptic(path: str | Path) -> tuple[dict[str, Any], Path]:
    path = Path(path)
    listing, folder = (
        (path, path.with_suffix("")) if path.suffix == ".json" else (path.with_name(path.name + ".json"), path)
    )
    if not listing.exists() or not folder.is_dir():
        raise DatasetError(f"panoptic results need {str(listing)!r} and the PNG folder {str(folder)!r}")
    try:
        content = json.loads(read_text(listing))
        for annotation in content["annotations"]:
            annotation["image_id"], annotation["file_name"], annotation["segments_info"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{str(listing)!r} is not a COCO panoptic file: {error}") from error
    return content, folder


def occupancy_folders(
    truth: str | Path,
    predictions: str | Path,
    mask: str | None = "camera",
    progress: Progress = iter,
    split: str | None = None,
    version: str = "v1.0-trainval",
) -> Evaluator:
    """Occ3D labels: ``SCENE/TOKEN/labels.npz`` under `truth`; predictions ``.npz`` or ``.npy`` named the same, or ``TOKEN.npz``.

    split: judge its scenes alone; the tables of `version` then lie beside the folder `truth`.
    """
    from perception.evaluation.occupancy import OccupancyEvaluator

    truth, predictions = Path(truth), Path(predictions)
    files = sorted(truth.rglob("labels.npz"))
    if not files:
        raise DatasetError(f"no labels.npz under {str(truth)!r}; expected gts/SCENE/TOKEN/labels.npz")
    if split is not None:
        from perception.io.nuscenes import load_index

        root = truth.resolve().parent
        index = load_index(root, version)
        scenes = {str(index.scene_name[scene]) for scene in index.scenes_of(split, root, version)}
        files = [file for file in files if file.parent.parent.name in scenes]
        if not files:
            raise DatasetError(f"no labels.npz of the split {split!r} under {str(truth)!r}")
    pairs, missing = [], []
    for file in files:
        token, scene = file.parent.name, file.parent.parent.name
        names = (
            f"{scene}/{token}/labels.npz",
            f"{scene}/{token}.npz",
            f"{token}.npz",
            f"{token}.npy",
            f"{token}/labels.npz",
        )
        match = next((predictions / name for name in names if (predictions / name).exists()), None)
        pairs.append((file, match)) if match else missing.append(token)
    if missing:
        raise DatasetError(f"{len(missing)} of {len(files)} frames have no prediction: {', '.join(missing[:5])}")

    def items() -> Iterator[tuple[str, Any, dict[str, Any]]]:
        for file, match in pairs:
            held = _arrays(file)
            if "semantics" not in held:
                raise InputError(f"{str(file)!r} must hold an array 'semantics'; found {', '.join(held)}")
            sample = {"occupancy": held["semantics"]}
            sample |= {f"occupancy_mask_{k}": held[f"mask_{k}"] for k in ("camera", "lidar") if f"mask_{k}" in held}
            yield file.parent.name, {"occupancy": _grid(match)}, sample

    return _run(OccupancyEvaluator(mask), _Sized(items(), len(pairs)), progress)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz, or the one of an .npy as "arr_0". Raises `DatasetError`."""
    import zipfile

    try:
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            return {"arr_0": held}
        with held:
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{str(path)!r} is not a readable .npz or .npy file: {error}") from error


def _grid(path: Path) -> np.ndarray:
    values = _arrays(path)
    name = next((n for n in ("semantics", "pred", "occupancy", "arr_0") if n in values), None)
    if name is None:
        raise InputError(f"{path.name} must hold an array 'semantics'; found {', '.join(values)}")
    return values[name]


def nuscenes_results(
    truth: str | Path, predictions: str | Path, version: str, split: str, tracking: bool = False
) -> Any:
    """An official result JSON against the tables in ``truth/version``; returns `DetectionResult` or `TrackingResult`."""
    from perception.evaluation.nuscenes_detection import evaluate_detection
    from perception.evaluation.nuscenes_tracking import evaluate_tracking
    from perception.io.nuscenes import load_index, truth_boxes
    from perception.io.nuscenes_results import read_submission

    index = load_index(truth, version)
    boxes, samples = truth_boxes(index, index.samples_of(index.scenes_of(split, truth, version)))
    guesses, _ = read_submission(predictions, samples.tokens, tracking)
    return (evaluate_tracking if tracking else evaluate_detection)(boxes, guesses, samples)
