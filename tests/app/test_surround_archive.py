"""Uploaded rigs: the documented format comes in; everything else gets one sentence, and nothing leaves its folder."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.jobs.surround.archive import MAX_MOMENTS, read_rig_archive
from perception.errors import InputError

POSE = [[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]]


def picture(shade: int = 90, size: tuple[int, int] = (64, 32)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (shade,) * 3).save(out, "PNG")
    return out.getvalue()


def rig(image: str = "front.png", **values) -> bytes:
    camera = {"image": image, "name": "FRONT", "fov": 70, "ego_from_camera": POSE}
    return json.dumps({"cameras": [camera], **values}).encode()


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return path


@pytest.fixture
def read(tmp_path: Path):
    def run(members: dict[str, bytes], **limits):
        folder = tmp_path / "inner"
        folder.mkdir()
        try:
            return read_rig_archive(packed(tmp_path / "rig.zip", members), folder, **limits)
        finally:
            outside = [p.name for p in tmp_path.rglob("*") if p.is_file() and p.parent != folder]
            assert outside == ["rig.zip"], outside
            assert all(p.name.startswith(("member", "moment")) for p in folder.iterdir())

    return run


def test_moments_come_in_order_of_time(read) -> None:
    radar = {"points": [[20.0, 1.0, 0.0]], "velocity": [[-3.0, 0.0]]}
    rigs = read(
        {
            "drive/b.json": rig("pictures/one.png", time=1.0),
            "drive/a.json": rig("./pictures/two.png", time=2.0, radars=[radar]),
            "drive/pictures/one.png": picture(10),
            "drive/pictures/two.png": picture(200),
            "__MACOSX/drive/._a.json": b"junk",
            "drive/notes.txt": b"not needed",
        }
    )
    assert [r.time for r in rigs] == [1.0, 2.0] and [r.name for r in rigs] == ["b", "a"]
    assert [int(r.cameras[0].image.mean()) for r in rigs] == [10, 200]
    assert rigs[1].radar_points[0, :2].tolist() == [20, 1] and rigs[0].radar_points is None


def test_names_that_climb_are_only_names(read) -> None:
    rigs = read({"../../evil.json": rig("../x.png"), "../../../x.png": picture(), "/etc/passwd.png": picture()})
    assert len(rigs) == 1


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "no JSON file with a list 'cameras'"),
        ({"rig.json": rig("/etc/passwd")}, "names '/etc/passwd', which is not in the archive"),
        ({"rig.json": rig("frnt.png"), "front.png": picture()}, "not in the archive.*front.png"),
        ({"rig.json": b"{", "front.png": picture()}, "rig.json is not JSON"),
        ({"rig.json": b"[" * 90_000}, "rig.json is not JSON"),
        ({"rig.json": rig(), "front.png": b"no picture"}, "front.png"),
        ({"rig.json": rig(), "front.png": picture(size=(300, 300))}, "front.png.*pixels"),
        ({"rig.json": b'{"cameras": 3}'}, "must be lists"),
        ({"rig.json": b'{"cameras": ["a"]}'}, "needs 'image' and 'ego_from_camera'"),
        ({"rig.json": rig(time="noon"), "front.png": picture()}, "rig.json must hold numbers"),
        ({"rig.json": rig(radars=[{"points": [[1, 2], [3]]}]), "front.png": picture()}, "rig.json must hold numbers"),
        ({"rig.json": json.dumps({"cameras": [{}] * 13}).encode()}, "13 cameras"),
        ({f"{i}.json": rig() for i in range(MAX_MOMENTS + 1)} | {"front.png": picture()}, "at most 12 moments"),
        ({f"{i}.png": b"" for i in range(301)}, "at most 300"),
        ({"rig.json": rig()} | {f"{i}.png": picture(size=(200, 200)) for i in range(3)}, "more than 0.1 million pixels"),
        ({"zeros.png": bytes(3_000_000)}, "unpacks to more than 2 MB"),
    ],
)  # fmt: skip
def test_bad_archives_get_one_sentence(read, members: dict, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        read(members, max_pixels=50_000, max_bytes=2_000_000)
    text = str(caught.value)
    assert "/tmp" not in text and "member0" not in text and "moment0" not in text and "\n" not in text


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nonsense")
    whole = packed(tmp_path / "b.zip", {"front.png": np.random.default_rng(0).bytes(9000)}).read_bytes()
    (tmp_path / "c.zip").write_bytes(whole[:50] + bytes(40) + whole[90:])
    for name, expected in (("a.zip", "not a ZIP"), ("c.zip", "ZIP archive")):
        with pytest.raises(InputError, match=expected):
            read_rig_archive(tmp_path / name, tmp_path)
    with pytest.raises(InputError, match="no rig yet"):
        read_rig_archive(None, tmp_path)
