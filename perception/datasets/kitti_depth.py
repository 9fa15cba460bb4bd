"""KITTI raw recordings and the depth benchmark of 2017.

    raw_root/DATE/DRIVE_sync/{image_02,image_03}/data/%010d.png, velodyne_points/data/%010d.bin;  raw_root/DATE/calib_cam_to_cam.txt ...
    depth_root/{train,val}/DRIVE_sync/proj_depth/groundtruth/image_0{2,3}/%010d.png            16 bit, metres * 256, 0 unknown
    depth_root/val_selection_cropped/{image,groundtruth_depth,intrinsics}/...                 1000 frames of 1216x352
    ROOT/image_02/*.png with ROOT/groundtruth/image_02/*.png and ROOT/intrinsics.json          a handful of frames of one camera

Depth is z of the camera. The first and last five frames of a drive have no ground truth; raw drives have gaps in the LiDAR.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import (
    Entry,
    FileDataset,
    depth_tensors,
    existing_folder,
    image_tensor,
    matrix_tensor,
    read_depth_png,
    read_lines,
    read_rgb,
)
from perception.datasets.kitti import project_depth
from perception.datasets.registry import register_dataset
from perception.datasets.resize import resize_sample
from perception.errors import DatasetError
from perception.io.kitti import read_calibration
from perception.io.text import read_text

UNITS_PER_METRE = 256.0


def raw_calibration(date_folder: Path, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """(3, 3) intrinsics (centres at integer + 0.5) and (4, 4) camera-from-LiDAR of a recording day. Raises `DatasetError`."""
    cameras = read_calibration(date_folder / "calib_cam_to_cam.txt").matrices
    key = f"P_rect_{camera:02d}"
    if key not in cameras or "R_rect_00" not in cameras:
        raise DatasetError(f"{str(date_folder / 'calib_cam_to_cam.txt')!r} has no {key} or R_rect_00")
    projection = cameras[key]
    intrinsics = projection[:, :3].copy()
    intrinsics[:2, 2] += 0.5
    matrix = np.eye(4)
    matrix[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    rectify, velodyne = np.eye(4), np.eye(4)
    rectify[:3, :3] = cameras["R_rect_00"]  # of camera 0 for every camera: P_rect carries the offset
    path = date_folder / "calib_velo_to_cam.txt"
    if path.exists():
        lidar = read_calibration(path).matrices
        velodyne[:3, :3], velodyne[:3, 3] = lidar["R"], lidar["T"]
    return intrinsics, matrix @ rectify @ velodyne


@register_dataset
class KittiRaw(FileDataset):
    """Raw drives with LiDAR depth.

    root     raw_root above;  drives  None (all) or names like "2011_09_26/2011_09_26_drive_0001_sync";  cameras  2 and / or 3
    velodyne leave out frames without a sweep and add sparse ``depth``;  frames  None, or a list file of lines "DATE/DRIVE frame l|r"
    offsets  frames before and after, such as (-1, 1): adds ``neighbours`` (T, 3, H, W); frames at the ends of a drive are left out
    stereo   adds the other colour camera: ``stereo_image`` (3, H, W) and ``stereo_from_camera`` (4, 4)
    """

    def __init__(
        self,
        root: str | Path,
        drives: Sequence[str] | None = None,
        cameras: Sequence[int] = (2,),
        velodyne: bool = True,
        frames: str | Path | None = None,
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
        offsets: Sequence[int] = (),
        stereo: bool = False,
    ) -> None:
        root = existing_folder(root, "KITTI raw data")
        if 0 in offsets:
            raise DatasetError(f"KITTI raw data: offsets are frames other than 0; found {list(offsets)}")
        self.calibrations: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        entries: list[Entry] = []
        if frames is not None:
            for drive, number, camera in read_frame_list(frames):
                entries.append(self._entry(root, drive, number, camera, velodyne))
        else:
            found = sorted(p for p in root.glob("*/*_sync") if p.is_dir())
            folders = [existing_folder(root, "KITTI raw data", d) for d in drives] if drives else found
            for folder in folders:
                for camera in cameras:
                    for path in sorted((folder / f"image_{camera:02d}" / "data").glob("*.*")):
                        drive = folder.relative_to(root).as_posix()
                        entry = self._entry(root, drive, int(path.stem), camera, velodyne)
                        if not velodyne or entry["velodyne"].exists():
                            entries.append({**entry, "image": path})
        for entry in entries if offsets or stereo else ():
            drive, number, camera = entry["drive"], entry["number"], entry["camera"]
            entry["others"] = [raw_image(root, drive, number + step, camera) for step in offsets]
            if stereo:
                entry["stereo"] = raw_image(root, drive, number, 5 - camera)
        whole = [entry for entry in entries if all(path.exists() for path in entry.get("others", ()))]
        if entries and not whole:
            raise DatasetError(
                f"KITTI raw data: none of {len(entries)} frames under {str(root)!r} has its neighbours {list(offsets)}"
            )
        super().__init__(whole, root, missing, size, fit)

    @staticmethod
    def _entry(root: Path, drive: str, number: int, camera: int, velodyne: bool) -> Entry:
        entry: Entry = {"image": raw_image(root, drive, number, camera), "camera": camera, "date": drive.split("/")[0]}
        entry |= {"drive": drive, "number": number}
        if velodyne:
            entry["velodyne"] = root / drive / "velodyne_points" / "data" / f"{number:010d}.bin"
        return entry

    def layout(self) -> str:
        return "expected DATE/DRIVE_sync/image_02/data/*.png with DATE/calib_cam_to_cam.txt"

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb = read_rgb(entry["image"])
        intrinsics, camera_from_lidar = self._calibration(entry["date"], entry["camera"])
        sample: dict[str, Any] = {"image": image_tensor(rgb), "intrinsics": torch.from_numpy(intrinsics).float()}
        if "velodyne" in entry:
            try:
                points = np.fromfile(str(entry["velodyne"]), "<f4").reshape(-1, 4)[:, :3].astype(np.float64)
            except (OSError, ValueError) as error:
                raise DatasetError(f"{str(entry['velodyne'])!r} is not a LiDAR sweep: {error}") from error
            points = points @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3]
            sample |= project_depth(points, intrinsics, rgb.shape[:2])
        if entry.get("others"):
            sample["neighbours"] = torch.stack([self._picture(path, rgb.shape) for path in entry["others"]])
        if "stereo" in entry:
            sample["stereo_image"] = self._picture(entry["stereo"], rgb.shape)
            _, other_from_lidar = self._calibration(entry["date"], 5 - entry["camera"])
            sample["stereo_from_camera"] = torch.from_numpy(other_from_lidar @ np.linalg.inv(camera_from_lidar)).float()
        return sample

    def _calibration(self, date: str, camera: int) -> tuple[np.ndarray, np.ndarray]:
        if (date, camera) not in self.calibrations:
            self.calibrations[date, camera] = raw_calibration(self.root / date, camera)
        return self.calibrations[date, camera]

    def _picture(self, path: Path, shape: tuple[int, ...]) -> torch.Tensor:
        """A further picture of a sample, at the sample's final size. Raises `DatasetError` when it does not fit the first one."""
        rgb = read_rgb(path)
        if rgb.shape != shape:
            raise DatasetError(f"{str(path)!r} has the shape {rgb.shape}, its sample's picture {tuple(shape)}")
        other = {"image": image_tensor(rgb), "meta": {}}
        return (other if self.size is None else resize_sample(other, self.size, self.fit))["image"]


