"""What the Video tab does, without a server."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.jobs import video as jobs
from app.jobs.looks import Look
from perception.errors import InputError
from perception.io import stream
from perception.io.images import read_png
from perception.io.video import VideoWriter, frame_count
from perception.results import Boxes3DResult, DepthResult, Prediction


class Steps:
    """A model that sees a plane: nearer from frame to frame."""

    name, tasks, about = "steps", ("depth",), {}
    device = type("Device", (), {"type": "cpu"})()

    def __init__(self, kind: str = "metric") -> None:
        self.calls, self.kind = 0, kind

    def __call__(self, image, camera=None, **_):
        self.calls += 1
        height, width = image.shape[:2]
        depth = np.linspace(2, 20, height * width, dtype=np.float32).reshape(height, width) / (1 + 0.1 * self.calls)
        return Prediction(depth=DepthResult(depth, kind=self.kind, camera=camera), image=image, model=self.name)


def clip(path: Path, frames: int, size: tuple[int, int] = (96, 160), fps: float = 8) -> Path:
    rng = np.random.default_rng(0)
    with VideoWriter(path, fps) as video:
        for _ in range(frames):
            video.write(rng.integers(0, 255, (*size, 3), dtype=np.uint8))
    return path


def fresh(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> jobs.VideoAnswer:
    folder = tmp_path_factory.mktemp("video")
    return jobs.predict_video(clip(folder / "in.mp4", 7), Steps(), fresh(folder / "frames"))


def test_a_clip_becomes_a_clip_of_the_same_rate_and_length(answer: jobs.VideoAnswer, tmp_path: Path) -> None:
    assert answer.count == 7 and answer.fps == pytest.approx(8)
    movie = jobs.draw_video(answer, jobs.look_of(answer), tmp_path)
    frames = list(stream(movie))
    assert len(frames) == 7 and frames[1].time == pytest.approx(1 / 8, abs=1e-3)
    assert frames[0].pixels.shape == (96, 320, 3)  # the picture and its depth, side by side
    alone = list(stream(jobs.draw_video(answer, jobs.look_of(answer), tmp_path, jobs.DEPTH_ONLY)))
    assert alone[0].pixels.shape == (96, 160, 3)


def test_the_same_depth_has_the_same_colour_in_every_frame(answer: jobs.VideoAnswer) -> None:
    look = jobs.look_of(answer)
    assert 0 < look.near < 2 and 10 < look.far <= 20
    colours: dict[float, tuple] = {}
    for number in range(answer.count):
        view = jobs.frame_view(answer, number, look)
        stored = read_png(answer.folder / "depth" / f"{number:06d}.png")[0] / 1000
        for row, column in ((5, 5), (30, 100), (50, 20)):
            key = round(float(stored[row, column]), 2)
            colours.setdefault(key, tuple(view[row, column]))
            assert np.abs(np.int32(colours[key]) - view[row, column]).max() <= 6
    fixed = Look(near=1, far=100)
    assert (jobs.frame_view(answer, 0, fixed) != jobs.frame_view(answer, 0, look)).any()  # redrawn, no model


def test_relative_depth_keeps_one_range_too(tmp_path: Path) -> None:
    answer = jobs.predict_video(clip(tmp_path / "in.mp4", 3), Steps("inverse"), fresh(tmp_path / "frames"))
    assert jobs.frame_view(answer, 2, jobs.look_of(answer)).shape == (96, 160, 3)


def test_frames_come_as_sixteen_bit_depth_and_colours(answer: jobs.VideoAnswer, tmp_path: Path) -> None:
    with zipfile.ZipFile(jobs.write_frames(answer, jobs.look_of(answer), tmp_path)) as bundle:
        names = set(bundle.namelist())
        about = json.loads(bundle.read("clip.json"))
        bundle.extract("depth/000003.png", tmp_path)
    assert {f"{kind}/{i:06d}.png" for kind in ("depth", "preview") for i in range(7)} | {"clip.json"} == names
    assert about["frames"] == 7 and about["fps"] == pytest.approx(8)
    stored, text = read_png(tmp_path / "depth" / "000003.png")
    assert stored.dtype == np.uint16 and float(text["depth_scale"]) == 1000


def test_every_nth_frame_and_the_limit(tmp_path: Path, monkeypatch) -> None:
    source = clip(tmp_path / "in.mp4", 12)
    assert frame_count(source) == 12
    model = Steps()
    answer = jobs.predict_video(source, model, fresh(tmp_path / "a"), every=3)
    assert answer.count == model.calls == 4 and answer.fps == pytest.approx(8 / 3)
    monkeypatch.setattr(jobs, "MAX_FRAMES", 5)
    cut = jobs.predict_video(source, Steps(), fresh(tmp_path / "b"))
    assert cut.count == 5 and "only its first 5 frames" in cut.notes[-1]


def test_large_frames_are_made_smaller_with_their_camera(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "MAX_SIDE", 80)
    answer = jobs.predict_video(clip(tmp_path / "in.mp4", 2), Steps(), fresh(tmp_path / "a"))
    assert read_png(answer.folder / "picture" / "000000.png")[0].shape == (48, 80, 3)
    assert answer.intrinsics[2:] == (80, 48)  # of the clip's own frames, 160 x 96


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    peaks = []
    for frames in (6, 24):
        source = clip(tmp_path / f"{frames}.mp4", frames, (192, 320))
        tracemalloc.start()
        answer = jobs.predict_video(source, Steps(), fresh(tmp_path / f"f{frames}"))
        jobs.draw_video(answer, jobs.look_of(answer), fresh(tmp_path / f"o{frames}"))
        jobs.write_frames(answer, jobs.look_of(answer), tmp_path / f"o{frames}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0]


class Fussy(Steps):
    """`Steps` on a device with memory for `limit` pixels, which runs out at the third frame."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __call__(self, image, camera=None, **options):
        if self.calls == 2 and image.shape[0] * image.shape[1] > self.limit:
            raise MemoryError
        return super().__call__(image, camera, **options)


