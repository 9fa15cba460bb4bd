"""Street: 3D boxes of one picture: on it, from above, as a table and as a scene; drawn again from the kept result at any score; files; the Python call."""

from __future__ import annotations

import dataclasses
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.cameras import CameraEntry
from app.jobs.common import (
    Facts,
    Say,
    camera_text,
    file_fact,
    loading,
    megabytes,
    model_facts,
    pack,
    read_picture,
    silent,
    with_smaller_retry,
)
from app.jobs.looks import range_of
from app.jobs.ruler import Measured, reading
from perception.drawing import draw_bev, draw_boxes3d
from perception.errors import InputError
from perception.inference import Predictor

COLUMNS = ("Class", "Score", "Distance m", "Ahead m", "Right m", "Length m", "Width m", "Height m", "Heading °")
SCORE = 0.25  # boxes below are not shown at first: doubles of the same object, most of them
NO_BOXES = "nothing was found at this score; lower the threshold, or try a street picture"


@dataclasses.dataclass(frozen=True, eq=False)
class StreetAnswer:
    """A prediction with all its boxes, whatever their score."""

    result: Any
    camera: CameraEntry
    arguments: str
    seconds: float
    facts: Facts

    @property
    def megabytes(self) -> float:
        return megabytes(self.result)

    @property
    def range(self) -> tuple[float, float]:
        """(near, far) that suit the model's own coarse depth of objects, metres; (0, 0) where it gives none."""
        return range_of(self.result.depth)


def predict_street(
    file: str | Path | None,
    model: Predictor,
    camera: CameraEntry | None = None,
    *,
    max_pixels: int = 24_000_000,
    say: Say = silent,
) -> StreetAnswer:
    """Predict one picture file. Raises `InputError` with one sentence when there is no picture, or the model finds no boxes by its nature."""
    entry = camera or CameraEntry()
    say(0.1, "Reading the picture")
    image = read_picture(file, max_pixels)
    say(0.3, f"Predicting with {model.name}")
    start = time.perf_counter()
    result = with_smaller_retry(
        lambda picture, chosen: model(picture, chosen, max_pixels=max_pixels), image, entry.camera(image)
    )
    if result.boxes3d is None:
        raise InputError(f"the model {model.name} finds no 3D boxes; choose another")
    seconds = time.perf_counter() - start
    say(0.8, "Drawing")
    height, width = result.image.shape[:2]
    facts = [
        *file_fact(result.name),
        ("Picture", f"{width} x {height}"),
        ("Camera", camera_text(result.camera)),
        *model_facts(model, seconds),
    ]
    return StreetAnswer(result, entry, entry.arguments(image), seconds, facts)


def shown(result: Any, score: float) -> Any:
    """The boxes of at least that score, nearest first."""
    boxes = result.boxes3d.above(float(score))
    return boxes[np.argsort(np.linalg.norm(boxes.centres, axis=1), kind="stable")]


def facts(answer: StreetAnswer, score: float) -> Facts:
    """What is shown, in words."""
    boxes = shown(answer.result, score)
    found = ", ".join(f"{boxes.names.count(name)} {name}" for name in dict.fromkeys(sorted(boxes.names)))
    return [("Objects", found or "none"), *answer.facts]


def notes(answer: StreetAnswer, score: float) -> tuple[str, ...]:
    """Sentences for the visitor."""
    nothing = () if len(shown(answer.result, score)) else (NO_BOXES,)
    return (*nothing, *answer.result.notes)


def image_view(result: Any, score: float) -> np.ndarray:
    """(H, W, 3) uint8: the boxes on the picture, which is wide and shown small: its lines and texts can be read at a third of its size."""
    width = result.image.shape[1]
    look = {"thickness": max(1, round(width / 420)), "text_height": max(9, round(width / 46))}
    return draw_boxes3d(result.image, shown(result, score), result.camera, **look)


def measured(result: Any, score: float) -> Measured:
    """The picture with its boxes, and what is said of points in it: on a box, else where the model itself sees an object at some depth."""
    return image_view(result, score), partial(reading, {"": result.with_parts(boxes3d=shown(result, score))})


def bev_view(result: Any, score: float, height: int = 640) -> np.ndarray:
    """(height, W, 3) uint8: the boxes from above; the part of the ground does not change with the score."""
    return draw_bev(shown(result, score), frame="camera", extent=_extent(result), height=height)


def _extent(result: Any) -> tuple[float, float, float]:
    """(half width, from, to) metres that hold every likely box, in steps of 10 m."""
    likely = result.boxes3d.above(0.1)
    far = float(likely.centres[:, 2].max(initial=0.0)) + 4
    half = float(np.abs(likely.centres[:, 0]).max(initial=0.0)) + 4
    return min(max(math.ceil(half / 10) * 10, 20), 50), -3.0, min(max(math.ceil(far / 10) * 10, 30), 100)


def table(result: Any, score: float) -> list[list[Any]]:
    """One row an object in the order of `COLUMNS`, nearest first. Heading: 0 = the way the camera looks, 90 = to the right, 180 = towards it."""
    boxes = shown(result, score)
    heading = np.degrees(np.pi / 2 - boxes.yaws.astype(np.float64))
    heading = (heading + 180) % 360 - 180
    rows = []
    for i, name in enumerate(boxes.names):
        x, _, z = map(float, boxes.centres[i])
        size = [round(float(v), 2) for v in boxes.sizes[i]]
        rows.append(
            [name, round(float(boxes.scores[i]), 2), round(math.hypot(x, z), 1), round(z, 1), round(x, 1), *size]
            + [round(float(heading[i]))]
        )
    return rows


def summary(answer: StreetAnswer, score: float) -> dict[str, Any]:
    """The facts and the boxes for programs."""
    named = {name.lower(): value for name, value in facts(answer, score)}
    boxes = shown(answer.result, score).summary()
    return named | {"notes": list(notes(answer, score)), "boxes": boxes["boxes"], "units": boxes["units"]}


def shape_file(result: Any, score: float, folder: Path) -> Path:
    """Write the 3D view's file: the boxes on a ground that is painted with the picture, upright."""
    from app.jobs.shapes import street_scene

    half, _, far = _extent(result)
    return street_scene(
        folder / "street.glb", result.image, result.camera, shown(result, score), (min(half, 20.0), far)
    )


def write_files(result: Any, score: float, folder: Path) -> list[Path]:
    """Write every file of the result as it is shown, and one ZIP of them all, which comes first."""
    from perception.io import images

    results = folder / "results"
    boxes = shown(result, score)
    result.with_parts(boxes3d=boxes).save(results)
    boxes.to_kitti(results / "boxes3d_kitti.txt")
    images.write_image(results / "boxes3d_bev.png", bev_view(result, score))
    shape_file(result, score, results)
    archive = pack(results, folder / "results.zip")
    return [archive, *sorted(path for path in results.rglob("*") if path.is_file())]


def snippet(answer: StreetAnswer, score: float, device: str = "auto") -> str:
    """The Python lines that reproduce this very result."""
    return (
        "import perception\n"
        "\n"
        f"model = {loading(answer.result.model, device)}\n"
        f"result = model({answer.result.name!r}{answer.arguments})  # the picture's path\n"
        f"boxes = result.boxes3d.above({score:g})\n"
        "for box in boxes:\n"
        "    print(box.names[0], box.scores[0], box.centres[0], box.sizes[0], box.yaws[0])  # metres, camera frame\n"
        'result.with_parts(boxes3d=boxes).save("out")  # PNG, JSON, GLB\n'
        'boxes.to_kitti("out/boxes3d_kitti.txt")\n'
    )
