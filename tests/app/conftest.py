"""One app, served as users serve it, and one browser, for all tests of its interface."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.app.helpers import LONG, SCREENS, Served, served

CHROMIUM_FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # no GPU
HARMLESS = ("WebGPU",)  # the 3D viewer tries it first and falls back to WebGL


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app with small limits. It must ask no other host, whatever the tests do with it."""
    with served(tmp_path_factory.mktemp("app"), "--max-upload", "2", "--max-pixels", "4") as running:
        yield running
        assert not running.foreign_hosts


@pytest.fixture(scope="package")
def app_address(app: Served) -> str:
    """Where it is."""
    return app.address


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Headless Chromium. Not for the whole session: while it runs, this thread has a running event loop, which other tests may start themselves."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, and no Chromium is installed")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, app_address: str) -> Iterator[Callable[..., Any]]:
    """``visit(width)`` opens the page as a new visitor. At the end the test fails for console errors and requests to other hosts."""
    contexts, errors, foreign, late = [], [], [], []
    own = (app_address, "data:", "blob:", "about:")

    def console(message: Any) -> None:
        if message.type != "error" or any(word in message.text for word in HARMLESS):
            return
        # Gradio asks how far an upload is, and logs the answer ("Response") when there is no such upload: it was refused, or is done already.
        asked_late = "/upload_progress" in message.location.get("url", "")
        (late if asked_late else errors).append(message.text)

    def open_page(width: int = 1440) -> Any:
        height = 1000 if width > 640 else 844
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, color_scheme="light"))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(LONG)
        tab.on("console", console)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
        tab.goto(app_address)
        tab.wait_for_selector("#photo-run")
        SCREENS.mkdir(parents=True, exist_ok=True)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign, f"the page asked other hosts: {foreign}"
    for _ in late:
        if "Response" in errors:
            errors.remove("Response")
    assert not errors, f"the console shows errors: {errors}"


@pytest.fixture
def page(visit: Callable[..., Any]) -> Any:
    """One visitor's page at 1440 pixels, light."""
    return visit()