def test_out_of_memory_is_tried_once_more_at_half_the_size(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 4)
    answer = jobs.predict_video(source, Fussy(96 * 160 // 2), fresh(tmp_path / "a"))
    assert answer.count == 4 and "too little memory" in answer.notes[-1]
    sizes = {read_png(file)[0].shape[:2] for file in (answer.folder / "picture").iterdir()}
    assert sizes == {(48, 80)} and answer.intrinsics[2:] == (80, 48)  # all frames anew; the clip's own camera
    assert len(list(stream(jobs.movie_of(answer, jobs.look_of(answer))))) == 4
    with pytest.raises(InputError, match="this clip is too large for the memory"):
        jobs.predict_video(source, AlwaysFull(), fresh(tmp_path / "b"))


class AlwaysFull(Steps):
    def __call__(self, image, camera=None, **options):
        raise MemoryError


def test_a_movie_is_drawn_once_for_every_look(answer: jobs.VideoAnswer) -> None:
    look = jobs.look_of(answer)
    first = jobs.movie_of(answer, look)
    assert jobs.movie_of(answer, look) == first != jobs.movie_of(answer, look, jobs.DEPTH_ONLY)


@pytest.mark.parametrize("side", [832, 80])
def test_the_snippet_predicts_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    import perception
    from app.jobs.cameras import FROM_FOV, CameraEntry
    from app.jobs.common import predictor

    monkeypatch.setattr(jobs, "MAX_SIDE", side)
    monkeypatch.chdir(tmp_path)
    source, model = clip(tmp_path / "in.mp4", 3), predictor("dpt-world-tiny", "cpu")
    answer = jobs.predict_video(source, model, fresh(tmp_path / "a"), every=2, camera=CameraEntry(FROM_FOV, fov=70))
    monkeypatch.setattr(perception, "load", lambda name, device: model)
    exec(jobs.snippet(answer, "cpu"), {})
    saved = sorted((tmp_path / "out").iterdir())
    assert len(saved) == answer.count == 2
    for number, folder in enumerate(saved):
        kept = read_png(answer.folder / "depth" / f"{number:06d}.png")[0]
        assert (kept == read_png(folder / "depth.png")[0]).all()


def test_what_is_no_clip_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="broken.mp4"):
        jobs.predict_video(tmp_path / "broken.mp4", Steps(), fresh(tmp_path / "a"))
    with pytest.raises(InputError, match="no clip yet"):
        jobs.predict_video(None, Steps(), fresh(tmp_path / "b"))


def test_layouts_are_checked(answer: jobs.VideoAnswer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="video can show"):
        jobs.draw_video(answer, Look(), tmp_path, "../../etc")


class Boxes(Steps):
    """A model of boxes, with a coarse depth beside them as MonoDETR has it: a car that comes nearer."""

    tasks = ("boxes3d",)

    def __call__(self, image, camera=None, **_):
        found = super().__call__(image, camera)
        car = np.array([[0, 0, 22 - self.calls, 4, 1.8, 1.5, np.pi / 2]])
        return found.with_parts(boxes3d=Boxes3DResult(car, [0], [0.9], class_names=("Car",), camera=camera))


def test_a_clip_of_boxes(tmp_path: Path) -> None:
    """Boxes are what is drawn, measured and shaped, at any score without the model; the depth beside them is among the files."""
    model = Boxes()
    answer = jobs.predict_video(clip(tmp_path / "in.mp4", 3, (96, 320)), model, fresh(tmp_path / "frames"))
    look = jobs.look_of(answer)
    assert answer.range == (0.0, 0.0) and not answer.coloured and answer.score == look.score > 0
    for number in range(3):
        view, picture = jobs.frame_view(answer, number, look), jobs.frame_of(answer, number).image
        assert 0 < (view != picture).any(2).mean() < 0.3
        assert (jobs.frame_view(answer, number, Look(score=0.95)) == picture).all()
        assert jobs.measured(answer, number, look)[1]([(160, 48)]).startswith(f"depth {19 - number:.2f} m")
    assert "Car" not in jobs.measured(answer, 0, Look(score=0.95))[1]([(160, 48)])
    assert jobs.shape_file(answer, 0, look, tmp_path).name == "street.glb"
    assert len(list(stream(jobs.draw_video(answer, look, tmp_path)))) == 3
    assert model.calls == 3
    with zipfile.ZipFile(jobs.write_frames(answer, look, tmp_path)) as bundle:
        distances = [json.loads(bundle.read(f"boxes3d/{i:06d}.json"))["boxes"][0]["center"][2] for i in range(3)]
        assert {"depth/000002.png", "preview/000002.png"} <= set(bundle.namelist())
    assert distances == [21, 20, 19]


def test_one_archive_holds_the_clip_and_everything_of_one_frame(answer: jobs.VideoAnswer, tmp_path: Path) -> None:
    archive, movie = jobs.write_files(answer, 2, jobs.look_of(answer), jobs.DEPTH_ONLY, tmp_path)
    with zipfile.ZipFile(archive) as bundle:
        names = bundle.namelist()
        assert bundle.testzip() is None and bundle.read("result.mp4") == movie.read_bytes()
    assert len(names) == len(set(names)) and {"preview/000006.png", "clip.json"} <= set(names)
    assert {f"frame_000002/{name}" for name in ("depth.npy", "depth.png", "points.ply", "mesh.glb")} <= set(names)


def test_the_camera_is_read_out_of_the_first_frame(tmp_path: Path) -> None:
    from app.jobs.cameras import CameraEntry

    frame = jobs.first_frame(clip(tmp_path / "in.mp4", 2))
    assert frame.size == (160, 96) and "160 x 96 px" in CameraEntry().text(frame)
    with pytest.raises(InputError, match="pixels"):
        jobs.first_frame(tmp_path / "in.mp4", max_pixels=1000)


def test_a_frame_is_measured_and_shaped_like_a_photo(answer: jobs.VideoAnswer, tmp_path: Path) -> None:
    frame = jobs.frame_of(answer, 3)
    assert frame.image.shape == (96, 160, 3) and frame.camera == answer.camera
    expected = np.linspace(2, 20, 96 * 160).reshape(96, 160) / 1.4
    np.testing.assert_allclose(frame.depth.depth, expected, atol=6e-4)  # kept in millimetres
    text = jobs.measured(answer, 3, Look())[1]([(80, 48)])
    assert text.startswith(f"depth {frame.depth.depth[48, 80]:.2f} m")
    assert jobs.shape_file(answer, 3, Look(), tmp_path).exists()
    assert (jobs.frame_of(answer, 99).image == jobs.frame_of(answer, 6).image).all()  # there is no later one
