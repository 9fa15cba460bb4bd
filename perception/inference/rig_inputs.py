"""`Rig`s from what people have: a nuScenes sample token, the procedural world, a data set's sample, a JSON file beside a folder of pictures.

The JSON file:

    {"cameras": [{"image": "front.jpg", "name": "CAM_FRONT", "intrinsics": [[f, 0, cx], [0, f, cy], [0, 0, 1]], "ego_from_camera": [[...4x4...]]}, ...],
     "radars":  [{"name": "RADAR_FRONT", "ego_from_radar": [[...4x4...]], "points": [[x, y, z], ...], "velocity": [[vx, vy], ...], "rcs": [...]}, ...],
     "global_from_ego": [[...4x4...]], "time": 12.5, "scene": "drive 3"}

Only ``cameras`` is needed. Instead of ``intrinsics`` a camera may have ``fov`` (horizontal, degrees); instead of ``points`` a radar may have ``file``, a nuScenes
``.pcd`` sweep; ``sweep`` (0 = the newest) and ``lag`` (seconds) say how old a radar's points are. Intrinsics have pixel centres at integer + 0.5, or at integers
where the file says ``"integer_centres": true``. Paths are relative to the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Pinhole
from perception.geometry.rig import Rig, RigCamera, checked_pose, radar_points
from perception.io.text import read_text


def rig_from_sample(sample: Mapping[str, Any]) -> Rig:
    """A sample of `NuScenes` or `WorldRig` (or of any data set with that layout)."""
    from perception.evaluation.base import to_numpy

    meta = sample.get("meta", {})
    images = [to_numpy(image).transpose(1, 2, 0) for image in sample["images"]]
    names = meta.get("cameras") or [f"camera {i}" for i in range(len(images))]
    points = sample.get("radar_points")
    return Rig.from_arrays(
        images,
        to_numpy(sample["intrinsics"]),
        [orthonormal(pose) for pose in to_numpy(sample["ego_from_camera"])],
        names,
        radar_points=None if points is None else to_numpy(points),
        global_from_ego=None if sample.get("global_from_ego") is None else orthonormal(sample["global_from_ego"]),
        time=None if meta.get("timestamp") is None else float(meta["timestamp"]) * 1e-6,
        scene=str(meta.get("scene", "")),
        name=str(meta.get("name", "")),
    )


def rig_from_nuscenes(root: str | Path, token: str, version: str = "v1.0-mini", **options: Any) -> Rig:
    """The key frame with the sample token `token`; `options` are those of `perception.datasets.nuscenes.NuScenes`.

    Raises `InputError` for a token that is not in the tables.
    """
    from perception.datasets.nuscenes import NuScenes

    dataset = NuScenes(root, version, **{"split": "all", **options})
    if token not in dataset.tokens:
        raise InputError(f"the nuScenes tables {version} in {root} have no sample with the token {token!r}")
    return rig_from_sample(dataset[dataset.tokens.index(token)])


def rig_from_world(seed: int = 0, frame: int = 0, size: tuple[int, int] = (256, 704), **options: Any) -> Rig:
    """Frame number `frame` (0.5 s apart) of the world's street with this seed; `options` are those of `WorldRig`."""
    from perception.datasets.world_rig import WorldRig

    dataset = WorldRig(seeds=(seed, seed), frames=frame + 1, size=size, depth=False, **options)
    return rig_from_sample(dataset[frame])


def rig_from_json(path: str | Path, max_pixels: int | None = None) -> Rig:
    """Read the file described above; `max_pixels`: refuse larger pictures. Raises `InputError` that names the file and what is wrong with it."""
    path = Path(path)
    if path.is_dir():
        path = path / "rig.json"
    try:
        values = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the rig {str(path)!r} cannot be read: {error}") from None
    try:
        return _rig(path, values, max_pixels)
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"the rig {path.name!r} holds a value of the wrong kind: {error}") from None


def rig_to_json(rig: Rig, folder: str | Path, name: str = "rig", suffix: str = ".png") -> Path:
    """Write a rig as ``<name>.json`` beside its pictures, for `rig_from_json`; return the path of the JSON file. suffix: kind of the pictures."""
    from perception.io import atomic_write, write_image

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cameras, radars = [], []
    for number, camera in enumerate(rig.cameras):
        picture = write_image(folder / f"{name}_{number}{suffix}", camera.image)
        cameras.append(
            {
                "image": picture.name,
                "name": camera.name or f"camera {number}",
                "intrinsics": camera.camera.matrix.tolist(),
                "ego_from_camera": camera.ego_from_camera.tolist(),
            }
        )
    points = rig.radar_points
    if points is not None and not len(points):
        radars.append({"points": []})  # a radar that sees nothing is no missing radar
    for sweep, lag in [] if points is None else np.unique(points[:, 6:], axis=0):
        own = points[(points[:, 6:] == (sweep, lag)).all(1)].astype(float).round(4)
        radars.append(
            {
                "points": own[:, :3].tolist(),
                "rcs": own[:, 3].tolist(),
                "velocity": own[:, 4:6].tolist(),
                "sweep": int(sweep),
                "lag": float(lag),
            }
        )
    values: dict[str, Any] = {"cameras": cameras, "radars": radars, "scene": rig.scene}
    if rig.global_from_ego is not None:
        values["global_from_ego"] = np.asarray(rig.global_from_ego).tolist()
    if rig.time is not None:
        values["time"] = float(rig.time)
    with atomic_write(folder / f"{name}.json") as file:
        file.write(json.dumps(values).encode())
    return folder / f"{name}.json"


