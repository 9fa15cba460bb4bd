"""Rotated overlap against shapely, on random and degenerate rectangles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from shapely import Polygon

from perception.errors import InputError
from perception.geometry import boxes3d, rotated_iou


def rectangles(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = [-3, -3, 0.05, 0.05, -7], [3, 3, 5, 5, 7]
    return rng.uniform(low, high, (count, 5))


def polygon(footprint: np.ndarray) -> Polygon:
    a, b, length, width, yaw = footprint
    return Polygon(boxes3d.corners(np.array([a, b, 0, length, width, 1, yaw]), "ego")[:4, :2])


def shapely_iou(a: np.ndarray, b: np.ndarray) -> float:
    p, q = polygon(a), polygon(b)
    common = p.intersection(q).area
    return common / (p.area + q.area - common)


def test_pairwise_areas_and_iou_equal_shapely() -> None:
    a, b = rectangles(60, 0), rectangles(50, 1)
    expected = np.array([[polygon(p).intersection(polygon(q)).area for q in b] for p in a])
    assert (expected > 0).mean() > 0.3
    np.testing.assert_allclose(rotated_iou.bev_intersection(a, b), expected, atol=1e-9)
    area_a, area_b = a[:, 2] * a[:, 3], b[:, 2] * b[:, 3]
    np.testing.assert_allclose(
        rotated_iou.bev_iou(a, b), expected / (area_a[:, None] + area_b[None] - expected), atol=1e-9
    )


CHANGES = {
    "identical": lambda r: r.copy(),
    "turned by pi": lambda r: r + [0, 0, 0, 0, np.pi],
    "turned by 2 pi": lambda r: r + [0, 0, 0, 0, 2 * np.pi],
    "length and width exchanged, turned by pi/2": lambda r: r[:, [0, 1, 3, 2, 4]] + [0, 0, 0, 0, np.pi / 2],
    "half size, same centre": lambda r: r * [1, 1, 0.5, 0.5, 1],
    "half length, two shared sides": lambda r: r * [1, 1, 0.5, 1, 1],
    "moved along its own side": lambda r: (
        r + 0.3 * r[:, 2:3] * np.stack([np.cos(r[:, 4]), np.sin(r[:, 4])] + [0 * r[:, 4]] * 3, 1)
    ),
    "one side shared from inside": lambda r: (
        r * [1, 1, 0.5, 1, 1] + 0.25 * r[:, 2:3] * np.stack([np.cos(r[:, 4]), np.sin(r[:, 4])] + [0 * r[:, 4]] * 3, 1)
    ),
    "noise of 1e-13": lambda r: r + np.random.default_rng(2).normal(size=r.shape) * 1e-13,
    "noise of 1e-10": lambda r: r + np.random.default_rng(2).normal(size=r.shape) * 1e-10,
    "noise of 1e-7": lambda r: r + np.random.default_rng(2).normal(size=r.shape) * 1e-7,
    "noise of 1e-4": lambda r: r + np.random.default_rng(2).normal(size=r.shape) * 1e-4,
}


@pytest.mark.parametrize("name", CHANGES)
def test_degenerate_pairs_equal_shapely(name: str) -> None:
    base = rectangles(80, 3)
    other = CHANGES[name](base)
    expected = [shapely_iou(p, q) for p, q in zip(base, other, strict=True)]
    np.testing.assert_allclose(rotated_iou.bev_iou_matched(base, other), expected, atol=2e-9)
    np.testing.assert_allclose(rotated_iou.bev_iou_matched(other, base), expected, atol=2e-9)


def test_touching_rectangles_do_not_overlap() -> None:
    base = rectangles(80, 4)
    step = base[:, 2:3] * np.stack([np.cos(base[:, 4]), np.sin(base[:, 4])], 1)
    other = base.copy()
    other[:, :2] += step
    assert rotated_iou.bev_iou_matched(base, other).max() < 1e-9
    corner = base.copy()
    corner[:, :2] += step + base[:, 3:4] * np.stack([-np.sin(base[:, 4]), np.cos(base[:, 4])], 1)
    assert rotated_iou.bev_iou_matched(base, corner).max() < 1e-9


def test_identical_boxes_have_iou_one_far_from_the_origin() -> None:
    base = rectangles(50, 5) + [6e5, 4.5e6, 0, 0, 0]
    np.testing.assert_allclose(rotated_iou.bev_iou_matched(base, base), 1, atol=1e-9)


def test_zero_sized_and_empty_inputs_are_finite() -> None:
    base = rectangles(4, 6)
    flat = base * [1, 1, 0, 1, 1]
    assert (rotated_iou.bev_iou(flat, base) == 0).all() and (rotated_iou.bev_iou(flat, flat) == 0).all()
    assert rotated_iou.bev_iou(np.zeros((0, 5)), base).shape == (0, 4)
    assert rotated_iou.iou3d(np.zeros((0, 7)), np.zeros((0, 7)), "camera").shape == (0, 0)
    assert rotated_iou.bev_iou_matched(np.zeros((0, 5)), np.zeros((0, 5))).shape == (0,)


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_3d_iou_is_area_times_height(frame: str) -> None:
    rng = np.random.default_rng(7)
    low, high = [-2, -2, -2, 1, 1, 1, -4], [2, 2, 2, 4, 3, 2, 4]
    a, b = rng.uniform(low, high, (20, 7)), rng.uniform(low, high, (30, 7))
    area = rotated_iou.bev_intersection(boxes3d.bev(a, frame), boxes3d.bev(b, frame))
    up = 1 if frame == "camera" else 2
    top = np.minimum(a[:, None, up] + a[:, None, 5] / 2, b[None, :, up] + b[None, :, 5] / 2)
    bottom = np.maximum(a[:, None, up] - a[:, None, 5] / 2, b[None, :, up] - b[None, :, 5] / 2)
    common = area * np.clip(top - bottom, 0, None)
    expected = common / (a[:, None, 3:6].prod(-1) + b[None, :, 3:6].prod(-1) - common)
    got = rotated_iou.iou3d(a, b, frame)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert (got > 0).any()
    np.testing.assert_allclose(rotated_iou.iou3d_matched(a, b[:20], frame), np.diag(got[:, :20]), atol=1e-12)


def test_3d_iou_agrees_between_frames() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.uniform([-2, -2, -2, 1, 1, 1, -4], [2, 2, 2, 4, 3, 2, 4], (2, 40, 7))
    ego = rotated_iou.iou3d(boxes3d.camera_to_ego(a), boxes3d.camera_to_ego(b), "ego")
    np.testing.assert_allclose(rotated_iou.iou3d(a, b, "camera"), ego, atol=1e-9)


def test_tensors_stay_tensors_and_carry_gradients() -> None:
    a = torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.3]], requires_grad=True)
    b = torch.tensor([[0.5, 0.2, 3.0, 2.0, -0.1]])
    iou = rotated_iou.bev_iou_matched(a, b)
    assert iou.dtype == torch.float32
    iou.sum().backward()
    numeric = []
    for i in range(5):
        step = np.zeros((1, 5))
        step[0, i] = 1e-5
        base = a.detach().double().numpy()
        hi, lo = (rotated_iou.bev_iou_matched(base + s * step, b.double().numpy())[0] for s in (1, -1))
        numeric.append((hi - lo) / 2e-5)
    np.testing.assert_allclose(a.grad[0].numpy(), numeric, atol=1e-4)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(InputError, match=r"\(N, 5\)"):
        rotated_iou.bev_iou(np.zeros((3, 7)), np.zeros((3, 5)))
    with pytest.raises(InputError, match="pairs"):
        rotated_iou.bev_iou_matched(np.zeros((3, 5)), np.zeros((2, 5)))
