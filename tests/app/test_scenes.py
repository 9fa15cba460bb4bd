"""Street, Panorama, Surround and World as served: their endpoints."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

gradio_client = pytest.importorskip("gradio_client")
EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples" / "scenes"
PHOTO, PANORAMA, STREET, RIG = "dpt-world-tiny", "panorama-dpt-world-tiny", "monodetr-world-tiny", "hydra-world-tiny"
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def client(app_address: str):
    return gradio_client.Client(app_address, verbose=False, httpx_kwargs={"timeout": 300})


@pytest.fixture(scope="module")
def small_panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "pano.png"
    Image.open(EXAMPLES / "panorama_room.jpg").resize((128, 64)).save(file)
    return file


def names_in(archive: str) -> set[str]:
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        return set(bundle.namelist())


def test_a_street_through_the_interface(client, tmp_path: Path) -> None:
    picture = gradio_client.handle_file(EXAMPLES / "street_city.jpg")
    archive, found = client.predict(picture, STREET, 80, "", 0.0, api_name="/predict_street")
    assert {"boxes3d.json", "boxes3d_bev.png", "street.glb"} <= names_in(archive)
    assert found["picture"] == "832 x 280" and found["units"].startswith("metres")
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(Exception, match="bad.png"):
        client.predict(
            gradio_client.handle_file(tmp_path / "bad.png"),
            STREET,
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


def test_a_rig_through_the_interface(client, tmp_path: Path) -> None:
    rig = gradio_client.handle_file(EXAMPLES / "rig.zip")
    archive, found = client.predict(rig, RIG, 0.5, api_name="/predict_surround_rig")
    assert {"model_0/bev.png", "model_1/boxes3d.json", "rig/moment0.json"} <= names_in(archive)
    assert len(found["moments"]) == 2
    with pytest.raises(Exception, match="no truth to show"):
        client.predict(rig, "", 0.5, api_name="/predict_surround_rig")
    (tmp_path / "bad.zip").write_text("no archive")
    with pytest.raises(Exception, match="not a ZIP archive") as caught:
        client.predict(gradio_client.handle_file(tmp_path / "bad.zip"), RIG, 0.5, api_name="/predict_surround_rig")
    assert "Traceback" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_a_world_through_the_interface(client) -> None:
    archive, found = client.predict(3, "room", "plausible", "", "Camera", 1, 70, PHOTO, api_name="/make_world")
    assert {"world.json", "truth/camera/depth.npy", "model/camera/depth.npy"} <= names_in(archive)
    assert "Classes, mIoU" in found["metrics"]
    with pytest.raises(Exception, match="does not fit the sensor"):
        client.predict(3, "room", "plausible", "", "Panorama", 1, 70, PHOTO, api_name="/make_world")
    with pytest.raises(Exception, match="seed"):
        client.predict(-3, "room", "plausible", "", "Camera", 1, 70, "", api_name="/make_world")
