"""Files that are either the old one or the complete new one, never half of one.

The bytes go to a temporary file in the same folder, are flushed to the disk, and then take the name in one step (`os.replace`). A full disk, a kill
or an exception leaves the previous file untouched and no temporary file behind (a kill leaves one, named ``.<name>.<random>.tmp``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from perception.errors import OutputError

_UMASK = os.umask(0)  # can only be read by setting it, which threads would notice later
os.umask(_UMASK)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable; folders cannot be opened on every system."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix for writers that want a file name; it becomes `path` when the block succeeds.

    Raises `OutputError` where the system says no: folder not writable, disk full.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".tmp{path.suffix}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp makes files private; an ordinary new file is not
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
        raise
    _sync_folder(path.parent)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a binary file to write; it becomes `path` when the block succeeds. Raises `OutputError` as `atomic_path` does."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
