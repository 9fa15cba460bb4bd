"""What all evaluators share: one record an image, so that no number depends on batch size, order or process count.

    evaluator = build_evaluator({"type": "DepthEvaluator", "protocol": "nyu_eigen"})
    for batch in loader:
        evaluator.update(model.predict(...), batch)
    evaluator.merge(evaluator_of_another_process)        # pickle it, gather it, merge it
    print(evaluator.compute()); print(evaluator.report())

Records are keyed by the image (`meta["index"]`, else `meta["name"]`), so an image that a distributed sampler repeats to fill
its last batch counts once, and records are read in sorted order, so that float sums come out bit for bit the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from perception.errors import InputError

Made = TypeVar("Made")


class Evaluator:
    """Base class: subclasses write `record` (one image -> anything picklable) and `compute`."""

    def __init__(self) -> None:
        self.records: dict[Any, Any] = {}
        self.unnamed = 0  # records of images that nothing identifies
        self._made: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": None}

    def once(self, make: Callable[[], Made]) -> Made:
        """What `make` makes of the records, kept until there are more of them: `compute` and `report` share one costly result."""
        if self._made is None or self._made[0] != len(self.records):
            self._made = (len(self.records), make())
        return self._made[1]

    def update(self, predictions: list[Any], batch: Mapping[str, Any]) -> None:
        """Add a batch: `predictions` has one entry an image, `batch` is the collated batch of samples.

        Raises `InputError` when their lengths differ.
        """
        samples = list(split_batch(batch))
        if len(predictions) != len(samples):
            raise InputError(
                f"{type(self).__name__}.update needs one prediction an image: expected {len(samples)}, found {len(predictions)}"
            )
        for prediction, sample in zip(predictions, samples, strict=True):
            key = sample_key(sample)
            if key is None:
                key, self.unnamed = f"unnamed {self.unnamed:09d}", self.unnamed + 1
            if key not in self.records:
                self.records[key] = self.record(prediction, sample)

    def record(self, prediction: Any, sample: dict[str, Any]) -> Any:
        """Reduce one image to what `compute` needs."""
        raise NotImplementedError

    def merge(self, other: Evaluator) -> Evaluator:
        """Add the records of `other` (another process's share); an image known to both counts once. Returns self.

        Raises `InputError` where both have images that nothing identifies.
        """
        if self.unnamed and other.unnamed:
            raise InputError(
                f"{type(self).__name__}: the images of two processes can be told apart by meta['index'] or meta['name'] alone; found neither"
            )
        for key, record in other.records.items():
            self.records.setdefault(key, record)
        self.unnamed += other.unnamed
        return self

    def reset(self) -> None:
        """Forget all records."""
        self.records, self.unnamed, self._made = {}, 0, None

    def ordered(self) -> list[Any]:
        """The records in the order of their keys."""
        return [self.records[key] for key in sorted(self.records, key=lambda key: (isinstance(key, str), key))]

    def compute(self) -> dict[str, float]:
        """Return the metrics by name."""
        raise NotImplementedError

    def report(self) -> str:
        """Return the metrics as text, with the protocol they were computed under."""
        return format_rows({"": self.compute()})


def resized_note(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for the report where predictions were ``resized`` to their truth's size, else none."""
    count = sum(record.get("resized", False) for record in records)
    sizes = (
        "1 prediction had another size than its truth and was"
        if count == 1
        else f"{count} predictions had another size than their truth and were"
    )
    return [f"{sizes} resized bilinearly"] if count else []


def sample_key(sample: Mapping[str, Any]) -> int | str | None:
    """What identifies a sample: its index, else its name, else nothing."""
    meta = sample.get("meta") or {}
    for name in ("index", "name"):
        if meta.get(name) is not None:
            value = meta[name]
            return int(value) if hasattr(value, "__index__") else str(value)
    return None


def split_batch(batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the samples of a collated batch (stacked tensors, or lists); a list of samples passes unchanged."""
    if not isinstance(batch, Mapping):
        yield from batch
        return
    lengths = {name: len(value) for name, value in batch.items() if not isinstance(value, (Mapping, str))}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the entries of a batch must have one length; found {lengths}")
    for index in range(next(iter(lengths.values()), 0)):
        yield {name: value[index] for name, value in batch.items() if name in lengths}


def to_numpy(value: Any) -> np.ndarray:
    """Tensor on any device, array or nested list -> NumPy array (bfloat16 becomes float32)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return value.numpy()
    return np.asarray(value)


def plane(value: Any) -> np.ndarray:
    """`to_numpy` without leading or trailing axes of length 1 beyond two: (1, H, W) and (H, W, 1) become (H, W), one row high or not."""
    array = to_numpy(value)
    while array.ndim > 2 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    return array


def take(prediction: Any, *names: str) -> Any:
    """Return the first of `names` that `prediction` (a mapping or a result object) has and that is not None, else None."""
    for name in names:
        value = prediction.get(name) if isinstance(prediction, Mapping) else getattr(prediction, name, None)
        if value is not None:
            return value
    return None


def format_rows(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format named rows of metrics as a plain-text table: columns are the union of the metrics, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = [["", *columns]]
    for title, row in rows.items():
        cells.append([title, *(_cell(row.get(name)) for name in columns)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, (int, np.integer)):
        return str(value)
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"
