"""The real key frame of the samples folder as official tables: what the info pickle holds, taken apart again, with links to its files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np

from perception.geometry.transforms import inverse, quaternion_from_rotation, rigid, rotation_about
from perception.io.nuscenes import CATEGORY_CLASS

SCENE = "scene-0061"


def _posed(token: str, matrix: np.ndarray, **rest) -> dict:
    # The pickle's matrices were stored with few digits: take the nearest rotation.
    u, _, v = np.linalg.svd(matrix[:3, :3])
    return {
        "token": token,
        "translation": matrix[:3, 3].tolist(),
        "rotation": quaternion_from_rotation(u @ v).tolist(),
        **rest,
    }


def write_real_tables(root: Path, folder: Path, version: str = "v1.0-mini") -> Path:
    """Write ``root/version`` and links to the sensor files in `folder`; returns `root`. Radars stand still in the tables' time."""
    with open(next(folder.glob("n015*.pkl")), "rb") as file:
        content = pickle.load(file)
    info = content["data_list"][0]
    stamp = round(info["timestamp"] * 1e6)
    global_from_ego = np.array(info["ego2global"], np.float64)
    ego_from_lidar = np.array(info["lidar_points"]["lidar2ego"], np.float64)
    t: dict[str, list] = {name: [] for name in ("sensor", "calibrated_sensor", "ego_pose", "sample_data")}
    t["scene"] = [{"token": "scene", "name": SCENE, "log_token": "", "first_sample_token": info["token"]}]
    t["sample"] = [{"token": info["token"], "timestamp": stamp, "scene_token": "scene", "prev": "", "next": ""}]

    def add(
        channel: str, path: Path, mounting: np.ndarray, pose: np.ndarray, time: int, intrinsic, size=(0, 0)
    ) -> None:
        name = f"samples/{channel}/{path.name}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(path.resolve())
        t["sensor"].append({"token": channel, "channel": channel, "modality": channel.split("_")[0].lower()})
        t["calibrated_sensor"].append(_posed(channel, mounting, sensor_token=channel, camera_intrinsic=intrinsic))
        t["ego_pose"].append(_posed(channel, pose, timestamp=time))
        t["sample_data"].append(
            {
                "token": channel,
                "sample_token": info["token"],
                "ego_pose_token": channel,
                "calibrated_sensor_token": channel,
                "filename": name,
                "fileformat": "",
                "width": size[0],
                "height": size[1],
                "timestamp": time,
                "is_key_frame": True,
                "prev": "",
                "next": "",
            }
        )

    add("LIDAR_TOP", next(folder.glob("*LIDAR_TOP*.bin")), ego_from_lidar, global_from_ego, stamp, [])
    for channel, camera in info["images"].items():
        mounting = np.array(camera["cam2ego"], np.float64)
        moved = (
            global_from_ego @ ego_from_lidar @ inverse(np.array(camera["lidar2cam"], np.float64)) @ inverse(mounting)
        )
        matrix = np.array(camera["cam2img"], np.float64)[:3, :3].tolist()
        time = round(camera["timestamp"] * 1e6)
        add(channel, next(folder.glob(f"*__{channel}__*.jpg")), mounting, moved, time, matrix, (1600, 900))
    radars = json.loads((folder / "radar_synthetic" / "calibration_approximate.json").read_text())
    for channel, radar in radars.items():
        path = folder / "radar_synthetic" / f"SYNTHETIC__{channel}.pcd"
        add(channel, path, np.array(radar["sensor2ego"], np.float64), global_from_ego, stamp, [])
    _annotations(t, content["metainfo"]["categories"], info, global_from_ego @ ego_from_lidar)
    (root / version).mkdir(parents=True)
    for table, rows in t.items():
        (root / version / f"{table}.json").write_text(json.dumps(rows))
    return root


def _annotations(t: dict, names: dict, info: dict, global_from_lidar: np.ndarray) -> None:
    category = {name: key for key, name in reversed(CATEGORY_CLASS.items())}
    name_of = {label: name for name, label in names.items()}
    t["category"] = [{"token": key, "name": key} for key in CATEGORY_CLASS]
    t["attribute"], t["instance"], t["sample_annotation"] = [], [], []
    for i, item in enumerate(info["instances"]):
        if item["bbox_label_3d"] not in name_of:
            continue
        x, y, z, length, width, height, yaw = item["bbox_3d"]
        matrix = global_from_lidar @ rigid(rotation_about("z", yaw), [x, y, z])
        t["instance"].append({"token": f"i{i}", "category_token": category[name_of[item["bbox_label_3d"]]]})
        t["sample_annotation"].append(
            _posed(
                f"b{i}",
                matrix,
                sample_token=info["token"],
                instance_token=f"i{i}",
                attribute_tokens=[],
                visibility_token="",
                size=[width, length, height],
                num_lidar_pts=int(item["num_lidar_pts"]),
                num_radar_pts=int(item["num_radar_pts"]),
                prev="",
                next="",
            )
        )
