"""The app's interface for programs, through the official client and bare HTTP."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def client(app_address: str):
    return gradio_client.Client(app_address, verbose=False)


def coloured(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (96, 64)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_the_contract(client) -> None:
    """Programs depend on these names: change them only with a new major version."""
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/predict_photo"}
    parameters = endpoints["/predict_photo"]["parameters"]
    assert [item["parameter_name"] for item in parameters] == ["image", "model", "fov", "intrinsics"]
    assert len(endpoints["/predict_photo"]["returns"]) == 2


def test_a_prediction_comes_back_as_an_archive(client, tmp_path: Path) -> None:
    picture = coloured(tmp_path / "sky.png", (90, 140, 220))
    archive, summary = client.predict(
        gradio_client.handle_file(picture), "dpt-world-tiny", 60, api_name="/predict_photo"
    )
    assert summary["picture"] == "96 x 64" and summary["model"] == "dpt-world-tiny"
    with zipfile.ZipFile(archive) as bundle:
        assert "depth.npy" in bundle.namelist()


def test_bad_files_get_their_sentence(client, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(Exception, match="notes.png") as caught:
        client.predict(
            gradio_client.handle_file(tmp_path / "notes.png"), "dpt-world-tiny", 0, api_name="/predict_photo"
        )
    assert "Traceback" not in str(caught.value) and "/site-packages/" not in str(caught.value)
    huge = coloured(tmp_path / "huge.png", (0, 0, 0), (3000, 3000))
    with pytest.raises(Exception, match="pixels"):
        client.predict(gradio_client.handle_file(huge), "dpt-world-tiny", 0, api_name="/predict_photo")
    with pytest.raises(Exception, match="not offered|not in the list"):
        client.predict(
            gradio_client.handle_file(coloured(tmp_path / "ok.png", (9, 9, 9))),
            "../../etc",
            0,
            api_name="/predict_photo",
        )


def test_visitors_get_their_own_answers(client, app_address: str, tmp_path: Path) -> None:
    def ask(number: int) -> tuple[int, str]:
        picture = coloured(tmp_path / f"{number}.png", (20 * number, 99, 99), (64 + 8 * number, 48))
        own = gradio_client.Client(app_address, verbose=False)
        _, summary = own.predict(gradio_client.handle_file(picture), "dpt-world-tiny", 50, api_name="/predict_photo")
        return number, summary["picture"]

    with ThreadPoolExecutor(4) as pool:
        for number, picture in pool.map(ask, range(4)):
            assert picture == f"{64 + 8 * number} x 48"


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", ".git/config", "perception/cli.py"])
def test_files_of_the_server_are_out_of_reach(app_address: str, path: str) -> None:
    root = Path(__file__).resolve().parents[2]
    target = path if path.startswith("/") else str(root / path)
    answer = httpx.get(f"{app_address}/gradio_api/file={target}")
    assert answer.status_code in (403, 404)
