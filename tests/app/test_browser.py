"""The page in a real browser: each tab's main path. Screenshots are written to ``out/screens``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.app.helpers import SCREENS, open_tab, says, shape, upload

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples"
FINISHED = {  # tab -> (what its finished example shows, words of its facts)
    "Photo": ("#photo-slider img", "m, median"),
    "Street": ("#street-boxes img", "832 x 280"),
    "Panorama": ("#panorama-slider img", "1024 x 512"),
    "Surround": ("#surround-cameras img", "6 cameras"),
    "Video": ("#movie video", "12, 5 a second"),
    "Compare": ("#compare-slider img", "Mean difference"),
    "World": ("#world-slider img", "street 7"),
}
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1500)]


def finished(page: Any, name: str) -> None:
    """Open a tab and wait for its finished example."""
    picture, words = FINISHED[name]
    if name != "Photo":
        open_tab(page, name)
    says(page, f"#{name.lower()}-summary", words)
    page.wait_for_selector(picture)


def predict(page: Any, prefix: str, block: str, file: Path) -> None:
    """Upload a picture, predict it and wait until its own result is shown."""
    with Image.open(file) as picture:
        size = f"{picture.width} x {picture.height}"
    upload(page, block, file)
    page.click(f"#{prefix}-run")
    says(page, f"#{prefix}-summary", size)


def small(source: Path, target: Path, size: tuple[int, int], **options: Any) -> Path:
    """A small copy: WebGL without a GPU is slow."""
    Image.open(source).resize(size).save(target, **options)
    return target


def toast(page: Any) -> str:
    body = page.locator(".toast-body").first
    body.wait_for()
    return body.inner_text()


def test_photo_starts_with_a_finished_example_that_is_drawn_again_without_the_model(page: Any) -> None:
    finished(page, "Photo")
    page.screenshot(path=SCREENS / "photo.png")
    before, facts = page.locator("#photo-slider img").last.get_attribute("src"), page.inner_text("#photo-summary")
    page.locator("#photo-look button").first.click()
    far = page.locator("#photo-far input[type=range]")
    far.focus()
    for _ in range(5):
        far.press("ArrowLeft")
    changed = "before => [...document.querySelectorAll('#photo-slider img')].at(-1).getAttribute('src') !== before"
    page.wait_for_function(changed, arg=before)
    assert page.inner_text("#photo-summary") == facts  # the facts are those of the one prediction, with its time
    open_tab(page, "Python", "#photo-views")
    says(page, "#photo-code", "perception.load")


def test_a_photo_of_ones_own(page: Any, tmp_path: Path) -> None:
    predict(page, "photo", "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "cup.png", (150, 100)))
    for name in ("Normals", "Segments"):
        open_tab(page, name, "#photo-views")
        page.wait_for_selector(f"#photo-{name.lower()} img")
    open_tab(page, "Measure", "#photo-views")
    picture = page.locator("#photo-ruler img").first
    picture.wait_for()
    box = picture.bounding_box()
    reading = "word => document.querySelector('#photo-reading').querySelector('textarea, input').value.includes(word)"
    x, y = box["width"] / 2, box["height"] / 2  # small pictures are not drawn larger than they are, in the middle
    picture.click(position={"x": x, "y": y + 30})
    page.wait_for_function(reading, arg="depth")
    picture.click(position={"x": x - 50, "y": y + 40})
    page.wait_for_function(reading, arg="between")
    page.screenshot(path=SCREENS / "photo_measure.png")
    shape(page, "photo")
    open_tab(page, "Files", "#photo-views")
    says(page, "#photo-files", "results", "depth", ".zip")
    predict(page, "photo", "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "other.png", (120, 100)))
    says(page, "#photo-files", "results", ".zip")  # made anew while their view is open


def test_the_camera_is_read_out_and_entered_and_bad_files_get_their_sentence(page: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    finished(page, "Photo")
    page.locator("#photo-camera button").first.click()
    upload(page, "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "phone.jpg", (150, 100), exif=exif))
    says(page, "#photo-camera", "26 mm in 35 mm terms")
    page.locator("#photo-camera-mode").get_by_label("Matrix", exact=True).check()
    page.fill("#photo-matrix textarea, #photo-matrix input", "500 500 75 50")
    says(page, "#photo-camera", "focal length 500 px")
    page.screenshot(path=SCREENS / "photo_camera.png")
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"this is no picture")
    upload(page, "#photo", bad)
    page.click("#photo-run")
    assert "broken.png" in toast(page)


def test_two_visitors_see_their_own_results(visit: Callable[..., Any], tmp_path: Path) -> None:
    sizes = ((90, 60), (60, 90))
    pages = [visit() for _ in sizes]
    for tab, (width, height) in zip(pages, sizes, strict=True):
        Image.new("RGB", (width, height), (width, 99, height)).save(tmp_path / f"{width}.png")
        upload(tab, "#photo", tmp_path / f"{width}.png")  # before the first example is there: it must not come back
    for tab in pages:
        tab.click("#photo-run")
    for tab, (width, height) in zip(pages, sizes, strict=True):
        says(tab, "#photo-summary", f"{width} x {height}")
        assert f"/{width}.png" in tab.locator("#photo img").first.get_attribute("src")


def test_street(page: Any) -> None:
    finished(page, "Street")
    page.wait_for_selector("#street-bev img")
    says(page, "#street-table", "Car")
    page.screenshot(path=SCREENS / "street.png")
    slider = page.locator("#street-score input[type=range]")
    slider.focus()
    slider.press("End")  # nothing is that sure
    says(page, "#street-summary", "none", "lower the threshold")
    slider.press("Home")  # all boxes
    page.wait_for_function("!document.querySelector('#street-summary').innerText.includes('none')")
    shape(page, "street")


def test_panorama(page: Any, tmp_path: Path) -> None:
    finished(page, "Panorama")
    page.screenshot(path=SCREENS / "panorama.png")
    pano = small(EXAMPLES / "scenes" / "panorama_room.jpg", tmp_path / "pano.png", (128, 64))
    predict(page, "panorama", "#panorama", pano)
    shape(page, "panorama")


def test_surround(page: Any, tmp_path: Path) -> None:
    finished(page, "Surround")
    page.wait_for_selector("#surround-true-bev img")
    page.screenshot(path=SCREENS / "surround.png", full_page=True)
    page.get_by_label("Truth", exact=True).check()
    says(page, "#surround-summary", "car")
    shape(page, "surround")
    page.get_by_label("Your own rig").check()
    bad = tmp_path / "bad.zip"
    bad.write_text("no archive")
    upload(page, "#surround-file", bad)
    page.click("#surround-run")
    assert "not a ZIP archive" in toast(page)


def test_video(page: Any, tmp_path: Path) -> None:
    from perception.io.video import VideoWriter

    finished(page, "Video")
    page.wait_for_function("document.querySelector('#movie video').videoWidth === 832")  # decoded: the browser plays it
    page.screenshot(path=SCREENS / "video.png")
    with VideoWriter(tmp_path / "own.mp4", 8, codec="vp09") as video:
        for shade in range(3):
            video.write(np.full((96, 128, 3), 60 * shade, np.uint8))
    page.locator("#clip").get_by_label("Remove Video").or_(page.locator("#clip").get_by_label("Clear")).first.click()
    upload(page, "#clip", tmp_path / "own.mp4")
    page.click("#video-run")
    says(page, "#video-summary", "128 x 96")
    page.wait_for_function("document.querySelector('#movie video')?.videoWidth === 256")


def test_compare(page: Any) -> None:
    finished(page, "Compare")
    page.screenshot(path=SCREENS / "compare.png")
    page.locator("#compare-what").get_by_label("Segments").check()
    says(page, "#compare-summary", "Same class")
    open_tab(page, "Difference", "#compare-views")
    page.wait_for_selector("#compare-difference img")
    page.screenshot(path=SCREENS / "compare_difference.png")


def test_world(page: Any) -> None:
    finished(page, "World")
    says(page, "#world-metrics", "Objects found")
    page.screenshot(path=SCREENS / "world.png", full_page=True)
    page.locator("#world-what").get_by_label("Boxes").check()
    page.get_by_label("room", exact=True).check()
    page.click("#world-run")
    says(page, "#world-summary", "room 7")
    says(page, "#world-metrics", "Classes, mIoU", "100 % is best")
    shape(page, "world")


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark"), (390, "dark")])
def test_every_tab_fits(visit: Callable[..., Any], width: int, scheme: str) -> None:
    """On a phone and on a large screen nothing is wider than the screen, every picture says what it shows, and nothing is empty."""
    page = visit(width, scheme)
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    for name in FINISHED if scheme != "dark" or width == 1440 else ("Photo",):
        finished(page, name)
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
        page.screenshot(path=SCREENS / f"{name.lower()}_{width}_{scheme}.png", full_page=True)
        silent = "[...document.querySelectorAll('img')].filter(img => img.offsetParent && !img.alt)"
        page.wait_for_function(f"{silent}.length === 0")
