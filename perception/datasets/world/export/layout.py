"""The writer interface of the exports and the loop that runs it over many worlds and processes.

A layout is a small class::

    class MyLayout(Layout):
        name, kind = "mine", "street"                       # the kind of world that suits it
        def write(self, world, number, split) -> dict: ...  # render one world, write its files, return plain values for the lists
        def finish(self, records) -> None: ...              # write what needs all worlds: split lists, tables

`write` runs in any process and may only touch files that belong to its world; `finish` runs once, with the records in the order of seeds.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

from perception.datasets.world.cache import check_not_importing, single_threaded, start_worker
from perception.datasets.world.progress import Bar
from perception.datasets.world.render import World
from perception.datasets.world.textures.shared import shared_atlas
from perception.errors import DatasetError, InputError, nearest


class Layout(ABC):
    """One layout on disk below `root`. size: (H, W) of the pictures, None = the layout's own; options: of the layout."""

    name: ClassVar[str]
    kind: ClassVar[str]  # the kind of world that it shows when the caller names none
    kinds: ClassVar[tuple[str, ...]] = ("street", "room", "mixed")
    default_size: ClassVar[tuple[int, int]]

    def __init__(self, root: str | Path, size: tuple[int, int] | None = None, views: int = 1) -> None:
        self.root, self.size, self.views = Path(root), tuple(size or self.default_size), int(views)
        if min(self.size) < 16 or self.views < 1:
            raise InputError(
                f"layout {self.name!r} needs pictures of 16 pixels a side or more and a view, found {self.size}, {views}"
            )

    @abstractmethod
    def write(self, world: World, number: int, split: str) -> dict[str, Any]:
        """Render world `number` of the export and write its files; return JSON-able values for `finish`."""

    @abstractmethod
    def finish(self, records: list[dict[str, Any]]) -> None:
        """Write lists and tables over all worlds."""


def layouts() -> dict[str, type[Layout]]:
    """Return name -> layout class."""
    from perception.datasets.world.export.folder import FolderLayout
    from perception.datasets.world.export.kitti import KittiLayout
    from perception.datasets.world.export.nuscenes import NuScenesLayout
    from perception.datasets.world.export.nyuv2 import NYUv2Layout
    from perception.datasets.world.export.stanford2d3d import Stanford2D3DLayout

    classes = (FolderLayout, KittiLayout, NuScenesLayout, NYUv2Layout, Stanford2D3DLayout)
    return {item.name: item for item in classes}


def export(
    layout: str,
    root: str | Path,
    kind: str | None = None,
    seed: int = 0,
    count: int = 10,
    workers: int | None = None,
    style: str = "plausible",
    weather: str | None = None,
    size: tuple[int, int] | None = None,
    views: int = 1,
    val_share: float = 0.2,
    overwrite: bool = False,
    progress: bool | Callable[[int, int], None] = True,
) -> Path:
    """Write the worlds of the seeds ``seed .. seed + count - 1`` below `root` in a layout of `layouts`. Returns the folder.

    kind: None = the one that suits the layout. workers: processes, None = one a core, 0 or 1 = this process. views: pictures of each world (key
    frames for the layouts with motion). val_share: share of the worlds, the last ones, that goes to the validation split. Equal arguments
    give equal files for any number of workers. Raises `InputError` for options that do not fit and `DatasetError` when a process dies or
    when `root` holds files already and `overwrite` is False.
    """
    known = layouts()
    if layout not in known:
        raise InputError(f"layout {layout!r} is not known, only {sorted(known)}.{nearest(layout, known)}")
    cls = known[layout]
    kind = kind or cls.kind
    if kind not in cls.kinds:
        raise InputError(
            f"layout {layout!r} shows worlds of kind {' or '.join(cls.kinds)}, found kind {kind!r}; leave kind out"
        )
    if count < 1 or not 0 <= val_share <= 1:
        raise InputError(
            f"an export needs a count of at least 1 and a val_share in 0..1, found {count} and {val_share}"
        )
    check_not_importing()
    root = _made_folder(Path(root), overwrite)
    World(seed, kind, style, weather)  # raises for unknown names before any process starts
    writer = cls(root, size, views)
    first_val = count - round(count * val_share)
    jobs = [
        (writer, seed + number, kind, style, weather, number, "val" if number >= first_val else "train")
        for number in range(count)
    ]
    bar = Bar(count, progress, "worlds")
    bar.update(0)
    workers = min(os.cpu_count() or 1 if workers is None else workers, count)
    records: dict[int, dict] = {}

    def done(number: int, record: dict) -> None:
        records[number] = record
        bar.update(len(records))

    if workers > 1:
        _in_processes(jobs, workers, done)
    else:
        for job in jobs:
            done(*_run(*job))
    writer.finish([records[number] for number in sorted(records)])
    bar.close()
    return root


def _made_folder(root: Path, overwrite: bool) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(root.iterdir()):
            raise DatasetError(f"folder {root} is not empty; name an empty folder, or pass overwrite")
    except OSError as error:
        raise DatasetError(f"folder {root} cannot be written: {error.strerror or error}") from error
    return root


def _in_processes(jobs: list[tuple], workers: int, done: Callable[[int, dict], None]) -> None:
    """Tell `done` what `_run` makes of each job, as they are finished. Raises `DatasetError` when a process dies."""
    context = get_context("spawn")
    with (
        single_threaded(),
        shared_atlas(context) as atlas,
        ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(None, atlas)) as pool,
    ):
        futures = [pool.submit(_run, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                done(*future.result())
        except BrokenProcessPool as error:
            raise DatasetError(
                f"an exporting process died (out of memory, killed, or for the reason above); run again with fewer workers than {workers}"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run(
    writer: Layout, seed: int, kind: str, style: str, weather: str | None, number: int, split: str
) -> tuple[int, dict]:
    return number, writer.write(World(seed, kind, style, weather), number, split)
