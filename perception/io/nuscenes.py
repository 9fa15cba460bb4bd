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
from pathlib import Path

import numpy as np

from perception.errors import DatasetError
from perception.io.atomic import atomic_path
from perception.io.nuscenes_index import NuScenesIndex
from perception.io.nuscenes_results import ATTRIBUTES, DETECTION_CLASSES, RACK, NuScenesBoxes, NuScenesSamples
from perception.io.nuscenes_tables import TABLES, build_index

INDEX_VERSION = 3
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


__all__ = [
    "CAMERAS",
    "CATEGORY_CLASS",
    "LIDAR",
    "RADARS",
    "NuScenesIndex",
    "load_index",
    "reference_record",
    "truth_boxes",
]
