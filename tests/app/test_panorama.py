"""What the Panorama tab does with a picture, without a server."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.jobs import panorama as jobs
from app.jobs.common import predictor
from app.jobs.looks import Look
from perception.errors import InputError

PART = jobs.SphereEntry(False, -90.0, 90.0, -45.0, 45.0)


@pytest.fixture(scope="module")
def model():
    return predictor("panorama-dpt-world-tiny", "cpu")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("panorama") / "room.png"
    source = Path(__file__).resolve().parents[2] / "app" / "examples" / "scenes" / "panorama_room.jpg"
    Image.open(source).resize((96, 48)).save(file)
    return file


@pytest.fixture(scope="module", params=["whole", "part"])
def answer(request, model, picture: Path) -> jobs.PanoramaAnswer:
    return jobs.predict_panorama(picture, model, jobs.SphereEntry() if request.param == "whole" else PART)


def test_the_snippet_reproduces_the_result(answer, model, picture: Path, tmp_path: Path, monkeypatch) -> None:
    import perception

    monkeypatch.setattr(perception, "load", lambda name, device: model)
    monkeypatch.chdir(tmp_path)
    Image.open(picture).save("room.png")
    names: dict = {}
    exec(jobs.snippet(answer, "cpu"), names)
    assert np.array_equal(names["distance"], answer.result.depth.depth)


def test_every_file_is_in_one_archive(answer, tmp_path: Path) -> None:
    archive, *_ = jobs.write_files(answer.result, Look(), tmp_path)
    with zipfile.ZipFile(archive) as bundle:
        assert {
            "depth.npy",
            "depth.png",
            "points.ply",
            "mesh.glb",
            "panorama.glb",
            "depth_preview.png",
            "result.json",
        } <= set(bundle.namelist())


@pytest.mark.parametrize("edges", [(90, -90, -45, 45), (0, 400, -45, 45), (0, 90, 45, 45), (float("nan"), 1, 2, 3)])
def test_angles_that_are_no_part_of_a_sphere(model, picture: Path, edges: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="panorama"):
        jobs.predict_panorama(picture, model, jobs.SphereEntry(False, *edges))
