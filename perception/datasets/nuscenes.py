"""nuScenes: cameras, LiDAR, five radars with sweeps, boxes with velocities, occupancy; straight from the official tables.

    root/v1.0-mini/*.json          the tables (an index is written beside them once)
    root/samples, root/sweeps      sensor files, as the tables name them
    root/gts/SCENE/TOKEN/labels.npz                Occ3D, where it was downloaded

Everything of a sample is expressed in ONE frame, the key frame's vehicle frame ("ego": x forward, y left, z up, on the ground under the rear axle,
at the LiDAR's time). Sensors fire at other times: each goes through its own vehicle pose,

    ego <- global <- ego at the sensor's time <- sensor

for cameras (`ego_from_camera`), for LiDAR points and for every radar sweep, whose velocities turn with the sweep's own heading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import CheckReport, image_tensor, read_rgb
from perception.datasets.kitti import project_depth
from perception.datasets.registry import register_dataset
from perception.datasets.resize import resize_sample
from perception.errors import DatasetError, PerceptionError
from perception.geometry import transforms
from perception.io import nuscenes as tables
from perception.io.nuscenes import CAMERAS, LIDAR, RADARS, NuScenesIndex
from perception.io.nuscenes_results import DETECTION_CLASSES, NuScenesBoxes
from perception.io.radar import NAMES, radar_filter, read_radar

RADAR_COLUMNS = ("x", "y", "z", "rcs", "vx", "vy", "sweep", "lag")
RADAR_RANGE = (0.1, 100.0)  # metres in the ground plane, from the vehicle


@register_dataset
class NuScenes:
    """nuScenes key frames.

    root, version   folder with the tables' folder in it;  split  "train", "val", "mini_train", "mini_val", "test", "all", a key of
                    ``<version>/splits.json`` or scene names
    cameras         channels, in this order; () for none;  size  None or (height, width) of every picture;  fit  "stretch" | "crop" | "bottom"
    lidar           add ``points`` (P, 5): x, y, z (ego), intensity, ring;  depth  add ``camera_depth`` (C, H, W) and ``camera_depth_valid``
    radars          channels; () for none;  radar_sweeps  sweeps of each, the key frame's first;  radar_keep  filter (`perception.io.radar`)
    radar_motion    move points of old sweeps by their compensated velocity to the key time
    radar_velocity  "sweep": turned by the heading at the sweep's time (right); "key": by the mountings alone (CRN's released data)
    classes         names of the labels 0, 1, ...;  min_points  LiDAR + radar points that a box needs
    occupancy       add ``occupancy`` and its masks

    Samples: ``images`` (C, 3, H, W) uint8, ``intrinsics`` (C, 3, 3), ``ego_from_camera`` (C, 4, 4) float32, ``camera_time`` (C,) seconds after the key
    time, ``radar_points`` (N, 8) in the order of `RADAR_COLUMNS` (ego frame; velocity without the vehicle's motion; lag = key time - sweep time
    [s]), ``boxes3d`` (B, 7) ego frame, ``velocity`` (B, 2) ego axes (NaN unknown), ``labels3d``, ``track_ids``, ``visibility``, ``num_points``;
    ``global_from_ego`` (4, 4) float64 array; ``nuscenes_truth`` for the evaluators (all judged boxes, global frame);
    ``meta``: name (sample token), index, scene, frame (number in its scene), timestamp, previous (index of the frame before, or -1).
    """

    def __init__(
        self,
        root: str | Path,
        version: str = "v1.0-trainval",
        split: str | Sequence[str] = "train",
        cameras: Sequence[str] = CAMERAS,
        lidar: bool = False,
        depth: bool = False,
        radars: Sequence[str] = RADARS,
        radar_sweeps: int = 1,
        radar_keep: str | Mapping[str, Sequence[int]] = "devkit",
        radar_motion: bool = True,
        radar_velocity: str = "sweep",
        classes: Sequence[str] = DETECTION_CLASSES,
        min_points: int = 0,
        occupancy: bool = False,
        size: Sequence[int] | None = None,
        fit: str = "stretch",
        cache: bool = True,
    ) -> None:
        if radar_velocity not in ("sweep", "key"):
            raise DatasetError(f"NuScenes: radar_velocity must be 'sweep' or 'key'; found {radar_velocity!r}")
        self.root, self.version = Path(root).expanduser(), version
        self.index: NuScenesIndex = tables.load_index(self.root, version, cache)
        self.rows = self.index.samples_of(self.index.scenes_of(split, self.root, version))
        self.cameras, self.radars = tuple(cameras), tuple(radars)
        unknown = [name for name in (*cameras, *radars) if name not in self.index.channels]
        # Tables of fewer sensors are fine; a name that no vehicle of nuScenes has is a slip.
        unknown.sort(key=lambda name: name in (*CAMERAS, *RADARS))
        if unknown and (unknown[0] not in (*CAMERAS, *RADARS) or len(unknown) == len((*cameras, *radars))):
            raise DatasetError(
                f"NuScenes: no channel {unknown[0]!r} in the tables, which have {', '.join(self.index.channels)}"
            )
        self.lidar, self.depth, self.occupancy = lidar, depth, occupancy
        self.radar_sweeps, self.radar_keep = int(radar_sweeps), radar_filter(radar_keep)
        self.radar_motion, self.radar_velocity = radar_motion, radar_velocity
        self.classes, self.min_points = tuple(classes), int(min_points)
        self.size, self.fit = None if size is None else (int(size[0]), int(size[1])), fit
        self.truth, self.samples = tables.truth_boxes(self.index, self.rows)
        self.truth_start = np.searchsorted(self.truth.sample, np.arange(len(self.rows) + 1))

    @property
    def tokens(self) -> list[str]:
        """Sample tokens in order, as submissions name them."""
        return list(self.samples.tokens)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"NuScenes has {len(self)} samples; found index {index}")
        index = int(index) % len(self)
        row = int(self.rows[index])
        global_from_ego = self.global_from_ego(index)
        ego_from_global = transforms.inverse(global_from_ego)
        time = int(self.index.sample_time[row])
        sample: dict[str, Any] = {"global_from_ego": global_from_ego, "meta": self.meta(index)}
        points = self._lidar_points(row, ego_from_global) if self.lidar or self.depth else None
        if self.cameras:
            sample |= self._camera_entries(row, ego_from_global, time, points if self.depth else None)
        if self.lidar:
            sample["points"] = torch.from_numpy(points)
        if self.radars:
            sample["radar_points"] = torch.from_numpy(self.radar_points(index))
        sample |= self._box_entries(index, row, ego_from_global)
        if self.occupancy:
            sample |= self._occupancy_entries(row)
        return sample

    # -- one part each -------------------------------------------------------------------------------------------------

    def global_from_ego(self, index: int) -> np.ndarray:
        """(4, 4) pose of the key frame's vehicle (at the LiDAR's time)."""
        return self.index.global_from_ego(tables.reference_record(self.index, int(self.rows[index])))

    def meta(self, index: int) -> dict[str, Any]:
        """Identity of a sample and its place in its scene."""
        row = int(self.rows[index])
        scene = int(self.index.sample_scene[row])
        first = int(np.searchsorted(self.index.sample_scene, scene))
        before = index > 0 and int(self.index.sample_scene[self.rows[index - 1]]) == scene
        meta = {
            "name": str(self.index.sample_token[row]),
            "index": index,
            "scene": str(self.index.scene_name[scene]),
            "frame": row - first,
            "timestamp": int(self.index.sample_time[row]),
            "previous": index - 1 if before else -1,
            "cameras": [name for name in self.cameras if self.index.record(row, name) >= 0],
        }
        return meta

    def _ego_from_sensor(self, record: int, ego_from_global: np.ndarray) -> np.ndarray:
        return ego_from_global @ self.index.global_from_ego(record) @ self.index.ego_from_sensor(record)

    def _camera_entries(
        self, row: int, ego_from_global: np.ndarray, time: int, points: np.ndarray | None
    ) -> dict[str, torch.Tensor]:
        entries: dict[str, list] = {}
        for name in self.cameras:
            record = self.index.record(row, name)
            if record < 0:
                continue  # a camera that this frame lacks; `meta["cameras"]` names those that are there
            rgb = read_rgb(self.root / self.index.file(record))
            matrix = self._ego_from_sensor(record, ego_from_global)
            one: dict[str, Any] = {
                "image": image_tensor(rgb),
                "intrinsics": torch.from_numpy(self.index.intrinsics(record)).float(),
                "meta": {},
            }
            if points is not None:
                seen = transforms.apply(transforms.inverse(matrix), points[:, :3].astype(np.float64))
                one |= project_depth(seen, one["intrinsics"].double().numpy(), rgb.shape[:2])
            if self.size is not None:
                one = resize_sample(one, self.size, self.fit)
            entries.setdefault("images", []).append(one["image"])
            entries.setdefault("intrinsics", []).append(one["intrinsics"])
            entries.setdefault("ego_from_camera", []).append(torch.from_numpy(matrix).float())
            lag = (int(self.index.data_time[record]) - time) * 1e-6
            entries.setdefault("camera_time", []).append(torch.tensor(lag, dtype=torch.float32))
            if points is not None:
                entries.setdefault("camera_depth", []).append(one["depth"])
                entries.setdefault("camera_depth_valid", []).append(one["depth_valid"])
        if not entries:
            raise DatasetError(
                f"NuScenes: sample {self.index.sample_token[row]} has none of the cameras {', '.join(self.cameras)}"
            )
        return {name: torch.stack(values) for name, values in entries.items()}

    def _lidar_points(self, row: int, ego_from_global: np.ndarray) -> np.ndarray:
        record = self.index.record(row, LIDAR)
        if record < 0:
            raise DatasetError(f"NuScenes: sample {self.index.sample_token[row]} has no {LIDAR}")
        path = self.root / self.index.file(record)
        try:
            raw = np.fromfile(str(path), "<f4")
        except OSError as error:
            raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
        if raw.size % 5:
            raise DatasetError(f"{str(path)!r}: a sweep holds 5 float32 a point; found {raw.size} values")
        points = raw.reshape(-1, 5).copy()
        points[:, :3] = transforms.apply(
            self._ego_from_sensor(record, ego_from_global), points[:, :3].astype(np.float64)
        )
        return points

    def radar_points(self, index: int, sweeps: int | None = None) -> np.ndarray:
        """(N, 8) float32 radar points of all sensors and sweeps, see the class and `RADAR_COLUMNS`."""
        row = int(self.rows[index])
        ego_from_global = transforms.inverse(self.global_from_ego(index))
        key_time = int(self.index.sample_time[row])
        parts = [np.zeros((0, len(RADAR_COLUMNS)), np.float32)]
        for name in self.radars:
            key = self.index.record(row, name)
            if key < 0:
                continue
            wanted = (self.radar_sweeps if sweeps is None else sweeps) - 1
            for number, record in enumerate([key, *self.index.sweeps(key, wanted)]):
                raw = read_radar(self.root / self.index.file(record), self.radar_keep)
                parts.append(self._radar_sweep(raw, record, number, key_time, ego_from_global))
        return np.concatenate(parts)

    def _radar_sweep(
        self, raw: np.ndarray, record: int, number: int, key_time: int, ego_from_global: np.ndarray
    ) -> np.ndarray:
        column = {name: raw[:, i].astype(np.float64) for i, name in enumerate(NAMES)}
        matrix = self._ego_from_sensor(record, ego_from_global)
        xyz = transforms.apply(matrix, np.stack([column["x"], column["y"], column["z"]], 1))
        turn = matrix if self.radar_velocity == "sweep" else self.index.ego_from_sensor(record)
        velocity = np.stack([column["vx_comp"], column["vy_comp"], np.zeros(len(raw))], 1)
        velocity = transforms.rotate(turn, velocity)
        lag = (key_time - int(self.index.data_time[record])) * 1e-6
        if self.radar_motion:
            xyz[:, :2] += velocity[:, :2] * lag
        distance = np.hypot(xyz[:, 0], xyz[:, 1])
        rest = np.full((len(raw), 2), (number, lag))
        points = np.column_stack([xyz, column["rcs"], velocity[:, :2], rest]).astype(np.float32)
        return points[(distance > RADAR_RANGE[0]) & (distance < RADAR_RANGE[1])]

    def _box_entries(self, index: int, row: int, ego_from_global: np.ndarray) -> dict[str, Any]:
        own = slice(self.index.box_start[row], self.index.box_start[row + 1])
        names = [tables.CATEGORY_CLASS.get(str(self.index.category_name[c]), "") for c in self.index.box_category[own]]
        points = self.index.box_lidar[own] + self.index.box_radar[own]
        known = {name: i for i, name in enumerate(self.classes)}
        kept = np.array([n in known and p >= self.min_points for n, p in zip(names, points, strict=True)], bool)
        rows = np.arange(own.start, own.stop)[kept]
        label = [known[name] for name, keep in zip(names, kept, strict=True) if keep]
        velocity = np.column_stack([self.index.box_velocity[rows], np.zeros(len(rows))])
        truth = self.truth[np.arange(self.truth_start[index], self.truth_start[index + 1])]
        return {
            "boxes3d": torch.from_numpy(boxes_in_ego(self.index, rows, ego_from_global)).float(),
            "velocity": torch.from_numpy(transforms.rotate(ego_from_global, velocity)[:, :2]).float(),
            "labels3d": torch.tensor(label, dtype=torch.int64),
            "track_ids": torch.from_numpy(self.index.box_instance[rows]),
            "visibility": torch.from_numpy(self.index.box_visibility[rows]),
            "num_points": torch.from_numpy(points[kept]),
            "nuscenes_truth": truth,
        }

    def _occupancy_entries(self, row: int) -> dict[str, torch.Tensor]:
        scene = str(self.index.scene_name[self.index.sample_scene[row]])
        path = self.root / "gts" / scene / str(self.index.sample_token[row]) / "labels.npz"
        try:
            with np.load(path, allow_pickle=False) as held:
                return {
                    "occupancy": torch.from_numpy(held["semantics"].astype(np.uint8)),
                    "occupancy_mask_lidar": torch.from_numpy(held["mask_lidar"].astype(bool)),
                    "occupancy_mask_camera": torch.from_numpy(held["mask_camera"].astype(bool)),
                }
        except (OSError, KeyError, ValueError) as error:
            raise DatasetError(f"Occ3D labels {str(path)!r} cannot be read: {error}") from error

    # -- check ---------------------------------------------------------------------------------------------------------

    def files(self) -> list[Path]:
        """Every sensor file that the samples of the split need."""
        wanted: list[int] = []
        for row in self.rows:
            keys = [
                self.index.record(int(row), name)
                for name in (*self.cameras, *([LIDAR] if self.lidar or self.depth else []))
            ]
            wanted += [record for record in keys if record >= 0]
            for name in self.radars:
                key = self.index.record(int(row), name)
                wanted += [key, *self.index.sweeps(key, self.radar_sweeps - 1)] if key >= 0 else []
        return [self.root / self.index.file(record) for record in dict.fromkeys(wanted)]

    def check(self, progress: Callable[[Iterable], Iterable] = iter) -> CheckReport:
        """Look for every file, then read every sample whose files are there."""
        missing = [str(path) for path in self.files() if not path.exists()]
        report = CheckReport(f"NuScenes {self.version}", len(self), missing)
        boxes, radar = 0, 0
        for index in progress(range(len(self))):
            try:
                sample = self[index]
                boxes += len(sample["boxes3d"])
                radar += len(sample.get("radar_points", ()))
            except PerceptionError as error:
                report.broken.append(f"{self.meta(index)['name']}: {error}")
        scenes = len(np.unique(self.index.sample_scene[self.rows]))
        report.figures = {"scenes": scenes, "3D boxes": boxes, "radar points": radar}
        return report


def boxes_in_ego(index: NuScenesIndex, rows: np.ndarray, ego_from_global: np.ndarray) -> np.ndarray:
    """(N, 7) boxes of the annotation rows: centre, length, width, height, yaw in the ego frame."""
    if not len(rows):
        return np.zeros((0, 7))
    centre = transforms.apply(ego_from_global, index.box_xyz[rows])
    heading = ego_from_global[:3, :3] @ transforms.rotation_from_quaternion(index.box_rotation[rows])[..., :3, 0:1]
    yaw = np.arctan2(heading[:, 1, 0], heading[:, 0, 0])
    width, length, height = index.box_wlh[rows].T
    return np.column_stack([centre, length, width, height, yaw])


__all__ = ["RADAR_COLUMNS", "NuScenes", "NuScenesBoxes", "boxes_in_ego"]
