"""Parts of released ancestors: official names in, the same numbers here; anything that does not fit is an error."""

from __future__ import annotations

import pytest
import torch

from perception.errors import WeightsError
from perception.models.hydra.weights import load_ancestor
from perception.models.registry import build_model
from tests.models.hydra.conftest import TINY


def official(model) -> dict[str, torch.Tensor]:
    """The model's state as FB-BEV would name it."""
    state = {f"img_backbone.{k}": v for k, v in model.backbone.net.state_dict().items()}
    for key, value in model.head.state_dict().items():
        names = key.split(".")
        if names[0] == "shared":
            if names[1] != "2":
                state[f"pts_bbox_head.shared_conv.{'conv' if names[1] == '0' else 'bn'}.{names[2]}"] = value
            continue
        place = {"0": "0.conv", "1": "0.bn", "3": "1"}[names[4]]
        state[f"pts_bbox_head.task_heads.{names[1]}.{names[3]}.{place}.{names[5]}"] = value
    layer = "backward_projection.transformer.encoder.layers.0."
    for key, value in model.backward_projection.state_dict().items():
        first, _, rest = key.partition(".")
        if first == "self_attention" and rest.startswith("sampling"):
            leaf = rest.split(".")[1]
            count = len(value) * 2 // 3
            state[f"{layer}attentions.0.sampling_offsets.{leaf}"] = value[:count]
            state[f"{layer}attentions.0.attention_weights.{leaf}"] = value[count:]
        elif first == "self_attention":
            state[f"{layer}attentions.0.{rest}"] = value
        elif first == "camera_attention":
            name = rest.replace("offsets", "sampling_offsets").replace("weights.", "attention_weights.")
            inner = "" if rest.startswith("output_proj") else "deformable_attention."
            state[f"{layer}attentions.1.{inner}{name}"] = value
        elif first == "ffn":
            state[f"{layer}ffns.0.layers.{'0.0' if rest[0] == '0' else '1'}{rest[1:]}"] = value
        elif first == "norms":
            state[f"{layer}norms.{rest}"] = value
        elif first in ("row_embed", "col_embed"):
            state[f"backward_projection.positional_encoding.{key}"] = value
        elif first == "bev_embedding":
            state[f"backward_projection.{key}"] = value
        else:
            state[f"backward_projection.transformer.{key}"] = value
    return state


def test_parts_of_fb_bev_load_one_to_one() -> None:
    torch.manual_seed(0)
    source, target = build_model(TINY), build_model(TINY)
    parts = ("backbone", "backward_projection", "head")
    state = official(source) | {"img_neck.conv.weight": torch.zeros(1), "img_neck.conv.bias": torch.zeros(1)}
    report = load_ancestor(target, state, parts)
    assert report.parts == parts and set(report.loaded) | set(report.dropped) == set(state)
    assert report.dropped == ("img_neck.conv.bias", "img_neck.conv.weight")
    assert str(report).endswith(
        f"{len(state) - 2} of {len(state)} entries of the checkpoint loaded; left out: img_neck.conv (2)"
    )
    for part in parts:
        theirs, ours = getattr(source, part).state_dict(), getattr(target, part).state_dict()
        assert all(torch.equal(theirs[key], ours[key]) for key in theirs)


def test_what_does_not_fit_is_an_error() -> None:
    model = build_model(TINY)
    state = official(model)
    with pytest.raises(WeightsError, match="no entries that begin with depth_net"):
        load_ancestor(model, state, ["depth_net"])
    del state["pts_bbox_head.shared_conv.conv.weight"]
    with pytest.raises(WeightsError, match="1 missing"):
        load_ancestor(model, state, ["head"])
    state["backward_projection.surprise"] = torch.zeros(1)
    with pytest.raises(WeightsError, match="surprise"):
        load_ancestor(model, state, ["backward_projection"])


def test_bevdepth_names_and_its_trunk_inside_the_head() -> None:
    torch.manual_seed(0)
    source, target = build_model(TINY), build_model(TINY)
    state = {}
    for key, value in official(source).items():
        if key.startswith(("img_backbone.", "pts_bbox_head.")):
            state[
                "model." + key.replace("img_backbone.", "backbone.img_backbone.").replace("pts_bbox_head.", "head.")
            ] = value
    state["model.head.trunk.layer1.0.conv1.weight"] = torch.zeros(3)
    report = load_ancestor(target, {"state_dict": state}, ("backbone", "head"))
    assert report.dropped == ("head.trunk.layer1.0.conv1.weight",)
    for part in ("backbone", "head"):
        theirs, ours = getattr(source, part).state_dict(), getattr(target, part).state_dict()
        assert all(torch.equal(theirs[key], ours[key]) for key in theirs)


def test_a_refused_part_leaves_the_model_unchanged() -> None:
    source, target = build_model(TINY), build_model(TINY)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = official(source)
    del state["pts_bbox_head.shared_conv.conv.weight"]
    with pytest.raises(WeightsError, match="1 missing"):
        load_ancestor(target, state, ["backbone", "head"])
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())
    with pytest.raises(WeightsError, match="built without 'backward_projection'"):
        load_ancestor(build_model({**TINY, "backward": None}), official(source), ["backward_projection"])
