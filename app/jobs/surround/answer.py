"""What a model finds on a drive, moment by moment with its history, and what is true."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.jobs.common import Facts, Say, halved_where_too_large, megabytes, model_facts, silent
from app.jobs.surround.scenes import Scene
from perception.errors import InputError
from perception.geometry.rig import Rig
from perception.inference import Predictor

MODEL, TRUTH = "Model", "Truth"


@dataclasses.dataclass(frozen=True, eq=False)
class SurroundAnswer:
    """results: one `RigPrediction` a moment, with track ids, or None where there is no model (then the truth is all that is shown)."""

    scene: Scene
    results: Sequence[Any] | None
    model: str
    seconds: float
    facts: Facts

    @property
    def megabytes(self) -> float:
        pictures = sum(camera.image.nbytes for rig in self.scene.rigs for camera in rig.cameras) / 1e6
        return pictures + sum(megabytes(result) for result in self.results or ())

    @property
    def sides(self) -> list[str]:
        """What can be shown: the model's answer, the truth, or both."""
        return [MODEL] * (self.results is not None) + [TRUTH] * (self.scene.truth is not None)

    def side(self, wanted: str) -> str:
        """The wanted one of `sides`, or the one there is."""
        return wanted if wanted in self.sides else self.sides[0]

    def moment(self, wanted: float) -> int:
        """The number of the moment nearest to the wanted one."""
        return int(np.clip(int(wanted), 0, len(self.scene.rigs) - 1))

    def boxes(self, moment: int, score: float, side: str) -> Any:
        """The boxes (ego frame) of the model at that score, or the true ones."""
        moment = self.moment(moment)
        if self.side(side) == TRUTH:
            return self.scene.truth[moment]
        return self.results[moment].boxes3d.above(float(score))

    def voxels(self, moment: int, side: str) -> Any:
        """The occupancy, or None."""
        moment = self.moment(moment)
        if self.side(side) == TRUTH:
            return None if self.scene.voxels is None else self.scene.voxels(moment)
        return self.results[moment].occupancy


def predict_surround(scene: Scene, model: Predictor | None, say: Say = silent) -> SurroundAnswer:
    """Let the model look at all moments in order, with its history and tracks. Without a model, the scene's truth is the answer.

    Where the device has too little memory, all moments are predicted once more from pictures of half the size. Raises `InputError` where there is
    neither model nor truth.
    """
    first = scene.rigs[0]
    facts: Facts = [
        ("Scene", scene.name),
        ("Moments", f"{len(scene.rigs)}, {len(first.cameras)} cameras"),
        ("Radar", "none" if first.radar_points is None else f"{len(first.radar_points)} points in the first moment"),
    ]
    if model is None:
        if scene.truth is None:
            raise InputError("no model of vehicle rigs is offered here, and an uploaded rig has no truth to show")
        return SurroundAnswer(scene, None, "", 0.0, facts)

    def look_around(divisor: int) -> list[Any]:
        results = []
        for result in model.stream(_smaller(rig, divisor) for rig in scene.rigs):
            results.append(result)
            say(0.4 + 0.5 * len(results) / len(scene.rigs), f"Moment {len(results)} of {len(scene.rigs)}")
        return results

    start = time.perf_counter()
    results, divisor = halved_where_too_large(look_around, "this rig")
    if divisor > 1:
        note = "the device has too little memory for more: predicted from pictures of half the size"
        results = [dataclasses.replace(result, notes=(*result.notes, note)) for result in results]
    seconds = time.perf_counter() - start
    return SurroundAnswer(scene, results, model.name, seconds, facts + model_facts(model, seconds))


def _smaller(rig: Rig, divisor: int) -> Rig:
    """The rig with the sides of its pictures divided."""
    if divisor == 1:
        return rig
    import cv2

    cameras = []
    for one in rig.cameras:
        size = (max(1, one.camera.width // divisor), max(1, one.camera.height // divisor))
        pixels = cv2.resize(one.image, size, interpolation=cv2.INTER_AREA)
        cameras.append(dataclasses.replace(one, image=pixels, camera=one.camera.resize(*size)))
    return dataclasses.replace(rig, cameras=cameras)
