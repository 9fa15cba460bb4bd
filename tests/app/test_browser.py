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

from tests.app.helpers import upload

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "app" / "examples"
SCREENS = ROOT / "out" / "screens"
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]  # WebGL without a GPU
LONG = 240_000  # milliseconds: a browser without a GPU on a busy machine
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
    tab.set_default_timeout(LONG)
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
    tab.wait_for_selector("#photo-run")
    SCREENS.mkdir(parents=True, exist_ok=True)
    yield tab
    context.close()
    assert not foreign, f"the page asked other hosts: {foreign}"
    assert not errors, f"the console shows errors: {errors}"


def predict(page, file: Path) -> None:
    """Upload a picture, predict it and wait until its own result is shown."""
    with Image.open(file) as picture:
        size = f"{picture.width} x {picture.height}"
    upload(page, "#photo input[type=file]", file)
    page.wait_for_selector("#photo img")
    page.click("#photo-run")
    page.wait_for_function("size => document.querySelector('#photo-summary').innerText.includes(size)", arg=size)
    page.wait_for_selector("#photo-slider img")


def test_the_first_screen_shows_a_finished_example(page) -> None:
    page.wait_for_selector("#photo-slider img")
    page.wait_for_function("document.querySelector('#photo-summary').innerText.includes('m, median')")
    page.screenshot(path=SCREENS / "first.png")


def test_photo_to_depth(page) -> None:
    predict(page, EXAMPLES / "coffee.jpg")
    page.screenshot(path=SCREENS / "photo_depth.png")
    for tab in ("Normals", "Segments"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_selector(f"#photo-{tab.lower()} img")
        page.screenshot(path=SCREENS / f"photo_{tab.lower()}.png")
    page.get_by_role("tab", name="Files", exact=True).click()
    page.wait_for_function("/results\\s*[.]zip/.test(document.querySelector('#photo-files').textContent)")


def test_the_shape_is_drawn_when_its_tab_opens(page, tmp_path: Path) -> None:
    small = tmp_path / "small.png"  # WebGL without a GPU is slow
    Image.open(EXAMPLES / "coffee.jpg").resize((150, 100)).save(small)
    predict(page, small)
    page.get_by_role("tab", name="3D", exact=True).click()
    page.wait_for_selector("#photo-3d canvas")
    deadline = time.monotonic() + 240
    while True:
        page.screenshot(path=SCREENS / "photo_3d.png")
        box = {key: round(value) for key, value in page.locator("#photo-3d canvas").bounding_box().items()}
        drawn = np.asarray(Image.open(SCREENS / "photo_3d.png").convert("RGB"))
        drawn = drawn[box["y"] + 40 : box["y"] + box["height"], box["x"] : box["x"] + box["width"]]
        if (drawn.min(axis=2) < 200).mean() > 0.02:  # something other than the white background
            break
        assert time.monotonic() < deadline, "the 3D view stays empty"
        page.wait_for_timeout(2000)


def test_measuring_by_clicks(page) -> None:
    predict(page, EXAMPLES / "motorcycle.jpg")
    page.get_by_role("tab", name="Measure", exact=True).click()
    picture = page.locator("#photo-ruler img").first
    picture.wait_for()
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.8})
    page.wait_for_function("document.querySelector('#photo-reading textarea').value.startsWith('depth')")
    picture.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.9})
    page.wait_for_function("document.querySelector('#photo-reading textarea').value.includes('between')")


def test_a_bad_file_gets_its_sentence_in_a_toast(page, tmp_path: Path) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"this is no picture")
    upload(page, "#photo input[type=file]", bad)
    page.click("#photo-run")
    toast = page.locator(".toast-body, .toast-wrap").first
    toast.wait_for(timeout=120_000)
    assert "broken.png" in toast.inner_text()


def test_colours_and_limits_are_drawn_again_without_the_model(page) -> None:
    page.wait_for_selector("#photo-slider img")
    page.wait_for_function("document.querySelector('#photo-summary').innerText.includes('m, median')")
    before = page.locator("#photo-slider img").last.get_attribute("src")
    time_before = page.inner_text("#photo-summary")
    page.locator("#photo-look button").first.click()
    far = page.locator("#photo-far input[type=range]")
    far.focus()
    for _ in range(5):
        far.press("ArrowLeft")
    page.wait_for_function(
        "before => [...document.querySelectorAll('#photo-slider img')].at(-1).getAttribute('src') !== before",
        arg=before,
    )
    assert page.inner_text("#photo-summary") == time_before  # the facts are those of the one prediction
    page.get_by_role("tab", name="Python", exact=True).first.click()
    page.wait_for_function("document.querySelector('#photo-code').innerText.includes('perception.load')")


