"""Predicting many files: resumable, each input exactly once in the output, on one machine or with Ray Data on many.

Every input has one result folder, ``OUT/<path below the inputs' common folder>``; it appears by renaming a finished temporary folder,
so a folder that is there is complete. A run that starts again leaves finished inputs alone, and two workers that happen to do the same
input (Ray repeats the work of a worker that died) cannot both publish it. ``OUT/results.jsonl`` lists every input once, at the end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError, PerceptionError
from perception.io.atomic import atomic_write

ENGINES = ("local", "ray")
MANIFEST = "results.jsonl"
_PARTIAL = ".partial"


@dataclasses.dataclass(frozen=True)
class BulkReport:
    """How many inputs there are, how many were predicted now, were finished before, and failed (input -> sentence)."""

    inputs: int
    predicted: int
    finished_before: int
    failures: dict[str, str]
    manifest: Path


def result_folders(files: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the result folder of each file. Files keep their place below their common folder and their suffix, so no two share one."""
    unique = list(dict.fromkeys(Path(os.path.abspath(file)) for file in files))
    if not unique:
        return {}
    root = Path(os.path.commonpath([file.parent for file in unique]))
    return {file: out / file.relative_to(root) for file in unique}


class Worker:
    """Loads a model once and predicts batches of files; what Ray calls with rows, and what the local engine calls with lists.

    Args:
        model: name or path for `perception.load`.
        load: keyword arguments of `perception.load` (device, dtype, trust_checkpoint).
        call: keyword arguments of the predictor (camera, fov).
    """

    def __init__(self, model: str, load: dict[str, Any], call: dict[str, Any]) -> None:
        import perception

        self.predictor = perception.load(model, **load)
        self.call = call

    def __call__(self, rows: dict[str, Iterable[Any]]) -> dict[str, np.ndarray]:
        """``{"file": paths, "folder": result folders}`` -> the same with ``error``: a sentence, or "" where all is well."""
        files, folders = [str(f) for f in rows["file"]], [str(f) for f in rows["folder"]]
        errors = [self.predict(file, Path(folder)) for file, folder in zip(files, folders, strict=True)]
        return {"file": np.array(files), "folder": np.array(folders), "error": np.array(errors)}

    def predict(self, file: str, folder: Path) -> str:
        """Predict one file into `folder` unless it is there already; return "" or what is wrong with the file."""
        if folder.exists():
            return ""
        temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}{_PARTIAL}"
        try:
            self.predictor(file, **self.call).save(temporary)
            publish_folder(temporary, folder)
        except PerceptionError as error:
            return str(error)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return ""


