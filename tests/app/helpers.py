"""What the browser tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def upload(page: Any, selector: str, file: str | Path) -> None:
    """Give a file to an input and wait until the server has it: a click before that would send what was there."""
    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/upload")) as done:
        page.set_input_files(selector, str(file))
    done.value.finished()
    page.wait_for_timeout(1000)  # the page then shows it
