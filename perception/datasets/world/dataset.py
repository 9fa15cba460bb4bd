"""The world as a training data set: ``{"type": "World", "kind": "mixed", "seeds": [0, 999], "size": [240, 320]}``.

Frames are rendered when they are asked for, or once to disk (``cache=DIRECTORY``) by all cores. No mmengine, no download.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.registry import register_dataset
from perception.datasets.world import classes
from perception.datasets.world.cache import prerender
from perception.datasets.world.plan import make_plan
from perception.datasets.world.render import TRUTH
from perception.datasets.world.rig_samples import moment_sample
from perception.datasets.world.rigs import build_rig
from perception.datasets.world.truth import Boxes
from perception.errors import RecipeError
from perception.options import check_choice

PICTURE_TRUTH = ("depth", "normals", "semantic", "instance", "boxes")


class WorldDataset(torch.utils.data.Dataset):
    """Samples with the keys of `perception.datasets.registry`, and for boxes also ``boxes2d`` (N, 4) float32 around the visible pixels,
    ``boxes2d_full`` (N, 4), ``truncation``, ``visibility`` (N,) float32, ``occlusion`` (N,) int64, ``velocity`` (N, 3) float32 (camera axes),
    ``track_ids`` (N,) int64.

    kind, style, weather: see `World`; style "mixed" is 75 % plausible rooms (88 % streets), the rest wild. seeds: [first, last], a range, or a
    count. size: (H, W). views_per_scene: pictures of a scene. wide_share: share of pictures about 3.3 times as wide as high (streets);
    batches must then be made within `groups`. camera: "pinhole" or "panorama" (depth is then the range). truth: names of `render.TRUTH`
    among depth, normals, semantic, instance, boxes. labels: "classes" (ids of `classes.CATEGORIES`) or "groups" (`TRAINING_GROUPS`).
    box_classes: category names; labels3d index them and other objects are left out; None = every thing, labelled by semantic id; "kitti" =
    KITTI's Pedestrian 0, Car 1 (vans too) and Cyclist 2 (bicycles that are ridden), with ``kitti_labels``, the `KittiLabels` that the exporter
    would write, in the camera's own frame. viewpoint: of `Plan`.
    rig: None, or a rig's name or options (`rigs.build_rig`): samples then hold all its sensors, see `rig_samples.moment_sample`;
    views_per_scene counts key times, `period` seconds apart, size and camera do not matter, truth may hold all names of `render.TRUTH`.
    min_visibility, min_pixels, max_distance: boxes less visible or farther (metres) are left out. transform: function of the sample.
    cache: folder; None renders each frame when asked for. workers, max_gigabytes, progress: of `cache.prerender`.
    """

    def __init__(
        self,
        kind: str = "mixed",
        seeds: Sequence[int] | range | int = (0, 99),
        style: str = "mixed",
        size: tuple[int, int] = (240, 320),
        views_per_scene: int = 3,
        wide_share: float = 0.0,
        weather: str | None = None,
        camera: str = "pinhole",
        degrees: tuple[float, float] = (42.0, 92.0),
        viewpoint: str | None = None,
        rig: str | dict | None = None,
        period: float = 0.5,
        truth: Iterable[str] = PICTURE_TRUTH,
        effects: bool = True,
        labels: str = "classes",
        box_classes: Sequence[str] | str | None = None,
        min_visibility: float = 0.1,
        min_pixels: int = 20,
        max_distance: float = 100.0,
        transform=None,
        cache: str | Path | None = None,
        workers: int | None = None,
        max_gigabytes: float = 200.0,
        progress: bool = True,
    ) -> None:
        """Raises `InputError` or `RecipeError` for options that do not fit, `DatasetError` when the cache cannot be made."""
        check_choice("labels of the World data set", labels, ("classes", "groups"))
        self.kitti, self.box_classes = box_classes == "kitti", _box_classes(box_classes)
        truth = tuple(truth)
        for name in truth:
            check_choice("truth of the World data set", name, PICTURE_TRUTH if rig is None else TRUTH)
        if rig is not None and cache is not None:
            raise RecipeError("the World data set caches pictures, not rigs; leave cache out, or take type 'WorldRig'")
        self.rig = None if rig is None else build_rig(rig)
        self.period = float(period)
        self.plan = make_plan(
            seeds,
            kind=kind,
            style=style,
            weather=weather,
            size=size,
            views_per_scene=views_per_scene,
            wide_share=wide_share,
            camera=camera,
            degrees=degrees,
            truth=truth,
            effects=effects,
            viewpoint=viewpoint,
        )
        self.labels, self.transform = labels, transform
        self.min_visibility, self.min_pixels, self.max_distance = min_visibility, min_pixels, max_distance
        self.rendered = None
        if cache is not None:
            self.rendered = prerender(cache, self.plan, workers, max_gigabytes, progress)
        self._box_label = np.full(256, -1, np.int64)  # by semantic id
        if self.box_classes is None:
            self._box_label[list(classes.THING_IDS)] = classes.THING_IDS
        else:
            self._box_label[[classes.ID[name] for name in self.box_classes]] = np.arange(len(self.box_classes))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the semantic labels."""
        return classes.NAMES if self.labels == "classes" else classes.TRAINING_GROUPS

    @property
    def groups(self) -> dict[tuple[int, int], np.ndarray]:
        """Sample numbers by picture size (H, W)."""
        per_block = self.plan.block * self.plan.views_per_scene
        numbers = np.arange(len(self))
        result: dict[tuple[int, int], list] = {}
        for block in range(self.plan.blocks):
            part = numbers[block * per_block : (block + 1) * per_block]
            result.setdefault(self.plan.block_size(block), []).append(part)
        return {size: np.concatenate(parts) for size, parts in result.items()}

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the sample `index`; raises `IndexError` outside the data set."""
        index = index + len(self) if index < 0 else index
        if self.rig is not None:
            sample = self._moment(index)
        else:
            sample = self._from_cache(index) if self.rendered is not None else self._rendered_now(index)
        return self.transform(sample) if self.transform is not None else sample

    def _moment(self, index: int) -> dict[str, Any]:
        scene, number = self.plan.locate(index)
        world = self.plan.posed_world(scene)
        moment = world.render(self.rig, number * self.period, self.plan.truth, effects=self.plan.effects)
        limits = {name: getattr(self, name) for name in ("min_visibility", "min_pixels", "max_distance")}
        sample = moment_sample(world, moment, self.rig, self._box_label, limits)
        if self.labels == "groups" and "semantic" in sample:
            sample["semantic"] = torch.from_numpy(classes.GROUP_OF.astype(np.int64))[sample["semantic"]]
        first = self.rig.cameras[0].model
        meta = {"width": first.width, "height": first.height, "index": index, "seed": world.seed, "time": moment.time}
        sample["meta"] = {
            "name": f"world-{world.kind}-{world.seed}-{number}",
            "kind": world.kind,
            "style": world.style,
            **meta,
        }
        return sample

    def _rendered_now(self, index: int) -> dict[str, Any]:
        frame = self.plan.frame(index)
        record = {name: getattr(frame, name) for name in ("image", "depth", "normals", "semantic", "instance")}
        record.update(intrinsics=frame.intrinsics, boxes=frame.boxes, name=frame.name)
        record.update(world_from_camera=frame.world_from_camera, **frame.meta)
        return self._sample(record, index)

    def _from_cache(self, index: int) -> dict[str, Any]:
        record = self.rendered[index]
        if "normals" in record:
            planes = np.ascontiguousarray(record["normals"].transpose(2, 0, 1), np.float32)  # sums over planes are fast
            planes /= np.maximum(np.sqrt(np.square(planes).sum(0)), 1e-6)
            record["normals"] = planes.transpose(1, 2, 0)
        return self._sample(record, index)

    def _sample(self, record: dict, index: int) -> dict[str, Any]:
        image = record["image"]
        sample: dict[str, Any] = {"image": _tensor(image.transpose(2, 0, 1))}
        if self.plan.camera == "pinhole":
            sample["intrinsics"] = _tensor(np.asarray(record["intrinsics"], np.float32))
        wanted = self.plan.truth
        if "depth" in wanted:
            sample["depth"] = _tensor(np.asarray(record["depth"], np.float32))
            sample["depth_valid"] = sample["depth"] > 0
        if "normals" in wanted:
            sample["normals"] = _tensor(np.asarray(record["normals"], np.float32).transpose(2, 0, 1))
        if "semantic" in wanted:
            ids = np.asarray(record["semantic"])
            sample["semantic"] = _tensor((classes.GROUP_OF[ids] if self.labels == "groups" else ids).astype(np.int64))
        if "instance" in wanted:
            sample["instance"] = _tensor(np.asarray(record["instance"]).astype(np.int32))
        if record.get("boxes") is not None:
            sample.update(self._boxes(record["boxes"]))
            if self.kitti:
                from perception.datasets.world.export.kitti import label_rows

                sample["kitti_labels"] = label_rows(record["boxes"], image.shape[1], image.shape[0])
        sample["meta"] = {
            "name": record["name"],
            "width": image.shape[1],
            "height": image.shape[0],
            "index": index,
            "kind": record["kind"],
            "style": record["style"],
            "seed": int(record["seed"]),
            "world_from_camera": np.asarray(record["world_from_camera"]),
        }
        return sample

    def _boxes(self, boxes: Boxes) -> dict[str, torch.Tensor]:
        labels = self._box_label[boxes.category]
        distance = np.linalg.norm(boxes.boxes3d[:, :3], axis=1)
        keep = (labels >= 0) & (boxes.visibility >= self.min_visibility) & (boxes.visible_pixels >= self.min_pixels)
        keep &= distance <= self.max_distance
        if self.kitti:
            ridden = np.array([text == "cycle.with_rider" for text in boxes.attribute], bool).reshape(-1)
            keep &= ridden | (boxes.category != classes.ID["bicycle"])
        boxes = boxes.select(keep)
        return {
            "boxes3d": _tensor(boxes.boxes3d.astype(np.float32)),
            "labels3d": _tensor(labels[keep]),
            "boxes2d": _tensor(boxes.box2d.astype(np.float32)),
            "boxes2d_full": _tensor(boxes.box2d_full.astype(np.float32)),
            "truncation": _tensor(boxes.truncation.astype(np.float32)),
            "visibility": _tensor(boxes.visibility.astype(np.float32)),
            "occlusion": _tensor(boxes.occlusion.astype(np.int64)),
            "velocity": _tensor(boxes.velocity.astype(np.float32)),
            "track_ids": _tensor(boxes.instance.astype(np.int64)),
        }


def _box_classes(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Category names of labels 0, 1, ...; None = every thing. Raises `RecipeError` for names that do not exist."""
    if given == "kitti":
        return ("person", "car", "bicycle")
    if isinstance(given, str):
        raise RecipeError(f"box_classes of the World data set must be a list of categories or 'kitti', found {given!r}")
    for name in given or ():
        check_choice("a box class of the World data set", name, classes.ID)
    return None if given is None else tuple(given)


@register_dataset
class World(WorldDataset):
    """`WorldDataset` under the name that recipes use: ``type="World"``."""


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.require(array, requirements=("C", "W")))  # copies views into a read-only memory map
