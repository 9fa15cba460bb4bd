"""The trunks that timm lacks: maps of every stage (and class token, logits) with official checkpoints' entries.

Outputs are stored subsampled; the steps follow from the shapes, since the first cell of each axis is always kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perception.models.backbones.cswin import CSWinTransformer
from perception.models.backbones.cvt import CvT
from perception.models.backbones.hornet import SIZES as HORNET_SIZES
from perception.models.backbones.hornet import HorNet
from perception.models.backbones.rmt import RMT
from perception.models.backbones.rmt import SIZES as RMT_SIZES
from perception.models.backbones.soft import SIZES as SOFT_SIZES
from perception.models.backbones.soft import SOFT
from perception.models.backbones.sret import SReT
from perception.models.backbones.staged import load_official
from perception.models.backbones.transnext import SIZES as TRANSNEXT_SIZES
from perception.models.backbones.transnext import TransNeXt
from tests.parity.runner import Case, Check, kept_every


def _steps(full: tuple[int, ...], kept: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices [::step] that keep `kept` of `full` entries along every axis."""
    return tuple(
        slice(None, None, kept_every(length, count, 1, 2, 4, 8, 16, 32))
        for length, count in zip(full, kept, strict=True)
    )


def _check(name: str, actual: Tensor, expected: np.ndarray) -> Check:
    if actual.ndim == expected.ndim:
        actual = actual[_steps(tuple(actual.shape), expected.shape)]
    return Check(name, actual, expected)


def _state(case: Case) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(value)) for key, value in case.state.items()}


@torch.no_grad()
def _compare(
    case: Case, model: nn.Module, class_token: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None
) -> Iterator[Check]:
    model.eval()
    load_official(model, _state(case))
    image = torch.from_numpy(case.inputs["image"])
    final, maps = model.forward_intermediates(image)
    for number, feature in enumerate(maps, 1):
        if f"stage{number}" in case.outputs:
            yield _check(f"stage{number}", feature, case.outputs[f"stage{number}"])
    if "cls" in case.outputs:
        yield _check("cls", class_token(model, image, final), case.outputs["cls"])
    yield _check("logits", model.forward_head(final), case.outputs["logits"])


def _config(case: Case) -> dict[str, Any]:
    config = case.reference.get("config")
    return dict(config) if isinstance(config, dict) else {}


def _arguments(network: type, config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The entries of an official configuration that our network takes, under our names."""
    known = inspect.signature(network).parameters
    renamed = {names.get(key, key): value for key, value in config.items()}
    return {key: value for key, value in renamed.items() if key in known}


def cswin(case: Case) -> Iterator[Check]:
    yield from _compare(case, CSWinTransformer(**_arguments(CSWinTransformer, _config(case), {"depth": "depths"})))


def cvt(case: Case) -> Iterator[Check]:
    config = {key.lower(): value for key, value in _config(case).items()}
    own = {
        "widths": config["dim_embed"],
        "num_heads": config["num_heads"],
        "depths": config["depth"],
        "mlp_ratios": config["mlp_ratio"],
        "patch": list(zip(config["patch_size"], config["patch_stride"], config["patch_padding"], strict=True)),
        "kernels": config["kernel_qkv"],
        "q_steps": list(zip(config["stride_q"], config["padding_q"], strict=True)),
        "kv_steps": list(zip(config["stride_kv"], config["padding_kv"], strict=True)),
        "qkv_bias": config["qkv_bias"],
        "class_token": config["cls_token"],
    }
    yield from _compare(case, CvT(**own), lambda model, image, final: model._run(image, len(model.stages) - 1)[-1][1])


def hornet(case: Case) -> Iterator[Check]:
    config = _config(case)
    own = dict(HORNET_SIZES.get(case.reference["entry"].rsplit(".", 1)[-1], {}))
    own |= {key: config[key] for key in ("depths", "base_dim", "orders", "spectra") if key in config}
    if "scale" in config:
        own["scale"] = float(Fraction(str(config["scale"])))
    yield from _compare(case, HorNet(**own))


def transnext(case: Case) -> Iterator[Check]:
    config = _config(case)
    entry = case.reference["entry"].split()[0].rsplit(".", 1)[-1].lower()
    own = dict(TRANSNEXT_SIZES.get(entry, {}))
    own["pretrain_size"] = config.get("pretrain_size") or config.get("img_size", 224)
    known = (
        "embed_dims",
        "num_heads",
        "mlp_ratios",
        "depths",
        "sr_ratios",
        "window_size",
        "qkv_bias",
        "fixed_pool_size",
    )
    own |= {key: config[key] for key in known if key in config}
    yield from _compare(case, TransNeXt(**own))


def rmt(case: Case) -> Iterator[Check]:
    sizes = {"T3": "rmt_tiny", "S": "rmt_small", "M2": "rmt_base", "L6": "rmt_large"}
    own = dict(RMT_SIZES.get(sizes.get(case.reference["entry"].rsplit("RMT_", 1)[-1], ""), {}))
    config = _config(case)
    names = {
        "init_values": "decay_strength",
        "heads_ranges": "decay_spread",
        "chunkwise_recurrents": "decomposed",
    }
    own |= _arguments(RMT, config, names)
    if "layerscales" in config:
        own["layer_scale"] = [config.get("layer_init_values", 1e-6) if used else None for used in config["layerscales"]]
    yield from _compare(case, RMT(**own))


def soft(case: Case) -> Iterator[Check]:
    own = dict(SOFT_SIZES.get(case.reference["entry"].rsplit(".", 1)[-1], {}))
    own |= _arguments(SOFT, _config(case), {"newton_max_iter": "iterations", "sr_ratios": "reductions"})
    yield from _compare(case, SOFT(**own), lambda model, image, final: final[:, 0])


def sret(case: Case) -> Iterator[Check]:
    config = _config(case)
    names = {"image_size": "img_size", "base_dims": "head_dims", "heads": "num_heads", "depth": "depths"}
    names["np_mlp_ratio"] = "projection_ratio"
    own = _arguments(SReT, config, names)
    if "wo_slice" in case.reference["entry"]:
        own |= {"groups1": [1, 1, 1], "groups2": [1, 1, 1]}
    model = SReT(**own)
    if "perm" in case.inputs:
        model.set_order(torch.from_numpy(case.inputs["perm"]))
    yield from _compare(case, model)


KINDS: dict[str, Callable[[Case], Iterator[Check]]] = {
    "backbones/cswin": cswin,
    "backbones/cvt": cvt,
    "backbones/hornet": hornet,
    "backbones/rmt": rmt,
    "backbones/soft": soft,
    "backbones/sret": sret,
    "backbones/transnext": transnext,
}
