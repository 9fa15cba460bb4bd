"""Files in and out: one picture loader, depth, flow, PLY, GLB, video, all written atomically."""

from __future__ import annotations

from perception.io.atomic import atomic_path, atomic_write
from perception.io.depth_files import (
    read_depth,
    read_depth_png,
    read_exr,
    read_pfm,
    write_depth_png,
    write_exr,
    write_npy,
    write_pfm,
)
from perception.io.flow_files import read_flow, write_flo, write_flow_png
from perception.io.glb import write_glb, write_mesh_glb
from perception.io.images import (
    MAX_PIXELS,
    LoadedImage,
    load_image,
    read_png,
    read_rgb_ids,
    write_ids,
    write_image,
    write_rgb_ids,
)
from perception.io.ply import PlyData, read_ply, write_ply
from perception.io.video import Frame, VideoWriter, is_video, pictures_in, stream

__all__ = [
    "MAX_PIXELS",
    "Frame",
    "LoadedImage",
    "PlyData",
    "VideoWriter",
    "atomic_path",
    "atomic_write",
    "is_video",
    "load_image",
    "pictures_in",
    "read_depth",
    "read_depth_png",
    "read_exr",
    "read_flow",
    "read_pfm",
    "read_ply",
    "read_png",
    "read_rgb_ids",
    "stream",
    "write_depth_png",
    "write_exr",
    "write_flo",
    "write_flow_png",
    "write_glb",
    "write_ids",
    "write_image",
    "write_mesh_glb",
    "write_npy",
    "write_pfm",
    "write_ply",
    "write_rgb_ids",
]
