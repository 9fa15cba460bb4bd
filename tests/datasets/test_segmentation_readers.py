"""Readers of ADE20K, COCO panoptic and Cityscapes: tiny written sets, and the real samples where they are."""

import json

import numpy as np
import pytest

from perception.datasets.cityscapes import THINGS, Cityscapes
from perception.datasets.coco_panoptic import CocoPanoptic
from perception.datasets.registry import build_dataset
from perception.errors import DatasetError
from perception.evaluation.panoptic import PanopticEvaluator
from tests.datasets.reader_files import picture, put
from tests.helpers import sample


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
