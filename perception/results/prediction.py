"""Everything a model said about one picture, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, camera_from_dict
from perception.results.base import Result, check_shape, frozen, output_folder, write_json
from perception.results.boxes import Boxes3DResult
from perception.results.depth import DepthResult
from perception.results.matching import DisparityResult, FlowResult
from perception.results.normals import NormalsResult
from perception.results.point_cloud import PointCloud
from perception.results.segmentation import SegmentationResult

_PARTS = {
    "depth": DepthResult,
    "normals": NormalsResult,
    "segmentation": SegmentationResult,
    "boxes3d": Boxes3DResult,
    "point_cloud": PointCloud,
    "disparity": DisparityResult,
    "flow": FlowResult,
}


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Result):
    """Any subset of depth, normals, segmentation, boxes3d, point_cloud (and, of two pictures, disparity and flow) of one picture; a part that was not predicted is None.

    image: (H, W, 3) uint8 RGB, upright; camera: the camera that was used; name: the picture's name; model: the model's name; notes: sentences
    for the user (first frame of an animation, transparent background, ...). Maps must have the picture's size.
    """

    depth: DepthResult | None = None
    normals: NormalsResult | None = None
    segmentation: SegmentationResult | None = None
    boxes3d: Boxes3DResult | None = None
    point_cloud: PointCloud | None = None
    image: np.ndarray | None = None
    camera: Camera | None = None
    name: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()
    disparity: DisparityResult | None = None
    flow: FlowResult | None = None

    def __post_init__(self) -> None:
        for part, cls in _PARTS.items():
            value = getattr(self, part)
            if value is not None and not isinstance(value, cls):
                raise InputError(f"{part} of a prediction must be a {cls.__name__}; found {type(value).__name__}")
        object.__setattr__(self, "notes", tuple(map(str, self.notes)))
        camera = self.camera
        if camera is None:
            camera = next(
                (
                    p.camera
                    for p in (self.depth, self.normals, self.boxes3d, self.disparity)
                    if p is not None and p.camera is not None
                ),
                None,
            )
            object.__setattr__(self, "camera", camera)
        sizes = {
            part: getattr(self, part).shape
            for part in ("depth", "normals", "segmentation", "disparity", "flow")
            if getattr(self, part) is not None
        }
        if self.image is not None:
            image = frozen(self.image, None)
            check_shape("image", image, ("H", "W", 3))
            if image.dtype != np.uint8:
                raise InputError(f"the image of a prediction must be uint8 RGB; found {image.dtype}")
            object.__setattr__(self, "image", image)
            sizes["image"] = image.shape[:2]
        if camera is not None:
            sizes["camera"] = (camera.height, camera.width)
        if len(set(sizes.values())) > 1:
            raise InputError(
                "all maps of a prediction must have the picture's size; found "
                + ", ".join(f"{k} {v}" for k, v in sizes.items())
            )

    @property
    def parts(self) -> dict[str, Result]:
        """The results that are there, by name."""
        return {name: getattr(self, name) for name in _PARTS if getattr(self, name) is not None}

    @property
    def intrinsics_source(self) -> str | None:
        """Where the camera's intrinsics came from, or None without a camera."""
        return None if self.camera is None else self.camera.source

    def __repr__(self) -> str:
        lines = [f"  {name}: {part!r}" for name, part in self.parts.items()]
        if self.camera is not None:
            lines.append(f"  camera: {self.camera!r}")
        lines += [f"  note: {note}" for note in self.notes]
        return (
            "\n".join([f"Prediction({self.name or 'unnamed'}{', by ' + self.model if self.model else ''}", *lines])
            + ")"
        )

    def with_parts(self, **parts: Any) -> Prediction:
        """A copy with some parts replaced or added."""
        return replace(self, **parts)

    def preview(self, image: np.ndarray | None = None, depth_limits: tuple[float, float] | None = None) -> np.ndarray:
        """uint8 RGB contact sheet: the picture and the preview of every part. depth_limits: of the colours of depth, (near, far)."""
        from perception.drawing import contact_sheet

        picture = self.image if image is None else image
        tiles = {} if picture is None else {"image": picture}
        for name, part in self.parts.items():
            tiles[name] = part.preview(picture, depth_limits) if name == "depth" else part.preview(picture)
        if not tiles:
            raise InputError("this prediction is empty: it has no part to draw")
        return contact_sheet(list(tiles.values()), titles=list(tiles))

    def summary(self) -> dict[str, Any]:
        """JSON-able description of every part."""
        return {
            "type": "prediction",
            "name": self.name,
            "model": self.model,
            "notes": list(self.notes),
            "camera": None if self.camera is None else self.camera.to_dict(),
            "intrinsics_source": self.intrinsics_source,
            **{name: part.summary() for name, part in self.parts.items()},
        }

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write every part's files, image.png, preview.png and result.json into `folder`; return {what: path}."""
        from perception.io import images

        folder = output_folder(folder)
        picture = self.image if image is None else image
        paths: dict[str, Path] = {}
        for name, part in self.parts.items():
            if name != "point_cloud" or self.depth is None:
                paths |= part.save(folder, picture)
            else:
                paths |= part.save(folder / "point_cloud", picture)
        if picture is not None:
            paths["image"] = images.write_image(folder / "image.png", picture)
        if self.parts:
            paths["preview"] = images.write_image(folder / "preview.png", self.preview(picture))
        files = {key: str(path.relative_to(folder)) for key, path in paths.items()}
        paths["result"] = write_json(folder / "result.json", {**self.summary(), "files": files})
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: parts as their dictionaries, arrays stay arrays."""
        out: dict[str, Any] = {"type": "prediction"}
        for field in fields(self):
            value = getattr(self, field.name)
            out[field.name] = value.to_dict() if hasattr(value, "to_dict") else value
        out["notes"] = list(self.notes)
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prediction:
        """Inverse of `to_dict`."""
        rest = {key: value for key, value in values.items() if key != "type"}
        for name, part in _PARTS.items():
            if isinstance(rest.get(name), Mapping):
                rest[name] = part.from_dict(rest[name])
        if isinstance(rest.get("camera"), Mapping):
            rest["camera"] = camera_from_dict(rest["camera"])
        if rest.get("image") is not None:
            rest["image"] = np.asarray(rest["image"], np.uint8)
        return cls(**rest)
