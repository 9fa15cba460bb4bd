"""Stereo and flow metrics on numbers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.evaluation.matching import flow_errors, stereo_errors
from perception.evaluation.registry import build_evaluator
from perception.results import DisparityResult, FlowResult, Prediction


def test_stereo_errors() -> None:
    truth = np.array([[10.0, 100.0, 100.0, np.inf]])
    found = stereo_errors(np.array([[14.0, 104.0, 99.3, 5.0]]), truth, np.isfinite(truth))
    assert found["avgerr"] == pytest.approx(8.7 / 3) and found["rmse"] == pytest.approx(np.sqrt(32.49 / 3))
    assert [found[f"bad@{t}"] for t in ("0.5", "1", "2", "3")] == pytest.approx([100, 200 / 3, 200 / 3, 200 / 3])
    assert found["D1"] == pytest.approx(100 / 3)  # 4 of 100 pixels are no outlier


def test_flow_errors() -> None:
    truth = np.array([[[3.0, 4.0], [30.0, 0.0], [0.0, 200.0]]])
    flow = truth + np.array([[[3.0, 4.0], [0.0, 0.5], [0.0, 4.0]]])
    found = flow_errors(flow, truth, np.ones((1, 3), bool))
    assert found["L1"] == pytest.approx(11.5 / 3) and found["EPE"] == pytest.approx(9.5 / 3)
    assert found["bad@3"] == pytest.approx(200 / 3) and found["Fl"] == pytest.approx(100 / 3)
    assert (found["s0-10"], found["s10-40"], found["s40+"]) == pytest.approx((5, 0.5, 4))


def test_evaluators_take_results_and_arrays() -> None:
    truth = torch.full((2, 4, 6), 8.0)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[1, :, 1:] = False
    batch = {"disparity": truth, "disparity_valid": valid, "meta": [{"index": i} for i in range(2)]}
    maps = np.full((2, 4, 6), 8.0, np.float32)
    maps[1] += 5
    stereo = build_evaluator({"type": "StereoEvaluator"})
    stereo.update([Prediction(disparity=DisparityResult(maps[0])), {"disparity": maps[1]}], batch)
    found = stereo.compute()
    assert found["avgerr"] == pytest.approx(2.5) and found["D1"] == pytest.approx(50)
    assert found["D1-all"] == pytest.approx(100 * 4 / 28) and found["images"] == 2
    assert "D1" in stereo.report() and build_evaluator({"type": "StereoEvaluator"}).compute() == {"images": 0}
    flow = build_evaluator({"type": "FlowEvaluator"})
    flow.update(
        [Prediction(flow=FlowResult(np.zeros((4, 6, 2))))], {"flow": torch.ones(1, 2, 4, 6), "meta": [{"index": 0}]}
    )
    assert flow.compute()["EPE"] == pytest.approx(np.sqrt(2)) and flow.compute()["L1"] == pytest.approx(2)
    with pytest.raises(InputError, match="no disparity"):
        stereo.record(Prediction(), {"disparity": truth[0]})
    with pytest.raises(InputError, match="shape"):
        stereo.record(maps[0][:2], {"disparity": truth[0]})


def test_what_is_not_predicted_counts_as_wrong() -> None:
    stereo, flow = (build_evaluator({"type": name}) for name in ("StereoEvaluator", "FlowEvaluator"))
    stereo.update([{"disparity": np.array([[np.nan, 50.0]])}], {"disparity": np.full((1, 1, 2), 50.0)})
    flow.update([{"flow": np.full((1, 2, 2), np.nan)}], {"flow": np.full((1, 2, 1, 2), 30.0)})
    assert stereo.compute()["D1-all"] == 50 and stereo.compute()["avgerr"] == 25
    assert flow.compute()["Fl-all"] == 100 and flow.compute()["L1"] == 60
