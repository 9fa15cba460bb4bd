"""Augmented boxes still lie on the augmented picture."""

import math

import numpy as np
import pytest
import torch

from perception.datasets.transforms.mono3d import Mono3DAugment, Mono3DFilter, Mono3DPhotometric, shift_hue_saturation
from perception.datasets.transforms.registry import build_batch_transform
from perception.errors import DatasetError

K = torch.tensor([[200.0, 0, 70], [0, 200, 40], [0, 0, 1]])


def batch(count=3):
    generator = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[-2.0, 0.3, 14.0, 3.9, 1.6, 1.5, 0.4], [3.0, 0.2, 25.0, 0.8, 0.6, 1.7, -1.2]])
    return {
        "image": torch.randint(0, 256, (count, 3, 80, 160), dtype=torch.uint8, generator=generator),
        "intrinsics": K.expand(count, 3, 3).clone(),
        "boxes3d": [boxes.clone() for _ in range(count)],
        "boxes2d": [torch.tensor([[20.0, 30, 60, 50], [80, 30, 100, 60]]) for _ in range(count)],
        "labels3d": [torch.tensor([1, 0]) for _ in range(count)],
        "depth": torch.ones(count, 80, 160),
    }


def centres(boxes, k):
    return (boxes[:, :2] / boxes[:, 2:3]) * k[[0, 1], [0, 1]] + k[:2, 2]


def numbers(flip, window, moved):
    return torch.tensor([flip]), torch.tensor([window]), torch.tensor([moved])


@pytest.mark.parametrize("scale_depth,mirror_camera", [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize(
    "flip,window,moved", [(True, 1.0, [0.0, 0.0]), (False, 1.05, [0.1, -0.07]), (True, 0.96, [-0.05, 0.03])]
)
def test_boxes_move_with_their_pixels(scale_depth, mirror_camera, flip, window, moved):
    data = batch(1)
    out = Mono3DAugment(scale_depth=scale_depth, mirror_camera=mirror_camera).apply(data, *numbers(flip, window, moved))
    before = centres(data["boxes3d"][0], K)
    size = torch.tensor([160.0, 80.0])
    mirrored = torch.stack((160 - before[:, 0], before[:, 1]), 1) if flip else before
    expected = (mirrored - (0.5 + torch.tensor(moved)) * size) / window + size / 2
    after = centres(out["boxes3d"][0], out["intrinsics"][0])
    torch.testing.assert_close(after, expected, atol=1e-3, rtol=1e-5)
    if window == 1.0:
        assert out["intrinsics"][0][0, 2].item() == pytest.approx(90.0 if mirror_camera else 70.0)
    if scale_depth:
        torch.testing.assert_close(out["boxes3d"][0][:, 2], data["boxes3d"][0][:, 2] * window)
    # what is seen of the object, its angle to the ray, stays (or is mirrored)
    views = [b[:, 6] + torch.atan2(b[:, 0], b[:, 2]) for b in (data["boxes3d"][0], out["boxes3d"][0])]
    wanted = math.pi - views[0] if flip else views[0]
    assert torch.remainder(views[1] - wanted + math.pi, 2 * math.pi).sub(math.pi).abs().max() < 1e-4
    assert (out["boxes2d"][0][:, 2:] > out["boxes2d"][0][:, :2]).all()


def test_pixels_move_with_the_boxes():
    data = batch(1)
    data["image"] = torch.zeros(1, 3, 80, 160, dtype=torch.uint8)
    data["image"][..., 30:50, 20:60] = 200
    out = Mono3DAugment().apply(data, *numbers(True, 1.04, [0.05, 0.02]))
    rows, columns = torch.nonzero(out["image"][0, 0] > 100, as_tuple=True)
    seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
    assert (seen - out["boxes2d"][0][0]).abs().max() < 1.01


def test_mirroring_twice_is_nothing():
    data = batch(2)
    augment, same = Mono3DAugment(), (torch.ones(2), torch.zeros(2, 2))
    out = augment.apply(augment.apply(data, torch.tensor([True, True]), *same), torch.tensor([True, True]), *same)
    assert torch.equal(out["image"], data["image"])
    torch.testing.assert_close(out["boxes3d"][0], data["boxes3d"][0])
    torch.testing.assert_close(out["intrinsics"], data["intrinsics"])


def test_random_draws_repeat_and_stale_maps_go():
    augment = build_batch_transform({"type": "Mono3DAugment", "mixup": 0.5})
    results = []
    for _ in range(2):
        torch.manual_seed(4)
        results.append(augment(batch()))
    assert torch.equal(results[0]["image"], results[1]["image"]) and "depth" not in results[0]
    with pytest.raises(DatasetError, match="one size"):
        augment({**batch(2), "image": [torch.zeros(3, 8, 8), torch.zeros(3, 9, 8)]})


def test_mixing_keeps_the_objects_of_both():
    torch.manual_seed(0)
    data = batch(4)
    out = Mono3DAugment(flip=0, crop=0, mixup=1.0)(data)
    counts = [len(b) for b in out["boxes3d"]]
    assert 4 in counts and [len(x) for x in out["labels3d"]] == counts
    other = {**data, "intrinsics": data["intrinsics"] + torch.arange(4.0)[:, None, None] * 5}
    assert [len(b) for b in Mono3DAugment(flip=0, crop=0, mixup=1.0)(other)["boxes3d"]] == [2] * 4


def test_filter():
    data = batch(2) | {"truncation": [torch.tensor([0.1, 0.9])] * 2, "occlusion": [torch.tensor([0, 0])] * 2}
    out = Mono3DFilter(min_height=15)(data)
    assert [len(x) for x in out["boxes3d"]] == [1, 1] and out["labels3d"][0].tolist() == [1]
    assert [len(x) for x in Mono3DFilter(min_height=25)(batch(1))["boxes3d"]] == [1]
    assert Mono3DFilter(min_height=0, classes=[0])(batch(1))["labels3d"][0].tolist() == [0]


def test_colours_stay_in_range_and_strength_zero_is_nothing():
    torch.manual_seed(0)
    data = batch(8)
    data["image"][0], data["image"][1] = 255, 0
    out = Mono3DPhotometric()(data)["image"]
    assert out.dtype == torch.uint8 and not torch.equal(out, data["image"])
    assert out[0].float().mean() > 100 and out[1].float().mean() < 40  # white does not wrap around to black
    calm = Mono3DPhotometric(strength=0)(data)["image"]
    assert (calm.int() - data["image"].int()).abs().max() <= 1


def test_hue_like_opencv():
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).random((6, 7, 3), dtype=np.float32)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 25) % 360
    hsv[..., 1] = np.clip(hsv[..., 1] * 0.7, 0, 1)
    expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)
    turned = shift_hue_saturation(
        torch.from_numpy(image.transpose(2, 0, 1))[None] * 255, torch.full((1, 1, 1), 25.0), torch.full((1, 1, 1), 0.7)
    )
    np.testing.assert_allclose(turned[0].numpy() / 255, expected, atol=2e-4)
