"""Depth metrics: AbsRel, SqRel, RMSE, RMSElog, log10, SILog, iRMSE, MAE, delta 1-3, beside two baselines.

SILog is ``100 * sqrt(mean(e^2) - mean(e)^2)`` of e = ln prediction - ln truth (KITTI benchmark); iRMSE is in 1/km; RMSElog is natural
unless the protocol says otherwise. A report always names the protocol, the alignment and the baselines: one constant depth,
and the vertical prior (mean log depth by ray angle).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.alignment import TINY, fit_alignment, parse_alignment
from perception.evaluation.base import Evaluator, format_rows, plane, resized_note, sample_key, split_batch, take
from perception.evaluation.baselines import BaselinePixels, VerticalPrior, fit_prior
from perception.evaluation.depth_protocol import DepthProtocol, depth_protocol
from perception.evaluation.panorama_depth import EXTRAS, panorama_extras
from perception.evaluation.registry import register_evaluator

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "irmse", "mae", "delta1", "delta2", "delta3")


def depth_sums(prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Weighted sums from which `metrics_from_sums` computes everything; (N,) positive metres in, (12,) float64 out."""
    p, g = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    error, log_error = p - g, np.log(p) - np.log(g)
    ratio = np.maximum(p / g, g / p)
    terms = (
        np.abs(error) / g,
        error**2 / g,
        error**2,
        log_error**2,
        np.abs(log_error) / math.log(10.0),
        log_error,
        (1000.0 / p - 1000.0 / g) ** 2,
        np.abs(error),
        ratio < 1.25,
        ratio < 1.25**2,
        ratio < 1.25**3,
    )
    if weights is None:
        return np.array([len(g), *(term.sum(dtype=np.float64) for term in terms)])
    return np.array([weights.sum(), *((term * weights).sum(dtype=np.float64) for term in terms)])


def metrics_from_sums(sums: np.ndarray, log_base: float = math.e) -> np.ndarray:
    """(..., 12) sums -> (..., 11) metrics in the order of `METRICS`."""
    mean = sums[..., 1:] / sums[..., :1]
    abs_rel, sq_rel, square, log_square, log10, log_mean, inverse_square, mae, d1, d2, d3 = np.moveaxis(mean, -1, 0)
    silog = 100.0 * np.sqrt(np.maximum(log_square - log_mean**2, 0.0))
    rmse_log = np.sqrt(log_square) / math.log(log_base)
    columns = (abs_rel, sq_rel, np.sqrt(square), rmse_log, log10, silog, np.sqrt(inverse_square), mae, d1, d2, d3)
    return np.stack(columns, axis=-1)


def measure(
    prediction: np.ndarray,
    truth: np.ndarray,
    protocol: DepthProtocol,
    alignment: str,
    weights: np.ndarray | None = None,
    kind: str = "depth",
) -> np.ndarray:
    """Align (N,) predicted values to the (N,) truth of one image or group, limit them as the protocol says, and sum up."""
    prediction, truth = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    fitted = fit_alignment(alignment, prediction, truth, weights, kind, protocol.lower_median)
    aligned = fitted.apply(prediction, kind)
    if protocol.overwrite_beyond is not None:
        truth = np.where(aligned > protocol.overwrite_beyond, protocol.overwrite_beyond, truth)
    floor = max(protocol.truth_floor, TINY)
    truth = np.maximum(truth, floor)
    low, high = (max(protocol.min_depth, floor), protocol.max_depth) if protocol.clamp else (floor, math.inf)
    # What is not finite is scored as the nearest or the farthest depth, never left out. 1e6 m stands for "infinitely far".
    aligned = np.nan_to_num(aligned, nan=low, posinf=min(high, 1e6), neginf=low)
    return depth_sums(np.clip(aligned, low, high), truth, weights)


