"""A ruler on the ground: where a point of the view from above is, on what, and how far two are apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from app.jobs.ruler import Measured, Point
from app.jobs.surround.answer import SurroundAnswer
from app.jobs.surround.views import EXTENT, bev_view
from perception.drawing.birds_eye import BirdsEye
from perception.drawing.rig import view_of_rig
from perception.geometry import boxes3d as geometry

HEIGHT = 640  # pixels of the view that is clicked in
NEAR = 0.3  # metres: a click this close to an object means it


def measured(answer: SurroundAnswer, moment: int, score: float, side: str) -> Measured:
    """The view from above, and what is said of points in it."""
    view = view_of_rig(EXTENT, HEIGHT)
    return bev_view(answer, moment, score, side, HEIGHT), partial(reading, view, answer.boxes(moment, score, side))


def reading(view: BirdsEye, boxes: Any, points: Sequence[Point]) -> str:
    """Say where one point of `view` is, or how far two are apart. boxes: in the ego frame, metres."""
    places = [view.ground(np.asarray(point) + 0.5) for point in points]
    texts = [_on(boxes, place) for place in places]
    if len(places) == 1:
        away = f"{np.linalg.norm(places[0]):.1f} m away: {_direction(places[0])}"
        return f"{texts[0]}, {away}" if texts[0] else away
    one, other = (text or f"the ground {_direction(place)}" for text, place in zip(texts, places, strict=True))
    return f"{np.linalg.norm(places[0] - places[1]):.1f} m between {one} and {other}"


def _direction(place: np.ndarray) -> str:
    right, ahead = map(float, place)
    return (
        f"{abs(ahead):.1f} m {'ahead' if ahead >= 0 else 'behind'}, "
        f"{abs(right):.1f} m to the {'right' if right >= 0 else 'left'}"
    )


def _on(boxes: Any, place: np.ndarray) -> str:
    """The object at a place (metres to the right and ahead), with its track; empty where there is none."""
    if not len(boxes):
        return ""
    flat = boxes.boxes.astype(np.float64) * [1, 1, 0, 1, 1, 1, 1]
    spot = np.array([place[1], -place[0], 0.0])
    inside = np.flatnonzero(geometry.points_in_boxes(spot[None], flat, "ego", NEAR)[0])
    if not inside.size:
        return ""
    nearest = inside[np.linalg.norm(flat[inside, :2] - spot[:2], axis=1).argmin()]
    track = -1 if boxes.track_ids is None else boxes.track_ids[nearest]
    return boxes.names[nearest] + (f" #{track}" if track >= 0 else "")
