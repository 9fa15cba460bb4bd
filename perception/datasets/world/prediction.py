"""The truth of a frame as the project's result types, so that it is plotted, saved and compared like a model's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perception.datasets.world.classes import CATEGORIES, NAMES
from perception.geometry.cameras import Pinhole
from perception.results import Boxes3DResult, DepthResult, NormalsResult, Prediction, Segment, SegmentationResult

if TYPE_CHECKING:
    from perception.datasets.world.render import Frame

_SKY_SEGMENT = 1  # 0 means void in a `SegmentationResult`


def prediction_of(frame: Frame, min_pixels: int = 1) -> Prediction:
    """Return a `Prediction` of the maps that the frame holds; boxes with fewer than `min_pixels` visible pixels are left out.

    Class indices are the world's category ids, velocities the camera's x and z components over ground, track ids the instance ids.
    """
    camera, parts = frame.camera, {}
    if frame.depth is not None:
        kind = "metric" if isinstance(camera, Pinhole) else "range"
        parts["depth"] = DepthResult(frame.depth, frame.valid, kind, camera)
    if frame.normals is not None:
        parts["normals"] = NormalsResult(frame.normals, frame.valid, camera)
    if frame.semantic is not None or frame.instance is not None:
        panoptic, segments = None, ()
        if frame.panoptic is not None:
            panoptic = np.where(frame.panoptic == 0, _SKY_SEGMENT, frame.panoptic)
            labels = {int(i): int(i) // 100000 for i in np.unique(panoptic)}
            segments = tuple(Segment(i, label, CATEGORIES[label].thing) for i, label in labels.items())
        parts["segmentation"] = SegmentationResult(frame.semantic, frame.instance, panoptic, segments, NAMES)
    if frame.boxes is not None:
        boxes = frame.boxes.select(frame.boxes.visible_pixels >= max(min_pixels, 1))
        parts["boxes3d"] = Boxes3DResult(
            boxes.boxes3d,
            boxes.category.astype(np.int64),
            class_names=NAMES,
            velocity=boxes.velocity[:, [0, 2]],
            track_ids=boxes.instance,
            boxes2d=boxes.box2d,
            attributes=boxes.attribute,
            camera=camera if isinstance(camera, Pinhole) else None,
        )
    return Prediction(**parts, image=frame.image, camera=camera, name=frame.name, model="world")
