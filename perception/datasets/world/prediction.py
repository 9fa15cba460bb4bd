"""The truth of a frame or of a rig's moment as models answer, so that it is plotted, saved and compared like an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perception.datasets.world.classes import CATEGORIES, NAMES
from perception.errors import InputError
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole
from perception.geometry.rig import Rig, RigCamera, radar_points
from perception.results import (
    Boxes3DResult,
    DepthResult,
    NormalsResult,
    OccupancyResult,
    Prediction,
    RigPrediction,
    Segment,
    SegmentationResult,
)

if TYPE_CHECKING:
    from perception.datasets.world.rendered import Frame, Moment
    from perception.datasets.world.truth import Boxes

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
        parts["boxes3d"] = _boxes3d(boxes, camera if isinstance(camera, Pinhole) else None)
    return Prediction(**parts, image=frame.image, camera=camera, name=frame.name, model="world")


def _boxes3d(boxes: Boxes, camera: Pinhole | None) -> Boxes3DResult:
    return Boxes3DResult(
        boxes.boxes3d,
        boxes.category.astype(np.int64),
        class_names=NAMES,
        velocity=boxes.velocity[:, [0, 2]],
        track_ids=boxes.instance,
        boxes2d=boxes.box2d,
        attributes=boxes.attribute,
        camera=camera,
    )


def rig_prediction_of(moment: Moment, min_pixels: int = 1) -> RigPrediction:
    """Return the truth of a rig's moment in the ego frame: boxes that some camera sees in at least `min_pixels` pixels, and the occupancy.

    A box is where the object was when the camera that sees most of it fired. Class indices are the world's category ids; in the occupancy free
    space comes after them. Raises `InputError` for a moment that was rendered without boxes.
    """
    frames = list(moment.frames.values())
    if not frames or any(frame.boxes is None for frame in frames):
        raise InputError("this moment has no boxes; render it with truth=('boxes', ...)")
    ego_from_world = transforms.inverse(np.asarray(moment.world_from_ego, np.float64))
    poses = [ego_from_world @ np.asarray(frame.world_from_camera, np.float64) for frame in frames]
    parts, pixels = [], []
    for frame, pose in zip(frames, poses, strict=True):
        boxes = frame.boxes.select(frame.boxes.visible_pixels >= max(min_pixels, 1))
        parts.append(_boxes3d(boxes, None).to_frame("ego", pose))
        pixels.append(boxes.visible_pixels)
    ids = np.concatenate([part.track_ids for part in parts])
    order = np.argsort(-np.concatenate(pixels), kind="stable")
    chosen = np.sort(order[np.unique(ids[order], return_index=True)[1]])

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])[chosen]

    attributes = [name for part in parts for name in part.attributes]
    boxes3d = Boxes3DResult(
        joined("boxes"),
        joined("labels"),
        frame="ego",
        class_names=NAMES,
        velocity=joined("velocity"),
        track_ids=ids[chosen],
        attributes=[attributes[i] for i in chosen],
    )
    occupancy = None
    if moment.occupancy is not None:
        semantics, grid = moment.occupancy.semantics, moment.occupancy.grid
        labels = np.where(semantics == 255, len(NAMES), semantics)
        occupancy = OccupancyResult(labels, grid.lower, [grid.voxel] * 3, (*NAMES, "free"))
    cameras = [
        RigCamera(frame.image, frame.camera, pose, frame.name)
        for frame, pose in zip(frames, poses, strict=True)
        if isinstance(frame.camera, Pinhole)
    ]
    rig = Rig(cameras, _radar(moment, ego_from_world), time=moment.time) if cameras else None
    return RigPrediction(boxes3d, occupancy, rig, f"{moment.time:g} s", "world")


def _radar(moment: Moment, ego_from_world: np.ndarray) -> np.ndarray | None:
    """(P, 8) points of all radars as a `Rig` holds them."""
    scans = [
        radar_points(
            scan.points,
            scan.velocity_compensated,
            scan.rcs,
            ego_from_world @ np.asarray(scan.world_from_sensor, np.float64),
            lag=moment.time - scan.time,
        )
        for scan in moment.radars.values()
    ]
    return np.concatenate(scans) if scans else None
