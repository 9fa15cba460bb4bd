"""The Python API: every kind of input, lists, threads, cameras, odd sizes, streams."""

from __future__ import annotations

import dataclasses
import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perception.errors import InputError, PerceptionError
from perception.geometry import Pinhole
from perception.inference.cameras import guess_notes
from perception.inference.predictor import Predictor, input_files
from perception.io.images import load_image
from perception.models.registry import build_model


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    model = build_model(
        {
            "type": "DPT",
            "backbone": {"name": "resnet10t", "model_args": {"channels": (8, 16, 24, 32), "stem_width": 8}},
            "num_classes": 5,
            "channels": 16,
            "head_channels": 8,
            "detail_channels": 4,
            "preprocess": {"pixels": 6144, "multiple": 32},
        }
    )
    return Predictor(model.eval(), torch.device("cpu"), torch.float32, {"name": "tiny"})


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (9, 13, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((130, 90), Image.Resampling.BICUBIC))


def test_every_kind_of_input_gives_the_same_result(predictor: Predictor, picture: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "a picture.png"
    Image.fromarray(picture).save(file)
    expected = predictor(picture)
    assert expected.depth.shape == expected.normals.shape == expected.segmentation.shape == (90, 130)
    kinds = {
        "path": file,
        "string": str(file),
        "bytes": file.read_bytes(),
        "file object": io.BytesIO(file.read_bytes()),
        "PIL": Image.open(file),
        "tensor": torch.from_numpy(picture.copy()).permute(2, 0, 1),
        "read-only array": np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.shape),
    }
    for kind, value in kinds.items():
        result = predictor(value, fov=60)
        np.testing.assert_array_equal(result.depth.depth, predictor(picture, fov=60).depth.depth, err_msg=kind)
    assert predictor(file).name == "a picture.png" and predictor(file).model == "tiny"


def test_the_input_is_never_modified(predictor: Predictor, picture: np.ndarray) -> None:
    before = picture.copy()
    predictor(picture)
    np.testing.assert_array_equal(picture, before)


def test_a_list_of_mixed_sizes_keeps_its_order(predictor: Predictor, picture: np.ndarray) -> None:
    pictures = [picture, picture[:40], picture[::-1].copy(), picture[:, :30]]
    single = [predictor(item) for item in pictures]
    together = predictor(pictures, batch_size=2)
    assert [item.depth.shape for item in together] == [item.shape[:2] for item in pictures]
    for one, other in zip(single, together, strict=True):
        np.testing.assert_allclose(one.depth.depth, other.depth.depth, rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 900), (17, 16), (700, 5)])
def test_any_size(predictor: Predictor, size: tuple[int, int]) -> None:
    result = predictor(np.full((*size, 3), 90, np.uint8))
    assert result.depth.shape == size and np.isfinite(result.depth.depth).all()


def test_threads_get_their_own_results(predictor: Predictor, picture: np.ndarray) -> None:
    pictures = [np.roll(picture, 11 * i, axis=1) for i in range(6)]
    expected = [predictor(item).depth.depth for item in pictures]
    found: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        for _ in range(3):
            found[index] = predictor(pictures[index]).depth.depth

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, value in enumerate(expected):
        np.testing.assert_array_equal(found[index], value)


def test_cameras(predictor: Predictor, picture: np.ndarray) -> None:
    by_fov = predictor(picture, fov=60)
    camera = Pinhole.from_fov(130, 90, 60)
    for same in (camera, camera.matrix, (camera.fx, camera.fy, camera.cx, camera.cy)):
        np.testing.assert_allclose(predictor(picture, same).depth.depth, by_fov.depth.depth, rtol=1e-4)
    near, far = (np.median(predictor(picture, fov=f).depth.depth) for f in (90, 20))
    assert far > near  # a longer lens shows the same size at a greater distance
    unknown = predictor(picture)
    assert unknown.intrinsics_source == "default" and not by_fov.notes
    # words of Python (fov=), the command line (--fov, --intrinsics) and the app (field of view) alike
    assert "field of view (fov) or its intrinsics" in unknown.notes[0] and "=" not in unknown.notes[0]


def test_only_metres_rest_on_a_guessed_camera(predictor: Predictor, picture: np.ndarray) -> None:
    unknown = predictor(picture)
    relative = dataclasses.replace(unknown.depth, kind="relative")
    for result, count in (
        (unknown, 1),
        (dataclasses.replace(unknown, depth=None), 0),
        (dataclasses.replace(unknown, depth=relative), 0),
    ):
        assert len(guess_notes(unknown.camera, result)) == count
    assert not guess_notes(unknown.camera.with_source("exif"), unknown)


@pytest.mark.parametrize("count", [3, 4])
def test_one_camera_or_one_each(predictor: Predictor, picture: np.ndarray, count: int) -> None:
    """Four numbers for four pictures and three rows for three pictures are one camera; so is what `to_dict` gave."""
    camera = Pinhole.from_fov(130, 90, 60)
    numbers = (camera.fx, camera.fy, camera.cx, camera.cy)
    by_name = dict(zip(("fx", "fy", "cx", "cy"), numbers, strict=True))
    for same in (camera, numbers, camera.matrix.tolist(), list(camera.matrix), by_name, camera.to_dict()):
        for result in predictor([picture] * count, same):
            assert result.camera.fx == pytest.approx(camera.fx) and result.camera.cy == pytest.approx(camera.cy)
    own = [(100 + i, 100, 65, 45) for i in range(count)]
    for cameras in (own, [*own[:-1], None], [Pinhole(*values, 130, 90) for values in own]):
        found = [result.camera.fx for result in predictor([picture] * count, cameras)]
        assert found[:-1] == [100 + i for i in range(count - 1)]
    assert [r.intrinsics_source for r in predictor([picture] * count, [None] * count)] == ["default"] * count
    with pytest.raises(InputError, match=f"{count} pictures need one camera for all, or one each; found a list of 2"):
        predictor([picture] * count, own[:2])


