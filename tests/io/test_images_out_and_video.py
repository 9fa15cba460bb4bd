"""Pictures and id maps out, frames in and out."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from perception import io
from perception.errors import InputError
from tests.helpers import sample

RNG = np.random.default_rng(0)


def test_png_keeps_pixels_and_text(tmp_path: Path) -> None:
    for shape, dtype in (((5, 7), np.uint8), ((5, 7, 3), np.uint8), ((5, 7, 4), np.uint8), ((5, 7), np.uint16)):
        image = RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
        got, text = io.read_png(io.write_image(tmp_path / "a.png", image, {"key": "value"}))
        np.testing.assert_array_equal(got, image)
        assert got.dtype == dtype and text["key"] == "value"
    for bad in (
        np.zeros((5, 7)),
        np.zeros((5, 7, 3), np.uint16),
        np.zeros((0, 7, 3), np.uint8),
        np.zeros((5, 7, 2), np.uint8),
    ):
        with pytest.raises(InputError, match=r"b\.png"):
            io.write_image(tmp_path / "b.png", bad)
    with pytest.raises(InputError, match="must end in"):
        io.write_image(tmp_path / "b.bmp", np.zeros((5, 7, 3), np.uint8))
    jpeg = io.load_image(io.write_image(tmp_path / "c.jpg", np.full((16, 16, 3), 90, np.uint8)))
    assert np.abs(jpeg.pixels.astype(int) - 90).max() < 3


def test_id_maps_round_trip(tmp_path: Path) -> None:
    small, large = RNG.integers(0, 256, (6, 8)), RNG.integers(0, 65536, (6, 8))
    assert io.read_png(io.write_ids(tmp_path / "s.png", small))[0].dtype == np.uint8
    np.testing.assert_array_equal(io.read_png(io.write_ids(tmp_path / "l.png", large))[0], large)
    huge = RNG.integers(0, 1 << 24, (6, 8))
    np.testing.assert_array_equal(io.read_rgb_ids(io.write_rgb_ids(tmp_path / "h.png", huge)), huge)
    for bad in (np.array([[-1]]), np.array([[1 << 16]]), np.array([[0.5]])):
        with pytest.raises(InputError):
            io.write_ids(tmp_path / "bad.png", bad)
    with pytest.raises(InputError):
        io.write_rgb_ids(tmp_path / "bad.png", np.array([[1 << 24]]))


def test_real_panoptic_ids_match_their_annotation() -> None:
    import json

    record = json.loads(sample("segmentation/coco_panoptic/annotations/panoptic_val2017.json").read_text())[
        "annotations"
    ][0]
    ids = io.read_rgb_ids(sample(f"segmentation/coco_panoptic/annotations/panoptic_val2017/{record['file_name']}"))
    found = dict(zip(*(v.tolist() for v in np.unique(ids, return_counts=True)), strict=True))
    assert {s["id"]: s["area"] for s in record["segments_info"]} == {k: v for k, v in found.items() if k}


def moving_square(index: int) -> np.ndarray:
    image = np.full((48, 64, 3), 30, np.uint8)
    image[16:32, 2 + 4 * index : 18 + 4 * index] = (220, 60, 40)
    return image


def test_video_round_trip_and_every_other_frame(tmp_path: Path) -> None:
    path = tmp_path / "move.mp4"
    with io.VideoWriter(path, fps=5) as video:
        for i in range(10):
            video.write(moving_square(i))
        assert not path.exists()
    frames = list(io.stream(path))
    assert [f.index for f in frames] == list(range(10)) and frames[5].time == pytest.approx(1.0)
    for frame in frames:
        assert np.abs(frame.pixels.astype(int) - moving_square(frame.index)).mean() < 6
        red = frame.pixels[24, :, 0].astype(int) - frame.pixels[24, :, 2]  # not BGR
        assert red[10 + 4 * frame.index] > 100
    assert [f.index for f in io.stream(path, every=3, limit=2)] == [0, 3]
    assert [p.name for p in tmp_path.iterdir()] == ["move.mp4"] and io.is_video(path)


def test_video_writer_refuses_and_cleans_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame"), io.VideoWriter(tmp_path / "a.mp4"):
        pass
    with pytest.raises(InputError, match="must be 64x48"), io.VideoWriter(tmp_path / "a.mp4") as video:
        video.write(moving_square(0))
        video.write(moving_square(0)[:40])
    with pytest.raises(InputError, match=r"\.mp4"):
        io.VideoWriter(tmp_path / "a.avi")
    with pytest.raises(InputError, match="uint8"), io.VideoWriter(tmp_path / "a.mp4") as video:
        video.write(moving_square(0).astype(float))
    assert not list(tmp_path.iterdir())
    with io.VideoWriter(tmp_path / "odd.mp4") as video:
        video.write(moving_square(0)[:47, :63])
    assert next(io.stream(tmp_path / "odd.mp4")).pixels.shape == (46, 62, 3)


def test_folders_stream_in_natural_order_with_constant_memory(tmp_path: Path) -> None:
    for i in (0, 1, 2, 10, 11):
        io.write_image(tmp_path / f"frame{i}.png", np.full((300, 400, 3), i, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    frames = io.stream(tmp_path, fps=2)
    assert [(f.name, f.time) for f in frames] == [
        ("frame0", 0),
        ("frame1", 0.5),
        ("frame2", 1),
        ("frame10", 1.5),
        ("frame11", 2),
    ]
    for i in range(12, 40):
        io.write_image(tmp_path / f"frame{i}.png", np.full((300, 400, 3), i, np.uint8))
    tracemalloc.start()
    count = sum(1 for _ in io.stream(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 33 and peak < 6 * 300 * 400 * 3
    assert [f.name for f in io.stream(tmp_path / "frame2.png")] == ["frame2"]


def test_what_cannot_be_streamed_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, words in (
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path / "broken.mp4", "broken"),
        (empty, "no pictures"),
    ):
        with pytest.raises(InputError, match=words):
            list(io.stream(source))
    with pytest.raises(InputError, match="every"):
        list(io.stream(empty, every=0))
    with pytest.raises(InputError, match="a list or generator of pictures; found ndarray"):
        list(io.stream(np.zeros((4, 4, 3), np.uint8)))  # one picture, not its rows
