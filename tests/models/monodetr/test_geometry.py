"""Targets and decoding are inverse to each other in any picture; the official decoder is not, by the amount the specification measured."""

import math

import pytest
import torch

from perception.geometry import Pinhole
from perception.models.monodetr.depth_bins import DepthBins
from perception.models.monodetr.postprocess import MonoPostprocess
from perception.models.monodetr.preprocess import MonoPreprocess
from perception.models.monodetr.targets import VirtualLens, decode_heading, encode_batch, encode_heading, wrap

BOXES = torch.tensor(
    [[-6.0, 1.0, 15.0, 3.9, 1.6, 1.5, 0.4], [4.0, 0.5, 30.0, 4.4, 1.8, 1.6, -2.9], [0.3, 0.9, 8.0, 0.8, 0.6, 1.7, 1.6]]
)


def outputs_of(targets, bins=12):
    """Network outputs that say exactly what the targets say."""
    count = targets.boxes.shape[1]
    logits = torch.full((1, count, 3), -9.0)
    logits.scatter_(2, targets.labels[..., None], 4.0)
    headings = torch.zeros(1, count, 2 * bins)
    headings.scatter_(2, targets.heading_bins[..., None], 5.0)
    headings.scatter_(2, targets.heading_bins[..., None] + bins, targets.heading_residuals[..., None])
    return {
        "logits": logits,
        "boxes": targets.boxes,
        "sizes": targets.sizes,
        "depths": targets.depths,
        "depth_log_variances": torch.zeros(1, count),
        "headings": headings,
    }


def round_trip(width, height, convention, lens=None):
    camera = Pinhole(700.0, 690.0, width * 0.48, height * 0.46, width, height)
    preprocess = MonoPreprocess((384, 1280), convention)
    transform = preprocess.transform(width, height)
    moved = camera.transformed(transform)
    batch = {
        "image": torch.zeros(1, 3, 384, 1280),
        "boxes3d": [BOXES],
        "labels3d": [torch.tensor([1, 1, 0])],
        "intrinsics": torch.from_numpy(moved.matrix).float()[None],
    }
    targets = encode_batch(batch, (1280, 384), heading_bins=12, depth_range=(0, 500), lens=lens, convention=convention)
    assert targets.counts == (3,)
    post = MonoPostprocess(("a", "b", "c"), convention)
    (found,) = post.decode(outputs_of(targets), [camera], [transform], lens)
    order = [int((found["boxes3d"][:, 2] - b[2]).abs().argmin()) for b in BOXES]
    return found["boxes3d"][order]


@pytest.mark.parametrize("width,height", [(1242, 375), (1920, 1080), (640, 480), (300, 900)])
@pytest.mark.parametrize("lens", [None, VirtualLens(740.0), VirtualLens(740.0, 0.3)])
def test_exact_decoding_inverts_the_targets(width, height, lens):
    found = round_trip(width, height, "exact", lens)
    torch.testing.assert_close(found[:, :6], BOXES[:, :6], atol=2e-3, rtol=1e-4)
    assert wrap(found[:, 6] - BOXES[:, 6]).abs().max() < 1e-3


def test_official_decoding_is_off_where_the_picture_is_not_kittis():
    kitti, wide = (round_trip(w, h, "official") for w, h in ((1242, 375), (1920, 1080)))
    assert (kitti[:, 1] - BOXES[:, 1]).abs().max() < 0.06  # about a pixel
    assert (wide[:, 1] - BOXES[:, 1]).abs().max() > 1.0


def test_headings_survive_encoding():
    alpha = torch.linspace(-math.pi, math.pi, 721)[:-1]
    for bins in (12, 7, 1):
        index, residual = encode_heading(alpha, bins)
        assert residual.abs().max() <= math.pi / bins + 1e-5 and index.max() < bins
        scores = torch.nn.functional.one_hot(index, bins).float()
        values = torch.zeros(len(alpha), bins).scatter_(1, index[:, None], residual[:, None])
        assert wrap(decode_heading(torch.cat((scores, values), 1), bins) - alpha).abs().max() < 1e-5


def test_depths_fall_into_their_bins():
    for bins in (DepthBins(), DepthBins(40, 1.0, 120.0)):
        values = bins.values()
        inside = values[:-1] + 0.4 * (torch.arange(bins.count) + 1) * bins.growth
        assert torch.equal(bins.classify(inside), torch.arange(bins.count))
        assert values[-1] == bins.far and (values.diff()[:-1].diff() > 0).all()
        assert bins.classify(torch.tensor([0.0, float("nan"), float("inf"), -3.0])).tolist() == [bins.count] * 4
        beyond = torch.tensor([bins.far * 1.2])
        assert bins.classify(beyond).item() == bins.count
        assert bins.classify(beyond, beyond_is_background=False).item() == bins.count - 1


def test_objects_that_cannot_be_learnt_are_left_out():
    batch = {
        "boxes3d": [torch.cat((BOXES, torch.tensor([[0.0, 0.0, 90.0, 4, 2, 1.5, 0], [-60.0, 0, 20, 4, 2, 1.5, 0]])))],
        "labels3d": [torch.tensor([0, 1, 2, 1, 1])],
        "intrinsics": torch.tensor([[[700.0, 0, 640], [0, 700, 192], [0, 0, 1]]]),
    }
    given = {"heading_bins": 12, "depth_range": (2.0, 65.0)}
    targets = encode_batch(batch, (1280, 384), **given)
    assert targets.counts == (3,) and targets.labels.tolist() == [[0, 1, 2]]
    assert encode_batch(batch, (1280, 384), max_objects=2, **given).counts == (2,)
