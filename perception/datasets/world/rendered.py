"""What the world renders: `Frame`, one picture with its truth, and `Moment`, all that a rig measured around one time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perception.datasets.world.lidar import LidarScan
from perception.datasets.world.occupancy import Occupancy
from perception.datasets.world.radar import RadarScan
from perception.datasets.world.truth import Boxes
from perception.geometry import transforms
from perception.geometry.cameras import Equirectangular, Pinhole
from perception.results.base import Result

if TYPE_CHECKING:
    from perception.results import Prediction, RigPrediction


class _Rendered(Result):
    """What is rendered is one of the project's results: `preview`, `plot`, `save` and `summary` are those of its `prediction`."""

    def prediction(self, min_pixels: int = 1) -> Prediction | RigPrediction:
        """The truth as a model would answer."""
        raise NotImplementedError

    def summary(self) -> dict[str, Any]:
        return self.prediction().summary()

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        return self.prediction().preview(image)

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        return self.prediction().save(folder, image)


@dataclass
class Frame(_Rendered):
    """One picture with its truth, a result that is plotted and saved as a model's. Maps that were not asked for are None.

    image (H, W, 3) uint8 RGB. depth (H, W) float32 metres, 0 where `valid` is False (sky): z along the axis for a pinhole camera, the
    Euclidean range for a panorama. range (H, W) float32 always the Euclidean one. normals (H, W, 3) float32, camera frame, towards the camera,
    0 on the sky. semantic (H, W) uint8, instance (H, W) int32 (0 = none), panoptic (H, W) int32 = category * 100000 + instance of things.
    boxes: `truth.Boxes`. flow, flow_valid, scene_flow: to the picture at ``time + flow_step``. disparity (H, W) float32 of the stereo rig.
    """

    name: str
    time: float
    camera: Pinhole | Equirectangular
    world_from_camera: np.ndarray
    image: np.ndarray
    world_from_ego: np.ndarray | None = None
    depth: np.ndarray | None = None
    range: np.ndarray | None = None
    valid: np.ndarray | None = None
    normals: np.ndarray | None = None
    semantic: np.ndarray | None = None
    instance: np.ndarray | None = None
    panoptic: np.ndarray | None = None
    boxes: Boxes | None = None
    flow: np.ndarray | None = None
    flow_valid: np.ndarray | None = None
    scene_flow: np.ndarray | None = None
    disparity: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def intrinsics(self) -> np.ndarray | None:
        """(3, 3) float32 of a pinhole camera, pixel centres at integer + 0.5; None for a panorama."""
        return self.camera.matrix.astype(np.float32) if isinstance(self.camera, Pinhole) else None

    def prediction(self, min_pixels: int = 1) -> Prediction:
        """Return the truth as a `perception.results.Prediction`: to plot, to save, to compare; see `prediction.prediction_of`."""
        from perception.datasets.world.prediction import prediction_of

        return prediction_of(self, min_pixels)


@dataclass
class Moment(_Rendered):
    """Everything a rig measured around one time: `frames`, `lidars`, `radars` by sensor name, each at its own time and ego pose.

    A result that is plotted and saved as a model's, where boxes were rendered.
    """

    time: float
    world_from_ego: np.ndarray
    frames: dict[str, Frame]
    lidars: dict[str, LidarScan]
    radars: dict[str, RadarScan]
    occupancy: Occupancy | None = None

    def prediction(self, min_pixels: int = 1) -> RigPrediction:
        """Return the truth as a `perception.results.RigPrediction`; see `prediction.rig_prediction_of`. Raises `InputError` without boxes."""
        from perception.datasets.world.prediction import rig_prediction_of

        return rig_prediction_of(self, min_pixels)

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write the rig's files and, in a folder for each camera, those of its picture; return {what: path}."""
        paths = super().save(folder, image)
        for name, frame in self.frames.items():
            paths |= {f"{name}/{what}": path for what, path in frame.save(Path(folder) / name).items()}
        return paths


def relative_pose(target: Frame, source: Frame) -> np.ndarray:
    """Return the 4x4 ``target_from_source`` between the cameras of two frames."""
    return transforms.inverse(target.world_from_camera) @ source.world_from_camera
