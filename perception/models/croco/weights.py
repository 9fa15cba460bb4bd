"""Official CroCo checkpoints as weights of `CroCoCompletion` (CroCo.pth, CroCo_V2_*.pth) and `CroCo` (crocostereo*.pth, crocoflow*.pth).

Both hold their entries under ``model``. Downstream files list modules of the head twice, under two names; the second is left out. Queries, keys and
values of a self-attention are one matrix there and three here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly, read_checkpoint, state_dict_of
from perception.models.croco.dpt_head import LAYER_DIMS
from perception.models.croco.transformer import SIZES
from perception.models.layers.weight_files import rename, state_of

_TRANSFORMER: list[tuple[str, str | None]] = [
    (r"mask_token$", "mask_token"),
    (r"patch_embed\.proj\.", "transformer.patch_embed."),
    (r"enc_norm\.", "transformer.encoder_norm."),
    (r"dec_norm\.", "transformer.decoder_norm."),
    (r"decoder_embed\.", "transformer.to_decoder."),
    (r"enc_pos_embed$", "transformer.encoder_positions"),
    (r"dec_pos_embed$", "transformer.decoder_positions"),
    (r"prediction_head\.", "out."),
    (r"enc_blocks\.(\d+)\.attn\.(query|key|value|proj)\.", r"transformer.encoder.\1.attention.\2."),
    (r"enc_blocks\.(\d+)\.(norm[12]|mlp)\.", r"transformer.encoder.\1.\2."),
    (r"dec_blocks\.(\d+)\.attn\.(query|key|value|proj)\.", r"transformer.decoder.\1.attention.\2."),
    (r"dec_blocks\.(\d+)\.cross_attn\.projq\.", r"transformer.decoder.\1.cross.query."),
    (r"dec_blocks\.(\d+)\.cross_attn\.projk\.", r"transformer.decoder.\1.cross.key."),
    (r"dec_blocks\.(\d+)\.cross_attn\.projv\.", r"transformer.decoder.\1.cross.value."),
    (r"dec_blocks\.(\d+)\.cross_attn\.proj\.", r"transformer.decoder.\1.cross.proj."),
    (r"dec_blocks\.(\d+)\.norm_y\.", r"transformer.decoder.\1.norm_memory."),
    (r"dec_blocks\.(\d+)\.(norm[123]|mlp)\.", r"transformer.decoder.\1.\2."),
]
_HEAD: list[tuple[str, str | None]] = [
    (r"head\.dpt\.(scratch\.layer_rn|act_postprocess)\.", None),  # second names
    (r"head\.dpt\.scratch\.refinenet4\.resConfUnit1\.", None),  # never used
    *((rf"head\.dpt\.act_{i}_postprocess\.0\.", f"head.project.{i - 1}.") for i in range(1, 5)),
    *((rf"head\.dpt\.act_{i}_postprocess\.1\.", f"head.resize.{i - 1}.") for i in (1, 2, 4)),
    *((rf"head\.dpt\.scratch\.layer{i}_rn\.", f"head.reduce.{i - 1}.") for i in range(1, 5)),
    *((rf"head\.dpt\.scratch\.refinenet{i}\.out_conv\.", f"head.fuse.{i - 1}.project.") for i in range(1, 5)),
    *((rf"head\.dpt\.scratch\.refinenet{i}\.resConfUnit1\.", f"head.fuse.{i - 1}.skip_unit.") for i in range(1, 5)),
    *((rf"head\.dpt\.scratch\.refinenet{i}\.resConfUnit2\.", f"head.fuse.{i - 1}.unit.") for i in range(1, 5)),
    (r"head\.dpt\.head\.0\.", "head.narrow."),
    (r"head\.dpt\.head\.2\.", "head.hidden."),
    (r"head\.dpt\.head\.4\.", "head.out."),
]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official state -> state of `CroCo` or `CroCoCompletion`. Raises `WeightsError` for entries that no rule knows."""
    split: dict[str, Tensor] = {}
    downstream = any(key.startswith("head.dpt.") for key in state)
    for key, value in state.items():
        if found := re.fullmatch(r"((?:enc|dec)_blocks\.\d+\.attn\.)qkv\.(weight|bias)", key):
            for name, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                split[f"{found[1]}{name}.{found[2]}"] = part
        elif key in ("enc_pos_embed", "dec_pos_embed"):
            split[key] = value.reshape(value.shape[-2:])
        elif downstream and re.match(r"(mask_token$|prediction_head\.)", key):
            continue  # left over from completion
        else:
            split[key] = value
    return rename(split, [*_TRANSFORMER, *_HEAD])


