"""Depth metrics against numbers worked out by hand, reference outputs, and the invariances that a protocol promises."""

import math
import pickle

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError
from perception.evaluation.alignment import ALIGNMENTS, fit_alignment
from perception.evaluation.baselines import VerticalPrior, row_elevation
from perception.evaluation.depth import METRICS, DepthEvaluator, depth_sums, measure, metrics_from_sums
from perception.evaluation.depth_protocol import PRESETS, crop_region, depth_protocol
from perception.evaluation.panorama_depth import polar_pixels
from perception.evaluation.registry import build_evaluator
from perception.evaluation.segmentation import SemanticEvaluator
from perception.results import DepthResult, Prediction


def scenes(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[tuple[np.ndarray, dict]]:
    """Predictions and samples: depth falls with the row, with noise; some pixels unknown."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(count):
        truth = (6.0 - 4.0 * np.linspace(0, 1, height))[:, None] * np.exp(0.2 * rng.standard_normal((height, width)))
        valid = rng.random((height, width)) < 0.9
        prediction = truth * np.exp(0.1 * rng.standard_normal(truth.shape)) * (1 + 0.1 * index)
        intrinsics = np.array([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]], np.float32)
        sample = {
            "depth": torch.tensor(np.where(valid, truth, 0), dtype=torch.float32),
            "depth_valid": torch.tensor(valid),
            "intrinsics": torch.tensor(intrinsics),
            "meta": {"index": index, "name": f"frame{index}"},
        }
        made.append((prediction, sample))
    return made


def run(evaluator: DepthEvaluator, items: list, batch: int) -> DepthEvaluator:
    for start in range(0, len(items), batch):
        chunk = items[start : start + batch]
        collated = {k: torch.stack([s[k] for _, s in chunk]) for k in ("depth", "depth_valid", "intrinsics")}
        evaluator.update([p for p, _ in chunk], {**collated, "meta": [s["meta"] for _, s in chunk]})
    return evaluator


def test_numbers_by_hand() -> None:
    values = metrics_from_sums(depth_sums(np.array([2.0, 3.0]), np.array([1.0, 4.0])))
    got = dict(zip(METRICS, values, strict=True))
    logs = math.log(2.0), math.log(0.75)
    assert got["abs_rel"] == pytest.approx((1 + 0.25) / 2)
    assert got["sq_rel"] == pytest.approx((1 + 0.25) / 2)
    assert got["rmse"] == pytest.approx(1.0)
    assert got["mae"] == pytest.approx(1.0)
    assert got["rmse_log"] == pytest.approx(math.sqrt((logs[0] ** 2 + logs[1] ** 2) / 2))
    assert got["log10"] == pytest.approx((abs(logs[0]) + abs(logs[1])) / 2 / math.log(10))
    assert got["silog"] == pytest.approx(100 * abs(logs[0] - logs[1]) / 2)
    assert got["irmse"] == pytest.approx(math.sqrt((500.0**2 + (1000 / 3 - 250) ** 2) / 2))
    assert [got["delta1"], got["delta2"], got["delta3"]] == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("name", [name for name in ALIGNMENTS if name != "none"])
def test_alignment_undoes_what_it_models(name: str) -> None:
    truth = np.random.default_rng(1).uniform(1.0, 9.0, 501)
    method, _, space = name.partition("-")
    distorted = {
        "": truth * 3.0 + (2.0 if method == "affine" else 0.0),
        "log": truth ** (1.7 if method == "affine" else 1.0) * 3.0,
        "disparity": 1.0 / (2.0 / truth + (0.5 if method == "affine" else 0.0)),
    }[space]
    for weights in (None, np.linspace(0.1, 1.0, 501)):
        fitted = fit_alignment(name, distorted, truth, weights)
        np.testing.assert_allclose(fitted.apply(distorted), truth, rtol=1e-9)


def test_inverse_predictions_are_disparities() -> None:
    truth = np.random.default_rng(2).uniform(1.0, 9.0, 300)
    inverse = 7.0 / truth + 3.0
    np.testing.assert_allclose(
        fit_alignment("affine-disparity", inverse, truth, kind="inverse").apply(inverse, "inverse"), truth, rtol=1e-9
    )
    median = fit_alignment("median", 7.0 / truth, truth, kind="inverse").apply(7.0 / truth, "inverse")
    np.testing.assert_allclose(median, truth, rtol=1e-9)


def test_flat_prediction_under_affine_alignment_is_the_best_constant() -> None:
    truth = np.array([1.0, 2.0, 6.0])
    assert np.allclose(fit_alignment("affine", np.full(3, 5.0), truth).apply(np.full(3, 5.0)), 3.0)


def test_crops() -> None:
    assert crop_region("nyu_eigen", 480, 640) == (slice(45, 471), slice(41, 601))
    assert crop_region("kitti_garg", 375, 1242) == (slice(153, 371), slice(44, 1197))
    with pytest.raises(RecipeError, match="nyu_eigen"):
        crop_region("nyu_eigan", 4, 4)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_batch_size_order_and_processes_do_not_matter(preset: str) -> None:
    items = scenes(7)
    alignments = ["none", "median", "affine-log"]
    one = run(DepthEvaluator(preset, alignments), items, 1)
    whole = one.compute()
    assert whole["images"] == 7 and np.isfinite(list(whole.values())).all()
    assert run(DepthEvaluator(preset, alignments), items, 4).compute() == whole
    # Two processes that saw interleaved shares, the second with a repeated sample as distributed samplers pad.
    first = run(DepthEvaluator(preset, alignments), items[::2], 2)
    second = run(DepthEvaluator(preset, alignments), [*items[5::-2], items[0]], 3)
    assert pickle.loads(pickle.dumps(second)).merge(first).compute() == whole


def test_group_alignment_matches_reference_definition() -> None:
    """OmniFusion: one torch.median ratio for two images together, pooled metrics, the odd last image dropped."""
    items = scenes(5)
    got = run(DepthEvaluator("omnifusion", baselines=False), items, 2).compute()
    total, count = 0.0, 0
    for pair in (items[:2], items[2:4]):
        gt = torch.cat([s["depth"].flatten() for _, s in pair])
        pred = torch.tensor(np.concatenate([p.ravel() for p, _ in pair]), dtype=torch.float32)
        mask = (gt > 0.1) & (gt <= 8.0)
        gt, pred = gt[mask], pred[mask]
        pred = pred * (gt.median() / pred.median())
        total, count = total + ((pred - gt).abs() / gt).sum().item(), count + len(gt)
    assert got["median/abs_rel"] == pytest.approx(total / count, rel=1e-5)


def plain_panorama(preset: str, pred: np.ndarray, gt: np.ndarray) -> dict[str, float]:
    """The papers' evaluation scripts for one image, written out (spec: UniFuse, BiFuse, DA-2; the clean one by its definition)."""
    pred, gt, weight = pred.copy(), gt.copy(), np.ones_like(gt)
    if preset.startswith("unifuse"):
        mask = (gt > 0) & (gt <= 10)
        gt, pred = np.clip(gt[mask], 0.1, 10), np.maximum(pred[mask], 0.1)
        if preset == "unifuse":
            gt[pred > 10] = 10  # the official slip
        else:
            pred = np.minimum(pred, 10)
    elif preset.startswith("bifuse"):
        mask = (gt > 0.01) & (gt < 10)
        if preset == "bifuse":
            mask[:68] = mask[-68:] = False
        gt, pred = gt[mask], pred[mask]
    elif preset == "da2":
        mask = (gt > 0) & (gt <= 5)
        gt, pred = gt[mask], pred[mask]
        pred = pred * (np.sort(gt)[(len(gt) - 1) // 2] / np.sort(pred)[(len(pred) - 1) // 2])
    else:
        mask = gt > 0
        weight = np.repeat(np.sin((np.arange(len(gt)) + 0.5) / len(gt) * np.pi)[:, None], gt.shape[1], 1)[mask]
        gt, pred = gt[mask], pred[mask]
    weight = np.ones_like(gt) if preset != "clean" else weight
    base = 10 if preset.startswith(("unifuse", "bifuse")) else np.e
    logs = np.log(pred / gt) / np.log(base)

    def mean(values: np.ndarray) -> float:
        return float((values * weight).sum() / weight.sum())

    return {
        "abs_rel": mean(np.abs(pred - gt) / gt),
        "sq_rel": mean((pred - gt) ** 2 / gt),
        "rmse": mean((pred - gt) ** 2) ** 0.5,
        "rmse_log": mean(logs**2) ** 0.5,
        "delta1": mean(np.maximum(pred / gt, gt / pred) < 1.25),
    }


@pytest.mark.parametrize("preset", ["unifuse", "unifuse_fixed", "bifuse", "bifuse_nocrop", "da2", "clean"])
def test_panorama_presets_equal_the_written_out_scripts(preset: str) -> None:
    """Images with truth on both sides of every limit: means of what each script gives for one image."""
    rng = np.random.default_rng(3)
    evaluator, want = DepthEvaluator(preset, baselines=False), []
    for index in range(3):
        gt = rng.uniform(0.02, 14, (512, 128)).astype(np.float32)
        gt[rng.random(gt.shape) < 0.2] = 0
        pred = (gt * np.exp(rng.normal(0, 0.3, gt.shape)) + 0.05 + rng.uniform(0, 3)).astype(np.float32)
        evaluator.update([pred], {"depth": gt[None], "depth_valid": gt[None] > 0, "meta": [{"index": index}]})
        want.append(plain_panorama(preset, pred.astype(float), gt.astype(float)))
    got = evaluator.compute()
    for name in want[0]:
        mean = np.mean([row[name] for row in want])
        assert got[f"{evaluator.alignments[0]}/{name}"] == pytest.approx(mean, rel=1e-6), name
    text = evaluator.report()
    assert f"protocol {preset}" in text and text.count("protocol") == 1


def test_seam_and_poles_of_a_panorama() -> None:
    """An error of the left column alone shows in the seam; one of the topmost rows alone in the poles; a common offset in no seam."""
    truth = np.full((64, 128), 4.0)

    def figures(prediction: np.ndarray) -> tuple[float, float]:
        evaluator = DepthEvaluator("clean", baselines=False)
        evaluator.update([prediction], {"depth": truth[None], "meta": [{"index": 0}]})
        got = evaluator.compute()
        return got["none/seam"], got["none/polar_rmse"]

    left = truth.copy()
    left[:, 0] += 0.5
    assert figures(left)[0] == pytest.approx(0.5)
    assert figures(truth + 0.3) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.3))
    top, equator = truth.copy(), truth.copy()
    top[:8] += 1.0
    equator[28:36] += 1.0
    assert figures(top)[1] > 0.1 and figures(equator)[1] == 0
    # Half of the pixels of both faces look at latitudes above a cone of equal area.
    faces = polar_pixels(256, 512) // 512
    assert faces[: 128 * 128].max() <= 256 * (0.5 - np.arctan(1 / np.sqrt(2)) / np.pi) + 1
    assert np.bincount(faces[: 128 * 128] // 128, minlength=2)[0] == 128 * 128


def test_prediction_of_another_size_and_result_objects() -> None:
    class Result:
        depth = np.full((24, 32), 2.0)
        kind = "metric"

    sample = scenes(1)[0][1]
    evaluator = DepthEvaluator(baselines=False)
    evaluator.update([Result()], [sample])
    truth, valid = sample["depth"].numpy(), sample["depth_valid"].numpy()
    assert evaluator.compute()["none/abs_rel"] == pytest.approx(
        np.mean(np.abs(2 - truth[valid]) / truth[valid]), rel=1e-6
    )
    whole = DepthEvaluator(baselines=False)
    whole.update([Prediction(depth=DepthResult(np.full((48, 64), 2.0), kind="relative"))], [sample])
    assert whole.compute()["none/abs_rel"] == pytest.approx(evaluator.compute()["none/abs_rel"])
    with pytest.raises(InputError, match="one prediction an image"):
        evaluator.update([], [sample])


@pytest.mark.parametrize("wrap", [lambda depth: depth, lambda depth: Prediction(depth=depth)])
def test_pixels_that_a_result_leaves_out_fit_nothing_and_are_counted(wrap) -> None:
    truth = np.linspace(1, 9, 81).reshape(9, 9)
    valid = np.arange(9)[:, None] + np.zeros(9) >= 4
    evaluators = [DepthEvaluator(alignments="median", baselines=False) for _ in range(2)]
    for evaluator, held in zip(
        evaluators, (wrap(DepthResult(2 * truth, valid)), np.where(valid, 2 * truth, np.nan)), strict=True
    ):
        evaluator.update([{"depth": held} if isinstance(held, np.ndarray) else held], {"depth": truth[None]})
    assert evaluators[0].compute() == pytest.approx(evaluators[1].compute(), rel=1e-6)
    assert evaluators[0].compute()["median/delta1"] == pytest.approx(
        valid.mean()
    )  # the median of the known pixels alone is exact
    assert "36 pixels" in evaluators[0].report()


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (1, 1)])
def test_maps_of_one_row_or_column(shape: tuple[int, int]) -> None:
    evaluator, labels = DepthEvaluator(), SemanticEvaluator(2)
    evaluator.update([{"depth": np.full(shape, 1.1)}], {"depth": np.ones((1, *shape))})
    labels.update([{"semantic": np.ones(shape, int)}], {"semantic": np.ones((1, *shape), int)})
    assert evaluator.compute()["none/abs_rel"] == pytest.approx(0.1) and labels.compute()["miou"] == 1


