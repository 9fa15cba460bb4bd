"""KITTI object reader and writer: on the real frames where they are, on a written set otherwise."""

import numpy as np
import pytest
import torch

from perception.datasets.kitti import KittiObject, KittiWriter, write_results
from perception.datasets.registry import build_dataset
from perception.errors import DatasetError
from perception.geometry import boxes3d
from perception.geometry.cameras import Pinhole
from perception.io.kitti import (
    KittiCalibration,
    KittiLabels,
    format_labels,
    parse_calibration,
    parse_labels,
    read_calibration,
)
from perception.results import Boxes3DResult
from tests.evaluation.kitti_scenes import make_frames
from tests.evaluation.test_wrong_files import load_tool
from tests.helpers import sample

CALIB = """P0: 7.070493000000e+02 0.0 6.040814000000e+02 0.0 0.0 7.070493e+02 1.805066e+02 0.0 0.0 0.0 1.0 0.0
P2: 7.070493000000e+02 0.0 6.040814000000e+02 4.575831000000e+01 0.0 7.070493e+02 1.805066e+02 -3.454157e-01 0.0 0.0 1.0 4.981016e-03
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27

"""


def written(root, count: int = 5) -> list[KittiLabels]:
    truth, _ = make_frames(count, 5, 1, 3)
    writer = KittiWriter(root)
    for i, labels in enumerate(truth):
        image = np.full((90, 120, 3), i * 10, np.uint8)
        image[..., 0] = 200
        points = np.array([[10.0, 0.0, 0.0, 0.5], [20.0, 1.0, 0.0, 0.1]], np.float32)
        writer.write(f"{i:06d}", image, parse_calibration(CALIB), labels, "train" if i < 3 else "val", points)
    writer.finish()
    return truth


def test_written_layout_is_read_back(tmp_path) -> None:
    truth = written(tmp_path)
    train, val = (KittiObject(tmp_path, split, velodyne=True, depth=True) for split in ("train", "val"))
    assert (len(train), len(val), len(KittiObject(tmp_path, "trainval"))) == (3, 2, 5)
    item = val[1]
    assert item["image"].shape == (3, 90, 120) and item["image"][:, 0, 0].tolist() == [200, 40, 40]
    assert item["meta"]["name"] == "training/image_2/000004.png" and item["meta"]["index"] == 1
    np.testing.assert_allclose(item["kitti_labels"].values, truth[4].values, atol=0.0051)
    assert len(item["boxes3d"]) == sum(t in ("Pedestrian", "Car", "Cyclist") for t in truth[4].types)
    assert len(item["ignored_boxes2d"]) == 1
    # LiDAR: 10 m ahead along x becomes depth 10 m - 0.27 m + the camera's own shift.
    offset = item["camera_offset"].numpy()
    np.testing.assert_allclose(item["points"][0, :3], [offset[0], -0.08 + offset[1], 9.73 + offset[2]], atol=1e-5)


def test_a_list_file_may_be_a_path(tmp_path) -> None:
    writer = KittiWriter(tmp_path)
    for stem in ("000003", "000007"):
        writer.write(
            stem, np.zeros((8, 16, 3), np.uint8), np.array([[9, 0, 8], [0, 9, 4], [0, 0, 1.0]]), KittiLabels.empty()
        )
    (tmp_path / "mine.txt").write_text("000007\n")
    for split in (tmp_path / "mine.txt", str(tmp_path / "mine.txt"), ["000007"]):
        assert [entry["image"].stem for entry in KittiObject(tmp_path, split=split).entries] == ["000007"]


def test_projection_of_boxes_is_exact_with_the_offset() -> None:
    """Our pinhole on moved boxes equals KITTI's 3x4 matrix on the file's boxes; without the offset it is pixels off."""
    calibration = parse_calibration(CALIB)
    labels = make_frames(1, 12, 1, 4)[0][0]
    labels = labels[labels.types != "DontCare"]
    camera = Pinhole.from_matrix(calibration.intrinsics(2), 1242, 375)

    def ours(offset: np.ndarray) -> np.ndarray:
        corners = boxes3d.corners(labels.boxes3d(offset), "camera")
        image = corners @ camera.matrix.T
        return image[..., :2] / image[..., 2:]

    corners = boxes3d.corners(labels.boxes3d(), "camera").reshape(-1, 3)
    official = calibration.project(corners)[0].reshape(len(labels), 8, 2) + 0.5
    np.testing.assert_allclose(ours(calibration.offset(2)), official, atol=1e-6)
    assert np.abs(ours(np.zeros(3)) - official).max() > 0.5


def test_unprojection_is_exact() -> None:
    calibration = parse_calibration(CALIB)
    points = np.random.default_rng(0).uniform([-20, -2, 4], [20, 2, 60], (100, 3))
    pixels, _ = calibration.project(points)
    np.testing.assert_allclose(calibration.unproject(pixels, points[:, 2]), points, atol=1e-9)


