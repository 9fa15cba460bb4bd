"""Alignment of a predicted depth to the ground truth before it is measured: named, explicit, fitted on valid pixels alone.

``none``                     the prediction as it is
``median``                   times median(truth) / median(prediction)
``scale[-log|-disparity]``   least-squares factor in depth; mean offset of the logarithms; least-squares factor in 1/depth
``affine[-log|-disparity]``  least-squares factor and offset in depth, log depth or 1/depth

A prediction that is an inverse depth up to scale and shift (`kind="inverse"`, what relative models return) is taken as a
disparity as it stands by the ``-disparity`` alignments; the others take its reciprocal.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from perception.errors import RecipeError, nearest

ALIGNMENTS = (
    "none",
    "median",
    "scale",
    "scale-log",
    "scale-disparity",
    "affine",
    "affine-log",
    "affine-disparity",
)
TINY = 1e-7


@dataclasses.dataclass(frozen=True)
class Alignment:
    """``x -> factor * x + offset`` in the space `space` (depth | log | disparity). Apply with `apply`."""

    factor: float = 1.0
    offset: float = 0.0
    space: str = "depth"

    def apply(self, prediction: np.ndarray, kind: str = "depth") -> np.ndarray:
        """Map predicted values (any shape; `kind` depth | inverse) to aligned depth in metres.

        A disparity that the fit makes zero or negative is infinitely far: it becomes inf and the caller's cap decides.
        """
        x = self.factor * _encode(prediction, kind, self.space) + self.offset
        if self.space == "log":
            return np.exp(np.clip(x, -80.0, 80.0))
        if self.space == "disparity":
            return np.where(x > TINY, 1.0 / np.maximum(x, TINY), np.inf)
        return x


def parse_alignment(name: str) -> tuple[str, str]:
    """Split ``"affine-log"`` into method and space. Raises `RecipeError` for an unknown name."""
    if name not in ALIGNMENTS:
        raise RecipeError(
            f"depth alignment {name!r} is unknown; known: {', '.join(ALIGNMENTS)}.{nearest(name, ALIGNMENTS)}"
        )
    method, _, space = name.partition("-")
    return method, space or "depth"


def fit_alignment(
    name: str,
    prediction: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None = None,
    kind: str = "depth",
    lower_median: bool = False,
) -> Alignment:
    """Fit alignment `name` on valid pixels: `prediction`, `truth`, `weights` are (N,); `truth` in metres, positive.

    Pixels whose prediction is not finite take no part. `lower_median` takes the lower middle element of an even count, as
    torch does, instead of the mean of both. Raises `RecipeError` for an unknown name.
    """
    method, space = parse_alignment(name)
    if method == "none":
        return Alignment()
    known = np.isfinite(prediction)
    if kind == "inverse" and space != "disparity":
        known &= prediction > TINY
    x = _encode(prediction[known], kind, space)
    y = _encode(truth[known], "depth", space)
    w = np.ones_like(y) if weights is None else weights[known]
    if not x.size or w.sum() <= 0:
        return Alignment()
    if method == "median":
        masses = None if weights is None else w
        top, bottom = (weighted_median(values, masses, lower_median) for values in (y, x))
        return Alignment(factor=top / max(bottom, TINY))
    if method == "scale" and space == "log":
        return Alignment(1.0, float(np.average(y - x, weights=w)), space)
    if method == "scale":
        return Alignment(float((w * x * y).sum() / max((w * x * x).sum(), TINY)), 0.0, space)
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    variance = np.average((x - mean_x) ** 2, weights=w)
    # A constant prediction has no slope to fit: the offset alone is the least-squares solution.
    flat = variance <= 1e-12 * max(mean_x**2, TINY)
    factor = 0.0 if flat else float(np.average((x - mean_x) * (y - mean_y), weights=w) / variance)
    return Alignment(factor, float(mean_y - factor * mean_x), space)


def weighted_median(values: np.ndarray, weights: np.ndarray | None = None, lower: bool = False) -> float:
    """Median of (N,) values (`lower`: never a mean of two); with weights the value at which half of the weight is reached."""
    if weights is None:
        middle = (len(values) - 1) // 2
        return float(np.partition(values, middle)[middle] if lower else np.median(values))
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(mass, 0.5 * mass[-1])]])


def _encode(values: np.ndarray, kind: str, space: str) -> np.ndarray:
    """Predicted depth or inverse depth -> the space that is fitted in."""
    values = np.asarray(values, np.float64)
    if kind == "inverse":
        if space == "disparity":
            return values
        values = 1.0 / np.maximum(values, TINY)
    if space == "log":
        return np.log(np.maximum(values, TINY))
    if space == "disparity":
        return 1.0 / np.maximum(values, TINY)
    return values
