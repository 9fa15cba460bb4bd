"""Names -> data sets. A recipe says ``{"type": "KittiObject", "root": ..., ...}``; literals only.

Every registered data set is a plain map-style collection (``__len__``, ``__getitem__``) that needs no mmengine. Its samples are
dictionaries with the keys below, as far as the data set has them; all images are RGB.

``image``       (3, H, W) uint8                         ``intrinsics``  (3, 3) float32, pixel centres at integer + 0.5
``depth``       (H, W) float32, metres along z, or the Euclidean range for panoramas; 0 where unknown
``depth_valid`` (H, W) bool                             ``normals``     (3, H, W) float32, camera frame, 0 where unknown
``semantic``    (H, W) int64, 255 = ignore              ``instance``    (H, W) int32, 0 = none
``boxes3d``     (N, 7) float32: centre x, y, z in the camera frame, length, width, height, yaw;   ``labels3d`` (N,) int64
``meta``        ``{"name", "width", "height", "index", ...}``: `name` identifies the sample in messages
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from perception.errors import RecipeError, nearest

# Registered name -> module that defines it. Modules are imported when their data set is first asked for.
_HOMES: dict[str, str] = {
    "World": "perception.datasets.world.dataset",
    "WorldRig": "perception.datasets.world_rig",
    "RigSequences": "perception.datasets.rig_sequences",
    "ResidentWorld": "perception.datasets.world.resident",
    "Concat": "perception.datasets.concat",
    "ImageFolder": "perception.datasets.folder",
    "NYUv2": "perception.datasets.nyu",
    "NYUv2Folder": "perception.datasets.nyu",
    "ADE20K": "perception.datasets.ade20k",
    "CocoPanoptic": "perception.datasets.coco_panoptic",
    "Cityscapes": "perception.datasets.cityscapes",
    "KittiObject": "perception.datasets.kitti",
    "KittiDepth": "perception.datasets.kitti_depth",
    "KittiRaw": "perception.datasets.kitti_depth",
    "Coco3D": "perception.datasets.coco3d",
    "NuScenes": "perception.datasets.nuscenes",
    "Stanford2D3D": "perception.datasets.panorama",
    "Matterport3D": "perception.datasets.panorama",
    "Panorama3D60": "perception.datasets.panorama",
    "PanoSUNCG": "perception.datasets.panosuncg",
    "PanoramaFolder": "perception.datasets.panorama",
    "WorldPanoramaVideo": "perception.datasets.panorama_video",
    "WorldVideo": "perception.datasets.world_video",
    "WorldPairs": "perception.datasets.world_pairs",
    "KittiStereo": "perception.datasets.stereo",
    "KittiFlow": "perception.datasets.stereo",
    "Middlebury": "perception.datasets.stereo",
    "SceneFlow": "perception.datasets.stereo",
}
_CLASSES: dict[str, Callable[..., Any]] = {}


def register_dataset(cls: type) -> type:
    """Class decorator: make `cls` buildable by its class name. Raises `RecipeError` for a name taken by another class."""
    known = _CLASSES.setdefault(cls.__name__, cls)
    if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise RecipeError(
            f"data set name {cls.__name__!r} is registered twice, by {known.__module__} and {cls.__module__}"
        )
    _CLASSES[cls.__name__] = cls
    return cls


def list_datasets() -> list[str]:
    """Return the registered names, sorted. Imports nothing."""
    return sorted({*_HOMES, *_CLASSES})


def dataset_class(name: str) -> Callable[..., Any]:
    """Return the class registered as `name`. Raises `RecipeError` with the nearest known name."""
    if name not in _CLASSES and name in _HOMES:
        importlib.import_module(_HOMES[name])
    if name not in _CLASSES:
        raise RecipeError(f"data set type {name!r} is not registered.{nearest(name, list_datasets())}")
    return _CLASSES[name]


def build_dataset(config: dict[str, Any]) -> Any:
    """Build ``{"type": name, **keyword arguments}``. Raises `RecipeError` for unknown names and arguments."""
    arguments = dict(config)
    name = arguments.pop("type", None)
    if name is None:
        raise RecipeError(f"a data set configuration needs a 'type' key; found keys {sorted(arguments)}")
    cls = dataset_class(name)
    try:
        return cls(**arguments)
    except TypeError as error:
        raise RecipeError(f"data set {name!r} cannot be built from keys {sorted(arguments)}: {error}") from error
