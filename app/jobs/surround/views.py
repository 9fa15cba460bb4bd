"""What is seen of one moment: pictures with boxes, the view from above with tracks, the 3D scene."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.shapes import rig_scene
from app.jobs.surround.answer import MODEL, SurroundAnswer
from perception.drawing import canvas
from perception.drawing.colors import color_of
from perception.drawing.rig import draw_bev_of_rig, draw_cameras, view_of_rig
from perception.geometry import transforms

EXTENT = 52.0  # metres to each side from above
TILE = 400  # pixels across of one camera's picture, twice that of a single one
ALL = -1  # in place of a camera's number: the sheet of all


def camera_choices(answer: SurroundAnswer) -> list[tuple[str, int]]:
    """(name, number) of what `pictures_view` can show: all cameras, then each one."""
    cameras = answer.scene.rigs[0].cameras
    return [("All", ALL), *((camera.name or f"Camera {number}", number) for number, camera in enumerate(cameras))]


def pictures_view(answer: SurroundAnswer, moment: int, camera: int = ALL, columns: int = 3) -> np.ndarray:
    """(H, W, 3) uint8: the picture of one camera, or all around in so many columns; in three the view ahead is in the middle of the upper row."""
    return _pictures(answer, moment, camera, columns)


def cameras_view(
    answer: SurroundAnswer, moment: int, score: float, side: str, camera: int = ALL, columns: int = 3
) -> np.ndarray:
    """(H, W, 3) uint8: the same with the boxes."""
    return _pictures(answer, moment, camera, columns, answer.boxes(moment, score, side))


def _pictures(answer: SurroundAnswer, moment: int, camera: int, columns: int, boxes: Any = None) -> np.ndarray:
    rig, tile = answer.scene.rigs[answer.moment(moment)], TILE
    if 0 <= camera < len(rig.cameras):
        rig, tile = dataclasses.replace(rig, cameras=[rig.cameras[camera]]), 2 * TILE
    return draw_cameras(rig, boxes, tile_width=tile, columns=columns, radar_in_pictures=False)


def bev_view(answer: SurroundAnswer, moment: int, score: float, side: str, height: int = 640) -> np.ndarray:
    """(height, height, 3) uint8 from above: boxes with velocities and track ids, where the tracks came from, radar points; model: true boxes in white."""
    moment = answer.moment(moment)
    boxes = answer.boxes(moment, score, side)
    rig = answer.scene.rigs[moment]
    reference = answer.scene.truth[moment] if side == MODEL and answer.scene.truth is not None else None
    out = draw_bev_of_rig(rig, boxes, reference=reference, extent=EXTENT, height=height)
    view = view_of_rig(EXTENT, height)
    for number, line in trails(answer, moment, score, side).items():
        canvas.polylines(out, view.pixels(line[:, ::-1] * [-1, 1])[None], color_of(number), 2)
    return out


def trails(answer: SurroundAnswer, moment: int, score: float, side: str) -> dict[int, np.ndarray]:
    """Where each object of this moment was before: track id -> (K, 2) metres, in this moment's ego frame, K >= 2, the oldest first."""
    rigs = answer.scene.rigs
    if rigs[moment].global_from_ego is None:
        return {}
    ego_from_global = transforms.inverse(np.asarray(rigs[moment].global_from_ego))
    lines: dict[int, list[np.ndarray]] = {}
    for before in range(moment + 1):
        boxes, pose = answer.boxes(before, score, side), rigs[before].global_from_ego
        if boxes.track_ids is None or pose is None:
            continue
        centres = transforms.apply(ego_from_global @ np.asarray(pose), boxes.centres.astype(np.float64))
        for number, centre in zip(boxes.track_ids, centres, strict=True):
            if number >= 0:
                lines.setdefault(int(number), []).append(centre[:2])
    now = answer.boxes(moment, score, side).track_ids
    present = set() if now is None else {int(number) for number in now}
    return {number: np.array(line) for number, line in lines.items() if number in present and len(line) > 1}


def shape_file(answer: SurroundAnswer, moment: int, score: float, side: str, folder: Path) -> Path:
    """Write the 3D view's file: occupied voxels where they are known, else the painted ground, with the boxes, upright."""
    moment = answer.moment(moment)
    boxes, voxels = answer.boxes(moment, score, side), answer.voxels(moment, side)
    return rig_scene(folder / "surround.glb", answer.scene.rigs[moment], boxes, voxels)
