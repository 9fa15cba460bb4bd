"""Video: a clip in; depth or boxes out as MP4 and as frames, with one range of colours for the whole clip, in constant memory.

The first pass predicts frame by frame and writes every depth map to disk as a 16-bit PNG; the second one knows the range of all of them, and draws.
Other colours are a second pass only.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs import photo, street
from app.jobs.cameras import CameraEntry
from app.jobs.common import Facts, Say, camera_text, file_fact, halved_where_too_large, loading, model_facts, silent
from app.jobs.looks import Look, depth_view
from app.jobs.ruler import Measured, in_pictures
from perception.drawing import depth_limits, draw_values
from perception.errors import InputError
from perception.inference import Predictor
from perception.io import stream
from perception.io.depth_files import read_depth_png, write_depth_png
from perception.io.images import LoadedImage, read_png, write_image
from perception.io.video import VideoWriter, frame_count
from perception.results import DepthResult, Prediction

MAX_FRAMES = 240
MAX_SIDE = 832  # pixels; larger frames are made smaller first
DEPTH_ONLY, SIDE_BY_SIDE = "Result", "Picture and result"
LAYOUTS = (SIDE_BY_SIDE, DEPTH_ONLY)
LIMITS = f"At most {MAX_FRAMES} frames are predicted, made smaller to {MAX_SIDE} pixels; take every n-th frame of longer clips."


@dataclasses.dataclass(frozen=True)
class VideoAnswer:
    """The frames in `folder`: picture/*.png and, as the model gives them, depth/*.png (16 bit, with their scale) or result/*.png. fps: of the frames taken.

    kind: of the depth, or empty. near, far: metres. boxes: one `Boxes3DResult` a frame, where the model finds boxes: then those are what is drawn.
    name, model, every, arguments, resized: what the Python lines need; `resized` is the (W, H) of frames that were made smaller. `movies`: those that
    were drawn already, by look and layout.
    """

    folder: Path
    count: int
    fps: float
    kind: str
    near: float
    far: float
    facts: Facts
    notes: tuple[str, ...]
    name: str = ""
    model: str = ""
    every: int = 1
    arguments: str = ""
    resized: tuple[int, int] | None = None
    intrinsics: tuple[float, ...] = ()  # fx, fy, cx, cy of the clip's own frames
    camera: Any = None  # of the predicted frames
    boxes: tuple[Any, ...] = ()
    movies: dict[tuple[Look, str], Path] = dataclasses.field(default_factory=dict, compare=False)
    megabytes: float = 1.0  # in memory: all the rest is on disk

    @property
    def range(self) -> tuple[float, float]:
        """(near, far) that suit the whole clip, metres; (0, 0) where no depth in metres is drawn."""
        return (self.near, self.far) if self.coloured and self.kind != "inverse" else (0.0, 0.0)

    @property
    def coloured(self) -> bool:
        """Whether it is depth that is drawn, in colours."""
        return bool(self.kind) and not self.boxes

    @property
    def score(self) -> float | None:
        """Least score of the boxes shown at first; None where the model finds none by its nature."""
        return street.SCORE if self.boxes else None


@dataclasses.dataclass
class _Frames:
    """What is known after all frames. own, used: the cameras of the clip's and of the predicted frames."""

    size: tuple[int, int] = (0, 0)  # (W, H) predicted
    kind: str = ""
    ranges: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    times: list[float] = dataclasses.field(default_factory=list)
    notes: dict[str, None] = dataclasses.field(default_factory=dict)
    boxes: list[Any] = dataclasses.field(default_factory=list)
    own: Any = None
    used: Any = None


def predict_video(
    file: str | Path | None,
    model: Predictor,
    folder: Path,
    *,
    every: int = 1,
    camera: CameraEntry | None = None,
    max_pixels: int = 24_000_000,
    say: Say = silent,
) -> VideoAnswer:
    """Predict every n-th frame of a clip into `folder`, which must be fresh; one frame is in memory at a time.

    Where the device has too little memory, all frames are predicted once more at half the size, and a note says so. Raises `InputError` for what is no
    clip, or a model whose results cannot be drawn.
    """
    if not file:
        raise InputError("there is no clip yet; choose one or take the example")
    entry, start, every = camera or CameraEntry(), time.perf_counter(), max(1, int(every))
    total = frame_count(file)
    expected = min(MAX_FRAMES, -(-total // every)) if total else None

    def all_frames(divisor: int) -> _Frames:
        for part in ("picture", "depth", "result"):
            shutil.rmtree(folder / part, ignore_errors=True)  # of a try that was too large
        frames = _Frames()
        for frame in stream(file, every=every, max_pixels=max_pixels):
            count = len(frames.times)
            if count == MAX_FRAMES:
                frames.notes[f"the clip is longer: only its first {MAX_FRAMES} frames were predicted"] = None
                break
            place = f"Frame {count + 1}" + (f" of {expected}" if expected else "")
            say(0.05 + 0.75 * count / (expected or MAX_FRAMES), place)
            whole = LoadedImage(frame.pixels, Path(file).name)
            frames.own = entry.camera(whole) or whole.camera()
            small, frames.used = _smaller(frame.pixels, frames.own, divisor)
            _keep(model(small, frames.used), small, folder, f"{count:06d}", frames, model.name)
            frames.times.append(frame.time)
        return frames

    frames, divisor = halved_where_too_large(all_frames, "this clip")
    count, times, (width, height) = len(frames.times), frames.times, frames.size
    if not count:
        raise InputError(f"{Path(file).name} has no frame that can be read; try another clip")
    if divisor > 1:
        frames.notes[f"the device has too little memory for more: predicted at {width} x {height}"] = None
    rate = (count - 1) / (times[-1] - times[0]) if count > 1 and times[-1] > times[0] else 10.0
    fps = float(np.clip(rate, 0.5, 60))
    near, far = _range(frames.ranges) if frames.ranges else (0.0, 0.0)
    facts: Facts = [*file_fact(Path(file).name), ("Frames", f"{count}, {fps:.3g} a second, {width} x {height}")]
    if hasattr(frames.used, "fx"):
        facts.append(("Camera", camera_text(frames.used)))
    if far and frames.kind != "inverse" and not frames.boxes:
        facts.append(("Range of the colours", f"{near:g} to {far:g} m, the same in every frame"))
    own, used = frames.own, frames.used
    resized = None if (width, height) == (own.width, own.height) else (width, height)
    arguments = entry.arguments(LoadedImage(np.zeros((own.height, own.width, 3), np.uint8), ""))
    if resized:
        arguments = f", camera=({used.fx:.10g}, {used.fy:.10g}, {used.cx:.10g}, {used.cy:.10g})"
    return VideoAnswer(
        folder,
        count,
        fps,
        frames.kind,
        near,
        far,
        facts + model_facts(model, time.perf_counter() - start),
        tuple(frames.notes),
        Path(file).name,
        model.name,
        every,
        arguments,
        resized,
        (own.fx, own.fy, own.cx, own.cy),
        used,
        tuple(frames.boxes),
    )


def _keep(result: Any, picture: np.ndarray, folder: Path, name: str, frames: _Frames, model: str) -> None:
    """Write one frame, and note what concerns all."""
    frames.size = (picture.shape[1], picture.shape[0])
    frames.notes |= dict.fromkeys(result.notes)
    write_image(folder / "picture" / f"{name}.png", picture)
    depth, boxes = result.depth, result.boxes3d
    if boxes is not None:
        frames.boxes.append(boxes)
    if depth is not None:
        frames.kind = depth.kind
        write_depth_png(folder / "depth" / f"{name}.png", depth.depth, depth.valid, kind=depth.kind)
        frames.ranges.append(_limits(depth))
    if depth is not None or boxes is not None:
        return
    part = next(iter(result.parts.values()), None)
    if part is None:
        raise InputError(f"{model} says nothing about pictures that a video could show")
    write_image(folder / "result" / f"{name}.png", part.preview(picture))


def _smaller(pixels: np.ndarray, camera: Any, divisor: int = 1) -> tuple[np.ndarray, Any]:
    """The frame with its longer side at most `MAX_SIDE`, all sides divided by `divisor` and even, and its camera."""
    import cv2

    height, width = pixels.shape[:2]
    ratio = min(1.0, MAX_SIDE / max(width, height)) / divisor
    size = tuple(max(2, round(side * ratio) // 2 * 2) for side in (width, height))
    if size == (width, height):
        return pixels, camera
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), camera.resize(*size)


def _limits(depth: Any) -> tuple[float, float]:
    if depth.kind != "inverse":
        return depth_limits(depth.depth, depth.valid)
    values = depth.depth[depth.valid]
    low, high = np.percentile(values, (1, 99)) if values.size else (0.0, 1.0)
    return float(low), float(high)


def _range(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    """One range for the clip: most frames' limits lie inside. Frames whose range is far from the others do not widen it."""
    near = float(np.percentile([low for low, _ in ranges], 10, method="inverted_cdf"))
    far = float(np.percentile([high for _, high in ranges], 90, method="inverted_cdf"))
    return (near, far) if far > near else (near, max(near * 2, near + 1e-3))


def measured(answer: VideoAnswer, number: int, look: Look) -> Measured:
    """One frame to click in: its boxes where there are some, else its depth."""
    frame = frame_of(answer, number)
    return street.measured(frame, look.score) if answer.boxes else in_pictures({"": frame})


def shape_file(answer: VideoAnswer, number: int, look: Look, folder: Path) -> Path | None:
    """Write the 3D view's file of one frame: its boxes on the street, or a mesh of its depth."""
    frame = frame_of(answer, number)
    return (
        street.shape_file(frame, look.score, folder) if answer.boxes else photo.shape_file(frame, look, folder, "Mesh")
    )


def summary(answer: VideoAnswer) -> dict[str, Any]:
    """The facts for programs, with the notes."""
    return dict(answer.facts) | {"notes": list(answer.notes)}


def look_of(answer: VideoAnswer) -> Look:
    """The colours that suit the whole clip, and the boxes that are likely."""
    return Look(near=answer.near, far=answer.far, score=answer.score or 0.0)


def first_frame(file: str | Path, max_pixels: int = 24_000_000) -> LoadedImage:
    """What the camera is read out of. Raises `InputError` for what is no clip."""
    for frame in stream(file, max_pixels=max_pixels):
        return LoadedImage(frame.pixels, Path(file).name)
    raise InputError(f"{Path(file).name} has no frame that can be read; try another clip")


def frame_of(answer: VideoAnswer, number: int) -> Prediction:
    """One frame's picture, camera, depth and boxes (what the model finds of them)."""
    number = min(max(int(number), 0), answer.count - 1)
    name = f"{number:06d}.png"
    picture = read_png(answer.folder / "picture" / name)[0]
    depth, boxes = None, answer.boxes[number] if answer.boxes else None
    if answer.kind:
        values, valid = read_depth_png(answer.folder / "depth" / name)
        depth = DepthResult(values, valid, answer.kind, answer.camera)
    return Prediction(depth=depth, boxes3d=boxes, image=picture, camera=answer.camera, name=name, model=answer.model)


def frame_view(answer: VideoAnswer, number: int, look: Look) -> np.ndarray:
    """(H, W, 3) uint8: the result of one frame, drawn as `look` says. Depth alike has the same colour in every frame."""
    frame = frame_of(answer, number)
    if answer.boxes:
        return street.image_view(frame, look.score)
    if not answer.kind:
        return read_png(answer.folder / "result" / frame.name)[0]
    if answer.kind == "inverse":
        limits = (answer.near, answer.far)
        return draw_values(frame.depth.depth, frame.depth.valid, limits=limits, cmap=look.colormap)
    return depth_view(frame, look)


def draw_video(answer: VideoAnswer, look: Look, out: Path, layout: str = SIDE_BY_SIDE, say: Say = silent) -> Path:
    """Write the clip's MP4 into the folder `out`; no model runs. Raises `InputError` for an unknown layout."""
    if layout not in LAYOUTS:
        raise InputError(f"the video can show {', '.join(LAYOUTS)}; found {layout!r}")
    path = out / "result.mp4"
    with VideoWriter(path, answer.fps, codec="vp09") as video:
        for number in range(answer.count):
            say(0.8 + 0.2 * number / answer.count, f"Drawing frame {number + 1} of {answer.count}")
            view = frame_view(answer, number, look)
            if layout == SIDE_BY_SIDE:
                picture = read_png(answer.folder / "picture" / f"{number:06d}.png")[0]
                tall = picture.shape[0] > picture.shape[1]
                view = np.concatenate([picture, view], 1 if tall or picture.shape[1] < 2.2 * picture.shape[0] else 0)
            video.write(view)
    return path


def movie_of(answer: VideoAnswer, look: Look, layout: str = SIDE_BY_SIDE, say: Say = silent) -> Path:
    """The clip's MP4 as `draw_video` draws it, drawn once for every look."""
    key = (look, layout)
    if key not in answer.movies:
        answer.movies[key] = draw_video(answer, look, Path(tempfile.mkdtemp(dir=answer.folder)), layout, say)
    return answer.movies[key]


def write_frames(answer: VideoAnswer, look: Look, out: Path) -> Path:
    """One ZIP with each frame's depth (16-bit PNG) or boxes (JSON) and its picture as `look` says, and clip.json; written frame by frame."""
    import cv2

    path = out / "frames.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:  # PNG is compressed already
        for number in range(answer.count):
            name = f"{number:06d}"
            if answer.kind:
                bundle.write(answer.folder / "depth" / f"{name}.png", f"depth/{name}.png")
            if answer.boxes:
                found = answer.boxes[number].above(look.score).summary()
                bundle.writestr(f"boxes3d/{name}.json", json.dumps(found, default=str))
            coloured = frame_view(answer, number, look)[..., ::-1]
            bundle.writestr(f"preview/{name}.png", cv2.imencode(".png", coloured)[1].tobytes())
        about = {"frames": answer.count, "fps": answer.fps, "kind": answer.kind, "look": dataclasses.asdict(look)}
        about |= {"facts": dict(answer.facts), "notes": list(answer.notes)}
        bundle.writestr("clip.json", json.dumps(about, indent=2))
    return path


def write_files(answer: VideoAnswer, number: int, look: Look, layout: str, out: Path) -> list[Path]:
    """One ZIP of the MP4, of all frames, and of everything about frame `number` (NPY, PLY, GLB); then the MP4 alone."""
    movie, archive = movie_of(answer, look, layout), write_frames(answer, look, out)
    frame = frame_of(answer, number)
    if answer.boxes:
        frame = frame.with_parts(boxes3d=street.shown(frame, look.score))
    folder = out / f"frame_{frame.name.removesuffix('.png')}"
    frame.save(folder)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as bundle:
        bundle.write(movie, movie.name)
        for file in sorted(folder.iterdir()):
            bundle.write(file, file.relative_to(out), zipfile.ZIP_DEFLATED, 1)
    return [archive, movie]


def snippet(answer: VideoAnswer, device: str = "auto") -> str:
    """The Python lines that predict the same frames."""
    lines = ["import perception", "from perception.io import stream", ""]
    lines += [f"model = {loading(answer.model, device)}"]
    lines += [f"for frame in stream({answer.name!r}, every={answer.every}, limit={MAX_FRAMES}):  # the clip's path"]
    pixels = "frame.pixels"
    if answer.resized:
        lines.insert(0, "import cv2")
        lines += [f"    small = cv2.resize(frame.pixels, {answer.resized}, interpolation=cv2.INTER_AREA)"]
        pixels = "small"
    lines += [f"    result = model({pixels}{answer.arguments})", '    result.save(f"out/{frame.name}")', ""]
    return "\n".join(lines)
