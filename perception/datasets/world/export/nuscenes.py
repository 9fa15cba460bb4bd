"""Layout ``nuscenes``: scenes of key frames at 2 Hz with six cameras, a LiDAR and five radars, in the official tables.

    v1.0-trainval/*.json, splits.json     samples/CHANNEL/*     sweeps/RADAR_*/*.pcd     gts/SCENE/TOKEN/labels.npz (Occ3D)

``views`` is the number of key frames of a scene. Radar sweeps at 13 Hz fill the time between key frames; LiDAR sweeps between them are not
written. Every sensor record has its own time and ego pose. splits.json lists the scenes of "train" and "val".
"""

from __future__ import annotations

import hashlib

import numpy as np

from perception.datasets.world import rigs
from perception.datasets.world.classes import CATEGORIES
from perception.datasets.world.export.folder import write_json
from perception.datasets.world.export.layout import Layout
from perception.datasets.world.occupancy import occ3d_labels
from perception.datasets.world.radar import RadarScan
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Moment
from perception.datasets.world.truth import visibility_level
from perception.geometry import transforms
from perception.io import atomic_path, write_image
from perception.io.radar import write_radar

KEY_RATE, START, MAX_DISTANCE = 2.0, 1.0, 75.0
EPOCH = 1_500_000_000_000_000  # microseconds
CATEGORY = {
    "person": "human.pedestrian.adult",
    "car": "vehicle.car",
    "truck": "vehicle.truck",
    "bus": "vehicle.bus.rigid",
    "trailer": "vehicle.trailer",
    "construction_vehicle": "vehicle.construction",
    "motorcycle": "vehicle.motorcycle",
    "bicycle": "vehicle.bicycle",
    "barrier": "movable_object.barrier",
    "traffic_cone": "movable_object.trafficcone",
}
ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)


def token(*parts: object) -> str:
    """Return 32 hex digits that name something; equal parts give equal tokens."""
    return hashlib.md5("/".join(map(str, parts)).encode()).hexdigest()


class NuScenesLayout(Layout):
    """See the module."""

    name, kind, kinds, default_size = "nuscenes", "street", ("street",), (900, 1600)

    def __init__(self, root, size=None, views: int = 10) -> None:
        super().__init__(root, size, views if views > 1 else 10)

    def write(self, world: World, number: int, split: str) -> dict:
        """Write the sensor files of one scene and return its rows of the tables."""
        return _SceneWriter(self, world, number, split).run()

    def finish(self, records: list[dict]) -> None:
        """Write the tables."""
        folder = self.root / "v1.0-trainval"
        tables: dict[str, list] = {key: [] for key in _FIXED}
        for record in records:
            for name, rows in record["tables"].items():
                tables.setdefault(name, []).extend(rows)
        for name, rows in _FIXED.items():
            tables[name] = rows + tables.get(name, [])
        for name, rows in tables.items():
            write_json(folder / f"{name}.json", rows)
        splits = {part: [r["scene"] for r in records if r["split"] == part] for part in ("train", "val")}
        write_json(folder / "splits.json", splits)


_CHANNELS = [sensor.name for sensor in rigs.surround_rig(160, 90).sensors]
_FIXED = {
    "category": [{"token": token("category", c), "name": c, "description": ""} for c in CATEGORY.values()],
    "attribute": [{"token": token("attribute", a), "name": a, "description": ""} for a in ATTRIBUTES],
    "visibility": [
        {"token": str(level), "level": f"v{low}-{high}", "description": f"{low} to {high} % of the object is visible"}
        for level, (low, high) in enumerate(((0, 40), (40, 60), (60, 80), (80, 100)), 1)
    ],
    "sensor": [
        {"token": token("sensor", c), "channel": c, "modality": {"C": "camera", "L": "lidar", "R": "radar"}[c[0]]}
        for c in _CHANNELS
    ],
}


