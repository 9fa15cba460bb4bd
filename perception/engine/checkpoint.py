"""Checkpoints that survive kills and full disks, hold no code, and rebuild their own model.

A checkpoint is a dictionary of plain data and tensors:

``meta``             ``iter``, ``model`` (registry name and literals), ``recipe``, seed, versions, metrics
``state_dict``       the model's weights;  ``ema_state_dict``  their running average, when there is one
``optimizer``, ``param_schedulers``, ``message_hub``, ``rng`` (one entry a process)

It is read with torch's safe loader; a file that needs more than that is refused with a sentence.
"""

from __future__ import annotations

import contextlib
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.engine.files import atomic_writer, write_text
from perception.errors import WeightsError

MARKER = "last_checkpoint"
_NAME = re.compile(r"iter_(\d+)\.pth$")


class UnsafeCheckpointError(WeightsError):
    """A file that could run code when it is opened."""


def read_checkpoint(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint into CPU memory.

    Args:
        path: a file written by `write_checkpoint`, or any dictionary of tensors saved by torch.
        trust: unpickle everything; it runs whatever code the file holds.

    Raises:
        UnsafeCheckpointError: the file needs code to be opened and `trust` is not set.
        WeightsError: the file is missing, truncated or no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"checkpoint {path} does not exist")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) and not _is_truncated(error):
            found = re.search(r"GLOBAL ([\w.]+)", str(error))
            reason = f"it refers to {found.group(1)}" if found else "it holds more than plain data"
            raise UnsafeCheckpointError(
                f"checkpoint {path} is refused because it could run code when opened ({reason}); "
                "open it with --trust-checkpoint only if you trust whoever made it"
            ) from error
        raise WeightsError(f"checkpoint {path} is damaged or no checkpoint: {_first_line(error)}") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, ImportError, TypeError) as error:
        raise WeightsError(f"checkpoint {path} is damaged or no checkpoint: {_first_line(error)}") from error
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"checkpoint {path} should hold a dictionary, found {type(checkpoint).__name__}")
    return checkpoint


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path, marker: bool = True) -> None:
    """Write atomically; the marker file that names the newest checkpoint follows only when the checkpoint is on disk.

    Raises:
        WeightsError: the disk is full or the folder not writable. Every former file is still whole.
    """
    path = Path(path)
    try:
        with atomic_writer(path) as file:
            torch.save(checkpoint, file)
        if marker:
            write_text(path.parent / MARKER, path.name)
    except (OSError, RuntimeError) as error:
        # torch's zip writer turns a full disk into a RuntimeError about an unexpected position
        raise WeightsError(
            f"checkpoint {path} could not be written ({_first_line(error)}); the earlier ones are untouched"
        ) from error


def list_checkpoints(folder: str | Path) -> list[Path]:
    """Return ``iter_<n>.pth`` in `folder`, oldest first."""
    found = [
        (int(match.group(1)), path) for path in Path(folder).glob("iter_*.pth") if (match := _NAME.search(path.name))
    ]
    return [path for _, path in sorted(found)]


def newest_loadable(folder: str | Path, trust: bool = False) -> tuple[Path, dict[str, Any], list[str]]:
    """Find the newest checkpoint in `folder` that can be read.

    Returns:
        its path, its content, and one sentence for each newer file that had to be passed over.

    Raises:
        WeightsError: there is none, or the newest one is refused as unsafe.
    """
    passed_over: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return path, read_checkpoint(path, trust), passed_over
        except UnsafeCheckpointError:
            raise
        except WeightsError as error:
            passed_over.append(str(error))
    reasons = f" ({'; '.join(passed_over)})" if passed_over else ""
    raise WeightsError(f"no checkpoint to resume from in {folder}{reasons}")


def delete_old(folder: str | Path, keep: int) -> None:
    """Delete all but the `keep` newest periodic checkpoints; ``keep <= 0`` keeps all."""
    if keep > 0:
        for path in list_checkpoints(folder)[:-keep]:
            with contextlib.suppress(OSError):
                path.unlink()


def load_state(module: torch.nn.Module, state: dict[str, Any], source: str) -> None:
    """Load `state` strictly. Raises `WeightsError` that lists the first few keys or shapes that do not fit."""
    own = module.state_dict()
    problems = []
    for label, names in (
        ("missing", [name for name in own if name not in state]),
        ("unexpected", [name for name in state if name not in own]),
        (
            "of another shape",
            [
                f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                for name in own
                if name in state and getattr(state[name], "shape", None) != own[name].shape
            ],
        ),
    ):
        if names:
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            problems.append(f"{len(names)} {label}: {', '.join(names[:4])}{more}")
    if problems:
        raise WeightsError(f"weights from {source} do not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(state, strict=True)


def get_rng_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and torch's generators as plain data and tensors."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 (readers may use the global generator)
    state: dict[str, Any] = {
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "name": str(name),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put back what `get_rng_state` returned (also after a round trip through a checkpoint)."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state((numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def to_plain(value: Any) -> Any:
    """Return `value` with NumPy scalars turned into Python numbers and everything that is not plain data left out."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str | torch.Tensor):
        return value
    return None


def to_cpu(value: Any) -> Any:
    """Return `value` with every tensor inside moved to the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_cpu(item) for item in value)
    return value


def _is_truncated(error: BaseException) -> bool:
    text = str(error)
    return "invalid load key" in text or "Ran out of input" in text or "pickle data was truncated" in text


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
