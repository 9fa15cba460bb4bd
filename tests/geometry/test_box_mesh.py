"""Boxes as bars: where they are, how thick, and that they stand upright in a viewer."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from perception.geometry import boxes3d
from perception.geometry.box_mesh import bars_mesh, boxes_mesh, joined
from perception.results import Boxes3DResult, OccupancyResult, PointCloud


def volume(mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def glb_positions(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    length = struct.unpack("<I", raw[12:16])[0]
    document = json.loads(raw[20 : 20 + length])
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    start = 28 + length + document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    return np.frombuffer(raw, "<f4", accessor["count"] * 3, start).reshape(-1, 3)


def test_bars_are_closed_solids_of_their_length_and_width() -> None:
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(9, 3)) * 5, rng.normal(size=(9, 3)) * 5
    width = rng.uniform(0.05, 0.2, 9)
    mesh = bars_mesh(start, end, np.zeros((9, 3), np.uint8), width)
    expected = (width**2 * (np.linalg.norm(end - start, axis=1) + width)).sum()
    assert volume(mesh) == pytest.approx(expected, rel=1e-3)  # positive: triangles turn outwards
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_bars_lie_on_the_edges(frame: str) -> None:
    box = np.array([[2.0, 1.0, 9.0, 4.0, 1.8, 1.5, 0.7]])
    mesh = boxes_mesh(box, frame, np.array([[9, 8, 7]], np.uint8), 0.06)
    assert len(mesh.faces) == 14 * 12 and (mesh.colors == (9, 8, 7)).all()
    corners = boxes3d.corners(box, frame)[0]
    near = np.linalg.norm(mesh.vertices[:, None] - corners[None], axis=-1).min(1)
    assert near.max() < 0.06  # every vertex of a bar is at a corner of the box
    both = joined([mesh, mesh])
    assert len(both.vertices) == 2 * len(mesh.vertices) and both.faces.max() == len(both.vertices) - 1


def test_what_lies_in_the_vehicle_frame_stands_upright_in_a_viewer(tmp_path: Path) -> None:
    """glTF: y up, forward is -z. A tall thing in front of and to the left of the vehicle."""
    labels = np.full((10, 10, 10), 17, np.uint8)
    labels[8, 7, 1:9] = 15
    OccupancyResult(labels, (-5, -5, 0), (1, 1, 1)).save(tmp_path)
    PointCloud(np.array([[3.5, 2.5, 1.0], [3.5, 2.5, 9.0]]), frame="ego").save(tmp_path / "cloud.glb")
    Boxes3DResult(np.array([[3.5, 2.5, 5, 1, 1, 8, 0]]), np.array([0]), frame="ego").save(tmp_path)
    for name in ("occupancy.glb", "cloud.glb", "boxes3d.glb"):
        points = glb_positions(tmp_path / name)
        np.testing.assert_allclose([points[:, 1].min(), points[:, 1].max()], [1, 9], atol=0.1, err_msg=name)
        np.testing.assert_allclose(points[:, [0, 2]].mean(0), [-2.5, -3.5], atol=0.1, err_msg=name)
