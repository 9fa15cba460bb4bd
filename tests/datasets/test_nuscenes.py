"""nuScenes reader: geometry of sensors that fire at their own times, on written tables; the real key frame where it is."""

import json
import pickle

import numpy as np
import pytest

from perception.datasets.nuscenes import NuScenes
from perception.datasets.registry import build_dataset
from perception.errors import DatasetError, RecipeError
from perception.evaluation.nuscenes_detection import evaluate_detection
from perception.geometry import boxes3d
from perception.geometry.cameras import Pinhole
from perception.geometry.transforms import apply, inverse
from perception.io.nuscenes import CAMERAS, load_index, truth_boxes
from perception.io.nuscenes_splits import official_scenes
from tests.datasets.nuscenes_fixture import FRAMES, TARGET, ego_pose, write_tables
from tests.datasets.nuscenes_real import write_real_tables
from tests.helpers import sample


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("nuscenes"))


def reader(root, **arguments) -> NuScenes:
    return NuScenes(
        root, "v1.0-mini", **{"split": "all", "cameras": ("CAM_FRONT",), "radars": ("RADAR_FRONT",), **arguments}
    )


def test_every_sensor_sees_the_post_at_one_place(root) -> None:
    """The post stands still: LiDAR, camera and all radar sweeps must put it at the same point of the key frame's vehicle."""
    data = reader(root, lidar=True, depth=True, radar_sweeps=3, radar_motion=False)
    assert len(data) == 2 * FRAMES
    for item in data:
        frame = item["meta"]["frame"]
        want = apply(inverse(ego_pose(frame * 0.5)), TARGET[None])[0]
        np.testing.assert_allclose(item["global_from_ego"], ego_pose(frame * 0.5), atol=1e-9)
        np.testing.assert_allclose(item["points"][0, :3], want, atol=1e-4)
        assert len(item["radar_points"]) == min(3, 2 * frame + 1)
        np.testing.assert_allclose(
            item["radar_points"][:, :3], np.tile(want, (len(item["radar_points"]), 1)), atol=1e-4
        )
        seen = apply(inverse(item["ego_from_camera"][0].double().numpy()), want[None])[0]
        pixel = item["intrinsics"][0].double().numpy() @ seen
        u, v = pixel[:2] / pixel[2]
        if 0 <= u < 80 and 0 <= v < 60 and seen[2] > 0.1:
            assert item["camera_depth"][0, int(v), int(u)] == pytest.approx(seen[2], rel=1e-4)
            assert item["camera_depth_valid"].sum() == 1


def test_radar_velocity_turns_with_the_sweep(root) -> None:
    """The radar measures (2, 1) m/s in global axes at every time; old sweeps must agree with the new one, CRN's do not."""
    right, official = (reader(root, radar_sweeps=5, radar_motion=False, radar_velocity=v) for v in ("sweep", "key"))
    item, other = right[3], official[3]
    rotation = item["global_from_ego"][:2, :2]
    velocity = item["radar_points"][:, 4:6].numpy() @ rotation.T
    np.testing.assert_allclose(velocity, np.tile([2.0, 1.0], (5, 1)), atol=1e-5)
    turned = other["radar_points"][:, 4:6].numpy() @ rotation.T
    assert np.abs(turned[-1] - [2, 1]).max() > 0.1
    moved = reader(root, radar_sweeps=5)[3]["radar_points"].numpy()
    shift = moved[:, :2] - item["radar_points"][:, :2].numpy()
    np.testing.assert_allclose(shift, moved[:, 4:6] * moved[:, 7:8], atol=1e-4)
    assert moved[:, 6].tolist() == [0, 1, 2, 3, 4] and moved[1, 7] == pytest.approx(0.24, abs=1e-4)


def test_boxes_velocities_and_tracks(root) -> None:
    data = reader(root)
    item = data[1]
    assert item["labels3d"].tolist() == [0]  # the pedestrian is absent, the animal is not judged
    pose = item["global_from_ego"]
    centre = apply(pose, item["boxes3d"][:, :3].double().numpy())
    np.testing.assert_allclose(centre, [[612.0, 1205.0, 1.0]], atol=1e-4)
    np.testing.assert_allclose(item["boxes3d"][0, 3:6], [4.6, 1.9, 1.7])
    assert item["boxes3d"][0, 6] + 0.4 + 0.15 == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(pose[:2, :2] @ item["velocity"][0].double().numpy(), [4.0, 0.0], atol=1e-5)
    assert data[0]["labels3d"].tolist() == [0, 5]
    walker = data[0]["velocity"][1].double().numpy()  # 4 m in 1 s, between frames 0 and 2
    np.testing.assert_allclose(data[0]["global_from_ego"][:2, :2] @ walker, [4.0, 0.0], atol=1e-5)
    assert data[0]["track_ids"][0] == data[1]["track_ids"][0] != data[FRAMES]["track_ids"][0]
    assert [data.meta(i)["previous"] for i in range(FRAMES + 1)] == [-1, 0, 1, 2, -1]
    assert len(reader(root, min_points=3)[0]["boxes3d"]) == 1


def test_splits(root) -> None:
    assert reader(root, split="mini_val").meta(0)["scene"] == "scene-0103"
    assert {reader(root, split=s).meta(0)["scene"] for s in ("mini_train", "train")} == {"scene-0061"}
    assert len(reader(root, split=["scene-0061"])) == FRAMES
    with pytest.raises(RecipeError, match="mini_val"):
        reader(root, split="minival")
    with pytest.raises(DatasetError, match="no scene"):
        reader(root, split=["scene-9"])
    (root / "v1.0-mini" / "splits.json").write_text(json.dumps({"fold": ["scene-0103"]}))
    assert reader(root, split="fold").meta(0)["scene"] == "scene-0103"


