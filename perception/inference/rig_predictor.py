"""A rig model together with its preprocessing: `Rig`s in, `RigPrediction`s out.

    model = perception.load("hydra-world-tiny")
    result = model(rig)                          # one moment
    for result in model.stream(rigs):            # a drive: earlier moments help, objects keep their track ids
        ...

A call keeps nothing. A stream keeps its history and tracks in itself, so one predictor serves many streams at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry.rig import Rig
from perception.inference.predictor import Predictor
from perception.inference.rig_inputs import rig_from_json, rig_from_sample


class RigPredictor(Predictor):
    """Callable model of a vehicle's surroundings."""

    def __call__(self, rig: Any, *, score_threshold: float | None = None) -> Any:  # type: ignore[override]
        """Predict one rig, or each of a list.

        Args:
            rig: a `Rig`, a sample of a rig data set, the path of a JSON rig file, or a list of them. Cameras may be missing, radar too.
            score_threshold: leave boxes below out; None keeps all that the model gives.

        Raises `InputError` for anything else, in one sentence.
        """
        if isinstance(rig, (list, tuple)):
            return [self(one, score_threshold=score_threshold) for one in rig]
        rig = as_rig(rig)
        outputs = self._outputs(self.model.prepare_rig(rig))
        return self._result(outputs, rig, score_threshold)

    def stream(  # type: ignore[override]
        self, samples: Iterable[Any], *, track: bool = True, score_threshold: float | None = None, **tracker: Any
    ) -> Iterator[Any]:
        """Yield one result a moment, in order.

        Moments need `time`, and `global_from_ego` for history and tracks; a moment without them is predicted alone, and a new `scene` starts anew.
        track: give boxes track ids (`perception.tracking.GreedyTracker`, whose options `tracker` are).
        """
        history = StreamHistory(int(getattr(self.model, "history", 0)))
        tracking = None
        if track:
            from perception.tracking import GreedyTracker

            tracking = GreedyTracker(**tracker)
        for sample in samples:
            rig = as_rig(sample)
            inputs = self.model.prepare_rig(rig)
            inputs |= history.inputs(rig)
            outputs = self._outputs(inputs)
            result = self._result(outputs, rig, score_threshold)
            history.add(rig, outputs["bev"])
            if tracking is not None and rig.global_from_ego is not None and rig.time is not None:
                boxes = tracking.update(result.boxes3d, rig.time, rig.global_from_ego, rig.scene)
                result = dataclasses.replace(result, boxes3d=boxes)
            elif tracking is not None:
                note = "no track ids: tracking needs the time and global_from_ego of every moment"
                result = dataclasses.replace(result, notes=(*result.notes, note))
            yield result

    def warmup(self, width: int = 640, height: int = 480) -> RigPredictor:
        """Run once on a blank picture."""
        from perception.geometry.cameras import Pinhole

        camera = Pinhole.from_fov(width=width, height=height, horizontal_degrees=70)
        pose = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], np.float64)
        self(Rig.from_arrays([np.zeros((height, width, 3), np.uint8)], camera.matrix[None], pose[None]))
        return self

    def _outputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        moved = {
            name: value.to(self.device) if isinstance(value, torch.Tensor) else [v.to(self.device) for v in value]
            for name, value in inputs.items()
        }
        half = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype) if half else contextlib.nullcontext():
            return self.model(**moved)

    def _result(self, outputs: Mapping[str, Any], rig: Rig, least: float | None) -> Any:
        result = self.model.predict(outputs)[0]
        boxes = result.boxes3d if least is None else result.boxes3d.above(least)
        notes = list(rig.notes)
        if rig.radar_points is None and getattr(self.model, "radar", False):
            notes.append("no radar: velocities are weaker than with it")
        return dataclasses.replace(
            result, boxes3d=boxes, rig=rig, name=rig.name, model=self.name, notes=(*result.notes, *notes)
        )


class StreamHistory:
    """BEV features of the last moments of one scene, and where the vehicle was."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.held: list[tuple[torch.Tensor, np.ndarray, float]] = []
        self.scene: str | None = None

    def inputs(self, rig: Rig) -> dict[str, Any]:
        """History arguments of the model's forward for this moment; starts anew at another scene, or when time goes backwards."""
        if not self.frames or rig.global_from_ego is None or rig.time is None:
            return {}
        if rig.scene != self.scene or (self.held and rig.time <= self.held[0][2]):
            self.reset()
            self.scene = rig.scene
        moves, ages = [], []
        for _, pose, time in self.held:
            past_from_now = np.linalg.inv(pose) @ rig.global_from_ego
            moves.append(torch.from_numpy(past_from_now).float()[None])
            ages.append(torch.tensor([rig.time - time], dtype=torch.float32))
        return {"past_bev": [bev for bev, _, _ in self.held], "past_from_now": moves, "past_age": ages}

    def add(self, rig: Rig, bev: torch.Tensor) -> None:
        """Remember this moment."""
        if not self.frames or rig.global_from_ego is None or rig.time is None:
            self.reset()
            return
        self.scene = rig.scene
        self.held = [(bev.detach(), np.asarray(rig.global_from_ego), float(rig.time)), *self.held][: self.frames]


def as_rig(value: Any) -> Rig:
    """A `Rig` from a rig, a data set's sample, or the path of a JSON file. Raises `InputError`."""
    import os

    if isinstance(value, Rig):
        return value
    if isinstance(value, Mapping) and "images" in value:
        return rig_from_sample(value)
    if isinstance(value, (str, os.PathLike)):
        return rig_from_json(value)
    raise InputError(
        f"this model takes a Rig (perception.Rig), a rig sample or a JSON rig file; found {type(value).__name__}"
    )
