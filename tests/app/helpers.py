"""An app as users serve it, and what the browser tests share: each of those waits for what it names, not for a time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = Path(__file__).parent / "offline"
LONG = 1000 * int(
    os.environ.get("BROWSER_PATIENCE", "240")
)  # milliseconds: no GPU, models and the world, a busy machine
SCREENS = ROOT / "out" / "screens"


@dataclasses.dataclass(frozen=True)
class Served:
    """An app that runs. folder: where its temporary files lie. start: seconds of processor time until it gave its first page."""

    address: str
    process: psutil.Process
    folder: Path
    start: float

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    @property
    def foreign_hosts(self) -> set[str]:
        """Those beyond this machine that it asked for, in vain: there is no network."""
        file = self.folder / "foreign.txt"
        return set(file.read_text().split()) if file.exists() else set()


@contextlib.contextmanager
def served(folder: Path, *flags: str, **environment: str) -> Iterator[Served]:
    """``python -m app`` on a free port, on a machine without network; stopped at the end, when none of its temporary files may be left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PYTHONUNBUFFERED": "1", "TMPDIR": str(folder), "PYTHONPATH": str(OFFLINE)} | environment
    environment |= {"FOREIGN_HOSTS": str(folder / "foreign.txt")}
    command = [sys.executable, "-m", "app", "--port", str(port), *flags]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | environment)
    try:
        address, process = f"http://127.0.0.1:{port}", psutil.Process(server.pid)
        deadline = time.monotonic() + 400
        while True:
            try:
                urllib.request.urlopen(address, timeout=30).read()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("the app did not start:\n" + (folder / "log.txt").read_text()[-3000:])
                time.sleep(0.5)
        yield Served(address, process, folder, sum(process.cpu_times()[:2]))
    finally:
        server.terminate()
        server.wait(300)
    assert not list(folder.glob("perception_app_*")), "the app left its temporary files behind"


def upload(page: Any, block: str, file: str | Path) -> None:
    """Give a file to the input of `block` and wait until the page holds it: a click before that would send what was there."""
    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/upload")) as done:
        page.set_input_files(f"{block} input[type=file]", str(file))
    name = done.value.json()[0].rpartition("/")[2]
    page.wait_for_function(
        "([block, name]) => document.querySelector(block).innerHTML.includes(encodeURI(name)) || document.querySelector(block).innerHTML.includes(name)",
        arg=[block, name],
    )


def says(page: Any, block: str, *words: str) -> None:
    """Wait until the text of `block` holds all `words`."""
    page.wait_for_function(
        "([block, words]) => words.every(word => document.querySelector(block)?.innerText.includes(word))",
        arg=[block, list(words)],
    )


def open_tab(page: Any, name: str, within: str = "#tabs") -> None:
    """Open the tab `name` of `within`, also where a narrow screen leaves it out of the bar and offers it in the menu."""
    from playwright.sync_api import TimeoutError as TooLong

    bar = page.locator(f"{within} > .tab-wrapper")
    tab = bar.get_by_role("tab", name=name, exact=True).first
    entry = bar.locator(".overflow-dropdown").get_by_text(name, exact=True).first
    menu = bar.locator(".overflow-menu > button").first
    deadline = time.monotonic() + LONG / 1000
    while time.monotonic() < deadline:
        place = next((place for place in (entry, tab, menu) if place.is_visible()), None)
        with contextlib.suppress(TooLong):  # it moved between the bar and the menu: the screen has another width now
            if place is not None:
                place.click(timeout=10_000)
                if place is not menu:
                    return
        page.wait_for_timeout(100)
    pytest.fail(f"there is no tab {name}")


def shape(page: Any, prefix: str) -> None:
    """Open the 3D view and wait until something is drawn on its white ground; keep a picture of it."""
    open_tab(page, "3D", f"#{prefix}-views")
    canvas = page.locator(f"#{prefix}-3d canvas")
    canvas.wait_for()
    file, deadline = SCREENS / f"{prefix}_3d.png", time.monotonic() + LONG / 1000
    while True:
        page.screenshot(
            path=file, clip=canvas.bounding_box(), timeout=LONG
        )  # of the element: that waits for it to rest
        if (np.asarray(Image.open(file).convert("RGB")).min(axis=2) < 200).mean() > 0.01:
            return
        assert time.monotonic() < deadline, f"the 3D view of {prefix} stays empty"
        page.wait_for_timeout(250)
