"""How the app is served: local, quiet, bounded; what happens when something goes wrong inside."""

from __future__ import annotations

import argparse
import time
from collections import OrderedDict
from pathlib import Path

import gradio as gr
import pytest

from app import server
from app.services import Services, offered_models
from app.settings import Settings
from app.workspace import Workspace
from perception.errors import InputError


def settings(**changes: object) -> Settings:
    return Settings(**({"device": "cpu"} | changes))


@pytest.fixture
def services():
    workspace = Workspace()
    yield Services.of(settings(), workspace)
    workspace.close()


def served_with(monkeypatch: pytest.MonkeyPatch, **changes: object) -> dict:
    """The arguments with which a page, here an empty one, would be launched."""
    seen: dict = {}

    def launch(self, **arguments):
        seen.update(arguments)
        return None, "http://127.0.0.1:1/", None

    monkeypatch.setattr(gr.Blocks, "launch", launch)
    monkeypatch.setattr(server, "build_page", lambda services: gr.Blocks())
    page, _ = server.serve(settings(**changes), block=False)
    return seen | {"page": page}


def test_local_and_quiet_by_default(monkeypatch, capsys) -> None:
    seen = served_with(monkeypatch)
    assert seen["server_name"] == "127.0.0.1" and seen["share"] is False
    assert seen["enable_monitoring"] is False and seen["show_error"] is False
    assert capsys.readouterr().err == ""


def test_public_without_a_password_is_warned_about(monkeypatch, capsys) -> None:
    served_with(monkeypatch, host="0.0.0.0")
    assert "without --auth" in capsys.readouterr().err
    served_with(monkeypatch, host="0.0.0.0", auth=("a", "b"))
    assert capsys.readouterr().err == ""


def test_share_without_a_network_is_refused_with_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr(gr.Blocks, "close", lambda self: None)
    with pytest.raises(InputError, match="--share needs the internet"):
        served_with(monkeypatch, share=True)


def test_auth_asks_for_name_and_password() -> None:
    import httpx

    page, address = server.serve(settings(port=None, auth=("ada", "secret")), block=False)
    try:
        with httpx.Client(base_url=address, timeout=60, follow_redirects=True) as client:
            assert client.get("config").status_code == 401
            assert client.post("gradio_api/call/predict_photo", json={"data": []}).status_code == 401
            assert client.post("login", data={"username": "ada", "password": "guess"}).status_code == 400
            assert client.post("login", data={"username": "ada", "password": "secret"}).status_code == 200
            assert client.get("config").status_code == 200
    finally:
        page.close()


def test_uploads_and_queue_are_bounded(monkeypatch) -> None:
    seen = served_with(monkeypatch, max_upload=3)
    assert seen["max_file_size"] == "3mb"
    assert seen["page"]._queue.max_size == 32


def test_only_results_and_examples_may_be_fetched(monkeypatch) -> None:
    allowed = [Path(path).resolve() for path in served_with(monkeypatch)["allowed_paths"]]
    root = Path(__file__).resolve().parents[2]
    assert len(allowed) == 2 and root / "app" / "examples" in allowed
    assert not any(path in root.parents or path == root for path in allowed)


def test_a_fault_inside_is_one_sentence_outside(services: Services) -> None:
    def broken() -> None:
        raise RuntimeError("secret /srv/path in a trace")

    with pytest.raises(gr.Error) as caught:
        services.run(broken)
    assert "logged" in str(caught.value) and "secret" not in str(caught.value)


def test_errors_of_the_library_keep_their_sentence(services: Services) -> None:
    def wrong() -> None:
        raise InputError("the picture is empty")

    with pytest.raises(gr.Error, match="The picture is empty\\."):
        services.run(wrong)


def test_out_of_memory_is_told_as_such(services: Services) -> None:
    def large() -> None:
        raise MemoryError

    with pytest.raises(gr.Error, match="memory of the device"):
        services.run(large)


