"""How far a model is from the exact truth, by the library's own evaluators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

COLUMNS = ("Error", "Value", "Meaning")
NEAR = 2.0  # metres: a found object this close to a true one counts as it
LEAST_SCORE = 0.3  # boxes below are neither counted nor drawn at first


def measured(truths: Sequence[Any], results: Sequence[Any]) -> list[list[str]]:
    """Rows (what, value, meaning) of the errors of depth, normals and classes over all pictures together."""
    from perception.evaluation.depth import DepthEvaluator
    from perception.evaluation.normals import NormalsEvaluator
    from perception.evaluation.segmentation import SemanticEvaluator

    rows: list[list[str]] = []
    samples = [_sample(truth, number) for number, truth in enumerate(truths)]
    if all(result.depth is not None for result in results):
        depth = DepthEvaluator("none", ["none", "median"], baselines=False)
        found = _evaluated(depth, samples, [result.depth for result in results])
        for alignment, words in (("none", "as it is"), ("median", "after scaling to the true median")):
            rows.append(
                [f"AbsRel, {words}", f"{found[f'{alignment}/abs_rel']:.3f}", "mean error over true depth; 0 is best"]
            )
            rows.append(
                [f"δ < 1.25, {words}", f"{found[f'{alignment}/delta1']:.1%}", "pixels within 25 %; 100 % is best"]
            )
    if all(result.normals is not None for result in results):
        found = _evaluated(NormalsEvaluator(baseline=False), samples, [result.normals for result in results])
        rows.append(["Normals, mean error", f"{found['mean']:.1f}°", "angle between found and true normals"])
        rows.append(["Normals within 11.25°", f"{found['within_11.25']:.1%}", "100 % is best"])
    names = truths[0].segmentation.class_names
    if all(
        result.segmentation is not None and tuple(result.segmentation.class_names) == tuple(names) for result in results
    ):
        classes = SemanticEvaluator(len(names), names=names)
        found = _evaluated(classes, samples, [result.segmentation.semantic for result in results])
        rows.append(["Classes, mIoU", f"{found['miou']:.1%}", "mean overlap of the classes that occur; 100 % is best"])
        rows.append(["Classes, pixels right", f"{found['pixel_accuracy']:.1%}", "100 % is best"])
    return rows


def objects_found(truths: Sequence[Any], results: Sequence[Any], score: float = LEAST_SCORE) -> list[list[str]]:
    """The row (what, value, meaning) of the boxes with at least that score; none where the model finds no boxes."""
    if not results or any(result.boxes3d is None for result in results):
        return []
    hit, true = np.sum([_boxes_found(*pair, score) for pair in zip(truths, results, strict=True)], 0)
    meaning = f"true boxes with a found one within {NEAR:g} m, any class, score of {score:g} or more"
    return [["Objects found", f"{hit} of {true}", meaning]]


def _evaluated(evaluator: Any, samples: Sequence[dict[str, Any]], parts: Sequence[Any]) -> dict[str, float]:
    """What an evaluator of the library says of all pictures together."""
    for sample, part in zip(samples, parts, strict=True):
        evaluator.records[sample["meta"]["index"]] = evaluator.record(part, sample)
    return evaluator.compute()


def _sample(truth: Any, number: int) -> dict[str, Any]:
    """The truth as the evaluators take it."""
    normals = np.where(truth.normals.valid[..., None], truth.normals.normals, 0)
    return {
        "depth": truth.depth.depth,
        "depth_valid": truth.depth.valid,
        "normals": normals.transpose(2, 0, 1),
        "semantic": truth.segmentation.semantic,
        "meta": {"index": number},
    }


def _boxes_found(truth: Any, result: Any, score: float) -> tuple[int, int]:
    from perception.tracking.greedy import nearest_free

    found = result.boxes3d.above(score).sorted()
    apart = np.linalg.norm(found.centres[:, None] - truth.boxes3d.centres[None], axis=-1).astype(np.float64)
    apart[apart > NEAR] = np.inf
    return int((nearest_free(apart) >= 0).sum()), len(truth.boxes3d)
