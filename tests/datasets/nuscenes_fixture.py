"""A small nuScenes version written to disk: two scenes, sensors at their own times on a turning vehicle, radar with sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from perception.geometry.transforms import apply, inverse, quaternion_from_rotation, rigid, rotation_about
from perception.io.radar import write_radar

TARGET = np.array([620.0, 1210.0, 1.0])  # a post in the world, global frame
CAMERA = rigid(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.5, 0.0, 1.6]))  # ego from camera
SENSORS = {
    "CAM_FRONT": CAMERA,
    "LIDAR_TOP": rigid(rotation_about("z", -np.pi / 2), np.array([0.9, 0.0, 1.8])),
    "RADAR_FRONT": rigid(rotation_about("z", 0.1), np.array([3.4, 0.0, 0.5])),
}
FRAMES = 4


def ego_pose(time: float) -> np.ndarray:
    """global from ego: 8 m/s forward, turning left with 0.3 rad/s."""
    heading = 0.4 + 0.3 * time
    return rigid(rotation_about("z", heading), np.array([600.0 + 8 * time, 1200.0 + 3 * time, 0.0]))


def _row(token: str, matrix: np.ndarray, **rest) -> dict:
    quaternion = quaternion_from_rotation(matrix[:3, :3]).tolist()
    return {"token": token, "translation": matrix[:3, 3].tolist(), "rotation": quaternion, **rest}


def write_tables(root: Path, version: str = "v1.0-mini") -> Path:
    """Write tables and sensor files; returns `root`."""
    t: dict[str, list] = {
        name: [] for name in ("log", "map", "scene", "sample", "sample_data", "ego_pose", "sample_annotation")
    }
    t["sensor"] = [{"token": f"s_{name}", "channel": name, "modality": name.split("_")[0].lower()} for name in SENSORS]
    intrinsic = [[60.0, 0, 39.5], [0, 60.0, 29.5], [0, 0, 1]]
    t["calibrated_sensor"] = [
        _row(f"c_{name}", matrix, sensor_token=f"s_{name}", camera_intrinsic=intrinsic if "CAM" in name else [])
        for name, matrix in SENSORS.items()
    ]
    t["category"] = [{"token": f"k_{n}", "name": n} for n in ("vehicle.car", "human.pedestrian.adult", "animal")]
    t["attribute"] = [{"token": "a_0", "name": "vehicle.moving"}]
    t["visibility"] = [{"token": str(i), "level": ""} for i in range(1, 5)]
    t["instance"] = []
    for scene, name in enumerate(("scene-0103", "scene-0061")):
        tokens = [f"{name}_{i}" for i in range(FRAMES)]
        t["scene"].append(
            {
                "token": f"t_{name}",
                "name": name,
                "log_token": "",
                "nbr_samples": FRAMES,
                "first_sample_token": tokens[0],
            }
        )
        for i in range(FRAMES):
            stamp = 1_500_000_000_000_000 + scene * 10**9 + i * 500_000
            ends = {"prev": tokens[i - 1] if i else "", "next": tokens[i + 1] if i + 1 < FRAMES else ""}
            t["sample"].append({"token": tokens[i], "timestamp": stamp, "scene_token": f"t_{name}", **ends})
        _sensor_rows(root, t, name, tokens, scene)
        _annotations(t, name, tokens)
    folder = root / version
    folder.mkdir(parents=True)
    for table, rows in t.items():
        (folder / f"{table}.json").write_text(json.dumps(rows))
    return root


def _sensor_rows(root: Path, t: dict, scene: str, tokens: list[str], number: int) -> None:
    for channel, ego_from_sensor in SENSORS.items():
        # Radar has a sweep half way between key frames; the camera fires 40 ms before the LiDAR.
        steps = (
            [(i / 2, i % 2 == 0) for i in range(2 * FRAMES - 1)]
            if "RADAR" in channel
            else [(i, True) for i in range(FRAMES)]
        )
        shift = {"CAM_FRONT": -0.04, "LIDAR_TOP": 0.0, "RADAR_FRONT": 0.01}[channel]
        before = ""
        for step, key in steps:
            time = step * 0.5 + shift
            token = f"{scene}_{channel}_{step}"
            suffix = {"C": ".jpg", "L": ".pcd.bin", "R": ".pcd"}[channel[0]]
            name = f"{'samples' if key else 'sweeps'}/{channel}/{token}{suffix}"
            pose = ego_pose(time)
            sensor_from_global = inverse(pose @ ego_from_sensor)
            _write_file(root / name, channel, apply(sensor_from_global, TARGET[None])[0], time)
            t["ego_pose"].append(_row(f"p_{token}", pose, timestamp=0))
            t["sample_data"].append(
                {
                    "token": token,
                    "sample_token": tokens[int(np.ceil(step))],
                    "ego_pose_token": f"p_{token}",
                    "calibrated_sensor_token": f"c_{channel}",
                    "filename": name,
                    "fileformat": suffix[1:],
                    "width": 80 if channel[0] == "C" else 0,
                    "height": 60 if channel[0] == "C" else 0,
                    "timestamp": 1_500_000_000_000_000 + number * 10**9 + round(time * 1e6),
                    "is_key_frame": key,
                    "prev": before,
                    "next": "",
                }
            )
            before = token


def _write_file(path: Path, channel: str, target: np.ndarray, time: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if channel.startswith("CAM"):
        image = np.zeros((60, 80, 3), np.uint8)
        cv2.imwrite(str(path), image)
    elif channel.startswith("LIDAR"):
        np.array([[*target, 9.0, 1.0]], "<f4").tofile(str(path))
    else:
        heading = 0.4 + 0.3 * time + 0.1  # of the sensor in the world
        world = np.array([2.0, 1.0])  # the post's velocity that the radar claims, global axes
        c, s = np.cos(heading), np.sin(heading)
        own = np.array([c * world[0] + s * world[1], -s * world[0] + c * world[1]])
        columns = {
            "x": target[:1],
            "y": target[1:2],
            "z": target[2:],
            "rcs": [12.0],
            "vx_comp": own[:1],
            "vy_comp": own[1:],
        }
        write_radar(path, {**{k: np.asarray(v) for k, v in columns.items()}, "ambig_state": np.array([3])})


def _annotations(t: dict, scene: str, tokens: list[str]) -> None:
    for number, (category, frames) in enumerate(
        (("vehicle.car", range(FRAMES)), ("human.pedestrian.adult", (0, 2)), ("animal", (1,)))
    ):
        instance = f"i_{scene}_{number}"
        t["instance"].append({"token": instance, "category_token": f"k_{category}", "nbr_annotations": len(frames)})
        ids = [f"{instance}_{i}" for i in frames]
        for k, i in enumerate(frames):
            matrix = rigid(rotation_about("z", 1.0), np.array([610.0 + 2.0 * i, 1205.0 + number, 1.0]))
            t["sample_annotation"].append(
                _row(
                    ids[k],
                    matrix,
                    sample_token=tokens[i],
                    instance_token=instance,
                    attribute_tokens=["a_0"] if number == 0 else [],
                    visibility_token="4" if number == 0 else "",
                    size=[1.9, 4.6, 1.7],
                    num_lidar_pts=3 - number,
                    num_radar_pts=0,
                    prev=ids[k - 1] if k else "",
                    next=ids[k + 1] if k + 1 < len(ids) else "",
                )
            )
