"""What the page does with a picture, without Gradio: load, predict, draw, pack. Every function here is plain and tested on its own."""

from __future__ import annotations

import dataclasses
import threading
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.inference import Predictor, load

_MODELS: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
_MODELS_LOCK = threading.Lock()
_DEVICE_LOCK = threading.Lock()  # one heavy job at a time on the device, whoever asks


@dataclasses.dataclass(frozen=True)
class Photo:
    """The answer to one uploaded picture: what the page shows and the files that it offers."""

    image: np.ndarray
    depth_view: np.ndarray | None
    normals_view: np.ndarray | None
    segments_view: np.ndarray | None
    model_file: Path | None
    archive: Path
    summary: dict[str, Any]
    prediction: Any


def predictor(name: str, device: str = "auto") -> Predictor:
    """Return the model `name`, loading it when it is first asked for; the four that were used last stay in memory."""
    key = (name, device)
    with _MODELS_LOCK:
        if key not in _MODELS:
            _MODELS[key] = load(name, device=device)
            while len(_MODELS) > 4:
                _MODELS.popitem(last=False)
        _MODELS.move_to_end(key)
        return _MODELS[key]


def predict_photo(
    file: str | Path | None,
    model: str,
    folder: Path,
    *,
    fov: float | None = None,
    device: str = "auto",
    max_pixels: int = 24_000_000,
) -> Photo:
    """Predict one picture file and write the results into `folder`, which must be fresh.

    Raises `InputError` with one sentence when there is no picture or it cannot be read.
    """
    if not file:
        raise InputError("there is no picture yet; choose one or take an example")
    chosen = predictor(model, device)
    start = time.perf_counter()
    with _DEVICE_LOCK:
        result = _with_smaller_retry(chosen, file, fov, max_pixels)
    seconds = time.perf_counter() - start
    results = folder / "results"
    result.save(results)
    return Photo(
        image=result.image,
        depth_view=None if result.depth is None else result.depth.preview(),
        normals_view=None if result.normals is None else result.normals.preview(),
        segments_view=None if result.segmentation is None else result.segmentation.preview(result.image),
        model_file=next(iter(sorted(results.glob("*.glb"))), None),
        archive=pack(results, folder / "results.zip"),
        summary=describe(result, chosen, seconds),
        prediction=result,
    )


def _with_smaller_retry(chosen: Predictor, file: str | Path, fov: float | None, max_pixels: int) -> Any:
    """Run; where the device has no memory for the picture, run once more at half its size."""
    import torch

    from perception.io import load_image

    try:
        return chosen(file, fov=fov, max_pixels=max_pixels)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
    import cv2

    image = load_image(file, max_pixels=max_pixels).pixels
    try:
        return chosen(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), fov=fov)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise InputError("this picture is too large for the memory of the device; try a smaller one") from None


def describe(result: Any, chosen: Predictor, seconds: float) -> dict[str, Any]:
    """What the page says beside the pictures: model, camera and where it came from, range of depth, time."""
    height, width = result.image.shape[:2]
    camera = result.camera
    summary: dict[str, Any] = {
        "model": chosen.name,
        "licence": chosen.about.get("licence", ""),
        "picture": f"{width} x {height}",
        "camera": f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px (from: {camera.source})",
        "seconds": round(seconds, 2),
    }
    depth = result.depth
    if depth is not None and depth.valid.any():
        values = depth.depth[depth.valid]
        unit = "m" if depth.kind in ("metric", "range") else "(relative)"
        near, middle, far = np.percentile(values, (1, 50, 99))
        summary["depth"] = f"{near:.2f} to {far:.2f} {unit}, median {middle:.2f}"
    if camera.source == "default":
        summary["note"] = "the camera is unknown, so distances are a guess: enter the field of view for metric results"
    return summary


def depth_at(result: Any, x: float, y: float) -> str:
    """Say the depth at a pixel (column x, row y of the picture)."""
    point = _point(result, x, y)
    if point is None:
        return "no depth there"
    return f"depth {point[2]:.2f} {_unit(result)} at ({int(x)}, {int(y)})"


def distance_between(result: Any, first: tuple[float, float], second: tuple[float, float]) -> str:
    """Say how far two clicked pixels are apart in space."""
    a, b = _point(result, *first), _point(result, *second)
    if a is None or b is None:
        return "no depth at one of the two points"
    return f"{np.linalg.norm(a - b):.2f} {_unit(result)} between ({int(first[0])}, {int(first[1])}) and ({int(second[0])}, {int(second[1])})"


def pack(folder: Path, archive: Path) -> Path:
    """Put every file of `folder` into one ZIP."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                bundle.write(file, file.relative_to(folder))
    return archive


def _point(result: Any, x: float, y: float) -> np.ndarray | None:
    depth = result.depth
    row, column = int(y), int(x)
    height, width = depth.depth.shape
    if not (0 <= row < height and 0 <= column < width) or not depth.valid[row, column]:
        return None
    pixel = np.array([[column + 0.5, row + 0.5]])
    return result.camera.unproject_pixels(pixel, depth.depth[row, column : column + 1])[0]


def _unit(result: Any) -> str:
    return "m" if result.depth.kind in ("metric", "range") else "(relative units)"
