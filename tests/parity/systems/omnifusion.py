"""OmniFusion: tangent projections, networks with one or several passes, loss and metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from perception.evaluation.alignment import fit_alignment
from perception.evaluation.depth import depth_sums
from perception.geometry.tangent import TangentLayout
from perception.models.omnifusion.losses import depth_loss
from perception.models.omnifusion.weights import build_official
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


@torch.no_grad()
def network(case: Case) -> Iterator[Check]:
    config, out, pixels = case.reference["config"], case.outputs, case.inputs["pixels"]
    state = {f"module.{key}": torch.tensor(value) for key, value in case.state.items()}
    model = build_official(state, size=config["erp"], fov=config["fov"], allow_holes=True).eval()
    assert model.layout.rings == config["nrows"] and model.patch == (config["patch"], config["patch"])
    image = torch.from_numpy(case.inputs["rgb"])
    passes = config.get("iterations", 1)
    trace: list[dict[str, torch.Tensor]] = []
    by_confidence = model.infer(image, passes, confidence=True, trace=trace)["depths"]
    plain = model.infer(image, passes, confidence=False)["depths"]
    single = "geometry" in out
    for index, found in enumerate(trace):
        end = "" if single else f"_iter{index + 1}"
        expected = out[f"geometry{end}"]
        yield Check(f"geometry{end}", found["geometry"][: len(expected), :, ::8, ::8], expected)
        yield Check(f"transformer{end}", found["transformer"], out[f"transformer{end}"])
        for name in ("patch_depth", "patch_weight"):
            expected = out[name + end]
            step = config["patch"] // expected.shape[2]
            values = found[name].unflatten(0, (len(image), -1))[..., ::step, ::step]
            yield Check(name + end, values.permute(0, 2, 3, 4, 1), expected)
        yield Check(
            f"depth_confidence{end}", _at(by_confidence[:, index : index + 1], pixels), out[f"depth_confidence{end}"]
        )
        yield Check(f"depth_mean{end}", _at(plain[:, index : index + 1], pixels), out[f"depth_mean{end}"])


def loss(case: Case) -> Iterator[Check]:
    config, out = case.reference["config"], case.outputs
    prediction, truth = (torch.from_numpy(case.inputs[name]) for name in ("pred", "gt"))
    valid = (truth > config["min_depth"]) & (truth <= config["max_depth"])
    yield Check("berhu", depth_loss(prediction, truth, valid, "berhu-official"), out["berhu"])
    yield Check("l1", depth_loss(prediction, truth, valid, "l1"), out["l1"])
    p, g = (x[valid].double().numpy() for x in (prediction, truth))
    fitted = fit_alignment("median", p, g, lower_median=True)
    yield Check("scale", fitted.factor, out["scale"])
    sums = depth_sums(fitted.apply(p), g)
    mean = dict(zip(("abs_rel", "sq_rel", "mse", "log_mse"), sums[1:5] / sums[0], strict=True))
    mean |= dict(zip(("d1", "d2", "d3"), sums[9:12] / sums[0], strict=True))
    for name, value in mean.items():
        yield Check(name, value, out[name])


KINDS = {
    "omnifusion": network,
    "omnifusion_projection": projection,
    "omnifusion_loss": loss,
}
