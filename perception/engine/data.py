"""Data loaders whose order and random numbers depend on the seed alone, never on workers, resumes or processes.

Training draws samples by position: position p of the endless stream is entry ``p mod N`` of the permutation of epoch
``p div N``. A resumed run starts at its position without reading what was seen before. Every draw seeds Python's, NumPy's
and torch's generators from (seed, position), so that random transforms repeat with 0 or 8 workers.

A data set with ``__getitems__(indices)`` is asked for whole batches and may return a finished batch (a dictionary of
stacked tensors) instead of a list of samples; with ``on_device(batch)`` it may leave the unpacking of compact types to the
device. Where it has several `groups` (picture size -> indices), batches are drawn within one.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from perception.datasets.registry import build_dataset
from perception.engine.collate import BrokenSample, collate
from perception.errors import DatasetError, RecipeError, TrainingError

LOADER_KEYS = (
    "dataset",
    "batch_size",
    "num_workers",
    "timeout",
    "prefetch_factor",
    "pin_memory",
    "shuffle",
    "skip_bad",
)
Draw = tuple[int, int]  # (index in the data set, position in the stream)


class TrainBatches:
    """Endless batches of draws for one of `world` processes; `position` is where the next ``iter()`` starts."""

    def __init__(self, size: int, batch: int, seed: int, rank: int = 0, world: int = 1, shuffle: bool = True) -> None:
        self.size, self.batch, self.seed = size, batch, seed
        self.rank, self.world, self.shuffle = rank, world, shuffle
        self.position = 0
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Batches an epoch; the stream itself has no end."""
        return -(-self.size // (self.batch * self.world))

    def draws(self, position: int) -> list[Draw]:
        """Return this process's draws of the global batch that starts at `position`."""
        start = position + self.rank * self.batch
        return [(self._index(p), p) for p in range(start, start + self.batch)]

    def __iter__(self) -> Iterator[list[Draw]]:
        position = self.position
        while True:
            yield self.draws(position)
            position += self.batch * self.world

    def _index(self, position: int) -> int:
        epoch, entry = divmod(position, self.size)
        if not self.shuffle:
            return entry
        if epoch != self._epoch:
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))
            self._epoch, self._order = epoch, rng.permutation(self.size)
        return int(self._order[entry])


