"""Cameras, rigid transforms, 3D boxes, point clouds and meshes. Floor 1: knows nothing of models or files.

Names of functions that go together stay in their modules: ``from perception.geometry import boxes3d, transforms``. `rotated_iou` needs torch,
so it is imported only where it is used: ``from perception.geometry import rotated_iou``.
"""

from __future__ import annotations

from perception.geometry.cameras import Camera, Equirectangular, Pinhole, camera_from_dict
from perception.geometry.image_transform import ImageTransform
from perception.geometry.mesh import Mesh, depth_to_mesh
from perception.geometry.pointcloud import depth_to_points, normals_from_depth, voxel_downsample

__all__ = [
    "Camera",
    "Equirectangular",
    "ImageTransform",
    "Mesh",
    "Pinhole",
    "camera_from_dict",
    "depth_to_mesh",
    "depth_to_points",
    "normals_from_depth",
    "voxel_downsample",
]
