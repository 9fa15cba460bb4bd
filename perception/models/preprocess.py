"""What a model makes of a picture before the network sees it, and the exact way back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from perception.geometry import Equirectangular, Pinhole
from perception.geometry.image_transform import ImageTransform


@dataclasses.dataclass(frozen=True)
class Prepared:
    """One picture, ready for the network.

    inputs: keyword arguments of the model's ``forward`` without the batch axis.
    image: the original picture, (H, W, 3) uint8 RGB.
    camera: the camera of the original picture.
    transform: original pixels -> network pixels.
    """

    inputs: dict[str, torch.Tensor]
    image: np.ndarray
    camera: Pinhole | Equirectangular
    transform: ImageTransform

    @property
    def key(self) -> tuple[Any, ...]:
        """Pictures with equal keys can share a batch."""
        return tuple((name, tuple(value.shape), value.dtype) for name, value in sorted(self.inputs.items()))
