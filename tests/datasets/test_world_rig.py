"""World rigs: layout, boxes where the pictures show them, radar, histories, cache; JSON rigs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.errors import InputError, RecipeError
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole
from perception.inference.rig_inputs import rig_from_json, rig_from_sample
from perception.io import write_image

SETTING = dict(
    type="WorldRig",
    seeds=(3, 3),
    frames=2,
    size=(32, 88),
    occupancy=dict(lower=(-16, -16, -1), voxel=1.6, shape=(20, 20, 4)),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("rigs")
    return build_dataset({**SETTING, "cache": str(folder), "workers": 1, "progress": False})


def test_samples_have_the_layout_of_the_nuscenes_reader(dataset) -> None:
    sample = dataset[0]
    assert sample["images"].shape == (6, 3, 32, 88) and sample["images"].dtype == torch.uint8
    assert sample["radar_points"].shape[1] == 8 and len(sample["radar_points"]) > 20
    assert sample["camera_depth"].shape == (6, 32, 88)
    assert sample["occupancy"].shape == (20, 20, 4) == tuple(sample["occupancy_mask_camera"].shape)
    assert len(sample["boxes3d"]) == len(sample["velocity"]) == len(sample["labels3d"]) > 0
    assert sample["meta"]["previous"] == -1 and dataset[1]["meta"]["previous"] == 0


def test_depth_agrees_with_the_boxes(dataset) -> None:
    """What a camera measures at the middle of a near, large box lies in that box, through mounts, poses and intrinsics."""
    hits = total = 0
    for sample in (dataset[0], dataset[1]):
        for camera in range(6):
            matrix = sample["intrinsics"][camera].double().numpy()
            pinhole = Pinhole.from_matrix(matrix, 88, 32)
            pose = sample["ego_from_camera"][camera].double().numpy()
            rows, columns = np.nonzero(sample["camera_depth_valid"][camera].numpy())
            depth = sample["camera_depth"][camera].numpy()[rows, columns]
            pixels = np.stack([columns + 0.5, rows + 0.5], -1)
            points = np.stack(
                [
                    (pixels[:, 0] - pinhole.cx) / pinhole.fx,
                    (pixels[:, 1] - pinhole.cy) / pinhole.fy,
                    np.ones(len(depth)),
                ],
                -1,
            )
            points = transforms.apply(pose, points * depth[:, None])
            for box in sample["boxes3d"].double().numpy():
                c, s = np.cos(box[6]), np.sin(box[6])
                local = (points - box[:3]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
                hits += int((np.abs(local) < box[3:6] / 2 + 0.1).all(1).sum() > 2)
        total += len(sample["boxes3d"])
    assert hits >= 0.3 * total  # the others are hidden, far, or smaller than a pixel


def test_truth_moves_with_the_global_frame(dataset) -> None:
    sample = dataset[1]
    held = sample["nuscenes_truth"]
    back = transforms.apply(transforms.inverse(sample["global_from_ego"]), held.xyz)
    near = np.linalg.norm(back[:, None] - sample["boxes3d"][:, :3].numpy()[None], axis=-1).min(0)
    assert near.max() < 1e-3


def test_histories_are_of_the_same_scene(dataset) -> None:
    sequences = build_dataset({"type": "RigSequences", "dataset": dataset, "history": 2})
    assert [len(sequences[i]["history"]) for i in (0, 1)] == [0, 1]
    past = sequences[1]["history"][0]
    assert torch.equal(past["images"], dataset[0]["images"]) and abs(float(past["age"]) - 0.5) < 1e-3
    now, then = dataset[1]["global_from_ego"], dataset[0]["global_from_ego"]
    np.testing.assert_allclose(then @ past["past_from_now"].numpy(), now, atol=1e-2)
    with pytest.raises(RecipeError, match="history >= 0"):
        build_dataset({"type": "RigSequences", "dataset": dataset, "history": -1})


def test_the_cache_gives_the_same_samples(dataset) -> None:
    again = build_dataset({**SETTING, "cache": str(dataset.folder.parent), "workers": 1})
    assert torch.equal(again[1]["images"], dataset[1]["images"])


def test_rigs_from_samples_and_json(dataset, tmp_path) -> None:
    rig = rig_from_sample(dataset[0])
    assert [c.name for c in rig.cameras][0] == "CAM_FRONT" and rig.scene == "world-3"
    front = rig.cameras[0]
    write_image(tmp_path / "front.png", front.image)
    entry = {
        "image": "front.png",
        "intrinsics": front.camera.matrix.tolist(),
        "ego_from_camera": front.ego_from_camera.tolist(),
    }
    radar = {"points": [[20, 1, 0]], "velocity": [[-3, 0]], "ego_from_radar": np.eye(4).tolist()}
    (tmp_path / "rig.json").write_text(json.dumps({"cameras": [entry], "radars": [radar], "time": 1.5}))
    read = rig_from_json(tmp_path)
    assert np.array_equal(read.cameras[0].image, front.image) and read.time == 1.5
    assert read.radar_points[0, [0, 4]].tolist() == [20, -3]
    (tmp_path / "rig.json").write_text(json.dumps({"cameras": [{"image": "front.png"}]}))
    with pytest.raises(InputError, match="ego_from_camera"):
        rig_from_json(tmp_path)
    (tmp_path / "rig.json").write_text("{}")
    with pytest.raises(InputError, match="at least one camera"):
        rig_from_json(tmp_path)
    good = {"cameras": [entry]}
    for part, expected in (
        ({"time": "noon"}, "time of rig.json must hold numbers"),
        ({"time": float("nan")}, "number of seconds"),
        ({"radars": [{"points": [[1, 2, 3], [4]]}]}, "points of radar 0 of rig.json must hold numbers"),
        ({"radars": {"points": 3}}, "must be a list"),
        ({"global_from_ego": [[1, 2]]}, r"shape \(4, 4\)"),
        ({"cameras": [{**entry, "intrinsics": [[1, 0], "x"]}]}, "intrinsics of camera 0 of rig.json must hold numbers"),
        ({"cameras": [{**entry, "intrinsics": None, "fov": "wide"}]}, "fov of camera 0 of rig.json must hold numbers"),
    ):
        (tmp_path / "rig.json").write_text(json.dumps({**good, **part}))
        with pytest.raises(InputError, match=expected):
            rig_from_json(tmp_path)
    (tmp_path / "rig.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot be read"):
        rig_from_json(tmp_path)
    (tmp_path / "rig.json").write_text(json.dumps(good))
    with pytest.raises(InputError, match="pixels"):
        rig_from_json(tmp_path, max_pixels=50)
