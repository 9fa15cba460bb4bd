"""Exports: what is written is what the world holds, read back by the readers of the official layouts or by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from perception.datasets.registry import build_dataset
from perception.datasets.world import rigs
from perception.datasets.world.classes import ID, NAMES
from perception.datasets.world.export import export, layouts
from perception.datasets.world.export.stanford2d3d import label_names
from perception.datasets.world.render import World
from perception.errors import DatasetError, InputError
from perception.geometry import transforms
from perception.geometry.cameras import Equirectangular, Pinhole, camera_from_dict
from perception.io import read_depth_png, read_png
from tools import make_world

QUIET = {"progress": False, "workers": 1}


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_folder(tmp_path):
    export("folder", tmp_path, "room", seed=4, count=2, size=(60, 80), val_share=0.5, **QUIET)
    assert (tmp_path / "train.txt").read_text() == "room_0000004_00\n"
    assert (tmp_path / "val.txt").read_text() == "room_0000005_00\n"
    info = json.loads((tmp_path / "train/frames/room_0000004_00.json").read_text())
    camera = camera_from_dict(info["camera"])
    frame = World(4, "room").render(camera, world_from_camera=np.array(info["world_from_camera"]))
    depth, valid = read_depth_png(tmp_path / "train/depth/room_0000004_00.png")[:2]
    assert (valid == frame.valid).mean() > 0.999
    assert np.median(np.abs(depth - frame.depth)[valid]) < 0.002
    semantic, _ = read_png(tmp_path / "train/semantic/room_0000004_00.png")
    assert (semantic == frame.semantic).mean() > 0.999
    normals, _ = read_png(tmp_path / "train/normals/room_0000004_00.png")
    decoded = (normals.astype(float) - 128) / 127
    assert np.median(np.abs(decoded - frame.normals)[valid]) < 0.005
    classes = json.loads((tmp_path / "classes.json").read_text())["classes"]
    assert [c["name"] for c in classes] == list(NAMES)
    named = {item["instance"]: item for item in info["objects"]}
    for row, instance in enumerate(frame.boxes.instance):
        np.testing.assert_allclose(named[int(instance)]["box3d"], frame.boxes.boxes3d[row], atol=2e-3)


def test_nyuv2(tmp_path):
    h5py = pytest.importorskip("h5py")
    from scipy.io import loadmat

    export("nyuv2", tmp_path, seed=2, count=2, size=(48, 64), views=2, val_share=0.5, **QUIET)
    lines = (tmp_path / "nyudepthv2_train_files_with_gt.txt").read_text().split("\n")[:-1]
    assert len(lines) == 2
    rgb, depth_file, focal = lines[0].split()
    assert float(focal) == pytest.approx(51.8858, abs=1e-3)
    stored, _ = read_png(tmp_path / "official_splits/train" / depth_file)
    assert stored.dtype == np.uint16 and (tmp_path / "official_splits/train" / rgb).exists()
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat") as file:
        assert file["images"].shape == (4, 3, 64, 48) and file["depths"].shape == (4, 64, 48)
        np.testing.assert_allclose(file["depths"][0].T, stored / 1000, atol=6e-4)
        names = ["".join(map(chr, file[ref][:, 0])) for ref in file["names"][0]]
        assert names == list(NAMES)
        labels, instances = file["labels"][0].T, file["instances"][0].T
        assert labels.min() >= 0 and labels.max() <= len(NAMES)
        # NYU numbers the instances of each class from 1, without gaps
        for label in np.unique(labels[instances > 0]):
            found = np.unique(instances[(labels == label) & (instances > 0)])
            np.testing.assert_array_equal(found, np.arange(1, len(found) + 1))
        image = file["images"][0].transpose(2, 1, 0)
        scenes = ["".join(map(chr, file[ref][:, 0])) for ref in file["scenes"][0]]
    assert scenes[0] == scenes[1] == rgb.split("/")[0] != scenes[2]
    jpeg, _ = _picture(tmp_path / "official_splits/train" / rgb)
    assert np.abs(jpeg.astype(int) - image).mean() < 12
    splits = loadmat(tmp_path / "splits.mat")
    np.testing.assert_array_equal(splits["trainNdxs"], [[1], [2]])
    np.testing.assert_array_equal(splits["testNdxs"], [[3], [4]])
    assert not (tmp_path / ".parts").exists()


def _picture(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image), image.format


@pytest.fixture(scope="module")
def kitti(tmp_path_factory) -> tuple[Path, World, int]:
    """A KITTI export of a street with labelled cars."""
    for seed in range(20):
        world = World(seed, "street")
        boxes = world.render(rigs.kitti_rig(414, 125), truth=("boxes",)).frames["image_2"].boxes
        if (boxes.visible_pixels[boxes.category == ID["car"]] > 60).sum() >= 3:
            root = tmp_path_factory.mktemp("kitti")
            return export("kitti", root, seed=seed, count=1, size=(125, 414), val_share=0, **QUIET), world, seed
    raise AssertionError("none of 20 streets shows three cars")


def test_kitti_reader_returns_the_world(kitti):
    root, world, _ = kitti
    data = build_dataset(
        {"type": "KittiObject", "root": str(root), "split": "train", "classes": ["Car", "Van"], "velodyne": True}
    )
    assert len(data) == 1
    sample = data[0]
    moment = world.render(rigs.kitti_rig(414, 125))
    frame = moment.frames["image_2"]
    np.testing.assert_array_equal(sample["image"].numpy(), frame.image.transpose(2, 0, 1))
    np.testing.assert_allclose(sample["intrinsics"].numpy(), frame.intrinsics, rtol=1e-6)
    truth = frame.boxes
    assert len(sample["boxes3d"]) >= 3
    for row, box in enumerate(sample["boxes3d"].numpy()):
        nearest = int(np.argmin(np.linalg.norm(truth.boxes3d[:, :3] - box[:3], axis=1)))
        np.testing.assert_allclose(box[:6], truth.boxes3d[nearest, :6], atol=0.012)  # files hold centimetres
        assert abs(transforms.wrap_angle(box[6] - truth.boxes3d[nearest, 6])) < 0.02
        full = np.clip(truth.box2d_full[nearest], 0, [414, 125, 414, 125])
        np.testing.assert_allclose(sample["boxes2d"][row].numpy(), full, atol=0.02)
        assert int(sample["occlusion"][row]) == truth.occlusion[nearest]
    points = sample["points"].numpy()
    scan = moment.lidars["velodyne"]
    expected = transforms.apply(
        transforms.inverse(frame.world_from_camera) @ scan.world_from_sensor, scan.points.astype(float)
    )
    np.testing.assert_allclose(points[:, :3], expected, atol=2e-3)
    # The LiDAR must land on the depth map of the camera.
    ahead = points[:, 2] > 2
    pixels, depth = frame.camera.project(points[ahead, :3])
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < 414) & (pixels[:, 1] < 125)
    column, row = np.floor(pixels[inside]).astype(int).T
    ratio = depth[inside] / np.maximum(frame.depth[row, column], 1e-6)
    assert inside.sum() > 500 and np.mean(np.abs(ratio - 1) < 0.05) > 0.8


def test_kitti_alpha_is_the_observation_angle(kitti):
    from perception.io.kitti import read_labels

    labels = read_labels(next((kitti[0] / "training/label_2").glob("*.txt")))
    kept = labels[labels.types != "DontCare"]
    x, _, z = kept.location.T
    error = transforms.wrap_angle(kept.rotation_y - np.arctan2(x, z) - kept.alpha)
    assert np.abs(error).max() < 0.02
    cares = labels[labels.types == "DontCare"]
    assert (cares.values[:, 0] == -1).all() and (cares.values[:, 10] == -1000).all()


def test_stanford2d3d(tmp_path):
    export("stanford2d3d", tmp_path, seed=6, count=2, size=(64, 128), val_share=0.5, **QUIET)
    depth_file = next((tmp_path / "area_1/pano/depth").glob("*.png"))
    stored, _ = read_png(depth_file)
    pose = json.loads(next((tmp_path / "area_1/pano/pose").glob("*.json")).read_text())
    rt = np.vstack([np.array(pose["camera_rt_matrix"]), [0, 0, 0, 1]])
    world_from_camera = transforms.inverse(rt)
    np.testing.assert_allclose(world_from_camera[:3, 3], pose["camera_location"], atol=1e-9)
    np.testing.assert_allclose(world_from_camera[:3, 1], [0, 0, -1], atol=1e-9)  # upright
    frame = World(6, "room").render(Equirectangular(128, 64), world_from_camera=world_from_camera)
    missing = stored == 65535
    assert (missing == ~frame.valid).mean() > 0.999
    np.testing.assert_allclose(stored[~missing] / 512, frame.range[~missing], atol=2e-3)
    coded, _ = read_png(next((tmp_path / "area_1/pano/normal").glob("*.png")))
    normals = (coded[..., :3].astype(float) - 127.5) / 127.5
    expected = frame.normals @ world_from_camera[:3, :3].T
    assert np.median(np.abs(normals - expected)[frame.valid]) < 0.006
    assert normals[-1, :, 2].mean() > 0.9  # straight below is a surface that faces up
    picture, _ = read_png(next((tmp_path / "area_1/pano/semantic").glob("*.png")))
    index = picture[..., 0].astype(int) * 65536 + picture[..., 1].astype(int) * 256 + picture[..., 2]
    table = json.loads((tmp_path / "assets/semantic_labels.json").read_text())
    assert table == label_names()
    seen = index[frame.valid][::37]
    assert [table[i].rsplit("_", 3)[0] for i in seen] == [NAMES[c] for c in frame.semantic[frame.valid][::37]]
    assert (tmp_path / "area_5a").exists()


@pytest.fixture(scope="module")
def nuscenes(tmp_path_factory) -> Path:
    return export(
        "nuscenes", tmp_path_factory.mktemp("nuscenes"), seed=3, count=1, views=3, size=(45, 80), val_share=1, **QUIET
    )


def test_nuscenes_reader_returns_the_world(nuscenes):
    data = build_dataset(
        {
            "type": "NuScenes",
            "root": str(nuscenes),
            "split": "val",
            "lidar": True,
            "radar_sweeps": 4,
            "radar_keep": "none",
        }
    )
    assert len(data) == 3
    world = World(3, "street")
    moment = world.render(rigs.surround_rig(80, 45), 1.5)
    sample = data[1]
    scan = moment.lidars["LIDAR_TOP"]
    ego = world.ego_pose(scan.time)
    np.testing.assert_allclose(sample["global_from_ego"], ego, atol=1e-6)
    expected = transforms.apply(transforms.inverse(ego) @ scan.world_from_sensor, scan.points.astype(float))
    np.testing.assert_allclose(np.asarray(sample["points"])[:, :3], expected, atol=5e-3)


def test_nuscenes_tables_are_linked(nuscenes):
    def table(name):
        return json.loads((nuscenes / "v1.0-trainval" / f"{name}.json").read_text())

    samples, records, notes = table("sample"), table("sample_data"), table("sample_annotation")
    assert len(samples) == 3 and samples[0]["next"] == samples[1]["token"] and samples[2]["next"] == ""
    by_token = {row["token"]: row for row in records}
    assert len(by_token) == len(records)
    for row in records:
        assert (nuscenes / row["filename"]).exists()
        if row["next"]:
            assert by_token[row["next"]]["prev"] == row["token"]
            assert by_token[row["next"]]["timestamp"] > row["timestamp"]
    radar = [row for row in records if "RADAR_FRONT/" in row["filename"]]
    assert sum(row["is_key_frame"] for row in radar) == 3 and len(radar) > 15  # 13 Hz between key frames at 2 Hz
    tracks: dict[str, list] = {}
    for row in notes:
        tracks.setdefault(row["instance_token"], []).append(row)
        assert row["visibility_token"] in ("1", "2", "3", "4")
        assert row["size"][0] < row["size"][1] * 3
    assert {row["token"]: row["nbr_annotations"] for row in table("instance")} == {k: len(v) for k, v in tracks.items()}
    assert len(table("calibrated_sensor")) == 12 and len(table("sensor")) == 12
    labels = next((nuscenes / "gts").rglob("labels.npz"))
    with np.load(labels) as held:
        assert held["semantics"].shape == (200, 200, 16) and held["semantics"].max() == 17
        assert (held["semantics"] != 17).sum() > 5000 and held["mask_camera"].dtype == np.uint8


def test_one_and_two_processes_write_equal_files(tmp_path):
    for workers in (1, 2):
        export(
            "folder", tmp_path / str(workers), "room", seed=1, count=2, size=(48, 64), workers=workers, progress=False
        )
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_errors_are_one_sentence(tmp_path, capsys):
    with pytest.raises(InputError, match="kitti"):
        export("kiti", tmp_path)
    with pytest.raises(InputError, match="street"):
        export("kitti", tmp_path, "room")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        export("folder", tmp_path)
    assert make_world.main(["--layout", "folder", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: folder ")
    assert sorted(layouts()) == ["folder", "kitti", "nuscenes", "nyuv2", "stanford2d3d"]


def test_pinhole_of_nyu_scales_with_the_picture():
    from perception.datasets.world.export.nyuv2 import NYUv2Layout

    camera = NYUv2Layout("unused", (480, 640)).camera
    assert camera == Pinhole(518.857901, 519.469611, 325.082449, 253.236166, 640, 480)
