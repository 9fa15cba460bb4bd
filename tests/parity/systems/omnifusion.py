"""OmniFusion: tangent projections, networks with one or several passes, loss and metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from perception.geometry.tangent import TangentLayout
from tests.parity.runner import Case, Check


def _at(panorama: torch.Tensor, pixels: np.ndarray) -> torch.Tensor:
    """(B, C, H, W) at (K, 2) rows and columns -> (B, C, K)."""
    return panorama[..., pixels[:, 0], pixels[:, 1]]


def projection(case: Case) -> Iterator[Check]:
    config, out = case.reference["config"], case.outputs
    layout = TangentLayout(config["nrows"], config["fov"], "official")
    size = tuple(config["erp"])
    patch = tuple(case.outputs["pers"].shape[2:4])
    cut = layout.sample(torch.from_numpy(case.inputs["erp"]), patch)  # (B, N, C, h, w)
    yield Check("pers", cut.permute(0, 2, 3, 4, 1), out["pers"])
    # The reference's axes: x right, z forward, y down.
    yield Check("xyz", layout.rays(patch)[..., [0, 2, 1]].permute(0, 3, 1, 2), out["xyz"])
    yield Check("center_p", layout.centres() * [1, -1] / [np.pi, np.pi / 2], out["center_p"])
    patches = torch.from_numpy(case.inputs["patches"]).permute(0, 4, 1, 2, 3)
    merged = layout.merge(patches, size, allow_holes=True)
    pixels = case.inputs["pixels"]
    yield Check("merged", _at(merged, pixels), out["merged"])
    coverage = layout.coverage(tuple(patches.shape[-2:]), size)
    yield Check("coverage", coverage[pixels[:, 0], pixels[:, 1]], out["coverage"])


KINDS = {"omnifusion_projection": projection}
