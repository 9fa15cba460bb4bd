"""Semantic, instance and panoptic segmentation of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.results.base import Result, check_shape, frozen, output_folder, write_json

IGNORE = 255


@dataclass(frozen=True)
class Segment:
    """One segment of a panoptic map: id (> 0) in the map, label (class index), thing or stuff, score 0..1, area in pixels."""

    id: int
    label: int
    is_thing: bool = True
    score: float = 1.0
    area: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationResult(Result):
    """Any of three maps of one size (H, W), int32.

    semantic: class index, `ignore_label` = unlabelled. instance: 0 = none. panoptic: segment id, 0 = void, described by `segments`.
    A panoptic map without a semantic one brings the semantic one with it. class_names: name of each class index, may be empty.
    """

    semantic: np.ndarray | None = None
    instance: np.ndarray | None = None
    panoptic: np.ndarray | None = None
    segments: Sequence[Segment | Mapping[str, Any]] = ()
    class_names: Sequence[str] = ()
    ignore_label: int = IGNORE

    def __post_init__(self) -> None:
        maps = {"semantic": self.semantic, "instance": self.instance, "panoptic": self.panoptic}
        given = {name: frozen(value, np.int32) for name, value in maps.items() if value is not None}
        if not given:
            raise InputError("a segmentation needs at least one of the maps semantic, instance, panoptic")
        shape = next(iter(given.values())).shape
        for name, value in given.items():
            check_shape(name, value, ("H", "W"))
            check_shape(name, value, shape)
        segments = tuple(s if isinstance(s, Segment) else Segment(**s) for s in self.segments)
        if "panoptic" in given:
            segments = self._count(given["panoptic"], segments)
            if "semantic" not in given:
                given["semantic"] = self._semantic(given["panoptic"], segments)
        elif segments:
            raise InputError(f"{len(segments)} segments were given without a panoptic map")
        names = tuple(map(str, self.class_names))
        labels = [s.label for s in segments]
        if names and "semantic" in given:
            known = given["semantic"][given["semantic"] != self.ignore_label]
            labels += [int(known.min()), int(known.max())] if known.size else []
        wrong = [label for label in labels if names and not 0 <= label < len(names) and label != self.ignore_label]
        if wrong:
            raise InputError(f"class index {wrong[0]} has no name: {len(names)} class names were given")
        for name, value in given.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "segments", segments)
        object.__setattr__(self, "class_names", names)

    @staticmethod
    def _count(panoptic: np.ndarray, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        ids, areas = np.unique(panoptic, return_counts=True)
        area = dict(zip(ids.tolist(), areas.tolist(), strict=True))
        listed = [s.id for s in segments]
        if len(set(listed)) != len(listed) or any(i <= 0 for i in listed):
            raise InputError(f"segment ids must be positive and occur once; found {listed}")
        missing = sorted(set(area) - set(listed) - {0})
        if missing:
            raise InputError(f"the panoptic map holds ids without a segment: {missing[:5]}")
        return tuple(replace(s, area=area.get(s.id, 0)) for s in segments)

    def _semantic(self, panoptic: np.ndarray, segments: tuple[Segment, ...]) -> np.ndarray:
        if not segments:
            return frozen(np.full(panoptic.shape, self.ignore_label), np.int32)
        ids = np.array([0, *(s.id for s in segments)])
        labels = np.array([self.ignore_label, *(s.label for s in segments)])
        order = ids.argsort()
        return frozen(labels[order][np.searchsorted(ids[order], panoptic)], np.int32)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        return next(m for m in (self.semantic, self.instance, self.panoptic) if m is not None).shape

    def name_of(self, label: int) -> str:
        """Class name, or "class 7" where there is none."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else f"class {label}"

    def mask(self, segment_id: int) -> np.ndarray:
        """(H, W) bool mask of one panoptic segment (or of one instance where there is no panoptic map)."""
        source = self.panoptic if self.panoptic is not None else self.instance
        if source is None:
            raise InputError("this segmentation has neither a panoptic nor an instance map to take a mask from")
        return source == segment_id

    def __repr__(self) -> str:
        maps = [name for name in ("semantic", "instance", "panoptic") if getattr(self, name) is not None]
        parts = [f"{self.shape[0]}x{self.shape[1]}", "+".join(maps)]
        if self.panoptic is not None:
            parts.append(f"{len(self.segments)} segments")
        if self.class_names:
            parts.append(f"{len(self.class_names)} classes")
        return f"SegmentationResult({', '.join(parts)})"

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8: coloured segments with names and outlines, over `image` where given."""
        from perception.drawing import draw_segmentation

        return draw_segmentation(self, image)

    def summary(self) -> dict[str, Any]:
        """JSON-able description with the list of segments and the area share of each class."""
        out: dict[str, Any] = {
            "type": "segmentation",
            "height": self.shape[0],
            "width": self.shape[1],
            "ignore_label": self.ignore_label,
            "class_names": list(self.class_names),
            "segments": [{**asdict(s), "name": self.name_of(s.label)} for s in self.segments],
        }
        if self.semantic is not None and self.semantic.size:
            labels, counts = np.unique(self.semantic, return_counts=True)
            out["classes"] = [
                {"label": int(n), "name": self.name_of(int(n)), "share": float(c / self.semantic.size)}
                for n, c in zip(labels, counts, strict=True)
                if n != self.ignore_label
            ]
        return out

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write semantic.png and instance.png (8 or 16 bit ids), panoptic.png (COCO: id = R + 256 G + 65536 B), segmentation_preview.png, JSON."""
        from perception.io import images

        folder = output_folder(folder)
        paths = {}
        for name in ("semantic", "instance"):
            if getattr(self, name) is not None:
                paths[name] = images.write_ids(folder / f"{name}.png", getattr(self, name))
        if self.panoptic is not None:
            paths["panoptic"] = images.write_rgb_ids(folder / "panoptic.png", self.panoptic)
        paths["segmentation_preview"] = images.write_image(folder / "segmentation_preview.png", self.preview(image))
        paths["segmentation_json"] = write_json(
            folder / "segmentation.json", {**self.summary(), "files": {key: path.name for key, path in paths.items()}}
        )
        return paths

    def to_dict(self) -> dict[str, Any]:
        """All fields: arrays stay arrays."""
        return {
            "type": "segmentation",
            "semantic": self.semantic,
            "instance": self.instance,
            "panoptic": self.panoptic,
            "segments": [asdict(s) for s in self.segments],
            "class_names": list(self.class_names),
            "ignore_label": self.ignore_label,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SegmentationResult:
        """Inverse of `to_dict`."""
        return cls(**{key: value for key, value in values.items() if key != "type"})
