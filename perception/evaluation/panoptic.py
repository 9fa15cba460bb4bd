"""Panoptic quality: PQ = SQ * RQ, accumulated over the whole set before dividing (Kirillov et al. 2019; COCO's rules).

A predicted and a true segment match when they have one category and an IoU above 0.5, where the union leaves out predicted
pixels on unlabelled truth (id 0). Crowd segments never match. An unmatched prediction with more than half of its area on
unlabelled truth or on a crowd of its own category is neither right nor wrong. Categories that never occur are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, plane, take
from perception.evaluation.registry import register_evaluator
from perception.evaluation.segmentation import predicted_labels

INSTANCES = 1 << 20  # code of a segment made from semantic and instance maps: (category + 1) * INSTANCES + instance


def panoptic_counts(
    predicted_ids: np.ndarray,
    predicted_category: Mapping[int, int],
    true_ids: np.ndarray,
    true_category: Mapping[int, int],
    crowd: set[int] | frozenset[int] = frozenset(),
) -> dict[int, np.ndarray]:
    """Count one image: ``{category: [sum of IoU, TP, FP, FN]}``.

    `predicted_ids`, `true_ids`: (H, W) segment ids, 0 = void; the mappings give the category of each id.
    Raises `InputError` for an id without a category, or a listed id without a pixel.
    """
    p, g = np.asarray(predicted_ids, np.int64).ravel(), np.asarray(true_ids, np.int64).ravel()
    p_ids, p_index = np.unique(p, return_inverse=True)
    g_ids, g_index = np.unique(g, return_inverse=True)
    for what, ids, listed in (("predicted", p_ids, predicted_category), ("true", g_ids, true_category)):
        missing, extra = set(ids.tolist()) - set(listed) - {0}, set(listed) - set(ids.tolist())
        if missing or extra:
            wrong, side = (
                (missing, "the map but not in the list") if missing else (extra, "the list but not in the map")
            )
            raise InputError(f"{what} segments: id {sorted(wrong)[0]} is in {side} ({len(wrong)} such ids)")
    overlap = np.bincount(p_index * len(g_ids) + g_index, minlength=len(p_ids) * len(g_ids))
    overlap = overlap.reshape(len(p_ids), len(g_ids)).astype(np.float64)  # (P, G) pixels
    p_area, g_area = overlap.sum(1), overlap.sum(0)
    p_cat = np.array([predicted_category.get(int(i), -1) for i in p_ids])
    g_cat = np.array([true_category.get(int(i), -2) for i in g_ids])
    g_crowd = np.array([int(i) in crowd for i in g_ids], bool)
    p_cat[p_ids == 0], g_cat[g_ids == 0] = -1, -2
    on_void = overlap[:, g_ids == 0].sum(1)

    same = p_cat[:, None] == g_cat[None]
    union = p_area[:, None] + g_area[None] - overlap - on_void[:, None]
    iou = np.where(same & ~g_crowd[None], overlap / np.maximum(union, 1.0), 0.0)
    matched_p, matched_g = np.nonzero(iou > 0.5)  # above one half a match is unique on both sides
    own_crowd = (overlap * (same & g_crowd[None])).sum(1)
    excused = on_void + own_crowd > 0.5 * p_area

    counts: dict[int, np.ndarray] = {}

    def add(category: int, column: int, value: float) -> None:
        counts.setdefault(int(category), np.zeros(4))[column] += value

    for i, j in zip(matched_p, matched_g, strict=True):
        add(p_cat[i], 0, iou[i, j])
        add(p_cat[i], 1, 1)
    for i in np.setdiff1d(np.flatnonzero((p_cat >= 0) & ~excused), matched_p):
        add(p_cat[i], 2, 1)
    for j in np.setdiff1d(np.flatnonzero((g_cat >= 0) & ~g_crowd), matched_g):
        add(g_cat[j], 3, 1)
    return counts


def segments_from_maps(
    semantic: np.ndarray, instance: np.ndarray | None, things: Sequence[int], ignore: int = 255
) -> tuple[np.ndarray, dict[int, int], set[int]]:
    """Make segments of semantic (H, W) and instance (H, W) maps: ids (H, W), category of each id, ids of crowds.

    Stuff is one segment a category; a thing pixel without an instance (0 or less) belongs to the crowd of its category. Instances may have any numbers.
    """
    semantic = np.asarray(semantic).astype(np.int64)
    number = np.zeros_like(semantic) if instance is None else np.maximum(np.asarray(instance).astype(np.int64), 0)
    if number.max(initial=0) >= INSTANCES:
        number = np.unique(np.append(number, 0), return_inverse=True)[1][:-1].reshape(number.shape)  # 0 stays 0
    is_thing = np.isin(semantic, list(things))
    ids = (semantic + 1) * INSTANCES + np.where(is_thing, number, 0)
    ids = np.where(semantic == ignore, 0, ids)
    present = [int(i) for i in np.unique(ids) if i]
    categories = {i: i // INSTANCES - 1 for i in present}
    thing_set = {int(t) for t in things}
    crowds = {i for i in present if i % INSTANCES == 0 and categories[i] in thing_set}
    return ids, categories, crowds


@register_evaluator
class PanopticEvaluator(Evaluator):
    """PQ, SQ, RQ over a data set, for all categories, things and stuff.

    things  categories that have instances;  stuff  categories that have none (only these two kinds are averaged);  ignore
    truth label of void. The truth is ``panoptic`` (H, W) ids with ``segments`` (dicts with id, category_id, iscrowd) where the
    batch has them, else it is made of ``semantic`` and ``instance``. Predictions have ``panoptic`` and ``segments``, or
    ``semantic`` and ``instance``.
    """

    def __init__(self, things: Sequence[int], stuff: Sequence[int], ignore: int = 255) -> None:
        super().__init__()
        self.things, self.stuff, self.ignore = [int(i) for i in things], [int(i) for i in stuff], ignore

    def record(self, prediction: Any, sample: dict[str, Any]) -> dict[int, np.ndarray]:
        if sample.get("panoptic") is not None:
            true_ids = plane(sample["panoptic"])
            true_category, crowd = _read_segments(sample["segments"])
        else:
            instance = None if sample.get("instance") is None else plane(sample["instance"])
            true_ids, true_category, crowd = segments_from_maps(
                plane(sample["semantic"]), instance, self.things, self.ignore
            )
        held = take(prediction, "segmentation")
        prediction = prediction if held is None else held
        segments = take(prediction, "segments")
        if take(prediction, "panoptic") is not None and segments is not None:
            ids = predicted_labels(prediction, "panoptic", true_ids.shape)
            category, _ = _read_segments(segments)
            present = set(np.unique(ids).tolist())
            category = {key: value for key, value in category.items() if key in present}
        else:
            instances = take(prediction, "instance")
            ids, category, _ = segments_from_maps(
                predicted_labels(prediction, "semantic", true_ids.shape),
                None if instances is None else plane(instances),
                self.things,
                self.ignore,
            )
        return panoptic_counts(ids, category, true_ids, true_category, crowd)

    def per_category(self) -> dict[int, dict[str, float]]:
        """PQ, SQ, RQ and the counts of each category that occurs."""
        total: dict[int, np.ndarray] = {}
        for record in self.ordered():
            for category, counts in record.items():
                total[category] = total.get(category, 0) + counts
        return {category: _quality(total[category]) for category in sorted(total) if total[category][1:].sum() > 0}

    def rows(self) -> dict[str, dict[str, float]]:
        table = self.per_category()
        rows = {}
        for title, wanted in (("all", {*self.things, *self.stuff}), ("things", self.things), ("stuff", self.stuff)):
            chosen = [values for category, values in table.items() if category in wanted]
            rows[title] = (
                {name: float(np.mean([v[name] for v in chosen])) for name in ("pq", "sq", "rq")} if chosen else {}
            )
            rows[title]["categories"] = len(chosen)
        return rows

    def compute(self) -> dict[str, float]:
        flat = {}
        for title, values in self.rows().items():
            flat |= {name if title == "all" else f"{title}/{name}": value for name, value in values.items()}
        return {**flat, "images": len(self.records)}

    def report(self) -> str:
        return (
            f"Panoptic quality, {len(self.records)} images, mean over categories that occur\n{format_rows(self.rows())}"
        )


def _quality(counts: np.ndarray) -> dict[str, float]:
    iou, tp, fp, fn = counts
    total = tp + 0.5 * fp + 0.5 * fn
    return {"pq": iou / total, "sq": iou / tp if tp else 0.0, "rq": tp / total, "tp": tp, "fp": fp, "fn": fn}


def _read_segments(segments: Sequence[Any]) -> tuple[dict[int, int], set[int]]:
    """Segment list -> category by id, ids of crowds. Entries are dicts or objects with id, category_id, iscrowd."""
    categories, crowd = {}, set()
    for segment in segments:
        identifier = take(segment, "id", "segment_id")
        category = take(segment, "category_id", "category", "label")
        if identifier is None or category is None:
            raise InputError(f"a segment needs 'id' and 'category_id'; found {segment!r}")
        categories[int(identifier)] = int(category)
        if take(segment, "iscrowd"):
            crowd.add(int(identifier))
    return categories, crowd
