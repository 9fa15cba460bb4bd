"""What the page does with a picture, without a server."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import jobs
from app.server import Settings, Workspace
from perception.errors import InputError

MODEL = "dpt-world-tiny"


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> jobs.Photo:
    folder = tmp_path_factory.mktemp("job")
    source = Path(__file__).resolve().parents[2] / "app" / "examples" / "palace.jpg"
    Image.open(source).resize((192, 128)).save(folder / "upload.png")
    return jobs.predict_photo(folder / "upload.png", MODEL, folder, fov=60, device="cpu")


def test_a_photo_gets_every_view_and_one_archive(photo: jobs.Photo) -> None:
    for view in (photo.depth_view, photo.normals_view, photo.segments_view):
        assert view.shape == (128, 192, 3) and view.dtype == np.uint8 and np.ptp(view) > 0
    with zipfile.ZipFile(photo.archive) as bundle:
        assert bundle.testzip() is None
        names = set(bundle.namelist())
    assert {"depth.npy", "depth.png", "normals.npy", "points.ply", "mesh.glb", "preview.png", "result.json"} <= names
    assert photo.model_file.suffix == ".glb"
    assert photo.summary["picture"] == "192 x 128" and "fov" in photo.summary["camera"]


def test_clicks_measure_in_space(photo: jobs.Photo) -> None:
    result = photo.prediction
    rows, columns = np.nonzero(result.depth.valid)
    first, second = (columns[0], rows[0]), (columns[-1], rows[-1])
    assert f"{result.depth.depth[rows[0], columns[0]]:.2f} m" in jobs.depth_at(result, *first)
    rays = result.camera.rays()
    a, b = (rays[y, x] / rays[y, x, 2] * result.depth.depth[y, x] for x, y in (first, second))
    assert f"{np.linalg.norm(a - b):.2f} m" in jobs.distance_between(result, first, second)
    assert jobs.depth_at(result, -5, 3) == "no depth there"


def test_without_a_picture_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture yet"):
        jobs.predict_photo(None, MODEL, tmp_path)


def test_limits_hold(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match="pixels"):
        jobs.predict_photo(tmp_path / "large.png", MODEL, tmp_path, max_pixels=100_000)


def test_results_of_old_visits_are_deleted() -> None:
    workspace = Workspace(keep_seconds=3600)
    kept = workspace.fresh()
    workspace.keep_seconds = -1
    fresh = workspace.fresh()
    assert not kept.exists() and fresh.exists()
    workspace.close()
    assert not workspace.root.exists()


@pytest.mark.parametrize("auth", ["", "name", ":secret", "name:"])
def test_auth_needs_a_name_and_a_password(auth: str) -> None:
    import argparse

    options = argparse.Namespace(
        host="127.0.0.1", port=1, share=False, auth=auth, models=None, device="cpu", max_upload=1, max_pixels=1
    )
    with pytest.raises(InputError, match="USER:PASSWORD"):
        Settings.from_options(options)
