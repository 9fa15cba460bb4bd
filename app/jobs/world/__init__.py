"""World: a scene from a seed, what a sensor sees of it with the exact truth, a model's answer beside it with its errors, files, the Python call."""

from __future__ import annotations

from app.jobs.world.answer import VIEWS, WorldAnswer, make_world
from app.jobs.world.errors import COLUMNS, measured
from app.jobs.world.files import snippet, summary, write_files
from app.jobs.world.order import CAMERA, KINDS, MAX_SEED, MAX_TIME, PANORAMA, SENSORS, STYLES, SURROUND, WEATHERS, Order
from app.jobs.world.views import image_view, model_view, shape_file, truth_view

__all__ = [
    "CAMERA",
    "COLUMNS",
    "KINDS",
    "MAX_SEED",
    "MAX_TIME",
    "Order",
    "PANORAMA",
    "SENSORS",
    "STYLES",
    "SURROUND",
    "VIEWS",
    "WEATHERS",
    "WorldAnswer",
    "image_view",
    "make_world",
    "measured",
    "model_view",
    "shape_file",
    "snippet",
    "summary",
    "truth_view",
    "write_files",
]