def test_a_partial_panorama_is_told_by_its_angles() -> None:
    from perception.commands.predict import angles
    from perception.inference.cameras import resolve_camera

    part = load_image(np.zeros((30, 80, 3), np.uint8))
    camera = resolve_camera(part, angles("-60,60,-20,25"), kind="equirectangular")
    assert camera.size == (80, 30) and not camera.full
    np.testing.assert_allclose(camera.fov_degrees, (120, 45))
    np.testing.assert_allclose(camera.latitude, np.radians((-20, 25)))
    with pytest.raises(PerceptionError, match="kind Pinhole"):
        resolve_camera(part, angles("-60,60,-20,25"))
    for wrong in ({}, {"longitude": (1, 2, 3)}, {"lon": (0, 1)}, {"longitude": (1.0, -1.0)}):
        with pytest.raises(PerceptionError, match="longitude"):
            resolve_camera(part, wrong, kind="equirectangular")
    with pytest.raises(PerceptionError, match="found longitude 60 to -60, latitude -20 to 25 degrees"):
        resolve_camera(part, angles("60,-60,-20,25"), kind="equirectangular")
    with pytest.raises(PerceptionError, match="--angles"):
        angles("1,2,3")
    for given in (None, angles("-60,60,-20,25")):  # a panorama has no field of view: never ignored in silence
        with pytest.raises(InputError, match="found fov=80 for a panorama.*--angles"):
            resolve_camera(part, given, fov=80, kind="equirectangular")


@pytest.mark.parametrize("camera", [np.eye(2), (1, 2, 3), (0, 0, 0, 0), (np.nan, 1, 1, 1), "calib.txt", {"f": 3}])
def test_bad_cameras_get_a_sentence(predictor: Predictor, picture: np.ndarray, camera: object) -> None:
    with pytest.raises(PerceptionError):
        predictor(picture, camera)


@pytest.mark.parametrize("fov", [0, -3, 180, float("nan")])
def test_bad_field_of_view(predictor: Predictor, picture: np.ndarray, fov: float) -> None:
    with pytest.raises(InputError, match="field of view"):
        predictor(picture, fov=fov)


def test_folders_stream_in_order(predictor: Predictor, picture: np.ndarray, tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.fromarray(np.roll(picture, number, axis=0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    results = list(predictor.stream(tmp_path))
    assert [result.name for result in results] == ["frame1", "frame2", "frame10"]
    assert input_files([tmp_path]) == [tmp_path / f"frame{n}.png" for n in (1, 2, 10)]
    with pytest.raises(InputError, match="not there"):
        input_files([tmp_path / "missing"])


def test_a_stream_of_pictures_is_what_calls_give(predictor: Predictor, picture: np.ndarray, tmp_path: Path) -> None:
    """EXIF and notes count in a stream too; pictures may come from a list or a generator."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50  # 35 mm equivalent focal length
    Image.fromarray(picture).save(tmp_path / "lens.jpg", exif=exif)
    Image.fromarray(picture).convert("RGBA").resize((130, 90)).save(tmp_path / "plain.png")
    lens, plain = predictor.stream(tmp_path)
    called = predictor(tmp_path / "lens.jpg")
    assert lens.intrinsics_source == called.intrinsics_source == "exif" and lens.camera == called.camera
    np.testing.assert_array_equal(lens.depth.depth, called.depth.depth)
    assert plain.notes == predictor(tmp_path / "plain.png").notes

    sources = [tmp_path / "lens.jpg", picture, tmp_path / "plain.png", picture]
    assert [r.name for r in predictor.stream(sources)] == ["lens", "frame_000001", "plain", "frame_000003"]
    assert [r.name for r in predictor.stream(iter(sources), every=2)] == ["lens", "plain"]


def test_a_closed_model_says_so(predictor: Predictor, picture: np.ndarray) -> None:
    closed = Predictor(predictor.model, predictor.device, torch.float32, {"name": "tiny"})
    closed.close()
    closed.close()
    for use in (lambda: closed(picture), lambda: next(closed.stream([picture]))):
        with pytest.raises(InputError, match="was closed; load it again"):
            use()
    assert predictor(picture).depth is not None


def test_no_two_inputs_share_a_result_folder():
    from perception.commands.predict import _unique_names

    files = [Path(name) for name in ("x/a.jpg", "x/a.png", "x/a_2.jpg", "y/A.jpg", "x/a.jpg")]
    names = _unique_names(files)
    assert list(names.values()) == ["a", "a_2", "a_2_2", "A_3"]


def test_a_video_whose_results_have_no_place_gets_a_sentence(tmp_path, monkeypatch, capsys):
    from types import SimpleNamespace

    import perception.inference
    from perception.cli import main

    monkeypatch.setattr(perception.inference, "load", lambda *_, **__: SimpleNamespace(model=None, name="m"))
    for name in ("film.mp4", "out"):
        (tmp_path / name).touch()
    assert main(["predict", str(tmp_path / "film.mp4"), "--out", str(tmp_path / "out")]) == 1
    assert "results cannot be saved" in capsys.readouterr().err
