"""Inverse depth: what it refuses, and its way to metres."""

import numpy as np
import pytest

from perception.errors import InputError
from perception.results import DepthResult


def truth():
    z = np.linspace(3, 40, 60 * 80).reshape(60, 80).astype(np.float32)
    return z, DepthResult((1 / z - 0.01) / 0.35, kind="inverse")


def known(z, count, seed=0):
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, 60, count), rng.integers(0, 80, count)
    return np.stack([column + 0.5, row + 0.5, z[row, column]], 1)


@pytest.mark.parametrize("count", [2, 50])
def test_two_points_are_enough(count):
    z, inverse = truth()
    metric = inverse.fit_metric(known(z, count))
    assert metric.kind == "metric" and metric.valid.mean() > 0.99
    np.testing.assert_allclose(metric.depth[metric.valid], z[metric.valid], rtol=1e-3)


def test_relative_depth_needs_one_point():
    z, _ = truth()
    metric = DepthResult(z * 7, kind="relative").fit_metric(known(z, 1))
    np.testing.assert_allclose(metric.depth, z, rtol=1e-4)


def test_points_outside_or_unknown_are_not_used():
    z, inverse = truth()
    points = np.concatenate([known(z, 20), [[-5, 3, 9.0], [200, 3, 9.0], [4, 4, np.nan], [4, 4, 0]]])
    np.testing.assert_allclose(inverse.fit_metric(points).depth[10], z[10], rtol=1e-3)


def test_refusals():
    z, inverse = truth()
    with pytest.raises(InputError, match="at least 2"):
        inverse.fit_metric(known(z, 1))
    with pytest.raises(InputError, match="contradict"):
        inverse.fit_metric(np.stack([[0.5, 0.5, 40.0], [79.5, 59.5, 3.0]]))
    with pytest.raises(InputError, match="N, 3"):
        inverse.fit_metric(np.zeros((3, 2)))
    with pytest.raises(InputError, match="inverse and relative"):
        DepthResult(z).fit_metric(known(z, 3))
    for call in (inverse.points, inverse.normals, inverse.point_cloud, inverse.mesh):
        with pytest.raises(InputError, match="fit_metric"):
            call()


def test_inverse_depth_is_saved_without_3d_files(tmp_path):
    _, inverse = truth()
    paths = inverse.save(tmp_path)
    assert paths["depth_png"].exists() and not [p for p in tmp_path.iterdir() if p.suffix in (".ply", ".glb")]
