"""HyDRa on the nuScenes reader: histories, training, prediction, evaluation, a stream with tracks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.datasets.transforms.rig import RadarDropout, RigBevAugment, RigImageFlip, RigPhotometric
from perception.engine.collate import collate
from perception.evaluation.registry import build_evaluator
from perception.inference.rig_inputs import rig_from_nuscenes
from perception.inference.rig_predictor import RigPredictor
from perception.models.registry import build_model
from tests.datasets.nuscenes_fixture import write_tables
from tests.models.hydra.conftest import TINY, make_batch


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory):
    return write_tables(tmp_path_factory.mktemp("nuscenes"))


def reader(root, **options):
    return {
        "type": "NuScenes",
        "root": str(root),
        "version": "v1.0-mini",
        "split": "all",
        "cameras": ["CAM_FRONT"],
        "radars": ["RADAR_FRONT"],
        "size": [32, 64],
        "fit": "bottom",
        **options,
    }


def test_trains_predicts_and_is_evaluated(root) -> None:
    torch.manual_seed(0)
    data = build_dataset({"type": "RigSequences", "history": 1, "dataset": reader(root, depth=True, radar_sweeps=2)})
    model = build_model({**TINY, "history": 1, "occupancy": None})
    batch = collate([data[i] for i in (0, 1, 5)])
    for transform in (RigPhotometric(), RigImageFlip(), RigBevAugment(), RadarDropout(0.5, 0.5)):
        batch = transform(batch)
    losses = model.train().loss(model(**model.inputs(batch)), batch)
    sum(losses.values()).backward()
    assert set(losses) == {"heatmap", "box", "depth"} and all(torch.isfinite(v) for v in losses.values())
    model.eval()
    evaluator = build_evaluator({"type": "NuScenesDetectionEvaluator"})
    for index in range(len(data)):
        batch = collate([data[index]])
        with torch.no_grad():
            evaluator.update(model.predict(model(**model.inputs(batch)), *model.views(batch)), batch)
    assert 0 <= evaluator.compute()["nds"] <= 1


def test_a_sample_token_becomes_a_rig_and_a_drive_a_stream(root) -> None:
    data = build_dataset(reader(root, size=None))
    rig = rig_from_nuscenes(root, data.tokens[1], cameras=["CAM_FRONT"], radars=["RADAR_FRONT"])
    assert rig.name == data.tokens[1] and rig.cameras[0].camera.width == 80
    predictor = RigPredictor(build_model({**TINY, "history": 1}).eval(), torch.device("cpu"), torch.float32)
    results = list(predictor.stream([data[i] for i in range(3)], score_threshold=0.0))
    assert all(r.boxes3d.track_ids is not None for r in results)
    assert results[0].save is not None and results[0].preview().dtype == np.uint8


def test_turning_the_bev_leaves_the_targets_where_they_are() -> None:
    """Boxes are given in the ego frame; a turned BEV must learn them at turned cells, and predict them back in the ego frame."""
    torch.manual_seed(0)
    model = build_model({**TINY, "occupancy": None}).eval()
    batch = make_batch(samples=1)
    angle = 0.4
    batch["bev_from_ego"] = torch.tensor(
        [[[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]], dtype=torch.float32
    )
    outputs = model(**model.inputs(batch))
    before = float(model.loss(outputs, batch)["box"])
    # An oracle that says the truth in the turned frame: the loss vanishes and the decoded box is the original one.
    from perception.models.hydra.bev_frame import move_boxes
    from perception.models.hydra.centerpoint import BRANCHES
    from perception.models.hydra.centerpoint_targets import center_targets

    box, speed = move_boxes(batch["boxes3d"][0], batch["velocity"][0].nan_to_num(), batch["bev_from_ego"][0])
    targets = center_targets([box], [torch.tensor([0])], [speed], model.head.tasks, model.geometry)
    for maps, target in zip(outputs["heads"], targets, strict=True):
        table = torch.zeros(1, 10, 256)
        table[target.batch, :, target.cell] = target.values
        maps.update(dict(zip(BRANCHES, table.view(1, 10, 16, 16).split((2, 1, 3, 2, 2), 1), strict=True)))
        maps["heatmap"] = torch.logit(target.heatmap.clamp(1e-4, 1 - 1e-4))
    assert float(model.loss(outputs, batch)["box"]) < 1e-4 < before
    found = model.predict(outputs)[0].boxes3d.sorted()[0]
    np.testing.assert_allclose(found.boxes, batch["boxes3d"][0].numpy(), atol=1e-3)
