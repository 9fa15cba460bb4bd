"""What all tabs share, without a server: kept results, folders, the camera entry, a smaller second try."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from app.jobs.cameras import FROM_FOV, FROM_LENS, FROM_MATRIX, CameraEntry, parse_matrix
from app.jobs.common import depth_text, with_smaller_retry
from app.parts.views import facts_html
from app.workspace import Shelf, Workspace
from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.io import load_image
from perception.results import DepthResult


def test_results_of_old_visits_are_deleted() -> None:
    workspace = Workspace(keep_seconds=3600)
    kept, lasting = workspace.fresh(), workspace.lasting()
    workspace.keep_seconds = -1
    fresh = workspace.fresh()
    assert not kept.exists() and fresh.exists() and lasting.exists()
    workspace.close()
    assert not workspace.root.exists()


def test_how_much_of_a_picture_has_no_depth_is_told() -> None:
    """It is drawn dark: nobody would know why."""
    valid = np.ones((10, 10), bool)
    assert depth_text(DepthResult(np.full((10, 10), 2, np.float32), valid)) == "2.00 to 2.00 m, median 2.00"
    valid[:4] = False
    assert depth_text(DepthResult(np.full((10, 10), 2, np.float32), valid)).endswith(
        "; none for 40% of the pixels, drawn dark"
    )


def test_the_pages_notes_name_its_own_controls() -> None:
    """The library's sentences name arguments of Python; a visitor has none."""
    from perception.inference.predictor import _camera_notes
    from perception.models.omnifusion.preprocess import shape_notes

    notes = [*_camera_notes(Pinhole.default(64, 48), None), *shape_notes(Equirectangular(60, 40))]
    text = facts_html([], notes)
    assert len(notes) == 2 and not any(word in text for word in ("fov=", "camera=", "Equirectangular", "--angles"))
    assert "enter it under Camera" in text and "under Part of the sphere" in text


def test_folders_are_deleted_without_a_further_visit() -> None:
    workspace = Workspace(keep_seconds=1.0)
    folder = workspace.fresh()
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not folder.exists()
    workspace.close()


def test_uploads_are_deleted_and_the_pages_own_files_are_not() -> None:
    workspace = Workspace(keep_seconds=3600)
    for name in ("own", "upload"):
        (workspace.cache / name).mkdir()
        (workspace.cache / name / "picture.png").write_bytes(b"picture")
        if name == "own":
            workspace.keep_cached()
    workspace.sweep()
    assert (workspace.cache / "upload" / "picture.png").exists()
    workspace.keep_seconds = -1
    workspace.sweep()
    assert [path.name for path in workspace.cache.iterdir()] == ["own"]
    workspace.close()


def test_the_shelf_is_bounded_in_number_and_memory() -> None:
    shelf = Shelf(count=3, megabytes=100)
    tickets = [shelf.put(i, 1) for i in range(4)]
    assert len(shelf) == 3 and shelf.get(tickets[-1]) == 3
    with pytest.raises(InputError, match="no longer kept"):
        shelf.get(tickets[0])
    large = shelf.put("large", 99.5)
    assert len(shelf) == 1 and shelf.get(large) == "large"
    assert shelf.get(shelf.put("huge", 1000)) == "huge"  # the newest is always kept
    with pytest.raises(InputError, match="no result yet"):
        shelf.get(None)


def test_what_was_used_last_stays_longest() -> None:
    shelf = Shelf(count=2)
    first, second = shelf.put(1), shelf.put(2)
    shelf.get(first)
    shelf.put(3)
    assert shelf.get(first) == 1
    with pytest.raises(InputError):
        shelf.get(second)


def test_examples_stay_and_every_visit_gets_its_own_ticket() -> None:
    shelf = Shelf(count=1)
    first, again = shelf.put_lasting("photo-0", "finished"), shelf.put_lasting("photo-0", "finished")
    for number in range(3):
        shelf.put(number)
    assert first != again and shelf.get(first) == shelf.get(again) == "finished" and len(shelf) == 1


class Fussy:
    """A model whose device has memory for `limit` pixels only."""

    def __init__(self, limit: int, error: Exception) -> None:
        self.limit, self.error, self.sizes, self.cameras = limit, error, [], []

    def __call__(self, image, camera):
        self.sizes.append(image.pixels.shape[:2])
        self.cameras.append(camera)
        if image.width * image.height > self.limit:
            raise self.error
        return image.size


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no memory"), MemoryError(), RuntimeError("CUDA out of memory. Tried ...")]
)
def test_out_of_memory_is_tried_once_more_at_half_the_size(error: Exception) -> None:
    image = load_image(np.zeros((60, 80, 3), np.uint8))
    camera = Pinhole.from_fov(width=80, height=60, horizontal_degrees=60)
    model = Fussy(2000, error)
    assert with_smaller_retry(model, image, camera) == (40, 30)
    assert model.cameras[1].fx == pytest.approx(camera.fx / 2) and model.cameras[1].size == (40, 30)
    hopeless = Fussy(10, error)
    with pytest.raises(InputError, match="too large for the memory"):
        with_smaller_retry(hopeless, image)
    assert hopeless.sizes == [(60, 80), (30, 40)]


def test_other_faults_are_not_retried() -> None:
    model = Fussy(10, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        with_smaller_retry(model, load_image(np.zeros((60, 80, 3), np.uint8)))
    assert len(model.sizes) == 1


def test_the_camera_by_every_way_in() -> None:
    image = load_image(np.zeros((480, 640, 3), np.uint8))
    assert CameraEntry().camera(image) is None and "assumed" in CameraEntry().text(image)
    assert CameraEntry(FROM_FOV, fov=90).camera(image).fx == pytest.approx(320)
    assert CameraEntry(FROM_LENS, focal=18, sensor=36).camera(image).fx == pytest.approx(320)
    typed = CameraEntry(FROM_MATRIX, matrix="500, 510, 320, 240")
    assert (typed.camera(image).fy, typed.camera(image).cy) == (510, 240)
    opencv = CameraEntry(FROM_MATRIX, matrix="[[500, 0, 319.5], [0, 510, 239.5], [0, 0, 1]]", opencv=True)
    assert opencv.camera(image) == typed.camera(image)
    assert "as entered" in typed.text(image)


def test_exif_is_read_out(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.new("RGB", (400, 300)).save(tmp_path / "phone.jpg", exif=exif)
    text = CameraEntry().text(load_image(tmp_path / "phone.jpg"))
    assert "26 mm" in text and "EXIF data" in text


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "fx 1 2 3 4", "1e 2 3 4", "__import__('os')", "1 " * 10, "0" * 500, "-5 5 2 2"]
)
def test_a_matrix_that_is_none_gets_a_sentence(text: str) -> None:
    with pytest.raises(InputError):
        CameraEntry(FROM_MATRIX, matrix=text).camera(load_image(np.zeros((4, 4, 3), np.uint8)))


def test_a_matrix_may_be_pasted_from_anywhere() -> None:
    assert parse_matrix("[[7.2e2, 0., 600.], [0., 7.1e2, 170.], [0., 0., 1.]]") == (720, 710, 600, 170)
    assert parse_matrix("(720; 710; 600; 170)") == (720, 710, 600, 170)
