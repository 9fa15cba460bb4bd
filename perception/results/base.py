"""What all results share: frozen read-only arrays, checks at construction, strict JSON, saving.

A result is in original pixels of the picture that was given, float32, units in metres, camera frame x right, y down, z forward. It never changes
after construction; every array is a read-only copy. `to_dict` gives plain values and arrays, `from_dict` of the same class reads them back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError


def frozen(value: Any, dtype: Any) -> np.ndarray:
    """Read-only NumPy copy of an array, tensor or nested list. Raises `InputError` for what is no array, or whole numbers that `dtype` cannot hold."""
    if hasattr(value, "detach"):
        value = value.detach().to("cpu")
        value = value.float() if value.is_floating_point() else value
        value = value.numpy()
    try:
        with np.errstate(invalid="ignore"):
            out = np.array(value, dtype=dtype, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a result is made of arrays of numbers; found {str(value)[:60]} ({error})") from None
    if out.dtype.kind in "iu":
        given = np.asarray(value)
        if not np.can_cast(given.dtype, out.dtype) and (out != given).any():
            wrong = given[out != given].ravel()[0]
            raise InputError(f"labels and ids of a result must be whole numbers that {out.dtype} holds; found {wrong}")
    out.setflags(write=False)
    return out


def check_shape(name: str, value: np.ndarray, expected: tuple[int | str, ...]) -> None:
    """Raise `InputError` unless `value` has the shape; strings in `expected` name free sizes."""
    fits = value.ndim == len(expected) and all(
        isinstance(want, str) or want == have for want, have in zip(expected, value.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "") + ")"
        raise InputError(f"{name} must have shape {wanted}; found {value.shape}")


def check_finite(name: str, value: np.ndarray) -> None:
    """Raise `InputError` when `value` holds NaN or infinity."""
    bad = int((~np.isfinite(value)).sum())
    if bad:
        raise InputError(f"{name} must be finite; found {bad} NaN or infinite values")


def jsonable(value: Any) -> Any:
    """Plain Python for strict JSON: arrays become lists, NaN and infinity become null."""
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def to_json_text(value: Any) -> str:
    """Strict JSON (no NaN, no Infinity), readable."""
    return json.dumps(jsonable(value), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> Path:
    """Write strict JSON atomically."""
    from perception.io.atomic import atomic_write

    with atomic_write(path) as file:
        file.write(to_json_text(value).encode())
    return path


def output_folder(folder: str | Path) -> Path:
    """Create `folder` where needed. Raises `InputError` when it cannot be a folder."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"results cannot be saved to {folder}: {error.strerror}") from error
    return folder


class Result:
    """Base of all results."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Pickles and deep copies are read-only, too: NumPy forgets it."""
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        self.__dict__.update(state)

    def summary(self) -> dict[str, Any]:
        """JSON-able description without the large arrays."""
        raise NotImplementedError

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB picture of the result, over `image` (H, W, 3) uint8 where that helps."""
        raise NotImplementedError

    def plot(self, image: np.ndarray | None = None) -> Any:
        """The preview as a `PIL.Image`: shows itself in a notebook, ``.show()`` opens a window, ``.save(path)`` writes it."""
        from PIL import Image

        return Image.fromarray(self.preview(image))

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write the files of this result into `folder` (created), each one atomically; return {what: path}."""
        raise NotImplementedError
