"""Kinds `croco` (stereo and flow: tokens, head, loss, metrics, tiles) and `croco_completion` against the official code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception.evaluation.matching import FLOW_LIMITS, STEREO_LIMITS, flow_errors, stereo_errors
from perception.models.croco.completion import CroCoCompletion
from perception.models.croco.losses import CRITERIA, OFFICIAL_NAMES, completion_loss
from perception.models.croco.model import CroCo
from perception.models.croco.tiling import enlarge, predict_tiled, resize_displacements
from perception.models.croco.transformer import image_of, patches_of
from perception.models.croco.weights import head_of, load_official, size_of
from tests.parity.runner import Case, Check


def _state(case: Case) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(value)) for key, value in case.state.items()}


def _size(config: dict[str, Any], state: dict[str, Tensor]) -> dict[str, int]:
    """The manifest's numbers of heads; widths and depths as the state has them."""
    size = size_of(state)
    return size | {f"{part}_heads": config.get(f"{part}_num_heads", size[f"{part}_heads"]) for part in ("enc", "dec")}


def _pictures(config: dict[str, Any]) -> tuple[int, int]:
    size = config.get("img_size", 224)
    return (size, size) if isinstance(size, int) else tuple(size)


@torch.no_grad()
def binocular(case: Case) -> Iterator[Check]:
    config, out, state = case.reference["config"], case.outputs, _state(case)
    stereo = case.inputs["gt"].shape[1] == 1
    model = CroCo(
        _size(config, state),
        task="stereo" if stereo else "flow",
        tile=_pictures(config),
        positions=config.get("pos_embed", "RoPE100"),
        criterion=OFFICIAL_NAMES[config["loss"].removesuffix("()")],
        blending=config["tile_conf_mode"],
        taps=config.get("hooks_idx", config.get("hooks")),
        **head_of(state),
    ).eval()
    load_official(model, state)
    first, second, truth = (torch.from_numpy(case.inputs[name].copy()) for name in ("img1", "img2", "gt"))
    tokens, depth = model.tokens(first, second), len(model.transformer.encoder)
    yield Check("enc_last", tokens[depth - 1][:, ::2, ::8], out["enc_last"])
    yield Check("enc_first", tokens[0][:, ::2, ::8], out["enc_first"])
    yield Check("enc_img2", model.transformer.encode(second)[-1][:, ::2, ::8], out["enc_img2"])
    yield Check("dec_first", tokens[depth][:, ::2, ::8], out["dec_first"])
    yield Check("dec_last", tokens[-1][:, ::2, ::8], out["dec_last"])
    raw = model.infer(first, second)
    yield Check("prediction", raw, out["prediction"])
    truth[:, :, ::5, ::3] = torch.inf
    valid = torch.isfinite(truth).all(1)
    loss = CRITERIA[model.criterion](raw[:, :-1], raw[:, -1], truth, valid)
    yield Check("loss", loss.reshape(1), out["loss"])
    rows = []
    for values, true, known in zip(raw[:, :-1].numpy(), truth.numpy(), valid.numpy(), strict=True):
        if stereo:
            found = stereo_errors(values[0], true[0], known)
            rows.append([found[n] for n in ("avgerr", "rmse", *(f"bad@{t:g}" for t in STEREO_LIMITS))])
        else:
            found = flow_errors(values.transpose(1, 2, 0), true.transpose(1, 2, 0), known)
            rows.append([found[n] for n in ("L1", "EPE", *(f"bad@{t:g}" for t in FLOW_LIMITS))])
    yield Check("metrics", np.mean(rows, 0), out["metrics"])
    big = [torch.from_numpy(case.inputs[name]) for name in ("big1", "big2")]
    overlap = config.get("tile_overlap", config.get("overlap", 0.5))
    enough = [enlarge(picture, model.tile) for picture in big]
    values, confidence = predict_tiled(model.infer, *enough, model.tile, overlap, model.blending, batch=1)
    yield Check("tiled", resize_displacements(values, big[0].shape[-2:]), out["tiled"])
    yield Check("tiled_conf", confidence, out["tiled_conf"])


@torch.no_grad()
def completion(case: Case) -> Iterator[Check]:
    config, out, state = case.reference["config"], case.outputs, _state(case)
    size = _pictures(config)
    model = CroCoCompletion(_size(config, state), image_size=size, positions=config.get("pos_embed", "RoPE100")).eval()
    load_official(model, state)
    first, second = (torch.from_numpy(case.inputs[name]) for name in ("img1", "img2"))
    mask = torch.from_numpy(case.inputs["mask"]).bool()
    yield Check("visible_tokens", model.visible_tokens(first, mask)[0], out["visible_tokens"])
    patches, target = model.complete(first, second, mask), patches_of(first)
    yield Check("reconstruction", patches[:, :, ::6], out["reconstruction"])
    yield Check("target", target[:, :, ::6], out["target"])
    grid = (size[0] // 16, size[1] // 16)
    yield Check("image", image_of(patches, grid)[:, :, ::4, ::4], out["image"])
    yield Check("loss", completion_loss(patches, target, mask, normalise=False).reshape(1), out["loss"])
    yield Check("loss_norm", completion_loss(patches, target, mask).reshape(1), out["loss_norm"])


KINDS = {"croco": binocular, "croco_completion": completion}
