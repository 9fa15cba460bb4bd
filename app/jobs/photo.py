"""Photo: depth, normals and segments of one picture; views that are drawn again from the kept result; files; the Python call."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from app.jobs.cameras import CameraEntry
from app.jobs.common import (
    Facts,
    Say,
    camera_text,
    depth_text,
    file_fact,
    loading,
    megabytes,
    model_facts,
    pack,
    read_picture,
    silent,
    with_smaller_retry,
)
from app.jobs.looks import Look, depth_view, kept, range_of
from perception.inference import Predictor

VIEWER_POINTS = 150_000  # what the 3D view draws smoothly; the files hold more


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
        return range_of(self.result.depth)

    @property
    def has_confidence(self) -> bool:
        """Whether pixels can be left out by the model's own confidence."""
        depth = self.result.depth
        return depth is not None and depth.confidence is not None


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
    facts: Facts = [*file_fact(result.name), ("Picture", f"{width} x {height}")]
    if result.camera is not None:
        facts.append(("Camera", camera_text(result.camera)))
    if result.depth is not None:
        facts.append(("Depth", depth_text(result.depth)))
    return facts + model_facts(model, seconds)


def summary(answer: PhotoAnswer) -> dict[str, Any]:
    """The facts for programs: JSON-able, with the notes."""
    return {name.lower(): value for name, value in answer.facts} | {"notes": list(answer.result.notes)}


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
    lines = [
        "import perception",
        "",
        f"model = {loading(result.model, device)}",
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
