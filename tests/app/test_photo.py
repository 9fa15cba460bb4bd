"""What the Photo tab does with a picture, without a server."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.jobs import looks
from app.jobs import photo as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import predictor
from app.jobs.looks import Look
from perception.errors import InputError

MODEL = "dpt-world-tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    source = Path(__file__).resolve().parents[2] / "app" / "examples" / "palace.jpg"
    Image.open(source).resize((192, 128)).save(folder / "upload.png")
    return folder


@pytest.fixture(scope="module")
def answer(folder: Path) -> jobs.PhotoAnswer:
    return jobs.predict_photo(folder / "upload.png", predictor(MODEL, "cpu"), CameraEntry(mode=FROM_FOV, fov=60))


def test_the_facts_tell_picture_camera_depth_and_model(answer: jobs.PhotoAnswer) -> None:
    summary = jobs.summary(answer)
    assert summary["picture"] == "192 x 128" and summary["model"] == MODEL
    assert summary["camera"].startswith("60°") and "field of view" in summary["camera"]
    assert " m, median" in summary["depth"]
    json.dumps(summary)


def test_every_file_and_one_archive_of_them_all(answer: jobs.PhotoAnswer, tmp_path: Path) -> None:
    archive, *files = jobs.write_files(answer.result, Look(), tmp_path)
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        names = set(bundle.namelist())
    assert {"depth.npy", "depth.png", "normals.npy", "points.ply", "mesh.glb", "preview.png", "result.json"} <= names
    assert {path.name for path in files} == names


def test_what_is_left_out_is_gone_from_picture_shape_and_files(answer: jobs.PhotoAnswer, tmp_path: Path) -> None:
    depth = answer.result.depth
    middle = float(np.median(depth.depth[depth.valid]))
    look = Look(near=0.1, far=middle, hide=True)
    left = looks.kept(answer.result, look).depth
    assert 0 < left.valid.sum() < depth.valid.sum()
    assert (left.valid == (depth.valid & (depth.depth <= np.float32(middle)))).all()
    jobs.write_files(answer.result, look, tmp_path)
    saved = np.load(tmp_path / "results" / "depth.npy")
    assert saved.max() <= middle + 1e-6 and (saved > 0).sum() == left.valid.sum()
    whole, cut = (jobs.shape_file(answer.result, one, tmp_path, "Points").stat().st_size for one in (Look(), look))
    assert cut < whole
    assert looks.kept(answer.result, dataclasses.replace(look, hide=False)) is answer.result  # colours only


def test_confidence_leaves_pixels_out(answer: jobs.PhotoAnswer) -> None:
    depth = answer.result.depth
    graded = answer.result.with_parts(
        depth=dataclasses.replace(depth, confidence=np.linspace(0, 1, depth.depth.size).reshape(depth.shape))
    )
    left = looks.kept(graded, Look(confidence=0.75)).depth.valid
    assert not left[:90].any() and (left[100:] == depth.valid[100:]).all()
    assert looks.kept(answer.result, Look(confidence=0.75)) is answer.result  # this model gives none


def test_colours_follow_the_look(answer: jobs.PhotoAnswer) -> None:
    plain = looks.depth_view(answer.result, Look())
    assert plain.shape == (128, 192, 3) and plain.dtype == np.uint8
    assert (looks.depth_view(answer.result, Look(*("gray", *answer.range))) != plain).any()
    depth = answer.result.depth
    far = looks.depth_view(answer.result, Look("gray", 100, 200))
    assert (far[:60][depth.valid[:60]] == 255).all()  # all is nearer than the near end: one colour, above the legend
    with pytest.raises(InputError, match="near limit"):
        looks.checked_look("gray", 5, 3, False, 0)
    with pytest.raises(InputError, match="colour map"):
        looks.checked_look("../../etc", 1, 3, False, 0)


@pytest.mark.parametrize("style", ["Points", "Mesh"])
def test_the_shape_stands_upright(answer: jobs.PhotoAnswer, tmp_path: Path, style: str) -> None:
    """What is lower in the picture is lower in the viewer, whose y points up, at the same scale: metres."""
    data = jobs.shape_file(answer.result, Look(), tmp_path, style).read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    low, high = next((item["min"], item["max"]) for item in document["accessors"] if item["type"] == "VEC3")
    cloud = answer.result.depth.points()[answer.result.depth.valid]
    assert low[1] == pytest.approx(-cloud[:, 1].max(), rel=0.05)
    assert high[0] == pytest.approx(cloud[:, 0].max(), rel=0.05)
    assert low[2] == pytest.approx(-cloud[:, 2].max(), rel=0.05)


def test_the_snippet_reproduces_the_result(answer: jobs.PhotoAnswer, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    depth = answer.result.depth
    look = Look(near=0.5, far=float(np.median(depth.depth[depth.valid])), hide=True)
    lines = jobs.snippet(answer, look, "cpu")
    names: dict = {}
    exec(lines.replace('result.save("out")', "pass").replace("print(result)", "pass"), names)
    assert np.array_equal(names["result"].depth.depth, depth.depth)
    assert (names["depth"] > 0).sum() == pytest.approx(looks.kept(answer.result, look).depth.valid.sum(), abs=3)


def test_without_a_picture_there_is_a_sentence() -> None:
    with pytest.raises(InputError, match="no picture yet"):
        jobs.predict_photo(None, predictor(MODEL, "cpu"))


def test_limits_hold(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match="pixels"):
        jobs.predict_photo(tmp_path / "large.png", predictor(MODEL, "cpu"), max_pixels=100_000)


def stored(path: Path, kind: str) -> Path:
    """A picture of 48 x 32 as files of this kind hold it."""
    values = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    picture, options = Image.fromarray(values), {}
    if kind == "16-bit PNG":
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    elif kind == "float TIFF":
        picture = Image.fromarray(values[..., 0].astype(np.float32))
    elif kind == "turned JPEG":
        exif = Image.Exif()
        exif[0x0112] = 6
        picture, options = Image.fromarray(values.transpose(1, 0, 2)), {"exif": exif}
    elif kind == "animated GIF":
        options = {"save_all": True, "append_images": [Image.new("RGB", (48, 32))] * 2}
    elif kind.split()[0] in ("1", "L", "P", "LA", "RGBA", "CMYK"):
        picture = picture.convert(kind.split()[0])
    file = path / f"picture.{kind.split()[-1].lower()}"
    picture.save(file, **options)
    return file


KINDS = (
    "RGB PNG",
    "16-bit PNG",
    "1 PNG",
    "L PNG",
    "P PNG",
    "LA PNG",
    "RGBA PNG",
    "RGB JPEG",
    "L JPEG",
    "CMYK JPEG",
    "turned JPEG",
)
KINDS += ("RGB WebP", "RGBA WebP", "animated GIF", "RGB BMP", "RGB TIFF", "float TIFF", "RGB PPM")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_goes_all_the_way(tmp_path: Path, kind: str) -> None:
    answer = jobs.predict_photo(stored(tmp_path, kind), predictor(MODEL, "cpu"))
    assert jobs.summary(answer)["picture"] == "48 x 32"
    assert looks.depth_view(answer.result, Look()).shape == (32, 48, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (1500, 3), (3, 1500), (333, 77)])
def test_every_size_goes_all_the_way(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    answer = jobs.predict_photo(tmp_path / "a.png", predictor(MODEL, "cpu"))
    assert looks.depth_view(answer.result, Look()).shape == (*size[::-1], 3)
    for style in ("Points", "Mesh"):
        shape = jobs.shape_file(answer.result, Look(), tmp_path, style)
        assert shape is None or shape.stat().st_size > 0
    archive, *_ = jobs.write_files(answer.result, Look(), tmp_path)
    assert np.load(tmp_path / "results" / "depth.npy").shape == size[::-1] and zipfile.is_zipfile(archive)


def test_too_little_memory_ends_in_a_result_of_half_the_size_with_a_note(folder: Path, monkeypatch) -> None:
    model, sizes = predictor(MODEL, "cpu"), []

    def fussy(image, camera, **options):
        sizes.append(image.size)
        if image.width > 100:
            raise MemoryError
        return model(image, camera, **options)

    fussy.name, fussy.about, fussy.device = model.name, model.about, model.device
    answer = jobs.predict_photo(folder / "upload.png", fussy)
    assert sizes == [(192, 128), (96, 64)] and answer.result.depth.shape == (64, 96)
    assert "too little memory for 192 x 128: predicted at 96 x 64" in jobs.summary(answer)["notes"][-1]
