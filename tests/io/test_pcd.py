"""PCD and radar files: round trips, the three encodings on real files, damaged files."""

import numpy as np
import pytest

from perception.errors import InputError, RecipeError
from perception.io.pcd import lzf_decompress, parse_pcd, read_pcd, write_pcd
from perception.io.radar import NAMES, radar_filter, read_radar, write_radar
from tests.helpers import sample


def test_binary_round_trip(tmp_path) -> None:
    rng = np.random.default_rng(0)
    fields = {
        "x": rng.standard_normal(7).astype("f4"),
        "id": rng.integers(-500, 500, 7).astype("i2"),
        "flag": rng.integers(0, 255, 7).astype("u1"),
        "normal": rng.standard_normal((7, 3)).astype("f8"),
    }
    again = read_pcd(write_pcd(tmp_path / "a.pcd", fields))
    for name, values in fields.items():
        np.testing.assert_array_equal(again[name], values)
        assert again[name].dtype == values.dtype


def test_ascii_and_lzf() -> None:
    text = b"# comment\nVERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA ascii\n1 2 3 255\nnan 5 6 7\n"
    fields = parse_pcd(text)
    assert fields["rgb"].tolist() == [255, 7] and np.isnan(fields["x"][1])
    # 3 literals "abc", then a copy of 9 bytes from 3 back (overlapping), control = length 7+0.
    assert lzf_decompress(bytes([2]) + b"abc" + bytes([0xE0, 0, 2]), 12) == b"abcabcabcabc"
    with pytest.raises(InputError, match="damaged"):
        lzf_decompress(bytes([0x20, 5]), 4)


def test_radar_round_trip_filters_and_size(tmp_path) -> None:
    rng = np.random.default_rng(1)
    points = np.zeros((5, 18), np.float32)
    points[:, :3] = rng.uniform(-50, 50, (5, 3))
    points[:, NAMES.index("id")] = [0, 300, -3, 7, 8]
    points[:, NAMES.index("ambig_state")] = [3, 3, 1, 3, 3]
    points[:, NAMES.index("invalid_state")] = [0, 4, 0, 1, 0]
    points[:, NAMES.index("dyn_prop")] = [0, 1, 1, 1, 7]
    path = write_radar(tmp_path / "r.pcd", points)
    body = path.read_bytes().split(b"DATA binary\n")[1]
    assert len(body) == 5 * 43 + 1
    np.testing.assert_array_equal(read_radar(path), points)
    assert read_radar(path, "devkit")[:, 4].tolist() == [0]
    assert read_radar(path, "crn")[:, 4].tolist() == [0, 300, 8]
    assert len(read_radar(path, {"dyn_prop": (1,)})) == 3
    write_radar(path, {"x": np.zeros(0)})
    assert read_radar(path).shape == (0, 18) and b"POINTS 1" in path.read_bytes()
    with pytest.raises(RecipeError, match="devkit"):
        radar_filter("devkits")


def test_damaged_files(tmp_path) -> None:
    path = write_pcd(tmp_path / "a.pcd", {"x": np.zeros(10, "f4")})
    data = path.read_bytes()
    for wrong in (
        data[:-8],
        b"",
        b"hello\n" * 10,
        data.replace(b"SIZE 4", b"SIZE 4 4"),
        data.replace(b"binary", b"morse"),
    ):
        with pytest.raises(InputError):
            parse_pcd(wrong, "a.pcd")
    with pytest.raises(InputError, match="radar sweep"):
        read_radar(path)
    with pytest.raises(InputError):
        read_pcd(tmp_path / "none.pcd")


def test_real_files() -> None:
    folder = sample("pointclouds")
    for name, points, fields in (
        ("bun0.pcd", 397, "normal_x"),
        ("car6.pcd", None, "x"),
        ("colored_cloud.pcd", None, "rgb"),
    ):
        found = read_pcd(folder / name)
        assert fields in found and len(found["x"]) > 100 and (points is None or len(found["x"]) == points)
        finite = np.isfinite(found["x"])
        assert finite.any() and np.abs(found["x"][finite]).max() < 1e3


def test_synthetic_radar_of_the_samples_is_rewritten_byte_for_byte(tmp_path) -> None:
    for path in sorted(sample("nuscenes/radar_synthetic").glob("*.pcd")):
        points = read_radar(path)
        assert points.shape[1] == 18 and len(points) > 5
        again = write_radar(tmp_path / path.name, points)
        first, second = (p.read_bytes().split(b"DATA binary\n")[1] for p in (path, again))
        assert first[: len(points) * 43] == second[: len(points) * 43]
