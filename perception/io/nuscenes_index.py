"""`NuScenesIndex`: one version of nuScenes as plain arrays, and what can be asked of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perception.errors import DatasetError
from perception.geometry.transforms import rigid, rotation_from_quaternion
from perception.io.nuscenes_splits import official_scenes, own_splits


@dataclasses.dataclass
class NuScenesIndex:
    """Arrays of one version of the data set. Samples lie in the order of scenes and time.

    scene_token, scene_name (C,); sample_token (S,), sample_scene (S,), sample_time (S,)
    channel (K,) names; key_data (S, K) row of the key-frame record of each channel, -1 where there is none
    data_file (D,) bytes (UTF-8; `file` gives the text), data_time (D,), data_channel (D,), data_prev (D,) row or -1, data_size (D, 2) width, height, data_key (D,) bool,
    data_calibration (D,), data_translation (D, 3), data_rotation (D, 4): the ego pose at the record's time
    calibration_translation (B, 3), calibration_rotation (B, 4), calibration_intrinsic (B, 3, 3; zeros unless a camera)
    box_sample (A,), box_instance (A,), box_category (A,) into category_name, box_xyz (A, 3), box_wlh (A, 3), box_rotation (A, 4), box_lidar,
    box_radar (A,) points, box_attribute (A,) into attribute_name or -1, box_visibility (A,) 1..4 or 0, box_velocity (A, 2) global m/s or NaN
    """

    scene_token: np.ndarray
    scene_name: np.ndarray
    sample_token: np.ndarray
    sample_scene: np.ndarray
    sample_time: np.ndarray
    channel: np.ndarray
    key_data: np.ndarray
    data_file: np.ndarray
    data_time: np.ndarray
    data_channel: np.ndarray
    data_prev: np.ndarray
    data_size: np.ndarray
    data_key: np.ndarray
    data_calibration: np.ndarray
    data_translation: np.ndarray
    data_rotation: np.ndarray
    calibration_translation: np.ndarray
    calibration_rotation: np.ndarray
    calibration_intrinsic: np.ndarray
    category_name: np.ndarray
    attribute_name: np.ndarray
    box_sample: np.ndarray
    box_instance: np.ndarray
    box_category: np.ndarray
    box_xyz: np.ndarray
    box_wlh: np.ndarray
    box_rotation: np.ndarray
    box_lidar: np.ndarray
    box_radar: np.ndarray
    box_attribute: np.ndarray
    box_visibility: np.ndarray
    box_velocity: np.ndarray

    def __post_init__(self) -> None:
        self.channels = {str(name): i for i, name in enumerate(self.channel)}
        self.box_start = np.searchsorted(self.box_sample, np.arange(len(self.sample_token) + 1))

    def file(self, record: int) -> str:
        """Path of the record's file below the data root."""
        return bytes(self.data_file[record]).decode()

    def record(self, sample: int, channel: str) -> int:
        """Row of the key-frame record of `channel` at sample row `sample`, or -1."""
        column = self.channels.get(channel)
        return -1 if column is None else int(self.key_data[sample, column])

    def sweeps(self, record: int, count: int) -> list[int]:
        """Rows of up to `count` records before `record`, newest first."""
        rows = []
        while len(rows) < count and self.data_prev[record] >= 0:
            record = int(self.data_prev[record])
            rows.append(record)
        return rows

    def global_from_ego(self, record: int) -> np.ndarray:
        """(4, 4) pose of the vehicle at the record's own time."""
        return rigid(rotation_from_quaternion(self.data_rotation[record]), self.data_translation[record])

    def ego_from_sensor(self, record: int) -> np.ndarray:
        """(4, 4) mounting of the record's sensor."""
        row = self.data_calibration[record]
        return rigid(rotation_from_quaternion(self.calibration_rotation[row]), self.calibration_translation[row])

    def intrinsics(self, record: int) -> np.ndarray:
        """(3, 3) camera matrix with pixel centres at integer + 0.5 (the files have integers)."""
        matrix = self.calibration_intrinsic[self.data_calibration[record]].copy()
        matrix[:2, 2] += 0.5
        return matrix

    def scenes_of(self, split: str | Sequence[str], root: str | Path | None = None, version: str = "") -> np.ndarray:
        """Rows of the scenes of a split: "all", an official name, a key of ``<version>/splits.json``, or scene names.

        Raises `RecipeError` for an unknown name, `DatasetError` when none of its scenes is there.
        """
        names = [str(name) for name in self.scene_name]
        if not isinstance(split, str):
            chosen = {str(name) for name in split}
            if chosen - set(names):
                raise DatasetError(
                    f"the tables have no scene {sorted(chosen - set(names))[0]!r}; they hold {len(names)}: {', '.join(names[:5])}"
                )
        else:
            own = Path(root).expanduser() / version / "splits.json" if root is not None else None
            listed = own_splits(own) if own is not None and own.exists() else {}
            chosen = set(listed[split]) if split in listed else official_scenes(split, names, listed)
        rows = np.array([i for i, name in enumerate(names) if name in chosen], np.int64)
        if not len(rows):
            raise DatasetError(
                f"split {split!r} has no scene in these tables, which hold {len(names)}: {', '.join(names[:5])}"
            )
        return rows

    def samples_of(self, scenes: np.ndarray) -> np.ndarray:
        """Rows of the samples of the given scenes, in order."""
        return np.flatnonzero(np.isin(self.sample_scene, scenes))