def test_the_camera_is_read_out_and_entered(page, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.open(EXAMPLES / "coffee.jpg").save(tmp_path / "phone.jpg", exif=exif)
    page.wait_for_selector("#photo-slider img")
    page.locator("#photo-camera button").first.click()
    upload(page, "#photo input[type=file]", tmp_path / "phone.jpg")
    page.wait_for_function("document.querySelector('#photo-camera').innerText.includes('26 mm in 35 mm terms')")
    page.locator("#photo-camera-mode").get_by_label("Matrix", exact=True).check()
    page.fill("#photo-matrix textarea, #photo-matrix input", "500 500 300 200")
    page.wait_for_function("document.querySelector('#photo-camera').innerText.includes('focal length 500 px')")
    page.screenshot(path=SCREENS / "photo_camera.png")


def test_two_models_side_by_side(page) -> None:
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.wait_for_selector("#compare-slider img")
    page.wait_for_function("document.querySelector('#compare-summary').innerText.includes('Mean difference')")
    page.screenshot(path=SCREENS / "compare.png")
    page.get_by_role("tab", name="Difference", exact=True).click()
    page.wait_for_selector("#compare-difference img")
    page.screenshot(path=SCREENS / "compare_difference.png")
    page.locator("#compare-what").get_by_label("Segments", exact=True).check()
    page.wait_for_function("document.querySelector('#compare-summary').innerText.includes('Same class')")


def test_a_clip_is_predicted_and_plays(page, tmp_path: Path) -> None:
    from perception.io.video import VideoWriter

    page.get_by_role("tab", name="Video", exact=True).click()
    page.wait_for_function("document.querySelector('#video-summary')?.innerText.includes('12, 5 a second')")
    page.wait_for_selector("#movie video")
    page.wait_for_function("document.querySelector('#movie video').videoWidth === 832")  # decoded: the browser plays it
    page.screenshot(path=SCREENS / "video.png")
    with VideoWriter(tmp_path / "own.mp4", 8, codec="vp09") as video:
        for shade in range(3):
            video.write(np.full((96, 128, 3), 60 * shade, np.uint8))
    page.get_by_label("Remove Video").or_(page.get_by_label("Clear")).first.click()
    upload(page, "#clip input[type=file]", tmp_path / "own.mp4")
    page.wait_for_selector("#clip video")
    page.click("#video-run")
    page.wait_for_function("document.querySelector('#video-summary').innerText.includes('128 x 96')")


def test_two_visitors_see_their_own_results(browser, app_address: str, tmp_path: Path) -> None:
    sizes = ((90, 60), (60, 90))
    tabs = [browser.new_context().new_page() for _ in sizes]
    for tab, (width, height) in zip(tabs, sizes, strict=True):
        tab.set_default_timeout(LONG)
        tab.goto(app_address)
        tab.wait_for_selector("#photo-slider img")
        Image.new("RGB", (width, height), (width, 99, height)).save(tmp_path / f"{width}.png")
        upload(tab, "#photo input[type=file]", tmp_path / f"{width}.png")
    for tab in tabs:
        tab.click("#photo-run")
    for tab, (width, height) in zip(tabs, sizes, strict=True):
        tab.wait_for_function(
            "size => document.querySelector('#photo-summary').innerText.includes(size)", arg=f"{width} x {height}"
        )
        tab.context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_can_use_it(browser, app_address: str, scheme: str) -> None:
    """Every tab at 390 pixels: nothing is wider than the screen."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(LONG)
    tab.goto(app_address)
    tab.wait_for_selector("#photo-slider img")
    SCREENS.mkdir(parents=True, exist_ok=True)
    tab.wait_for_function("document.documentElement.scrollWidth <= 390")  # once the layout is done
    tab.screenshot(path=SCREENS / f"phone_photo_{scheme}.png", full_page=True)
    context.close()


def test_dark(browser, app_address: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(LONG)
    tab.goto(app_address)
    tab.wait_for_selector("#photo-slider img")
    SCREENS.mkdir(parents=True, exist_ok=True)
    assert tab.evaluate("document.body.classList.contains('dark')")
    tab.screenshot(path=SCREENS / "photo_dark.png")
    context.close()
