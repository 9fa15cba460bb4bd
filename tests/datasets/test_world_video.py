"""Videos of the world: frames, motions and depth fit each other, and augmentations move them together."""

from __future__ import annotations

import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.datasets.transforms.registry import build_batch_transform
from perception.errors import RecipeError
from perception.models.spidepth.view_synthesis import sample, sampling_grid


def explained(batch: dict, key: str, move: torch.Tensor) -> float:
    """Mean difference between the picture and another one warped into it by true depth and `move`."""
    depth = torch.where(batch["depth"] > 0, batch["depth"], 1000.0)
    picture = batch["stereo_image"] if key == "stereo" else batch["neighbours"][:, int(key)]
    warped = sample(picture.float(), sampling_grid(depth, batch["intrinsics"], move))
    return (warped - batch["image"].float()).abs().mean().item()


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("video")
    config = {"type": "WorldVideo", "kind": "room", "seeds": [7, 7], "size": [64, 96], "views_per_scene": 1}
    config |= {"stereo": 0.2, "cache": str(folder)}
    first, again = build_dataset(config)[0], build_dataset(config)[0]
    assert torch.equal(first["neighbours"], again["neighbours"]) and len(list(folder.glob("*/*.npz"))) == 1
    return {key: value[None] for key, value in first.items() if isinstance(value, torch.Tensor)}


def test_true_depth_and_motion_carry_one_frame_into_the_other(batch: dict) -> None:
    moves = {"0": batch["neighbour_from_camera"][:, 0], "1": batch["neighbour_from_camera"][:, 1]}
    moves["stereo"] = batch["stereo_from_camera"]
    assert batch["stereo_from_camera"][0, :3, 3].tolist() == pytest.approx([-0.2, 0, 0], abs=1e-6)
    for key, move in moves.items():
        assert explained(batch, key, move) < 0.7 * explained(batch, key, torch.eye(4)[None])


def test_augmentations_move_everything_together(batch: dict) -> None:
    mirrored = build_batch_transform({"type": "RandomFramesFlip", "share": 1.0})(batch)
    move = batch["neighbour_from_camera"][:, 0]
    assert torch.equal(mirrored["image"], batch["image"].flip(-1))
    assert explained(mirrored, "0", mirrored["neighbour_from_camera"][:, 0]) == pytest.approx(
        explained(batch, "0", move), rel=0.02
    )
    same = {**batch, "neighbours": batch["image"][:, None].repeat(1, 2, 1, 1, 1)}
    together = build_batch_transform({"type": "RandomFramesColour"})(same)
    assert torch.equal(together["neighbours"][:, 1], together["image"])
    assert not torch.equal(together["image"], batch["image"])
    apart = build_batch_transform({"type": "RandomFramesColour", "apart": 1.0})(same)
    assert not torch.equal(apart["neighbours"][:, 1], apart["image"])
    with pytest.raises(RecipeError, match="left and right"):
        build_batch_transform({"type": "RandomFramesFlip"})({**batch, "disparity": batch["depth"]})


def test_options() -> None:
    for changes, text in (
        ({"seeds": [3, 1]}, "first, last"),
        ({"offsets": [0]}, "other than 0"),
        ({"kind": "x"}, "room"),
    ):
        with pytest.raises(RecipeError, match=text):
            build_dataset({"type": "WorldVideo", **changes})