def size_of(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Widths, depths and heads of an official state; heads are those of the published model of that width, else 64 (encoder) and 32 (decoder) channels each.

    Raises `WeightsError` for other states.
    """
    try:
        enc_dim, dec_dim = state["patch_embed.proj.weight"].shape[0], state["decoder_embed.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"the checkpoint holds no CroCo: the entry {error} was expected") from None
    depths = [
        1 + max(int(key.split(".")[1]) for key in state if key.startswith(f"{part}_blocks.")) for part in ("enc", "dec")
    ]
    enc_heads = {dim: heads for dim, _, heads, *_ in SIZES.values()}.get(enc_dim, enc_dim // 64)
    dec_heads = {dim: heads for *_, dim, _, heads in SIZES.values()}.get(dec_dim, dec_dim // 32)
    return {
        "enc_dim": enc_dim,
        "enc_depth": depths[0],
        "enc_heads": enc_heads,
        "dec_dim": dec_dim,
        "dec_depth": depths[1],
        "dec_heads": dec_heads,
    }


def model_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration that an official state belongs to. Tiles, criterion and blending are not among its entries: the published ones are taken."""
    size: Any = size_of(state)
    head = head_of(state) if "head.dpt.head.4.weight" in state else {}
    names = [name for name, numbers in SIZES.items() if tuple(size.values()) == numbers]
    size = names[0] if names else size
    positions = "cosine" if "enc_pos_embed" in state else "RoPE100"
    if "prediction_head.weight" in state and not any(key.startswith("head.dpt.") for key in state):
        return {"type": "CroCoCompletion", "size": size, "positions": positions}
    if "head.dpt.head.4.weight" not in state:
        raise WeightsError("the checkpoint holds neither CroCo's completion nor its DPT head")
    task = "stereo" if state["head.dpt.head.4.weight"].shape[0] == 2 else "flow"
    tile = (352, 704) if task == "stereo" else (320, 384)
    return {"type": "CroCo", "size": size, "positions": positions, "task": task, "tile": tile, **head}


def head_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The widths of an official state's head, where they are not the published ones."""
    head = "head.dpt."
    found = {
        "layer_dims": tuple(state[f"{head}act_{i}_postprocess.0.weight"].shape[0] for i in range(1, 5)),
        "features": state[f"{head}scratch.layer1_rn.weight"].shape[0],
        "head_dims": tuple(state[f"{head}head.{i}.weight"].shape[0] for i in (0, 2)),
    }
    published = {"layer_dims": LAYER_DIMS, "features": 256, "head_dims": (128, 32)}
    return {key: value for key, value in found.items() if value != published[key]}


def load_official(model: nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load an official file (or its dictionary), strictly."""
    load_strictly(model, convert(state_of(file_or_state)))


def load_completion(model: nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Start a downstream `CroCo` from a pre-trained one: all of its transformer, strictly; the head stays as it is.

    Takes official files, and what `CroCoCompletion` was published or saved as here. Raises `WeightsError`.
    """
    state = file_or_state
    if not isinstance(state, Mapping):
        path = Path(state)
        state = read_checkpoint(path / "model.safetensors" if path.is_dir() else path)
    state = state_dict_of(state, ("ema_state_dict", "state_dict", "model"))
    if not any(key.startswith("transformer.") for key in state):
        state = convert(state)
    state = {key: value.float() for key, value in state.items()}
    prefix = "transformer."
    load_strictly(model.transformer, {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