@register_evaluator
class DepthEvaluator(Evaluator):
    """Depth over a data set, under one protocol and any number of alignments.

    protocol    preset name, or ``{"base": preset, **changes}`` (`DepthProtocol`)
    alignments  names from `perception.evaluation.alignment`; None = the protocol's own
    prior       what the baselines are fitted on: a `VerticalPrior`, its JSON file, a data set configuration
                (``{"type": ..., "frames": 64, ...}``), or None = the evaluated frames themselves (a stronger opponent)
    baselines   whether to score the baselines; they use at most 8192 evenly spread valid pixels an image
    kind        what an array is when the prediction does not say: "depth" | "inverse"

    `update` takes results with a depth (`perception.results`), or mappings with ``depth`` (H, W), optionally ``kind``; the
    truth comes from the batch: ``depth``, ``depth_valid``, ``intrinsics``. A prediction of another size is resized bilinearly.
    `compute` returns ``{"<alignment>/<metric>": value, "constant/<alignment>/<metric>": ..., "images": n}``.
    """

    def __init__(
        self,
        protocol: str | dict | DepthProtocol = "none",
        alignments: Sequence[str] | str | None = None,
        prior: VerticalPrior | dict | str | None = None,
        baselines: bool = True,
        kind: str = "depth",
    ) -> None:
        super().__init__()
        self.protocol = depth_protocol(protocol)
        names = [alignments] if isinstance(alignments, str) else list(alignments or [self.protocol.alignment])
        for name in names:
            parse_alignment(name)
        self.alignments, self.prior, self.baselines, self.kind = names, prior, baselines, kind
        self.groups: dict[int, dict[str, np.ndarray]] = {}

    def update(self, predictions: list[Any], batch: Mapping[str, Any]) -> None:
        super().update(predictions, batch)
        self._finish_groups()

    def merge(self, other: Evaluator) -> Evaluator:
        self.groups |= other.groups
        super().merge(other)
        self._finish_groups()
        return self

    def reset(self) -> None:
        super().reset()
        self.groups = {}

    def record(self, prediction: Any, sample: dict[str, Any]) -> dict[str, Any]:
        """Reduce one image to sums (or, for protocols that align groups, keep its pixels until the group is complete)."""
        truth = plane(sample["depth"]).astype(np.float64)
        valid = None if sample.get("depth_valid") is None else plane(sample["depth_valid"])
        values, kind = predicted_depth(prediction, self.kind)
        resized = values.shape != truth.shape
        values = resize_bilinear(values, truth.shape)
        mask = self.protocol.mask(truth, valid)
        if not mask.any():
            return {}
        rows = self.protocol.row_weights(truth.shape[0])
        weights = None if rows is None else np.broadcast_to(rows[:, None], truth.shape)[mask]
        p, g = values[mask], truth[mask]
        record: dict[str, Any] = {"invalid": int((~np.isfinite(p)).sum()), "pixels_judged": p.size, "resized": resized}
        if self.baselines:
            record["pixels"] = BaselinePixels.sample(truth, mask, sample.get("intrinsics"), rows)
        if self.protocol.group > 1:
            key = sample_key(sample)
            if not isinstance(key, int):
                raise InputError(
                    f"protocol {self.protocol.name!r} aligns {self.protocol.group} images together and needs an integer meta['index']; found {key!r}"
                )
            record["raw"] = (p.astype(np.float32), g.astype(np.float32), weights, kind)
        else:
            record["sums"] = {name: measure(p, g, self.protocol, name, weights, kind) for name in self.alignments}
        if self.protocol.panoramic and self.protocol.group == 1:
            fits = {
                name: fit_alignment(name, p, g, weights, kind, self.protocol.lower_median) for name in self.alignments
            }
            record["extras"] = {name: self._panorama(values, truth, mask, fit, kind) for name, fit in fits.items()}
        return record

    def _panorama(self, values: np.ndarray, truth: np.ndarray, mask: np.ndarray, fitted: Any, kind: str) -> np.ndarray:
        """(2,) figures of `panorama_extras` for one image."""
        aligned = np.nan_to_num(fitted.apply(values, kind), nan=0.0, posinf=1e6, neginf=0.0)
        if self.protocol.clamp:
            aligned = np.clip(aligned, self.protocol.min_depth, self.protocol.max_depth)
        return panorama_extras(aligned, truth, mask)

    def _finish_groups(self) -> None:
        """Reduce the pixels of groups whose members are all there, so that they need not be kept."""
        size = self.protocol.group
        waiting: dict[int, list[int]] = {}
        for key, record in self.records.items():
            if size > 1 and "raw" in record:
                waiting.setdefault(key // size, []).append(key)
        for group, keys in waiting.items():
            members = range(group * size, (group + 1) * size)
            if all(key in self.records for key in members):
                self.groups[group] = self._group_sums([self.records[key]["raw"] for key in sorted(keys)])
                for key in keys:
                    del self.records[key]["raw"]

    def _group_sums(self, raw: list[tuple]) -> dict[str, np.ndarray]:
        p, g = (np.concatenate([item[i] for item in raw]) for i in (0, 1))
        weights = None if raw[0][2] is None else np.concatenate([item[2] for item in raw])
        return {name: measure(p, g, self.protocol, name, weights, raw[0][3]) for name in self.alignments}

    def _sums(self, alignment: str) -> np.ndarray:
        """(images or groups, 12) sums in the order of their keys."""
        if self.protocol.group == 1:
            rows = [record["sums"][alignment] for record in self.ordered() if record]
            return np.array(rows).reshape(-1, 12)
        groups = dict(self.groups)
        if not self.protocol.drop_last:
            rest: dict[int, list] = {}
            for key in sorted(self.records):
                if "raw" in self.records[key]:
                    rest.setdefault(key // self.protocol.group, []).append(self.records[key]["raw"])
            groups |= {group: self._group_sums(raw) for group, raw in rest.items()}
        return np.array([groups[group][alignment] for group in sorted(groups)]).reshape(-1, 12)

    def _average(self, sums: np.ndarray) -> dict[str, float]:
        if not len(sums):
            return dict.fromkeys(METRICS, math.nan)
        if self.protocol.average == "pooled":
            values = metrics_from_sums(sums.sum(0), self.protocol.log_base)
        else:
            values = metrics_from_sums(sums, self.protocol.log_base).mean(0)
        return {name: float(value) for name, value in zip(METRICS, values, strict=True)}

    def _extras(self, alignment: str) -> dict[str, float]:
        """Means of the panorama's own figures over the images that have them."""
        found = np.array([r["extras"][alignment] for r in self.ordered() if "extras" in r]).reshape(-1, len(EXTRAS))
        if not len(found):
            return {}
        known = np.isfinite(found)
        mean = np.where(known, found, 0).sum(0) / np.where(known.any(0), known.sum(0), np.nan)
        return {name: float(value) for name, value in zip(EXTRAS, mean, strict=True)}

    def rows(self) -> dict[str, dict[str, float]]:
        """``{"<row>/<alignment>": metrics}`` for the model and, if asked for, the baselines."""
        return self.once(self._rows)

    def _rows(self) -> dict[str, dict[str, float]]:
        rows = {
            alignment: self._average(self._sums(alignment)) | self._extras(alignment) for alignment in self.alignments
        }
        if not self.baselines:
            return rows
        records = [record for record in self.ordered() if "pixels" in record]
        if not records:
            return rows
        prior = fit_prior(self.prior, [record["pixels"] for record in records])
        for title, predict in (("constant", prior.constant), ("vertical_prior", prior.predict_pixels)):
            for alignment in self.alignments:
                sums = [
                    measure(predict(pixels), pixels.depth, self.protocol, alignment, pixels.weights())
                    for pixels in (record["pixels"] for record in records)
                ]
                rows[f"{title}/{alignment}"] = self._average(np.array(sums))
        return rows

    def compute(self) -> dict[str, float]:
        metrics = {f"{row}/{name}": value for row, values in self.rows().items() for name, value in values.items()}
        return {**metrics, "images": sum(bool(record) for record in self.records.values())}

    def report(self) -> str:
        used = sum(bool(record) for record in self.records.values())
        invalid = sum(record.get("invalid", 0) for record in self.records.values())
        lines = [f"Depth, {used} images, {self.protocol.describe()}"]
        if used < len(self.records):
            lines.append(f"{len(self.records) - used} images without a valid pixel were left out")
        if invalid:
            share = invalid / sum(record.get("pixels_judged", 0) for record in self.records.values())
            lines.append(
                f"{invalid} pixels ({share:.1%}) have truth and no predicted depth (not finite); each is scored as the nearest or farthest depth"
            )
        lines += resized_note(self.ordered())
        if self.baselines:
            source = "the evaluated frames" if self.prior is None else "other frames"
            lines.append(
                f"constant = one depth, vertical_prior = mean log depth by ray angle, both fitted on {source}; rows: alignment"
            )
        return "\n".join([*lines, format_rows(self.rows())])


def predicted_depth(prediction: Any, default_kind: str = "depth") -> tuple[np.ndarray, str]:
    """Return the (H, W) float64 values of a prediction, NaN where a result says that it has none, and their kind, depth | inverse.

    Raises `InputError` when there is none.
    """
    value = prediction
    if not isinstance(prediction, np.ndarray) and not hasattr(prediction, "detach"):
        value = take(prediction, "depth", "values", "value")
        if value is None:
            raise InputError(f"the prediction has no depth; found {type(prediction).__name__}")
    kind = default_kind
    for holder in (prediction, value):
        named = take(holder, "kind") if not isinstance(holder, np.ndarray) and not hasattr(holder, "detach") else None
        kind = named if isinstance(named, str) else kind
    holder = prediction
    if not isinstance(value, np.ndarray) and not hasattr(value, "detach"):
        holder, value = value, take(value, "values", "value", "depth")
    known = None if isinstance(holder, (np.ndarray, Mapping)) else getattr(holder, "valid", None)
    array = plane(value).astype(np.float64)
    if array.ndim != 2:
        raise InputError(f"a predicted depth must have the shape (H, W); found {array.shape}")
    array = array if known is None else np.where(plane(known), array, np.nan)
    return array, "inverse" if "inverse" in kind else "depth"


def resize_bilinear(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize (H, W) values to `shape`, pixel centres at +0.5; unchanged when the size fits."""
    if values.shape == tuple(shape):
        return values
    import cv2

    return cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


__all__ = ["METRICS", "DepthEvaluator", "depth_sums", "measure", "metrics_from_sums", "split_batch"]
