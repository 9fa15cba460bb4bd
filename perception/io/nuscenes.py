"""The official nuScenes tables as arrays, straight from the JSON files: no info pickle, no development kit.

The tables of v1.0-trainval take more than a gigabyte of JSON, so what is needed of them is written once into an index of plain arrays beside
them (or into the user's cache folder where that is read-only), atomically; the index is used only while the sizes and times of the
tables are those it was made from.

Frames: sensor -> (calibrated_sensor) -> ego -> (ego_pose at the sensor's own time) -> global. Quaternions are w, x, y, z; sizes width, length,
height; times integer microseconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import DatasetError, RecipeError, nearest
from perception.geometry.transforms import rigid, rotation_from_quaternion
from perception.io.atomic import atomic_path
from perception.io.nuscenes_results import ATTRIBUTES, DETECTION_CLASSES, RACK, NuScenesBoxes, NuScenesSamples

INDEX_VERSION = 3
TABLES = (
    "scene",
    "sample",
    "sample_data",
    "calibrated_sensor",
    "sensor",
    "ego_pose",
    "sample_annotation",
    "instance",
    "category",
    "attribute",
)
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
LIDAR = "LIDAR_TOP"
# Category -> detection class; all others are not judged. A bicycle rack only removes two-wheelers inside it.
CATEGORY_CLASS = {
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "static_object.bicycle_rack": "bicycle_rack",
}
# Scene numbers of the official validation split; the other scenes of v1.0-trainval are its training split.
_VAL_RANGES = (
    "3 12-18 35 36 38 39 92-110 221 268-278 329-332 344-346 519-524 552-565 625-627 629 630 632-638 770 771 775 777 778 "
    "780-784 794-800 802 904-917 919-931 962 963 966-969 971 972 1059-1073"
)
_MINI_TRAIN, _MINI_VAL = (61, 553, 655, 757, 796, 1077, 1094, 1100), (103, 916)
MAX_VELOCITY_GAP = 1.5  # seconds between two annotations of which a velocity is made (twice that with both neighbours)


def _numbers(ranges: str) -> set[int]:
    found: set[int] = set()
    for part in ranges.split():
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


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
        else:
            own = Path(root) / version / "splits.json" if root is not None else None
            listed = _own_splits(own) if own is not None and own.exists() else {}
            chosen = set(listed[split]) if split in listed else _official_scenes(split, names, listed)
        rows = np.array([i for i, name in enumerate(names) if name in chosen], np.int64)
        if not len(rows):
            raise DatasetError(
                f"split {split!r} has no scene in these tables, which hold {len(names)}: {', '.join(names[:5])}"
            )
        return rows

    def samples_of(self, scenes: np.ndarray) -> np.ndarray:
        """Rows of the samples of the given scenes, in order."""
        return np.flatnonzero(np.isin(self.sample_scene, scenes))


def _own_splits(path: Path) -> dict[str, list[str]]:
    try:
        listed = json.loads(path.read_text())
        return {str(name): [str(scene) for scene in scenes] for name, scenes in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(f"{str(path)!r} must hold {{split: [scene names]}}: {error}") from error


def _official_scenes(split: str, names: list[str], listed: dict) -> set[str]:
    number = {name: int(name.rsplit("-", 1)[-1]) for name in names if name.rsplit("-", 1)[-1].isdigit()}
    val = _numbers(_VAL_RANGES)
    rules = {
        "all": set(names),
        "test": set(names),
        "val": {name for name, n in number.items() if n in val},
        "train": {name for name, n in number.items() if n not in val},
        "mini_val": {name for name, n in number.items() if n in _MINI_VAL},
        "mini_train": {name for name, n in number.items() if n in _MINI_TRAIN},
    }
    if split not in rules:
        known = [*listed, *rules]
        raise RecipeError(f"nuScenes split {split!r} is unknown; known: {', '.join(known)}.{nearest(split, known)}")
    return rules[split]


def load_index(root: str | Path, version: str = "v1.0-trainval", cache: bool = True) -> NuScenesIndex:
    """Read the index of ``root/version``, building it from the tables where there is none or it is out of date.

    Raises `DatasetError` for missing or damaged tables.
    """
    folder = Path(root).expanduser() / version
    if not folder.is_dir():
        there = (
            sorted(p.name for p in Path(root).expanduser().glob("v1.0*")) if Path(root).expanduser().is_dir() else []
        )
        found = f"; found {', '.join(there)}" if there else ""
        raise DatasetError(f"nuScenes tables: no folder {str(folder)!r}{found}")
    files = [folder / f"{table}.json" for table in TABLES]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise DatasetError(f"nuScenes tables in {str(folder)!r}: {len(missing)} are missing: {', '.join(missing[:5])}")
    state = [INDEX_VERSION, *((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)]
    stamp = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    places = [
        folder / ".index.npz",
        _user_cache() / f"nuscenes-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.npz",
    ]
    if cache:
        for place in places:
            held = _read_cached(place, stamp)
            if held is not None:
                return held
    index = build_index(folder)
    if cache:
        for place in places:
            if _write_cached(place, index, stamp):
                break
    return index


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perception3d"


def _read_cached(place: Path, stamp: str) -> NuScenesIndex | None:
    try:
        with np.load(place, allow_pickle=False) as held:
            if str(held["stamp"]) != stamp:
                return None
            return NuScenesIndex(**{f.name: held[f.name] for f in dataclasses.fields(NuScenesIndex)})
    except Exception:  # no index, a damaged one, or one of another version: it is built again
        return None


def _write_cached(place: Path, index: NuScenesIndex, stamp: str) -> bool:
    arrays = {f.name: getattr(index, f.name) for f in dataclasses.fields(NuScenesIndex)}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(place) as temporary, open(temporary, "wb") as file:
            np.savez(file, stamp=np.array(stamp), **arrays)
        return True
    except OSError:  # read-only data folder
        return False


def _table(folder: Path, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"nuScenes table {name}.json in {str(folder)!r} cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise DatasetError(f"nuScenes table {name}.json must be a list of rows; found {type(rows).__name__}")
    return rows


def build_index(folder: Path) -> NuScenesIndex:
    """Make the arrays from the JSON tables in `folder`. Raises `DatasetError` for tables that do not fit together."""
    try:
        return _build(folder)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"nuScenes tables in {str(folder)!r} do not fit together: {type(error).__name__} {error}"
        ) from error


def _rows(tokens: Iterable[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def _build(folder: Path) -> NuScenesIndex:
    scenes = sorted(_table(folder, "scene"), key=lambda row: row["name"])
    scene_row = _rows(row["token"] for row in scenes)
    samples = sorted(_table(folder, "sample"), key=lambda row: (scene_row[row["scene_token"]], row["timestamp"]))
    sample_row = _rows(row["token"] for row in samples)
    time = np.array([row["timestamp"] for row in samples], np.int64)
    return NuScenesIndex(
        scene_token=_texts(row["token"] for row in scenes),
        scene_name=_texts(row["name"] for row in scenes),
        sample_token=_texts(row["token"] for row in samples),
        sample_scene=np.array([scene_row[row["scene_token"]] for row in samples], np.int64),
        sample_time=time,
        **_sensor_arrays(folder, sample_row),
        **_box_arrays(folder, sample_row, time),
    )


def _texts(values: Iterable[str]) -> np.ndarray:
    held = list(values)
    return np.array(held, dtype=np.str_) if held else np.zeros(0, dtype="U1")


def _names(values: Iterable[str]) -> np.ndarray:
    """Millions of file names: one byte a letter, where NumPy's text takes four."""
    held = [value.encode() for value in values]
    return np.array(held, dtype=np.bytes_) if held else np.zeros(0, dtype="S1")


