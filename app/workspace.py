"""Where results lie for a while, on disk and in memory. Every name is the system's own; nothing that a visitor sends reaches a path."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.settings import KEEP_SECONDS
from perception.errors import InputError


class Workspace:
    """Fresh folders for results, and `cache`, where Gradio puts uploads and what it shows. Both are deleted when they are old: a request sweeps, and so
    does a timer while nobody comes. (Gradio's own ``delete_cache`` ends for good when a file comes while it looks for old ones.)
    """

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self.keep_seconds = keep_seconds
        self.root = Path(tempfile.mkdtemp(prefix="perception_app_"))
        self.cache = self.root / "gradio"
        self.cache.mkdir()
        self.after_sweep: Callable[[], None] = lambda: None
        self._page: frozenset[Path] = frozenset()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="sweeper").start()

    def fresh(self) -> Path:
        """Make a new folder; take the opportunity to delete the old ones."""
        self.sweep()
        return Path(tempfile.mkdtemp(dir=self.root, prefix="visit"))

    def lasting(self) -> Path:
        """Make a folder that stays until the app ends: for the examples, which everybody sees."""
        return Path(tempfile.mkdtemp(dir=self.root, prefix="example"))

    def keep_cached(self) -> None:
        """Let what lies in the cache now stay: the page itself needs it."""
        self._page = frozenset(self.cache.iterdir())

    def sweep(self) -> None:
        """Delete the folders that are older than `keep_seconds`."""
        limit = time.time() - self.keep_seconds
        with self._lock:
            for folder in (*self.root.glob("visit*"), *(set(self.cache.glob("*")) - self._page)):
                try:
                    if folder.stat().st_mtime < limit:
                        shutil.rmtree(folder, ignore_errors=True)
                except FileNotFoundError:
                    continue
        self.after_sweep()

    def close(self) -> None:
        """Delete everything."""
        self._stop.set()
        shutil.rmtree(self.root, ignore_errors=True)

    def _watch(self) -> None:
        while not self._stop.wait(min(60.0, max(1.0, self.keep_seconds / 2))):
            self.sweep()


class Shelf:
    """The last results in memory, so that sliders draw them again without the model.

    A page holds only the ticket of its result, in the server's own session state. At most `count` results and about `megabytes` are kept; who comes
    later than that is told to predict again. The finished examples, which everybody sees, stay and do not count.
    """

    def __init__(self, count: int = 32, megabytes: float = 1500.0) -> None:
        self.count, self.megabytes = count, megabytes
        self._kept: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._lasting: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, value: Any, megabytes: float = 1.0) -> str:
        """Keep `value`, which takes about so much memory; return its ticket. The newest one is always kept."""
        ticket = secrets.token_hex(16)
        with self._lock:
            self._kept[ticket] = (value, megabytes)
            while len(self._kept) > 1 and (
                len(self._kept) > self.count or sum(size for _, size in self._kept.values()) > self.megabytes
            ):
                self._kept.popitem(last=False)
        return ticket

    def put_lasting(self, key: str, value: Any) -> str:
        """Keep the example `key` for good; return a new ticket of it: every visit is given its own, so that a page sees that something has come."""
        self._lasting[key] = value
        return f"{key}/{secrets.token_hex(8)}"

    def get(self, ticket: str | None) -> Any:
        """What was kept. Raises `InputError` when there is nothing (any more)."""
        if ticket and "/" in ticket:
            return self._lasting[ticket.rpartition("/")[0]]
        with self._lock:
            if ticket in self._kept:
                self._kept.move_to_end(ticket)
                return self._kept[ticket][0]
        raise InputError("this result is no longer kept; predict again" if ticket else "there is no result yet")
