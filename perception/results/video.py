"""What a model of video said about one frame: depth and so on, and how the camera moved to the frames beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perception.results.base import check_shape, frozen
from perception.results.prediction import Prediction


@dataclass(frozen=True, eq=False, repr=False)
class VideoPrediction(Prediction):
    """A `Prediction` with ``motion`` (T, 6): axis-angle [rad] and translation neighbour <- frame, in the depth's unit, a row a neighbour."""

    motion: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.motion is not None:
            object.__setattr__(self, "motion", frozen(self.motion, np.float32))
            check_shape("motion", self.motion, ("T", 6))

    def summary(self) -> dict[str, Any]:
        """JSON-able description of every part, and the motions."""
        return super().summary() | {"motion": None if self.motion is None else self.motion.tolist()}