def test_one_heavy_job_at_a_time_a_device(services: Services) -> None:
    import threading
    import time

    inside, most = [], []

    def job() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()

    threads = [threading.Thread(target=services.run, args=(job,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_an_example_is_made_once(services: Services) -> None:
    made = []
    for _ in range(3):
        assert services.once("key", lambda: made.append(1) or "done") == "done"
    assert made == [1]


def test_the_page_has_no_telemetry_and_every_heavy_event_shares_the_device(services: Services) -> None:
    """Events that predict wait in one queue; the others, which only draw, do not."""
    from app.page import build_page

    page = build_page(services)
    assert page.analytics_enabled is False
    heavy = [fn for fn in page.fns.values() if fn.concurrency_id == "device"]
    assert heavy and all(fn.concurrency_limit == 1 for fn in heavy)
    public = [fn for fn in page.fns.values() if fn.api_visibility == "public"]
    assert public and all(fn.concurrency_id == "device" for fn in public)


def test_models_load_on_first_use_and_say_so(services: Services, monkeypatch) -> None:
    from app.page import build_page

    loaded: list[str] = []
    said: list[str] = []
    monkeypatch.setattr("app.jobs.common._MODELS", OrderedDict())
    monkeypatch.setattr("app.jobs.common.load", lambda name, device: loaded.append(name) or name)
    build_page(services)
    assert not loaded
    for _ in range(2):
        assert services.predictor("dpt-world-tiny", lambda share, text: said.append(text)) == "dpt-world-tiny"
    assert loaded == ["dpt-world-tiny"] and said == ["Loading the model"]


def test_names_of_models_are_checked(services: Services) -> None:
    with pytest.raises(Exception, match="Did you mean"):
        offered_models(settings(models=("dpt-world-tini",)))
    with pytest.raises(InputError, match="not offered"):
        services.predictor("../../etc/passwd")


def test_models_are_sorted_by_task() -> None:
    found = offered_models(settings(models=("dpt-world-tiny", "monodetr-r50-kitti")))
    assert found["photo"] == ("dpt-world-tiny",) and found["boxes3d"] == ("monodetr-r50-kitti",)
    assert "panorama-dpt-world-tiny" in found["panorama"]


def options(**changes: object) -> argparse.Namespace:
    values = dict(
        host="127.0.0.1", port=1, share=False, auth=None, models=None, device="cpu", max_upload=1, max_pixels=1,
        queue=3, keep_minutes=1,
    )  # fmt: skip
    return argparse.Namespace(**(values | changes))


@pytest.mark.parametrize("auth", ["", "name", ":secret", "name:"])
def test_auth_needs_a_name_and_a_password(auth: str) -> None:
    with pytest.raises(InputError, match="USER:PASSWORD"):
        Settings.from_options(options(auth=auth))


@pytest.mark.parametrize("flag", ["max_upload", "max_pixels", "queue", "keep_minutes"])
def test_limits_must_be_positive(flag: str) -> None:
    with pytest.raises(InputError, match=f"--{flag.replace('_', '-')} must be positive"):
        Settings.from_options(options(**{flag: 0}))


def test_a_full_queue_says_so(monkeypatch) -> None:
    """One request runs, one waits, the third is told; those that were accepted get their answer."""
    import threading

    import httpx

    go_on = threading.Event()

    def slow(*_, **__):
        go_on.wait(120)
        raise InputError("the picture was looked at")

    monkeypatch.setattr("app.tabs.photo.jobs.predict_photo", slow)
    page, address = server.serve(settings(port=None, queue=1), block=False)
    try:
        call = f"{address.rstrip('/')}/gradio_api/call/predict_photo"
        body = {"data": [None, "dpt-world-tiny", 60, ""]}
        first = httpx.post(call, json=body, timeout=60)
        deadline = time.monotonic() + 120
        while page._queue.event_queue_per_concurrency_id["device"].current_concurrency == 0:  # until it runs
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answers = [httpx.post(call, json=body, timeout=60) for _ in range(2)]
        assert [first.status_code, *(answer.status_code for answer in answers)] == [200, 200, 503]
        assert "Queue is full" in answers[-1].text
        go_on.set()
        text = httpx.get(f"{call}/{first.json()['event_id']}", timeout=120).text
        assert "The picture was looked at." in text and "Traceback" not in text
    finally:
        go_on.set()
        page.close()
