"""Progress bars that keep quiet where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from perception.engine import distributed


def progress(items: Iterable[Any] | None = None, label: str = "", total: int | None = None) -> Any:
    """Return a tqdm bar over `items`: drawn on a terminal by the first process only, gone when it is full."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty() or distributed.world()[0] != 0
    return tqdm(items, desc=label, total=total, disable=hidden, leave=False, dynamic_ncols=True, mininterval=0.5)
