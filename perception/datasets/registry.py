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

from perception.registry import Registry

DATASETS = Registry(
    "data set",
    {
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
    },
)
register_dataset = DATASETS.register
list_datasets = DATASETS.names
dataset_class = DATASETS.find
build_dataset = DATASETS.build
