"""Photo: depth, normals and segments of one picture; views that are drawn again from the kept result; measuring; files; the Python call."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.cameras import CameraEntry
from app.jobs.common import (
    Facts,
    Say,
    camera_text,
    depth_text,
    megabytes,
    model_facts,
    pack,
    read_picture,
    silent,
    with_smaller_retry,
)
from perception.drawing import depth_limits, draw_depth
from perception.errors import InputError
from perception.inference import Predictor

VIEWER_POINTS = 150_000  # what the 3D view draws smoothly; the files hold more
COLORMAPS = ("spectral_r", "turbo", "magma", "inferno", "viridis", "cividis", "gray")
Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Look:
    """How depth is shown and what of it is kept. near, far: metres, the ends of the colours; `hide` also leaves out what lies beyond them.

    confidence: pixels below are left out (only where the model gives a confidence).
    """

    colormap: str = COLORMAPS[0]
    near: float = 0.0
    far: float = 0.0
    hide: bool = False
    confidence: float = 0.0

    @property
    def limits(self) -> tuple[float, float] | None:
        """(near, far), or None for "as the depth itself suggests"."""
        return (max(self.near, 1e-3), self.far) if self.far > max(self.near, 1e-3) else None


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoAnswer:
    """A prediction with all that is needed to show it again: nothing here belongs to Gradio, nothing is a path."""

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
        """(near, far) that suit this depth, metres; (0, 0) where there is none in metres."""
        depth = self.result.depth
        if depth is None or depth.kind == "inverse":
            return 0.0, 0.0
        return depth_limits(depth.depth, depth.valid)


def predict_photo(
    file: str | Path | None,
    model: Predictor,
    camera: CameraEntry | None = None,
    *,
    max_pixels: int = 24_000_000,
    say: Say = silent,
) -> PhotoAnswer:
    """Predict one picture file. Raises `InputError` with one sentence when there is no picture or it cannot be read."""
    entry = camera or CameraEntry()
    say(0.1, "Reading the picture")
    image = read_picture(file, max_pixels)
    say(0.3, f"Predicting with {model.name}")
    start = time.perf_counter()
    result = with_smaller_retry(
        lambda picture, chosen: model(picture, chosen, max_pixels=max_pixels), image, entry.camera(image)
    )
    seconds = time.perf_counter() - start
    say(0.8, "Drawing")
    return PhotoAnswer(result, entry, entry.arguments(image), seconds, _facts(result, model, seconds))


def _facts(result: Any, model: Predictor, seconds: float) -> Facts:
    height, width = result.image.shape[:2]
    facts: Facts = [("Picture", f"{width} x {height}")]
    if result.camera is not None:
        facts.append(("Camera", camera_text(result.camera)))
    if result.depth is not None:
        facts.append(("Depth", depth_text(result.depth)))
    return facts + model_facts(model, seconds)


def summary(answer: PhotoAnswer) -> dict[str, Any]:
    """The facts for programs: JSON-able, with the notes."""
    return {name.lower(): value for name, value in answer.facts} | {"notes": list(answer.result.notes)}


def kept(result: Any, look: Look) -> Any:
    """The prediction without the depth that `look` leaves out."""
    depth = result.depth
    if depth is None:
        return result
    valid = depth.valid
    if look.hide and look.limits is not None and depth.kind != "inverse":
        valid = valid & (depth.depth >= look.limits[0]) & (depth.depth <= look.limits[1])
    if look.confidence > 0 and depth.confidence is not None:
        valid = valid & (depth.confidence >= look.confidence)
    return result if valid is depth.valid else result.with_parts(depth=dataclasses.replace(depth, valid=valid))


def depth_view(result: Any, look: Look) -> np.ndarray | None:
    """(H, W, 3) uint8: coloured depth with its legend in metres."""
    depth = kept(result, look).depth
    if depth is None:
        return None
    if depth.kind == "inverse":
        from perception.drawing import draw_inverse_depth

        return draw_inverse_depth(depth.depth, depth.valid, cmap=look.colormap)
    return draw_depth(depth.depth, depth.valid, unit=depth.unit, limits=look.limits, cmap=look.colormap)


def shape_file(result: Any, look: Look, folder: Path, style: str = "Points") -> Path | None:
    """Write the 3D view's file, points or a mesh, upright; None where the depth has no shape."""
    from perception.io import glb

    depth = kept(result, look).depth
    if depth is None or depth.kind == "inverse" or not depth.valid.any():
        return None
    if style == "Mesh":
        return glb.write_mesh_glb(folder / "mesh.glb", depth.mesh(result.image, VIEWER_POINTS))
    cloud = depth.point_cloud(result.image, VIEWER_POINTS)
    return glb.write_glb(folder / "points.glb", cloud.points, colors=cloud.colors)


def write_files(result: Any, look: Look, folder: Path) -> list[Path]:
    """Write every file of the result as it is shown, and one ZIP of them all, which comes first."""
    from perception.io import images

    shown = kept(result, look)
    results = folder / "results"
    shown.save(results)
    if shown.depth is not None:
        images.write_image(results / "depth_preview.png", depth_view(result, look))
    archive = pack(results, folder / "results.zip")
    return [archive, *sorted(path for path in results.rglob("*") if path.is_file())]


