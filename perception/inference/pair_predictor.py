"""A model of two pictures together with its preprocessing: stereo pairs and consecutive frames in, `Prediction`s out.

model = perception.load("croco-stereo")
result = model("left.png", "right.png", fov=80, baseline=0.54)
result.disparity, result.depth
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.inference.cameras import CameraLike, guess_notes, resolve_camera
from perception.inference.predictor import Predictor
from perception.io.images import load_image
from perception.results import Prediction


class PairPredictor(Predictor):
    """Callable model of picture pairs."""

    def __call__(  # type: ignore[override]
        self,
        first: Any,
        second: Any = None,
        camera: CameraLike = None,
        *,
        fov: float | None = None,
        baseline: float | None = None,
        max_pixels: int | None = None,
    ) -> Any:
        """Predict one pair, or each of a list of pairs.

        Args:
            first, second: the left and the right picture of a rectified stereo pair, or a frame and the next one: path, bytes, PIL picture, array or tensor.
                Or `first` alone: a tuple of both, or a list of such tuples.
            camera, fov: of the first picture, as for `Predictor`. baseline: metres between the cameras of a stereo pair; with it the result has metric depth.

        Raises `InputError` for pictures of unequal sizes, or a camera that cannot be used.
        """
        options = {"fov": fov, "baseline": baseline, "max_pixels": max_pixels}
        if second is None:
            if isinstance(first, list):
                return [self(pair, camera=camera, **options) for pair in first]
            if not isinstance(first, tuple) or len(first) != 2:
                raise InputError(
                    "this model takes two pictures of one scene: model(left, right), or a list of (left, right)"
                )
            first, second = first
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        loads = [load_image(source, **limit) for source in (first, second)]
        resolved = resolve_camera(loads[0], camera, fov, "pinhole")
        prepared = self.model.preprocess([load.pixels for load in loads], resolved)
        result = self._run([prepared])[0]
        notes = (*loads[0].notes, *result.notes)
        if result.disparity is not None and baseline is not None:
            result = dataclasses.replace(result, depth=result.disparity.to_depth(baseline))
        elif result.disparity is not None:
            notes = (*notes, "give the baseline (metres between the cameras) for depth in metres")
        notes = (*notes, *guess_notes(resolved, result))
        return dataclasses.replace(result, name=loads[0].name, model=self.name, notes=notes)

    def stream(  # type: ignore[override]
        self, source: Any, camera: CameraLike = None, *, fov: float | None = None, every: int = 1
    ) -> Iterator[Prediction]:
        """Optical flow from each frame of a video or folder (each n-th: `every`) to the next. Raises `InputError` for stereo models: they need two sources."""
        if "flow" not in self.tasks:
            raise InputError("a video is no stereo pair; call the model with the left and the right picture")
        from perception.io import stream

        before = None
        for frame in stream(source, every=every):
            if before is not None:
                result = self(before.pixels, frame.pixels, camera, fov=fov)
                yield dataclasses.replace(result, name=before.name)
            before = frame

    def warmup(self, width: int = 640, height: int = 480) -> PairPredictor:
        """Run once on blank pictures."""
        blank = np.zeros((height, width, 3), np.uint8)
        self(blank, blank)
        return self


def pairs_of(files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Files in the order left, right, left, right ... as pairs. Raises `InputError` for an odd number."""
    if len(files) % 2:
        raise InputError(
            f"this model takes pictures in pairs (left right, or frame and next frame); found {len(files)} pictures"
        )
    return list(zip(files[::2], files[1::2], strict=True))
