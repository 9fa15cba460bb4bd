"""Frames of a video, a folder or list of pictures or a webcam, one at a time in constant memory; and MP4 out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.io.atomic import atomic_path
from perception.io.images import MAX_PIXELS, load_image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".heic", ".avif")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True, eq=False)
class Frame:
    """pixels: (H, W, 3) uint8 RGB. index: 0, 1, ... in the source. time: seconds from its start. name: for files and messages.

    focal_35mm, notes: of pictures, as in `LoadedImage`.
    """

    pixels: np.ndarray
    index: int
    time: float
    name: str
    focal_35mm: float | None = None
    notes: tuple[str, ...] = ()


def is_video(path: str | Path) -> bool:
    """Whether the suffix is that of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which frame2 comes before frame10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", path.name) if part
    ]


def pictures_in(folder: str | Path) -> list[Path]:
    """Pictures directly in a folder, by suffix, in natural order (frame2 before frame10). Raises `InputError` when there are none."""
    folder = Path(folder)
    found = sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()), key=_natural)
    if not found:
        raise InputError(f"the folder {folder.name} holds no pictures ({', '.join(IMAGE_SUFFIXES)})")
    return found


def stream(
    source: str | Path | int | Iterable[Any],
    *,
    every: int = 1,
    limit: int | None = None,
    fps: float = 10.0,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[Frame]:
    """Yield frames of a video file, a folder, list or generator of pictures (at `fps`), a single picture, or a webcam (its number, 0, 1, ...).

    every: take each n-th frame. limit: stop after so many. Only one frame is held at a time. Raises `InputError` for what cannot be opened.
    """
    if every < 1 or (limit is not None and limit < 0):
        raise InputError(f"every must be at least 1 and limit at least 0; found {every} and {limit}")
    if isinstance(source, list | tuple | Iterator):
        frames: Iterator[Frame] = _pictures(source, every, fps, max_pixels)
    elif not isinstance(source, str | Path | int):
        raise InputError(
            "frames come from a video, a folder, a webcam's number, or a list or generator of pictures; "
            f"found {type(source).__name__}"
        )
    elif isinstance(source, str | Path) and Path(source).is_dir():
        frames = _pictures(pictures_in(source), every, fps, max_pixels)
    elif isinstance(source, str | Path) and Path(source).suffix.lower() in IMAGE_SUFFIXES:
        frames = _pictures([source], every, fps, max_pixels)
    else:
        frames = _capture(source, every, max_pixels)
    for count, frame in enumerate(frames):
        if limit is not None and count >= limit:
            frames.close()  # type: ignore[attr-defined]
            return
        yield frame


def _pictures(sources: Iterable[Any], every: int, fps: float, max_pixels: int | None) -> Iterator[Frame]:
    for index, source in enumerate(sources):
        if index % every == 0:
            image = load_image(source, max_pixels=max_pixels)
            name = Path(source).stem if isinstance(source, str | Path) else f"frame_{index:06d}"
            yield Frame(image.pixels, index, index / fps, name, image.focal_35mm, image.notes)


def _capture(source: str | Path | int, every: int, max_pixels: int | None) -> Iterator[Frame]:
    import cv2

    name = f"webcam {source}" if isinstance(source, int) else Path(source).name
    if not isinstance(source, int) and not Path(source).is_file():
        raise InputError(f"{name} does not exist")
    capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            raise InputError(f"{name} cannot be opened as a {'camera' if isinstance(source, int) else 'video'}")
        pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if max_pixels is not None and pixels > max_pixels:
            raise InputError(
                f"{name} has frames of {pixels / 1e6:.1f} megapixels but at most {max_pixels / 1e6:g} are allowed"
            )
        rate = _rate(capture) or 30.0
        stem = name.replace(" ", "_") if isinstance(source, int) else Path(source).stem
        index = 0
        while capture.grab():
            if index % every == 0:
                done, bgr = capture.retrieve()
                if not done:
                    break
                yield Frame(np.ascontiguousarray(bgr[..., ::-1]), index, index / rate, f"{stem}_{index:06d}")
            index += 1
        if index == 0:
            raise InputError(f"{name} holds no frame that can be decoded")
    finally:
        capture.release()


def frame_count(source: str | Path) -> int | None:
    """Number of frames that a video file says it has, or None where it says nothing. Files may be wrong about it: it is for progress alone."""
    import cv2

    with _opened(source) as capture:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    return int(count) if 0 < count < 1e9 else None


def frame_rate(source: str | Path) -> float | None:
    """Frames a second of a video file, or None where it does not say."""
    with _opened(source) as capture:
        return _rate(capture) if capture.isOpened() else None


@contextmanager
def _opened(source: str | Path) -> Iterator[Any]:
    import cv2

    capture = cv2.VideoCapture(str(source))
    try:
        yield capture
    finally:
        capture.release()


def _rate(capture: Any) -> float | None:
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else None


class VideoWriter:
    """MP4 out, as a context manager: ``with VideoWriter("out.mp4", fps=10) as video: video.write(rgb)``.

    codec: "mp4v" is fast and plays in most players, "vp09" plays in web browsers too; where OpenCV lacks it, "mp4v" is written. The first frame
    sets the size; the file takes its name when the block ends without an error.
    """

    def __init__(self, path: str | Path, fps: float = 10.0, codec: str = "mp4v") -> None:
        self.path, self.fps, self.codec = Path(path), float(fps), codec
        if self.path.suffix.lower() != ".mp4" or not self.fps > 0:
            raise InputError(
                f"a video needs a name that ends in .mp4 and a positive frame rate; found {self.path.name}, {fps}"
            )
        self.count = 0
        self._writer = None
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> VideoWriter:
        self._context = atomic_path(self.path)
        self._temporary = self._context.__enter__()
        return self

    def write(self, image: np.ndarray) -> None:
        """Append an (H, W, 3) uint8 RGB frame. Odd sides lose their last row or column: the codec needs even ones."""
        import cv2

        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < 2:
            raise InputError(
                f"a video frame must be (H, W, 3) uint8 RGB of at least 2x2 pixels; found {image.dtype} {image.shape}"
            )
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._writer is None:
            self._size = (width, height)
            for codec in dict.fromkeys((self.codec, "mp4v")):
                code = cv2.VideoWriter.fourcc(*codec)
                self._writer = cv2.VideoWriter(str(self._temporary), code, self.fps, self._size)
                if self._writer.isOpened():
                    break
            if not self._writer.isOpened():
                raise InputError(f"{self.path.name} cannot be written: this OpenCV has no MP4 encoder")
        if self._size != (width, height):
            raise InputError(
                f"every frame of {self.path.name} must be {self._size[0]}x{self._size[1]}; found {width}x{height}"
            )
        self._writer.write(np.ascontiguousarray(image[:height, :width, ::-1]))
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is None and self.count == 0:
            error = InputError(f"{self.path.name} was not written: it got no frame")
            self._context.__exit__(InputError, error, None)
            raise error
        self._context.__exit__(kind, error, trace)
