"""The page in a real browser. Screenshots are written to ``out/screens``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "app" / "examples"
SCREENS = ROOT / "out" / "screens"
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]  # WebGL without a GPU
HARMLESS = ("WebGPU",)  # the 3D viewer tries it first and falls back to WebGL


@pytest.fixture(scope="module")
def browser() -> Iterator:
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, and no Chromium is installed")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, app_address: str) -> Iterator:
    """A page that records console errors and requests to other hosts, and fails the test for them at its end."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    tab = context.new_page()
    errors: list[str] = []
    foreign: list[str] = []

    def console(message) -> None:
        if message.type == "error" and not any(word in message.text for word in HARMLESS):
            errors.append(message.text)

    tab.on("console", console)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    own = (app_address, "data:", "blob:", "about:")
    tab.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    tab.goto(app_address)
    tab.wait_for_selector("#run")
    yield tab
    SCREENS.mkdir(parents=True, exist_ok=True)
    context.close()
    assert not foreign, f"the page asked other hosts: {foreign}"
    assert not errors, f"the console shows errors: {errors}"


def predict(page, file: Path) -> None:
    """Upload a picture, predict it and wait until its own result is shown."""
    with Image.open(file) as picture:
        size = f"{picture.width} x {picture.height}"
    page.set_input_files("#photo input[type=file]", str(file))
    page.wait_for_selector("#photo img")
    page.click("#run")
    page.wait_for_function(
        "size => document.querySelector('#summary').innerText.includes(size)", arg=size, timeout=90_000
    )
    page.wait_for_selector("#slider img")


def test_the_first_screen_shows_a_finished_example(page) -> None:
    page.wait_for_selector("#slider img", timeout=90_000)
    page.wait_for_function("document.querySelector('#summary').innerText.includes('m, median')", timeout=30_000)
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "first.png")


def test_photo_to_depth(page) -> None:
    predict(page, EXAMPLES / "coffee.jpg")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "photo_depth.png")
    for tab in ("Normals", "Segments"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_selector(f"#{tab.lower()} img")
        page.screenshot(path=SCREENS / f"photo_{tab.lower()}.png")
    page.get_by_role("tab", name="Files", exact=True).click()
    page.wait_for_function("document.querySelector('#files').innerText.includes('results.zip')", timeout=90_000)


def test_the_shape_is_drawn_when_its_tab_opens(page, tmp_path: Path) -> None:
    small = tmp_path / "small.png"  # WebGL without a GPU is slow
    Image.open(EXAMPLES / "coffee.jpg").resize((150, 100)).save(small)
    predict(page, small)
    page.get_by_role("tab", name="3D", exact=True).click()
    page.wait_for_selector("#cloud canvas", timeout=90_000)
    SCREENS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 90
    while True:
        page.screenshot(path=SCREENS / "photo_3d.png", timeout=90_000)
        box = {key: round(value) for key, value in page.locator("#cloud canvas").bounding_box().items()}
        drawn = np.asarray(Image.open(SCREENS / "photo_3d.png").convert("RGB"))
        drawn = drawn[box["y"] + 40 : box["y"] + box["height"], box["x"] : box["x"] + box["width"]]
        if (drawn.min(axis=2) < 200).mean() > 0.02:  # something other than the white background
            break
        assert time.monotonic() < deadline, "the 3D view stays empty"
        page.wait_for_timeout(2000)


def test_measuring_by_clicks(page) -> None:
    predict(page, EXAMPLES / "motorcycle.jpg")
    page.get_by_role("tab", name="Measure", exact=True).click()
    picture = page.locator("#ruler img").first
    picture.wait_for()
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.8})
    page.wait_for_function("document.querySelector('#reading textarea').value.startsWith('depth')")
    picture.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.9})
    page.wait_for_function("document.querySelector('#reading textarea').value.includes('between')")


def test_a_bad_file_gets_its_sentence_in_a_toast(page, tmp_path: Path) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"this is no picture")
    page.set_input_files("#photo input[type=file]", str(bad))
    page.click("#run")
    toast = page.locator(".toast-body, .toast-wrap").first
    toast.wait_for(timeout=30_000)
    assert "broken.png" in toast.inner_text()


def test_a_phone_can_use_it(browser, app_address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab = context.new_page()
    tab.goto(app_address)
    tab.wait_for_selector("#run")
    tab.wait_for_function("document.documentElement.scrollWidth <= 390", timeout=15_000)  # once the layout is done
    SCREENS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=SCREENS / "phone.png")
    context.close()
