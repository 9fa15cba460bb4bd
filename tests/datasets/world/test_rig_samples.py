"""The World data set with a rig: every sensor in one sample, in frames that agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.datasets.world import World, dataset
from perception.errors import InputError, RecipeError
from perception.geometry import transforms


@pytest.fixture(scope="module")
def surround():
    rig = {"type": "surround", "width": 64, "height": 36}
    truth = ["depth", "boxes", "flow", "occupancy", "panoptic"]
    data = build_dataset(
        {"type": "World", "kind": "street", "seeds": [3, 4], "views_per_scene": 2, "rig": rig, "truth": truth}
    )
    return data, data[1]


def test_a_surround_sample_holds_every_sensor(surround):
    data, sample = surround
    assert isinstance(data, dataset.World) and len(data) == 4 and data.plan.locate(1) == (0, 1)
    assert sample["images"].shape == (6, 3, 36, 64) and sample["images"].dtype == torch.uint8
    assert sample["intrinsics"].shape == (6, 3, 3) and sample["flow"].shape == (6, 2, 36, 64)
    assert sample["depth"].shape == sample["panoptic"].shape == (6, 36, 64)
    assert (
        sample["radar"].shape[1] == 7 and sample["lidar"].shape[1] == 4 and sample["occupancy"].shape == (200, 200, 16)
    )
    assert sample["meta"]["seed"] == 3 and sample["meta"]["time"] == 0.5
    assert (sample["times"] - 0.5).abs().max() < 0.05


def test_lidar_boxes_and_occupancy_share_the_ego_frame(surround):
    _, sample = surround
    points = sample["lidar"][:, :3].numpy()
    held = 0
    for box in sample["boxes3d"].numpy():
        local = transforms.rotation_about("z", -box[6]) @ (points - box[:3]).T
        held += int((np.abs(local.T) < box[3:6] / 2 + 0.1).all(1).sum() > 0)
    assert len(sample["boxes3d"]) > 0 and held >= 0.7 * len(sample["boxes3d"])
    cell = np.floor((points - [-40, -40, -1]) / 0.4).astype(int)
    cell = cell[((cell >= 0) & (cell < (200, 200, 16))).all(1)]
    assert (sample["occupancy"].numpy()[tuple(cell.T)] != 255).mean() > 0.8


def test_a_stereo_sample_has_disparity():
    data = dataset.World(
        kind="street",
        seeds=1,
        rig={"type": "stereo", "width": 48, "height": 24},
        truth=("depth", "disparity"),
        views_per_scene=1,
    )
    sample = data[0]
    again = data[0]
    assert all(torch.equal(value, again[name]) for name, value in sample.items() if isinstance(value, torch.Tensor))
    np.testing.assert_allclose(
        (sample["disparity"] * sample["depth"])[sample["depth_valid"]],
        sample["intrinsics"][0, 0, 0] * 0.54,
        rtol=1e-4,
    )


def test_options_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(RecipeError, match="truth of the World data set .* found 'flow'"):
        dataset.World(truth=("depth", "flow"))
    with pytest.raises(RecipeError, match="'WorldRig'"):
        dataset.World(rig="stereo", truth=("depth",), cache=tmp_path)
    with pytest.raises(InputError, match="rig 'steroe' is not known.*'stereo'"):
        dataset.World(rig="steroe", truth=("depth",))
    assert World(0, "room").kind == "room"
