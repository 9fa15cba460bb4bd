"""Panorama: range of a whole sphere or a part of it, its textured mesh, files, the Python call."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.common import (
    Facts,
    Say,
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
from perception.errors import InputError
from perception.geometry import Equirectangular
from perception.inference import Predictor
from perception.io.images import LoadedImage

VIEWER_VERTICES = 130_000  # what the 3D view draws smoothly; the files hold more
TEXTURE = 2048  # pixels across of the texture on the mesh that is shown


@dataclasses.dataclass(frozen=True)
class SphereEntry:
    """The part of the sphere that a picture shows, degrees: longitudes grow to the right (0 = straight ahead), latitudes upwards (0 = the horizon)."""

    whole: bool = True
    left: float = -180.0
    right: float = 180.0
    bottom: float = -90.0
    top: float = 90.0

    def camera(self, image: LoadedImage) -> Equirectangular:
        """Raises `InputError` for angles that are no part of a sphere."""
        if self.whole:
            return Equirectangular(image.width, image.height)
        numbers = (self.left, self.right, self.bottom, self.top)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError("the angles of a panorama must be numbers of degrees")
        if not (0 < self.right - self.left <= 360 and -90 <= self.bottom < self.top <= 90):
            raise InputError(
                "a panorama's left edge must be smaller than its right one, by at most 360 degrees, and -90 <= bottom < top <= 90; "
                f"found {self.left:g} to {self.right:g} and {self.bottom:g} to {self.top:g}"
            )
        longitude, latitude = ([math.radians(v) for v in pair] for pair in (numbers[:2], numbers[2:]))
        return Equirectangular(image.width, image.height, (longitude[0], longitude[1]), (latitude[0], latitude[1]))

    @property
    def text(self) -> str:
        """For people."""
        if self.whole:
            return "360° x 180°"
        return f"{self.left:g}° to {self.right:g}°, {self.bottom:g}° to {self.top:g}°"

    def arguments(self, image: LoadedImage) -> str:
        """The same as an argument of a Python call, starting with a comma; empty for a whole sphere."""
        if self.whole:
            return ""
        return f", camera=perception.Equirectangular({image.width}, {image.height}, np.radians(({self.left:g}, {self.right:g})), np.radians(({self.bottom:g}, {self.top:g})))"


@dataclasses.dataclass(frozen=True, eq=False)
class PanoramaAnswer:
    """A prediction with all that is needed to show it again."""

    result: Any
    sphere: SphereEntry
    arguments: str
    seconds: float
    facts: Facts

    @property
    def megabytes(self) -> float:
        return megabytes(self.result)

    @property
    def range(self) -> tuple[float, float]:
        """(near, far) that suit this panorama, metres."""
        return range_of(self.result.depth)

    @property
    def has_confidence(self) -> bool:
        """Whether pixels can be left out by the model's own confidence."""
        depth = self.result.depth
        return depth is not None and depth.confidence is not None


def predict_panorama(
    file: str | Path | None,
    model: Predictor,
    sphere: SphereEntry | None = None,
    *,
    max_pixels: int = 24_000_000,
    say: Say = silent,
) -> PanoramaAnswer:
    """Predict one panorama file. Raises `InputError` with one sentence when there is none, or its angles are impossible."""
    entry = sphere or SphereEntry()
    say(0.1, "Reading the panorama")
    image = read_picture(file, max_pixels)
    camera = entry.camera(image)
    say(0.3, f"Predicting with {model.name}: the first time takes longest")
    start = time.perf_counter()
    result = with_smaller_retry(lambda picture, chosen: model(picture, chosen, max_pixels=max_pixels), image, camera)
    if result.depth is None or not isinstance(result.camera, Equirectangular):
        raise InputError(f"the model {model.name} finds no depth of panoramas; choose another")
    seconds = time.perf_counter() - start
    say(0.8, "Drawing")
    height, width = result.image.shape[:2]
    facts = [
        *file_fact(result.name),
        ("Panorama", f"{width} x {height}"),
        ("Shows", entry.text),
        ("Range", depth_text(result.depth)),
        *model_facts(model, seconds),
    ]
    return PanoramaAnswer(result, entry, entry.arguments(image), seconds, facts)


def summary(answer: PanoramaAnswer) -> dict[str, Any]:
    """The facts for programs: JSON-able, with the notes."""
    return {name.lower(): value for name, value in answer.facts} | {"notes": list(answer.result.notes)}


def shape_file(result: Any, look: Look, folder: Path, see_through: bool = True) -> Path | None:
    """Write the 3D view's file: the sphere as a mesh with the panorama on it, upright; None where nothing is known.

    see_through: from outside, the nearer walls are left out, so that one looks into a room as into a doll's house.
    """
    from perception.io import glb

    depth = kept(result, look).depth
    if not depth.valid.any():
        return None
    mesh = depth.mesh(result.image, VIEWER_VERTICES)
    texture = result.image
    if texture.shape[1] > TEXTURE:
        import cv2

        size = (TEXTURE, max(1, round(texture.shape[0] * TEXTURE / texture.shape[1])))
        texture = cv2.resize(np.ascontiguousarray(texture), size, interpolation=cv2.INTER_AREA)
    return glb.write_mesh_glb(folder / "panorama.glb", mesh, texture, double_sided=not see_through)


def write_files(result: Any, look: Look, folder: Path) -> list[Path]:
    """Write every file of the result as it is shown, and one ZIP of them all, which comes first."""
    from perception.io import images

    results = folder / "results"
    kept(result, look).save(results)
    images.write_image(results / "depth_preview.png", depth_view(result, look))
    shape_file(result, look, results)
    archive = pack(results, folder / "results.zip")
    return [archive, *sorted(path for path in results.rglob("*") if path.is_file())]


def snippet(answer: PanoramaAnswer, device: str = "auto") -> str:
    """The Python lines that reproduce this very result."""
    numpy = "import numpy as np\n" if answer.arguments else ""
    return (
        f"{numpy}import perception\n"
        "\n"
        f"model = {loading(answer.result.model, device)}\n"
        f"result = model({answer.result.name!r}{answer.arguments})  # the panorama's path\n"
        "distance = result.depth.depth  # (H, W) float32, metres along each ray, 0 where unknown\n"
        'result.save("out")  # NPY, 16-bit PNG, previews, PLY and GLB of the sphere, JSON\n'
    )
