"""Queries that start at peaks: the heat map's truth, the choice, the losses, and the network around them."""

import io

import pytest
import torch

from perception.errors import RecipeError
from perception.models.monodetr.proposals import CentreProposals, centre_heat, proposal_losses
from perception.models.monodetr.targets import MonoTargets

from .test_export import Boxes


def targets(boxes, labels, valid):
    """One picture."""
    n = len(boxes)
    zeros = torch.zeros(1, n)
    return MonoTargets(
        labels=torch.tensor([labels]),
        boxes=torch.tensor([boxes], dtype=torch.float32),
        boxes2d=torch.zeros(1, n, 4),
        depths=zeros + 10,
        sizes=torch.ones(1, n, 3),
        heading_bins=torch.zeros(1, n, dtype=torch.int64),
        heading_residuals=zeros,
        valid=torch.tensor([valid]),
        counts=(sum(valid),),
    )


TWO = targets(
    [[0.26, 0.55, 0.1, 0.1, 0.2, 0.2], [0.8, 0.2, 0.05, 0.05, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1, 0.1, 0.1]],
    [1, 0, 2],
    [True, True, False],
)


def test_heat_is_one_at_the_centres_and_falls_with_the_objects_size():
    heat = centre_heat(TWO, 3, (10, 20))
    assert (heat == 1).nonzero().tolist() == [[0, 0, 2, 16], [0, 1, 5, 5]]
    assert heat[0, 2].max() == 0  # padding
    sigma = 0.2 * 20 / 6
    torch.testing.assert_close(heat[0, 1, 5, 6], torch.exp(torch.tensor(-0.5 / sigma**2)))


def maps_of(heat):
    height, width = heat.shape[-2:]
    boxes = torch.rand(1, height * width, 6)
    return {"heat": heat, "boxes": boxes, "tokens": torch.randn(1, height * width, 32)}


def test_queries_start_at_the_best_peaks_and_not_at_their_neighbours():
    heat = torch.full((1, 2, 6, 8), -6.0)
    heat[0, 0, 1, 1], heat[0, 0, 1, 2], heat[0, 1, 4, 6] = 4.0, 3.0, 2.0
    maps = maps_of(heat)
    boxes, content = CentreProposals(32, 2).eval().start(maps, 2, 1)
    assert content.shape == (1, 2, 32)
    torch.testing.assert_close(boxes[0], maps["boxes"][0, [8 + 1, 4 * 8 + 6]])


def test_only_further_groups_are_jittered_and_only_in_training():
    module, maps = CentreProposals(32, 2), maps_of(torch.randn(1, 2, 6, 8))
    calm, _ = module.eval().start(maps, 4, 3)
    torch.testing.assert_close(calm[:, 4:8], calm[:, :4])
    rough, _ = module.train().start(maps, 4, 3)
    torch.testing.assert_close(rough[:, :4], calm[:, :4].clamp(1e-3, 1 - 1e-3))
    assert (rough[:, 4:] - calm[:, 4:]).abs().amax() > 0.01


def test_fewer_cells_than_queries_repeat_the_peaks():
    boxes, content = CentreProposals(32, 2).eval().start(maps_of(torch.randn(1, 2, 1, 3)), 7, 1)
    assert boxes.shape == (1, 7, 6) and content.shape == (1, 7, 32)
    torch.testing.assert_close(boxes[:, 3:6], boxes[:, :3])


def test_losses_vanish_at_the_truth_and_not_elsewhere():
    heat = centre_heat(TWO, 3, (10, 20))
    maps = maps_of(torch.where(heat == 1, 20.0, -20.0))
    maps["boxes"][0, 2 * 20 + 16] = TWO.boxes[0, 1]
    maps["boxes"][0, 5 * 20 + 5] = TWO.boxes[0, 0]
    losses = proposal_losses(maps, TWO)
    assert losses["heat"] < 1e-6 and losses["start"] < 1e-5
    maps["heat"] = -maps["heat"]
    assert proposal_losses(maps, TWO)["heat"] > 10


def test_network_trains_every_weight_and_starts_where_it_says(tiny, batch):
    model = tiny(query_start="peaks", dropout=0.0, top_down=True).train()
    outputs = model(**model.inputs(batch))
    losses = model.loss(outputs, batch)
    assert {"loss_heat", "loss_start", "loss_class_0"} <= set(losses)
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    calm = model.eval()(**model.inputs(batch))
    assert "proposals" not in calm and calm["logits"].shape[1] == 6
    torch.testing.assert_close(outputs["logits"][:, :6], calm["logits"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(70, 101), (33, 47), (32, 32)])
def test_odd_sizes(tiny, size):
    image, one = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8), torch.ones(1)
    with torch.no_grad():
        found = Boxes(tiny(query_start="peaks").eval())(image, 100 * one, size[0] * one)
    assert all(value.isfinite().all() and value.abs().sum() > 0 for value in found)


@pytest.mark.parametrize("size", [(33, 47), *(pytest.param(s, marks=pytest.mark.slow) for s in ((70, 101), (32, 32)))])
def test_export(tiny, size):
    model = tiny(query_start="peaks").eval()
    image, one = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8), torch.ones(1)
    wrapped = Boxes(model)
    program = torch.export.export(wrapped, (image, 100 * one, size[0] * one))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    loaded = torch.export.load(buffer).module()
    for a, b in zip(loaded(image, 100 * one, size[0] * one), wrapped(image, 100 * one, size[0] * one), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_other_starts_and_strides_are_refused(tiny):
    fine = tiny("resnet18", strides=(4, 8, 16, 32))
    assert [tuple(m.shape[-2:]) for m in fine.pyramid(torch.zeros(1, 3, 64, 128))] == [
        (16, 32),
        (8, 16),
        (4, 8),
        (2, 4),
    ]
    with pytest.raises(RecipeError, match="one of 'learnt', 'peaks'"):
        tiny(query_start="random")
    with pytest.raises(RecipeError, match="3 to that many strides"):
        tiny(strides=(8, 16))
