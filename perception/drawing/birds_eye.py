"""Which ground a bird's-eye view shows: metres to pixels and back. Forward is up, right is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BirdsEye:
    """half: metres to each side. near, far: from and to, metres ahead. height: of the picture, pixels; its width follows, within limits."""

    half: float
    near: float
    far: float
    height: int

    @property
    def width(self) -> int:
        """Of the picture, pixels: 64 to four times its height."""
        return int(np.clip(round(2 * self.half * self.height / (self.far - self.near)), 64, 4 * self.height))

    @property
    def scale(self) -> float:
        """Pixels a metre, the same both ways."""
        return min(self.height / (self.far - self.near), self.width / (2 * self.half))

    def pixels(self, ground: np.ndarray) -> np.ndarray:
        """(..., 2) metres to the right and ahead -> (..., 2) continuous pixels."""
        x, y = ground[..., 0], ground[..., 1]
        return np.stack([self.width / 2 + x * self.scale, self.height - (y - self.near) * self.scale], -1)

    def ground(self, pixels: np.ndarray) -> np.ndarray:
        """Inverse of `pixels`."""
        u, v = pixels[..., 0], pixels[..., 1]
        return np.stack([(u - self.width / 2) / self.scale, (self.height - v) / self.scale + self.near], -1)
