"""Readers of NYUv2 and KITTI depth: tiny written sets, and the real samples where they are."""

import pickle

import cv2
import numpy as np
import pytest
import torch

from perception.datasets.kitti_depth import KittiDepth, KittiRaw
from perception.datasets.nyu import NYUv2, NYUv2Folder
from perception.datasets.registry import build_dataset
from perception.errors import DatasetError
from tests.datasets.reader_files import picture, put
from tests.helpers import sample


def test_nyu_matlab_file(tmp_path, monkeypatch) -> None:
    """Axes are reversed, splits count from 1, labels go through the table of 40 classes."""
    h5py = pytest.importorskip("h5py")
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    images, depth = rng.integers(0, 255, (3, 3, 640, 480)).astype("u1"), rng.uniform(1, 9, (3, 640, 480)).astype("f4")
    raw = np.where(rng.random((3, 640, 480)) < 0.3, 0, depth).astype("f4")
    labels = np.zeros((3, 640, 480), "u2")
    labels[:, :100], labels[:, 100:200] = 894, 5
    instances = np.ones((3, 640, 480), "u1")
    instances[:, :50] = 2
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        for name, values in (
            ("images", images),
            ("depths", depth),
            ("rawDepths", raw),
            ("labels", labels),
            ("instances", instances),
        ):
            file[name] = values
    table = np.arange(894, dtype="u1") % 40 + 1
    savemat(tmp_path / "splits.mat", {"trainNdxs": [[3], [1]], "testNdxs": [[2]]})
    savemat(tmp_path / "classMapping40.mat", {"mapClass": table[None]})
    train, test = NYUv2(tmp_path, "train", normals="depth"), NYUv2(tmp_path, "test", depth="raw")
    assert len(train) == 2 and train[0]["meta"]["name"] == "nyu_depth_v2_labeled.mat[2]"
    item = train[0]
    assert item["image"].shape == (3, 480, 640)
    assert item["image"][1, 7, 20] == images[2, 1, 20, 7] and item["depth"][7, 20] == depth[2, 20, 7]
    assert (
        item["semantic"][0, 60] == table[893] - 1
        and item["semantic"][0, 150] == table[4] - 1
        and item["semantic"][0, 300] == 255
    )
    assert item["instance"][0, [20, 60, 150, 300]].tolist() == [3, 2, 1, 0]
    assert item["normals"].shape == (3, 480, 640)
    raw_item = test[0]
    assert (raw_item["depth_valid"].numpy() == (raw[1].T > 0)).all()
    assert pickle.loads(pickle.dumps(train))[1]["image"].shape == (3, 480, 640)  # workers reopen the file
    mine = train._file
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        assert train[0]["image"].shape == (3, 480, 640) and train._file is not mine  # forked ones, too
    assert NYUv2(tmp_path, "all", labels=None, size=(240, 320))[0]["intrinsics"][0, 0] == pytest.approx(518.857901 / 2)
    with pytest.raises(DatasetError, match="no file"):
        NYUv2(tmp_path / "nowhere")
    (tmp_path / "broken.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DatasetError, match=r"MATLAB 7\.3"):
        NYUv2(tmp_path / "broken.mat", "all")


def test_nyu_folders(tmp_path) -> None:
    depth = np.full((12, 16), 2500, np.uint16)
    put(tmp_path / "bath/rgb_00001.jpg", picture())
    put(tmp_path / "bath/sync_depth_00001.png", depth)
    put(tmp_path / "test/00007_colors.png", picture())
    put(tmp_path / "test/00007_depth.png", depth)
    put(tmp_path / "train/3.jpg", picture())
    put(tmp_path / "train/3.png", np.full((12, 16), 51, np.uint8))
    data = NYUv2Folder(tmp_path)
    assert [round(float(item["depth"][0, 0]), 4) for item in data] == [2.5, 2.5, 2.0]
    (tmp_path / "list.txt").write_text("/bath/rgb_00001.jpg /bath/sync_depth_00001.png 518.8\nx None 1\n")
    assert len(NYUv2Folder(tmp_path, tmp_path / "list.txt")) == 1
    (tmp_path / "list.txt").write_text("bath/rgb_00001.jpg bath/none.png\n")
    with pytest.raises(DatasetError, match="1 files of 1 samples"):
        NYUv2Folder(tmp_path, tmp_path / "list.txt")


def test_kitti_depth_and_raw(tmp_path) -> None:
    drive, date = "2011_09_26_drive_0001_sync", "2011_09_26"
    raw, depth = tmp_path / "raw", tmp_path / "depth"
    for number in range(3):
        put(raw / date / drive / f"image_02/data/{number:010d}.png", picture(20, 30))
        if number:
            target = raw / date / drive / f"velodyne_points/data/{number:010d}.bin"
            target.parent.mkdir(parents=True, exist_ok=True)
            np.array([[10.0, 0, 0, 0.5], [5.0, 0, 0, 0.5]], "<f4").tofile(str(target))
    put(depth / "train" / drive / "proj_depth/groundtruth/image_02/0000000001.png", np.full((20, 30), 2560, np.uint16))
    p = "20 0 15 2 0 20 10 0 0 0 1 0.01"
    (raw / date / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012 13:57:47\nR_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: {p}\n"
    )
    (raw / date / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 -0.3\n")
    item = KittiDepth(depth, "train", raw)[0]
    assert item["depth"][0, 0] == 10 and item["intrinsics"][0].tolist() == [20, 0, 15.5]
    sweep = KittiRaw(raw)
    assert len(sweep) == 2  # the frame without a sweep is a gap
    found = sweep[0]["depth"][sweep[0]["depth_valid"]]
    assert found.tolist() == pytest.approx([4.71, 9.71], abs=1e-5) or found.tolist() == pytest.approx([4.71], abs=1e-5)
    (tmp_path / "frames.txt").write_text(f"{date}/{drive} 0000000001 l\n")
    assert (
        len(KittiDepth(depth, tmp_path / "frames.txt", raw)) == len(KittiRaw(raw, frames=tmp_path / "frames.txt")) == 1
    )
    bts = f"{date}/{drive}/image_02/data/0000000001.png {drive}/proj_depth/groundtruth/image_02/0000000001.png 721\nx None 721\n"
    (tmp_path / "bts.txt").write_text(bts)
    assert KittiDepth(depth, tmp_path / "bts.txt", raw)[0]["depth_valid"].all()


def test_a_drive_that_is_not_there_is_told_and_not_left_out(tmp_path) -> None:
    folder = tmp_path / "2011_09_26" / "drive_0001_sync" / "image_02" / "data"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "0000000000.png"), np.zeros((8, 8, 3), np.uint8))
    drives = ["2011_09_26/drive_0001_sync", "2011_09_26/drive_0002_sync"]
    assert len(KittiRaw(tmp_path, drives=drives[:1], velodyne=False)) == 1
    with pytest.raises(DatasetError, match="no folder.*drive_0002_sync"):
        KittiRaw(tmp_path, drives=drives, velodyne=False)


