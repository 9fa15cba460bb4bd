"""Layout ``folder``: one sub-folder a kind of file, one stem a picture.

    SPLIT/{image,depth,normals,semantic,instance}/STEM.png     SPLIT/frames/STEM.json     classes.json

depth: 16 bit, scale recorded in the file (`perception.io.read_depth_png`), 0 = none. normals: ``128 + 127 n`` in R, G, B = x, y, z of the camera frame
(x right, y down, z forward), 0 = none. semantic: ids of classes.json. frames: intrinsics, pose, boxes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from perception.datasets.world.classes import CATEGORIES, WORLD_VERSION
from perception.datasets.world.export.layout import Layout
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Frame
from perception.io import atomic_write, write_depth_png, write_ids, write_image


class FolderLayout(Layout):
    """See the module."""

    name, kind, default_size = "folder", "mixed", (480, 640)

    def write(self, world: World, number: int, split: str) -> dict:
        """Write the pictures of one world."""
        stems = []
        for view, place in enumerate(world.views(self.views, self.size)):
            frame = world.render_view(place)
            stem = f"{world.kind}_{world.seed:07d}_{view:02d}"
            folder = self.root / split
            write_image(folder / "image" / f"{stem}.png", frame.image)
            write_depth_png(folder / "depth" / f"{stem}.png", frame.depth, frame.valid)
            write_image(folder / "normals" / f"{stem}.png", normal_picture(frame.normals, frame.valid))
            write_ids(folder / "semantic" / f"{stem}.png", frame.semantic)
            write_ids(folder / "instance" / f"{stem}.png", frame.instance)
            write_json(folder / "frames" / f"{stem}.json", describe(frame))
            stems.append(stem)
        return {"split": split, "stems": stems}

    def finish(self, records: list[dict]) -> None:
        """Write the list of each split and the classes."""
        for split in ("train", "val"):
            stems = [stem for record in records if record["split"] == split for stem in record["stems"]]
            if stems:
                write_text(self.root / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
        table = [{"id": c.id, "name": c.name, "thing": c.thing, "group": c.group} for c in CATEGORIES]
        write_json(self.root / "classes.json", {"world_version": WORLD_VERSION, "ignore": 255, "classes": table})


def normal_picture(normals: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8: ``128 + 127 n``, 0 where there is no surface."""
    coded = np.rint(128 + 127 * np.clip(normals, -1, 1)).astype(np.uint8)
    coded[~valid] = 0
    return coded


def describe(frame: Frame) -> dict:
    """Return a frame's camera, pose and boxes as plain values (metres, radians, pixels; pixel centres at integer + 0.5)."""
    boxes = frame.boxes
    objects = [
        {
            "category": CATEGORIES[int(boxes.category[row])].name,
            "instance": int(boxes.instance[row]),
            "box3d": [round(float(v), 4) for v in boxes.boxes3d[row]],
            "box2d": None if np.isnan(boxes.box2d[row]).any() else [float(v) for v in boxes.box2d[row]],
            "box2d_full": None
            if np.isnan(boxes.box2d_full[row]).any()
            else [round(float(v), 2) for v in boxes.box2d_full[row]],
            "truncation": round(float(boxes.truncation[row]), 3),
            "visibility": round(float(boxes.visibility[row]), 3),
            "velocity": [round(float(v), 4) for v in boxes.velocity[row]],
            "attribute": boxes.attribute[row],
        }
        for row in range(len(boxes) if boxes is not None else 0)
    ]
    return {
        **frame.meta,
        "camera": frame.camera.to_dict(),
        "world_from_camera": np.round(frame.world_from_camera, 9).tolist(),
        "objects": objects,
    }


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1) + "\n")
