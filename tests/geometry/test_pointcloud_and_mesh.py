"""Depth to points, normals and meshes: exact on planes, torn at edges, closed around panoramas."""

from __future__ import annotations

import numpy as np
import pytest

from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.geometry.mesh import depth_to_mesh
from perception.geometry.pointcloud import depth_to_points, normals_from_depth, voxel_downsample
from tests.helpers import sample

CAMERA = Pinhole.from_fov(96, 64, horizontal_degrees=80)


def plane_depth(normal: np.ndarray, distance: float, camera=CAMERA) -> np.ndarray:
    return (-distance / (camera.rays().astype(np.float64) @ normal)).astype(np.float32)


def room_range(camera: Equirectangular) -> np.ndarray:
    """Exact range to the walls of a box of half sides 3, 1.5, 2 metres around the camera."""
    return (1 / np.max(np.abs(camera.rays()) / np.array([3, 1.5, 2]), axis=-1)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_normals_of_planes_are_exact(seed: int) -> None:
    normal = np.random.default_rng(seed).normal(size=3) * [0.6, 0.6, 1]
    normal = normal / np.linalg.norm(normal)
    normal *= -np.sign(normal[2])
    depth = plane_depth(normal, 4)
    depth[depth <= 0] = np.nan
    got, valid = normals_from_depth(depth, CAMERA)
    near = valid & (np.nan_to_num(depth) < 20) & (depth > 0)
    assert near.mean() > 0.3
    angle = np.degrees(np.arccos(np.clip(got[near] @ normal, -1, 1)))
    assert np.median(angle) < 0.05 and np.percentile(angle, 99) < 1
    assert (got[~valid] == 0).all()


def test_normals_do_not_mix_the_two_sides_of_a_depth_edge() -> None:
    near, far = plane_depth(np.array([0, 0, -1.0]), 2), plane_depth(np.array([0.6, 0, -0.8]), 6)
    depth = np.where(np.arange(96) < 40, near, far)
    got, valid = normals_from_depth(depth, CAMERA)
    assert valid.all()
    np.testing.assert_allclose(got[:, :40], np.broadcast_to([0, 0, -1.0], got[:, :40].shape), atol=1e-3)
    np.testing.assert_allclose(got[:, 40:], np.broadcast_to([0.6, 0, -0.8], got[:, 40:].shape), atol=2e-3)


def test_normals_of_a_room_seen_all_around() -> None:
    camera = Equirectangular(256, 128)
    distance = room_range(camera)
    got, valid = normals_from_depth(distance, camera)
    wall = np.argmax(np.abs(camera.rays()) / np.array([3, 1.5, 2]), axis=-1)
    expected = -np.sign(np.take_along_axis(camera.rays(), wall[..., None], -1)) * np.eye(3)[wall]
    angle = np.degrees(np.arccos(np.clip((got * expected).sum(-1), -1, 1)))
    assert valid[:, [0, -1]].all()  # the seam has neighbours
    assert np.median(angle[valid]) < 0.5 and (angle[valid] < 10).mean() > 0.95


def test_real_normals_have_this_sign_and_these_axes() -> None:
    """A published normal map in OpenCV axes: the same formula on its depth gives the same normals."""
    data = np.load(sample("rgbd/normals/redwood_normals.npz"))
    depth, reference = data["depth"], data["normal"]
    camera = Pinhole.from_matrix(data["K"], depth.shape[1], depth.shape[0], integer_centres=True)
    got, valid = normals_from_depth(depth, camera)
    both = valid & (np.linalg.norm(reference, axis=-1) > 0.5)
    points = camera.unproject(depth)
    across, down = points[:-1, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, :-1]
    simple = np.cross(down, across)
    simple /= np.maximum(np.linalg.norm(simple, axis=-1, keepdims=True), 1e-12)
    cosine = (simple * reference[:-1, :-1]).sum(-1)[both[:-1, :-1]]
    assert np.percentile(cosine, 2) > 0.9999
    # The sensor's depth has steps, so single normals are noise; averaged over 15 x 15 pixels ours point the same way.
    import cv2

    means = [cv2.blur(np.where(both[..., None], field, 0).astype(np.float32), (15, 15)) for field in (got, reference)]
    first, second = (mean / np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9) for mean in means)
    agreement = (first * second).sum(-1)[both]
    assert np.median(agreement) > 0.95 and (agreement > 0).mean() > 0.99
    assert ((got * camera.rays()).sum(-1)[valid] <= 0).all()