def test_slips_in_names_are_told_and_not_left_out(root) -> None:
    with pytest.raises(DatasetError, match="no scene 'scene-9'"):
        reader(root, split=["scene-0061", "scene-9"])
    channels = reader(root).index.channels
    present = [name for name in CAMERAS if name in channels]
    with pytest.raises(DatasetError, match="no channel 'CAM_FORNT'"):
        reader(root, cameras=[*present, "CAM_FORNT"])
    assert len(reader(root, cameras=CAMERAS)) == len(reader(root)), "tables may lack sensors"


def test_index_is_cached_checked_and_rebuilt(tmp_path) -> None:
    root = write_tables(tmp_path)
    folder = root / "v1.0-mini"
    first = load_index(root, "v1.0-mini")
    stored = folder / ".index.npz"
    assert stored.exists() and not list(folder.glob("*.tmp*"))
    again = load_index(root, "v1.0-mini")
    np.testing.assert_array_equal(first.box_velocity, again.box_velocity)
    assert again.data_file.tolist() == first.data_file.tolist()
    stored.write_bytes(b"damaged")
    assert len(load_index(root, "v1.0-mini").sample_token) == 2 * FRAMES
    boxes = json.loads((folder / "sample_annotation.json").read_text())
    boxes[0]["translation"][0] = -5.0
    (folder / "sample_annotation.json").write_text(json.dumps(boxes))
    assert (load_index(root, "v1.0-mini").box_xyz[:, 0] == -5.0).any()
    boxes[0]["sample_token"] = "nowhere"
    (folder / "sample_annotation.json").write_text(json.dumps(boxes))
    with pytest.raises(DatasetError, match="do not fit together"):
        load_index(root, "v1.0-mini")
    (folder / "ego_pose.json").unlink()
    with pytest.raises(DatasetError, match="1 are missing: ego_pose.json"):
        load_index(root, "v1.0-mini")
    with pytest.raises(DatasetError, match="found v1.0-mini"):
        load_index(root, "v1.0-trainval")


def test_check_lists_missing_files_and_truth_scores_itself(tmp_path) -> None:
    root = write_tables(tmp_path)
    config = {"type": "NuScenes", "root": str(root), "version": "v1.0-mini", "split": "all", "cameras": ["CAM_FRONT"]}
    data = build_dataset({**config, "radars": ["RADAR_FRONT"]})
    assert data.check().ok
    next((root / "samples/RADAR_FRONT").iterdir()).unlink()
    report = data.check()
    assert len(report.missing) == 1 and len(report.broken) == 1 and "RADAR_FRONT" in report.text()
    truth, samples = truth_boxes(data.index, data.rows)
    result = evaluate_detection(truth, truth, samples)
    assert result.label_ap[0].tolist() == pytest.approx([1.0] * 4)
    assert data.tokens == samples.tokens


def test_resized_pictures_keep_the_camera_exact(root) -> None:
    full, small = reader(root)[2], reader(root, size=(30, 50))[2]
    point = np.array([1.0, 0.4, 9.0])
    a, b = (item["intrinsics"][0].double().numpy() @ point for item in (full, small))
    np.testing.assert_allclose(b[:2] / b[2], a[:2] / a[2] * [50 / 80, 30 / 60], rtol=1e-6)
    assert small["images"].shape == (1, 3, 30, 50)


def test_real_key_frame(tmp_path) -> None:
    """The real frame through the reader: points in the boxes are as many as annotated, boxes fall into the six pictures, five radars are read."""
    folder = sample("nuscenes")
    root = write_real_tables(tmp_path, folder)
    data = NuScenes(root, "v1.0-mini", "mini_train", lidar=True, depth=True, radar_keep="none")
    assert data.check().ok
    item = data[0]
    with open(next(folder.glob("n015*.pkl")), "rb") as file:
        info = pickle.load(file)["data_list"][0]
    boxes, points = item["boxes3d"].double().numpy(), item["points"].double().numpy()
    annotated = np.array([i["num_lidar_pts"] for i in info["instances"] if i["bbox_label_3d"] >= 0])
    inside = boxes3d.points_in_boxes(points[:, :3], boxes, "ego").sum(0)
    assert len(points) == 34688 and len(boxes) == len(annotated)
    assert np.corrcoef(inside, annotated)[0, 1] > 0.95
    assert item["images"].shape == (6, 3, 900, 1600) and len(item["radar_points"]) > 300
    seen = 0
    for k, name in enumerate(data.cameras):
        camera = info["images"][name]
        given = np.array(camera["lidar2cam"], np.float64) @ inverse(np.array(info["lidar_points"]["lidar2ego"]))
        np.testing.assert_allclose(inverse(item["ego_from_camera"][k].double().numpy()), given, atol=2e-3)
        pinhole = Pinhole.from_matrix(item["intrinsics"][k].double().numpy(), 1600, 900)
        moved = boxes3d.change_frame(boxes, given, "ego", "camera")
        seen += int(np.isfinite(boxes3d.image_boxes(moved, pinhole)).all(1).sum())
        assert 0.0005 < item["camera_depth_valid"][k].float().mean() < 0.01
    assert seen >= len(boxes) * 0.8


def test_official_splits() -> None:
    """Sizes of the published splits, on tables that hold every scene number."""
    index = np.arange(1, 1111)
    names = [f"scene-{number:04d}" for number in index]
    sizes = {split: len(official_scenes(split, names, {})) for split in ("val", "mini_train", "mini_val")}
    assert sizes == {"val": 150, "mini_train": 8, "mini_val": 2}
    assert not official_scenes("train", names, {}) & official_scenes("val", names, {})
    assert "scene-0061" in official_scenes("mini_train", names, {}) - official_scenes("val", names, {})
