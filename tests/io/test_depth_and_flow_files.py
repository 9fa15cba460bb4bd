"""Depth and flow formats: written, read back, and read from real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perception import io
from perception.errors import InputError
from perception.io import depth_files
from tests.helpers import sample

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("farthest", "scale"), [(9.0, 1000.0), (65.0, 1000.0), (80.0, 256.0), (255.0, 256.0), (900.0, 65535 / 900)]
)
def test_depth_png_records_a_scale_that_never_saturates(farthest: float, scale: float, tmp_path: Path) -> None:
    depth = RNG.uniform(0.3, farthest, (20, 30)).astype(np.float32)
    depth[0, 0] = farthest
    valid = RNG.random((20, 30)) > 0.2
    valid[0, 0] = True
    path = io.write_depth_png(tmp_path / "depth.png", depth, valid)
    stored, text = io.read_png(path)
    assert stored.dtype == np.uint16 and float(text["depth_scale"]) == pytest.approx(scale)
    got, known = io.read_depth(path)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_allclose(got[valid], depth[valid], atol=0.51 / scale)
    assert (got[~valid] == 0).all()


def test_depth_png_of_bad_values_and_relative_depth(tmp_path: Path) -> None:
    depth = np.array([[np.nan, np.inf, -1, 0], [1e-6, 0.5, 1, 2]], np.float32)
    got, known = io.read_depth(io.write_depth_png(tmp_path / "a.png", depth))
    np.testing.assert_array_equal(known, [[False] * 4, [True] * 4])  # tiny but valid depth never rounds to "unknown"
    path = io.write_depth_png(tmp_path / "b.png", depth / 1000, kind="relative")
    assert io.read_png(path)[0].max() == 65535
    np.testing.assert_allclose(io.read_depth(path)[0][1, 1:], depth[1, 1:] / 1000, rtol=1e-4)
    nothing = io.write_depth_png(tmp_path / "c.png", np.zeros((3, 3)))
    assert not io.read_depth(nothing)[1].any()
    with pytest.raises(InputError, match="16 bits"):
        io.write_depth_png(tmp_path / "d.png", np.full((2, 2), 100.0), scale=1000)


def test_depth_png_without_a_scale_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.fromarray(np.array([[0, 512, 65535]], np.uint16)).save(path)
    with pytest.raises(InputError, match=r"plain\.png.*kitti"):
        io.read_depth(path)
    np.testing.assert_allclose(io.read_depth(path, "kitti")[0], [[0, 2, 255.99609]])
    depth, valid = io.read_depth(path, "stanford2d3d")
    np.testing.assert_array_equal(valid, [[False, True, False]])
    np.testing.assert_allclose(io.read_depth(path, 100)[0][0, 1], 5.12)
    with pytest.raises(InputError, match="Did you mean 'kitti'"):
        io.read_depth(path, "kiti")


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_pfm_round_trip_and_byte_orders(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = RNG.normal(size=shape).astype(np.float32)
    values[0, 0] = np.inf
    np.testing.assert_array_equal(io.read_pfm(io.write_pfm(tmp_path / "a.pfm", values)), values)
    kind = "PF" if len(shape) == 3 else "Pf "  # some writers leave a blank behind the type
    big = tmp_path / "big.pfm"
    big.write_bytes(f"{kind}\n# comment\n5 7\n0.0039\n".encode() + values[::-1].astype(">f4").tobytes())
    np.testing.assert_array_equal(io.read_pfm(big), values)


@pytest.mark.parametrize(
    "data", [b"", b"P5\n2 2\n255\n", b"Pf\n2 2\n-1\n\0\0", b"Pf\n2 x\n-1\n" + b"\0" * 16, b"Pf\n2"], ids=repr
)
def test_broken_pfm_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pfm"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"broken\.pfm"):
        io.read_pfm(path)


def test_exr_round_trip(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    values = RNG.uniform(1, 9, (6, 8)).astype(np.float32)
    values[0, 0] = 1e10
    path = io.write_exr(tmp_path / "depth.exr", {"Z": values})
    np.testing.assert_array_equal(io.read_exr(path)["Z"], values)
    depth, valid = io.read_depth(path)
    assert not valid[0, 0] and valid.sum() == 47 and depth[0, 0] == 0
    broken = tmp_path / "broken.exr"
    broken.write_bytes(b"v/1\x01" + b"\0" * 30)
    with pytest.raises(InputError, match=r"broken\.exr"):
        io.read_exr(broken)


def test_npy_refuses_nan_pickles_and_other_suffixes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finite"):
        io.write_npy(tmp_path / "a.npy", np.array([np.nan]))
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"evil\.npy"):
        io.read_depth(tmp_path / "evil.npy")
    with pytest.raises(InputError, match=r"depth\.txt must end in"):
        io.read_depth(tmp_path / "depth.txt")
    with pytest.raises(InputError, match="does not exist"):
        io.read_depth(tmp_path / "none.npy")
    depth = RNG.uniform(1, 5, (4, 4)).astype(np.float32)
    np.testing.assert_array_equal(io.read_depth(io.write_npy(tmp_path / "b.npy", depth))[0], depth)


def test_real_depth_files() -> None:
    depth, valid = io.read_depth(sample("kitti_depth/groundtruth/image_02/0000000005.png"), "kitti")
    assert 5 < depth[valid].min() < depth[valid].max() < 90 and 0.1 < valid.mean() < 0.25
    depth, valid = io.read_depth(sample("rgbd/nyuv2/sync_depth_00000.png"), "nyu")
    assert 1 < depth[valid].min() < depth[valid].max() < 10 and valid.mean() > 0.6
    disparity = io.read_pfm(sample("stereo/middlebury2014/Motorcycle/disp0GT.pfm"))
    mask = io.read_png(sample("stereo/middlebury2014/Motorcycle/mask0nocc.png"))[0]
    assert disparity.shape == mask.shape and np.isfinite(disparity[mask == 255]).all()
    pytest.importorskip("OpenEXR")
    depth, valid = io.read_depth(sample("panorama/matterport3d_depth.exr"))
    assert depth.shape == (512, 1024) and np.median(depth[valid]) == pytest.approx(1.95, abs=0.01)


def test_flow_round_trips(tmp_path: Path) -> None:
    flow = RNG.normal(size=(9, 11, 2)).astype(np.float32) * 40
    valid = RNG.random((9, 11)) > 0.3
    got, known = io.read_flow(io.write_flo(tmp_path / "a.flo", flow, valid))
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(got, flow * valid[..., None])
    got, known = io.read_flow(io.write_flow_png(tmp_path / "a.png", flow, valid))
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_allclose(got, flow * valid[..., None], atol=0.51 / 64)
    with pytest.raises(InputError, match="512"):
        io.write_flow_png(tmp_path / "b.png", np.full((2, 2, 2), 600.0))
    for name, data in {"c.flo": b"PIEH" + b"\x02\0\0\0" * 2, "d.flo": b"nope", "e.png": b"x", "f.txt": b""}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            io.read_flow(tmp_path / name)


def test_real_flow_moves_the_first_picture_onto_the_second() -> None:
    """KITTI: sampling the second frame where the flow points gives a picture nearer to the first than the second frame as it is."""
    flow, valid = io.read_flow(sample("flow/kitti/flow_gt.png"))
    first, second = (io.load_image(sample(f"flow/kitti/frame{i}.png")).pixels.astype(np.float32) for i in (1, 2))
    rows, columns = np.nonzero(valid)
    x, y = columns + flow[rows, columns, 0], rows + flow[rows, columns, 1]
    inside = (x >= 0) & (x <= first.shape[1] - 1) & (y >= 0) & (y <= first.shape[0] - 1)
    rows, columns, x, y = rows[inside], columns[inside], np.rint(x[inside]).astype(int), np.rint(y[inside]).astype(int)
    moved = np.abs(second[y, x] - first[rows, columns]).mean()
    still = np.abs(second[rows, columns] - first[rows, columns]).mean()
    assert moved < 0.6 * still
    middlebury, known = io.read_flow(sample("flow/middlebury/flow_gt.flo"))
    assert middlebury.shape == (388, 584, 2) and 0.9 < known.mean() < 1 and np.abs(middlebury).max() < 10


def test_scales_are_positive() -> None:
    assert all(scale > 0 for scale, _ in depth_files.SCALES.values())
