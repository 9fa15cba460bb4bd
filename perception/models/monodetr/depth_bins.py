"""Depth as classes: bins whose width grows linearly with depth (LID, "Monocular 3D Object Detection with CaDDN", section 3.2)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from perception.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class DepthBins:
    """`count` bins from `near` to `far` metres, and one class more for the background.

    Bin i covers near + w i (i + 1) / 2 ... near + w (i + 1) (i + 2) / 2 with w = 2 (far - near) / (count (count + 1)).
    """

    count: int = 80
    near: float = 1e-3
    far: float = 60.0

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.near < self.far:
            raise RecipeError(f"depth bins need a count of at least 1 and 0 <= near < far; found {self}")

    @property
    def growth(self) -> float:
        """Width of the first bin, metres: each further bin is wider by as much."""
        return 2 * (self.far - self.near) / (self.count * (self.count + 1))

    def values(self, device: torch.device | None = None) -> Tensor:
        """(count + 1,) float32 depth that each class stands for, metres: the near edge of bins, as in the official code, then `far` for the background."""
        middle = torch.arange(self.count, dtype=torch.float32, device=device) + 0.5
        depth = middle.square() * (self.growth / 2) - self.growth / 8 + self.near
        return torch.cat((depth, depth.new_tensor([self.far])))

    def classify(self, depth: Tensor, beyond_is_background: bool = True) -> Tensor:
        """Class of each depth, metres, as int64; 0 and what is no number count as background (class `count`).

        beyond_is_background: depths from `far` on are background too, as in the official code; otherwise they fall into the last bin.
        """
        place = (1 + 8 * (depth - self.near) / self.growth).sqrt() * 0.5 - 0.5  # NaN nearer than a fraction of `near`
        known = (depth > 0) & (place >= 0) & place.isfinite()
        if beyond_is_background:
            known &= place <= self.count
        place = place.clamp(max=self.count if beyond_is_background else self.count - 1)
        return torch.where(known, place, torch.full_like(place, float(self.count))).long()
