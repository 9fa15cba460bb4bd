"""3D boxes found in a picture or around a vehicle. The meaning of the seven numbers is drawn in `perception.geometry.boxes3d`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import boxes3d as geometry
from perception.geometry.cameras import Camera, camera_from_dict
from perception.results.base import Result, check_finite, check_shape, frozen, output_folder, to_json_text, write_json

PREVIEW_SCORE = 0.1
_PER_BOX = {
    "boxes": (np.float32, (7,)),
    "labels": (np.int64, ()),
    "scores": (np.float32, ()),
    "velocity": (np.float32, (2,)),
    "track_ids": (np.int64, ()),
    "boxes2d": (np.float32, (4,)),
}


@dataclass(frozen=True, eq=False, repr=False)
class Boxes3DResult(Result):
    """boxes: (N, 7) float32 [x, y, z of the centre, length, width, height, yaw about the up axis], metres and radians, in `frame`.

    labels: (N,) class indices into `class_names`. scores: (N,) 0..1, 1 when left out. frame: "camera", "ego", "lidar" or "global".
    velocity: (N, 2) m/s along the frame's two ground axes (camera: x, z; others: x, y), NaN = unknown; or None. track_ids: (N,) or None.
    boxes2d: (N, 4) [left, top, right, bottom] in continuous pixels, where a model finds them itself; or None. attributes: N strings or None.
    camera: the picture's camera, for projecting camera-frame boxes; or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    frame: str = "camera"
    class_names: Sequence[str] = ()
    velocity: np.ndarray | None = None
    track_ids: np.ndarray | None = None
    boxes2d: np.ndarray | None = None
    attributes: Sequence[str] | None = None
    camera: Camera | None = None

    def __post_init__(self) -> None:
        boxes = frozen(self.boxes, np.float32)
        boxes = frozen(boxes.reshape(-1, 7), np.float32) if boxes.size == 0 else boxes
        check_shape("boxes", boxes, ("N", 7))
        count = len(boxes)
        object.__setattr__(self, "boxes", boxes)
        if self.scores is None:
            object.__setattr__(self, "scores", np.ones(count, np.float32))
        for name, (dtype, tail) in _PER_BOX.items():
            if getattr(self, name) is None:
                continue
            value = frozen(getattr(self, name), dtype)
            value = frozen(value.reshape(count, *tail), dtype) if value.size == 0 and count == 0 else value
            check_shape(name, value, (count, *tail))
            if name in ("boxes", "scores", "boxes2d"):
                check_finite(name, value)
            object.__setattr__(self, name, value)
        if (boxes[:, 3:6] < 0).any():
            raise InputError("the length, width and height of 3D boxes must not be negative")
        if self.frame not in geometry.FRAMES:
            raise InputError(f"the frame of 3D boxes must be one of {', '.join(geometry.FRAMES)}; found {self.frame!r}")
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        if count and ((self.labels < 0).any() or (self.class_names and self.labels.max() >= len(self.class_names))):
            allowed = f"lie in 0..{len(self.class_names) - 1}" if self.class_names else "be 0 or more"
            raise InputError(f"class indices must {allowed}; found {np.unique(self.labels).tolist()}")
        if self.attributes is not None:
            object.__setattr__(self, "attributes", tuple(map(str, self.attributes)))
            if len(self.attributes) != count:
                raise InputError(f"{count} boxes need {count} attributes; found {len(self.attributes)}")

    # -- like a sequence -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Boxes3DResult:
        """The chosen boxes (int, slice, index list or bool mask) as a result."""
        index = [index] if isinstance(index, int | np.integer) else index
        rows = np.arange(len(self))[index]
        changes = {name: getattr(self, name)[rows] for name in _PER_BOX if getattr(self, name) is not None}
        if self.attributes is not None:
            changes["attributes"] = [self.attributes[i] for i in rows]
        return replace(self, **changes)

    def __iter__(self) -> Iterator[Boxes3DResult]:
        return (self[i] for i in range(len(self)))

    def above(self, score: float) -> Boxes3DResult:
        """The boxes with at least that score."""
        return self[self.scores >= score]

    def sorted(self) -> Boxes3DResult:
        """Highest score first; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]

    @property
    def centres(self) -> np.ndarray:
        """(N, 3) metres, `frame`."""
        return self.boxes[:, :3]

    @property
    def sizes(self) -> np.ndarray:
        """(N, 3) length, width, height, metres."""
        return self.boxes[:, 3:6]

    @property
    def yaws(self) -> np.ndarray:
        """(N,) radians about the up axis."""
        return self.boxes[:, 6]

    def name_of(self, label: int) -> str:
        """Class name, or "class 7" where there is none."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else f"class {label}"

    @property
    def names(self) -> list[str]:
        """Class name of each box."""
        return [self.name_of(int(label)) for label in self.labels]

    def __repr__(self) -> str:
        found = {name: self.names.count(name) for name in dict.fromkeys(self.names)}
        extra = [name for name in ("velocity", "track_ids", "boxes2d", "attributes") if getattr(self, name) is not None]
        listed = ", ".join(f"{count} {name}" for name, count in found.items())
        return (
            f"Boxes3DResult({len(self)} boxes [m, rad], {self.frame} frame"
            + (f": {listed}" if listed else "")
            + (f"; with {', '.join(extra)}" if extra else "")
            + ")"
        )

    # -- geometry ------------------------------------------------------------------------------------------------------

    def corners(self) -> np.ndarray:
        """(N, 8, 3) float32 corners in `frame`, metres; order in `geometry.boxes3d`."""
        return geometry.corners(self.boxes, self.frame)

    def to_frame(self, frame: str, target_from_source: Any) -> Boxes3DResult:
        """The boxes and velocities in another frame, by a rigid (4, 4) transform."""
        matrix = np.asarray(target_from_source, dtype=np.float64)
        boxes = geometry.change_frame(self.boxes.astype(np.float64), matrix, self.frame, frame)
        velocity = None
        if self.velocity is not None:
            flat = np.concatenate([self.velocity, np.zeros((len(self), 1), np.float32)], 1).astype(np.float64)
            turned = geometry.from_ground(flat, self.frame) @ matrix[:3, :3].T
            velocity = geometry.to_ground(turned, frame)[:, :2]
        return replace(
            self, boxes=boxes, velocity=velocity, frame=frame, camera=self.camera if frame == "camera" else None
        )

    def projected(self, camera: Camera | None = None) -> np.ndarray:
        """(N, 4) float64 rectangles around the visible part of camera-frame boxes, continuous pixels; NaN rows are out of view."""
        camera = camera or self.camera
        if self.frame != "camera" or camera is None:
            raise InputError(
                f"projecting boxes needs the camera frame and a camera; these are in the {self.frame} frame, camera {camera}"
            )
        return geometry.image_boxes(self.boxes, camera)

    def mesh(self, width: float = 0.06) -> Any:
        """The boxes' edges as bars of that width (metres), coloured by class or track: a `geometry.mesh.Mesh` in `frame`. A cross marks the front."""
        from perception.drawing.colors import color_of
        from perception.geometry.box_mesh import boxes_mesh

        numbers = self.labels if self.track_ids is None else self.track_ids
        colors = np.array([color_of(int(i)) for i in numbers], np.uint8).reshape(-1, 3)
        return boxes_mesh(self.boxes, self.frame, colors, width)

    # -- out -----------------------------------------------------------------------------------------------------------

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """uint8 RGB: boxes on the image where image and camera are known, else (and for other frames) a bird's-eye view.

        Boxes that score below `PREVIEW_SCORE` are left out; evaluation needs them, the eye does not.
        """
        from perception.drawing import draw_bev, draw_boxes3d

        shown = self.above(PREVIEW_SCORE)
        if image is not None and self.camera is not None and self.frame == "camera":
            return draw_boxes3d(image, shown, self.camera)
        return draw_bev(shown)

    def summary(self) -> dict[str, Any]:
        """JSON-able description of every box."""
        rows = []
        for i in range(len(self)):
            row: dict[str, Any] = {
                "name": self.names[i],
                "label": int(self.labels[i]),
                "score": float(self.scores[i]),
                "center": self.boxes[i, :3].tolist(),
                "size": self.boxes[i, 3:6].tolist(),
                "yaw": float(self.boxes[i, 6]),
            }
            for name in ("velocity", "track_ids", "boxes2d"):
                if getattr(self, name) is not None:
                    row[{"track_ids": "track_id", "boxes2d": "box2d"}.get(name, name)] = getattr(self, name)[i].tolist()
            if self.attributes is not None:
                row["attribute"] = self.attributes[i]
            rows.append(row)
        return {
            "type": "boxes3d",
            "frame": self.frame,
            "units": "metres, radians, m/s; size = length, width, height; yaw about the up axis, 0 = along +x",
            "class_names": list(self.class_names),
            "camera": None if self.camera is None else self.camera.to_dict(),
            "boxes": rows,
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Strict JSON text of all boxes; written atomically to `path` where given."""
        if path is not None:
            write_json(Path(path), self.summary())
        return to_json_text(self.summary())

    def to_kitti(self, path: str | Path | None = None, offset: Sequence[float] = (0.0, 0.0, 0.0)) -> str:
        """KITTI result lines (16 columns) of camera-frame boxes; written to `path` where given. Boxes out of view are left out.

        offset: (3,) metres, `KittiCalibration.offset`: lines are in KITTI's rectified frame, which lies a few centimetres beside the camera.
        """
        from perception.io.kitti import KittiLabels, format_labels, write_labels

        if self.frame != "camera":
            raise InputError(f"KITTI lines are of boxes in the camera frame; these are in the {self.frame} frame")
        boxes2d = self.projected() if self.boxes2d is None else self.boxes2d.astype(np.float64)
        seen = np.isfinite(boxes2d).all(1)
        shown = self[seen]
        rows = KittiLabels.from_boxes(
            shown.names, shown.boxes, boxes2d[seen] - 0.5, shown.scores.astype(np.float64), offset
        )
        if path is not None:
            write_labels(path, rows)
        return format_labels(rows)

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write boxes3d.json, boxes3d_bev.png, boxes3d.glb (where there are boxes) and, where an image and a camera are known, boxes3d_preview.png."""
        from perception.drawing import draw_bev
        from perception.io import glb, images

        folder = output_folder(folder)
        paths = {"boxes3d_json": folder / "boxes3d.json", "boxes3d_bev": folder / "boxes3d_bev.png"}
        self.to_json(paths["boxes3d_json"])
        images.write_image(paths["boxes3d_bev"], draw_bev(self.above(PREVIEW_SCORE)))
        if len(self):
            mesh = self.mesh()
            upright = glb.camera_axes(mesh.vertices, self.frame)
            paths["boxes3d_glb"] = glb.write_glb(folder / "boxes3d.glb", upright, colors=mesh.colors, faces=mesh.faces)
        if image is not None and self.camera is not None and self.frame == "camera":
            paths["boxes3d_preview"] = images.write_image(folder / "boxes3d_preview.png", self.preview(image))
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["camera"] = None if self.camera is None else self.camera.to_dict()
        values["class_names"] = list(self.class_names)
        values["attributes"] = None if self.attributes is None else list(self.attributes)
        return {"type": "boxes3d", **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Boxes3DResult:
        """Inverse of `to_dict`."""
        rest = {key: value for key, value in values.items() if key != "type"}
        if isinstance(rest.get("camera"), Mapping):
            rest["camera"] = camera_from_dict(rest["camera"])
        return cls(**rest)
