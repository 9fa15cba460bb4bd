"""Street, Panorama, Surround and World as served: their endpoints, and their main path in a browser, with models of random weights where none is trained."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.app import tiny_models
from tests.app.helpers import upload
from tests.app.test_browser import FLAGS, HARMLESS, SCREENS, browser  # noqa: F401

gradio_client = pytest.importorskip("gradio_client")
EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples" / "scenes"
PHOTO, PANORAMA = "dpt-world-tiny", "panorama-dpt-world-tiny"
LONG = 240_000  # milliseconds: a browser without a GPU, models and the world on one busy core
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "photo": (PHOTO,),
        "boxes3d": (tiny_models.monodetr(folder),),
        "panorama": (PANORAMA,),
        "rig": (tiny_models.hydra(folder),),
    }


@pytest.fixture(scope="module")
def address(models: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The whole app in this process, as `serve` serves it."""
    from app.server import serve
    from app.settings import Settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.services.offered_models", lambda settings: models)
        page, url = serve(Settings(port=None, device="cpu", max_upload=2, max_pixels=1_000_000), block=False)
    yield url.rstrip("/")
    page.close()


@pytest.fixture(scope="module")
def client(address: str):
    return gradio_client.Client(address, verbose=False)


@pytest.fixture(scope="module")
def small_panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "pano.png"
    Image.open(EXAMPLES / "panorama_room.jpg").resize((128, 64)).save(file)
    return file


def names_in(archive: str) -> set[str]:
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        return set(bundle.namelist())


def test_the_contract(client) -> None:
    """Programs depend on these names: change them only with a new major version."""
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    parameters = {
        name: [item["parameter_name"] for item in endpoint["parameters"]] for name, endpoint in endpoints.items()
    }
    expected = {
        "/predict_street": ["image", "model", "fov", "intrinsics", "score"],
        "/predict_panorama": ["image", "model", "left", "right", "bottom", "top"],
        "/predict_surround_scene": ["seed", "weather", "moments", "model", "score"],
        "/predict_surround_rig": ["rig", "model", "score"],
        "/make_world": ["seed", "kind", "style", "weather", "sensor", "time", "fov", "model"],
    }
    assert expected.items() <= parameters.items()
    assert all(len(endpoints[name]["returns"]) == 2 for name in expected)


def test_a_street_through_the_interface(client, models, tmp_path: Path) -> None:
    picture = gradio_client.handle_file(EXAMPLES / "street_city.jpg")
    archive, found = client.predict(picture, models["boxes3d"][0], 80, "", 0.0, api_name="/predict_street")
    assert {"boxes3d.json", "boxes3d_bev.png", "street.glb"} <= names_in(archive)
    assert found["picture"] == "832 x 280" and found["units"].startswith("metres")
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(Exception, match="bad.png"):
        client.predict(
            gradio_client.handle_file(tmp_path / "bad.png"),
            models["boxes3d"][0],
            0,
            "",
            0.3,
            api_name="/predict_street",
        )


def test_a_part_of_a_panorama_through_the_interface(client, small_panorama: Path) -> None:
    picture = gradio_client.handle_file(small_panorama)
    archive, found = client.predict(picture, PANORAMA, -90, 90, -45, 45, api_name="/predict_panorama")
    assert {"depth.npy", "panorama.glb", "depth_preview.png"} <= names_in(archive)
    assert found["shows"] == "-90° to 90°, -45° to 45°"
    with pytest.raises(Exception, match="left edge"):
        client.predict(picture, PANORAMA, 90, -90, -45, 45, api_name="/predict_panorama")


def test_a_rig_through_the_interface(client, models, tmp_path: Path) -> None:
    rig = gradio_client.handle_file(EXAMPLES / "rig.zip")
    archive, found = client.predict(rig, models["rig"][0], 0.5, api_name="/predict_surround_rig")
    assert {"model_0/bev.png", "model_1/boxes3d.json", "rig/moment0.json"} <= names_in(archive)
    assert len(found["moments"]) == 2
    with pytest.raises(Exception, match="no truth to show"):
        client.predict(rig, "", 0.5, api_name="/predict_surround_rig")
    (tmp_path / "bad.zip").write_text("no archive")
    with pytest.raises(Exception, match="not a ZIP archive") as caught:
        client.predict(
            gradio_client.handle_file(tmp_path / "bad.zip"), models["rig"][0], 0.5, api_name="/predict_surround_rig"
        )
    assert "Traceback" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_a_world_through_the_interface(client) -> None:
    archive, found = client.predict(3, "room", "plausible", "", "Camera", 1, 70, PHOTO, api_name="/make_world")
    assert {"world.json", "truth/camera/depth.npy", "model/camera/depth.npy"} <= names_in(archive)
    assert "Classes, mIoU" in found["metrics"]
    with pytest.raises(Exception, match="does not fit the sensor"):
        client.predict(3, "room", "plausible", "", "Panorama", 1, 70, PHOTO, api_name="/make_world")
    with pytest.raises(Exception, match="seed"):
        client.predict(-3, "room", "plausible", "", "Camera", 1, 70, "", api_name="/make_world")