def test_heading_convention() -> None:
    """rotation_y = pi/2: the car looks towards the camera (heading -z); our yaw turns the other way round."""
    row = "Car 0.00 0 1.57 0 0 10 10 1.5 1.6 4.0 0.0 1.6 20.0 1.5707963"
    box = parse_labels(row).boxes3d()[0]
    np.testing.assert_allclose(box[:6], [0, 0.85, 20, 4.0, 1.6, 1.5])
    front = boxes3d.corners(box, "camera")[[0, 3]].mean(0)
    assert front[2] == pytest.approx(18.0, abs=1e-4)


def test_boxes_to_rows_and_back() -> None:
    calibration = parse_calibration(CALIB)
    for labels in make_frames(4, 8, 1, 9)[0]:
        labels = labels[labels.types != "DontCare"]
        offset = calibration.offset(2)
        again = KittiLabels.from_boxes(
            labels.types, labels.boxes3d(offset), labels.boxes2d, None, offset, labels.truncated, labels.occluded
        )
        np.testing.assert_allclose(again.values[:, 3:], labels.values[:, 3:], atol=1e-9)
        np.testing.assert_allclose(np.cos(again.alpha - labels.alpha), 1, atol=1e-9)


def test_class_names_with_blanks_make_lines_that_are_read_back() -> None:
    camera = Pinhole(500, 500, 300, 200, 600, 400)
    box = np.array([[0, 0, 10, 4, 2, 1.5, 0]])
    for names, written in (((), "class_0"), (("traffic  sign",), "traffic_sign")):
        rows = parse_labels(Boxes3DResult(box, [0], class_names=names, camera=camera).to_kitti())
        assert rows.types.tolist() == [written] and len(rows.score) == 1


def test_calibration_keys_in_any_order_and_dates() -> None:
    text = "calib_time: 09-Jan-2012 13:57:47\n" + "\n".join(reversed(CALIB.strip().splitlines())) + "\n\n"
    calibration = parse_calibration(text)
    assert calibration.projection(2)[0, 3] == pytest.approx(45.75831)
    assert "calib_time" not in calibration.matrices
    written_back = KittiCalibration.from_intrinsics(np.array([[700.0, 0, 600], [0, 700, 180], [0, 0, 1]]))
    assert np.allclose(written_back.offset(2), 0) and written_back.intrinsics(2)[0, 2] == 600


@pytest.mark.parametrize("numbers", ["1 2 3", "0 0 0 0 0 0 0 0 0 0 1 0", "nan 0 600 0 0 700 180 0 0 0 1 0"])
def test_a_broken_projection_is_one_sentence(numbers) -> None:
    calibration = parse_calibration(f"P2: {numbers}\n")
    for use in (calibration.intrinsics, calibration.offset):
        with pytest.raises(DatasetError, match="text: P2 should be 12 finite numbers"):
            use()


def test_resized_samples_keep_boxes_on_the_picture(tmp_path) -> None:
    written(tmp_path)
    full, small = KittiObject(tmp_path, "all")[0], KittiObject(tmp_path, "all", size=(45, 40), fit="crop")[0]
    assert small["image"].shape == (3, 45, 40)
    point = torch.tensor([1.0, 0.5, 12.0])
    old, new = full["intrinsics"] @ point, small["intrinsics"] @ point
    sx, sy, left, top = small["meta"]["resize"]
    assert sx == sy == 0.5 and (left, top) == (10.0, 0.0)
    np.testing.assert_allclose(new[:2] / new[2], old[:2] / old[2] * sx - torch.tensor([left, top]), rtol=1e-5)
    np.testing.assert_allclose(small["boxes2d"][:, 0], full["boxes2d"][:, 0] * sx - left, rtol=1e-5)


def test_missing_and_broken_files_are_listed(tmp_path) -> None:
    written(tmp_path, 9)
    for i in range(7):
        (tmp_path / f"training/calib/{i:06d}.txt").unlink()
    with pytest.raises(DatasetError, match=r"7 files of 9 samples are missing.*000004\.txt$"):
        KittiObject(tmp_path, "all")
    (tmp_path / "training/image_2/000008.png").write_bytes(b"no picture")
    (tmp_path / "training/label_2/000007.txt").write_text("Car 0 0 0\n")
    rest = KittiObject(tmp_path, "all", missing="skip")
    report = rest.check()
    assert len(rest) == 2 and len(report.missing) == 7 and len(report.broken) == 2 and not report.ok
    assert "row 1" in report.text() and "000008.png" in report.text()
    with pytest.raises(DatasetError, match="ImageSets/val2.txt"):
        build_dataset({"type": "KittiObject", "root": str(tmp_path), "split": "val2"})
    with pytest.raises(DatasetError, match="no folder"):
        KittiObject(tmp_path / "nowhere")


