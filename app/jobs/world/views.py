"""Pictures of the truth and of a model's answer, in the same colours, and the true 3D."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.looks import Look, depth_view
from app.jobs.world.answer import WorldAnswer
from app.jobs.world.errors import LEAST_SCORE
from perception.drawing import draw_boxes3d, grid
from perception.geometry import Equirectangular
from perception.io import glb

VIEWER_VERTICES = 150_000  # what the 3D view draws smoothly


def image_view(answer: WorldAnswer) -> np.ndarray:
    """The pictures alone."""
    return _sheet([truth.image for truth in answer.truths])


def truth_view(answer: WorldAnswer, what: str, look: Look | None = None) -> np.ndarray:
    """(H, W, 3) uint8: a view of `VIEWS` of the truth. look: colours of depth, else those that suit the truth."""
    return _sheet([_drawn(what, truth, truth, look or _suited(answer)) for truth in answer.truths])


def model_view(answer: WorldAnswer, what: str, look: Look | None = None) -> np.ndarray | None:
    """The same of the model's answer, in the same colours; None where it has no such part."""
    pairs = zip(answer.truths, answer.results or (), strict=answer.results is not None)
    tiles = [_drawn(what, truth, found, look or _suited(answer)) for truth, found in pairs]
    return _sheet(tiles) if tiles and all(tile is not None for tile in tiles) else None


def _suited(answer: WorldAnswer) -> Look:
    near, far = answer.range
    return Look(near=near, far=far, score=LEAST_SCORE)


def _drawn(what: str, truth: Any, shown: Any, look: Look) -> np.ndarray | None:
    if what == "Depth":
        return depth_view(shown, look)
    if what == "Boxes":
        boxes = shown.boxes3d
        return None if boxes is None else draw_boxes3d(truth.image, boxes.above(look.score), truth.camera)
    part = {"Normals": shown.normals, "Segments": shown.segmentation}.get(what)
    return None if part is None else part.preview(truth.image)


def _sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    return grid(tiles, min(3, len(tiles)), 4)


def shape_file(answer: WorldAnswer, folder: Path) -> Path | None:
    """Write the true 3D of the camera that looks ahead (or of the panorama) as a mesh, upright."""
    truth = answer.ahead["Truth"]
    if not truth.depth.valid.any():
        return None
    mesh = truth.depth.mesh(truth.image, VIEWER_VERTICES)
    whole = isinstance(truth.camera, Equirectangular)
    return glb.write_mesh_glb(folder / "truth.glb", mesh, truth.image, double_sided=not whole)
