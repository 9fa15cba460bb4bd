"""The pictures of a version of the world are pinned: whoever changes them raises `classes.WORLD_VERSION`, and with it the figures below."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from perception.datasets.world import World
from perception.datasets.world.classes import WORLD_VERSION
from perception.geometry.cameras import Pinhole

VERSION = 2
# (kind, style, seed): triangles; CRC of their corners, classes, things and materials (integers, so that rounding does not matter);
# mean distance of a corner from the origin in metres; mean red, green and blue of a picture with all effects of a camera.
PINNED = {
    ("street", "plausible", 2): (106765, 2048372475, 55.31961, [139.4, 145.8, 134.9]),
    ("street", "plausible", 4): (101108, 299764732, 81.33975, [92.8, 98.3, 99.6]),
    ("street", "wild", 1): (108916, 191138947, 91.84516, [84.5, 86.8, 85.7]),
    ("room", "plausible", 4): (18858, 632444953, 4.52837, [105.7, 108.6, 103.4]),
    ("room", "wild", 3): (16078, 1014348844, 3.88373, [70.6, 49.1, 72.2]),
}


def figures(kind: str, style: str, seed: int) -> tuple[int, int, float, list[float]]:
    world = World(seed, kind, style)
    mesh = world.scene.combined
    integers = (mesh.triangles, mesh.semantic, mesh.instance, mesh.material)
    crc = zlib.crc32(b"".join(np.ascontiguousarray(array).tobytes() for array in integers))
    reach = float(np.linalg.norm(mesh.vertices.astype(np.float64), axis=1).mean())
    image = world.render(Pinhole.from_fov(80, 60, 75), truth=()).image
    return len(mesh.triangles), crc, reach, image.reshape(-1, 3).mean(0).tolist()


@pytest.mark.parametrize("place", PINNED)
def test_a_version_keeps_its_pictures(place):
    triangles, crc, reach, colour = figures(*place)
    expected = PINNED[place]
    assert WORLD_VERSION == VERSION, "a new version has new figures: print `figures` of each place"
    assert (triangles, crc) == expected[:2], "scenes have changed: raise WORLD_VERSION"
    assert reach == pytest.approx(expected[2], rel=1e-5)
    np.testing.assert_allclose(colour, expected[3], atol=0.3, err_msg="pictures have changed: raise WORLD_VERSION")