def publish_folder(temporary: Path, folder: Path) -> bool:
    """Give a finished folder its name; False when another worker was first (its result stays)."""
    try:
        os.rename(temporary, folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    return True


def predict_files(
    files: Sequence[Path],
    out: str | Path,
    model: str = "default",
    *,
    engine: str = "local",
    workers: int = 1,
    batch: int = 8,
    load: dict[str, Any] | None = None,
    call: dict[str, Any] | None = None,
    worker: type[Worker] = Worker,
) -> BulkReport:
    """Predict every file that has no result in `out` yet.

    Args:
        engine: ``local`` (this process) or ``ray`` (actors on this machine, or on the cluster that ``RAY_ADDRESS`` names; `files` and `out`
            must then be on a file system that all machines share).
        workers: Ray actors; each loads the model once.
        batch: files handed to a worker at a time, and lost when it dies.
        load, call: see `Worker`.

    One run at a time may write into `out`: what an earlier one left half done is removed at the start.

    Raises `InputError` for an unknown engine, a folder that cannot be written, or when Ray is asked for and not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"the engine should be one of {', '.join(ENGINES)}; found {engine!r}")
    if workers < 1 or batch < 1:
        raise InputError(f"workers and batch should be at least 1; found {workers} and {batch}")
    out = Path(os.path.abspath(out))
    folders = result_folders(files, out)
    _make_folders(out, folders)
    todo = {file: folder for file, folder in folders.items() if not folder.exists()}
    settings = {"model": model, "load": load or {}, "call": call or {}}
    failures: dict[str, str] = {}
    if todo:
        run = _run_ray if engine == "ray" else _run_local
        for row in run(todo, settings, workers, batch, worker):
            if row["error"]:
                failures[str(row["file"])] = str(row["error"])
    done = sum(folder.exists() for folder in todo.values())
    manifest = _write_manifest(out, folders, failures)
    return BulkReport(len(folders), done, len(folders) - len(todo), failures, manifest)


def _make_folders(out: Path, folders: dict[Path, Path]) -> None:
    try:
        for parent in {out, *(folder.parent for folder in folders.values())}:
            parent.mkdir(parents=True, exist_ok=True)
            for leftover in parent.glob(f".*{_PARTIAL}"):  # of workers that were killed
                shutil.rmtree(leftover, ignore_errors=True)
    except OSError as error:
        raise InputError(f"the output folder {str(out)!r} cannot be written: {error.strerror or error}") from error


def _write_manifest(out: Path, folders: dict[Path, Path], failures: dict[str, str]) -> Path:
    with atomic_write(out / MANIFEST) as file:
        for source, folder in folders.items():
            row: dict[str, Any] = {"input": str(source), "folder": None, "error": failures.get(str(source))}
            if folder.exists():
                row |= {"folder": str(folder.relative_to(out)), "error": None}
            elif row["error"] is None:
                row["error"] = "not predicted"
            file.write((json.dumps(row) + "\n").encode("utf-8"))
    return out / MANIFEST


def _run_local(
    todo: dict[Path, Path], settings: dict[str, Any], workers: int, batch: int, worker: type[Worker]
) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    built = worker(**settings)
    for file, folder in tqdm(todo.items(), desc="predict", leave=False, disable=None, mininterval=0.5):
        rows = built({"file": [str(file)], "folder": [str(folder)]})
        yield {key: values[0] for key, values in rows.items()}


def _start_ray(workers: int, attempts: int = 2) -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start Ray on this machine.

    Ray waits 30 seconds for its own start, which a busy machine may miss, and then raises a bare `Exception`. Raises `InputError`.
    """
    import ray

    local = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers + 1, "object_store_memory": 128 * 2**20}
    for attempt in range(1, attempts + 1):
        try:
            ray.init(include_dashboard=False, logging_level="ERROR", **local)
            return
        except Exception as error:
            ray.shutdown()
            if attempt == attempts:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
                raise InputError(
                    f"Ray could not be started: {reason}; use --engine local, or run the command again when the machine is less busy"
                ) from error


def _run_ray(
    todo: dict[Path, Path], settings: dict[str, Any], workers: int, batch: int, worker: type[Worker]
) -> Iterator[dict[str, Any]]:
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("engine 'ray' needs the extra `ray`: pip install 'perception3d[ray]'") from None
    started = not ray.is_initialized()
    if started:
        _start_ray(workers)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        items = [{"file": str(file), "folder": str(folder)} for file, folder in todo.items()]
        gpus = (
            1 if ray.cluster_resources().get("GPU") and settings["load"].get("device") in (None, "auto", "cuda") else 0
        )
        # Ray starts a new actor for one that died and does its unfinished blocks again
        rows = ray.data.from_items(items, override_num_blocks=-(-len(items) // batch)).map_batches(
            worker,
            fn_constructor_kwargs=settings,
            batch_size=batch,
            compute=ray.data.ActorPoolStrategy(size=min(workers, -(-len(items) // batch))),
            num_cpus=1,
            num_gpus=gpus,
        )
        yield from rows.iter_rows()
    except ray.exceptions.RayError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
        raise InputError(
            f"the Ray workers failed: {reason}; run the command again to go on with what is left"
        ) from error
    finally:
        if started:
            ray.shutdown()
