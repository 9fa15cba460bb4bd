"""Tensor functions agree with the NumPy cameras."""

from __future__ import annotations

import numpy as np
import torch

from perception.geometry import Equirectangular, Pinhole, rays


def cameras() -> list[Pinhole]:
    return [Pinhole(40, 50, 11, 17, 24, 31), Pinhole(33, 34, 12.5, 15, 24, 31)]


def test_pinhole_rays_unproject_and_project_agree_with_the_camera() -> None:
    k = torch.tensor(np.stack([c.matrix for c in cameras()]), dtype=torch.float32)
    depth = torch.rand(2, 31, 24) * 9 + 1
    got_rays, points = rays.pinhole_rays(k, 31, 24), rays.unproject(depth, k)
    for i, camera in enumerate(cameras()):
        np.testing.assert_allclose(got_rays[i].permute(1, 2, 0).numpy(), camera.rays(), atol=1e-6)
        np.testing.assert_allclose(
            points[i].permute(1, 2, 0).numpy(), camera.unproject(depth[i].numpy()), rtol=1e-5, atol=1e-5
        )
    flat = points.flatten(2).transpose(1, 2)
    pixels, z = rays.project(flat, k)
    grid = rays.pixel_grid(31, 24).reshape(-1, 2)
    np.testing.assert_allclose(pixels.numpy(), grid.expand(2, -1, -1).numpy(), atol=1e-3)
    np.testing.assert_allclose(z.reshape(2, 31, 24).numpy(), depth.numpy(), rtol=1e-6)
    np.testing.assert_allclose(rays.pinhole_rays(k, 31, 24, unit=True).norm(dim=1).numpy(), 1, atol=1e-6)


def test_projection_behind_the_camera_stays_finite_and_has_gradients() -> None:
    points = torch.tensor([[[1.0, 1.0, -2.0], [0.0, 0.0, 0.0]]], requires_grad=True)
    pixels, _ = rays.project(points, torch.eye(3)[None])
    pixels.sum().backward()
    assert torch.isfinite(pixels).all() and torch.isfinite(points.grad).all()


def test_panorama_rays_agree_with_the_camera() -> None:
    camera = Equirectangular(40, 20)
    got = rays.equirectangular_rays(20, 40)
    np.testing.assert_allclose(got.permute(1, 2, 0).numpy(), camera.rays(), atol=1e-6)
    pixels, distance = rays.equirectangular_project(got.permute(1, 2, 0) * 3, 20, 40)
    np.testing.assert_allclose(pixels.numpy(), rays.pixel_grid(20, 40).numpy(), atol=1e-4)
    np.testing.assert_allclose(distance.numpy(), 3, rtol=1e-6)


def test_grids_are_cached_by_dtype_and_size() -> None:
    assert rays.pixel_grid(3, 4) is rays.pixel_grid(3, 4)
    assert rays.pixel_grid(3, 4, dtype=torch.float64).dtype == torch.float64
    assert rays.pixel_grid(4, 3).shape == (4, 3, 2)


def test_normals_of_a_plane_look_at_the_camera() -> None:
    camera = cameras()[0]
    normal = np.array([0.3, -0.8, -0.6])
    normal /= np.linalg.norm(normal)
    depth = -5 / (camera.rays() @ normal)
    k = torch.tensor(camera.matrix, dtype=torch.float64)
    got = rays.normals_from_points(rays.unproject(torch.tensor(depth), k))
    inner = got[:, 1:-1, 1:-1].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(inner, np.broadcast_to(normal, inner.shape), atol=1e-6)