class _SceneWriter:
    """Renders one scene and collects its table rows."""

    def __init__(self, layout: NuScenesLayout, world: World, number: int, split: str) -> None:
        self.layout, self.world, self.split = layout, world, split
        self.scene = f"scene-{number:04d}"
        self.rig = rigs.surround_rig(layout.size[1], layout.size[0])
        self.log = f"world-{world.seed}"
        names = (
            "scene",
            "sample",
            "sample_data",
            "ego_pose",
            "calibrated_sensor",
            "sample_annotation",
            "instance",
            "log",
            "map",
        )
        self.rows: dict[str, list[dict]] = {name: [] for name in names}

    def run(self) -> dict:
        count = self.layout.views
        times = START + np.arange(count) / KEY_RATE
        self._calibrations()
        samples = [token(self.scene, "sample", k) for k in range(count)]
        last: dict[str, dict] = {}
        tracks: dict[int, list[dict]] = {}
        for k, time in enumerate(times):
            moment = self.world.render(self.rig, float(time), ("depth", "semantic", "instance", "boxes", "occupancy"))
            self._radar_sweeps(time, samples[k], last)
            self._files(moment, samples[k], last)
            key_time = moment.lidars["LIDAR_TOP"].time
            self.rows["sample"].append(
                {
                    "token": samples[k],
                    "timestamp": _stamp(key_time),
                    "scene_token": token(self.scene),
                    "prev": samples[k - 1] if k else "",
                    "next": samples[k + 1] if k + 1 < count else "",
                }
            )
            self._annotations(moment, key_time, samples[k], tracks)
        for instance, rows in tracks.items():
            self._track(instance, rows)
        self.rows["scene"].append(
            {
                "token": token(self.scene),
                "name": self.scene,
                "description": f"procedural street, seed {self.world.seed}, {self.world.scene.weather}",
                "log_token": token(self.log),
                "nbr_samples": count,
                "first_sample_token": samples[0],
                "last_sample_token": samples[-1],
            }
        )
        self.rows["log"].append(
            {
                "token": token(self.log),
                "logfile": self.log,
                "vehicle": "world",
                "date_captured": "2000-01-01",
                "location": "procedural",
            }
        )
        self.rows["map"].append(
            {
                "token": token(self.log, "map"),
                "category": "semantic_prior",
                "filename": "",
                "log_tokens": [token(self.log)],
            }
        )
        return {"scene": self.scene, "split": self.split, "tables": self.rows}

    def _calibrations(self) -> None:
        for sensor in self.rig.sensors:
            intrinsic = sensor.model.opencv_matrix.tolist() if isinstance(sensor, rigs.Camera) else []
            self.rows["calibrated_sensor"].append(
                {
                    "token": token(self.scene, "calibration", sensor.name),
                    "sensor_token": token("sensor", sensor.name),
                    "translation": sensor.ego_from_sensor[:3, 3].tolist(),
                    "rotation": transforms.quaternion_from_rotation(sensor.ego_from_sensor[:3, :3]).tolist(),
                    "camera_intrinsic": intrinsic,
                }
            )

    def _record(self, channel: str, time: float, sample: str, key: bool, last: dict, form: str, size=(0, 0)) -> str:
        """Add the rows of one sensor file; returns its path below the root."""
        stamp = _stamp(time)
        name = token(self.scene, channel, stamp)
        folder = "samples" if key else "sweeps"
        suffix = {"jpg": "jpg", "lidar": "pcd.bin", "radar": "pcd"}[form]
        path = f"{folder}/{channel}/{self.log}__{channel}__{stamp}.{suffix}"
        pose = self.world.ego_pose(time)
        self.rows["ego_pose"].append(
            {
                "token": token(name, "pose"),
                "timestamp": stamp,
                "translation": pose[:3, 3].tolist(),
                "rotation": transforms.quaternion_from_rotation(pose[:3, :3]).tolist(),
            }
        )
        row = {
            "token": name,
            "sample_token": sample,
            "ego_pose_token": token(name, "pose"),
            "calibrated_sensor_token": token(self.scene, "calibration", channel),
            "filename": path,
            "fileformat": "jpg" if form == "jpg" else "pcd",
            "width": size[0],
            "height": size[1],
            "timestamp": stamp,
            "is_key_frame": key,
            "prev": "",
            "next": "",
        }
        if channel in last:
            row["prev"], last[channel]["next"] = last[channel]["token"], name
        last[channel] = row
        self.rows["sample_data"].append(row)
        return path

    def _files(self, moment: Moment, sample: str, last: dict) -> None:
        root = self.layout.root
        for name, frame in moment.frames.items():
            size = (frame.camera.width, frame.camera.height)
            path = self._record(name, frame.time, sample, True, last, "jpg", size)
            write_image(root / path, frame.image, quality=93)
        for name, scan in moment.lidars.items():
            path = self._record(name, scan.time, sample, True, last, "lidar")
            points = np.column_stack([scan.points, scan.intensity * 255, scan.ring]).astype("<f4")
            with atomic_path(root / path) as temporary:
                points.tofile(str(temporary))
        for name, scan in moment.radars.items():
            write_radar(root / self._record(name, scan.time, sample, True, last, "radar"), radar_fields(scan))
        voxels = moment.occupancy
        with atomic_path(root / "gts" / self.scene / sample / "labels.npz") as temporary:
            np.savez_compressed(
                temporary,
                semantics=occ3d_labels(voxels.semantics),
                mask_lidar=voxels.mask_lidar.astype(np.uint8),
                mask_camera=voxels.mask_camera.astype(np.uint8),
            )

    def _radar_sweeps(self, key_time: float, sample: str, last: dict) -> None:
        """Write the radar measurements between the last key frame and this one; they belong to the sample that follows."""
        for sensor in self.rig.radars:
            key = sensor.time(key_time)
            first = sensor.time(key_time - 1 / KEY_RATE)
            count = round((key - first) * sensor.rate_hz)
            for step in range(1, count):
                time = first + step / sensor.rate_hz
                scan = self.world.radar(sensor, time)
                write_radar(
                    self.layout.root / self._record(sensor.name, scan.time, sample, False, last, "radar"),
                    radar_fields(scan),
                )

    def _annotations(self, moment: Moment, time: float, sample: str, tracks: dict[int, list[dict]]) -> None:
        lidar, ego = moment.lidars["LIDAR_TOP"], self.world.ego_pose(time)
        pixels: dict[int, float] = {}
        whole: dict[int, float] = {}
        for frame in moment.frames.values():
            boxes = frame.boxes
            for row in range(len(boxes)):
                key, seen = int(boxes.instance[row]), float(boxes.visible_pixels[row])
                pixels[key] = pixels.get(key, 0.0) + seen
                whole[key] = whole.get(key, 0.0) + seen / max(float(boxes.visibility[row]), 0.01)
        lidar_points = np.bincount(lidar.instance[lidar.instance > 0], minlength=1)
        radar_ids = [scan.instance[scan.instance > 0] for scan in moment.radars.values()]
        radar_points = np.bincount(np.concatenate([np.zeros(0, np.int64), *radar_ids]), minlength=1)
        for item in self.world.scene.objects:
            name = CATEGORIES[item.category].name
            if name not in CATEGORY:
                continue
            pose = item.pose(time).astype(np.float64)
            lidar_count = int(lidar_points[item.id]) if item.id < len(lidar_points) else 0
            radar_count = int(radar_points[item.id]) if item.id < len(radar_points) else 0
            near = np.linalg.norm(pose[:2, 3] - ego[:2, 3]) < MAX_DISTANCE
            if not near or (lidar_count + radar_count == 0 and pixels.get(item.id, 0) < 10):
                continue
            share = pixels.get(item.id, 0.0) / max(whole.get(item.id, 0.0), 1.0)
            length, width, height = item.size
            category = "human.pedestrian.child" if "child" in item.model else CATEGORY[name]
            row = {
                "token": token(sample, item.id),
                "sample_token": sample,
                "instance_token": token(self.scene, "instance", item.id),
                "attribute_tokens": [token("attribute", item.attribute)] if item.attribute in ATTRIBUTES else [],
                "visibility_token": str(int(visibility_level(np.array(share)))),
                "translation": pose[:3, 3].tolist(),
                "size": [float(width), float(length), float(height)],
                "rotation": transforms.quaternion_from_rotation(pose[:3, :3]).tolist(),
                "num_lidar_pts": lidar_count,
                "num_radar_pts": radar_count,
                "prev": "",
                "next": "",
            }
            self.rows["sample_annotation"].append(row)
            tracks.setdefault(item.id, []).append({**{"row": row}, "category": category})

    def _track(self, instance: int, held: list[dict]) -> None:
        rows = [entry["row"] for entry in held]
        for before, after in zip(rows[:-1], rows[1:], strict=True):
            before["next"], after["prev"] = after["token"], before["token"]
        self.rows["instance"].append(
            {
                "token": token(self.scene, "instance", instance),
                "category_token": token("category", held[0]["category"]),
                "nbr_annotations": len(rows),
                "first_annotation_token": rows[0]["token"],
                "last_annotation_token": rows[-1]["token"],
            }
        )


