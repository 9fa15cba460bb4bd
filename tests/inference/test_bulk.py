"""Predicting many files: every input once, going on after a kill, and with Ray although a worker dies."""

from __future__ import annotations

import json
import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from perception.errors import InputError
from perception.inference.bulk import Worker, _start_ray, predict_files, publish_folder, result_folders
from perception.inference.hub import save_pretrained
from perception.models.registry import build_model
from tests.models.configs import CASES

COUNT = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    return str(save_pretrained(build_model(CASES["dpt-depth-no-camera"].config).eval(), folder))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        place = folder / "more" if number % 3 == 0 else folder
        Image.fromarray(pixels).save(place / f"{number:02d}.png")
    return sorted(folder.rglob("*.png"))


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def assert_each_exactly_once(out: Path, pictures: list[Path]) -> None:
    rows = manifest(out)
    assert sorted(row["input"] for row in rows) == sorted(map(str, pictures))
    found = sorted(path.parent for path in out.rglob("result.json"))
    assert found == sorted(out / row["folder"] for row in rows) and len(set(found)) == len(pictures)
    assert not [path for path in out.rglob("*partial*")], "no half results lie about"


class SlowStart(Worker):
    """Counts what it predicts, and stops the run (as a kill would) after three files."""

    done = 0

    def predict(self, file: str, folder: Path) -> str:
        if SlowStart.done == 3:
            raise KeyboardInterrupt
        SlowStart.done += 1
        return super().predict(file, folder)


def test_a_run_that_was_stopped_goes_on_where_it_was(model: str, pictures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        predict_files(pictures, tmp_path, model, load={"device": "cpu"}, worker=SlowStart)
    (tmp_path / f".{pictures[-1].name}.x.partial").mkdir()  # what a killed worker leaves
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert len(before) == 3
    report = predict_files(pictures, tmp_path, model, load={"device": "cpu"})
    assert (report.inputs, report.predicted, report.finished_before, report.failures) == (COUNT, COUNT - 3, 3, {})
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()), "finished inputs are left alone"
    assert_each_exactly_once(tmp_path, pictures)
    assert predict_files(pictures, tmp_path, model).predicted == 0


def test_bad_files_are_listed_and_the_others_predicted(model: str, pictures: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "in" / "bad.png"
    bad.parent.mkdir()
    bad.write_bytes(b"not a picture")
    report = predict_files([pictures[0], bad], tmp_path / "out", model, load={"device": "cpu"})
    assert report.predicted == 1 and list(report.failures) == [str(bad)]
    row = next(row for row in manifest(tmp_path / "out") if row["input"] == str(bad))
    assert row["folder"] is None and "bad.png" in row["error"]


def test_result_folders_never_meet(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "a.jpg", "b/a.png", "a.png")]
    folders = result_folders(files, tmp_path / "out")
    assert len(folders) == 3 and len(set(folders.values())) == 3


def test_of_two_workers_the_first_publishes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(name)
    assert publish_folder(tmp_path / "first", tmp_path / "out")
    assert not publish_folder(tmp_path / "second", tmp_path / "out")
    assert (tmp_path / "out" / "result.json").read_text() == "first"


def test_unknown_engine_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="engine should be one of local, ray"):
        predict_files([], tmp_path, engine="spark")


class DiesOnce(Worker):
    """The first worker that meets the file ``04.png`` is killed there, in the middle of a batch."""

    def predict(self, file: str, folder: Path) -> str:
        marker = Path(os.environ["PERCEPTION_TEST_MARKER"])
        if file.endswith("04.png") and not marker.exists():
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(file, folder)


def test_a_ray_that_does_not_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def init(**_: Any) -> None:
        calls.append("init")
        raise Exception("The current node timed out during startup.\nmore")

    ray = types.SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InputError, match="Ray could not be started: The current node timed out during startup.; use"):
        _start_ray(2)
    assert calls == ["init", "shutdown"] * 2, "tried twice, as a busy machine may miss Ray's own limit"


@pytest.mark.timeout(600)
def test_ray_does_each_input_once_although_a_worker_is_killed(
    model: str, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PERCEPTION_TEST_MARKER", str(tmp_path / "killed"))
    out = tmp_path / "out"
    predict_files(pictures[:2], out, model, load={"device": "cpu"})  # an earlier, unfinished run
    report = predict_files(
        pictures, out, model, engine="ray", workers=2, batch=4, load={"device": "cpu"}, worker=DiesOnce
    )
    assert (tmp_path / "killed").exists(), "no worker was killed"
    assert (report.predicted, report.finished_before, report.failures) == (COUNT - 2, 2, {})
    assert_each_exactly_once(out, pictures)
