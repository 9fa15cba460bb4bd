"""Dictionaries of arrays that are made once and kept in a folder: one ``.npz`` file a sample, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, np.ndarray]


class RecordFolder:
    """The records of one plan, ``FOLDER/NAME-<digest of the plan>/<key>.npz``.

    folder: None keeps nothing. name: what the records are. plan: everything that they depend on, as literals; another plan gets another folder.
    """

    def __init__(self, folder: str | Path | None, name: str, plan: Sequence[Any]) -> None:
        self.folder: Path | None = None
        if folder is not None:
            digest = hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:12]
            self.folder = Path(folder) / f"{name}-{digest}"
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, make: Callable[[], Record]) -> Record:
        """Return the record `key`; the first time it is made by `make`."""
        if self.folder is None:
            return make()
        place = self.folder / f"{key}.npz"
        if not place.exists():
            from perception.io.atomic import atomic_write

            buffer = io.BytesIO()
            np.savez(buffer, **make())
            with atomic_write(place) as file:
                file.write(buffer.getvalue())
        with np.load(place) as stored:
            return {name: stored[name] for name in stored.files}
