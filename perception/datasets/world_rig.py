"""Key frames of the world's streets seen by a whole vehicle: the sample layout of the nuScenes reader, without a download.

    {"type": "WorldRig", "seeds": [0, 199], "frames": 6, "size": [64, 176], "cache": "work_dirs/world_rig"}

Frames of a scene are 0.5 s apart. Scenes are rendered when asked for, or once to disk (one folder a scene, moved into place when complete).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.registry import register_dataset
from perception.datasets.world.classes import CATEGORIES, WORLD_VERSION
from perception.errors import DatasetError, RecipeError
from perception.geometry import transforms
from perception.io.nuscenes_results import ATTRIBUTES, DETECTION_CLASSES, NuScenesBoxes

START, PERIOD, MAX_DISTANCE = 1.0, 0.5, 75.0
DATA_VERSION = 1  # of what a scene's folder holds
_NAMES = {"person": "pedestrian"}


@register_dataset
class WorldRig:
    """Samples as `perception.datasets.nuscenes.NuScenes` gives them.

    seeds: [first, last] or a count. frames: key frames of a scene. size: (H, W) of the pictures; crop_top: rows that are cut off above (the
    pictures are then those of a higher camera). radar_sweeps: measurements of each radar, the newest first. depth: add ``camera_depth`` (exact) and
    ``camera_depth_valid``. occupancy: None, or {"lower": (x, y, z), "voxel": metres, "shape": (X, Y, Z)}. min_points: LiDAR and radar points that a
    box needs to be learnt (the evaluators have their own rule). cache: folder; workers: processes that fill it.
    """

    def __init__(
        self,
        seeds: Sequence[int] | int = (0, 99),
        frames: int = 6,
        size: tuple[int, int] = (64, 176),
        crop_top: int | None = None,
        style: str = "plausible",
        weather: str | None = None,
        radar: bool = True,
        radar_sweeps: int = 1,
        depth: bool = True,
        occupancy: dict[str, Any] | None = None,
        min_points: int = 1,
        cache: str | Path | None = None,
        workers: int | None = None,
        progress: bool = True,
    ) -> None:
        values = [0, seeds - 1] if isinstance(seeds, int) else [int(v) for v in seeds]
        if len(values) != 2 or values[1] < values[0] or frames < 1 or radar_sweeps < 1:
            raise RecipeError(
                f"WorldRig needs seeds [first, last] and at least one frame and radar sweep; found {seeds}, {frames}, {radar_sweeps}"
            )
        height, width = int(size[0]), int(size[1])
        self.first, self.scenes, self.frames = values[0], values[1] - values[0] + 1, int(frames)
        self.radar, self.depth, self.min_points = radar, depth, int(min_points)
        self.classes = DETECTION_CLASSES
        grid = None if occupancy is None else json.loads(json.dumps(dict(occupancy)))
        self.plan = {
            "frames": self.frames,
            "size": [height, width],
            "crop_top": round(width * 9 / 16) - height if crop_top is None else int(crop_top),
            "style": style,
            "weather": weather,
            "radar_sweeps": int(radar_sweeps),
            "occupancy": grid,
            "world_version": WORLD_VERSION,
            "data_version": DATA_VERSION,
        }
        self.folder = None
        if cache is not None:
            digest = hashlib.sha256(json.dumps(self.plan, sort_keys=True).encode()).hexdigest()[:12]
            self.folder = Path(cache) / f"rig-{digest}"
            self._fill(workers, progress)

    def __len__(self) -> int:
        return self.scenes * self.frames

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"WorldRig has {len(self)} samples; found index {index}")
        index = int(index) % len(self)
        scene, frame = divmod(index, self.frames)
        held = self._scene(self.first + scene)
        return self._sample(held, scene, frame, index)

    def previous(self, index: int) -> int:
        """Index of the frame before in the same scene, or -1."""
        return index - 1 if index % self.frames else -1

    # -- scenes --------------------------------------------------------------------------------------------------------

    def _scene(self, seed: int) -> dict[str, np.ndarray]:
        if self.folder is None:
            return _render_cached(seed, json.dumps(self.plan))
        return _read_scene(str(self.folder / f"scene-{seed}"))

    def _fill(self, workers: int | None, progress: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [s for s in range(self.first, self.first + self.scenes) if not (self.folder / f"scene-{s}").exists()]
        if not missing:
            return
        from perception.datasets.world.cache import check_not_importing, single_threaded
        from perception.datasets.world.progress import Bar

        check_not_importing()
        bar = Bar(self.scenes, progress)
        done = self.scenes - len(missing)
        workers = min(os.cpu_count() or 1 if workers is None else workers, len(missing))
        jobs = [(str(self.folder), seed, self.plan) for seed in missing]
        bar.update(done)
        if workers <= 1:
            for job in jobs:
                _write_scene(job)
                done += 1
                bar.update(done)
        else:
            with single_threaded(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                for _ in pool.map(_write_scene, jobs, chunksize=1):
                    done += 1
                    bar.update(done)
        bar.close()

    # -- samples -------------------------------------------------------------------------------------------------------

    def _sample(self, held: dict[str, np.ndarray], scene: int, frame: int, index: int) -> dict[str, Any]:
        def tensor(name: str, dtype: Any = None) -> torch.Tensor:
            return torch.from_numpy(np.array(held[name][frame], dtype=dtype, order="C"))

        def rows(name: str, kind: str) -> np.ndarray:
            ends = held[f"{kind}_ends"]
            return held[name][ends[frame] : ends[frame + 1]]

        seed = self.first + scene
        points = rows("box_points", "box")
        keep = points >= self.min_points
        boxes = rows("boxes", "box")
        label = rows("box_label", "box").astype(np.int64)
        global_from_ego = held["global_from_ego"][frame].astype(np.float64)
        sample: dict[str, Any] = {
            "images": tensor("images").permute(0, 3, 1, 2).contiguous(),
            "intrinsics": torch.from_numpy(held["intrinsics"].astype(np.float32)),
            "ego_from_camera": tensor("ego_from_camera", np.float32),
            "camera_time": tensor("camera_time", np.float32),
            "global_from_ego": global_from_ego,
            "boxes3d": torch.from_numpy(boxes[keep].astype(np.float32)),
            "velocity": torch.from_numpy(rows("box_velocity", "box")[keep].astype(np.float32)),
            "labels3d": torch.from_numpy(label[keep]),
            "track_ids": torch.from_numpy(rows("box_track", "box")[keep].astype(np.int64)),
            "num_points": torch.from_numpy(points[keep].astype(np.int64)),
            "nuscenes_truth": self._truth(rows, global_from_ego),
        }
        if self.radar:
            sample["radar_points"] = torch.from_numpy(np.array(rows("radar", "radar"), np.float32))
        if self.depth:
            sample["camera_depth"] = tensor("depth", np.float32)
            sample["camera_depth_valid"] = sample["camera_depth"] > 0
        if self.plan["occupancy"] is not None:
            sample["occupancy"] = tensor("occupancy")
            sample["occupancy_mask_camera"] = tensor("occupancy_camera").bool()
            sample["occupancy_mask_lidar"] = tensor("occupancy_lidar").bool()
        sample["meta"] = {
            "name": f"world-{seed}-{frame}",
            "index": index,
            "scene": f"world-{seed}",
            "frame": frame,
            "timestamp": int(held["time"][frame]),
            "previous": self.previous(index),
            "cameras": [str(name) for name in held["cameras"]],
        }
        return sample

    def _truth(self, rows: Any, global_from_ego: np.ndarray) -> NuScenesBoxes:
        boxes = rows("boxes", "box").astype(np.float64)
        yaw = boxes[:, 6] + np.arctan2(global_from_ego[1, 0], global_from_ego[0, 0])
        velocity = np.column_stack([rows("box_velocity", "box"), np.zeros(len(boxes))]).astype(np.float64)
        zero = np.zeros(len(boxes))
        return NuScenesBoxes.make(
            np.zeros(len(boxes), np.int64),
            rows("box_label", "box"),
            transforms.apply(global_from_ego, boxes[:, :3]),
            boxes[:, [4, 3, 5]],
            np.stack([np.cos(yaw / 2), zero, zero, np.sin(yaw / 2)], 1),
            velocity=transforms.rotate(global_from_ego, velocity)[:, :2],
            attribute=rows("box_attribute", "box").astype(np.int64),
            points=rows("box_points", "box").astype(np.int64),
            track=rows("box_track", "box").astype(np.int64),
        )


# -- rendering and files -------------------------------------------------------------------------------------------------

_LARGE = ("images", "depth", "occupancy", "occupancy_camera", "occupancy_lidar")


def _write_scene(job: tuple[str, int, dict]) -> int:
    folder, seed, plan = job
    target = Path(folder) / f"scene-{seed}"
    if target.exists():
        return seed
    work = Path(folder) / f".scene-{seed}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        held = render_scene(seed, plan)
        for name in _LARGE:
            if name in held:
                np.save(work / f"{name}.npy", held.pop(name))
        np.savez(work / "rest.npz", **held)
        try:
            os.replace(work, target)
        except OSError:
            if not target.exists():  # else another process finished it first
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return seed


@lru_cache(maxsize=64)
def _read_scene(folder: str) -> dict[str, np.ndarray]:
    path = Path(folder)
    try:
        held = {
            name: np.load(path / f"{name}.npy", mmap_mode="r") for name in _LARGE if (path / f"{name}.npy").exists()
        }
        with np.load(path / "rest.npz", allow_pickle=False) as rest:
            held |= {name: rest[name] for name in rest.files}
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder} cannot be read ({error}); delete it and start again") from error
    return held


@lru_cache(maxsize=2)
def _render_cached(seed: int, plan: str) -> dict[str, np.ndarray]:
    return render_scene(seed, json.loads(plan))


def render_scene(seed: int, plan: dict[str, Any]) -> dict[str, np.ndarray]:
    """All frames of one scene as arrays: stacked over the frames, or joined with ``*_ends`` that say where each frame's rows end."""
    from perception.datasets.world import rigs
    from perception.datasets.world.occupancy import Grid, occ3d_labels
    from perception.datasets.world.render import World

    height, width = plan["size"]
    world = World(seed, "street", plan["style"], plan["weather"])
    rig = rigs.surround_rig(width, height, crop_top=plan["crop_top"])
    about = plan["occupancy"]
    grid = None
    if about is not None:
        grid = Grid(tuple(about["lower"]), float(about["voxel"]), tuple(int(v) for v in about["shape"]))
    stacks: dict[str, list] = {}
    joined: dict[str, list] = {}
    for frame in range(plan["frames"]):
        key = START + PERIOD * frame
        moment = world.render(rig, key, ("depth", "instance", *(("occupancy",) if grid else ())), grid=grid)
        time = moment.lidars["LIDAR_TOP"].time
        global_from_ego = world.ego_pose(time)
        ego_from_global = transforms.inverse(global_from_ego)
        seen = list(moment.frames.values())
        one: dict[str, Any] = {
            "images": np.stack([f.image for f in seen]),
            "depth": np.stack([np.minimum(f.depth, 6e4).astype(np.float16) for f in seen]),
            "ego_from_camera": np.stack([ego_from_global @ f.world_from_camera for f in seen]),
            "camera_time": np.array([f.time - time for f in seen]),
            "global_from_ego": global_from_ego,
            "time": np.int64(round(time * 1e6)),
        }
        if grid is not None:
            voxels = moment.occupancy
            one["occupancy"] = occ3d_labels(voxels.semantics)
            one["occupancy_camera"], one["occupancy_lidar"] = voxels.mask_camera, voxels.mask_lidar
        for name, value in one.items():
            stacks.setdefault(name, []).append(value)
        joined.setdefault("radar", []).append(_radar_points(world, rig, time, ego_from_global, plan["radar_sweeps"]))
        for name, value in _boxes(world, moment, time, ego_from_global).items():
            joined.setdefault(name, []).append(value)
    held = {name: np.stack(values) for name, values in stacks.items()}
    held |= {name: np.concatenate(values) for name, values in joined.items()}
    held["box_ends"] = np.cumsum([0, *(len(b) for b in joined["boxes"])])
    held["radar_ends"] = np.cumsum([0, *(len(p) for p in joined["radar"])])
    held["intrinsics"] = np.stack([camera.model.matrix for camera in rig.cameras])
    held["cameras"] = np.array([camera.name for camera in rig.cameras])
    return held