def snippet(answer: PhotoAnswer, look: Look | None = None, device: str = "auto") -> str:
    """The Python lines that reproduce this very result."""
    result, look = answer.result, look or Look()
    where = "" if device == "auto" else f", device={device!r}"
    lines = [
        "import perception",
        "",
        f"model = perception.load({result.model!r}{where})",
        f"result = model({result.name!r}{answer.arguments})  # the picture's path",
        "print(result)",
    ]
    if result.depth is not None:
        unit = "metres" if result.depth.unit else "relative"
        lines.append(f"depth = result.depth.depth  # (H, W) float32, {unit}, 0 where unknown")
        tests = []
        if look.hide and look.limits is not None and result.depth.kind != "inverse":
            tests.append(f"(depth >= {look.limits[0]:g}) & (depth <= {look.limits[1]:g})")
        if look.confidence > 0 and result.depth.confidence is not None:
            tests.append(f"(result.depth.confidence >= {look.confidence:g})")
        if tests:
            lines.append(f"depth = depth * ({' & '.join(tests)})")
    lines.append('result.save("out")  # NPY, 16-bit PNG, previews, PLY, GLB, JSON')
    return "\n".join(lines) + "\n"


def depth_at(result: Any, x: float, y: float) -> str:
    """Say the depth at a pixel (column x, row y of the picture)."""
    point = _point(result, x, y)
    if point is None:
        return "no depth there"
    distance = np.linalg.norm(point)
    return (
        f"depth {point[2]:.2f} {_unit(result)}, {distance:.2f} {_unit(result)} from the camera, at ({int(x)}, {int(y)})"
    )


def distance_between(result: Any, first: Point, second: Point) -> str:
    """Say how far two clicked pixels are apart in space."""
    a, b = _point(result, *first), _point(result, *second)
    if a is None or b is None:
        return "no depth at one of the two points"
    return f"{np.linalg.norm(a - b):.2f} {_unit(result)} between ({int(first[0])}, {int(first[1])}) and ({int(second[0])}, {int(second[1])})"


def parse_points(text: str) -> tuple[Point, ...]:
    """One or two points from "x, y" or "x, y; x, y", pixels. Raises `InputError`."""
    try:
        numbers = [float(word) for word in re.split(r"[\s,;]+", (text or "").strip())]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 4) or not all(math.isfinite(number) for number in numbers):
        raise InputError(f'points are typed as "x, y" or "x, y; x, y" in pixels; found {text!r}')
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def ruler_view(image: np.ndarray, points: list[Point]) -> np.ndarray:
    """The picture with the clicked points, and the line between two of them."""
    from perception.drawing import canvas

    out = canvas.checked(image)
    size = max(2, round(max(image.shape[:2]) / 160))
    if len(points) == 2:
        line = np.array([[[x + 0.5, y + 0.5] for x, y in points]])
        canvas.polylines(out, line, (0, 0, 0), size + 2)
        canvas.polylines(out, line, (255, 255, 255), max(1, size // 2))
    for x, y in points:
        turn = np.linspace(0, 2 * np.pi, 25)[:, None]
        ring = np.concatenate([np.cos(turn), np.sin(turn)], 1) + 0.0
        centre = np.array([x + 0.5, y + 0.5])
        canvas.fill_polygon(out, centre + ring * (size * 2.0), (0, 0, 0), 0.9)
        canvas.fill_polygon(out, centre + ring * (size * 1.4), (255, 255, 255), 1.0)
    return out


def _point(result: Any, x: float, y: float) -> np.ndarray | None:
    depth = result.depth
    if depth is None or depth.kind == "inverse":
        return None
    row, column = int(y), int(x)
    height, width = depth.depth.shape
    if not (0 <= row < height and 0 <= column < width) or not depth.valid[row, column]:
        return None
    value = depth.depth[row, column]
    if depth.kind == "range" and hasattr(depth.camera, "fx"):
        ray = depth.camera.rays(unit=True)[row, column].astype(np.float64)
        return ray * value
    pixel = np.array([[column + 0.5, row + 0.5]])
    return result.camera.unproject_pixels(pixel, np.array([value]))[0]


def _unit(result: Any) -> str:
    return result.depth.unit or "(relative units)"


def checked_look(colormap: str, near: float, far: float, hide: bool, confidence: float) -> Look:
    """A `Look` from the page's controls. Raises `InputError` for a range that is empty."""
    if colormap not in COLORMAPS:
        raise InputError(f"the colour map must be one of {', '.join(COLORMAPS)}; found {colormap!r}")
    near, far = float(near or 0), float(far or 0)
    if far <= near and (far > 0 or near > 0):
        raise InputError(f"the near limit must be smaller than the far one; found {near:g} m and {far:g} m")
    return Look(colormap, near, far, bool(hide), float(confidence or 0))
