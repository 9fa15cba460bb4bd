"""One atlas for all rendering processes: each texture is drawn once by whoever needs it first, and held in memory once.

Without it every process draws the textures that it meets for itself, some seconds and 100 MB each, which short jobs on many cores feel.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .bank import TextureBank, texture_bank

Handle = tuple[str, Any]  # file, lock of the multiprocessing context


@contextlib.contextmanager
def shared_atlas(context: Any) -> Iterator[Handle | None]:
    """Yield what `attach` needs in processes of `context` (of `multiprocessing`); None where the temporary folder has no room."""
    bank = texture_bank()
    with tempfile.TemporaryDirectory(prefix="perception-textures-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "atlas"
        try:
            with path.open("wb") as file:
                # Room that is promised but not there would end a process with SIGBUS, long after the fact.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, bank.atlas.nbytes + len(bank))
                else:
                    file.truncate(bank.atlas.nbytes + len(bank))
        except OSError:
            yield None
            return
        atlas, drawn = _open(path, bank)
        if not bank.pending.all():
            atlas[:] = bank.atlas
            drawn[:] = ~bank.pending
        del atlas, drawn
        yield str(path), context.Lock()


def attach(handle: Handle | None, bank: TextureBank | None = None) -> None:
    """Make this process's bank draw into the shared atlas. What it has drawn for itself is drawn there again when it is needed."""
    if handle is None:
        return
    bank = bank or texture_bank()
    atlas, drawn = _open(Path(handle[0]), bank)
    bank.share(atlas, drawn, handle[1])


def _open(path: Path, bank: TextureBank) -> tuple[np.ndarray, np.ndarray]:
    """The atlas and the (K,) flags of what is drawn in it."""
    atlas = np.memmap(path, np.uint8, "r+", 0, bank.atlas.shape)
    drawn = np.memmap(path, bool, "r+", atlas.nbytes, (len(bank),))
    return np.asarray(atlas), np.asarray(drawn)