def raw_image(root: Path, drive: str, number: int, camera: int) -> Path:
    """Path of a raw picture (.png, or .jpg where only that is there)."""
    png = root / drive / f"image_{camera:02d}" / "data" / f"{number:010d}.png"
    return png if png.exists() or not png.with_suffix(".jpg").exists() else png.with_suffix(".jpg")


def read_frame_list(path: str | Path) -> list[tuple[str, int, int]]:
    """Lines "DATE/DRIVE frame l|r" -> (drive, frame, camera 2 | 3). Raises `DatasetError`."""
    found = []
    for line in read_lines(path, "KITTI"):
        words = line.split()
        if len(words) != 3 or words[2] not in ("l", "r") or not words[1].isdigit():
            raise DatasetError(f"{str(path)!r}: a line must read 'DATE/DRIVE frame l|r'; found {line!r}")
        found.append((words[0], int(words[1]), 2 if words[2] == "l" else 3))
    return found


@register_dataset
class KittiDepth(FileDataset):
    """Pictures with the benchmark's semi-dense depth.

    root      depth_root above, or one of the small layouts;  raw_root  the raw data (None: beside the pictures of a small layout)
    split     "train", "val", "val_selection_cropped", or a list file: "DATE/DRIVE frame l|r" or "image depth focal" (depth "None" is left out)
    cameras   2 and / or 3, for "train" and "val";  missing, size, fit   see `FileDataset`
    """

    def __init__(
        self,
        root: str | Path,
        split: str | Path = "train",
        raw_root: str | Path | None = None,
        cameras: Sequence[int] = (2, 3),
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "KITTI depth")
        self.raw_root = Path(raw_root).expanduser() if raw_root else root
        self.cache: dict[Any, np.ndarray] = {}
        if (root / "groundtruth").is_dir():
            entries = self._plain(root)
        elif split == "val_selection_cropped":
            entries = self._selection(root)
        elif str(split) in ("train", "val"):
            folder = existing_folder(root, "KITTI depth", str(split))
            entries = [
                self._benchmark(folder, drive.name, int(path.stem), camera)
                for drive in sorted(p for p in folder.iterdir() if p.is_dir())
                for camera in cameras
                for path in sorted((drive / "proj_depth" / "groundtruth" / f"image_{camera:02d}").glob("*.png"))
            ]
        else:
            entries = self._listed(root, Path(split))
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected train/DRIVE_sync/proj_depth/groundtruth/image_02/*.png, and the raw pictures under raw_root"

    def _benchmark(self, folder: Path, drive: str, number: int, camera: int) -> Entry:
        date = drive[:10]
        return {
            "image": raw_image(self.raw_root, f"{date}/{drive}", number, camera),
            "depth": folder / drive / "proj_depth" / "groundtruth" / f"image_{camera:02d}" / f"{number:010d}.png",
            "calibration": self.raw_root / date / "calib_cam_to_cam.txt",
            "camera": camera,
        }

    def _listed(self, root: Path, listing: Path) -> list[Entry]:
        lines = [line.split() for line in read_lines(listing, "KITTI depth")]
        if lines and lines[0][-1] in ("l", "r"):
            found = []
            for drive, number, camera in read_frame_list(listing):
                name = drive.split("/")[-1]
                sides = [self._benchmark(root / part, name, number, camera) for part in ("train", "val")]
                found.append(next((side for side in sides if side["depth"].exists()), sides[0]))
            return found
        entries = []
        for words in lines:
            if len(words) < 2:
                raise DatasetError(f"{str(listing)!r}: a line must read 'image depth focal'; found {' '.join(words)!r}")
            if words[1] == "None":
                continue
            image = self.raw_root / words[0].lstrip("/")
            date = Path(words[0].lstrip("/")).parts[0]
            camera = 3 if "image_03" in words[0] else 2
            depth = next(
                (root / p / words[1] for p in ("", "train", "val") if (root / p / words[1]).exists()), root / words[1]
            )
            entries.append(
                {
                    "image": image,
                    "depth": depth,
                    "calibration": self.raw_root / date / "calib_cam_to_cam.txt",
                    "camera": camera,
                }
            )
        return entries

    def _selection(self, root: Path) -> list[Entry]:
        folder = existing_folder(root, "KITTI depth", "val_selection_cropped", "depth_selection/val_selection_cropped")
        return [
            {
                "image": path,
                "depth": folder / "groundtruth_depth" / path.name.replace("_image_", "_groundtruth_depth_", 1),
                "intrinsics": folder / "intrinsics" / f"{path.stem}.txt",
            }
            for path in sorted((folder / "image").glob("*.png"))
        ]

    @staticmethod
    def _plain(root: Path) -> list[Entry]:
        return [
            {
                "image": root / path.relative_to(root / "groundtruth"),
                "depth": path,
                "intrinsics": root / "intrinsics.json",
            }
            for path in sorted((root / "groundtruth").rglob("*.png"))
        ]

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb, depth = read_rgb(entry["image"]), read_depth_png(entry["depth"], UNITS_PER_METRE)
        if depth.shape != rgb.shape[:2]:
            raise DatasetError(
                f"{str(entry['depth'])!r}: depth of shape {depth.shape} belongs to a picture of {rgb.shape[:2]}"
            )
        return {"image": image_tensor(rgb), "intrinsics": self._intrinsics(entry), **depth_tensors(depth)}

    def _intrinsics(self, entry: Entry) -> torch.Tensor:
        if "calibration" in entry:
            key = (str(entry["calibration"]), entry["camera"])
            if key not in self.cache:
                self.cache[key] = raw_calibration(entry["calibration"].parent, entry["camera"])[0]
            return torch.from_numpy(self.cache[key]).float()
        path = entry["intrinsics"]
        try:
            if path.suffix == ".json":
                held = json.loads(read_text(path))
                fx, fy, cx, cy = (float(held[name]) for name in ("fx", "fy", "cx", "cy"))
            else:
                fx, _, cx, _, fy, cy = (float(v) for v in read_text(path).split()[:6])
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{str(path)!r} holds no intrinsics: {error}") from error
        return matrix_tensor(fx, fy, cx + 0.5, cy + 0.5)
