"""Every registered evaluator gives the same numbers, bit for bit, whatever the batch size, the order and the number of processes."""

import pickle

import numpy as np
import pytest
import torch

from perception.engine.collate import collate
from perception.errors import InputError
from perception.evaluation.motion import motion_matrices
from perception.evaluation.registry import build_evaluator, list_evaluators
from perception.io.nuscenes_results import DETECTION_CLASSES, NuScenesBoxes
from perception.results import Boxes3DResult, Prediction
from tests.evaluation.kitti_scenes import make_frames

COUNT = 11


def _depth(rng: np.random.Generator, index: int) -> tuple:
    truth = rng.uniform(0.5, 9, (24, 48)).astype(np.float32)
    sample = {"depth": torch.from_numpy(truth), "depth_valid": torch.from_numpy(rng.random(truth.shape) < 0.8)}
    return {"depth": truth * rng.uniform(0.7, 1.3, truth.shape)}, sample


def _normals(rng: np.random.Generator, index: int) -> tuple:
    truth = rng.standard_normal((3, 12, 16))
    truth /= np.linalg.norm(truth, axis=0)
    return {"normals": truth + 0.3 * rng.standard_normal(truth.shape)}, {"normals": torch.from_numpy(truth)}


def _labels(rng: np.random.Generator, index: int) -> tuple:
    semantic, instance = rng.integers(0, 4, (8, 12)), rng.integers(1, 3, (8, 12))
    wrong = rng.random(semantic.shape) < 0.2
    guess = {"semantic": np.where(wrong, rng.integers(0, 4, (8, 12)), semantic), "instance": instance}
    return guess, {"semantic": torch.from_numpy(semantic), "instance": torch.from_numpy(instance)}


_FRAMES = make_frames(COUNT, 6, 8)


def _kitti(rng: np.random.Generator, index: int) -> tuple:
    return _FRAMES[1][index], {"kitti_labels": _FRAMES[0][index], "camera_offset": torch.zeros(3)}


