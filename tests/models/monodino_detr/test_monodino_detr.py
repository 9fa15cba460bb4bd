"""Frozen features, aspect-preserving input, training; the numbers are checked by the parity case."""

import pytest
import torch

from perception.errors import RecipeError
from perception.models.depth_anything import model as depth_anything
from perception.models.monodino_detr import model as module
from perception.models.monodino_detr.weights import convert
from perception.models.registry import build_model

SMALL = {"vits": (24, 4, 2, (0, 1, 2, 3), "mlp", 16, (8, 32, 64, 12))}
TINY = {
    "type": "MonoDINODETR",
    "encoder": "vits",
    "vit_size": (42, 84),
    "image_size": (64, 128),
    "dim": 64,
    "heads": 4,
    "ffn_dim": 64,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 5,
    "query_groups": 2,
    "depth_bins": 16,
}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(depth_anything, "SIZES", SMALL)
    monkeypatch.setattr(module, "SIZES", SMALL)
    torch.manual_seed(0)
    return lambda **changes: build_model({**TINY, **changes})


def batch():
    return {
        "image": torch.randint(0, 256, (2, 3, 64, 128), dtype=torch.uint8),
        "intrinsics": torch.tensor([[100.0, 0, 64], [0, 100, 32], [0, 0, 1]]).expand(2, 3, 3),
        "boxes3d": [torch.tensor([[-2.0, 0.5, 12.0, 3.9, 1.6, 1.5, 0.4]]), torch.zeros(0, 7)],
        "labels3d": [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)],
    }


@pytest.mark.parametrize("dynamic_anchors", [True, False])
def test_only_the_detector_trains(tiny, dynamic_anchors):
    model, data = tiny(dynamic_anchors=dynamic_anchors).train(), batch()
    losses = model.loss(model(**model.inputs(data)), data)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(("vit.", "depth_head."))
        assert (parameter.grad is None) == frozen, name


def test_backbone_can_be_trained(tiny):
    model, data = tiny(train_backbone=True).train(), batch()
    sum(model.loss(model(**model.inputs(data)), data).values()).backward()
    assert model.vit.patch_embed.weight.grad is not None and model.depth_head.out.weight.grad is not None


@pytest.mark.parametrize("convention", ["exact", "official"])
def test_input_of_any_size_meets_the_transformers(tiny, convention):
    model = tiny(convention=convention).eval()
    with torch.no_grad():
        out = model(
            torch.randint(0, 256, (1, 3, 61, 100), dtype=torch.uint8), torch.tensor([90.0]), torch.tensor([61.0])
        )
    assert out["depth_map"].shape == (1, 3, 6)


def test_official_point_queries_leave_the_layers_of_anchors_out():
    """`use_dab: False` keeps them in the file, and never asks them."""
    scale = {"depthaware_transformer.decoder.query_scale.layers.0.weight": torch.zeros(4, 4)}
    points = {"query_embed.weight": torch.zeros(5, 8)}
    assert convert(points | scale).keys() == {"decoder.position", "decoder.content"}
    anchors = {"tgt_embed.weight": torch.zeros(5, 4), "refpoint_embed.weight": torch.zeros(5, 6)}
    expected = {"decoder.content", "decoder.anchors", "decoder.position_scale.layers.0.weight"}
    assert convert(anchors | scale).keys() == expected


def test_wrong_sizes(tiny):
    with pytest.raises(RecipeError, match="multiples of 14"):
        tiny(vit_size=(500, 500))
    with pytest.raises(RecipeError, match="3 levels"):
        tiny(levels=4)


def test_tokens_may_be_clustered(tiny):
    """At evaluation alone; as many clusters as tokens change nothing."""
    plain = tiny().eval()
    image = torch.randint(0, 256, (1, 3, 64, 128), dtype=torch.uint8)
    wanted = plain.backbone_features(plain.normalise(image))[0]
    for share, same in ((1.0, True), (0.5, False)):
        model = tiny(token_clustering={"after": 1, "clusters": share}).eval()
        model.load_state_dict(plain.state_dict())
        maps = model.backbone_features(model.normalise(image))[0]
        assert torch.equal(maps[0], wanted[0])  # tapped before the clustering
        assert all(torch.equal(a, b) == same for a, b in zip(maps[1:], wanted[1:], strict=True))
        assert torch.equal(model.train().backbone_features(model.normalise(image))[0][-1], wanted[-1])
