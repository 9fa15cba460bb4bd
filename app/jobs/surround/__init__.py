"""Surround: a drive past six cameras and five radars, of the world or of a visitor: boxes, tracks over time, occupancy, the truth beside them."""

from __future__ import annotations

from app.jobs.surround.answer import MODEL, TRUTH, SurroundAnswer, predict_surround
from app.jobs.surround.files import snippet, write_files
from app.jobs.surround.measure import measured
from app.jobs.surround.scenes import GRID, MAX_MOMENTS, MAX_SEED, MOMENTS, Scene, uploaded_scene, world_scene
from app.jobs.surround.views import ALL, bev_view, camera_choices, cameras_view, pictures_view, shape_file, trails
from app.jobs.surround.words import COLUMNS, facts, found_share, notes, summary, table

__all__ = [
    "ALL",
    "COLUMNS",
    "GRID",
    "MAX_MOMENTS",
    "MAX_SEED",
    "MODEL",
    "MOMENTS",
    "Scene",
    "SurroundAnswer",
    "TRUTH",
    "bev_view",
    "camera_choices",
    "cameras_view",
    "facts",
    "found_share",
    "measured",
    "notes",
    "pictures_view",
    "predict_surround",
    "shape_file",
    "snippet",
    "summary",
    "table",
    "trails",
    "uploaded_scene",
    "world_scene",
    "write_files",
]
