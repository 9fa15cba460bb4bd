"""Checkpoints that survive kills and full disks, hold no code, and rebuild their own model.

A checkpoint is a dictionary of plain data and tensors:

``meta``             ``iter``, ``model`` (registry name and literals), ``recipe``, seed, versions, metrics
``model_config``     the same registry name and literals, for `perception.load`
``state_dict``       the model's weights;  ``ema_state_dict``  their running average, when there is one
``optimizer``, ``param_schedulers``, ``message_hub``, ``rng`` (one entry a process)

It is read with torch's safe loader; a file that needs more than that is refused with a sentence.
"""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.engine.files import write_text
from perception.errors import WeightsError
from perception.io.atomic import atomic_write
from perception.io.checkpoints import UnsafeWeightsError, read_checkpoint

MARKER = "last_checkpoint"
_NAME = re.compile(r"iter_(\d+)\.pth$")


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path, marker: bool = True) -> None:
    """Write atomically; the marker file that names the newest checkpoint follows only when the checkpoint is on disk.

    Raises:
        WeightsError: the disk is full or the folder not writable. Every former file is still whole.
    """
    path = Path(path)
    try:
        with atomic_write(path) as file:
            torch.save(checkpoint, file)
        if marker:
            write_text(path.parent / MARKER, path.name)
    except (OSError, RuntimeError) as error:
        # torch's zip writer turns a full disk into a RuntimeError about an unexpected position
        raise WeightsError(
            f"checkpoint {path} could not be written ({_first_line(error.__cause__ or error)}); the earlier ones are untouched"
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
        except UnsafeWeightsError:
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


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
