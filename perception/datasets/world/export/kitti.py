"""Layout ``kitti``: the object detection benchmark (training/{image_2,image_3,calib,label_2,velodyne}, ImageSets).

The rig is `rigs.kitti_rig`: two colour cameras and a 64-beam LiDAR. Boxes are written in the rectified frame of camera 0, which lies 6 cm beside
the left colour camera as on the real car, so readers that drop the last column of P2 are found out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perception.datasets.kitti import KittiWriter
from perception.datasets.world import rigs
from perception.datasets.world.classes import CATEGORIES
from perception.datasets.world.export.folder import write_text
from perception.datasets.world.export.layout import Layout
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Frame
from perception.datasets.world.truth import Boxes
from perception.geometry import transforms
from perception.io import write_image
from perception.io.kitti import UNKNOWN, KittiCalibration, KittiLabels

# Camera i = rectified camera 0 + offset, metres (the real car's P2 and P3 have such last columns).
OFFSET_2 = np.array([0.06, 0.0, 0.003])
MIN_PIXELS, MIN_HEIGHT, MAX_DISTANCE = 12, 8.0, 85.0


class KittiLayout(Layout):
    """See the module. ``views`` are moments one second apart."""

    name, kind, kinds, default_size = "kitti", "street", ("street",), (375, 1242)

    def write(self, world: World, number: int, split: str) -> dict:
        """Write the moments of one street."""
        rig = rigs.kitti_rig(self.size[1], self.size[0])
        writer = KittiWriter(self.root)
        stems = []
        for view in range(self.views):
            moment = world.render(rig, float(view))
            left, right = moment.frames["image_2"], moment.frames["image_3"]
            scan = moment.lidars["velodyne"]
            stem = f"{number * self.views + view:06d}"
            points = np.concatenate([scan.points, scan.intensity[:, None]], 1)
            writer.write(
                stem, left.image, calibration(left, right, scan.world_from_sensor), labels(left), split, points
            )
            write_image(self.root / "training" / "image_3" / f"{stem}.png", right.image)
            stems.append(stem)
        return {"split": split, "stems": stems}

    def finish(self, records: list[dict]) -> None:
        """Write the split lists."""
        lists = {
            part: sorted(s for r in records if r["split"] == part for s in r["stems"]) for part in ("train", "val")
        }
        lists["trainval"] = sorted([*lists["train"], *lists["val"]])
        for name, stems in lists.items():
            write_text(self.root / "ImageSets" / f"{name}.txt", "".join(f"{stem}\n" for stem in stems))


def calibration(left: Frame, right: Frame, world_from_velodyne: np.ndarray) -> KittiCalibration:
    """Return the matrices of one moment; the rectified frame has the left camera's axes."""
    baseline = float(np.linalg.norm(left.world_from_camera[:3, 3] - right.world_from_camera[:3, 3]))

    def projection(offset: np.ndarray) -> np.ndarray:
        return left.camera.opencv_matrix @ np.column_stack([np.eye(3), offset])

    camera_from_velodyne = transforms.inverse(left.world_from_camera) @ world_from_velodyne
    rectified_from_velodyne = camera_from_velodyne[:3].copy()
    rectified_from_velodyne[:, 3] -= OFFSET_2
    return KittiCalibration(
        {
            "P0": projection(np.zeros(3)),
            "P1": projection(np.array([-baseline, 0, 0])),
            "P2": projection(OFFSET_2),
            "P3": projection(OFFSET_2 - [baseline, 0, 0]),
            "R0_rect": np.eye(3),
            "Tr_velo_to_cam": rectified_from_velodyne,
            "Tr_imu_to_velo": np.column_stack([np.eye(3), [-0.81, 0.32, -0.8]]),
        }
    )


def labels(frame: Frame) -> KittiLabels:
    """Return the label rows of a picture in the rectified frame, see `label_rows`."""
    return label_rows(frame.boxes, frame.camera.width, frame.camera.height, OFFSET_2)


def label_rows(
    boxes: Boxes, width: int, height: int, offset: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
) -> KittiLabels:
    """Return rows for objects that are seen, then DontCare areas for those too small or too far to label.

    offset: the camera is the labels' frame + offset, metres.
    """
    offset = np.asarray(offset, np.float64)
    types = np.array([kitti_type(boxes, row) for row in range(len(boxes))], dtype=object).reshape(-1)
    limit = np.array([width, height, width, height], np.float64)
    area = np.clip(boxes.box2d_full.astype(np.float64), 0, limit) - 0.5
    seen = (boxes.visible_pixels > 0) & (types != "")
    distance = np.linalg.norm(boxes.boxes3d[:, :3], axis=1)
    large = (boxes.visible_pixels >= MIN_PIXELS) & (area[:, 3] - area[:, 1] >= MIN_HEIGHT) & (distance < MAX_DISTANCE)
    rows = []
    names = []
    for row in np.flatnonzero(seen & large):
        x, y, z, length, wide, high, yaw = boxes.boxes3d[row].astype(np.float64)
        x, y, z = np.array([x, y + high / 2, z]) - offset
        turn = float(transforms.wrap_angle(-yaw))
        alpha = float(transforms.wrap_angle(turn - np.arctan2(x, z)))
        numbers = (boxes.truncation[row], boxes.occlusion[row], alpha, *area[row], high, wide, length, x, y, z, turn)
        rows.append([float(v) for v in numbers])
        names.append(types[row])
    for row in np.flatnonzero(seen & ~large):
        rows.append([*UNKNOWN[:3], *area[row], *UNKNOWN[7:]])
        names.append("DontCare")
    return KittiLabels(np.array(names, dtype=object), np.array(rows, np.float64).reshape(-1, 14))


def kitti_type(boxes: Boxes, row: int) -> str:
    """Return KITTI's type of an object, "" for what KITTI has no word for (barriers, cones)."""
    name = CATEGORIES[int(boxes.category[row])].name
    if name == "car":
        return "Van" if "van" in boxes.model[row].lower() else "Car"
    if name == "bicycle":
        return "Cyclist" if boxes.attribute[row] == "cycle.with_rider" else "Misc"
    table = {
        "person": "Pedestrian",
        "truck": "Truck",
        "bus": "Misc",
        "trailer": "Misc",
        "construction_vehicle": "Misc",
        "motorcycle": "Misc",
    }
    return table.get(name, "")
