"""What `make demo` predicts: every bundled sample once, by the bundled model of its kind."""

from pathlib import Path

import pytest

from perception.inference import list_models
from tools.demo import SAMPLES, main, samples

EVERY = {"dpt-world-tiny", "monodetr-world-tiny", "hydra-world-tiny", "omnifusion-world-tiny"}


def test_each_sample_once_and_by_its_kind():
    work = {name: (source, model, options) for name, source, model, options in samples(EVERY)}
    own = [f for f in SAMPLES.rglob("*") if f.parent.name != "thumbnails"]  # of scenes that the app renders
    files = [f for f in own if f.suffix in (".jpg", ".zip")]
    assert set(work) == {f.stem for f in files} and len(list(samples(EVERY))) == len(files)
    assert work["palace"][1] == "default" and work["panorama_room"][1] == "omnifusion-world-tiny"
    assert work["street_town"][1:] == ("monodetr-world-tiny", {"fov": 80.0})
    assert len(work["rig"][0].cameras) == 6 and work["rig"][1] == "hydra-world-tiny"


def test_a_rig_is_predicted_and_saved(tmp_path, monkeypatch, capsys):
    rig = [row for row in samples(EVERY) if row[0] == "rig"]
    monkeypatch.setattr("tools.demo.samples", lambda bundled: rig)
    monkeypatch.setattr("sys.argv", ["demo.py", "--out", str(tmp_path)])
    assert main() == 0
    assert "(boxes3d, occupancy)" in capsys.readouterr().out and (tmp_path / "rig" / "preview.png").is_file()


def test_samples_without_their_model_are_left_out():
    assert {model for _, _, model, _ in samples({"dpt-world-tiny"})} == {"default"}


def test_every_model_of_the_demo_exists():
    names = {entry.name for entry in list_models() if entry.address == "bundled"}
    assert "dpt-world-tiny" in names and names <= EVERY | {n for n in names if n.endswith("-tiny")}


@pytest.mark.parametrize("picture", ["palace.jpg"])
def test_pictures_of_ones_own(picture, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["demo.py", "--out", str(tmp_path), str(Path(SAMPLES) / picture)])
    assert main() == 0
    assert (tmp_path / "palace" / "preview.png").is_file() and "palace: predicted in" in capsys.readouterr().out
