"""Prediction of pictures larger than the network's: overlapping tiles, blended by how sure the network is at every pixel (CroCo v2, section 4).

A transformer that was trained at one size is best at that size, so large pictures are cut into tiles of it, and small ones are enlarged to one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import RecipeError

Run = Callable[[Tensor, Tensor], Tensor]


def tile_starts(total: int, window: int, overlap: float) -> list[int]:
    """First pixels of evenly spread windows that cover `total` pixels and overlap by at least the share `overlap`."""
    if total <= window:
        return [0]
    count = 1 + math.ceil((total - window) / ((1 - overlap) * window))
    return torch.linspace(0, total - window, count, dtype=torch.float64).round().long().tolist()


def enlarged_size(size: Sequence[int], window: Sequence[int]) -> tuple[int, int]:
    """The smallest (H, W) of the picture's aspect that holds `window` (h, w); the picture's own where that does.

    The official code divides the height, too, by the picture's WIDTH: what is higher than wide it enlarges more than needed.
    """
    factor = max(window[0] / size[0], window[1] / size[1], 1.0)
    return max(window[0], round(factor * size[0])), max(window[1], round(factor * size[1]))


def enlarge(pictures: Tensor, window: Sequence[int]) -> Tensor:
    """(B, 3, H, W) at `enlarged_size`, bicubic as in the official code."""
    size = enlarged_size(pictures.shape[-2:], window)
    if size == tuple(pictures.shape[-2:]):
        return pictures
    return F.interpolate(pictures.float(), size, mode="bicubic", align_corners=False)


def resize_displacements(values: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, h, w) displacements in pixels (u, then v) at another size: resized, bicubic, and scaled with it."""
    height, width = values.shape[-2:]
    if (height, width) == tuple(size):
        return values
    factors = values.new_tensor([size[1] / width, size[0] / height])[: values.shape[1]]
    return F.interpolate(values, tuple(size), mode="bicubic", align_corners=False) * factors[:, None, None]


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