class GroupedTrainBatches(TrainBatches):
    """`TrainBatches` for pictures of several sizes: every global batch comes from one of the data set's `groups`.

    What is left of a group after its last whole batch waits for another epoch, which cuts it differently.
    """

    def __init__(self, groups: list[np.ndarray], batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(sum(map(len, groups)), batch, seed, rank, world)
        self.groups, self.whole = groups, batch * world
        self._batches: list[np.ndarray] = []
        if not len(self):
            raise RecipeError(
                f"no picture size has {self.whole} samples, the batch over all processes; lower batch_size"
            )

    def __len__(self) -> int:
        return sum(len(group) // self.whole for group in self.groups)

    def draws(self, position: int) -> list[Draw]:
        epoch, entry = divmod(position // self.whole, len(self))
        if epoch != self._epoch:
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))
            cut = [rng.permutation(group) for group in self.groups]
            found = [
                part for group in cut for part in group[: len(group) // self.whole * self.whole].reshape(-1, self.whole)
            ]
            self._epoch, self._batches = epoch, [found[i] for i in rng.permutation(len(found))]
        start = self.rank * self.batch
        chosen = self._batches[entry][start : start + self.batch]
        return [(int(index), position + start + i) for i, index in enumerate(chosen)]


class EvaluationBatches:
    """Every sample once over all processes: process r of w takes r, r + w, r + 2w ... of each group; nothing is padded."""

    def __init__(self, groups: list[np.ndarray], batch: int, rank: int = 0, world: int = 1) -> None:
        self.groups, self.batch = [group[rank::world] for group in groups], batch

    def __len__(self) -> int:
        return sum(-(-len(group) // self.batch) for group in self.groups)

    def __iter__(self) -> Iterator[list[Draw]]:
        for group in self.groups:
            for start in range(0, len(group), self.batch):
                yield [(int(index), int(index)) for index in group[start : start + self.batch]]


class DrawnDataset:
    """A data set asked by draws: seeds the generators for each, and turns failures into `BrokenSample` with index and path."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        self._fetch_many = getattr(dataset, "__getitems__", None)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def on_device(self) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        """What finishes a batch after it is on the training device, where the data set has that."""
        return getattr(self.dataset, "on_device", None)

    def __getitems__(self, draws: Sequence[Draw]) -> Any:
        with _generators_untouched():
            if self._fetch_many is not None:
                self._seed(draws[0])
                try:
                    found = self._fetch_many([index for index, _ in draws])
                except Exception:  # find out below which sample it was
                    found = None
                if isinstance(found, dict):
                    return {**found, "_draws": list(draws)}
                if found is not None:
                    return found
            return [self._one(draw) for draw in draws]

    def _one(self, draw: Draw) -> Any:
        self._seed(draw)
        try:
            return self.dataset[draw[0]]
        except Exception as error:  # whatever a reader raises, the user wants the sample's name
            describe = getattr(self.dataset, "describe", None)
            where = f" ({describe(draw[0])})" if callable(describe) else ""
            kind = type(self.dataset).__name__
            text = str(error) or type(error).__name__
            return BrokenSample(draw[0], f"sample {draw[0]}{where} of data set {kind} cannot be read: {text}")

    def _seed(self, draw: Draw) -> None:
        words = np.random.SeedSequence([self.seed, draw[1]]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))  # noqa: NPY002 (readers may use the global generator)
        torch.random.default_generator.manual_seed(int(words[2]))


class _generators_untouched:
    """Restores the global generators of the process (the training process itself when there are no workers)."""

    def __enter__(self) -> None:
        self.state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002

    def __exit__(self, *_: object) -> None:
        random.setstate(self.state[0])
        np.random.set_state(self.state[1])  # noqa: NPY002
        torch.set_rng_state(self.state[2])


def build_loader(config: dict[str, Any], seed: int, training: bool, rank: int = 0, world: int = 1) -> DataLoader:
    """Build the loader of a recipe's ``train_dataloader`` / ``val_dataloader``.

    Raises:
        RecipeError: keys that do not exist or sizes that cannot be.
        DatasetError: the data set is empty or its files are missing.
    """
    unknown = [key for key in config if key not in LOADER_KEYS]
    if unknown:
        from perception.errors import nearest

        raise RecipeError(f"a data loader has no key {unknown[0]!r}.{nearest(unknown[0], LOADER_KEYS)}")
    size, workers = int(config.get("batch_size", 1)), int(config.get("num_workers", 0))
    if size < 1 or workers < 0:
        raise RecipeError(f"batch_size should be at least 1 and num_workers at least 0, found {size} and {workers}")
    dataset = config["dataset"]
    dataset = build_dataset(dataset) if isinstance(dataset, dict) else dataset
    if len(dataset) == 0:
        raise DatasetError(f"data set {type(dataset).__name__} is empty")
    groups = [np.asarray(group) for group in getattr(dataset, "groups", {}).values()] or [np.arange(len(dataset))]
    batches: TrainBatches | EvaluationBatches
    if not training:
        batches = EvaluationBatches(groups, size, rank, world)
    elif len(groups) > 1:
        batches = GroupedTrainBatches(groups, size, seed, rank, world)
    else:
        batches = TrainBatches(len(dataset), size, seed, rank, world, bool(config.get("shuffle", True)))
    if workers and getattr(getattr(dataset, "device", None), "type", "cpu") != "cpu":
        raise RecipeError(f"data set {type(dataset).__name__} holds its samples on the GPU; set num_workers=0")
    options: dict[str, Any] = {}
    if workers:
        options = {
            "timeout": float(config.get("timeout", 300)),
            "prefetch_factor": int(config.get("prefetch_factor", 4)),
        }
    return DataLoader(
        DrawnDataset(dataset, seed),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=bool(config.get("pin_memory", workers > 0 and torch.cuda.is_available())),
        worker_init_fn=_start_worker,
        generator=torch.Generator().manual_seed(seed),  # so that starting an iterator draws nothing from the global one
        **options,
    )


def _start_worker(worker: int) -> None:
    """Run in each worker: one thread each, and deaf to the signals that stop the main process in an orderly way.

    A scheduler sends SIGTERM to the whole group; a worker that died of it would fail the batch that is being finished.
    """
    for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(0)
    except ImportError:
        pass


def batches_of(loader: DataLoader, skip_bad: bool, on_skip: Callable[[BrokenSample], None]) -> Iterator[dict[str, Any]]:
    """Iterate `loader` and leave no worker behind, however the iteration ends.

    Raises `DatasetError` that names index and path when a sample could not be read and `skip_bad` is not set.
    """
    iterator = iter(loader)
    try:
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            broken = batch.pop("_broken", []) if isinstance(batch, dict) else []
            for sample in broken:
                if not skip_bad:
                    raise DatasetError(f"{sample.message}; repair it or set skip_bad=True in the data loader")
                on_skip(sample)
            if batch:
                yield batch
    finally:
        _end_workers(iterator)


def _end_workers(iterator: Any) -> None:
    """Ask the workers to end; those that hang in a reader after that are killed, or the process could not exit."""
    shutdown = getattr(iterator, "_shutdown_workers", None)
    if shutdown is not None:
        with contextlib.suppress(Exception):
            shutdown()
    for worker in getattr(iterator, "_workers", []):
        if worker.is_alive():
            worker.kill()
            worker.join()


@contextlib.contextmanager
def worker_errors_as_sentences(loader: DataLoader) -> Iterator[None]:
    """Turn what torch raises about dead and hanging workers into one sentence.

    A worker's death interrupts the process wherever it is, so the whole loop runs inside this block. Raises `TrainingError`.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if "DataLoader timed out" in text:
            raise TrainingError(
                f"no data came from the {loader.num_workers} data workers for {loader.timeout:g} s; a reader hangs, or "
                "raise `timeout` in the data loader"
            ) from error
        if "DataLoader worker" in text and ("killed" in text or "exited" in text):
            how = re.search(r"killed by signal: [\w ]+|exited unexpectedly", text)
            raise TrainingError(
                f"a data worker died ({how.group(0).strip() if how else text.splitlines()[0]}); "
                "when memory ran out, lower num_workers or batch_size"
            ) from error
        raise
