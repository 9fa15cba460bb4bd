"""Prediction of pictures larger than the network's: overlapping tiles, blended by how sure the network is at every pixel (CroCo v2, section 4).

A transformer that was trained at one size is best at that size, so large pictures are cut into tiles of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor

from perception.errors import RecipeError

Run = Callable[[Tensor, Tensor], Tensor]


def tile_starts(total: int, window: int, overlap: float) -> list[int]:
    """First pixels of evenly spread windows that cover `total` pixels and overlap by at least the share `overlap`."""
    if total <= window:
        return [0]
    count = 1 + math.ceil((total - window) / ((1 - overlap) * window))
    return torch.linspace(0, total - window, count, dtype=torch.float64).round().long().tolist()


def certainty(name: str) -> Callable[[Tensor], Tensor]:
    """The blending weight of a raw confidence channel c (lower is surer), by the names of official checkpoints.

    "conf_expsigmoid_15_3": exp(-2 * 15 * (sigmoid(c / 3) - 0.5)); "conf_expbeta3": exp(-3 c). Raises `RecipeError` for other names.
    """
    if found := re.fullmatch(r"conf_expsigmoid_([\d.]+)_([\d.]+)", name):
        beta, width = map(float, found.groups())
        return lambda c: (-2 * beta * ((c / width).sigmoid() - 0.5)).exp()
    if found := re.fullmatch(r"conf_expbeta([\d.]+)", name):
        beta = float(found[1])
        return lambda c: (-beta * c).exp()
    raise RecipeError(f"blending is 'conf_expsigmoid_BETA_WIDTH' or 'conf_expbetaBETA'; found {name!r}")


def predict_tiled(
    run: Run, first: Tensor, second: Tensor, window: tuple[int, int], overlap: float, blending: str, batch: int = 4
) -> tuple[Tensor, Tensor]:
    """Predict every tile and blend.

    run: pictures (B, 3, h, w) of a tile's size, twice -> (B, C + 1, h, w), the confidence channel last. first, second: (1, 3, H, W), at least as large as
    `window` (h, w). batch: tiles in one run. Returns values (1, C, H, W) and the mean raw confidence (1, H, W).
    """
    height, width = first.shape[-2:]
    places = [(y, x) for y in tile_starts(height, window[0], overlap) for x in tile_starts(width, window[1], overlap)]
    weigh = certainty(blending)
    total, weight = None, first.new_full((height, width), 1e-16, dtype=torch.float32)
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        tiles = [
            torch.cat([picture[..., y : y + window[0], x : x + window[1]] for y, x in some])
            for picture in (first, second)
        ]
        found = run(*tiles).float()
        if total is None:
            total = found.new_zeros(found.shape[1], height, width)
        for tile, share, (y, x) in zip(found, weigh(found[:, -1]), some, strict=True):
            rows, columns = slice(y, y + window[0]), slice(x, x + window[1])
            total[:, rows, columns] += tile * share
            weight[rows, columns] += share
    mean = total / weight
    return mean[None, :-1], mean[None, -1]