def test_the_check_command_lists_missing_empty_and_broken_files_together(tmp_path, capsys) -> None:
    main = load_tool("check_dataset").main

    written(tmp_path, 9)
    assert main(["KittiObject", str(tmp_path), "split=all"]) == 0 and "9 samples, 0 missing" in capsys.readouterr().out
    (tmp_path / "training/calib/000001.txt").unlink()
    (tmp_path / "training/image_2/000002.png").write_bytes(b"")
    (tmp_path / "training/calib/000003.txt").write_text("")
    (tmp_path / "training/label_2/000004.txt").write_text("Car 0 0 0\n")
    (tmp_path / "training/label_2/000005.txt").write_text("")  # a frame without objects is fine
    assert main(["KittiObject", str(tmp_path), "split=all"]) == 1
    text = capsys.readouterr().out
    assert "8 samples, 1 missing files, 3 broken samples" in text
    for name in ("000001.txt", "000002.png", "000003.txt", "000004.txt"):
        assert name in text
    assert "000005" not in text
    for path in (tmp_path / "training/calib").iterdir():
        path.unlink()
    assert main(["KittiObject", str(tmp_path), "split=all"]) == 2
    assert "9 files of 9 samples are missing" in capsys.readouterr().err


def test_results_of_an_earlier_run_are_removed(tmp_path) -> None:
    results = make_frames(3, 4, 4)[1]
    write_results(tmp_path, [("000000", results[0]), ("000001", results[1])])
    assert write_results(tmp_path, [("000001", KittiLabels.empty(True))]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["000001.txt"] and (tmp_path / "000001.txt").read_text() == ""


def test_real_labels_are_written_back_unchanged() -> None:
    folder = sample("kitti_object/training/label_2")
    files = sorted(folder.glob("*.txt"))
    assert len(files) >= 10
    for path in files:
        text = path.read_text()
        want = [line.split() for line in text.splitlines() if line.strip()]
        got = [line.split() for line in format_labels(parse_labels(text)).splitlines()]
        assert [row[0] for row in got] == [row[0] for row in want]
        np.testing.assert_allclose(
            [list(map(float, r[1:])) for r in got], [list(map(float, r[1:])) for r in want], atol=0.00501
        )
        assert [r for r in got if r[0] == "DontCare"] == [r for r in want if r[0] == "DontCare"]
        # The same through our boxes, with the camera's offset there and back.
        offset = read_calibration(path.parents[1] / "calib" / path.name).offset()
        labels = parse_labels(text)
        labels = labels[labels.types != "DontCare"]
        parts = (labels.boxes2d, None, offset, labels.truncated, labels.occluded, labels.alpha)
        again = KittiLabels.from_boxes(labels.types, labels.boxes3d(offset), *parts)
        assert format_labels(again) == format_labels(labels)


def test_real_boxes_project_onto_their_2d_boxes() -> None:
    root = sample("kitti_object")
    overlaps, through = [], []
    data = KittiObject(root, "all")
    for item in data:
        camera = Pinhole.from_matrix(item["intrinsics"], item["meta"]["width"], item["meta"]["height"])
        rectangles = boxes3d.image_boxes(item["boxes3d"].numpy(), camera)
        for rectangle, box, label, cut in zip(
            rectangles, item["boxes2d"].numpy(), item["labels3d"].tolist(), item["truncation"].tolist(), strict=True
        ):
            size = np.minimum(rectangle[2:], box[2:]) - np.maximum(rectangle[:2], box[:2])
            common = np.prod(np.maximum(size, 0))
            iou = common / (np.prod(rectangle[2:] - rectangle[:2]) + np.prod(box[2:] - box[:2]) - common)
            if label == 1 and cut == 0:
                overlaps.append(iou)
    assert np.median(overlaps) > 0.93 and len(overlaps) > 15
    for item in KittiObject(root, "all", velodyne=True, missing="skip"):
        cars = item["boxes3d"][(item["labels3d"] == 1) & (item["occlusion"] == 0)].numpy()
        if len(cars):
            near = cars[cars[:, 2] < 30]
            through += (
                [int(boxes3d.points_in_boxes(item["points"][:, :3].numpy(), near, "camera").sum())] if len(near) else []
            )
    assert through and np.mean(np.array(through) > 50) > 0.7


def test_real_calibration_file() -> None:
    calibration = read_calibration(sample("kitti_object/training/calib/000001.txt"))
    assert calibration.offset(2)[0] == pytest.approx(0.06, abs=0.005)
    assert calibration.offset(2)[2] == pytest.approx(calibration.projection(2)[2, 3])
