"""Depth Anything V2, relative and metric, any size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from perception.geometry.cameras import Pinhole
from perception.models.depth_anything import DepthAnythingV2
from perception.models.depth_anything.model import resize_to
from perception.models.depth_anything.weights import load_official
from tests.parity.runner import Case, Check


@torch.no_grad()
def network(case: Case) -> Iterator[Check]:
    config = case.reference["config"]
    metric = config.get("max_depth", case.reference.get("max_depth"))
    if metric is None and "metric" in case.reference["entry"]:
        metric = 20.0  # the official default
    model = DepthAnythingV2(config["encoder"], max_depth=metric, input_size=case.reference["input_size"]).eval()
    load_official(model, {key: torch.from_numpy(np.ascontiguousarray(v)) for key, v in case.state.items()})
    image = torch.from_numpy(case.inputs["image"])
    out = case.outputs
    tokens, classes = model.encoder(image)
    for index, (token, of_class) in enumerate(zip(tokens, classes, strict=True)):
        if f"tokens_{index}" in out:
            yield Check(f"tokens_{index}", token[:, ::2, ::4], out[f"tokens_{index}"])
        if f"cls_{index}" in out:
            yield Check(f"cls_{index}", of_class, out[f"cls_{index}"])
    grid = tuple(n // 14 for n in image.shape[-2:])
    raw = model.head(tokens, grid)
    # The reference's relative head ends with its ReLU, its metric head with the sigmoid.
    yield Check("head", raw.relu() if metric is None else raw.sigmoid(), out["head"])
    yield Check("depth", model.infer(image), out["depth"])
    picture = np.ascontiguousarray(case.inputs["raw_bgr"][..., ::-1])
    prepared = model.preprocess(picture, Pinhole.default(picture.shape[1], picture.shape[0])).inputs["image"]
    inputs = (prepared[None] - model.pixel_mean) / model.pixel_std
    yield Check("net_input", inputs, out["net_input"])
    depth = model(prepared[None])["depth"][0]
    yield Check("inferred", resize_to(depth, picture.shape[:2]), out["inferred"])


KINDS = {"depth_anything_v2": network}