# -- in a browser ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, address: str) -> Iterator:  # noqa: F811
    """A page that fails the test for console errors and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1440, "height": 1100})
    tab = context.new_page()
    tab.set_default_timeout(LONG)
    errors: list[str] = []
    foreign: list[str] = []
    tab.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and not any(word in message.text for word in HARMLESS)
            else None
        ),
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    own = (address, "data:", "blob:", "about:")
    tab.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    tab.goto(address)
    SCREENS.mkdir(parents=True, exist_ok=True)
    yield tab
    context.close()
    assert not foreign, f"the page asked other hosts: {foreign}"
    assert not errors, f"the console shows errors: {errors}"


def opened(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()


def shape_of(page, views: str, viewer: str, file: Path) -> None:
    """Open the 3D view and wait until something is drawn on its white ground."""
    import numpy as np

    page.locator(views).get_by_role("tab", name="3D", exact=True).click()
    canvas = page.locator(f"{viewer} canvas")
    canvas.wait_for()
    for _ in range(40):
        canvas.screenshot(path=file, timeout=LONG)
        if (np.asarray(Image.open(file).convert("RGB")).min(axis=2) < 200).mean() > 0.01:
            return
        page.wait_for_timeout(3000)
    pytest.fail(f"the 3D view {viewer} stays empty")


def test_street_in_a_browser(page) -> None:
    opened(page, "Street")
    page.wait_for_selector("#street-boxes img")
    page.wait_for_selector("#street-bev img")
    page.wait_for_function("document.querySelector('#street-summary').innerText.includes('832 x 280')")
    page.wait_for_function("document.querySelector('#street-summary').innerText.includes('none')")  # at random: weak
    slider = page.locator("#street-score input[type=range]")
    slider.focus()
    slider.press("Home")  # all boxes
    page.wait_for_function("!document.querySelector('#street-summary').innerText.includes('none')")
    page.screenshot(path=SCREENS / "street.png", timeout=LONG)
    shape_of(page, "#street-views", "#street-3d", SCREENS / "street_3d.png")


def test_panorama_in_a_browser(page, small_panorama: Path) -> None:
    opened(page, "Panorama")
    page.wait_for_function("document.querySelector('#panorama-summary').innerText.includes('1024 x 512')")
    page.wait_for_selector("#panorama-slider img")
    page.screenshot(path=SCREENS / "panorama.png", timeout=LONG)
    upload(page, "#panorama input[type=file]", small_panorama)
    page.wait_for_selector("#panorama img")
    page.click("#panorama-run")
    page.wait_for_function("document.querySelector('#panorama-summary').innerText.includes('128 x 64')")
    shape_of(page, "#panorama-views", "#panorama-3d", SCREENS / "panorama_3d.png")


def test_surround_in_a_browser(page, tmp_path: Path) -> None:
    opened(page, "Surround")
    page.wait_for_selector("#surround-cameras img")
    page.wait_for_selector("#surround-true-bev img")
    page.screenshot(path=SCREENS / "surround.png", timeout=LONG)
    page.get_by_label("Truth", exact=True).check()
    page.wait_for_function("document.querySelector('#surround-summary').innerText.includes('car')")
    shape_of(page, "#surround-views", "#surround-3d", SCREENS / "surround_3d.png")
    page.get_by_label("Your own rig").check()
    bad = tmp_path / "bad.zip"
    bad.write_text("no archive")
    upload(page, "#surround-file input[type=file]", bad)
    page.wait_for_function("document.querySelector('#surround-file').innerText.includes('bad')")
    page.click("#surround-run")
    toast = page.locator(".toast-body, .toast-wrap").first
    toast.wait_for()
    assert "not a ZIP archive" in toast.inner_text()


def test_world_in_a_browser(page) -> None:
    opened(page, "World")
    page.wait_for_function("document.querySelector('#world-summary').innerText.includes('street 7')")
    page.locator("#world-what").get_by_label("Boxes").check()
    page.get_by_label("room", exact=True).check()
    page.click("#world-run")
    page.wait_for_function("document.querySelector('#world-summary').innerText.includes('room 7')")
    page.wait_for_selector("#world-slider img")
    page.screenshot(path=SCREENS / "world.png", timeout=LONG)
