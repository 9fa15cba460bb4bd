"""Layout ``nyuv2``: NYU Depth v2 as its readers know it, in both common forms.

    official_splits/{train,test}/SCENE/rgb_NNNNN.jpg, sync_depth_NNNNN.png    depth: 16 bit, millimetres, 0 = none
    nyudepthv2_{train,test}_files_with_gt.txt                                 lines "SCENE/rgb... SCENE/sync_depth... focal"
    nyu_depth_v2_labeled.mat, splits.mat                                      the labelled file (HDF5, MATLAB axis order), 1-based splits

The .mat files need h5py and are left out without it. Labels are this world's semantic ids + 1 (0 = unlabelled), named in ``names``. The
camera is the toolbox's, scaled to the picture size.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from perception.datasets.world.classes import NAMES
from perception.datasets.world.export.folder import write_json, write_text
from perception.datasets.world.export.layout import Layout
from perception.datasets.world.render import World
from perception.geometry.cameras import Pinhole
from perception.io import atomic_path, write_depth_png, write_image

# The toolbox's colour camera (1-based pixel centres, so minus 0.5 to put them at integer + 0.5).
FOCAL = (518.857901, 519.469611)
CENTRE = (325.582449 - 0.5, 253.736166 - 0.5)


class NYUv2Layout(Layout):
    """See the module."""

    name, kind, kinds, default_size = "nyuv2", "room", ("room",), (480, 640)

    @property
    def camera(self) -> Pinhole:
        """The toolbox's camera at this picture size."""
        height, width = self.size
        sx, sy = width / 640, height / 480
        return Pinhole(FOCAL[0] * sx, FOCAL[1] * sy, CENTRE[0] * sx, CENTRE[1] * sy, width, height)

    def write(self, world: World, number: int, split: str) -> dict:
        """Write the pictures of one room, and their labels beside them until `finish` collects them."""
        part = "test" if split == "val" else "train"
        scene = f"{world.scene.info.get('room', 'room')}_{world.seed:07d}"
        folder = self.root / "official_splits" / part / scene
        stems = []
        for view, place in enumerate(world.views(self.views, self.size, camera=self.camera)):
            frame = world.render_view(place)
            stem = f"{number * self.views + view:05d}"
            write_image(folder / f"rgb_{stem}.jpg", frame.image, quality=95)
            write_depth_png(folder / f"sync_depth_{stem}.png", np.minimum(frame.depth, 65.5), frame.valid, scale=1000.0)
            if _has_h5py():
                labels = np.where(frame.valid, frame.semantic.astype(np.int64) + 1, 0).astype(np.uint16)
                # NYU numbers the instances of each class from 1 within a picture.
                with atomic_path(self._part(stem)) as path:
                    np.savez(
                        path,
                        image=frame.image,
                        depth=frame.depth,
                        labels=labels,
                        instances=_numbered(frame.instance, labels),
                    )
            stems.append(stem)
        return {"split": part, "scene": scene, "stems": stems}

    def finish(self, records: list[dict]) -> None:
        """Write the lists and the labelled file."""
        for part in ("train", "test"):
            lines = [
                f"{r['scene']}/rgb_{stem}.jpg {r['scene']}/sync_depth_{stem}.png {self.camera.fx:.4f}\n"
                for r in records
                if r["split"] == part
                for stem in r["stems"]
            ]
            if lines:
                write_text(self.root / f"nyudepthv2_{part}_files_with_gt.txt", "".join(lines))
        write_json(self.root / "intrinsics.json", self.camera.to_dict())
        if _has_h5py():
            self._write_labelled(records)
            for record in records:
                for stem in record["stems"]:
                    self._part(stem).unlink()
            (self.root / ".parts").rmdir()

    def _part(self, stem: str):
        folder = self.root / ".parts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{stem}.npz"

    def _write_labelled(self, records: list[dict]) -> None:
        import h5py
        from scipy.io import savemat

        stems = [(record, stem) for record in records for stem in record["stems"]]
        height, width = self.size
        with atomic_path(self.root / "nyu_depth_v2_labeled.mat") as path, h5py.File(path, "w") as file:
            n = len(stems)
            # MATLAB stores columns first: h5py sees every shape reversed.
            images = file.create_dataset("images", (n, 3, width, height), np.uint8)
            depths = file.create_dataset("depths", (n, width, height), np.float32)
            raw = file.create_dataset("rawDepths", (n, width, height), np.float32)
            labels = file.create_dataset("labels", (n, width, height), np.uint16)
            instances = file.create_dataset("instances", (n, width, height), np.uint8)
            for row, (_, stem) in enumerate(stems):
                with np.load(self._part(stem)) as part:
                    images[row] = part["image"].transpose(2, 1, 0)
                    depths[row], raw[row] = part["depth"].T, part["depth"].T
                    labels[row], instances[row] = part["labels"].T, part["instances"].T
            _write_cell(file, "names", list(NAMES))
            _write_cell(file, "scenes", [record["scene"] for record, _ in stems])
            _write_cell(file, "sceneTypes", [record["scene"].rsplit("_", 1)[0] for record, _ in stems])
        index = {
            part: [row + 1 for row, (r, _) in enumerate(stems) if r["split"] == part] for part in ("train", "test")
        }
        with atomic_path(self.root / "splits.mat") as path, open(path, "wb") as file:
            columns = {f"{p}Ndxs": np.array(rows, np.float64).reshape(-1, 1) for p, rows in index.items()}
            savemat(file, columns)


def _has_h5py() -> bool:
    return importlib.util.find_spec("h5py") is not None


def _numbered(instance: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8: 1, 2, ... for the instances of each class of one picture, 0 = none."""
    result = np.zeros(instance.shape, np.uint8)
    pairs = labels.astype(np.int64) * (1 << 32) + instance
    values, inverse = np.unique(pairs, return_inverse=True)
    count: dict[int, int] = {}
    numbers = np.zeros(len(values), np.uint8)
    for row, value in enumerate(values):
        label, which = int(value) >> 32, int(value) & 0xFFFFFFFF
        if label and which:
            count[label] = count.get(label, 0) + 1
            numbers[row] = min(count[label], 255)
    result[:] = numbers[inverse.reshape(instance.shape)]
    return result


def _write_cell(file, name: str, texts: list[str]) -> None:
    """Write a MATLAB cell array of strings (N x 1): references to uint16 character arrays."""
    import h5py

    references = file.create_dataset(name, (1, len(texts)), dtype=h5py.ref_dtype)
    references.attrs["MATLAB_class"] = np.bytes_("cell")
    group = file.require_group("#refs#")
    for row, text in enumerate(texts):
        key = f"{name}_{row}"
        group[key] = np.array([ord(c) for c in text], np.uint16).reshape(-1, 1)
        group[key].attrs["MATLAB_class"] = np.bytes_("char")
        references[0, row] = group[key].ref
