"""The app's interface for programs, through the official client and bare HTTP."""

from __future__ import annotations

import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.app.helpers import Served

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def client(app_address: str):
    return gradio_client.Client(app_address, verbose=False, httpx_kwargs={"timeout": 300})


def coloured(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (96, 64)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_the_contract(client) -> None:
    """Programs depend on these names, defaults and results: change them only with a new major version. `...`: has no default."""
    score, fov = {"score": 0.3}, {"fov": 0}
    boxes = {"model": "monodetr-world-tiny", **fov, "intrinsics": "", "score": 0.25}
    sphere = {"left": -180, "right": 180, "bottom": -90, "top": 90}
    scene = {"sensor": "Camera", "time": 1, "fov": 70, "model": ""}
    expected = {  # name -> (parameters with their defaults, how many results)
        "/predict_photo": ({"image": ..., "model": "dpt-world-tiny", **fov, "intrinsics": ""}, 2),
        "/predict_street": ({"image": ...} | boxes, 2),
        "/predict_panorama": ({"image": ..., "model": "omnifusion-world-tiny"} | sphere, 2),
        "/predict_surround_scene": ({"seed": 0, "weather": "", "moments": 3, "model": "hydra-world-tiny"} | score, 2),
        "/predict_surround_rig": ({"rig": ..., "model": "hydra-world-tiny"} | score, 2),
        "/predict_video": ({"video": ..., "model": "dpt-world-tiny", "every": 1, **fov, "layout": "Result"}, 3),
        "/compare_models": ({"image": ..., "first": "dpt-world-tiny", "second": ..., "variation": ..., **fov}, 2),
        "/make_world": ({"seed": 7, "kind": "street", "style": "plausible", "weather": ""} | scene, 2),
    }
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == set(expected)
    for name, (parameters, results) in expected.items():
        found = {item["parameter_name"]: item for item in endpoints[name]["parameters"]}
        assert list(found) == list(parameters) and len(endpoints[name]["returns"]) == results
        files = {parameter for parameter in ("image", "rig", "video") if parameter in found}
        assert {parameter for parameter, item in found.items() if not item["parameter_has_default"]} == files
        defaults = {parameter: item.get("parameter_default") for parameter, item in found.items()}
        assert defaults == {key: defaults[key] if value is ... else value for key, value in parameters.items()}
        assert endpoints[name]["description"] and all(item["label"] for item in found.values())


def test_it_starts_within_seconds_without_network_and_without_a_model_in_memory(app: Served) -> None:
    """On a machine that cannot reach any other host. Processor time: a busy machine takes longer by the clock."""
    assert app.start < 15
    assert "serving on" in app.log and not app.foreign_hosts


@pytest.mark.parametrize("path", ["monitoring", "monitoring/summary"])
def test_there_is_no_monitoring_page(app: Served, path: str) -> None:
    assert httpx.get(f"{app.address}/{path}", timeout=60).status_code in (401, 403, 404)
    assert "monitoring" not in app.log


def test_an_upload_that_is_too_large_is_refused(app_address: str) -> None:
    file = {"files": ("large.png", bytes(2_200_000))}
    assert httpx.post(f"{app_address}/gradio_api/upload", files=file, timeout=120).status_code == 413


def test_nothing_that_a_client_sends_reaches_a_path(app: Served, tmp_path: Path) -> None:
    """File names, session hashes and paths that climb: nothing lies or is read outside the app's own folder."""
    evil = f"evil{uuid.uuid4().hex}"  # in no other test's folder
    content = coloured(tmp_path / "evil.png", (9, 99, 200)).read_bytes()
    (own,) = app.folder.glob("perception_app_*")
    for name in (
        f"../../{evil}.png",
        f"/etc/{evil}.png",
        f"..\\{evil}.png",
        f"a/../../{evil}.png",
        f"%2e%2e%2f{evil}.png",
    ):
        answer = httpx.post(f"{app.address}/gradio_api/upload", files={"files": (name, content)}, timeout=120)
        stored = Path(answer.json()[0]).resolve()
        assert stored.is_relative_to(own / "gradio"), stored
        data = [{"path": str(stored), "meta": {"_type": "gradio.FileData"}}, "dpt-world-tiny", 60, ""]
        call = f"{app.address}/gradio_api/call/predict_photo"
        body = {"data": data, "session_hash": f"../../{evil}"}
        event = httpx.post(call, json=body, timeout=120).json()["event_id"]
        assert "96 x 64" in httpx.get(f"{call}/{event}", timeout=300).text
    written = {path for path in app.folder.parent.rglob("*") if path.is_file() and not path.is_relative_to(tmp_path)}
    elsewhere = {path.name for path in written if not path.is_relative_to(own)}
    assert not any(evil in name for name in elsewhere) and "log.txt" in elsewhere
    for path in ("/etc/passwd", str(app.folder / "log.txt"), str(app.folder / "../log.txt")):
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "dpt-world-tiny", 60, ""]
        event = httpx.post(call, json={"data": data}, timeout=120).json()["event_id"]
        text = httpx.get(f"{call}/{event}", timeout=300).text
        assert "event: error" in text and "root:" not in text


