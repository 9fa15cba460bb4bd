"""Camera motion: known rotations and scales give their numbers."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.errors import InputError
from perception.evaluation.motion import MotionEvaluator, motion_matrices


def test_axis_angle_is_a_rotation_about_that_axis() -> None:
    values = np.random.default_rng(0).normal(0, 1, (20, 6))
    values[0, :3] = 0
    matrices = motion_matrices(values)
    np.testing.assert_allclose(matrices[:, :3, :3], Rotation.from_rotvec(values[:, :3]).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(matrices[:, :3, 3], values[:, 3:])
    with pytest.raises(InputError, match="shape"):
        motion_matrices(np.zeros((2, 5)))


def test_a_free_scale_is_forgiven_a_wrong_turn_is_not() -> None:
    rng = np.random.default_rng(1)
    evaluator = MotionEvaluator()
    for index in range(4):
        truth = motion_matrices(np.concatenate([rng.normal(0, 0.05, (2, 3)), rng.normal(0, 1, (2, 3))], 1))
        found = truth.copy()
        found[:, :3, :3] = found[:, :3, :3] @ Rotation.from_euler("y", 2.0, degrees=True).as_matrix()
        found[:, :3, 3] *= 7.0
        evaluator.update(
            [{"neighbour_from_camera": found}], {"neighbour_from_camera": truth[None], "meta": [{"index": index}]}
        )
    got = evaluator.compute()
    assert got["rotation_mean"] == pytest.approx(2.0) and got["rotation_median"] == pytest.approx(2.0)
    assert got["direction_mean"] == pytest.approx(0, abs=1e-5) and got["translation_mean"] == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="no motions"):
        evaluator.update([{}], {"neighbour_from_camera": truth[None], "meta": [{"index": 9}]})
