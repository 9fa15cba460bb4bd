"""A progress bar on the terminal, without dependencies."""

from __future__ import annotations

import time as clock
from collections.abc import Callable


class Bar:
    """Steps done, steps a second and the time left, on one terminal line; or a call of `progress` (done, in all) instead."""

    def __init__(self, total: int, progress: bool | Callable[[int, int], None] = True, unit: str = "frames") -> None:
        self.total, self.progress, self.unit = total, progress, unit
        self.start, self.first, self.last = clock.monotonic(), None, -1.0

    def say(self, text: str) -> None:
        """Print a line, unless the bar is silent."""
        if self.progress is True:
            print(text, flush=True)

    def update(self, done: int) -> None:
        """Show that `done` steps are finished."""
        if callable(self.progress):
            self.progress(done, self.total)
            return
        if not self.progress:
            return
        now = clock.monotonic()
        if self.first is None:
            self.first = done
        if now - self.last < 0.4 and done < self.total:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.start, 1e-6)
        left = f"{(self.total - done) / rate:5.0f} s left" if rate > 0 else ""
        filled = int(28 * done / max(self.total, 1))
        print(
            f"\r[{'#' * filled}{'.' * (28 - filled)}] {done}/{self.total} {self.unit}  {rate:5.1f}/s  {left}   ",
            end="",
            flush=True,
        )

    def close(self) -> None:
        """End the line."""
        if self.progress is True:
            print(flush=True)
