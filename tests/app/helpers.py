"""What the browser tests share: each of these waits for what it names, not for a time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LONG = 1000 * int(
    os.environ.get("BROWSER_PATIENCE", "240")
)  # milliseconds: no GPU, models and the world, a busy machine
SCREENS = Path(__file__).resolve().parents[2] / "out" / "screens"


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
    bar = page.locator(f"{within} > .tab-wrapper")
    tab = bar.get_by_role("tab", name=name, exact=True).first
    entry = bar.locator(".overflow-dropdown").get_by_text(name, exact=True).first
    menu = bar.locator(".overflow-menu > button").first
    deadline = time.monotonic() + LONG / 1000
    while not (tab.is_visible() or entry.is_visible()):
        assert time.monotonic() < deadline, f"there is no tab {name}"
        if menu.is_visible():
            menu.click()
        page.wait_for_timeout(100)
    (entry if entry.is_visible() else tab).click()


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
