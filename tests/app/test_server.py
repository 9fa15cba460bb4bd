"""How the app is served: local, quiet, bounded; what happens when something goes wrong inside."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch

from app import jobs, server
from perception.errors import InputError


def settings(**changes: object) -> server.Settings:
    return server.Settings(**({"device": "cpu"} | changes))


def served_with(monkeypatch: pytest.MonkeyPatch, **changes: object) -> dict:
    """The arguments with which the page would be launched."""
    seen: dict = {}

    def launch(self, **arguments):
        seen.update(arguments)
        return None, "http://127.0.0.1:1/", None

    monkeypatch.setattr(gr.Blocks, "launch", launch)
    page, _ = server.serve(settings(**changes), block=False)
    return seen | {"page": page}


def test_local_and_quiet_by_default(monkeypatch, capsys) -> None:
    seen = served_with(monkeypatch)
    assert seen["server_name"] == "127.0.0.1" and seen["share"] is False
    assert seen["enable_monitoring"] is False and seen["show_error"] is False
    assert seen["page"].analytics_enabled is False
    assert capsys.readouterr().err == ""


def test_public_without_a_password_is_warned_about(monkeypatch, capsys) -> None:
    served_with(monkeypatch, host="0.0.0.0")
    assert "without --auth" in capsys.readouterr().err
    served_with(monkeypatch, host="0.0.0.0", auth=("a", "b"))
    assert capsys.readouterr().err == ""


def test_uploads_and_queue_are_bounded(monkeypatch) -> None:
    seen = served_with(monkeypatch, max_upload=3)
    assert seen["max_file_size"] == "3mb"
    assert seen["page"]._queue.max_size == 32 and seen["page"]._queue.default_concurrency_limit == 1


def test_only_results_and_examples_may_be_fetched(monkeypatch) -> None:
    allowed = [Path(path).resolve() for path in served_with(monkeypatch)["allowed_paths"]]
    root = Path(__file__).resolve().parents[2]
    assert len(allowed) == 2 and root / "app" / "examples" in allowed
    assert not any(path in root.parents or path == root for path in allowed)


def test_a_fault_inside_is_one_sentence_outside(monkeypatch, tmp_path: Path) -> None:
    def broken(*_, **__):
        raise RuntimeError("secret /srv/path in a trace")

    captured: dict = {}
    monkeypatch.setattr(server, "build_page", lambda names, photo, first: captured.update(photo=photo, names=names))
    monkeypatch.setattr(jobs, "predict_photo", broken)
    workspace = server.Workspace()
    server.build(settings(), workspace)
    with pytest.raises(gr.Error) as caught:
        captured["photo"]("x.png", captured["names"][0], 0)
    assert "logged" in str(caught.value) and "secret" not in str(caught.value)
    workspace.close()


def test_names_of_models_are_checked() -> None:
    with pytest.raises(Exception, match="Did you mean"):
        server.offered_models(settings(models=("dpt-world-tini",)))


class Fussy:
    """A model whose device has memory for `limit` pixels only."""

    def __init__(self, limit: int) -> None:
        self.limit, self.sizes = limit, []

    def __call__(self, image, **_):
        from perception.io import load_image

        size = load_image(image).pixels.shape[:2]
        self.sizes.append(size)
        if size[0] * size[1] > self.limit:
            raise torch.cuda.OutOfMemoryError("no memory")
        return size


def test_out_of_memory_is_tried_once_more_at_half_the_size(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "picture.png"
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(file)
    assert jobs._with_smaller_retry(Fussy(2000), file, None, 10**6) == (30, 40)
    hopeless = Fussy(10)
    with pytest.raises(InputError, match="too large for the memory"):
        jobs._with_smaller_retry(hopeless, file, None, 10**6)
    assert hopeless.sizes == [(60, 80), (30, 40)]