def _rig(path: Path, values: Any, max_pixels: int | None) -> Rig:
    if not isinstance(values, dict) or not isinstance(values.get("cameras"), list) or not values["cameras"]:
        raise InputError(f"the rig {str(path)!r} needs a list 'cameras' with at least one camera")
    if not isinstance(values.get("radars") or [], list):
        raise InputError(f"'radars' of the rig {str(path)!r} must be a list; found {values['radars']!r}")
    cameras = [_json_camera(path, i, entry, max_pixels) for i, entry in enumerate(values["cameras"])]
    clouds = [_json_radar(path, i, entry) for i, entry in enumerate(values.get("radars") or [])]
    pose, time = values.get("global_from_ego"), values.get("time")
    seconds = None if time is None else _number(time, f"time of {path.name}")
    if seconds is not None and (isinstance(time, bool) or not math.isfinite(seconds)):
        raise InputError(f"the time of {path.name} must be a number of seconds; found {time!r}")
    return Rig(
        cameras,
        radar_points=np.concatenate(clouds) if clouds else None,
        global_from_ego=None if pose is None else checked_pose(pose, f"global_from_ego of {path.name}"),
        time=seconds,
        scene=str(values.get("scene", "")),
        name=path.stem if path.stem != "rig" else path.parent.name,
    )


def _json_camera(path: Path, number: int, entry: Any, max_pixels: int | None) -> RigCamera:
    from perception.io.images import MAX_PIXELS, load_image

    what = f"camera {number} of {path.name}"
    if not isinstance(entry, dict) or "image" not in entry or "ego_from_camera" not in entry:
        raise InputError(f"{what} needs 'image' and 'ego_from_camera', and 'intrinsics' or 'fov'")
    picture = load_image(path.parent / str(entry["image"]), max_pixels=max_pixels or MAX_PIXELS).pixels
    height, width = picture.shape[:2]
    if entry.get("intrinsics") is not None:
        camera = Pinhole.from_matrix(
            _numbers(entry["intrinsics"], f"intrinsics of {what}"),
            width,
            height,
            integer_centres=bool(entry.get("integer_centres", False)),
            source="file",
        )
    elif entry.get("fov") is not None:
        camera = Pinhole.from_fov(
            width=width, height=height, horizontal_degrees=_number(entry["fov"], f"fov of {what}")
        )
    else:
        raise InputError(f"{what} needs 'intrinsics' (3x3) or 'fov' (horizontal, degrees)")
    pose = checked_pose(entry["ego_from_camera"], f"ego_from_camera of {what}")
    return RigCamera(picture, camera, pose, str(entry.get("name", f"camera {number}")))


def _json_radar(path: Path, number: int, entry: Any) -> np.ndarray:
    what = f"radar {number} of {path.name}"
    if not isinstance(entry, dict) or ("points" not in entry and "file" not in entry):
        raise InputError(f"{what} needs 'points' or 'file'")
    pose = entry.get("ego_from_radar")
    if "file" in entry:
        from perception.io.radar import NAMES, read_radar

        raw = read_radar(path.parent / str(entry["file"]), entry.get("filter", "devkit"))
        column = {name: raw[:, i] for i, name in enumerate(NAMES)}
        xyz = np.stack([column["x"], column["y"], column["z"]], 1)
        velocity, rcs = np.stack([column["vx_comp"], column["vy_comp"]], 1), column["rcs"]
    else:
        xyz = _numbers(entry["points"], f"points of {what}")
        xyz = xyz.reshape(-1, 3) if not xyz.size else xyz
        velocity, rcs = (
            None if entry.get(name) is None else _numbers(entry[name], f"{name} of {what}")
            for name in ("velocity", "rcs")
        )
        velocity = velocity if velocity is None or velocity.size else velocity.reshape(-1, 2)
    sweep, lag = (_number(entry.get(name, 0), f"{name} of {what}") for name in ("sweep", "lag"))
    try:
        return radar_points(xyz, velocity, rcs, pose, int(sweep), lag)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def _number(value: Any, what: str) -> float:
    return float(_numbers(value, what, ()))


def _numbers(value: Any, what: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must hold numbers; found {str(value)[:60]!r}") from None
    if shape is not None and found.shape != shape:
        raise InputError(f"{what} must be {'x'.join(map(str, shape)) or 'one number'}; found the shape {found.shape}")
    return found


def orthonormal(pose: Any) -> np.ndarray:
    """A pose in float32 as an exactly rigid one in float64."""
    from perception.evaluation.base import to_numpy

    matrix = np.array(to_numpy(pose), np.float64)
    u, _, v = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = u @ v
    return matrix
