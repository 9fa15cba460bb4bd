"""What the Compare tab does, without a server."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.jobs import compare as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import predictor
from app.jobs.looks import Look
from app.jobs.ruler import reading
from perception.errors import InputError
from perception.results import DepthResult, Prediction

MODEL = "dpt-world-tiny"
ENTRY = CameraEntry(mode=FROM_FOV, fov=55)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("compare")
    source = Path(__file__).resolve().parents[2] / "app" / "examples" / "motorcycle.jpg"
    Image.open(source).resize((193, 130)).save(folder / "upload.png")
    return folder / "upload.png"


def run(picture: Path, variation: str) -> jobs.Comparison:
    model = predictor(MODEL, "cpu")
    return jobs.compare(picture, model, model, variation, ENTRY)


def test_a_model_agrees_with_itself(picture: Path) -> None:
    done = run(picture, jobs.SAME)
    assert done.parts == [jobs.DEPTH, jobs.NORMALS, jobs.SEGMENTS]
    assert dict(jobs.views(done, jobs.DEPTH)[3])["Mean difference"].startswith("0.00 m, 0.0 %")
    assert dict(jobs.views(done, jobs.SEGMENTS)[3])["Same class"].startswith("100.0 %")
    difference = jobs.views(done, jobs.DEPTH)[2]
    assert (difference[:60] > 240).all()  # white: no difference, above the legend


@pytest.mark.parametrize("variation", [jobs.MIRRORED, jobs.HALF])
def test_a_changed_picture_is_answered_in_the_pixels_of_the_first(picture: Path, variation: str) -> None:
    done = run(picture, variation)
    a, b = done.first, done.second
    assert b.depth.shape == a.depth.shape and b.camera == a.camera and np.array_equal(b.image, a.image)
    both = a.depth.valid & b.depth.valid
    assert np.corrcoef(np.log(a.depth.depth[both]), np.log(b.depth.depth[both]))[0, 1] > 0.7
    angle = (a.normals.normals * b.normals.normals).sum(-1)
    assert np.median(angle) > 0.8  # mirrored normals are turned back
    for part in done.parts:
        views = jobs.views(done, part)[:3]
        assert all(view.shape == (130, 193, 3) and view.dtype == np.uint8 for view in views)


def prediction(depth: DepthResult) -> Prediction:
    return Prediction(depth=depth, image=np.zeros((*depth.shape, 3), np.uint8), model="x")


def test_relative_depth_is_fitted_to_the_metres_of_the_other() -> None:
    metres = np.linspace(2, 20, 96 * 160, dtype=np.float32).reshape(96, 160)
    truth = prediction(DepthResult(metres))
    inverse = prediction(DepthResult(3 / metres + 0.5, kind="inverse"))
    fitted = jobs._in_metres_of(truth, inverse)
    np.testing.assert_allclose(fitted.depth.depth, metres, rtol=1e-3)
    assert "least squares" in fitted.notes[-1]


def test_the_difference_is_second_minus_first() -> None:
    first = prediction(DepthResult(np.full((200, 300), 4, np.float32)))
    far = np.full((200, 300), 4, np.float32)
    far[:, :150] = 5
    done = jobs.Comparison(first, prediction(DepthResult(far)), ("a", "b"), [])
    _, _, picture, facts = jobs.views(done, jobs.DEPTH)
    assert picture[50, 50, 0] > picture[50, 50, 2] + 50 and (picture[50, 250] > 240).all()  # red where farther
    assert dict(facts)["Mean difference"] == "0.50 m, 12.5 %"
    assert dict(facts)["Differ by less than 10 %"] == "50 % of the pixels"
    with pytest.raises(InputError, match="can be compared in Depth"):
        jobs.views(done, "../etc")


def test_colours_are_those_that_were_chosen(picture: Path) -> None:
    done = run(picture, jobs.HALF)
    near, far = done.range
    one, two, apart, _ = jobs.views(done, jobs.DEPTH)
    chosen = jobs.views(done, jobs.DEPTH, Look("gray", near, 2 * far))
    assert (chosen[0] != one).any() and (chosen[1] != two).any()
    assert (chosen[2] == apart).all()  # a difference has its own colours
    assert reading(done.sides, [(90, 60)]).count("depth") == 2


def test_files_of_both_and_their_difference(picture: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(jobs.write_files(run(picture, jobs.MIRRORED), tmp_path)) as bundle:
        names = set(bundle.namelist())
    assert {"first/depth.npy", "second/depth.npy", "difference_depth.png", "difference_normals.png"} <= names


@pytest.mark.parametrize("variation", [jobs.SAME, jobs.MIRRORED])
def test_the_snippet_reproduces_the_difference(picture: Path, monkeypatch, variation: str) -> None:
    monkeypatch.chdir(picture.parent)
    done, names = run(picture, variation), {}
    exec(jobs.snippet(done, "cpu"), names)
    np.testing.assert_allclose(names["difference"], done.second.depth.depth - done.first.depth.depth, atol=1e-5)


def test_what_cannot_be_compared_gets_a_sentence(picture: Path) -> None:
    model = predictor(MODEL, "cpu")
    with pytest.raises(InputError, match="second model can see"):
        jobs.compare(picture, model, model, "something else")
    done = run(picture, jobs.SAME)
    other = done.second.with_parts(
        segmentation=dataclasses.replace(done.second.segmentation, class_names=[f"c{i}" for i in range(15)])
    )
    with pytest.raises(InputError, match="different classes"):
        jobs.views(dataclasses.replace(done, second=other), jobs.SEGMENTS)


def test_models_of_different_classes_are_compared_in_the_rest(picture: Path, tmp_path: Path) -> None:
    done = run(picture, jobs.SAME)
    names = [f"c{i}" for i in range(len(done.second.segmentation.class_names))]
    other = done.second.with_parts(segmentation=dataclasses.replace(done.second.segmentation, class_names=names))
    mixed = dataclasses.replace(done, second=other)
    assert "Mean difference" in jobs.summary(mixed) and "Same class" not in jobs.summary(mixed)
    with zipfile.ZipFile(jobs.write_files(mixed, tmp_path)) as bundle:
        assert "difference_depth.png" in bundle.namelist() and "difference_segmentation.png" not in bundle.namelist()


def test_the_snippet_of_half_the_size_runs(picture: Path, monkeypatch) -> None:
    monkeypatch.chdir(picture.parent)
    names: dict = {}
    exec(jobs.snippet(run(picture, jobs.HALF), "cpu"), names)
    assert names["second"].depth.shape == (65, 96)
