"""Rendered frames on disk: shards of memory-mapped arrays, made by many processes, read by any number.

Layout: ``DIRECTORY/world-<digest>/plan.json`` and ``block-00000/{image,depth,normals,semantic,instance}.npy, frames.npz, boxes.npz``.

``image`` (F, H, W, 3) uint8; ``depth`` (F, H, W) float16 metres (z, or range for panoramas; 0 = none); ``normals`` (F, H, W, 3) int8, times 127;
``semantic`` (F, H, W) uint8; ``instance`` (F, H, W) uint16. A block is written beside its place and renamed when complete, so a killed
run leaves whole blocks only and the next run goes on from there. Blocks are equal, byte for byte, however many workers rendered them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from multiprocessing import current_process, get_context
from pathlib import Path

import numpy as np

from perception.datasets.world.plan import Plan, make_plan
from perception.datasets.world.progress import Bar
from perception.datasets.world.truth import Boxes
from perception.errors import DatasetError

ARRAYS = ("image", "depth", "normals", "semantic", "instance")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TBB_NUM_THREADS")


def _layout(plan: Plan, block: int) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return name -> (shape, dtype) of a block's arrays."""
    height, width = plan.block_size(block)
    frames = len(plan.scene_range(block)) * plan.views_per_scene
    table = {
        "image": ((frames, height, width, 3), np.uint8),
        "depth": ((frames, height, width), np.float16),
        "normals": ((frames, height, width, 3), np.int8),
        "semantic": ((frames, height, width), np.uint8),
        "instance": ((frames, height, width), np.uint16),
    }
    return {name: table[name] for name in ARRAYS if name == "image" or name in plan.truth}


def size_in_bytes(plan: Plan) -> int:
    """Return the size of a plan's arrays on disk."""
    total = 0
    for block in range(plan.blocks):
        total += sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in _layout(plan, block).values())
    return total


# writing ------------------------------------------------------------------------------------------------------------

_counter = None  # shared number of rendered frames, set in every worker


def start_worker(counter, atlas=None) -> None:
    """Prepare a rendering process; counter: shared number of rendered frames, or None; atlas: of `textures.shared`."""
    from perception.datasets.world.textures.shared import attach

    attach(atlas)
    global _counter
    _counter = counter
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)


