"""Names -> batch transforms: augmentations of a whole collated batch on the device that trains.

A recipe says ``batch_transform = [dict(type="RandomHorizontalFlip"), ...]``. A transform is a callable that takes the batch
(keys of `perception.datasets.registry`) and returns it, drawing its random numbers from torch's global generator of the
batch's device, whose state checkpoints carry.
"""

from __future__ import annotations

from perception.registry import Registry

BATCH_TRANSFORMS = Registry(
    "batch transform",
    {
        "RandomHorizontalFlip": "perception.datasets.transforms.batch_geometry",
        "RandomZoomCrop": "perception.datasets.transforms.batch_geometry",
        "ResizeBatch": "perception.datasets.transforms.batch_geometry",
        "RandomColour": "perception.datasets.transforms.batch_colour",
        "RandomBlur": "perception.datasets.transforms.batch_colour",
        "Mono3DFilter": "perception.datasets.transforms.mono3d",
        "Mono3DAugment": "perception.datasets.transforms.mono3d",
        "Mono3DPhotometric": "perception.datasets.transforms.mono3d",
        "RandomNoise": "perception.datasets.transforms.batch_colour",
        "RigBevAugment": "perception.datasets.transforms.rig",
        "RigPhotometric": "perception.datasets.transforms.rig",
        "RigImageFlip": "perception.datasets.transforms.rig",
        "RadarDropout": "perception.datasets.transforms.rig",
        "RandomPanoramaRoll": "perception.datasets.transforms.batch_panorama",
        "RandomFramesFlip": "perception.datasets.transforms.batch_frames",
        "RandomFramesColour": "perception.datasets.transforms.batch_frames",
    },
)
register_batch_transform = BATCH_TRANSFORMS.register
batch_transform_class = BATCH_TRANSFORMS.find
build_batch_transform = BATCH_TRANSFORMS.build
