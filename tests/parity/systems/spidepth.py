"""Kind `spidepth`: encoder, self query layer, pose network, warp and losses against the official code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from perception.models.spidepth import losses
from perception.models.spidepth.model import SPIdepth
from perception.models.spidepth.pose import scale_by_inverse_depth, transform_of
from perception.models.spidepth.view_synthesis import sample, sampling_grid
from perception.models.spidepth.weights import is_resnet, load_official, model_config
from tests.parity.runner import Case, Check


@torch.no_grad()
def spidepth(case: Case) -> Iterator[Check]:
    config, out = case.reference["config"], case.outputs
    state = {key: torch.from_numpy(np.array(value)) for key, value in case.state.items()}
    first, second = (torch.from_numpy(case.inputs[f"color_{i}"]) for i in (0, 1))
    size = tuple(first.shape[-2:])
    settings = model_config(state, None if is_resnet(state) else config.get("backbone"))
    settings.pop("type")
    # Preprocessing has a grid of its own; the network takes the case's size.
    settings["size"] = [-(-side // 32) * 32 for side in size]
    settings |= {key: config[key] for key in ("min_depth", "max_depth") if key in config}
    model = SPIdepth(**settings).eval()
    load_official(model, state)
    features = model.encoder(first)
    yield Check("features", features[:, ::2, ::4, ::4], out["features"])
    queries = model.decoder.query_tokens(features)
    yield Check("queries", queries, out["queries"])
    energy, summary = model.decoder.energies(features, queries)
    yield Check("energy_maps", energy[:, ::4, ::4, ::4], out["energy_maps"])
    yield Check("summary", summary, out["summary"])
    half = model(255 * first)["depth"]
    yield Check("depth_half", half[:, None], out["depth_half"])
    motion = model.pose(first, second)
    yield Check("axisangle_x100", 100 * motion[:, None, None, :3], out["axisangle_x100"])
    yield Check("translation_x100", 100 * motion[:, None, None, 3:], out["translation_x100"])
    yield Check("T", transform_of(motion), out["T"])
    yield Check("T_inverse", transform_of(model.pose(second, first), invert=True), out["T_inverse"])
    depth = F.interpolate(half[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    transform = transform_of(scale_by_inverse_depth(motion, depth))
    yield Check("T_mono_scaled", transform, out["T_mono_scaled"])
    intrinsics = torch.from_numpy(case.inputs["K"][:3, :3].copy())
    intrinsics[:2, 2] += 0.5  # the official pixel centres are at integers
    grid = sampling_grid(depth, intrinsics.expand(len(depth), 3, 3), transform)
    yield Check("grid", grid[:, ::8, ::8], out["grid"])
    warped = sample(second, grid)
    yield Check("warped", warped[:, :, ::6, ::6], out["warped"])
    unlike = losses.dissimilarity(warped, first).mean(1, keepdim=True)
    yield Check("ssim", unlike[:, :, ::6, ::6], out["ssim"])
    error = losses.photometric_error(warped, first)
    yield Check("reprojection", error[:, :, ::6, ::6], out["reprojection"])
    still = losses.photometric_error(second, first)
    yield Check("automask_min_mean", losses.masked_error(error, still).mean((1, 2)), out["automask_min_mean"])
    yield Check("smooth_x100", 100 * losses.smoothness(depth, first).reshape(1), out["smooth_x100"])


KINDS = {"spidepth": spidepth}