def test_a_prediction_comes_back_as_an_archive(client, tmp_path: Path) -> None:
    picture = coloured(tmp_path / "sky.png", (90, 140, 220))
    archive, summary = client.predict(
        gradio_client.handle_file(picture), "dpt-world-tiny", 60, api_name="/predict_photo"
    )
    assert summary["picture"] == "96 x 64" and summary["model"] == "dpt-world-tiny"
    with zipfile.ZipFile(archive) as bundle:
        assert "depth.npy" in bundle.namelist()


def test_intrinsics_come_before_the_field_of_view(client, tmp_path: Path) -> None:
    picture = coloured(tmp_path / "sky.png", (90, 140, 220))
    _, summary = client.predict(
        gradio_client.handle_file(picture), "dpt-world-tiny", 60, "70, 70, 48, 32", api_name="/predict_photo"
    )
    assert "focal length 70 px (as entered)" in summary["camera"]
    with pytest.raises(Exception, match="numbers only"):
        client.predict(gradio_client.handle_file(picture), "dpt-world-tiny", 60, "import os", api_name="/predict_photo")


def test_two_models_are_compared(client, tmp_path: Path) -> None:
    picture = tmp_path / "coffee.png"
    Image.open(Path(__file__).resolve().parents[2] / "app" / "examples" / "coffee.jpg").resize((120, 80)).save(picture)
    archive, summary = client.predict(gradio_client.handle_file(picture), api_name="/compare_models")
    assert "Mean difference" in summary and "Same class" in summary
    with zipfile.ZipFile(archive) as bundle:
        assert {"first/depth.npy", "second/depth.npy", "difference_depth.png"} <= set(bundle.namelist())


def test_a_clip_comes_back_as_a_clip_and_as_frames(client, tmp_path: Path) -> None:
    from perception.io import stream
    from perception.io.video import VideoWriter

    with VideoWriter(tmp_path / "clip.mp4", 8) as video:
        for shade in range(4):
            video.write(np.full((64, 96, 3), 40 * shade, np.uint8))
    movie, archive, summary = client.predict(
        gradio_client.handle_file(tmp_path / "clip.mp4"), every=2, fov=70, api_name="/predict_video"
    )
    assert summary["Frames"].startswith("2, 4 a second, 96 x 64")
    assert [frame.pixels.shape for frame in stream(movie)] == [(64, 96, 3)] * 2
    with zipfile.ZipFile(archive) as bundle:
        assert {"depth/000000.png", "preview/000001.png", "clip.json"} <= set(bundle.namelist())
    (tmp_path / "no.mp4").write_text("no clip")
    with pytest.raises(Exception, match="no.mp4"):
        client.predict(gradio_client.handle_file(tmp_path / "no.mp4"), api_name="/predict_video")


def test_plain_http_does_too(app_address: str, tmp_path: Path) -> None:
    """What the README shows with curl: upload, call, read the answer."""
    picture = coloured(tmp_path / "sky.png", (90, 140, 220))
    with picture.open("rb") as file:
        uploaded = httpx.post(f"{app_address}/gradio_api/upload", files={"files": file}, timeout=120).json()[0]
    body = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "dpt-world-tiny", 60, ""]}
    call = f"{app_address}/gradio_api/call/predict_photo"
    event = httpx.post(call, json=body, timeout=120).json()["event_id"]
    answer = httpx.get(f"{call}/{event}", timeout=300).text
    assert "event: complete" in answer and "96 x 64" in answer


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
        own = gradio_client.Client(app_address, verbose=False, httpx_kwargs={"timeout": 300})
        _, summary = own.predict(gradio_client.handle_file(picture), "dpt-world-tiny", 50, api_name="/predict_photo")
        return number, summary["picture"]

    with ThreadPoolExecutor(4) as pool:
        for number, picture in pool.map(ask, range(4)):
            assert picture == f"{64 + 8 * number} x 48"


def test_the_page_does_not_tell_where_the_app_is_installed(app: Served) -> None:
    """Files are shown by their place in the app's temporary folder, which Gradio's addresses hold; nothing else of the server is named."""
    root, home = Path(__file__).resolve().parents[2], Path.home()
    for part in ("", "config", "gradio_api/info", "openapi.json"):
        text = httpx.get(f"{app.address}/{part}", timeout=120).text.replace(str(app.folder), "")
        assert f"{root}/" not in text and f"{home}/" not in text and "site-packages" not in text


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", ".git/config", "perception/cli.py"])
def test_files_of_the_server_are_out_of_reach(app_address: str, path: str) -> None:
    root = Path(__file__).resolve().parents[2]
    target = path if path.startswith("/") else str(root / path)
    answer = httpx.get(f"{app_address}/gradio_api/file={target}")
    assert answer.status_code in (403, 404)
