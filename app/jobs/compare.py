"""Compare: two models on one picture, or one model on the picture and on a changed copy of it, which shows how firm its answer is."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.cameras import CameraEntry
from app.jobs.common import (
    Facts,
    Say,
    depth_text,
    file_fact,
    loading,
    megabytes,
    model_facts,
    pack,
    read_picture,
    silent,
    with_smaller_retry,
)
from app.jobs.looks import Look, depth_view
from perception.drawing import depth_limits, draw_normals, draw_values, rounded_up
from perception.errors import InputError
from perception.inference import Predictor
from perception.io.images import LoadedImage

SAME, MIRRORED, HALF = "the picture itself", "the picture mirrored", "the picture at half its size"
VARIATIONS = (SAME, MIRRORED, HALF)
DEPTH, NORMALS, SEGMENTS = "Depth", "Normals", "Segments"
PARTS = {DEPTH: "depth", NORMALS: "normals", SEGMENTS: "segmentation"}
RED = np.array([200, 30, 50], np.uint8)
Views = tuple[np.ndarray, np.ndarray, np.ndarray, Facts]


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two predictions of one picture, both in its pixels. parts: what both have, of `PARTS`. variation: what the second one saw.

    name, arguments: the picture's name and the camera as arguments of a Python call.
    """

    first: Any
    second: Any
    names: tuple[str, str]
    facts: Facts
    variation: str = SAME
    name: str = ""
    arguments: str = ""

    @property
    def parts(self) -> list[str]:
        return [
            what
            for what, part in PARTS.items()
            if getattr(self.first, part) is not None and getattr(self.second, part) is not None
        ]

    @property
    def megabytes(self) -> float:
        return megabytes(self.first) + megabytes(self.second)

    @property
    def range(self) -> tuple[float, float]:
        """(near, far) that suit both depths, metres; (0, 0) where they are not both metric."""
        depths = (self.first.depth, self.second.depth)
        if any(depth is None or depth.kind == "inverse" for depth in depths):
            return 0.0, 0.0
        together = np.concatenate([depth.depth[depth.valid] for depth in depths])
        return depth_limits(together[None]) if together.size else (1.0, 2.0)

    @property
    def sides(self) -> dict[str, Any]:
        """Name -> prediction of both."""
        return {"First": self.first, "Second": self.second}


def compare(
    file: str | Path | None,
    first: Predictor,
    second: Predictor,
    variation: str = SAME,
    camera: CameraEntry | None = None,
    *,
    max_pixels: int = 24_000_000,
    say: Say = silent,
) -> Comparison:
    """Predict one picture file with both models; `variation` is what the second one sees.

    Raises `InputError` for a picture that cannot be read, or models that have nothing in common.
    """
    if variation not in VARIATIONS:
        raise InputError(f"the second model can see {', '.join(VARIATIONS)}; found {variation!r}")
    image = read_picture(file, max_pixels)
    entry = camera or CameraEntry()
    entered = entry.camera(image) or image.camera()
    answers, names = [], []
    facts = [*file_fact(image.name), ("Picture", f"{image.width} x {image.height}")]
    for place, model, seen in ((0.2, first, SAME), (0.6, second, variation)):
        say(place, f"Predicting with {model.name}")
        start = time.perf_counter()
        answers.append(
            with_smaller_retry(lambda one, cam, model=model, seen=seen: _predict(model, one, cam, seen), image, entered)
        )
        names.append(model.name if seen == SAME else f"{model.name}, {seen}")
        facts.append(
            (names[-1], depth_text(answers[-1].depth) + f"; {model_facts(model, time.perf_counter() - start)[-1][1]}")
        )
    both = (answers[0], _in_metres_of(answers[0], answers[1]))
    done = Comparison(*both, (names[0], names[1]), facts, variation, image.name, entry.arguments(image))
    if not done.parts:
        raise InputError(
            f"{first.name} and {second.name} have nothing in common to compare: {', '.join(first.tasks)} and {', '.join(second.tasks)}"
        )
    return done


