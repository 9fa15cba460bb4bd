"""A model together with its preprocessing: pictures in, typed results out.

The predictor keeps nothing of a call, so one object serves many threads.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import torch
from PIL import Image

from perception.errors import InputError
from perception.inference.cameras import CameraLike, cameras_of, guess_notes, resolve_camera
from perception.io.images import LoadedImage, load_image
from perception.models.preprocess import Prepared
from perception.results import Prediction

PictureLike = str | Path | bytes | bytearray | BinaryIO | Image.Image | np.ndarray | torch.Tensor | LoadedImage


class Predictor:
    """Callable model.

    ``predictor(image)`` takes a path, bytes, PIL picture, (H, W, 3) array or tensor and returns a `Prediction`; a list returns a list.
    """

    def __init__(
        self, model: torch.nn.Module, device: torch.device, dtype: torch.dtype, about: dict[str, Any] | None = None
    ):
        self.model = model
        self.device = device
        self.dtype = dtype
        self.about = dict(about or {})

    @property
    def name(self) -> str:
        return str(self.about.get("name", type(self.model).__name__))

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the results hold: "depth", "normals", "segmentation", "boxes3d" ..."""
        return tuple(self.about.get("tasks") or getattr(self.model, "tasks", ()))

    def __repr__(self) -> str:
        parameters = getattr(self.model, "parameters", list)()  # an exported file has none to show
        millions = sum(parameter.numel() for parameter in parameters) / 1e6
        return f"Predictor({self.name!r}, {type(self.model).__name__}, {millions:.1f} M parameters, {self.device}, {self.dtype})"

    @overload
    def __call__(
        self,
        image: list[Any] | tuple[Any, ...],
        camera: CameraLike | Sequence[CameraLike] = None,
        *,
        fov: float | None = None,
        batch_size: int = 4,
        max_pixels: int | None = None,
    ) -> list[Prediction]: ...

    @overload
    def __call__(
        self,
        image: PictureLike,
        camera: CameraLike = None,
        *,
        fov: float | None = None,
        batch_size: int = 4,
        max_pixels: int | None = None,
    ) -> Prediction: ...

    def __call__(
        self,
        image: Any,
        camera: Any = None,
        *,
        fov: float | None = None,
        batch_size: int = 4,
        max_pixels: int | None = None,
    ) -> Any:
        """Predict one picture, or each of a list.

        Args:
            image: path, bytes, PIL picture, (H, W, 3) or (H, W) array (RGB), (3, H, W) tensor, or a list of them.
            camera: `Pinhole`, `Equirectangular`, 3x3 matrix or (fx, fy, cx, cy) in pixels of the original picture, or what else `resolve_camera`
                takes; a list of them for a list of pictures. Without it: `fov`, then the picture's EXIF focal length, then a documented default that the result flags.
            fov: horizontal field of view in degrees.
            batch_size: pictures of equal network size are run together, at most this many.
            max_pixels: refuse larger pictures; None means the reader's own limit.

        Raises `InputError` for a picture or camera that cannot be used.
        """
        if not isinstance(image, (list, tuple)):
            return self._predict([image], [camera], fov, 1, max_pixels)[0]
        return self._predict(list(image), cameras_of(camera, len(image)), fov, batch_size, max_pixels)

    def stream(
        self, source: Any, camera: CameraLike = None, *, fov: float | None = None, every: int = 1
    ) -> Iterator[Prediction]:
        """Yield one result a frame in constant memory.

        Args:
            source: a video, a folder, list or generator of pictures, or a webcam (its number).
            camera, fov: of every frame; without them each picture's EXIF counts, as for a call.
            every: take each n-th frame.
        """
        from perception.io import stream

        for frame in stream(source, every=every):
            picture = LoadedImage(frame.pixels, frame.name, frame.focal_35mm, frame.notes)
            yield self._predict([picture], [camera], fov, 1, None)[0]

    def save_pretrained(self, folder: str | Path, half: bool = False) -> Path:
        """Write the model as a published folder: ``config.json``, ``model.safetensors`` and a card."""
        from perception.inference.hub import save_pretrained

        return save_pretrained(self, folder, half=half)

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Upload the model to ``owner/name`` of the Hugging Face hub; return its address. Options: `perception.inference.hub.push_to_hub`."""
        from perception.inference.hub import push_to_hub

        return push_to_hub(self, repository, **options)

    def warmup(self, width: int = 640, height: int = 480) -> Predictor:
        """Run once on a blank picture, so that the next call costs what every later call does."""
        self(np.zeros((height, width, 3), np.uint8))
        return self

    def close(self) -> None:
        """Give the memory back; whoever uses the predictor afterwards gets `InputError`."""
        self.model = _Closed()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _predict(
        self, images: list[Any], cameras: list[CameraLike], fov: float | None, batch_size: int, max_pixels: int | None
    ) -> list[Prediction]:
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        kind = getattr(self.model, "camera_kind", "pinhole")
        prepared, loads = [], []
        for image, camera in zip(images, cameras, strict=True):
            loads.append(load_image(image, **limit))
            prepared.append(self.model.preprocess(loads[-1].pixels, resolve_camera(loads[-1], camera, fov, kind)))
        results: list[Any] = [None] * len(prepared)
        for indices in _groups(prepared, max(1, batch_size)):
            for index, result in zip(indices, self._run([prepared[i] for i in indices]), strict=True):
                notes = (*loads[index].notes, *result.notes, *guess_notes(prepared[index].camera, result))
                results[index] = dataclasses.replace(result, name=loads[index].name, model=self.name, notes=notes)
        return results

    def _run(self, prepared: list[Prepared]) -> list[Any]:
        inputs = {
            name: torch.stack([item.inputs[name] for item in prepared]).to(self.device) for name in prepared[0].inputs
        }
        autocast = (
            torch.autocast(self.device.type, self.dtype) if self.dtype != torch.float32 else contextlib.nullcontext()
        )
        with torch.inference_mode():
            with autocast:
                outputs = self.model(**inputs)
            return self.model.predict(outputs, prepared)


def _groups(prepared: list[Prepared], batch_size: int) -> Iterator[list[int]]:
    """Indices of pictures that can share a batch, in order of first appearance."""
    by_key: dict[Any, list[int]] = {}
    for index, item in enumerate(prepared):
        by_key.setdefault(item.key, []).append(index)
    for indices in by_key.values():
        for start in range(0, len(indices), batch_size):
            yield indices[start : start + batch_size]


def input_files(sources: Sequence[str | Path]) -> list[Path]:
    """Expand files and folders to picture files, in natural order within each folder. Raises `InputError` for a path that is not there."""
    from perception.io import pictures_in

    files: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            files += pictures_in(source)
        elif source.exists():
            files.append(source)
        else:
            raise InputError(f"the file {str(source)!r} is not there")
    return files


class _Closed(torch.nn.Module):
    """In the place of a model that was given back."""

    def __getattr__(self, name: str) -> Any:
        raise InputError("this model was closed; load it again with perception.load()")
