"""What a sensor sees of a scene with its exact truth, and what models make of it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.jobs.common import Facts, Say, halved_where_too_large, megabytes, model_facts, silent
from app.jobs.looks import range_of
from app.jobs.world.errors import LEAST_SCORE, measured, objects_found
from app.jobs.world.order import Order
from perception.inference import Predictor

VIEWS = ("Depth", "Normals", "Segments", "Boxes")
FEWEST_PIXELS = 30  # boxes with fewer visible pixels are not shown
_WORLDS: OrderedDict[tuple, Any] = OrderedDict()
_WORLDS_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True, eq=False)
class WorldAnswer:
    """One picture of each camera: `truths` and `results` (or None where no model was asked) are `Prediction`s with the same pictures.

    divisor: of the sides of the pictures, more than 1 where the device had too little memory.
    """

    order: Order
    names: Sequence[str]
    truths: Sequence[Any]
    results: Sequence[Any] | None
    models: tuple[str, ...]
    pixel_errors: list[list[str]]
    facts: Facts
    notes: tuple[str, ...] = ()
    divisor: int = 1

    @property
    def megabytes(self) -> float:
        return sum(megabytes(part) for part in (*self.truths, *(self.results or ())))

    @property
    def views(self) -> list[str]:
        """Names of `VIEWS` that there are."""
        return [name for name in VIEWS if name != "Boxes" or any(len(t.boxes3d) for t in self.truths)]

    @property
    def range(self) -> tuple[float, float]:
        """(near, far) of the true depth of all pictures, metres."""
        every = [range_of(truth.depth) for truth in self.truths]
        return min(near for near, _ in every), min(max(far for _, far in every), 100.0)

    @property
    def ahead(self) -> dict[str, Any]:
        """The truth of the camera that looks ahead (or of the panorama), and what the model found there, without boxes: surfaces are to be measured."""
        number = self.names.index("CAM_FRONT") if "CAM_FRONT" in self.names else 0
        found = {"Truth": self.truths[number]} | ({} if self.results is None else {"Model": self.results[number]})
        return {name: one.with_parts(boxes3d=None) for name, one in found.items()}

    @property
    def score(self) -> float | None:
        """Least score of the boxes shown at first; None where no model found any."""
        return LEAST_SCORE if any(result.boxes3d is not None for result in self.results or ()) else None

    def metrics(self, score: float = LEAST_SCORE) -> list[list[str]]:
        """Rows (what, value, meaning) of the model's errors; boxes below `score` do not count."""
        return [*self.pixel_errors, *objects_found(self.truths, self.results or (), score)]


def make_world(order: Order, models: Sequence[Predictor] = (), say: Say = silent) -> WorldAnswer:
    """Render what the sensor sees, and let the models look at it: the first one that has a part (depth, boxes ...) gives it.

    Where the device has too little memory, once more with pictures of half the size, and a note says so. Raises `InputError` where that is too large too.
    """
    answer, divisor = halved_where_too_large(lambda divisor: _made(order, models, divisor, say), "this scene")
    if divisor == 1:
        return answer
    note = "the device has too little memory for more: pictures of half the size"
    return dataclasses.replace(answer, divisor=divisor, notes=(*answer.notes, note))


def _made(order: Order, models: Sequence[Predictor], divisor: int, say: Say) -> WorldAnswer:
    say(0.05, "Building the scene")
    start = time.perf_counter()
    with _WORLDS_LOCK:  # scenes keep what they have posed: one thread at a time
        world = _world(order)
        scene = world.scene
        say(0.2, "Casting rays")
        moment = world.render(order.rig(divisor), order.time, ("depth", "normals", "semantic", "instance", "boxes"))
        frames = [moment.frames[name] for name in _around(list(moment.frames))]
        truths = [_truth(frame) for frame in frames]
    facts: Facts = [
        ("Scene", f"{order.kind} {order.seed}, {order.style}"),
        ("Light", scene.weather.replace("_", " ")),
        ("Pictures", f"{len(frames)} x {frames[0].camera.width} x {frames[0].camera.height}"),
        ("Objects in view", str(sum(len(truth.boxes3d) for truth in truths))),
        ("Rendered in", f"{time.perf_counter() - start:.2f} s"),
    ]
    names, results, errors = [frame.name for frame in frames], None, []
    if models:
        start, results = time.perf_counter(), []
        for number, truth in enumerate(truths):
            say(0.4 + 0.4 * number / len(truths), f"Predicting with {models[0].name}")
            results.append(_predicted(truth, models))
        facts += model_facts(models[0], time.perf_counter() - start)
        say(0.85, "Measuring")
        errors = measured(truths, results)
    notes = tuple(dict.fromkeys(note for result in results or () for note in result.notes))
    return WorldAnswer(order, names, truths, results, tuple(model.name for model in models), errors, facts, notes)


def _world(order: Order) -> Any:
    from perception.datasets.world import World

    key = (order.seed, order.kind, order.style, order.weather)
    if key not in _WORLDS:
        _WORLDS[key] = World(*key)
        while len(_WORLDS) > 3:
            _WORLDS.popitem(last=False)
    _WORLDS.move_to_end(key)
    return _WORLDS[key]


def _around(names: list[str]) -> list[str]:
    """Cameras as one sees them: front left, front, front right; back left, back, back right as in a mirror."""
    order = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
    wanted = [f"CAM_{name}" for name in order]
    return wanted if set(wanted) == set(names) else names


def _truth(frame: Any) -> Any:
    """The frame's truth as a `Prediction`, with the coarse classes that the models of this project learn."""
    from perception.datasets.world.classes import GROUP_OF, TRAINING_GROUPS
    from perception.results import SegmentationResult

    truth = frame.prediction(FEWEST_PIXELS)
    semantic = GROUP_OF[frame.semantic].astype(np.int64)
    return truth.with_parts(segmentation=SegmentationResult(semantic, class_names=TRAINING_GROUPS))


def _predicted(truth: Any, models: Sequence[Predictor]) -> Any:
    found = None
    for model in models:
        answer = model(truth.image, truth.camera)
        if found is None:
            found = answer
        else:
            found = found.with_parts(**{name: part for name, part in answer.parts.items() if name not in found.parts})
    return found