def _around(rng: np.random.Generator, index: int) -> tuple:
    """Cars that drive along a road of their own; the scene changes after five frames."""
    start = np.random.default_rng(index // 5).uniform(-30, 30, (9, 2))
    speed = np.random.default_rng(100 + index // 5).uniform(-4, 4, (9, 2))
    xy = start + speed * 0.5 * (index % 5)
    rows = np.zeros(9, int)
    truth = NuScenesBoxes.make(
        rows,
        rows,
        np.column_stack([xy, rows]),
        np.tile([1.9, 4.5, 1.6], (9, 1)),
        np.tile([1.0, 0, 0, 0], (9, 1)),
        velocity=speed,
        attribute=rows,
        points=rows + 4,
        track=np.arange(9),
    )
    noisy = xy + rng.normal(0, 0.6, xy.shape)
    boxes = np.column_stack([noisy, rows, np.tile([4.4, 1.8, 1.5, 0.1], (9, 1))])
    found = Boxes3DResult(boxes, rows, rng.random(9), "ego", DETECTION_CLASSES, speed, track_ids=rng.integers(0, 9, 9))
    meta = {"scene": f"s{index // 5}", "timestamp": index * 500_000}
    sample = {"nuscenes_truth": truth, "global_from_ego": torch.eye(4, dtype=torch.float64), "meta": meta}
    return Prediction(boxes3d=found), sample


def _occupancy(rng: np.random.Generator, index: int) -> tuple:
    truth = rng.integers(0, 18, (6, 6, 3))
    seen = rng.random(truth.shape) < 0.7
    sample = {"occupancy": torch.from_numpy(truth), "occupancy_mask_camera": torch.from_numpy(seen)}
    return {"occupancy": np.where(rng.random(truth.shape) < 0.6, truth, 17)}, sample


def _motion(rng: np.random.Generator, index: int) -> tuple:
    found = rng.normal(0, 0.1, (2, 6))
    return {"motion": found}, {
        "neighbour_from_camera": torch.from_numpy(motion_matrices(found + rng.normal(0, 0.02, (2, 6))))
    }


def _matching(name: str):
    """Two channels of flow, or one of disparity, with a few unknown pixels."""

    def make(rng: np.random.Generator, index: int) -> tuple:
        shape = (8, 9 + index, 2) if name == "flow" else (8, 9 + index)
        truth = rng.uniform(1, 50, shape).astype(np.float32)
        valid = rng.random(shape[:2]) < 0.8
        found = truth + rng.normal(0, 3, shape).astype(np.float32)
        channels_first = truth.transpose(2, 0, 1) if name == "flow" else truth
        sample = {name: torch.from_numpy(channels_first.copy()), f"{name}_valid": torch.from_numpy(valid)}
        return {name: found}, sample

    return make


CASES = {
    "DepthEvaluator": ({"protocol": "unifuse", "alignments": ["none", "affine-log"]}, _depth),
    "NormalsEvaluator": ({}, _normals),
    "SemanticEvaluator": ({"num_classes": 4}, _labels),
    "PanopticEvaluator": ({"things": [2, 3], "stuff": [0, 1]}, _labels),
    "KittiEvaluator": ({}, _kitti),
    "NuScenesDetectionEvaluator": ({}, _around),
    "NuScenesTrackingEvaluator": ({}, _around),
    "OccupancyEvaluator": ({}, _occupancy),
    "MotionEvaluator": ({}, _motion),
    "StereoEvaluator": ({}, _matching("disparity")),
    "FlowEvaluator": ({}, _matching("flow")),
}


def test_no_evaluator_is_left_out() -> None:
    assert sorted(CASES) == [name for name in list_evaluators() if not name.startswith("Toy")]


@pytest.mark.parametrize(
    "name, options",
    [*((name, options) for name, (options, _) in CASES.items()), ("NuScenesTrackingEvaluator", {"tracker": {}})],
)
def test_batches_order_and_processes_do_not_matter(name: str, options: dict) -> None:
    make = CASES[name][1]
    rng = np.random.default_rng(7)
    items = []
    for index in range(COUNT):
        prediction, sample = make(rng, index)
        sample["meta"] = {"index": index, "name": f"frame {index}", **sample.get("meta", {})}
        items.append((prediction, sample))

    def run(chosen: list, batch: int):
        evaluator = build_evaluator({"type": name, **options})
        for start in range(0, len(chosen), batch):
            part = chosen[start : start + batch]
            evaluator.update([p for p, _ in part], collate([s for _, s in part]))
        return evaluator

    whole = run(items, 1)
    want = whole.compute()
    assert sum(np.isfinite(list(want.values()))) > 3 and len(set(want.values())) > 2
    assert want.get("images", want.get("frames")) == COUNT

    def same(evaluator) -> None:
        np.testing.assert_equal(evaluator.compute(), want)
        assert evaluator.report() == whole.report()

    same(run(items, 4))
    same(run(items[::-1], 3))
    # Three processes with interleaved shares; two of them see a frame twice, as distributed samplers pad their last batch.
    shares = [run(items[0::3], 2), run([*items[1::3], items[0]], 3), run([*items[2::3], items[1]], 4)]
    first, *others = [pickle.loads(pickle.dumps(share)) for share in shares[::-1]]
    for other in others:
        first.merge(other)
    same(first)
    whole.reset()
    assert not whole.records


def test_images_that_nothing_identifies_are_never_lost() -> None:
    """They were numbered from 0 in every process, so that merging dropped all but one process's."""
    shares = [build_evaluator({"type": "DepthEvaluator", "baselines": False}) for _ in range(2)]
    for share in shares:
        share.update([{"depth": np.ones((2, 3))}] * 2, {"depth": np.ones((2, 2, 3)), "meta": [{}, {"index": 0}]})
    assert [share.compute()["images"] for share in shares] == [2, 2]
    with pytest.raises(InputError, match="meta"):
        shares[0].merge(shares[1])
