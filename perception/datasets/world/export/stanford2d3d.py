"""Layout ``stanford2d3d``: equirectangular pictures of Stanford 2D-3D-S.

    area_A/pano/{rgb,depth,normal,semantic,pose}/camera_UUID_ROOM_N_frame_equirectangular_domain_TYPE.png (pose: .json)
    assets/semantic_labels.json

depth: 16 bit, Euclidean range * 512, 65535 = missing. normal: ``127.5 + 127.5 n`` in the global frame, #808080 missing. semantic: 24-bit index
R * 65536 + G * 256 + B into semantic_labels.json, #0D0D0D missing. Training rooms go to areas 1, 2, 3, 4, 6 and test rooms to area 5a, so that
"fold 1" works.
"""

from __future__ import annotations

import uuid

import numpy as np

from perception.datasets.world.classes import NAMES
from perception.datasets.world.export.folder import write_json
from perception.datasets.world.export.layout import Layout
from perception.datasets.world.render import World
from perception.geometry import transforms
from perception.geometry.cameras import Equirectangular
from perception.io import write_image

_TRAIN_AREAS = ("1", "2", "3", "4", "6")
MISSING_ID = 0x0D0D0D


class Stanford2D3DLayout(Layout):
    """See the module."""

    name, kind, kinds, default_size = "stanford2d3d", "room", ("room",), (512, 1024)

    def write(self, world: World, number: int, split: str) -> dict:
        """Write the panoramas of one room."""
        height, width = self.size
        area = "5a" if split == "val" else _TRAIN_AREAS[number % len(_TRAIN_AREAS)]
        room = f"{world.scene.info.get('room', 'room')}_{world.seed}"
        folder = self.root / f"area_{area}" / "pano"
        camera = Equirectangular(width, height)
        for view, place in enumerate(world.views(self.views, self.size, camera=camera)):
            # Panoramas are taken upright: the heading stays, tilt and roll do not.
            pose = place.world_from_camera.copy()
            pose[:3, :3] = _upright(pose[:3, :3])
            frame = world.render(camera, 0.0, ("depth", "normals", "semantic", "instance"), pose)
            name = uuid.UUID(int=(world.seed << 32) + (view << 8) + 5).hex
            stem = f"camera_{name}_{room}_frame_equirectangular_domain_"
            write_image(folder / "rgb" / f"{stem}rgb.png", frame.image)
            stored = np.where(frame.valid, np.clip(np.rint(frame.depth * 512), 1, 65534), 65535).astype(np.uint16)
            write_image(folder / "depth" / f"{stem}depth.png", stored)
            normals = frame.normals @ pose[:3, :3].T.astype(np.float32)
            coded = np.rint(127.5 + 127.5 * np.clip(normals, -1, 1)).astype(np.uint8)
            coded[~frame.valid] = 0x80
            write_image(folder / "normal" / f"{stem}normals.png", coded)
            write_image(
                folder / "semantic" / f"{stem}semantic.png", _label_picture(frame.semantic, frame.instance, frame.valid)
            )
            rt = transforms.inverse(pose)[:3]
            write_json(
                folder / "pose" / f"{stem}pose.json",
                {
                    "camera_uuid": name,
                    "room": room,
                    "frame_num": view,
                    "camera_location": pose[:3, 3].tolist(),
                    "camera_rt_matrix": rt.tolist(),
                    "image_size": [height, width],
                },
            )
        return {"room": room, "seed": world.seed}

    def finish(self, records: list[dict]) -> None:
        """Write the label table: ``class_instance_room_area`` names as the original has them."""
        write_json(self.root / "assets" / "semantic_labels.json", label_names())


def label_names() -> list[str]:
    """Return the label of every index: index = class * 256 + instance modulo 256, named ``class_instance_world_0``."""
    return [f"{name}_{instance}_world_0" for name in NAMES for instance in range(256)]


def _label_picture(semantic: np.ndarray, instance: np.ndarray, valid: np.ndarray) -> np.ndarray:
    index = semantic.astype(np.int64) * 256 + instance % 256
    index[~valid] = MISSING_ID
    return np.stack([index >> 16 & 255, index >> 8 & 255, index & 255], -1).astype(np.uint8)


def _upright(rotation: np.ndarray) -> np.ndarray:
    """Return the rotation with the same heading whose y axis points straight down."""
    ahead = rotation[:, 2] * [1, 1, 0]
    ahead = ahead / max(np.linalg.norm(ahead), 1e-9)
    down = np.array([0.0, 0.0, -1.0])
    return np.column_stack([np.cross(down, ahead), down, ahead])
