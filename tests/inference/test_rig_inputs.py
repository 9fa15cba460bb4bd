"""Rigs written as JSON and read back; camera and radar numbers of the wrong kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.geometry.cameras import Pinhole
from perception.geometry.rig import Rig, RigCamera
from perception.inference.rig_inputs import rig_from_json, rig_to_json

IMAGE = np.zeros((6, 8, 3), np.uint8)
CAMERA = RigCamera(IMAGE, Pinhole(5, 5, 4, 3, 8, 6), np.eye(4), "front")
# One radar's sweep 1 is as old as the other's sweep 2: both columns tell points apart.
POINTS = np.array(
    [[10, 1, 0, 5, 1, 0.5, 0, 0], [11, 1, 0, 5, 1, 0, 1, 0.08], [12, 2, 1, 4, 0, 0, 2, 0.08], [9, 1, 0, 5, 2, 0, 0, 0]],
    np.float32,
)


def test_radar_sweeps_come_back(tmp_path) -> None:
    again = rig_from_json(rig_to_json(Rig([CAMERA], POINTS, np.eye(4), 1.5, "s"), tmp_path)).radar_points
    np.testing.assert_allclose(again[np.lexsort(again.T)], POINTS[np.lexsort(POINTS.T)], atol=1e-4)


def test_a_radar_that_sees_nothing_is_no_missing_radar(tmp_path) -> None:
    assert rig_from_json(rig_to_json(Rig([CAMERA], POINTS[:0]), tmp_path / "empty")).radar_points.shape == (0, 8)
    assert rig_from_json(rig_to_json(Rig([CAMERA]), tmp_path / "none")).radar_points is None


def test_tensors_make_rigs_and_cameras_even_those_that_are_trained() -> None:
    from perception.inference.cameras import resolve_camera
    from perception.io.images import load_image

    matrix = torch.tensor([[5.0, 0, 4], [0, 5, 3], [0, 0, 1]], requires_grad=True)
    rig = Rig.from_arrays([torch.zeros(6, 8, 3, dtype=torch.uint8)], [matrix], torch.eye(4, requires_grad=True)[None])
    assert rig.cameras[0].camera.cx == 4
    assert resolve_camera(load_image(IMAGE), matrix).fx == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([IMAGE] * 2, [np.eye(3)] * 2, [np.eye(4)] * 2, ["front"]), "2 pictures need as many names; found 1"),
        (([IMAGE] * 2, [np.eye(3), np.eye(2)], [np.eye(4)] * 2), "intrinsics must hold numbers"),
        (([IMAGE], [np.eye(3)], [["a"]]), "ego_from_camera must hold numbers"),
    ],
)
def test_arrays_that_make_no_rig_are_one_sentence(arguments: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rig.from_arrays(*arguments)
