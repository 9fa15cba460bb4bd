"""Disparity and flow as results: what is invalid stays out, metres need a camera and a baseline, files read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from perception.drawing import draw_disparity, draw_flow
from perception.errors import InputError
from perception.geometry import Pinhole
from perception.io.depth_files import read_pfm
from perception.io.flow_files import read_flo
from perception.io.images import read_png
from perception.results import DisparityResult, FlowResult, Prediction

CAMERA = Pinhole(fx=100.0, fy=100.0, cx=3.0, cy=2.0, width=6, height=4)


def disparity() -> DisparityResult:
    values = np.full((4, 6), 20.0)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, -1.0, 0.0
    return DisparityResult(values, camera=CAMERA, confidence=np.full((4, 6), 0.5))


def test_disparity_becomes_depth() -> None:
    result = disparity()
    assert not result.valid[0, :2].any() and result.valid[0, 2]  # 0 is a fact: infinitely far
    depth = result.to_depth(0.5)
    assert depth.kind == "metric" and depth.depth[2, 2] == pytest.approx(2.5) and not depth.valid[0, :3].any()
    assert result.to_depth(0.5, offset=5.0).depth[0, 2] == pytest.approx(10.0)  # Middlebury's doffs
    with pytest.raises(InputError, match="positive metres"):
        result.to_depth(0.0)
    with pytest.raises(InputError, match="give camera="):
        DisparityResult(np.ones((2, 2))).to_depth(0.5)
    with pytest.raises(InputError, match="camera's picture is 6x4"):
        DisparityResult(np.ones((2, 2)), camera=CAMERA)


def test_files_and_dictionaries_read_back(tmp_path) -> None:
    flow = np.dstack([np.full((4, 6), 2.0), np.full((4, 6), -3.0)])
    flow[0, 0] = np.inf
    prediction = Prediction(disparity=disparity(), flow=FlowResult(flow), image=np.zeros((4, 6, 3), np.uint8))
    paths = prediction.save(tmp_path)
    stored, _ = read_png(paths["disparity_png"])
    assert stored[2, 2] == 20 * 256 and stored[0, 0] == 0 and stored[0, 2] == 1
    assert np.isinf(read_pfm(paths["disparity_pfm"])[0, 0]) and read_pfm(paths["disparity_pfm"])[2, 2] == 20
    read, valid = read_flo(paths["flow_flo"])
    assert not valid[0, 0] and read[2, 2].tolist() == [2, -3]
    json.loads(paths["result"].read_text(), parse_constant=lambda name: pytest.fail(name))
    again = Prediction.from_dict(prediction.to_dict())
    assert np.array_equal(again.disparity.disparity, prediction.disparity.disparity) and again.camera == CAMERA
    assert np.array_equal(again.flow.flow, prediction.flow.flow) and again.flow.largest == pytest.approx(13**0.5)
    assert "DisparityResult(4x6" in repr(again) and "FlowResult(4x6" in repr(again)
    with pytest.raises(InputError, match="picture's size"):
        Prediction(disparity=disparity(), flow=FlowResult(np.zeros((2, 2, 2))))


def test_pictures() -> None:
    values = np.zeros((4, 6))
    values[:, 3:] = 30.0
    valid = np.ones((4, 6), bool)
    valid[0, 0] = False
    image = draw_disparity(values, valid)
    assert image.dtype == np.uint8 and tuple(image[0, 0]) == (38, 38, 38)
    assert int(image[1, 4, 0]) > int(image[1, 0, 0])  # near is warm
    flow = np.zeros((1, 4, 2))
    flow[0, 1], flow[0, 2], flow[0, 3] = (10, 0), (-10, 0), (0, 0)
    image = draw_flow(flow)
    assert tuple(image[0, 3]) == (255, 255, 255) and image[0, 1, 0] == 255 and image[0, 1, 1] == 0  # right is red
    assert image[0, 2, 0] == 0
    assert draw_flow(np.zeros((3, 3, 2)), np.zeros((3, 3), bool)).shape == (3, 3, 3)
    for draw, wrong in ((draw_flow, np.zeros((3, 3))), (draw_disparity, np.zeros((3, 3, 2)))):
        with pytest.raises(InputError, match="shape"):
            draw(wrong)
