"""Depth models on real frames that they were never trained on, beside opponents that know nothing of the picture.

Unaligned, one number mixes three things: the scale, the camera and the shape. So every frame is scored as it is and after each alignment,
and so are a constant depth and the vertical prior (`perception.evaluation.baselines`): a model that does not beat the prior in a
column has learnt nothing that the column measures.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from perception.errors import DatasetError, InputError
from perception.evaluation.baselines import fit_prior
from perception.evaluation.depth import DepthEvaluator
from perception.inference.predictor import Predictor

ALIGNMENTS = ("none", "median", "affine-log", "affine-disparity")
SHOWN = {"abs_rel": "AbsRel", "delta1": "d1"}
OWN = "these frames"  # name of the prior that is fitted on the evaluated frames
BASELINES = {"constant": "constant", "vertical_prior": "vertical prior"}


@dataclasses.dataclass(frozen=True)
class ZeroShot:
    """One set of frames. rows: title -> {"<alignment>/<metric>": value}; the models first, then the opponents."""

    name: str
    protocol: str
    frames: int
    alignments: tuple[str, ...]
    rows: dict[str, dict[str, float]]

    def table(self) -> str:
        """The set's part of the table: one row a model or opponent, AbsRel and d1 for each alignment."""
        titles = [self.name, *self.rows]
        width = max(map(len, titles))
        head = "  ".join(f"{name:>15}" for name in self.alignments)
        unit = "  ".join(
            "  ".join(f"{label:>{8 - i}}" for i, label in enumerate(SHOWN.values())) for _ in self.alignments
        )
        lines = [
            f"{self.name}: {self.frames} frames, {self.protocol}",
            f"{'':{width}}  {head}",
            f"{'':{width}}  {unit}",
        ]
        for title, row in self.rows.items():
            cells = (
                "  ".join(f"{row[f'{name}/{m}']:{8 - i}.3f}" for i, m in enumerate(SHOWN)) for name in self.alignments
            )
            lines.append(f"{title:{width}}  {'  '.join(cells)}")
        return "\n".join(lines)


def zero_shot(
    models: Mapping[str, Predictor],
    name: str,
    frames: Any,
    protocol: str | dict[str, Any] = "none",
    alignments: Sequence[str] = ALIGNMENTS,
    priors: Mapping[str, Any] | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> ZeroShot:
    """Score models and opponents on a data set of real frames.

    Args:
        models: title -> predictor with a depth.
        frames: data set with ``image``, ``depth``, ``depth_valid`` and, where the camera is known, ``intrinsics``.
        protocol: `perception.evaluation.depth_protocol`; alignments: `perception.evaluation.alignment`.
        priors: name -> what the opponents are fitted on, as `DepthEvaluator` takes it; None = the evaluated frames. Default: those alone.

    Raises `InputError` for a model without depth, `DatasetError` when no frame has truth.
    """
    evaluators = {}
    for title, predictor in models.items():
        if "depth" not in predictor.tasks:
            raise InputError(
                f"{title!r} predicts {', '.join(predictor.tasks) or 'nothing'}; expected a model with depth"
            )
        evaluators[title] = DepthEvaluator(protocol, list(alignments), baselines=not evaluators)
    for index in progress(range(len(frames))):
        sample = frames[index]
        if "depth" not in sample:
            continue
        batch = {key: sample[key][None] for key in ("depth", "depth_valid", "intrinsics") if key in sample}
        batch["meta"] = [{"index": index}]
        camera = sample["intrinsics"].numpy().astype(np.float64) if "intrinsics" in sample else None
        for title, predictor in models.items():
            with without_sky(predictor.model):
                evaluators[title].update([predictor(sample["image"], camera)], batch)
    first = next(iter(evaluators.values()))
    scored = sum(bool(record) for record in first.ordered())
    if not scored:
        raise DatasetError(f"{name}: none of the {len(frames)} frames has a pixel with depth that the protocol counts")
    rows = {title: _flat(evaluator, alignments) for title, evaluator in evaluators.items()}
    pixels = [record["pixels"] for record in first.ordered() if "pixels" in record]
    for source, prior in (priors or {OWN: None}).items():
        first.prior, first._made = fit_prior(prior, pixels), None
        for kind, title in BASELINES.items():
            rows[f"{title} ({source})"] = _flat(first, alignments, f"{kind}/")
    return ZeroShot(name, first.protocol.describe(), scored, tuple(alignments), rows)


@contextlib.contextmanager
def without_sky(model: Any) -> Iterator[None]:
    """Meanwhile the model's sky has a depth, too: a user's sky has none, but protocols score every pixel that has truth."""
    held = getattr(model, "sky_class", None)
    if held is not None:
        model.sky_class = None
    try:
        yield
    finally:
        if held is not None:
            model.sky_class = held


def _flat(evaluator: DepthEvaluator, alignments: Sequence[str], row: str = "") -> dict[str, float]:
    found = evaluator.rows()
    return {f"{name}/{metric}": value for name in alignments for metric, value in found[f"{row}{name}"].items()}
