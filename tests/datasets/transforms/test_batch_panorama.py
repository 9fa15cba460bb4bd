"""Turning panoramas about the vertical."""

from __future__ import annotations

import pytest
import torch

from perception.datasets.transforms.registry import build_batch_transform
from perception.errors import RecipeError


def batch_of() -> dict:
    image = torch.arange(8, dtype=torch.uint8).expand(5, 3, 4, 8).contiguous()
    return {"image": image, "depth": image[:, 0].float(), "depth_valid": image[:, 0] > 3, "meta": [{}] * 5}


def test_picture_and_truth_turn_together_and_nothing_is_lost() -> None:
    torch.manual_seed(0)
    batch = batch_of()
    turned = build_batch_transform({"type": "RandomPanoramaRoll"})(batch)
    assert torch.equal(turned["image"][:, 0].float(), turned["depth"])
    assert torch.equal(turned["depth_valid"], turned["depth"] > 3)
    shifts = turned["depth"][:, 0].argmin(-1)
    assert len(set(shifts.tolist())) > 1  # each picture by its own angle
    for index, shift in enumerate(shifts.tolist()):
        assert torch.equal(turned["depth"][index], batch["depth"][index].roll(shift, -1))


def test_quarter_turns() -> None:
    torch.manual_seed(0)
    turn = build_batch_transform({"type": "RandomPanoramaRoll", "steps": 4})
    seen = {int(s) for _ in range(6) for s in turn(batch_of())["depth"][:, 0].argmin(-1)}
    assert seen == {0, 2, 4, 6}


def test_a_video_turns_as_a_whole_and_its_motion_with_it() -> None:
    """True range and motion still carry each neighbour into the frame, wherever the frame was turned to."""
    from perception.models.video360.view_synthesis import warp_panorama
    from tests.models.video360.test_video360 import scene

    torch.manual_seed(0)
    reference, depth, target, rotation, translation = scene()
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3], motion[:3, 3] = rotation[0], translation[0]
    batch = {
        "image": reference.repeat(3, 1, 1, 1),
        "neighbours": target[:, None].repeat(3, 2, 1, 1, 1),
        "depth": depth[:, 0].repeat(3, 1, 1),
        "neighbour_from_camera": motion.repeat(3, 2, 1, 1),
    }
    turned = build_batch_transform({"type": "RandomPanoramaRoll"})(batch)
    assert not torch.equal(turned["image"], batch["image"])

    def cost(motions: torch.Tensor) -> torch.Tensor:
        moves = motions[:, 1, :3, :3], motions[:, 1, :3, 3]
        warped = warp_panorama(turned["neighbours"][:, 1], turned["depth"][:, None], *moves)
        return (warped - turned["image"]).abs().mean((1, 2, 3))

    assert (cost(turned["neighbour_from_camera"]) < 0.01).all()
    assert (cost(batch["neighbour_from_camera"]) > 0.02).any()  # the motion had to turn, too


def test_refuses_what_it_cannot_turn() -> None:
    turn = build_batch_transform({"type": "RandomPanoramaRoll"})
    with pytest.raises(RecipeError, match="whole panoramas"):
        turn(batch_of() | {"intrinsics": torch.eye(3).expand(5, 3, 3)})
    with pytest.raises(RecipeError, match="at least 1"):
        build_batch_transform({"type": "RandomPanoramaRoll", "steps": 0})
