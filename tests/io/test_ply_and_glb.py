"""Point clouds and meshes on disk, read back by ourselves and by Open3D."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perception import io
from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.geometry.mesh import depth_to_mesh
from tests.helpers import sample

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(50, 3)).astype(np.float32) + [0, 0, 5]
COLORS = RNG.integers(0, 256, (50, 3), dtype=np.uint8)
FACES = RNG.integers(0, 50, (30, 3))


def test_ply_round_trip(tmp_path: Path) -> None:
    normals = POINTS / np.linalg.norm(POINTS, axis=-1, keepdims=True)
    path = io.write_ply(tmp_path / "a.ply", POINTS, colors=COLORS, normals=normals, faces=FACES)
    got = io.read_ply(path)
    np.testing.assert_array_equal(got.points, POINTS.astype(np.float32))
    np.testing.assert_array_equal(got.colors, COLORS)
    np.testing.assert_allclose(got.normals, normals, rtol=1e-6)
    np.testing.assert_array_equal(got.faces, FACES)
    empty = io.read_ply(io.write_ply(tmp_path / "empty.ply", np.zeros((0, 3))))
    assert empty.points.shape == (0, 3) and empty.colors is None and empty.faces is None


def test_ply_is_read_by_open3d(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d")
    path = io.write_ply(tmp_path / "a.ply", POINTS, colors=COLORS, faces=FACES)
    cloud = open3d.io.read_point_cloud(str(path))
    np.testing.assert_allclose(np.asarray(cloud.points), POINTS, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cloud.colors) * 255, COLORS, atol=0.51)
    mesh = open3d.io.read_triangle_mesh(str(path))
    assert len(mesh.triangles) == 30


ASCII = """ply
format ascii 1.0
comment four corners and a quad
element vertex 4
property double x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face 2
property list uchar int vertex_index
end_header
0 0 0 255 0 0
1 0 0 0 255 0
1 1 0 0 0 255
0 1 0 9 9 9
4 0 1 2 3
3 0 1 2
"""


def test_ascii_and_big_endian_ply_with_polygons(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(ASCII)
    got = io.read_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(got.points[2], [1, 1, 0])
    np.testing.assert_array_equal(got.colors[3], [9, 9, 9])
    np.testing.assert_array_equal(got.faces, [[0, 1, 2], [0, 2, 3], [0, 1, 2]])
    header = ASCII[: ASCII.index("0 0 0 255")].replace("ascii", "binary_big_endian")
    vertices = np.zeros(4, [("x", ">f8"), ("y", ">f4"), ("z", ">f4"), ("rgb", "u1", (3,))])
    vertices["x"], vertices["y"] = [0, 1, 1, 0], [0, 0, 1, 1]
    faces = b"\x04" + np.arange(4, dtype=">i4").tobytes() + b"\x03" + np.arange(3, dtype=">i4").tobytes()
    (tmp_path / "b.ply").write_bytes(header.encode() + vertices.tobytes() + faces)
    big = io.read_ply(tmp_path / "b.ply")
    np.testing.assert_array_equal(big.points, got.points)
    np.testing.assert_array_equal(big.faces, got.faces)
    with pytest.raises(InputError, match=r"b\.ply is cut off"):
        (tmp_path / "b.ply").write_bytes(header.encode() + vertices.tobytes()[:-3])
        io.read_ply(tmp_path / "b.ply")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"obj\n",
        b"ply\nformat ascii 2\n",
        b"ply\nformat odd 1.0\nend_header\n",
        b"ply\nelement vertex x\nend_header\n",
    ],
)
def test_broken_ply_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.ply"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"broken\.ply"):
        io.read_ply(path)


def test_real_ply_files() -> None:
    diamond, cube = io.read_ply(sample("pointclouds/diamond_ascii.ply")), io.read_ply(sample("pointclouds/cube.ply"))
    assert len(diamond.points) == 6 and len(diamond.faces) == 8
    assert len(cube.points) == 24 and len(cube.faces) == 12


def parse_glb(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    magic, version, length, text_length, text_kind = np.frombuffer(data, "<u4", 5)
    assert (
        magic == 0x46546C67
        and version == 2
        and length == len(data)
        and text_kind == 0x4E4F534A
        and text_length % 4 == 0
    )
    document = json.loads(data[20 : 20 + text_length])
    rest = data[20 + text_length :]
    if not rest:
        return document, b""
    size, kind = np.frombuffer(rest, "<u4", 2)
    assert (
        kind == 0x004E4942 and size % 4 == 0 and len(rest) == size + 8 and document["buffers"][0]["byteLength"] == size
    )
    return document, rest[8:]


def accessor(document: dict, binary: bytes, index: int) -> np.ndarray:
    record = document["accessors"][index]
    view = document["bufferViews"][record["bufferView"]]
    assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= len(binary)
    kind = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[record["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[record["type"]]
    values = np.frombuffer(binary, kind, record["count"] * width, view["byteOffset"])
    assert view["byteLength"] == values.nbytes
    return values.reshape(-1, width)


def test_glb_points_stand_upright_with_their_colours(tmp_path: Path) -> None:
    document, binary = parse_glb(io.write_glb(tmp_path / "a.glb", POINTS, colors=COLORS))
    primitive = document["meshes"][0]["primitives"][0]
    position = accessor(document, binary, primitive["attributes"]["POSITION"])
    np.testing.assert_allclose(position, POINTS * [1, -1, -1], rtol=1e-6)
    record = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_allclose(record["min"], position.min(0))
    np.testing.assert_allclose(record["max"], position.max(0))
    assert primitive["mode"] == 0
    linear = accessor(document, binary, primitive["attributes"]["COLOR_0"])[:, :3] / 65535
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    np.testing.assert_allclose(srgb, COLORS, atol=0.1)


def test_glb_mesh_with_texture(tmp_path: Path) -> None:
    uv = RNG.random((50, 2)).astype(np.float32)
    texture = RNG.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    document, binary = parse_glb(io.write_glb(tmp_path / "m.glb", POINTS, faces=FACES, uv=uv, texture=texture))
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 4
    np.testing.assert_array_equal(accessor(document, binary, primitive["indices"]).reshape(-1, 3), FACES)
    np.testing.assert_allclose(accessor(document, binary, primitive["attributes"]["TEXCOORD_0"]), uv)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    picture = io.load_image(binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])
    assert picture.size == (24, 16)


def test_a_panoramas_texture_goes_on_over_the_seam(tmp_path: Path) -> None:
    """Each triangle shows the part of the picture in front of it; over the seam the texture is repeated."""
    camera = Equirectangular(32, 16)
    picture = RNG.integers(0, 256, (16, 32, 3), dtype=np.uint8)
    mesh = depth_to_mesh(np.full((16, 32), 2.0, np.float32), camera, image=picture)
    document, binary = parse_glb(io.write_mesh_glb(tmp_path / "p.glb", mesh, picture))
    primitive = document["meshes"][0]["primitives"][0]
    place, uv = (accessor(document, binary, primitive["attributes"][name]) for name in ("POSITION", "TEXCOORD_0"))
    faces = accessor(document, binary, primitive["indices"]).reshape(-1, 3)
    assert len(faces) == len(mesh.faces) and document["samplers"][0]["wrapS"] == 10497
    np.testing.assert_array_equal(place[faces], (mesh.vertices * [1, -1, -1])[mesh.faces])
    np.testing.assert_allclose(uv[faces][..., 0] % 1, mesh.uv[mesh.faces][..., 0], atol=1e-6)
    between = np.ptp(mesh.faces // 32, axis=1) > 0  # without the caps, whose fans reach far
    assert np.ptp(uv[faces][between, :, 0], axis=1).max() < 1.5 / 32
    flat = depth_to_mesh(np.full((4, 6), 2.0, np.float32), Pinhole.from_fov(6, 4, 60))
    document, _ = parse_glb(io.write_mesh_glb(tmp_path / "f.glb", flat, picture))
    assert document["samplers"][0]["wrapS"] == 33071


def test_glb_is_read_by_open3d(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d")
    mesh = open3d.io.read_triangle_mesh(str(io.write_glb(tmp_path / "m.glb", POINTS, faces=FACES, colors=COLORS)))
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    assert len(triangles) == 30
    np.testing.assert_allclose(vertices[triangles], (POINTS * [1, -1, -1])[FACES], rtol=1e-5)


def test_empty_and_wrong_clouds(tmp_path: Path) -> None:
    document, _ = parse_glb(io.write_glb(tmp_path / "e.glb", np.zeros((0, 3))))
    assert document["nodes"] and "meshes" not in document
    bad = POINTS.copy()
    bad[3, 1] = np.nan
    for write in (io.write_glb, io.write_ply):
        path = tmp_path / ("x.glb" if write is io.write_glb else "x.ply")
        for arguments in (
            {"points": bad},
            {"points": POINTS[:, :2]},
            {"points": POINTS, "colors": COLORS[:-1]},
            {"points": POINTS, "colors": COLORS / 255},
            {"points": POINTS, "faces": np.array([[0, 1, 50]])},
        ):
            with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
                write(path, **arguments)
        assert not path.exists()
