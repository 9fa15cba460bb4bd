"""A ruler: the depth at a clicked pixel, the distance in space between two, in photos, streets with 3D boxes and panoramas alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import Equirectangular
from perception.geometry.boxes3d import ray_entries

Point = tuple[float, float]  # (column, row) of the picture, pixels
Measured = tuple[
    np.ndarray, Callable[[Sequence[Point]], str]
]  # a picture to click in, and what is said of one or two points of it


def in_pictures(subjects: Mapping[str, Any]) -> Measured:
    """The picture of `subjects`, and their `reading`."""
    return next(iter(subjects.values())).image, partial(reading, subjects)


def reading(subjects: Mapping[str, Any], points: Sequence[Point]) -> str:
    """What one or two points are in `subjects`: name -> a `Prediction` of the same picture; a single one may have no name."""
    measure = depth_at if len(points) == 1 else distance_between
    texts = {name: measure(result, *points) for name, result in subjects.items()}
    return ". ".join(f"{name}: {text}" if name else text for name, text in texts.items())


def depth_at(result: Any, point: Point) -> str:
    """Say how far the surface at a pixel is: its depth and distance, or in a panorama its distance and direction."""
    found = _found(result, point)
    if found is None:
        return "no depth there"
    (place, on), unit = found, _unit(result)
    (x, y, z), distance = place, float(np.linalg.norm(place))
    if not isinstance(result.camera, Equirectangular):
        where = f"depth {z:.2f} {unit}, {distance:.2f} {unit} from the camera, at ({int(point[0])}, {int(point[1])})"
        return where + (f", on a box ({on})" if on else "")
    longitude, latitude = math.degrees(math.atan2(x, z)), math.degrees(math.asin(-y / distance))
    side = f"{abs(longitude):.0f}° to the {'right' if longitude >= 0 else 'left'}"
    return (
        f"{distance:.2f} {unit} away, {side}, {abs(latitude):.0f}° {'above' if latitude >= 0 else 'below'} the horizon"
    )


def distance_between(result: Any, first: Point, second: Point) -> str:
    """Say how far the surfaces at two pixels are apart in space."""
    a, b = point_at(result, first), point_at(result, second)
    if a is None or b is None:
        return "no depth at one of the two points"
    pixels = " and ".join(f"({int(x)}, {int(y)})" for x, y in (first, second))
    return f"{np.linalg.norm(a - b):.2f} {_unit(result)} between {pixels}"


def point_at(result: Any, point: Point) -> np.ndarray | None:
    """(3,) float64, camera frame, metres (or the depth's own unit); None where no place in space is known.

    On the surface of the nearest 3D box that the pixel's ray meets, where the prediction has boxes; else on its depth map.
    """
    found = _found(result, point)
    return None if found is None else found[0]


def _found(result: Any, point: Point) -> tuple[np.ndarray, str] | None:
    """The place of `point_at`, and the class of the box that it is on, if any."""
    column, row = (math.floor(value) for value in point)
    if not (0 <= row < result.camera.height and 0 <= column < result.camera.width):
        return None
    if result.boxes3d is not None and len(result.boxes3d):
        ray = result.camera.rays()[row, column].astype(np.float64)
        (away,) = ray_entries(ray[None], result.boxes3d.boxes, "camera")
        if np.isfinite(away.min()):
            return ray * away.min(), result.boxes3d.names[int(away.argmin())]
    depth = result.depth
    if depth is None or depth.kind == "inverse" or not depth.valid[row, column]:
        return None
    ray = depth.camera.rays(unit=depth.kind == "range")[row, column]
    return ray.astype(np.float64) * float(depth.depth[row, column]), ""


def parse_points(text: str) -> tuple[Point, ...]:
    """One or two points from "x, y" or "x, y; x, y", pixels. Raises `InputError`."""
    try:
        numbers = [float(word) for word in re.split(r"[\s,;]+", (text or "").strip())]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 4) or not all(math.isfinite(number) for number in numbers):
        raise InputError(f'points are typed as "x, y" or "x, y; x, y" in pixels; found {text!r}')
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def ruler_view(image: np.ndarray, points: Sequence[Point]) -> np.ndarray:
    """The picture with the clicked points, and the line between two of them."""
    from perception.drawing import canvas

    out = canvas.checked(image)
    size = max(2, round(max(image.shape[:2]) / 160))
    if len(points) == 2:
        line = np.array([[[x + 0.5, y + 0.5] for x, y in points]])
        canvas.polylines(out, line, (0, 0, 0), size + 2)
        canvas.polylines(out, line, (255, 255, 255), max(1, size // 2))
    turn = np.linspace(0, 2 * np.pi, 25)[:, None]
    ring = np.concatenate([np.cos(turn), np.sin(turn)], 1)
    for x, y in points:
        centre = np.array([x + 0.5, y + 0.5])
        canvas.fill_polygon(out, centre + ring * (size * 2.0), (0, 0, 0), 0.9)
        canvas.fill_polygon(out, centre + ring * (size * 1.4), (255, 255, 255), 1.0)
    return out


def _unit(result: Any) -> str:
    return "m" if result.depth is None or result.depth.unit else "(relative units)"