def _render_block(folder: str, plan: Plan, block: int) -> int:
    """Render one block into its place. Does nothing when it is there."""
    target = Path(folder) / f"block-{block:05d}"
    if target.exists():
        return block
    work = Path(folder) / f".block-{block:05d}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        arrays = {
            name: np.lib.format.open_memmap(work / f"{name}.npy", mode="w+", dtype=kind, shape=shape)
            for name, (shape, kind) in _layout(plan, block).items()
        }
        rows: list[dict] = []
        boxes: list[Boxes] = []
        views = plan.views_per_scene
        for number, index in enumerate(
            scene * views + view for scene in plan.scene_range(block) for view in range(views)
        ):
            frame = plan.frame(index)
            arrays["image"][number] = frame.image
            if "depth" in arrays:
                arrays["depth"][number] = np.minimum(frame.depth, 60000.0).astype(np.float16)
            if "normals" in arrays:
                arrays["normals"][number] = np.rint(frame.normals * 127.0).astype(np.int8)
            if "semantic" in arrays:
                arrays["semantic"][number] = frame.semantic
            if "instance" in arrays:
                arrays["instance"][number] = np.minimum(frame.instance, 65535).astype(np.uint16)
            if frame.boxes is not None:
                boxes.append(frame.boxes)
            rows.append(_row(frame, index))
            if _counter is not None:
                with _counter.get_lock():
                    _counter.value += 1
        for array in arrays.values():
            array.flush()
        np.savez(work / "frames.npz", **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
        if boxes:
            np.savez(work / "boxes.npz", **_joined(boxes))
        try:
            os.replace(work, target)
        except OSError:
            if not target.exists():  # else another process finished the same block first
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return block


def _row(frame, index: int) -> dict:
    kind, style = frame.meta["kind"], frame.meta["style"]
    return {
        "index": np.int64(index),
        "seed": np.int64(frame.meta["seed"]),
        "name": np.str_(f"{frame.name:>40s}".strip().ljust(40)),
        "kind": np.str_(kind.ljust(6)),
        "style": np.str_(style.ljust(9)),
        "view": np.str_(frame.meta["view"].ljust(6)),
        "weather": np.str_(str(frame.meta["weather"]).ljust(16)),
        "intrinsics": frame.intrinsics if frame.intrinsics is not None else np.zeros((3, 3), np.float32),
        "world_from_camera": frame.world_from_camera,
    }


def _joined(boxes: list[Boxes]) -> dict[str, np.ndarray]:
    """Put the boxes of F frames one after the other; ``offsets`` (F + 1,) says where each frame's rows begin."""
    joined = {"offsets": np.cumsum([0, *(len(item) for item in boxes)]).astype(np.int64)}
    for field in fields(Boxes):
        values = [getattr(item, field.name) for item in boxes]
        if isinstance(values[0], list):
            joined[field.name] = np.array([text for value in values for text in value], dtype="<U32")
        else:
            joined[field.name] = np.concatenate(values)
    return joined


@contextlib.contextmanager
def _locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time fill a folder; the lock dies with its process."""
    try:
        import fcntl
    except ImportError:  # no advisory locks on this system: blocks are still written atomically
        yield
        return
    with open(folder / "lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"waiting for another process that renders into {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_not_importing() -> None:
    """Raise `DatasetError` in a rendering process that is importing the script which started it.

    A script without the usual guard would begin to render there too, and wait for its parent, which waits for it, for ever.
    """
    if getattr(current_process(), "_inheriting", False):  # what multiprocessing itself looks at
        raise DatasetError(
            "the world is rendered by processes that import your script: put what it does below `if __name__ == '__main__':`"
        )


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Processes started here use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def prerender(
    directory: str | Path,
    plan: Plan | None = None,
    workers: int | None = None,
    max_gigabytes: float = 200.0,
    progress: bool | Callable[[int, int], None] = True,
    **options,
) -> PrerenderedWorld:
    """Render every frame of a plan to disk and return the data set of it. What is there already is kept.

    directory: caches live in sub-folders named by their plan. plan: or its `options` for `plan.make_plan`. workers: processes, None = one a
    core, 0 or 1 = this process alone. progress: a bar on the terminal, or a function of (frames done, frames in all).
    A script that calls this with workers needs the usual ``if __name__ == "__main__":`` guard, since workers are spawned.
    Raises `DatasetError` when the plan needs more than `max_gigabytes` or than the disk has, or when a worker dies.
    """
    check_not_importing()
    plan = plan or make_plan(**options)
    folder = Path(directory) / f"world-{plan.digest}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [block for block in range(plan.blocks) if not (folder / f"block-{block:05d}").exists()]
    if missing:
        needed = size_in_bytes(plan) * len(missing) / plan.blocks
        if size_in_bytes(plan) > max_gigabytes * 1e9:
            raise DatasetError(
                f"rendering {len(plan)} world frames needs {size_in_bytes(plan) / 1e9:.1f} GB, more than the limit of "
                f"{max_gigabytes:g} GB; take fewer scenes, smaller pictures or raise max_gigabytes"
            )
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise DatasetError(
                f"rendering to {folder} needs {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free there"
            )
        bar = Bar(len(plan), progress)
        with _locked(folder, bar.say):
            _clean(folder)
            if not (folder / "plan.json").exists():
                part = folder / f".plan.{os.getpid()}"
                part.write_text(json.dumps(plan.to_dict(), indent=1))
                os.replace(part, folder / "plan.json")
            missing = [block for block in missing if not (folder / f"block-{block:05d}").exists()]
            _fill(folder, plan, missing, workers, bar)
        bar.close()
    return PrerenderedWorld(folder)


def _clean(folder: Path) -> None:
    """Remove what killed runs left; called with the folder locked."""
    for rest in folder.glob(".block-*"):
        shutil.rmtree(rest, ignore_errors=True)


def _fill(folder: Path, plan: Plan, missing: list[int], workers: int | None, bar: Bar) -> None:
    def frames(block: int) -> int:
        return len(plan.scene_range(block)) * plan.views_per_scene

    done = len(plan) - sum(frames(block) for block in missing)
    bar.update(done)
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(missing))
    context = get_context("spawn")
    if workers <= 1:
        for block in missing:
            _render_block(str(folder), plan, block)
            done += frames(block)
            bar.update(done)
        return
    from perception.datasets.world.textures.shared import shared_atlas

    counter = context.Value("q", 0)
    with (
        single_threaded(),
        shared_atlas(context) as atlas,
        ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(counter, atlas)) as pool,
    ):
        waiting = {pool.submit(_render_block, str(folder), plan, block) for block in missing}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                bar.update(done + counter.value)
        except BrokenProcessPool as error:
            raise DatasetError(
                f"a rendering process died (out of memory, or killed) in {folder}; see what it printed above, or run again with fewer "
                f"workers than {workers}; finished blocks are kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# reading ------------------------------------------------------------------------------------------------------------


class PrerenderedWorld:
    """Rendered frames as a data set of records (NumPy). `dataset.WorldDataset` makes training samples of them.

    ``len(cache)``; ``cache[i]`` -> dict of arrays (views into the memory map) and a `Boxes`. `groups`: (H, W) -> frame numbers of that size.
    ``cache.blocks()`` yields whole blocks, for loading everything at once (to a GPU, say).
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            values = json.loads((self.folder / "plan.json").read_text())
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{self.folder} holds no readable plan.json; name a folder that prerender made"
            ) from error
        version = values.pop("world_version", None)
        for name in ("size", "degrees", "truth"):
            values[name] = tuple(values[name])
        self.plan = Plan(**values)
        self.version = version
        missing = [b for b in range(self.plan.blocks) if not (self.folder / f"block-{b:05d}").exists()]
        if missing:
            raise DatasetError(
                f"{self.folder} lacks {len(missing)} of {self.plan.blocks} blocks; run prerender again, it goes on from there"
            )
        self._open: dict[int, dict] = {}

    def __len__(self) -> int:
        return len(self.plan)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": {}}  # memory maps are opened anew in every process

    @property
    def groups(self) -> dict[tuple[int, int], np.ndarray]:
        """Frame numbers by picture size (H, W), so that batches can be made of equal sizes."""
        per_block = self.plan.block * self.plan.views_per_scene
        result: dict[tuple[int, int], list[np.ndarray]] = {}
        for block in range(self.plan.blocks):
            numbers = np.arange(block * per_block, min((block + 1) * per_block, len(self)))
            result.setdefault(self.plan.block_size(block), []).append(numbers)
        return {size: np.concatenate(parts) for size, parts in result.items()}

    def block(self, number: int) -> dict:
        """Return a block: the memory-mapped arrays and ``frames``, ``boxes`` (dicts of arrays)."""
        if number not in self._open:
            place = self.folder / f"block-{number:05d}"
            try:
                data: dict = {
                    name: np.load(place / f"{name}.npy", mmap_mode="r") for name in _layout(self.plan, number)
                }
                for name in ("frames", "boxes"):
                    path = place / f"{name}.npz"
                    if path.exists():
                        with np.load(path) as archive:
                            data[name] = {key: archive[key] for key in archive.files}
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"block {place} cannot be read ({error}); delete it and run prerender again"
                ) from error
            self._open[number] = data
        return self._open[number]

    def blocks(self) -> Iterator[dict]:
        """Yield all blocks in order."""
        for number in range(self.plan.blocks):
            yield self.block(number)

    def __getitem__(self, index: int) -> dict:
        """Return frame `index`: its arrays, ``boxes`` (`Boxes` or None) and its rows of ``frames``."""
        if index < 0:
            index += len(self)
        self.plan.locate(index)
        number, row = divmod(index, self.plan.block * self.plan.views_per_scene)
        data = self.block(number)
        record: dict = {name: data[name][row] for name in ARRAYS if name in data}
        record.update({key: value[row] for key, value in data["frames"].items()})
        for key in ("name", "kind", "style", "view", "weather"):
            record[key] = str(record[key]).strip()
        record["boxes"] = None
        if "boxes" in data:
            first, last = data["boxes"]["offsets"][row : row + 2]
            values = {field.name: data["boxes"][field.name][first:last] for field in fields(Boxes)}
            for key in ("attribute", "model"):
                values[key] = [str(text) for text in values[key]]
            record["boxes"] = Boxes(**values)
        return record