def _sensor_arrays(folder: Path, sample_row: dict[str, int]) -> dict[str, np.ndarray]:
    sensors = _table(folder, "sensor")
    names = [row["channel"] for row in sensors]
    sensor_row = _rows(row["token"] for row in sensors)
    calibrations = _table(folder, "calibrated_sensor")
    calibration_row = _rows(row["token"] for row in calibrations)
    poses = {row["token"]: (*row["translation"], *row["rotation"]) for row in _table(folder, "ego_pose")}
    records = _table(folder, "sample_data")
    row_of = _rows(row["token"] for row in records)
    calibration = np.array([calibration_row[row["calibrated_sensor_token"]] for row in records], np.int64)
    of_sensor = np.array([sensor_row[row["sensor_token"]] for row in calibrations], np.int64)
    pose = np.array([poses[row["ego_pose_token"]] for row in records], np.float64).reshape(-1, 7)
    channel = of_sensor[calibration]
    key = np.array([bool(row["is_key_frame"]) for row in records])
    key_data = np.full((len(sample_row), len(names)), -1, np.int64)
    for i in np.flatnonzero(key):
        key_data[sample_row[records[i]["sample_token"]], channel[i]] = i
    intrinsic = np.zeros((len(calibrations), 3, 3))
    for i, row in enumerate(calibrations):
        if row["camera_intrinsic"]:
            intrinsic[i] = row["camera_intrinsic"]
    return {
        "channel": _texts(names),
        "key_data": key_data,
        "data_file": _names(row["filename"] for row in records),
        "data_time": np.array([row["timestamp"] for row in records], np.int64),
        "data_channel": channel,
        "data_prev": np.array([row_of.get(row["prev"], -1) for row in records], np.int64),
        "data_size": np.array([(row["width"] or 0, row["height"] or 0) for row in records], np.int32).reshape(-1, 2),
        "data_key": key,
        "data_calibration": calibration,
        "data_translation": pose[:, :3],
        "data_rotation": pose[:, 3:],
        "calibration_translation": np.array([row["translation"] for row in calibrations], np.float64).reshape(-1, 3),
        "calibration_rotation": np.array([row["rotation"] for row in calibrations], np.float64).reshape(-1, 4),
        "calibration_intrinsic": intrinsic,
    }


