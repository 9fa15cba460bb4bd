"""Panoramic videos of the world: frames, motions and range fit each other."""

from __future__ import annotations

import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.errors import RecipeError
from perception.models.video360.view_synthesis import warp_panorama


def test_true_range_and_motion_carry_one_frame_into_the_other(tmp_path) -> None:
    config = {"type": "WorldPanoramaVideo", "kind": "room", "seeds": [7, 7], "size": [64, 128], "cache": str(tmp_path)}
    sample = build_dataset(config)[0]
    assert sample["image"].shape == (3, 64, 128) and sample["neighbours"].shape == (2, 3, 64, 128)
    reference, depth = sample["image"][None].float(), sample["depth"][None, None].clamp(min=0.1)
    for j in range(2):
        frame, motion = sample["neighbours"][j : j + 1].float(), sample["neighbour_from_camera"][j]
        warped = warp_panorama(frame, depth, motion[None, :3, :3], motion[None, :3, 3])
        explained = (warped - reference).abs().mean()
        assert explained < 0.6 * (frame - reference).abs().mean()
        assert (
            explained
            < 0.8 * (warp_panorama(frame, depth, motion[None, :3, :3], -motion[None, :3, 3]) - reference).abs().mean()
        )
        assert 0.03 < motion[:3, 3].norm() < 0.25
    again = build_dataset(config)[0]  # from the cache
    assert torch.equal(again["neighbours"], sample["neighbours"]) and len(list(tmp_path.glob("*/*.npz"))) == 1


def test_options() -> None:
    for changes, text in (({"seeds": [3, 1]}, "first, last"), ({"offsets": [0]}, "other than 0")):
        with pytest.raises(RecipeError, match=text):
            build_dataset({"type": "WorldPanoramaVideo", **changes})