def _predict(model: Predictor, image: LoadedImage, camera: Any, seen: str) -> Any:
    """The prediction in the pixels of `image`, whatever the model was shown."""
    import cv2

    width, height = image.size
    if seen == MIRRORED:
        result = model(np.ascontiguousarray(image.pixels[:, ::-1]), camera.flip())
        return _moved(result, image, camera, lambda values: values[:, ::-1], mirror=True)
    if seen == HALF and min(width, height) >= 4:
        small = cv2.resize(image.pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        result = model(small, camera.resize(width // 2, height // 2))
        rows = np.arange(height) * (height // 2) // height
        columns = np.arange(width) * (width // 2) // width
        return _moved(result, image, camera, lambda values: values[rows][:, columns])
    return model(image, camera)


def _moved(result: Any, image: LoadedImage, camera: Any, move: Any, mirror: bool = False) -> Any:
    depth, normals, segments = result.depth, result.normals, result.segmentation
    if depth is not None:
        confidence = None if depth.confidence is None else move(depth.confidence)
        depth = dataclasses.replace(
            depth, depth=move(depth.depth), valid=move(depth.valid), camera=camera, confidence=confidence
        )
    if normals is not None:
        turned = move(normals.normals) * (np.float32([-1, 1, 1]) if mirror else np.float32(1))
        normals = dataclasses.replace(normals, normals=turned, valid=move(normals.valid), camera=camera)
    if segments is not None:
        maps = {
            name: None if getattr(segments, name) is None else move(getattr(segments, name))
            for name in ("semantic", "instance", "panoptic")
        }
        segments = dataclasses.replace(segments, **maps)
    return dataclasses.replace(
        result, depth=depth, normals=normals, segmentation=segments, image=image.pixels, camera=camera, boxes3d=None
    )


def _in_metres_of(first: Any, second: Any) -> Any:
    """`second` with a relative depth fitted to the metres of `first`, where that is possible."""
    a, b = first.depth, second.depth
    if a is None or b is None or a.kind != "metric" or b.kind not in ("inverse", "relative"):
        return second
    both = np.nonzero((a.valid & b.valid).reshape(-1))[0]
    if both.size < 2:
        return second
    chosen = both[:: max(1, both.size // 5000)]
    rows, columns = np.divmod(chosen, a.shape[1])
    known = np.stack([columns + 0.5, rows + 0.5, a.depth[rows, columns]], 1)
    note = "relative depth was fitted to the metres of the other model by least squares"
    try:
        return dataclasses.replace(second, depth=b.fit_metric(known), notes=(*second.notes, note))
    except InputError:
        return second


def views(done: Comparison, what: str, look: Look | None = None) -> Views:
    """(first, second, difference) as (H, W, 3) uint8 with legends, and what the difference amounts to. look: colours of depth, else those that suit both."""
    if what not in done.parts:
        raise InputError(f"these models can be compared in {', '.join(done.parts)}; found {what!r}")
    if what == DEPTH:
        near, far = done.range
        return _depth_views(done, look or Look(near=near, far=far))
    return _normals_views(done) if what == NORMALS else _segments_views(done)


def _depth_views(done: Comparison, look: Look) -> Views:
    a, b = done.first.depth, done.second.depth
    known = a.valid & b.valid
    if a.kind == "inverse" or b.kind == "inverse":
        if a.kind != b.kind:
            raise InputError("an inverse depth without scale cannot be compared with this metric one")
        first, second = (_normalised(depth.depth, known) for depth in (a, b))
        difference, limit, unit = second - first, 1.0, "of the range"
        facts: Facts = []
    else:
        difference, unit = b.depth - a.depth, a.unit
        size = np.abs(difference[known])
        limit = rounded_up(float(np.percentile(size, 98))) if size.size else 1.0
        relative = size / a.depth[known]
        facts = (
            [
                ("Mean difference", f"{size.mean():.2f} {unit}, {100 * relative.mean():.1f} %"),
                ("Differ by less than 10 %", f"{100 * (relative < 0.1).mean():.0f} % of the pixels"),
            ]
            if size.size
            else []
        )
    apart = draw_values(difference, known, limits=(-limit, limit), unit=unit)
    return depth_view(done.first, look), depth_view(done.second, look), apart, facts


def _normalised(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not known.any():
        return values
    low, high = np.percentile(values[known], (1, 99))
    return (values - low) / max(float(high - low), 1e-12)


def _normals_views(done: Comparison) -> Views:
    a, b = done.first.normals, done.second.normals
    known = a.valid & b.valid
    angle = np.degrees(np.arccos(np.clip((a.normals * b.normals).sum(-1), -1, 1)))
    limit = rounded_up(float(np.percentile(angle[known], 98))) if known.any() else 1.0
    facts: Facts = [("Mean angle between them", f"{angle[known].mean():.1f}°")] if known.any() else []
    sides = (draw_normals(a.normals, a.valid), draw_normals(b.normals, b.valid))
    return *sides, draw_values(angle, known, limits=(0.0, limit), unit="degrees", cmap="magma"), facts


def _segments_views(done: Comparison) -> Views:
    a, b = done.first.segmentation, done.second.segmentation
    if a.semantic is None or b.semantic is None or a.class_names != b.class_names:
        raise InputError("these models use different classes, so their segments cannot be compared")
    differ = a.semantic != b.semantic
    grey = done.first.image.mean(-1, keepdims=True).repeat(3, -1).astype(np.uint8)
    picture = np.where(
        differ[..., None], (grey * 0.35 + RED * 0.65).astype(np.uint8), (grey // 2 + 96).astype(np.uint8)
    )
    sides = (a.preview(done.first.image), b.preview(done.first.image))
    return *sides, picture, [("Same class", f"{100 * (1 - differ.mean()):.1f} % of the pixels (red: not)")]


def summary(done: Comparison) -> dict[str, Any]:
    """The facts and what the differences amount to, for programs."""
    facts = dict(done.facts)
    for part in done.parts:
        with contextlib.suppress(InputError):  # two models with different classes: their depth can still be compared
            facts |= dict(views(done, part)[3])
    return facts


def write_files(done: Comparison, folder: Path) -> Path:
    """One ZIP: the files of both predictions, and the difference pictures."""
    from perception.io import images

    results = folder / "results"
    done.first.save(results / "first")
    done.second.save(results / "second")
    for what in done.parts:
        with contextlib.suppress(InputError):  # as in `summary`
            images.write_image(results / f"difference_{PARTS[what]}.png", views(done, what)[2])
    return pack(results, folder / "comparison.zip")


def snippet(done: Comparison, device: str = "auto") -> str:
    """The Python lines that make both predictions and their difference."""
    lines = ["import perception", "from perception.io import load_image", ""]
    lines += [f"image = load_image({done.name!r})  # the picture's path"]
    lines += [f"first = {loading(done.first.model, device)}(image{done.arguments})"]
    if done.variation == SAME:
        lines += [f"second = {loading(done.second.model, device)}(image{done.arguments})"]
        if DEPTH in done.parts:
            lines += ["difference = second.depth.depth - first.depth.depth"]
    elif done.variation == MIRRORED:
        lines += [f"second = {loading(done.second.model, device)}(image.pixels[:, ::-1].copy(), first.camera.flip())"]
        if DEPTH in done.parts:
            lines += ["difference = second.depth.depth[:, ::-1] - first.depth.depth"]
    else:
        lines += [
            "import cv2",
            "width, height = image.width // 2, image.height // 2",
            "small = cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_AREA)",
            f"second = {loading(done.second.model, device)}(small, first.camera.resize(width, height))",
        ]
    return "\n".join(lines) + "\n"
