"""What every task needs: models kept in memory, a smaller second try when memory runs out, facts about a result, packing."""

from __future__ import annotations

import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from perception.errors import InputError
from perception.inference import Predictor, load
from perception.io import load_image
from perception.io.images import LoadedImage

Say = Callable[[float, str], Any]  # progress: (share done 0..1, text)
Facts = list[tuple[str, str]]
T = TypeVar("T")

_MODELS: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
_MODELS_LOCK = threading.Lock()
_CAMERA_WORDS = {
    "caller": "as entered",
    "fov": "from the field of view entered",
    "exif": "from the picture's EXIF data",
    "file": "from a file",
    "model": "from the model",
    "default": "assumed: nothing is known about it",
}


def silent(share: float, text: str) -> None:
    """Progress that nobody sees."""


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


def is_loaded(name: str, device: str = "auto") -> bool:
    """Whether the model is in memory, so that its first use costs no loading."""
    return (name, device) in _MODELS


def read_picture(file: str | Path | None, max_pixels: int) -> LoadedImage:
    """Decode one upload. Raises `InputError` with one sentence when there is none or it cannot be read."""
    if not file:
        raise InputError("there is no picture yet; choose one or take an example")
    return load_image(file, max_pixels=max_pixels)


def halved_where_too_large(run: Callable[[int], T], what: str) -> tuple[T, int]:
    """``run(1)``; where there is not enough memory, ``run(2)``: once more with all sides divided by two. Returns (what it gave, the divisor).

    Raises `InputError` when half the size is too large too; `what`: "this picture".
    """
    try:
        return run(1), 1
    except Exception as error:
        if not out_of_memory(error):
            raise
    free_memory()
    try:
        return run(2), 2
    except Exception as error:
        if not out_of_memory(error):
            raise
    free_memory()
    raise InputError(f"{what} is too large for the memory of the device; try a smaller one")


def with_smaller_retry(run: Callable[[LoadedImage, Any], Any], image: LoadedImage, camera: Any = None) -> Any:
    """``run(image, camera)``; where there is not enough memory, once more at half the size, with a note in the result.

    camera: of the full picture, or None. Raises `InputError` when half the size is too large too.
    """
    import dataclasses

    import cv2

    width, height = max(1, image.width // 2), max(1, image.height // 2)

    def predicted(divisor: int) -> Any:
        if divisor == 1:
            return run(image, camera)
        pixels = cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_AREA)
        half = dataclasses.replace(image, pixels=pixels)  # EXIF focal lengths are relative to the diagonal: they hold
        return run(half, None if camera is None else camera.resize(width, height))

    result, divisor = halved_where_too_large(predicted, "this picture")
    if divisor > 1 and dataclasses.is_dataclass(result) and hasattr(result, "notes"):
        note = f"the device has too little memory for {image.width} x {image.height}: predicted at {width} x {height}"
        result = dataclasses.replace(result, notes=(*result.notes, note))
    return result


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device or the machine had no memory left."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("not enough memory", "out of memory", "can't allocate memory")
    )


def free_memory() -> None:
    """Give unused device memory back."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def file_fact(name: str) -> Facts:
    """Whose result it is: it stays on the page while the next file cannot be read."""
    return [("File", name)] if name else []


def model_facts(chosen: Predictor, seconds: float) -> Facts:
    """Name, licence, device, time."""
    licence = str(chosen.about.get("licence", ""))
    time = f"{seconds:.2f} s on {chosen.device.type.upper() if chosen.device.type == 'cpu' else chosen.device.type}"
    return [("Model", chosen.name), *([("Licence", licence)] if licence else []), ("Time", time)]


def loading(name: str, device: str = "auto") -> str:
    """The Python call that loads the model."""
    return f"perception.load({name!r})" if device == "auto" else f"perception.load({name!r}, device={device!r})"


def camera_text(camera: Any) -> str:
    """Field of view, focal length and where they came from, for a person."""
    if not hasattr(camera, "fx"):
        return "a whole panorama" if getattr(camera, "wraps", False) else "a part of a panorama"
    across, down = camera.fov_degrees
    return f"{across:.0f}° x {down:.0f}°, focal length {camera.fx:.0f} px ({_CAMERA_WORDS.get(camera.source, camera.source)})"


def depth_text(depth: Any) -> str:
    """Range and median of the valid depth, with the unit; how much of the picture has none."""
    if depth is None or not depth.valid.any():
        return "none"
    near, middle, far = np.percentile(depth.depth[depth.valid], (1, 50, 99))
    unknown = 1 - float(depth.valid.mean())
    rest = f"; none for {unknown:.0%} of the pixels, drawn dark" if unknown >= 0.005 else ""
    return f"{near:.2f} to {far:.2f} {depth.unit or '(relative)'}, median {middle:.2f}{rest}"


def pack(folder: Path, archive: Path) -> Path:
    """Put every file of `folder` into one ZIP."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                bundle.write(file, file.relative_to(folder))
    return archive


def megabytes(result: Any) -> float:
    """Memory of the arrays in a result and its parts."""
    import dataclasses

    if isinstance(result, np.ndarray):
        return result.nbytes / 1e6
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return sum(megabytes(getattr(result, field.name)) for field in dataclasses.fields(result))
    return 0.0
