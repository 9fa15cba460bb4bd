"""Truncation, occlusion and visibility on scenes whose answers are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from perception.datasets.world import rigs, truth
from perception.datasets.world.classes import ID
from perception.datasets.world.lighting import Lighting
from perception.datasets.world.materials import Material, MaterialTable
from perception.datasets.world.mesh import Mesh, MeshBuilder
from perception.datasets.world.render import panoptic
from perception.datasets.world.scene import Motion, Scene, SceneObject
from perception.geometry import boxes3d
from perception.geometry.cameras import Pinhole

CAMERA = Pinhole.from_fov(200, 100, 90)  # focal length 100 pixels
POSE = rigs.camera_pose(0, 0, 0)  # at the origin, looking along +x


def scene_of(*objects: tuple[str, tuple, tuple]) -> Scene:
    """Boxes: (category, centre, size)."""
    materials = MaterialTable()
    paint = materials.add(Material("", (0.5, 0.5, 0.5)))
    items = []
    for number, (name, centre, size) in enumerate(objects, 1):
        builder = MeshBuilder(material=paint, semantic=ID[name])
        builder.box((0, 0, 0), size)
        items.append(SceneObject(number, ID[name], builder.build(), size, Motion(centre)))
    return Scene(0, "street", "plausible", "clear", Mesh.empty(), items, materials, Lighting())


def boxes_of(scene: Scene, camera: Pinhole = CAMERA, pose: np.ndarray = POSE) -> truth.Boxes:
    rays = camera.rays(unit=True).reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    hits = scene.at(0.0).cast(pose[:3, 3].astype(np.float32), rays)
    return truth.camera_boxes(scene, 0.0, camera, pose, hits.instance.reshape(camera.height, camera.width))


def test_box_in_the_open():
    boxes = boxes_of(scene_of(("car", (11, 0, 0), (2, 2, 1))))
    # front face at 10 m, 2 m wide, 1 m high, focal 100 px: 20 x 10 px about the centre (100, 50)
    np.testing.assert_allclose(boxes.box2d_full[0], [90, 45, 110, 55], atol=1e-3)
    np.testing.assert_allclose(boxes.box2d[0], [90, 45, 110, 55])
    assert boxes.visible_pixels[0] == 200
    assert boxes.truncation[0] == 0 and boxes.occlusion[0] == 0 and boxes.visibility[0] == 1
    np.testing.assert_allclose(boxes.boxes3d[0], [0, 0, 11, 2, 2, 1, np.pi / 2], atol=1e-5)
    np.testing.assert_allclose(boxes.corners[0], boxes3d.corners(boxes.boxes3d, "camera")[0], atol=1e-5)


def test_truncation_is_the_share_outside_the_picture():
    # centre exactly on the left border ray (45 degrees): a thin plate facing the camera, half outside
    boxes = boxes_of(scene_of(("car", (10, 10, 0), (0.001, 4, 2))))
    assert boxes.truncation[0] == pytest.approx(0.5, abs=0.01)
    assert boxes.visibility[0] == 1 and boxes.occlusion[0] == 0  # what is inside the picture is in full view


@pytest.mark.parametrize(("shift", "share", "level"), [(2.0, 1.0, 0), (0.7, 0.7, 1), (0.4, 0.4, 2), (0.0, 0.0, 3)])
def test_occlusion_is_the_covered_share(shift, share, level):
    # two plates of equal apparent size, the near one moved sideways by a share of its width
    scene = scene_of(("car", (20, 0, 0), (0.001, 4, 2)), ("truck", (10, 2 * shift, 0), (0.001, 2, 1.0)))
    boxes = boxes_of(scene)
    car = int(np.flatnonzero(boxes.instance == 1)[0])
    assert boxes.visibility[car] == pytest.approx(share, abs=0.08)
    assert boxes.occlusion[car] == level
    assert np.isnan(boxes.box2d[car]).all() == (share == 0)


def test_nuscenes_visibility_levels():
    np.testing.assert_array_equal(truth.visibility_level(np.array([0.1, 0.5, 0.7, 0.95])), [1, 2, 3, 4])


def test_object_around_the_camera_has_a_finite_box():
    boxes = boxes_of(scene_of(("bus", (0.5, 0, -1.5), (12, 3, 1.0))))
    assert np.isfinite(boxes.box2d_full).all() and boxes.truncation[0] > 0.5


def test_objects_behind_the_camera_are_left_out():
    assert len(boxes_of(scene_of(("car", (-10, 0, 0), (4, 2, 2))))) == 0
    assert len(boxes_of(scene_of())) == 0


def test_turned_object_and_camera():
    scene = scene_of(("car", (10, 2, 0), (4, 2, 1.5)))
    scene.objects[0].motion.yaw = 0.5
    pose = rigs.camera_pose(1, -1, 0.5, 0.2)
    boxes = boxes_of(scene, pose=pose)
    assert boxes.boxes3d[0, 6] == pytest.approx(np.pi / 2 + 0.5 - 0.2, abs=1e-5)
    np.testing.assert_allclose(boxes.corners, boxes3d.corners(boxes.boxes3d, "camera"), atol=1e-4)


def test_select_keeps_rows_together():
    boxes = boxes_of(scene_of(("car", (11, 0, 0), (2, 2, 1)), ("person", (8, 3, 0), (0.5, 0.5, 1.8))))
    person = boxes.select(boxes.category == ID["person"])
    assert len(person) == 1 and person.instance[0] == 2 and len(person.model) == 1


def test_panoptic_ids():
    semantic = np.array([[0, 11, 11, 1]], np.uint8)
    np.testing.assert_array_equal(panoptic(semantic, np.array([[0, 3, 4, 9]])), [[0, 1100003, 1100004, 100000]])
