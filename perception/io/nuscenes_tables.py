"""The official nuScenes JSON tables -> the arrays of a `NuScenesIndex`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import DatasetError
from perception.io.nuscenes_index import NuScenesIndex
from perception.io.text import read_text

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
MAX_VELOCITY_GAP = 1.5  # seconds between two annotations of which a velocity is made (twice that with both neighbours)


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


def _table(folder: Path, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(read_text(folder / f"{name}.json"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"nuScenes table {name}.json in {str(folder)!r} cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise DatasetError(f"nuScenes table {name}.json must be a list of rows; found {type(rows).__name__}")
    return rows