def _radar_points(world: Any, rig: Any, time: float, ego_from_global: np.ndarray, sweeps: int) -> np.ndarray:
    """(N, 8) in the order of the nuScenes reader's `RADAR_COLUMNS`; old sweeps are moved by their velocity."""
    parts = [np.zeros((0, 8), np.float32)]
    for sensor in rig.radars:
        for number in range(sweeps):
            scan = world.radar(sensor, sensor.time(time) - number / sensor.rate_hz)
            matrix = ego_from_global @ scan.world_from_sensor
            velocity = np.column_stack([scan.velocity_compensated, np.zeros(len(scan.range))]).astype(np.float64)
            velocity = transforms.rotate(matrix, velocity)
            xyz = transforms.apply(matrix, scan.points.astype(np.float64))
            lag = time - scan.time
            xyz[:, :2] += velocity[:, :2] * lag
            rest = np.full((len(xyz), 2), (number, lag))
            points = np.column_stack([xyz, scan.rcs, velocity[:, :2], rest])
            parts.append(points[np.hypot(xyz[:, 0], xyz[:, 1]) < 100.0].astype(np.float32))
    return np.concatenate(parts)


def _boxes(world: Any, moment: Any, time: float, ego_from_global: np.ndarray) -> dict[str, np.ndarray]:
    label_of = {name: i for i, name in enumerate(DETECTION_CLASSES)}
    counts: dict[int, int] = {}
    held = [moment.lidars["LIDAR_TOP"].instance, *(scan.instance for scan in moment.radars.values())]
    for instance, count in zip(*np.unique(np.concatenate(held), return_counts=True), strict=True):
        counts[int(instance)] = int(count)
    pixels: dict[int, int] = {}
    for frame in moment.frames.values():
        for instance, count in zip(*np.unique(frame.instance, return_counts=True), strict=True):
            pixels[int(instance)] = pixels.get(int(instance), 0) + int(count)
    rows: dict[str, list] = {n: [] for n in ("boxes", "box_velocity", "box_label", "box_track", "box_points")}
    rows |= {"box_attribute": [], "box_pixels": []}
    yaw_of_ego = float(np.arctan2(ego_from_global[1, 0], ego_from_global[0, 0]))
    for item in world.scene.objects:
        name = CATEGORIES[item.category].name
        label = label_of.get(_NAMES.get(name, name))
        pose = item.pose(time).astype(np.float64)
        centre = transforms.apply(ego_from_global, pose[None, :3, 3])[0]
        if label is None or np.hypot(centre[0], centre[1]) > MAX_DISTANCE:
            continue
        if counts.get(item.id, 0) + pixels.get(item.id, 0) == 0:
            continue
        yaw = float(np.arctan2(pose[1, 0], pose[0, 0])) + yaw_of_ego
        velocity = transforms.rotate(ego_from_global, item.velocity(time).astype(np.float64)[None])[0]
        rows["boxes"].append([*centre, *item.size, float(transforms.wrap_angle(yaw))])
        rows["box_velocity"].append(velocity[:2])
        rows["box_label"].append(label)
        rows["box_track"].append(item.id)
        rows["box_points"].append(counts.get(item.id, 0))
        rows["box_pixels"].append(pixels.get(item.id, 0))
        rows["box_attribute"].append(ATTRIBUTES.index(item.attribute) if item.attribute in ATTRIBUTES else -1)
    widths = {"boxes": (7,), "box_velocity": (2,)}
    return {
        name: np.array(v, np.float32 if name in widths else np.int64).reshape(-1, *widths.get(name, ()))
        for name, v in rows.items()
    }
