"""HyDRa as a whole: every part can be switched off, missing radar and cameras, augmentation, history, streams."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError, PerceptionError
from perception.inference.rig_predictor import RigPredictor
from perception.models.hydra.bev_frame import move_boxes
from perception.models.registry import build_model
from tests.models.hydra.conftest import TINY, make_batch, make_rig

VARIANTS = {
    "complete": {},
    "camera only": {"radar": False},
    "without height association": {"hat": False},
    "without RDC": {"rdc": False},
    "forward projection only": {"backward": None},
    "DFA3D": {"backward": "dfa3d"},
    "plain depth": {"depth_net": "plain", "depth_options": {}},
    "without occupancy": {"occupancy": None},
    "history": {"history": 2},
    "official geometry, mean": {
        "convention": "official",
        "rounding": "trunc",
        "pooling": "mean",
        "camera_ids": "index",
    },
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_predicts(name: str) -> None:
    torch.manual_seed(0)
    model = build_model({**TINY, **VARIANTS[name]}).train()
    batch = make_batch(history=1 if name == "history" else 0)
    losses = model.loss(model(**model.inputs(batch)), batch)
    assert {"heatmap", "box", "depth"} <= set(losses)
    assert all(torch.isfinite(value) for value in losses.values())
    sum(losses.values()).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    # An RDC factor of zero-initialised weights, the depth net's gates and so on all must learn; only unused embeddings may not.
    assert not [n for n in idle if "embed" not in n], idle[:5]
    model.eval()
    results = model.predict(model(**model.inputs(batch)), *model.views(batch))
    assert len(results) == 2 and results[0].boxes3d.frame == "ego"
    assert (results[0].occupancy is None) == (name == "without occupancy")


def test_no_radar_points_gives_the_same_as_a_missing_cloud(tiny) -> None:
    tiny.eval()
    rig = make_rig(points=0)
    with torch.no_grad():
        empty = tiny(**tiny.prepare_rig(rig))["heads"][0]["heatmap"]
        missing = tiny(**tiny.prepare_rig(rig.without_radar()))["heads"][0]["heatmap"]
        arguments = tiny.prepare_rig(rig)
        del arguments["radar"], arguments["radar_mask"]
        left_out = tiny(**arguments)["heads"][0]["heatmap"]
    assert torch.equal(empty, missing) and torch.equal(empty, left_out)
    assert empty.isfinite().all()


def test_radar_matters(tiny) -> None:
    tiny.eval()
    with torch.no_grad():
        maps = [tiny(**tiny.prepare_rig(make_rig(points=n)))["bev"] for n in (0, 60)]
    assert (maps[0] - maps[1]).abs().max() > 1e-3


def test_the_order_of_the_cameras_does_not_matter(tiny) -> None:
    tiny.eval()
    rig = make_rig(cameras=3)
    with torch.no_grad():
        a = tiny(**tiny.prepare_rig(rig))["heads"][0]["heatmap"]
        b = tiny(**tiny.prepare_rig(rig.select([2, 0, 1])))["heads"][0]["heatmap"]
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_one_camera_and_seven_cameras(tiny) -> None:
    predictor = RigPredictor(tiny.eval(), torch.device("cpu"), torch.float32)
    for count in (1, 7):
        result = predictor(make_rig(cameras=count))
        assert np.isfinite(result.boxes3d.boxes).all()


def test_a_turned_bev_moves_the_boxes_and_back() -> None:
    angle = 0.3
    turn = (
        torch.tensor([[np.cos(angle), np.sin(angle), 0], [np.sin(angle), -np.cos(angle), 0], [0, 0, 1.0]]).float() * 1.1
    )
    boxes = torch.tensor([[10.0, 2, 0.5, 4, 2, 1.5, 0.7]])
    velocity = torch.tensor([[3.0, 1.0]])
    moved, fast = move_boxes(boxes, velocity, turn)
    torch.testing.assert_close(moved[:, 3:6], boxes[:, 3:6] * 1.1)
    heading = turn[:2, :2] @ torch.tensor([np.cos(0.7), np.sin(0.7)]).float()
    assert abs(float(torch.atan2(heading[1], heading[0]) - moved[0, 6])) < 1e-5
    back, slow = move_boxes(moved, fast, torch.linalg.inv(turn))
    torch.testing.assert_close(back, boxes, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(slow, velocity, rtol=1e-4, atol=1e-4)


def test_a_stream_equals_training_on_the_same_clip() -> None:
    torch.manual_seed(1)
    model = build_model({**TINY, "history": 1}).eval()
    predictor = RigPredictor(model, torch.device("cpu"), torch.float32)
    pose = np.eye(4)
    first = make_rig(seed=1, global_from_ego=pose, time=0.0, scene="a")
    moved = np.eye(4)
    moved[0, 3] = 4.0
    second = make_rig(seed=2, global_from_ego=moved, time=0.5, scene="a")
    streamed = list(predictor.stream([first, second], track=False))[1]
    now, then = model.prepare_rig(second), model.prepare_rig(first)
    then["past_from_now"] = torch.from_numpy(moved).float()[None]
    then["age"] = torch.tensor([0.5])
    with torch.no_grad():
        clip = model.predict(model(**now, past=[then]))[0]
    np.testing.assert_allclose(streamed.boxes3d.scores, clip.boxes3d.scores, rtol=1e-4)
    alone = predictor(second)
    assert len(alone.boxes3d) != len(clip.boxes3d) or not np.allclose(alone.boxes3d.scores, clip.boxes3d.scores)
    other = make_rig(seed=2, global_from_ego=moved, time=0.5, scene="b")
    reset = list(predictor.stream([first, other], track=False))[1]
    np.testing.assert_allclose(reset.boxes3d.scores, alone.boxes3d.scores, rtol=1e-4)


def test_wrong_calls_are_one_sentence(tiny) -> None:
    predictor = RigPredictor(tiny.eval(), torch.device("cpu"), torch.float32)
    with pytest.raises(InputError, match="takes a Rig"):
        predictor(3)
    with pytest.raises(InputError, match=r"intrinsics \(3, 3, 3\)"):
        rig = make_rig()
        type(rig).from_arrays([c.image for c in rig.cameras], np.eye(3), np.stack([np.eye(4)] * 3))
    with pytest.raises(InputError, match="at least one RigCamera"):
        type(rig)([])
    with pytest.raises(InputError, match="rigid"):
        make_rig(global_from_ego=np.ones((4, 4)))
    with pytest.raises(InputError, match="no camera 'CAM'"):
        rig.select(["CAM"])
    with pytest.raises(InputError, match="32x64"):
        tiny.inputs({"images": torch.zeros(1, 2, 3, 30, 64)})
    with pytest.raises(PerceptionError, match="multiple of feature_stride"):
        build_model({**TINY, "image_size": (30, 64)})
