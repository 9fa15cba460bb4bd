"""Matching and losses: assignment within groups, robustness, and values that can be computed by hand."""

import math

import pytest
import torch

from perception.models.monodetr.depth_bins import DepthBins
from perception.models.monodetr.losses import MonoCriterion, sigmoid_focal
from perception.models.monodetr.matcher import GroupMatcher, edges, generalised_iou
from perception.models.monodetr.targets import MonoTargets


def targets_of(counts=(2, 0, 1), classes=3):
    generator = torch.Generator().manual_seed(0)
    longest = max(counts)
    shape = (len(counts), longest)
    boxes = torch.rand(*shape, 6, generator=generator) * 0.2
    boxes[..., :2] += 0.4
    return MonoTargets(
        labels=torch.randint(0, classes, shape, generator=generator),
        boxes=boxes,
        boxes2d=edges(boxes),
        depths=5 + 40 * torch.rand(shape, generator=generator),
        sizes=1 + torch.rand(*shape, 3, generator=generator),
        heading_bins=torch.randint(0, 12, shape, generator=generator),
        heading_residuals=torch.rand(shape, generator=generator) * 0.2,
        valid=torch.arange(longest) < torch.tensor(counts)[:, None],
        counts=counts,
    )


def random_outputs(batch=3, queries=8, classes=3):
    generator = torch.Generator().manual_seed(3)
    boxes = torch.rand(batch, queries, 6, generator=generator)
    return {
        "logits": torch.randn(batch, queries, classes, generator=generator),
        "boxes": boxes,
        "sizes": torch.rand(batch, queries, 3, generator=generator) + 1,
        "depths": torch.rand(batch, queries, generator=generator) * 40,
        "depth_log_variances": torch.zeros(batch, queries),
        "headings": torch.randn(batch, queries, 24, generator=generator),
        "depth_logits": torch.randn(batch, 17, 4, 6, generator=generator),
    }


def test_every_group_gets_every_object_once():
    targets = targets_of()
    ((picture, query, item),) = GroupMatcher()([random_outputs()], targets, groups=2)
    assert len(picture) == 2 * 3
    for group in range(2):
        inside = (query >= 4 * group) & (query < 4 * group + 4)
        pairs = sorted(zip(picture[inside].tolist(), item[inside].tolist(), strict=True))
        assert pairs == [(0, 0), (0, 1), (2, 0)]


def test_matcher_finds_the_planted_queries():
    targets, outputs = targets_of((2,)), random_outputs(1)
    for item, query in ((0, 5), (1, 2)):
        outputs["boxes"][0, query] = targets.boxes[0, item]
        outputs["logits"][0, query] = torch.nn.functional.one_hot(targets.labels[0, item], 3) * 8.0 - 4
    ((_, query, item),) = GroupMatcher()([outputs], targets, groups=1)
    assert dict(zip(item.tolist(), query.tolist(), strict=True)) == {0: 5, 1: 2}


def test_one_nan_query_does_not_stop_the_matching():
    outputs = random_outputs()
    outputs["boxes"][0, 1] = float("nan")
    ((picture, query, _),) = GroupMatcher()([outputs], targets_of(), groups=1)
    assert 1 not in query[picture == 0].tolist()


def test_perfect_boxes_cost_nothing():
    targets, outputs = targets_of((2,)), random_outputs(1)
    for name, value in (("boxes", targets.boxes), ("sizes", targets.sizes), ("depths", targets.depths)):
        outputs[name][0, :2] = value[0]
    criterion = MonoCriterion(DepthBins(16))
    match = (torch.zeros(2, dtype=torch.int64), torch.arange(2), torch.arange(2))
    losses = criterion.layer_losses(outputs, targets, match, 2.0)
    for name in ("centre", "sides", "giou", "depth", "size"):
        assert losses[name].abs() < 1e-5, name


def test_focal_loss_by_hand():
    wanted = torch.tensor([1.0, 0.0])
    found = sigmoid_focal(torch.zeros(2), wanted)
    assert found.tolist() == pytest.approx([0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)])


def test_giou_by_hand_and_for_boxes_without_extent():
    a, b = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([2.0, 0.0, 3.0, 1.0])
    assert generalised_iou(a, a).item() == pytest.approx(1.0)
    assert generalised_iou(a, b).item() == pytest.approx(-1 / 3)
    assert generalised_iou(torch.zeros(4), torch.zeros(4)).isfinite()


def test_near_objects_hide_far_ones_in_the_depth_map():
    boxes2d = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 0.75, 1.0], [-0.2, 0.0, 0.1, 1.0]]])
    targets = targets_of((3,))
    targets = MonoTargets(**{**vars(targets), "boxes2d": boxes2d, "depths": torch.tensor([[10.0, 30.0, 20.0]])})
    bins = DepthBins(80)
    near, far, middle = (bins.classify(torch.tensor(d)).item() for d in (10.0, 30.0, 20.0))
    classes, inside = MonoCriterion(bins).depth_map_targets(targets, (1, 8))
    assert classes[0, 0].tolist() == [near, near, near, near, far, far, 80, 80]
    assert inside[0, 0].tolist() == [True] * 6 + [False] * 2
    alone = MonoTargets(**{**vars(targets), "depths": torch.tensor([[30.0, 30.0, 20.0]])})
    assert MonoCriterion(bins).depth_map_targets(alone, (1, 8))[0][0, 0, 0] == middle
    # the released code loses a box that begins left of the picture
    assert MonoCriterion(bins, convention="official").depth_map_targets(alone, (1, 8))[0][0, 0, 0] == far


def test_depth_map_loss_prefers_the_truth():
    targets = targets_of((1,))
    criterion = MonoCriterion(DepthBins(16))
    classes, _ = criterion.depth_map_targets(targets, (4, 6))
    right = torch.nn.functional.one_hot(classes, 17).permute(0, 3, 1, 2) * 12.0
    assert criterion.depth_map_loss(right, targets) < 1e-3 < criterion.depth_map_loss(-right, targets)
