"""From a picture and a camera to boxes, files and sentences: what a user meets."""

import numpy as np
import pytest
import torch

from perception.errors import InputError, WeightsError
from perception.geometry import Pinhole
from perception.inference.predictor import Predictor
from perception.io.kitti import KittiCalibration, format_calibration, parse_labels
from perception.models.monodetr.detector import doubts
from perception.models.monodetr.targets import VirtualLens
from perception.results import Boxes3DResult


def sized(model):
    """The model with sizes that can be: without training half of them are negative, and such boxes are no results."""
    with torch.no_grad():
        model.heads[-1].size.layers[-1].weight.mul_(0.1)
        model.heads[-1].size.layers[-1].bias.fill_(1.5)
    return model.eval()


@pytest.fixture
def predictor(tiny):
    return Predictor(sized(tiny(score_threshold=0.0)), torch.device("cpu"), torch.float32)


@pytest.fixture
def calibration(tmp_path):
    matrix = np.array([[700.0, 0, 600], [0, 700, 180], [0, 0, 1]])
    path = tmp_path / "calib.txt"
    path.write_text(format_calibration(KittiCalibration.from_intrinsics(matrix)))
    return path


def picture(width=160, height=90):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_camera_comes_from_anywhere(predictor, calibration):
    for camera, source in ((None, "default"), ((80.0, 80.0, 80.0, 45.0), "caller"), (calibration, "file")):
        result = predictor(picture(), camera)
        assert result.camera.source == source
        assert len(result.boxes3d) and result.boxes3d.corners().shape[1:] == (8, 3)
        assert result.depth.shape == (90, 160)
    assert predictor(picture(), fov=70).camera.fov_degrees[0] == pytest.approx(70)
    assert result.camera.matrix[0].tolist() == [700.0, 0.0, 600.0]


def test_doubtful_cameras_are_named(predictor, calibration):
    assert any("unknown" in note and "field of view (fov)" in note for note in predictor(picture()).notes)
    assert any("outside the picture" in note for note in predictor(picture(), calibration).notes)
    assert predictor(picture(), fov=70).notes == ()
    assert doubts(Pinhole.from_fov(100, 50, 70)) == ()


def test_results_are_written_and_drawn(predictor, tmp_path):
    result = predictor(picture(), fov=70)
    paths = result.save(tmp_path / "out")
    assert {"boxes3d_json", "boxes3d_bev", "boxes3d_preview"} <= set(paths) and all(p.exists() for p in paths.values())
    text = result.boxes3d.to_kitti(tmp_path / "kitti.txt", offset=(0.06, 0.0, 0.0))
    rows = parse_labels((tmp_path / "kitti.txt").read_text())
    assert rows.types.tolist() == parse_labels(text).types.tolist() and len(rows) == len(result.boxes3d)
    np.testing.assert_allclose(rows.boxes3d((0.06, 0, 0))[:, :6], result.boxes3d.boxes[:, :6], atol=0.02)
    np.testing.assert_allclose(rows.score, result.boxes3d.scores, atol=0.006)


def test_nothing_found_is_a_result(tiny, tmp_path):
    result = Predictor(tiny(score_threshold=1.0).eval(), torch.device("cpu"), torch.float32)(picture(), fov=70)
    assert len(result.boxes3d) == 0
    result.save(tmp_path)
    assert result.boxes3d.to_kitti(tmp_path / "kitti.txt") == "" == (tmp_path / "kitti.txt").read_text()


@pytest.mark.parametrize("width,height", [(1, 1), (1, 400), (700, 2)])
def test_extreme_pictures_are_drawn(predictor, tmp_path, width, height):
    predictor(picture(width, height)).save(tmp_path)


def test_wrong_cameras_are_one_sentence(predictor, tmp_path):
    for camera in (Pinhole.from_fov(10, 10, 60), (1.0, 2.0), "nowhere.txt", np.zeros((3, 3))):
        with pytest.raises(Exception) as caught:
            predictor(picture(), camera)
        assert type(caught.value).__module__ == "perception.errors" and "\n" not in str(caught.value)


def test_boxes_of_another_frame_have_no_kitti_lines():
    boxes = Boxes3DResult(np.zeros((1, 7), np.float32) + 1, np.zeros(1), frame="ego", class_names=["Car"])
    with pytest.raises(InputError, match="ego"):
        boxes.to_kitti()


def test_a_lens_within_the_tolerance_counts_as_it_is():
    lens = VirtualLens(100.0, 0.06)
    assert lens.ratio(torch.tensor([95.0, 105.0, 200.0, 50.0])).tolist() == [1.0, 1.0, 2.0, 0.5]


def test_the_virtual_lens_can_be_switched_off(tiny):
    model = sized(tiny(virtual_focal=50.0, score_threshold=0.0))
    predictor = Predictor(model, torch.device("cpu"), torch.float32)
    far = predictor(picture(), fov=20).boxes3d.boxes[:, 2]
    model.virtual_focal = None
    near = predictor(picture(), fov=20).boxes3d.boxes[:, 2]
    assert np.median(far) > 2 * np.median(near)


def test_the_backbone_of_another_model_is_a_start(tiny, tmp_path):
    source = tiny("resnet10t")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "dense.pth")
    fresh = tiny("resnet10t", pretrained=str(tmp_path / "dense.pth"))
    for (name, a), b in zip(source.backbone.named_parameters(), fresh.backbone.parameters(), strict=True):
        assert torch.equal(a, b), name
    with pytest.raises(WeightsError, match="does not fit"):
        tiny("resnet14t", pretrained=str(tmp_path / "dense.pth"))
    with pytest.raises(WeightsError, match="neither"):
        tiny("resnet10t", pretrained="no such model")


def test_the_command_line_takes_a_calibration_file(tiny, calibration, tmp_path, capsys):
    from perception.cli import main
    from perception.io.images import write_image
    from tests.models.monodetr.conftest import TINY

    model = sized(tiny())
    config = {**TINY, "backbone": "toy", "score_threshold": 0.0}
    torch.save({"model_config": config, "state_dict": model.state_dict()}, tmp_path / "detector.pth")
    write_image(tmp_path / "street.png", picture())
    arguments = ["predict", str(tmp_path / "street.png"), "--model", str(tmp_path / "detector.pth")]
    assert main([*arguments, "--calib", str(calibration), "--out", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "street"
    for name in ("boxes3d.json", "boxes3d_bev.png", "boxes3d_preview.png", "kitti.txt"):
        assert (folder / name).stat().st_size > 0, name
    assert "outside the picture" in capsys.readouterr().err
    assert main([*arguments, "--calib", str(tmp_path / "missing.txt"), "--out", str(tmp_path / "out")]) == 1
    assert "missing.txt" in capsys.readouterr().err
