"""Greedy tracking of 3D boxes by their velocities (CenterPoint, Yin et al. 2021, section 4.2).

    tracker = GreedyTracker()
    for result, time, pose in stream:                 # Boxes3DResult with velocities, seconds, (4, 4) global_from_ego
        result = tracker.update(result, time, pose)   # the same boxes with track_ids

Each detection is moved back by its velocity to the time of the frame before. In order of descending score it takes the nearest free track of its
class within the class's limit. What is left starts a new track; a track without a detection moves on by its last velocity and is given up
after `max_age` frames.

The ground plane (x, y) is that of the global frame, so the vehicle's own motion cannot be mistaken for the objects'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.results import Boxes3DResult

# The published limits [m]: how far a detection, moved back, may be from the track's last centre. Other classes are not tracked.
CLASS_LIMITS: dict[str, float] = {
    "car": 4.0,
    "truck": 4.0,
    "bus": 5.5,
    "trailer": 3.0,
    "pedestrian": 1.0,
    "motorcycle": 13.0,
    "bicycle": 3.0,
}
NO_TRACK = -1


@dataclass
class _Tracks:
    """Tracks that may still be continued: identity (T,), xy (T, 2) at the last time [m], velocity (T, 2), name (T,), missed (T,) frames."""

    identity: np.ndarray
    xy: np.ndarray
    velocity: np.ndarray
    name: np.ndarray
    missed: np.ndarray

    @classmethod
    def none(cls) -> _Tracks:
        zero = np.zeros(0, np.int64)
        return cls(zero, np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype="U1"), zero)


class GreedyTracker:
    """State of one stream. It is not shared between threads.

    limits     metres by class name; boxes of other classes get the identity -1
    max_age    frames that a track survives without a detection
    min_score  weaker detections neither continue nor start a track (identity -1)
    """

    def __init__(self, limits: Mapping[str, float] | None = None, max_age: int = 3, min_score: float = 0.0) -> None:
        self.limits = dict(CLASS_LIMITS if limits is None else limits)
        wrong = [name for name, limit in self.limits.items() if not limit > 0]
        if wrong or max_age < 0:
            raise InputError(
                f"tracking needs limits above 0 m and max_age >= 0; found {wrong[0]}: {self.limits[wrong[0]]}"
                if wrong
                else f"tracking needs max_age >= 0; found {max_age}"
            )
        self.max_age, self.min_score = int(max_age), float(min_score)
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and count identities from 0 again."""
        self.tracks, self.time, self.scene, self.count = _Tracks.none(), None, None, 0

    def update(
        self, result: Boxes3DResult, time: float, global_from_frame: Any = None, scene: Any = None
    ) -> Boxes3DResult:
        """Return `result` with track_ids (N,), -1 for boxes that are not tracked.

        time: seconds. global_from_frame: (4, 4) pose of the boxes' frame; it may be left out for boxes in the global frame. scene: the tracker
        starts anew whenever it changes. Raises `InputError` for a time that does not grow, or a missing pose.
        """
        flat = result
        if result.frame != "global":
            if global_from_frame is None:
                raise InputError(f"tracking boxes of the {result.frame} frame needs global_from_{result.frame} (4, 4)")
            flat = result.to_frame("global", global_from_frame)
        velocity = np.zeros((len(flat), 2)) if flat.velocity is None else flat.velocity
        found = self.step(flat.centres[:, :2], velocity, np.array(flat.names, np.str_), flat.scores, time, scene)
        return replace(result, track_ids=found)

    def step(
        self,
        xy: np.ndarray,
        velocity: np.ndarray,
        names: np.ndarray,
        scores: np.ndarray,
        time: float,
        scene: Any = None,
    ) -> np.ndarray:
        """One frame of detections in a frame that stands still: xy (N, 2) [m], velocity (N, 2) [m/s, NaN = 0], names (N,), scores (N,).

        Returns (N,) int64 identities, see `update`.
        """
        if scene != self.scene:
            self.reset()
            self.scene = scene
        lag = 0.0 if self.time is None else float(time) - self.time
        if lag < 0 or (lag == 0 and self.time is not None):
            raise InputError(f"the frames of a track must come in order of time: {time} s follows {self.time} s")
        self.time = float(time)
        limit = np.array([self.limits.get(str(name), np.nan) for name in names], np.float64)
        scores = np.asarray(scores, np.float64)
        rows = np.flatnonzero(np.isfinite(limit) & (scores >= self.min_score))
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        xy, names, limit = np.asarray(xy, np.float64)[rows], np.asarray(names)[rows], limit[rows]
        velocity = np.nan_to_num(np.asarray(velocity, np.float64)[rows])
        old = self.tracks
        apart = np.linalg.norm((xy - velocity * lag)[:, None] - old.xy[None], axis=-1)
        apart[(apart > limit[:, None]) | (names[:, None] != old.name[None])] = np.inf
        partner = nearest_free(apart)

        fresh = partner < 0
        identity = np.where(fresh, self.count + np.cumsum(fresh) - 1, 0)
        identity[~fresh] = old.identity[partner[~fresh]]
        self.count += int(fresh.sum())
        lost = np.setdiff1d(np.arange(len(old.identity)), partner)
        lost = lost[old.missed[lost] < self.max_age]
        self.tracks = _Tracks(
            np.concatenate([identity, old.identity[lost]]),
            np.concatenate([xy, old.xy[lost] + old.velocity[lost] * lag]),
            np.concatenate([velocity, old.velocity[lost]]),
            np.concatenate([names, old.name[lost]]),
            np.concatenate([np.zeros(len(rows), np.int64), old.missed[lost] + 1]),
        )
        found = np.full(len(scores), NO_TRACK, np.int64)
        found[rows] = identity
        return found


def nearest_free(distance: np.ndarray) -> np.ndarray:
    """(N,) column that each row of `distance` (N, T; inf = barred) gets when one row after another takes its nearest free column, else -1.

    Rows propose to their nearest column all at once and a column keeps the first of them; the others propose again. Since all columns
    prefer rows in the same order, this ends in what taking turns gives (Gale and Shapley), in a few rounds.
    """
    rows, columns = distance.shape
    taken = np.full(rows, -1)
    if not rows or not columns:
        return taken
    left = np.array(distance, np.float64)
    holder = np.full(columns, rows)  # the first row that wants the column
    while True:
        free = np.flatnonzero((taken < 0) & np.isfinite(left).any(1))
        if not len(free):
            return taken
        wish = left[free].argmin(1)
        np.minimum.at(holder, wish, free)
        taken[:] = -1
        held = np.flatnonzero(holder < rows)
        taken[holder[held]] = held
        # Who was refused does not ask there again.
        left[free[holder[wish] != free], wish[holder[wish] != free]] = np.inf
        pushed = left[:, held]
        pushed[np.arange(rows)[:, None] > holder[held][None]] = np.inf
        left[:, held] = pushed
