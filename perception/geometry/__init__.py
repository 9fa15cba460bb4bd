"""Cameras, rigid transforms, 3D boxes, point clouds and meshes. Floor 1: knows nothing of models or files.

`rotated_iou` and `rays` need torch and are imported as modules: ``from perception.geometry import rotated_iou``.
"""

from __future__ import annotations

from perception.geometry.cameras import Camera, Equirectangular, Pinhole, camera_from_dict
from perception.geometry.image_transform import ImageTransform

__all__ = ["Camera", "Equirectangular", "ImageTransform", "Pinhole", "camera_from_dict"]
