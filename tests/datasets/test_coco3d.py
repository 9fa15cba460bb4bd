"""3D boxes in COCO's layout: reading and judging them."""

import json

import numpy as np
import pytest

from perception.datasets.coco3d import Coco3D
from perception.errors import DatasetError
from tests.datasets.reader_files import picture, put


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