def _box_arrays(folder: Path, sample_row: dict[str, int], time: np.ndarray) -> dict[str, np.ndarray]:
    categories, attributes = _table(folder, "category"), _table(folder, "attribute")
    category_row = _rows(row["token"] for row in categories)
    attribute_row = _rows(row["token"] for row in attributes)
    instances = _table(folder, "instance")
    instance_row = _rows(row["token"] for row in instances)
    of_instance = np.array([category_row[row["category_token"]] for row in instances], np.int64)
    # A stable sort keeps the table's order inside a sample: equal scores are resolved by it.
    boxes = sorted(_table(folder, "sample_annotation"), key=lambda row: sample_row[row["sample_token"]])
    row_of = _rows(row["token"] for row in boxes)
    sample = np.array([sample_row[row["sample_token"]] for row in boxes], np.int64)
    instance = np.array([instance_row[row["instance_token"]] for row in boxes], np.int64)
    xyz = np.array([row["translation"] for row in boxes], np.float64).reshape(-1, 3)
    own = np.arange(len(boxes))
    before = np.array([row_of.get(row["prev"], -1) for row in boxes], np.int64)
    after = np.array([row_of.get(row["next"], -1) for row in boxes], np.int64)
    return {
        "category_name": _texts(row["name"] for row in categories),
        "attribute_name": _texts(row["name"] for row in attributes),
        "box_sample": sample,
        "box_instance": instance,
        "box_category": of_instance[instance],
        "box_xyz": xyz,
        "box_wlh": np.array([row["size"] for row in boxes], np.float64).reshape(-1, 3),
        "box_rotation": np.array([row["rotation"] for row in boxes], np.float64).reshape(-1, 4),
        "box_lidar": np.array([row["num_lidar_pts"] for row in boxes], np.int64),
        "box_radar": np.array([row["num_radar_pts"] for row in boxes], np.int64),
        "box_attribute": np.array(
            [attribute_row[row["attribute_tokens"][0]] if row["attribute_tokens"] else -1 for row in boxes], np.int64
        ),
        "box_visibility": np.array([int(row.get("visibility_token") or 0) for row in boxes], np.int64),
        "box_velocity": _velocities(xyz, time[sample] * 1e-6, own, before, after),
    }


def _velocities(
    xyz: np.ndarray, time: np.ndarray, own: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """Central (or one-sided) difference of the neighbouring annotations, global x, y [m/s]; NaN over gaps or without neighbours."""
    first, last = np.where(before >= 0, before, own), np.where(after >= 0, after, own)
    gap = time[last] - time[first]
    limit = np.where((before >= 0) & (after >= 0), 2 * MAX_VELOCITY_GAP, MAX_VELOCITY_GAP)
    usable = (gap > 0) & (gap <= limit)
    change = xyz[last, :2] - xyz[first, :2]
    return np.where(usable[:, None], change / np.where(usable, gap, 1.0)[:, None], np.nan)


def truth_boxes(index: NuScenesIndex, rows: np.ndarray) -> tuple[NuScenesBoxes, NuScenesSamples]:
    """Annotations of the samples `rows` as columns, with bicycle racks, and the samples; the vehicle is where it was at the LiDAR's time.

    Categories that the benchmarks do not judge are left out. Raises `DatasetError` for a sample without a LiDAR (or any) record.
    """
    rows = np.asarray(rows, np.int64)
    number = np.full(len(index.sample_token), -1, np.int64)
    number[rows] = np.arange(len(rows))
    label_of = {name: i for i, name in enumerate(DETECTION_CLASSES)} | {"bicycle_rack": RACK}
    labels = np.array([label_of.get(CATEGORY_CLASS.get(str(name), ""), -1) for name in index.category_name], np.int64)
    codes = np.array([ATTRIBUTES.index(str(name)) if str(name) in ATTRIBUTES else -1 for name in index.attribute_name])
    label = labels[index.box_category] if len(labels) else np.zeros(0, np.int64)
    kept = np.flatnonzero((number[index.box_sample] >= 0) & (label >= 0))
    attribute = np.full(len(kept), -1) if not len(codes) else codes[index.box_attribute[kept]]
    boxes = NuScenesBoxes.make(
        number[index.box_sample[kept]],
        label[kept],
        index.box_xyz[kept],
        index.box_wlh[kept],
        index.box_rotation[kept],
        velocity=index.box_velocity[kept],
        attribute=np.where(index.box_attribute[kept] < 0, -1, attribute),
        points=index.box_lidar[kept] + index.box_radar[kept],
        track=index.box_instance[kept],
    )
    records = np.array([reference_record(index, int(row)) for row in rows], np.int64)
    tokens = [str(token) for token in index.sample_token[rows]]
    return boxes, NuScenesSamples(
        index.sample_scene[rows], index.sample_time[rows], index.data_translation[records].reshape(-1, 3), tokens
    )


def reference_record(index: NuScenesIndex, sample: int) -> int:
    """The record whose vehicle pose stands for the sample: LIDAR_TOP's, else the first sensor's. Raises `DatasetError`."""
    record = index.record(sample, LIDAR)
    if record < 0:
        others = index.key_data[sample]
        others = others[others >= 0]
        if not len(others):
            raise DatasetError(f"nuScenes sample {index.sample_token[sample]} has no sensor record")
        record = int(others[0])
    return record