def test_not_finite_predictions_count_as_wrong() -> None:
    truth = np.full(10, 5.0)
    bad = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 5, 5, 5, 5, 5])
    sums = measure(bad, truth, depth_protocol("nyu_eigen"), "none")
    assert sums[0] == 10 and sums[9] == 5  # all ten count, five are within 25 %
    assert np.isfinite(sums).all()


def test_vertical_prior_recovers_a_plane_and_moves_between_cameras() -> None:
    """A flat floor seen by a level camera at 1.5 m: z = 1.5 / tan(angle below the horizon)."""

    def floor(height: int, width: int, focal: float) -> dict:
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        angle = -row_elevation(height, width, matrix)
        depth = np.where(angle > 0.05, 1.5 / np.tan(np.maximum(angle, 0.05)), 0.0)
        return {"depth": np.repeat(depth[:, None], width, 1), "intrinsics": matrix}

    prior = VerticalPrior.fit_dataset([floor(240, 320, 200.0)])
    other = floor(120, 100, 90.0)
    mask = other["depth"] > 0
    predicted = prior.predict(120, 100, other["intrinsics"])
    assert np.abs(np.log(predicted[mask] / other["depth"][mask])).mean() < 0.05
    restored = VerticalPrior.from_dict(prior.to_dict())
    np.testing.assert_allclose(restored.predict(120, 100, other["intrinsics"]), predicted, rtol=1e-6)


def test_baselines_are_printed_and_beaten_by_a_good_model() -> None:
    evaluator = run(DepthEvaluator("none", ["none", "median"]), scenes(4), 2)
    values = evaluator.compute()
    assert values["median/abs_rel"] < values["vertical_prior/median/abs_rel"] < values["constant/median/abs_rel"]
    text = evaluator.report()
    assert "protocol none" in text and "vertical_prior/median" in text and "constant/none" in text


def test_registry_and_unknown_names() -> None:
    assert isinstance(build_evaluator({"type": "DepthEvaluator", "protocol": "nyu_eigen"}), DepthEvaluator)
    assert (
        build_evaluator({"type": "DepthEvaluator", "protocol": {"base": "world", "max_depth": 5.0}}).protocol.max_depth
        == 5
    )
    for config in ({"type": "DepthEvaluater"}, {"type": "DepthEvaluator", "protocol": "nyu"}, {}):
        with pytest.raises(RecipeError):
            build_evaluator(config)
    with pytest.raises(RecipeError, match="median"):
        DepthEvaluator(alignments=["medan"])