def test_points_carry_their_colours() -> None:
    depth = plane_depth(np.array([0, 0, -1.0]), 3)
    valid = np.zeros(depth.shape, bool)
    valid[10:20, 30:50] = True
    depth[0, 0] = np.inf
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    points, colors = depth_to_points(depth, CAMERA, valid, image)
    assert points.shape == (200, 3) and np.allclose(points[:, 2], 3)
    np.testing.assert_array_equal(colors, image[valid])
    with pytest.raises(InputError, match="shape"):
        depth_to_points(depth, CAMERA, valid, image[:-1])


def test_voxels_keep_means_and_empty_clouds() -> None:
    points = np.array([[0.1, 0.1, 0.1], [0.3, 0.3, 0.3], [5, 5, 5]])
    small, colors, normals = voxel_downsample(
        points, 1.0, np.array([[0, 0, 0], [100, 0, 0], [7, 8, 9]], np.uint8), np.eye(3)
    )
    np.testing.assert_allclose(small, [[0.2, 0.2, 0.2], [5, 5, 5]], atol=1e-6)
    np.testing.assert_array_equal(colors, [[50, 0, 0], [7, 8, 9]])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1)
    assert voxel_downsample(np.zeros((0, 3)), 1)[0].shape == (0, 3)
    with pytest.raises(InputError):
        voxel_downsample(points, 0)


def longest_sides(mesh) -> np.ndarray:
    p = mesh.vertices[mesh.faces]
    return np.linalg.norm(p - np.roll(p, 1, 1), axis=-1).max(-1)


def test_mesh_of_a_plane_is_whole_and_faces_the_camera() -> None:
    mesh = depth_to_mesh(plane_depth(np.array([0, 0, -1.0]), 3), CAMERA)
    assert len(mesh.faces) == 2 * 95 * 63 and len(mesh.vertices) == 96 * 64
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    assert ((normal * a).sum(-1) < 0).all()


def test_mesh_is_torn_between_objects_but_not_on_a_slanted_road() -> None:
    road = plane_depth(np.array([0, -1.0, 0]), 1.5)
    road[(road <= 0) | (road > 60)] = 0
    whole = depth_to_mesh(road, CAMERA)
    squares = (road[:-1, :-1] > 0) & (road[1:, :-1] > 0)
    assert len(whole.faces) > 0.97 * 2 * squares[:, :95].sum()
    wall = plane_depth(np.array([0, 0, -1.0]), 10)
    wall[20:40, 30:60] = 4
    torn = depth_to_mesh(wall, CAMERA)
    assert longest_sides(torn).max() < 1
    expected = 2 * (95 * 63) - 2 * (2 * 30 + 2 * 20)  # at least every square on the rim of the box is gone
    assert expected - 2 * 8 <= len(torn.faces) <= expected + 2 * 8
    blurred = wall.copy()
    import cv2

    blurred = cv2.blur(wall, (5, 5))  # what a network makes of the edge
    assert longest_sides(depth_to_mesh(blurred, CAMERA)).max() < 2.5


def test_mesh_skips_invalid_pixels_and_unused_vertices() -> None:
    depth = plane_depth(np.array([0, 0, -1.0]), 3)
    depth[5, 5], depth[6, 40] = np.nan, 0
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mesh = depth_to_mesh(depth, CAMERA, image=image)
    assert np.isfinite(mesh.vertices).all() and (mesh.vertices[:, 2] > 0).all()
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)
    column, row = (mesh.uv * [96, 64]).astype(int).T
    np.testing.assert_array_equal(mesh.colors, image[row, column])
    assert len(depth_to_mesh(np.zeros((64, 96)), CAMERA).faces) == 0
    assert len(depth_to_mesh(np.ones((1, 1)), Pinhole.default(1, 1)).faces) == 0


def test_mesh_size_can_be_limited() -> None:
    mesh = depth_to_mesh(plane_depth(np.array([0, 0, -1.0]), 3), CAMERA, max_vertices=500)
    assert 100 < len(mesh.vertices) <= 500 and len(mesh.faces) > 100


def test_a_room_seen_all_around_becomes_a_closed_surface() -> None:
    camera = Equirectangular(128, 64)
    mesh = depth_to_mesh(room_range(camera), camera)
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).mean() > 0.995  # no seam, no holes at the poles
    assert counts.max() == 2
    directed = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)  # all triangles wind the same way
    p = mesh.vertices[mesh.faces].astype(np.float64)
    volume = abs(np.einsum("ij,ij->i", p[:, 0], np.cross(p[:, 1], p[:, 2])).sum()) / 6
    assert volume == pytest.approx(6 * 3 * 4, rel=0.03)
