"""Normals, semantic and panoptic metrics against hand-made cases and the published DeepLab2 panoptic case."""

import json
import pickle

import numpy as np
import pytest

from perception.errors import InputError
from perception.evaluation.normals import NormalsEvaluator, angular_error
from perception.evaluation.panoptic import PanopticEvaluator, panoptic_counts, segments_from_maps
from perception.evaluation.segmentation import SemanticEvaluator, confusion_matrix
from perception.results import Prediction, SegmentationResult
from tests.helpers import sample


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    values = rng.standard_normal((3, *shape))
    return values / np.linalg.norm(values, axis=0)


def test_known_rotation_gives_its_angle() -> None:
    rng = np.random.default_rng(0)
    truth = unit(rng, 400)
    other = unit(rng, 400)
    tangent = other - truth * (truth * other).sum(0)
    tangent /= np.linalg.norm(tangent, axis=0)
    angle = np.radians(rng.uniform(0, 60, 400))
    rotated = truth * np.cos(angle) + tangent * np.sin(angle)
    np.testing.assert_allclose(angular_error(5 * rotated, truth), np.degrees(angle), atol=1e-6)
    assert (angular_error(np.full((3, 2), np.nan), truth[:, :2]) == 90).all()


def test_normals_pool_all_pixels_exactly() -> None:
    rng = np.random.default_rng(1)
    truth = [unit(rng, 20, 30) for _ in range(3)]
    truth[1][:, 5:9] = 0.0
    guess = [t + 0.3 * rng.standard_normal(t.shape) for t in truth]
    errors = np.concatenate(
        [angular_error(g[:, m], t[:, m]) for g, t in zip(guess, truth, strict=True) for m in [np.abs(t).sum(0) > 0]]
    )
    evaluator, other = NormalsEvaluator(), NormalsEvaluator()
    evaluator.update(guess[:2], {"normals": truth[:2], "meta": [{"index": 0}, {"index": 1}]})
    other.update([guess[2].transpose(1, 2, 0)], {"normals": truth[2:], "meta": [{"index": 2}]})
    got = evaluator.merge(pickle.loads(pickle.dumps(other))).compute()
    assert got["mean"] == pytest.approx(errors.mean())
    assert got["median"] == pytest.approx(np.median(errors), abs=0.02)
    assert got["rms"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert got["within_11.25"] == pytest.approx((errors < 11.25).mean())
    assert got["facing_camera/mean"] > got["mean"]


def test_confusion_and_miou_by_hand() -> None:
    truth = np.array([[0, 0, 1, 255], [1, 2, 2, 2]])
    guess = np.array([[0, 1, 1, 0], [1, 2, 2, 7]])
    matrix = confusion_matrix(guess, truth, 4)
    assert matrix.sum() == 7 and matrix[2, 4] == 1
    evaluator = SemanticEvaluator(4)
    evaluator.update([{"semantic": guess}], {"semantic": truth[None], "meta": [{"name": "a"}]})
    got = evaluator.compute()
    assert got["miou"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)  # class 3 occurs nowhere
    assert got["pixel_accuracy"] == pytest.approx(5 / 7)
    with pytest.raises(InputError, match="0..1"):
        confusion_matrix(guess, truth, 2)


def test_panoptic_rules() -> None:
    """Void is left out of the union, crowds excuse, half-covered predictions are wrong, thing pixels need an instance."""
    truth = np.zeros((10, 10), int)
    truth[:, :4], truth[:, 4:6], truth[:, 6:8] = 1, 2, 3  # 40 px, 20 px, crowd 20 px; columns 8-9 void
    guess = np.zeros((10, 10), int)
    guess[:, :3], guess[:, 3:6], guess[:, 6:8], guess[:, 8:] = 11, 12, 13, 14
    counts = panoptic_counts(guess, {11: 0, 12: 1, 13: 1, 14: 0}, truth, {1: 0, 2: 1, 3: 1}, {3})
    np.testing.assert_allclose(counts[0], [30 / 40, 1, 0, 0])
    np.testing.assert_allclose(counts[1], [20 / 30, 1, 0, 0])
    # A prediction that covers a segment and spills onto void: the void pixels are not in the union.
    spill = np.where(truth == 2, 5, np.where(truth == 0, 5, 0))
    np.testing.assert_allclose(panoptic_counts(spill, {5: 1}, truth, {1: 0, 2: 1, 3: 1}, {3})[1], [1.0, 1, 0, 0])
    with pytest.raises(InputError, match="not in the list"):
        panoptic_counts(guess, {11: 0}, truth, {1: 0, 2: 1, 3: 1})
    ids, category, crowd = segments_from_maps(np.array([[0, 1, 1, 255]]), np.array([[9, 0, 4, 3]]), things=[1])
    assert len(set(ids.ravel().tolist())) == 4 and ids[0, 3] == 0
    assert sorted(category.values()) == [0, 1, 1] and crowd == {int(ids[0, 1])}


def test_instances_may_have_any_numbers() -> None:
    """Multiples of 2**20 were crowds, and numbers that far apart were one instance."""
    semantic = np.full((1, 5), 1)
    ids, categories, crowds = segments_from_maps(semantic, np.array([[5, 5 + (1 << 20), 1 << 20, 0, -1]]), things=[1])
    assert len(np.unique(ids[0, :3])) == 3 and set(categories.values()) == {1}
    assert ids[0, 3] == ids[0, 4] and crowds == {int(ids[0, 3])}


def test_perfect_panoptic_prediction_scores_one() -> None:
    rng = np.random.default_rng(3)
    semantic = np.repeat(np.repeat(rng.integers(0, 4, (6, 8)), 5, 0), 5, 1)
    instance = np.where(semantic >= 2, np.arange(40)[None] // 10 + 1, 0)
    evaluator = PanopticEvaluator(things=[2, 3], stuff=[0, 1])
    evaluator.update(
        [{"semantic": semantic, "instance": instance}], {"semantic": [semantic], "instance": [instance], "meta": [{}]}
    )
    got = evaluator.compute()
    assert got["pq"] == got["things/sq"] == got["stuff/rq"] == 1.0 and got["categories"] == 4
    # The typed results of the package are understood too.
    ids, category, _ = segments_from_maps(semantic, instance, [2, 3])
    numbers = np.unique(ids)
    typed = SegmentationResult(
        panoptic=np.searchsorted(numbers, ids) + 1,
        segments=[{"id": i + 1, "label": category[int(n)]} for i, n in enumerate(numbers)],
    )
    other, miou = PanopticEvaluator(things=[2, 3], stuff=[0, 1]), SemanticEvaluator(4)
    for judge in (other, miou):
        judge.update([Prediction(segmentation=typed)], {"semantic": [semantic], "instance": [instance], "meta": [{}]})
    assert other.compute()["pq"] == 1.0 and miou.compute()["miou"] == 1.0


def test_published_panoptic_quality() -> None:
    import cv2

    folder = sample("segmentation/pq_reference")
    want = json.loads((folder / "expected.json").read_text())
    evaluator = PanopticEvaluator(things=[1], stuff=[2])
    for name in want["images"]:
        truth = cv2.imread(str(folder / f"{name}_gt_instance.png"), cv2.IMREAD_GRAYSCALE).astype(int)
        of_truth = {int(k): v for k, v in want["gt_class"][name].items() if v != want["ignored_label"]}
        colour = cv2.imread(str(folder / f"{name}_pred_class.png"), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
        code = {tuple(map(int, key.split(","))): value for key, value in want["rgb_to_class"].items()}
        classes = np.array([code[tuple(pixel)] for pixel in colour.reshape(-1, 3)]).reshape(truth.shape)
        number = cv2.imread(str(folder / f"{name}_pred_instance.png"), cv2.IMREAD_GRAYSCALE).astype(int)
        guess = np.where(classes == 0, 0, classes * 1000 + number)
        evaluator.update(
            [{"panoptic": guess, "segments": [{"id": i, "category_id": i // 1000} for i in np.unique(guess) if i]}],
            {
                "panoptic": [np.where(np.isin(truth, list(of_truth)), truth, 0)],
                "segments": [[{"id": i, "category_id": c} for i, c in of_truth.items() if (truth == i).any()]],
                "meta": [{"name": name}],
            },
        )
    table = evaluator.per_category()
    present = range(1, want["num_classes"])
    for key in ("PQ", "SQ", "RQ", "TP", "FN", "FP"):
        assert np.mean([table[c][key.lower()] for c in present]) == pytest.approx(want["result"][key], abs=1e-6)
