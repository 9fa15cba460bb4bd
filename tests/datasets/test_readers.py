"""Readers of depth and segmentation data: tiny written sets, and the real samples where they are."""

import importlib.util
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from perception.datasets.cityscapes import THINGS, Cityscapes
from perception.datasets.coco3d import Coco3D
from perception.datasets.coco_panoptic import CocoPanoptic
from perception.datasets.folder import ImageFolder, write_sample
from perception.datasets.kitti_depth import KittiDepth, KittiRaw
from perception.datasets.nyu import NYUv2, NYUv2Folder
from perception.datasets.panorama import Matterport3D, Panorama3D60, PanoramaFolder, Stanford2D3D
from perception.datasets.panosuncg import PanoSUNCG, camera_from_world_along
from perception.datasets.registry import build_dataset, dataset_class, list_datasets
from perception.datasets.resize import resize_sample
from perception.errors import DatasetError, RecipeError
from perception.evaluation.panoptic import PanopticEvaluator
from perception.io.depth_files import write_exr
from tests.helpers import sample

ROOT = Path(__file__).resolve().parents[2]


def put(path: Path, values: np.ndarray) -> Path:
    """Write an image file as its array says; colour arrays are RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)
    return path


def picture(height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)


def test_registry_builds_every_reader_lazily() -> None:
    for name in list_datasets():
        if name != "World":
            assert dataset_class(name).__name__ == name
    with pytest.raises(RecipeError, match="KittiObject"):
        build_dataset({"type": "KittiObjects"})
    with pytest.raises(RecipeError, match="cannot be built"):
        build_dataset({"type": "ADE20K", "rot": "x"})
    with pytest.raises(RecipeError, match="'type'"):
        build_dataset({"root": "x"})


def test_plain_folder_both_layouts(tmp_path) -> None:
    depth = np.random.default_rng(1).uniform(0.5, 9, (12, 16)).astype(np.float32)
    depth[0] = 0
    normals = np.dstack([np.zeros((12, 16)), np.zeros((12, 16)), -np.ones((12, 16))])
    matrix = np.array([[20.0, 0, 8], [0, 21, 6], [0, 0, 1]])
    labels = np.arange(192).reshape(12, 16) % 5
    write_sample(
        tmp_path / "nested/a/b", picture(), matrix, depth, normals=normals, semantic=labels, instance=labels + 300
    )
    item = ImageFolder(tmp_path / "nested")[0]
    assert item["meta"] == {"name": "a/b", "index": 0, "width": 16, "height": 12, "depth_kind": "z"}
    np.testing.assert_allclose(item["depth"], depth, atol=6e-4)
    assert not item["depth_valid"][0].any() and item["depth_valid"][1:].all()
    assert item["instance"].max() == 304 and item["semantic"].dtype == torch.int64
    np.testing.assert_allclose(item["intrinsics"], matrix)
    np.testing.assert_array_equal(item["image"], picture().transpose(2, 0, 1))
    assert (item["normals"][2] == -1).all()
    root = tmp_path / "flat"
    put(root / "images/x.png", picture())
    put(root / "depth/x.png", (depth * 256).astype(np.uint16))
    (root / "meta.json").write_text(
        json.dumps({"fx": 20, "fy": 20, "cx": 7.5, "cy": 5.5, "pixel_centres": 0, "depth_scale": 256})
    )
    item = ImageFolder(root)[0]
    assert item["intrinsics"][0, 2] == 8 and item["depth"].max() == pytest.approx(depth.max(), abs=0.004)
    (root / "meta.json").write_text('{"intrinsics": [[1]]}')
    with pytest.raises(DatasetError, match="3x3"):
        ImageFolder(root)[0]
    assert not ImageFolder(root).check().ok
    with pytest.raises(DatasetError, match="no sample found"):
        ImageFolder(put(tmp_path / "empty/x.txt.png", picture()).parent)
    assert ImageFolder(tmp_path / "nested/a/b")[0]["meta"]["name"] == "b"
    put(root / "depth/x.png", np.ones((3, 3), np.uint16))
    (root / "meta.json").write_text("{}")
    with pytest.raises(DatasetError, match="picture's size"):
        ImageFolder(root)[0]


def test_nyu_matlab_file(tmp_path) -> None:
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


def test_ade20k(tmp_path) -> None:
    labels = np.array([[0, 1, 150, 2]] * 3, np.uint8)
    put(tmp_path / "images/validation/ADE_val_00000001.jpg", picture(3, 4))
    put(tmp_path / "annotations/validation/ADE_val_00000001.png", labels)
    item = build_dataset({"type": "ADE20K", "root": str(tmp_path), "split": "val"})[0]
    assert item["semantic"][0].tolist() == [255, 0, 149, 1]
    put(tmp_path / "annotations/validation/ADE_val_00000001.png", labels + 1)
    report = build_dataset({"type": "ADE20K", "root": str(tmp_path), "split": "val"}).check()
    assert len(report.broken) == 1 and "0..150" in report.text()


def test_coco_panoptic(tmp_path) -> None:
    ids = np.zeros((6, 8), int)
    ids[:3, :4], ids[:3, 4:], ids[3:, :4] = 1 + 256 * 7, 70000, 9
    code = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
    put(tmp_path / "annotations/panoptic_val2017/5.png", code)
    put(tmp_path / "val2017/5.jpg", picture(6, 8))
    segments = [
        {"id": 1 + 256 * 7, "category_id": 3, "area": 12, "iscrowd": 0},
        {"id": 70000, "category_id": 3, "area": 12, "iscrowd": 1},
        {"id": 9, "category_id": 200, "area": 12, "iscrowd": 0},
    ]
    content = {
        "images": [{"id": 5, "file_name": "5.jpg"}],
        "annotations": [{"image_id": 5, "file_name": "5.png", "segments_info": segments}],
        "categories": [
            {"id": 1, "isthing": 1, "name": "a"},
            {"id": 3, "isthing": 1, "name": "b"},
            {"id": 200, "isthing": 0, "name": "c"},
        ],
    }
    listing = tmp_path / "annotations/panoptic_val2017.json"
    listing.write_text(json.dumps(content))
    data = CocoPanoptic(tmp_path)
    item = data[0]
    assert (data.things, data.stuff) == ([0, 1], [2])
    assert item["semantic"][0, 0] == 1 and item["semantic"][4, 0] == 2 and item["semantic"][5, 7] == 255
    assert item["instance"][0].tolist() == [1] * 4 + [0] * 4
    judge = PanopticEvaluator(data.things, data.stuff)
    judge.update([{"panoptic": item["panoptic"], "segments": item["segments"]}], [item])
    assert judge.compute()["pq"] == 1.0
    content["annotations"][0]["segments_info"] = segments[:2]
    listing.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="id 9 is in the map"):
        CocoPanoptic(tmp_path)[0]


def test_cityscapes(tmp_path) -> None:
    labels = np.array([[7, 26, 26, 4, 24, 26]] * 2, np.uint8)
    numbers = np.array([[7, 26000, 26001, 4, 24000, 26]] * 2, np.uint16)
    stem = "ulm/ulm_000000_000019"
    put(tmp_path / f"leftImg8bit/val/{stem}_leftImg8bit.png", picture(2, 6))
    put(tmp_path / f"gtFine/val/{stem}_gtFine_labelIds.png", labels)
    put(tmp_path / f"gtFine/val/{stem}_gtFine_instanceIds.png", numbers)
    put(tmp_path / f"disparity/val/{stem}_disparity.png", np.array([[0, 257, 513, 1, 257, 257]] * 2, np.uint16))
    camera = {"intrinsic": {"fx": 100, "fy": 100, "u0": 3, "v0": 1}, "extrinsic": {"baseline": 0.2}}
    (tmp_path / "camera/val/ulm").mkdir(parents=True)
    (tmp_path / f"camera/val/{stem}_camera.json").write_text(json.dumps(camera))
    item = Cityscapes(tmp_path, "val", depth=True)[0]
    assert item["semantic"][0].tolist() == [0, 13, 13, 255, 11, 13]
    assert item["instance"][0].tolist() == [0, 2, 3, 0, 1, 0]  # the last car is a group
    assert set(THINGS) == set(range(11, 19))
    np.testing.assert_allclose(item["depth"][0], [0, 20, 10, 0, 20, 20], rtol=1e-5)


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


def test_coco3d_and_its_evaluation(tmp_path) -> None:
    from perception.evaluation.kitti import KittiEvaluator

    put(tmp_path / "a.png", picture(60, 80))
    rotation = [[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]  # the length axis points forward
    boxes = [
        {
            "image_id": 1,
            "category_id": 7,
            "center_cam": [0, 0.5, 8],
            "dimensions": [1.0, 1.5, 3.0],
            "R_cam": rotation,
            "bbox": [30, 20, 20, 30],
        },
        {"image_id": 1, "category_id": 7, "center_cam": [2, 0.5, 9], "dimensions": [1.0, 1.5, 3.0], "yaw": 0.3},
        {"image_id": 1, "category_id": 9, "center_cam": [0, 0, -5], "dimensions": [1, 1, 1], "yaw": 0, "ignore": True},
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "K": [[70, 0, 39.5], [0, 70, 29.5], [0, 0, 1]]}],
        "categories": [{"id": 7, "name": "forklift"}, {"id": 9, "name": "rack"}],
        "annotations": boxes,
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    data = Coco3D(tmp_path)
    item = data[0]
    assert data.classes == ("forklift", "rack") and item["labels3d"].tolist() == [0, 0]
    np.testing.assert_allclose(item["boxes3d"][0], [0, 0.5, 8, 3.0, 1.0, 1.5, np.pi / 2], atol=1e-6)
    assert item["boxes2d"][0].tolist() == [30.5, 20.5, 50.5, 50.5] and item["intrinsics"][0, 2] == 40
    judge = KittiEvaluator(["forklift"], ["loose"])
    judge.update([{**item, "scores": np.array([0.9, 0.8])}], [item])
    assert judge.table()["loose"]["forklift/3d"]["curve"].max() == 1.0
    del content["annotations"][1]["yaw"]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="incomplete"):
        Coco3D(tmp_path)[0]


def test_panoramas(tmp_path) -> None:
    stem = "camera_ab_office_1_frame_equirectangular_domain"
    raw = np.full((8, 16), 1024, np.uint16)
    raw[0] = 65535
    for area in ("area_1", "area_5a"):
        put(tmp_path / f"s/{area}/pano/rgb/{stem}_rgb.png", picture(8, 16))
        put(tmp_path / f"s/{area}/pano/depth/{stem}_depth.png", raw)
    train = Stanford2D3D(tmp_path / "s")
    assert (
        len(train) == 1
        and len(Stanford2D3D(tmp_path / "s", "test")) == 1
        and len(Stanford2D3D(tmp_path / "s", "all")) == 2
    )
    item = train[0]
    assert item["depth"][1, 0] == 2.0 and not item["depth_valid"][0].any() and item["meta"]["depth_kind"] == "range"
    small = Stanford2D3D(tmp_path / "s", size=(4, 8))[0]
    assert set(small["depth"].unique().tolist()) <= {0.0, 2.0} and small["image"].shape == (3, 4, 8)
    (tmp_path / "list.txt").write_text(f"/area_1/pano/rgb/{stem}_rgb.png /area_1/pano/depth/{stem}_depth.png\n")
    assert len(Stanford2D3D(tmp_path / "s", listing=tmp_path / "list.txt")) == 1
    put(tmp_path / "m/house/pano_skybox_color/x.jpg", picture(8, 16))
    put(tmp_path / "m/house/pano_depth/x.png", np.full((8, 16), 8000, np.uint16))
    assert Matterport3D(tmp_path / "m")[0]["depth"][3, 3] == 2.0
    assert not Matterport3D(tmp_path / "m", max_depth=1.5)[0]["depth_valid"].any()
    put(tmp_path / "p/house1/color/0.png", picture(8, 16))
    put(tmp_path / "p/house1/depth/0.png", np.full((8, 16, 3), 51, np.uint8))
    assert PanoSUNCG(tmp_path / "p")[0]["depth"][0, 0] == pytest.approx(2.0)
    pytest.importorskip("OpenEXR")
    put(tmp_path / "e/Matterport3D/1_color_0_Left_Down_0.0.png", picture(8, 16))
    values = np.full((8, 16), 3.0, np.float32)
    values[0, 0] = 1e10
    write_exr(tmp_path / "e/Matterport3D/1_depth_0_Left_Down_0.0.exr", {"Y": values})
    item = Panorama3D60(tmp_path / "e")[0]
    assert item["depth"][1, 1] == 3 and not item["depth_valid"][0, 0]


def test_panosuncg_paths(tmp_path) -> None:
    """A path that walks, turns and stands still: neighbours with the motion between them; the standing frame is left out."""
    places = np.array([[0, 1.5, 0], [0, 1.5, 1], [1, 1.5, 1], [2, 1.5, 1], [2, 1.5, 1], [3, 1.5, 1.0]])
    for i in range(6):
        put(tmp_path / f"rotated/house/0.txt/{i}_color.png", np.full((8, 16, 3), 10 * i, np.uint8))
        put(tmp_path / f"rotated/house/0.txt/{i}_depth.png", np.full((8, 16), 51, np.uint8))
    (tmp_path / "labels/house").mkdir(parents=True)
    np.savetxt(tmp_path / "labels/house/0.txt", places)
    (tmp_path / "rotated/train.txt").write_text("house\n")
    assert len(PanoSUNCG(tmp_path, split="train")) == 6
    data = PanoSUNCG(tmp_path, split="train", offsets=(-1, 1))
    assert [e["image"].name for e in data.entries] == ["1_color.png"]  # frame 3 stands still: no frame beside it counts
    item = data[0]
    assert item["neighbours"][:, 0, 0, 0].tolist() == [0, 20] and item["depth"][0, 0] == pytest.approx(2.0)
    small = PanoSUNCG(tmp_path, split="train", offsets=(-1, 1), size=(4, 8))[0]
    assert small["neighbours"].shape == (2, 3, 4, 8) and small["image"].shape == (3, 4, 8)
    with pytest.raises(DatasetError, match="single panoramas"):
        PanoSUNCG(tmp_path, tmp_path / "rotated/train.txt", offsets=(1,))
    poses = camera_from_world_along(places)
    ahead = poses[1, :3, :3] @ (places[2] - places[1])
    np.testing.assert_allclose(ahead, [0, 0, 1], atol=1e-12)
    point = np.array([0.3, 0.2, 4.0, 1.0])
    moved = item["neighbour_from_camera"][0].double().numpy() @ poses[1] @ point
    np.testing.assert_allclose(moved, poses[0] @ point, atol=1e-5)
    assert np.isnan(poses[3]).any() and not np.isnan(poses[5]).any()
    with pytest.raises(DatasetError, match="train, val, all"):
        PanoSUNCG(tmp_path, split="test")


def test_the_check_of_panoramas_compares_with_what_is_known(tmp_path) -> None:
    stem = "camera_e7c078feab_office_11_frame_equirectangular_domain"
    raw = np.linspace(356, 3156, 128).round().astype(np.uint16).reshape(8, 16)
    raw[0] = 65535
    raw[1, 0], raw[1, 1] = 356, 3156
    put(tmp_path / f"area_5a/pano/rgb/{stem}_rgb.png", picture(8, 16))
    put(tmp_path / f"area_5a/pano/depth/{stem}_depth.png", raw)
    text = Stanford2D3D(tmp_path, "test").check().text()
    assert (
        "metres * 512" in text
        and "OmniFusion test 373" in text
        and "(356, 3156, 65535)" in text
        and "warning" not in text
    )
    put(tmp_path / f"area_5a/pano/depth/{stem}_depth.png", raw // 20)
    report = Stanford2D3D(tmp_path, "test").check()
    assert report.ok and "another preparation" in report.text() and "check the stored unit" in report.text()


def test_resize_keeps_maps_and_camera_together() -> None:
    """A bright column stays under its label and its ray, whatever the size."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 24:28] = 255
    labels = (image[..., 0] > 0).astype(np.int64)
    item = {
        "image": torch.from_numpy(image.transpose(2, 0, 1).copy()),
        "semantic": torch.from_numpy(labels),
        "depth": torch.from_numpy(labels.astype(np.float32) * 5),
        "depth_valid": torch.from_numpy(labels > 0),
        "intrinsics": torch.tensor([[30.0, 0, 20], [0, 30, 15], [0, 0, 1]]),
        "meta": {"name": "x"},
    }
    ray = (26 - 20) / 30
    for size, fit in (((15, 20), "crop"), ((60, 60), "crop"), ((45, 20), "stretch"), ((90, 120), "stretch")):
        new = resize_sample(item, size, fit)
        u = float(new["intrinsics"][0, 0] * ray + new["intrinsics"][0, 2])
        bright = np.flatnonzero(new["image"][0, size[0] // 2].numpy() > 127) + 0.5
        marked = np.flatnonzero(new["semantic"][size[0] // 2].numpy()) + 0.5
        assert abs(bright.mean() - u) <= 0.51 and abs(marked.mean() - u) <= 0.51
        assert set(new["depth"].unique().tolist()) == {0.0, 5.0} and new["meta"]["name"] == "x"
    with pytest.raises(RecipeError):
        resize_sample(item, (5, 5), "pad")


def test_check_command(tmp_path, capsys) -> None:
    spec = importlib.util.spec_from_file_location("tools_check", ROOT / "tools" / "check_dataset.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    write_sample(tmp_path / "a", picture(), None, np.ones((12, 16)))
    assert tool.main(["ImageFolder", str(tmp_path), "size=[6,8]"]) == 0
    assert "8x6 (1)" in capsys.readouterr().out
    (tmp_path / "a/image.png").write_bytes(b"x")
    assert tool.main(["ImageFolder", str(tmp_path)]) == 1
    assert "1 broken" in capsys.readouterr().out
    for name in "bcdefgh":  # six samples that lack their picture do not keep the others from being checked
        write_sample(tmp_path / name, picture(), None, np.ones((12, 16)))
        (tmp_path / name / ("image.png" if name == "h" else "depth.png")).write_bytes(b"")
    assert tool.main(["ImageFolder", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "8 samples, 0 missing files, 8 broken" in text and "h/image.png" not in text and "3 more broken" in text
    assert tool.main(["ImageFolder", str(tmp_path), "--all"]) == 1
    assert "h/image.png" in capsys.readouterr().out
    for wrong in (
        ["ImageFolder"],
        ["ImageFoldr", "x"],
        ["ImageFolder", str(tmp_path / "no")],
        ["ImageFolder", "x", "size"],
    ):
        assert tool.main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1


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


def test_real_segmentation() -> None:
    root = sample("segmentation")
    ade = build_dataset({"type": "ADE20K", "root": str(root / "ade20k"), "split": "val"})
    assert len(ade) == 2 and ade.class_names[:3] == ["wall", "building", "sky"] and ade.check().ok
    coco = CocoPanoptic(root / "coco_panoptic")
    item = coco[0]
    assert len(coco.categories) == 133 and len(coco.things) == 80
    for segment in item["segments"]:
        assert (item["panoptic"] == segment["id"]).sum() == segment["area"]
    judge = PanopticEvaluator(coco.things, coco.stuff)
    judge.update([{"semantic": item["semantic"], "instance": item["instance"]}], [item])
    assert judge.compute()["pq"] == 1.0
    city = Cityscapes(root / "cityscapes_small", "val")[0]
    assert city["image"].shape == (3, 128, 256) and 0 in city["semantic"].unique().tolist()


def test_real_panorama(tmp_path) -> None:
    folder = sample("panorama")
    pytest.importorskip("OpenEXR")
    for name, source in (("image.png", "matterport3d_rgb.png"), ("depth.exr", "matterport3d_depth.exr")):
        (tmp_path / "room").mkdir(exist_ok=True)
        (tmp_path / "room" / name).symlink_to(folder / source)
    item = PanoramaFolder(tmp_path)[0]
    depth = item["depth"][item["depth_valid"]]
    assert item["image"].shape == (3, 512, 1024) and 1.1 < depth.min() < depth.median() < 2.1 and depth.max() < 50
