"""The page in a real browser: each tab's main path. Screenshots are written to ``out/screens``."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.app.helpers import LONG, SCREENS, open_tab, says, shape, upload

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples"
FINISHED = {  # tab -> (what its finished example shows, words of its facts)
    "Photo": ("#photo-slider img", "m, median"),
    "Street": ("#street-slider img", "832 x 280"),
    "Panorama": ("#panorama-slider img", "1024 x 512"),
    "Surround": ("#surround-slider img", "6 cameras"),
    "Video": ("#movie video", "12, 5 a second"),
    "Compare": ("#compare-slider img", "Mean difference"),
    "World": ("#world-slider img", "street 7"),
}
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1500)]


# The first typefaces of all that is to be read, but for code.
TYPEFACES = """() => [...new Set([...document.querySelectorAll("*")]
    .filter(part => part.offsetParent && !part.closest("code, .cm-editor") && [...part.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(part => getComputedStyle(part).fontFamily.split(",")[0].replaceAll('"', "")))]"""


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


def measure(page: Any, prefix: str, first: str, second: str) -> str:
    """Click two points of the picture in the view "Measure"; the reading holds `first`, then `second`. The first click's is returned."""
    open_tab(page, "Measure", f"#{prefix}-views")
    picture = page.locator(f"#{prefix}-ruler img").first
    picture.wait_for()
    before, box = picture.evaluate("picture => picture.src"), picture.bounding_box()
    x, y = box["width"] / 2, box["height"] / 2  # small pictures are not drawn larger than they are, in the middle
    picture.click(position={"x": x, "y": y + 30})
    reads(page, prefix, first)
    reading = page.locator(f"#{prefix}-reading").locator("textarea, input").input_value()
    page.wait_for_function(  # the picture with the first point has been loaded: a click before that may be lost
        "([block, before]) => { const now = document.querySelector(block); return now?.src !== before && now?.complete && now.naturalWidth > 0; }",
        arg=[f"#{prefix}-ruler img", before],
    )
    picture.click(position={"x": x - 50, "y": y + 40})
    reads(page, prefix, second)
    return reading


def reads(page: Any, prefix: str, word: str) -> None:
    """Wait until the reading of the ruler holds `word`."""
    page.wait_for_function(
        "([block, word]) => document.querySelector(block).querySelector('textarea, input').value.includes(word)",
        arg=[f"#{prefix}-reading", word],
    )


def drawn_anew(page: Any, prefix: str, change: Callable[[], None]) -> None:
    """Wait until the right picture of the slider is another one than before `change`."""
    picture = page.locator(f"#{prefix}-slider img").last
    picture.wait_for()
    before = picture.get_attribute("src")
    change()
    page.wait_for_function(
        "([block, before]) => [...document.querySelectorAll(block)].at(-1)?.getAttribute('src') !== before",
        arg=[f"#{prefix}-slider img", before],
    )


def colours(page: Any, prefix: str) -> None:
    """Move the far end of the colours with the keyboard, and wait for the picture that follows."""
    page.locator(f"#{prefix}-look button").first.click()
    far = page.locator(f"#{prefix}-far input[type=range]")
    far.focus()
    drawn_anew(page, prefix, lambda: [far.press("ArrowLeft") for _ in range(5)])
    comes_to_rest(page)


def comes_to_rest(page: Any) -> None:
    """Wait until the page asks nothing of the server for a second: its events must not keep each other going."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/queue/join" in request.url else None)
    for _ in range(20):
        asked.clear()
        page.wait_for_timeout(1000)
        if not asked:
            return
    pytest.fail(f"the page goes on asking: {len(asked)} times in the last second")


def toast(page: Any, words: str = "") -> str:
    """The first message that holds `words`, once it is there."""
    body = page.locator(".toast-body", has_text=words).first
    body.wait_for()
    return body.inner_text()


def test_photo_starts_with_a_finished_example_that_is_drawn_again_without_the_model(page: Any) -> None:
    finished(page, "Photo")
    facts = page.inner_text("#photo-summary")
    colours(page, "photo")
    assert page.inner_text("#photo-summary") == facts  # the facts are those of the one prediction, with its time
    open_tab(page, "Python", "#photo-views")
    says(page, "#photo-code", "perception.load")


def test_a_photo_of_ones_own(page: Any, tmp_path: Path) -> None:
    predict(page, "photo", "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "cup.png", (150, 100)))
    for name in ("Normals", "Segments"):
        open_tab(page, name, "#photo-views")
        page.wait_for_selector(f"#photo-{name.lower()} img")
    measure(page, "photo", "depth", "between")
    page.screenshot(path=SCREENS / "photo_measure.png")
    shape(page, "photo")
    open_tab(page, "Files", "#photo-views")
    says(page, "#photo-files", "results", "depth", ".zip")
    predict(page, "photo", "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "other.png", (120, 100)))
    says(page, "#photo-files", "results", ".zip")  # made anew while their view is open


def test_the_camera_is_read_out_and_entered(page: Any, tmp_path: Path) -> None:
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


def test_files_that_cannot_be_read_get_their_sentence(page: Any, tmp_path: Path) -> None:
    """In the page, never only "Error"; what a browser cannot show, such as TIFF, is predicted all the same."""
    Image.new("1", (3000, 3000)).save(tmp_path / "huge.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "broken.png").write_bytes((EXAMPLES / "coffee.jpg").read_bytes()[:300])
    (tmp_path / "notes.png").write_text("this is no picture")
    finished(page, "Photo")
    for name, words in (("huge", "pixels"), ("empty", "empty"), ("broken", "broken.png"), ("notes", "notes.png")):
        upload(page, "#photo", tmp_path / f"{name}.png")
        page.click("#photo-run")
        assert len(toast(page, words)) > len("Error") + len(words)
    errors = (
        "[...document.querySelectorAll('.error')].filter(part => part.offsetParent && !part.closest('.toast-wrap'))"
    )
    assert page.evaluate(f"{errors}.map(part => part.outerHTML)") == []
    assert page.locator("#photo-slider img").last.is_visible()  # the last result stays
    page.screenshot(path=SCREENS / "photo_toasts.png")
    page.set_input_files(
        "#photo input[type=file]", {"name": "large.png", "mimeType": "image/png", "buffer": bytes(2_200_000)}
    )
    toast(page, "maximum allowed size")
    Image.fromarray(np.arange(60 * 90, dtype=np.uint16).reshape(60, 90) * 12).save(tmp_path / "scan.tiff")
    predict(page, "photo", "#photo", tmp_path / "scan.tiff")


def test_the_keyboard_is_enough(page: Any) -> None:
    """Tabs, examples, menus, sliders and buttons are reached with the Tab key, show where it is, and are used without a mouse."""
    finished(page, "Photo")
    wanted = {
        "tab Street",
        "tab Normals",
        "#photo-model",
        "#photo-camera",
        "#photo-run",
        "#photo-look",
        "#photo-examples",
    }
    where = """() => {
        const at = document.activeElement, style = getComputedStyle(at);
        const shown = [style.outlineStyle !== "none", style.boxShadow !== "none", at.matches("input, textarea, .block *")].some(Boolean);
        if (at.getAttribute("role") === "tab") return [`tab ${at.innerText.trim()}`, shown];
        return [`#${at.closest("[id^=photo-]")?.id ?? at.closest("[id]")?.id}`, shown];
    }"""
    met: dict[str, bool] = {}
    for _ in range(80):
        page.keyboard.press("Tab")
        place, shown = page.evaluate(where)
        met[place] = shown
    assert wanted <= met.keys(), f"out of reach: {wanted - met.keys()}"
    assert all(met[place] for place in wanted), (
        f"nobody sees that the keyboard is at {[p for p in wanted if not met[p]]}"
    )
    page.locator("#photo-examples button").nth(1).focus()
    page.keyboard.press("Enter")
    says(page, "#photo-summary", "600 x 400")
    page.locator("#photo-views").get_by_role("tab", name="Normals", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("#photo-normals img").wait_for()
    page.locator("#photo-views").get_by_role("tab", name="Measure", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("#photo-points").locator("textarea, input").first.focus()
    page.keyboard.type("300, 200; 320, 250")
    page.keyboard.press("Enter")
    reads(page, "photo", "between (300, 200) and (320, 250)")
    page.locator("#photo-run").focus()
    page.keyboard.press("Enter")
    says(page, "#photo-summary", "600 x 400")


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


def test_long_work_and_a_full_queue_are_told_on_the_page(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that runs says what it does; with one more waiting, a click is told to try again later; then the first job ends with its sentence."""
    import httpx

    from app import server
    from app.settings import Settings
    from perception.errors import InputError

    go_on = threading.Event()

    def slow(*_: Any, say: Any = lambda *_: None, **__: Any) -> None:
        say(0.5, "Looking closely")
        go_on.wait(LONG / 1000)
        raise InputError("the picture was looked at")

    monkeypatch.setattr("app.tabs.photo.jobs.predict_photo", slow)
    served, address = server.serve(Settings(device="cpu", port=None, queue=1), block=False)
    visitor = browser.new_page()
    visitor.set_default_timeout(LONG)
    try:
        visitor.goto(address)
        says(visitor, "#photo-views", "Looking closely")
        call = f"{address.rstrip('/')}/gradio_api/call/predict_photo"
        assert httpx.post(call, json={"data": [None, "dpt-world-tiny", 60, ""]}, timeout=60).status_code == 200
        visitor.click("#photo-run")
        toast(visitor, "currently busy")  # Gradio's words, in the page, for what programs are told as "Queue is full"
        go_on.set()
        toast(visitor, "The picture was looked at.")
    finally:
        go_on.set()
        visitor.close()
        served.close()


def test_a_phone_shows_what_was_asked_for(visit: Callable[..., Any], tmp_path: Path) -> None:
    """The result, which lies below the button, comes into sight; pictures have no empty bars; each of six cameras can be seen."""
    page = visit(390)
    finished(page, "Photo")
    assert page.evaluate("scrollY") == 0
    assert (
        page.evaluate("getComputedStyle(document.querySelector('footer')).opacity") == "1"
    )  # else too pale to be read
    upload(page, "#photo", small(EXAMPLES / "coffee.jpg", tmp_path / "cup.png", (150, 100)))
    page.click("#photo-run")
    page.wait_for_function("document.querySelector('#photo-views').getBoundingClientRect().top < 100")
    says(page, "#photo-summary", "cup.png")
    open_tab(page, "Normals", "#photo-views")
    page.locator("#photo-normals img").wait_for()
    tall = "[...document.querySelectorAll('#photo-normals, #photo-normals img')].map(part => part.clientHeight)"
    block, picture = page.evaluate(tall)
    assert block < picture + 60
    finished(page, "Surround")
    page.wait_for_function("document.querySelector('#surround-slider img').naturalHeight > 600")
    sheet = page.locator("#surround-slider img").first.evaluate("sheet => [sheet.clientWidth, sheet.naturalWidth]")
    assert min(sheet) > 300
    page.screenshot(path=SCREENS / "surround_phone.png", full_page=True)


def test_street(page: Any) -> None:
    finished(page, "Street")
    page.wait_for_selector("#street-bev img")
    says(page, "#street-table", "Car")
    slider = page.locator("#street-score input[type=range]")
    slider.focus()
    slider.press("End")  # nothing is that sure
    says(page, "#street-summary", "none", "lower the threshold")
    slider.press("Home")  # all boxes
    page.wait_for_function("!document.querySelector('#street-summary').innerText.includes('none')")
    open_tab(page, "Depth", "#street-views")
    page.wait_for_selector("#street-depth-slider img")
    measure(page, "street", "depth", "between")
    page.screenshot(path=SCREENS / "street_measure.png")
    shape(page, "street")


def test_panorama(page: Any, tmp_path: Path) -> None:
    finished(page, "Panorama")
    colours(page, "panorama")
    pano = small(EXAMPLES / "scenes" / "panorama_room.jpg", tmp_path / "pano.png", (256, 128))
    predict(page, "panorama", "#panorama", pano)
    measure(page, "panorama", "away", "between")
    shape(page, "panorama")


def test_surround(page: Any, tmp_path: Path) -> None:
    finished(page, "Surround")
    page.wait_for_selector("#surround-true-bev img")
    drawn_anew(page, "surround", lambda: page.get_by_label("Truth", exact=True).check())
    says(page, "#surround-summary", "car")
    page.locator("#surround-camera input").click()
    front = page.get_by_role("option", name="CAM_FRONT", exact=True)
    drawn_anew(page, "surround", front.click)
    page.wait_for_function("document.querySelector('#surround-slider img').naturalWidth === 800")
    open_tab(page, "Table", "#surround-views")
    says(page, "#surround-table", "#", "car")  # classes and tracks
    there = measure(page, "surround", "away", "between")
    behind = re.search(r"(\d+\.\d) m behind, 0\.\d m to the", there)  # 30 pixels below the middle; 104 m are 520 pixels
    assert behind and abs(float(behind[1]) - 6) < 1, there
    page.screenshot(path=SCREENS / "surround_measure.png")
    shape(page, "surround")
    bad = tmp_path / "bad.zip"
    bad.write_text("no archive")
    page.locator("#surround-source").get_by_label("Your own rig", exact=True).check()
    upload(page, "#surround-file", bad)
    page.click("#surround-run")
    assert "not a ZIP archive" in toast(page)
    page.locator("#surround-examples button").last.click()  # a rig as a ZIP
    says(page, "#surround-summary", "2, 6 cameras")


def test_video(page: Any, tmp_path: Path) -> None:
    from perception.io.video import VideoWriter

    finished(page, "Video")
    page.wait_for_function("document.querySelector('#movie video').videoWidth === 832")  # decoded: the browser plays it
    page.locator("#video-camera button").first.click()
    says(page, "#video-camera", "416 x 240 px", "field of view")
    open_tab(page, "Frames", "#video-views")
    frame = page.locator("#video-frame input[type=range]")
    frame.focus()
    drawn_anew(page, "video", lambda: frame.press("ArrowRight"))
    colours(page, "video")
    page.screenshot(path=SCREENS / "video_frames.png", full_page=True)
    measure(page, "video", "depth", "between")
    open_tab(page, "Video", "#video-views")
    with VideoWriter(tmp_path / "own.mp4", 8, codec="vp09") as video:
        for shade in range(3):
            video.write(np.full((96, 128, 3), 60 * shade, np.uint8))
    page.locator("#clip").get_by_label("Remove Video").or_(page.locator("#clip").get_by_label("Clear")).first.click()
    upload(page, "#clip", tmp_path / "own.mp4")
    page.click("#video-run")
    says(page, "#video-summary", "128 x 96")
    page.wait_for_function("document.querySelector('#movie video')?.videoWidth === 256")
    shape(page, "video")
    page.locator("#video-examples button").last.click()  # boxes
    says(page, "#video-summary", "monodetr")
    open_tab(page, "Frames", "#video-views")
    page.wait_for_function("[...document.querySelectorAll('#video-slider img')].at(-1)?.naturalWidth === 416")
    drawn_anew(page, "video", lambda: page.locator("#video-score input[type=range]").press("Home"))  # every box
    page.screenshot(path=SCREENS / "video_boxes.png", full_page=True)


def test_compare(page: Any) -> None:
    finished(page, "Compare")
    says(page, "#compare-slider", "dpt-world-tiny | polymax-world-tiny")
    colours(page, "compare")
    page.locator("#compare-what").get_by_label("Segments").check()
    says(page, "#compare-summary", "Same class")
    open_tab(page, "Difference", "#compare-views")
    page.wait_for_selector("#compare-difference img")
    page.screenshot(path=SCREENS / "compare_difference.png")
    measure(page, "compare", "Second: depth", "Second: ")
    shape(page, "compare")


def test_world(page: Any) -> None:
    finished(page, "World")
    says(page, "#world-metrics", "Objects found")
    colours(page, "world")
    page.locator("#world-what").get_by_label("Boxes").check()
    measure(page, "world", "Truth: depth", "Truth: ")
    page.locator("#world-examples button").nth(2).click()
    says(page, "#world-summary", "street 4", "768 x 384")
    page.get_by_label("Camera", exact=True).check()
    page.fill("#world-seed input", "7")
    page.get_by_label("room", exact=True).check()
    page.click("#world-run")
    says(page, "#world-summary", "room 7")
    says(page, "#world-metrics", "Classes, mIoU", "100 % is best")
    shape(page, "world")


def test_every_tab_fits(visit: Callable[..., Any]) -> None:
    """On a phone and on a large screen, light and dark, nothing is wider than the screen, every picture says what it shows, and nothing is empty."""
    page = visit(390)
    for name in FINISHED:
        page.set_viewport_size({"width": 390, "height": 844})
        finished(page, name)
        for width, height in ((390, 844), (1440, 1000)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
            for scheme in ("dark", "light"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_function(
                    "dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark"
                )
                file = SCREENS / f"{name.lower()}_{width}_{scheme}.png"
                page.screenshot(path=file, full_page=True, animations="disabled")  # colours fade into each other
        silent = "[...document.querySelectorAll('img')].filter(img => img.offsetParent && !img.alt)"
        page.wait_for_function(f"{silent}.length === 0")
        assert page.evaluate(TYPEFACES) == ["system-ui"]
