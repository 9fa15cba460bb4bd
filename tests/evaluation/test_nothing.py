"""Nothing predicted, nothing true, classes that do not occur: every evaluator returns numbers (NaN where there is nothing to average)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from perception.evaluation.registry import build_evaluator, list_evaluators
from perception.geometry import Pinhole
from perception.results import Boxes3DResult, DepthResult, NormalsResult, Prediction, SegmentationResult

H, W = 12, 16
CAMERA = Pinhole.from_fov(W, H, 70.0)
CONFIGS: dict[str, dict[str, Any]] = {
    "DepthEvaluator": {},
    "NormalsEvaluator": {},
    "SemanticEvaluator": {"num_classes": 5},
    "PanopticEvaluator": {"things": [3, 4], "stuff": [0, 1, 2]},
    "KittiEvaluator": {},
    "NuScenesDetectionEvaluator": {},
    "NuScenesTrackingEvaluator": {},
    "OccupancyEvaluator": {},
    "MotionEvaluator": {},
    "StereoEvaluator": {},
    "FlowEvaluator": {},
}


def batch(known: bool) -> dict[str, Any]:
    """One picture with (or without) a truth."""
    return {
        "image": torch.zeros(1, 3, H, W, dtype=torch.uint8),
        "intrinsics": torch.tensor(np.asarray(CAMERA.matrix, np.float32))[None],
        "depth": torch.full((1, H, W), 3.0 if known else 0.0),
        "depth_valid": torch.full((1, H, W), known),
        "normals": torch.tensor([0.0, 0.0, -1.0 if known else 0.0]).view(1, 3, 1, 1).expand(1, 3, H, W),
        "semantic": torch.full((1, H, W), 1 if known else 255),
        "instance": torch.zeros(1, H, W, dtype=torch.int32),
        "boxes3d": [torch.tensor([[0.0, 1.0, 10.0, 4.0, 1.6, 1.5, 0.3]])[: int(known)]],
        "labels3d": [torch.zeros(int(known), dtype=torch.int64)],
        "boxes2d": [torch.tensor([[1.0, 1.0, 9.0, 9.0]])[: int(known)]],
        "meta": [{"name": "picture", "index": 0, "width": W, "height": H}],
    }


def prediction(found: bool) -> Prediction:
    """Everything, or maps of the wrong class and no boxes."""
    boxes = np.array([[0.0, 1.0, 10.0, 4.0, 1.6, 1.5, 0.3]])[: int(found)]
    return Prediction(
        depth=DepthResult(np.full((H, W), 3.0, np.float32), camera=CAMERA),
        normals=NormalsResult(np.tile(np.float32([0, 0, -1]), (H, W, 1)), camera=CAMERA),
        segmentation=SegmentationResult(semantic=np.full((H, W), 1 if found else 4)),
        boxes3d=Boxes3DResult(
            boxes=boxes,
            labels=np.zeros(len(boxes), int),
            scores=np.ones(len(boxes)),
            class_names=("Car",),
            camera=CAMERA,
        ),
        camera=CAMERA,
    )


def test_every_evaluator_is_here() -> None:
    assert {name for name in list_evaluators() if not name.startswith("Toy")} == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_images_at_all(name: str) -> None:
    evaluator = build_evaluator({"type": name, **CONFIGS[name]})
    assert all(isinstance(float(value), float) for value in evaluator.compute().values())
    assert isinstance(evaluator.report(), str)


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "name", ["DepthEvaluator", "NormalsEvaluator", "SemanticEvaluator", "PanopticEvaluator", "KittiEvaluator"]
)
def test_pictures_without_truth_or_predictions(name: str, known: bool, found: bool) -> None:
    evaluator = build_evaluator({"type": name, **CONFIGS[name]})
    evaluator.update([prediction(found)], batch(known))
    metrics = evaluator.compute()
    assert metrics and all(isinstance(float(value), float) for value in metrics.values())
    assert isinstance(evaluator.report(), str)
    if name == "SemanticEvaluator" and known:
        assert metrics["miou"] == float(found)