_FIXED["category"].append(
    {"token": token("category", "human.pedestrian.child"), "name": "human.pedestrian.child", "description": ""}
)


def _stamp(time: float) -> int:
    return EPOCH + round(time * 1e6)


def radar_fields(scan: RadarScan) -> dict[str, np.ndarray]:
    """Return a scan as columns of nuScenes' radar files."""
    points, raw, own = scan.points, scan.velocity, scan.velocity_compensated
    n = len(points)
    whole = lambda value: np.full(n, value, np.int8)  # noqa: E731
    # Ghosts and clutter look like detections of lower quality in part of the cases.
    doubtful = (scan.false_alarm_index > 0) & (np.arange(n) % 2 == 0)
    return {
        "x": points[:, 0],
        "y": points[:, 1],
        "z": points[:, 2],
        "dyn_prop": scan.dyn_prop,
        "id": np.arange(n, dtype=np.int16),
        "rcs": scan.rcs,
        "vx": raw[:, 0],
        "vy": raw[:, 1],
        "vx_comp": own[:, 0],
        "vy_comp": own[:, 1],
        "is_quality_valid": whole(1),
        "ambig_state": whole(3),
        "x_rms": whole(19),
        "y_rms": whole(19),
        "invalid_state": np.where(doubtful, 4, 0).astype(np.int8),
        "pdh0": np.where(doubtful, 3, 1).astype(np.int8),
        "vx_rms": whole(16),
        "vy_rms": whole(3),
    }
