"""Procedural textures of the world: a bank that is drawn as needed, shared by rendering processes, and a fast mip-mapped lookup. See `bank.py`."""

from .bank import TextureBank, sample, texture, texture_bank
from .mapping import box_uv, dominant_face, pixel_footprint, triangle_faces
from .noise import SIZE

__all__ = [
    "SIZE",
    "TextureBank",
    "box_uv",
    "dominant_face",
    "pixel_footprint",
    "sample",
    "texture",
    "texture_bank",
    "triangle_faces",
]