@pytest.mark.parametrize(
    ("config", "count", "low", "high"),
    [
        ({"type": "NYUv2Folder", "root": "rgbd/nyuv2"}, 2, 0.5, 10.0),
        ({"type": "KittiDepth", "root": "kitti_depth"}, 2, 3.0, 90.0),
        ({"type": "KittiRaw", "root": "kitti_raw"}, 1, 3.0, 90.0),
    ],
)
def test_real_depth(config, count, low, high) -> None:
    data = build_dataset({**config, "root": str(sample(config["root"]))})
    assert len(data) == count
    for item in data:
        depth = item["depth"][item["depth_valid"]]
        assert low < depth.min() < depth.max() < high and item["depth_valid"].float().mean() > 0.02
        # Depth is higher up in the picture: the vertical order of the world.
        rows = item["depth_valid"].nonzero()[:, 0].float()
        assert torch.corrcoef(torch.stack([rows, depth]))[0, 1] < 0


def test_real_lidar_depth_agrees_with_the_picture_size() -> None:
    item = KittiRaw(sample("kitti_raw"))[0]
    assert item["intrinsics"][0, 0] == pytest.approx(721.5377, abs=1e-3)
    # The sweep sees the road: projected points in the lower middle lie on a plane about 1.65 m below the camera.
    v, u = item["depth_valid"].nonzero(as_tuple=True)
    depth = item["depth"][v, u]
    k = item["intrinsics"]
    y, x = (v + 0.5 - k[1, 2]) / k[1, 1] * depth, (u + 0.5 - k[0, 2]) / k[0, 0] * depth
    road = (depth < 15) & (x.abs() < 1.5)
    assert 1.4 < y[road].median() < 1.9
