"""Shapes, rays and light: checked against geometry that is known."""

import numpy as np
import pytest

from perception.datasets.world import shapes
from perception.datasets.world.classes import CATEGORIES, GROUP_OF, ID, IGNORE, TRAINING_GROUPS
from perception.datasets.world.lighting import Lamps, Lighting
from perception.datasets.world.materials import Material, MaterialTable, srgb
from perception.datasets.world.mesh import Mesh, MeshBuilder, rotation
from perception.datasets.world.scene import Motion, Path, Route, Scene, SceneObject
from perception.datasets.world.shading import develop, shade


def volume(template) -> float:
    v, t = template
    a, b, c = (v[t[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


CLOSED = {
    "box": (shapes.unit_box(), 1.0),
    "bevelled": (shapes.unit_bevelled_box(0.12), None),
    "cylinder": (shapes.unit_cylinder(24), np.pi / 4),
    "cone": (shapes.unit_cylinder(24, 0.0), np.pi / 12),
    "sphere": (shapes.unit_sphere(3), np.pi / 6),
    "gable": (shapes.unit_gable(), 0.5),
    "hip": (shapes.unit_hip(0.25), None),
    "extrusion": (shapes.extrude(np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]), 0.5), 1.5),
}


@pytest.mark.parametrize("name", CLOSED)
def test_solids_are_closed_and_face_outwards(name):
    (vertices, triangles), expected = CLOSED[name]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    if name == "cone":  # the tip's ring has no extent
        vertices, index = np.unique(vertices.round(6), axis=0, return_inverse=True)
        triangles = index.reshape(-1)[triangles]
        triangles = triangles[[len(set(t)) == 3 for t in triangles.tolist()]]
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward = {tuple(e) for e in edges.tolist()}
    assert len(forward) == len(edges)  # no edge twice in one direction
    assert all((b, a) in forward for a, b in forward)  # each edge has its partner: closed, consistently wound
    size = volume((vertices, triangles))
    assert size > 0
    if expected is not None:
        assert size == pytest.approx(expected, rel=0.03)


def test_builder_broadcasts_copies():
    b = MeshBuilder(semantic=3)
    b.box([(0, 0, 1), (4, 0, 1)], (2, 2, 2), yaw=[0.0, np.pi / 4], material=[5, 6], instance=9)
    mesh = b.build()
    assert mesh.triangles.shape == (24, 3) and set(mesh.semantic) == {3} and set(mesh.instance) == {9}
    np.testing.assert_array_equal(mesh.material, [5] * 12 + [6] * 12)
    second = mesh.vertices[8:]
    np.testing.assert_allclose(second[:, 0].max(), 4 + np.sqrt(2), rtol=1e-5)  # turned by 45 degrees


def test_rotation_turns_left_and_nose_down():
    np.testing.assert_allclose(rotation(np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    assert (rotation(0.0, 0.3) @ [1, 0, 0])[2] < 0
    r = rotation(0.4, 0.2, -0.7)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(rotation(0, 0, 0.5) @ [0, 1, 0], [0, np.cos(0.5), np.sin(0.5)], atol=1e-6)


def scene_of(builder: MeshBuilder, table: MaterialTable, light: Lighting | None = None, objects=()) -> Scene:
    light = light or Lighting()
    return Scene(0, "street", "plausible", "clear", builder.build(), list(objects), table, light)


def plain_scene(light=None, objects=()):
    table = MaterialTable()
    grey = table.add(Material("", (0.5, 0.5, 0.5), specular=0.0))
    b = MeshBuilder(material=grey, semantic=ID["road"])
    b.box((0, 0, -0.5), (200, 200, 1))
    b.box((10, 0, 1), (2, 2, 2), semantic=ID["building"])
    return scene_of(b, table, light, objects)


def test_rays_meet_known_surfaces():
    posed = plain_scene().at(0.0)
    directions = np.float32([[1, 0, 0], [0, 0, -1], [0, 0, 1]])
    hits = posed.cast(np.float32([0, 0, 1]), directions)
    np.testing.assert_allclose(hits.t, [9, 1, np.inf], rtol=1e-6)
    np.testing.assert_array_equal(hits.valid, [True, True, False])
    np.testing.assert_allclose(hits.normal, [[-1, 0, 0], [0, 0, 1], [0, 0, 0]], atol=1e-6)
    np.testing.assert_array_equal(hits.semantic, [ID["building"], ID["road"], ID["sky"]])
    np.testing.assert_allclose(hits.position, [[9, 0, 1], [0, 0, 0], [0, 0, 0]], atol=1e-5)
    np.testing.assert_allclose(hits.local[0], [9, 0, 1], atol=1e-5)
    assert hits.material[2] == -1 and hits.instance.tolist() == [0, 0, 0]


def test_occlusion_reaches_as_far_as_it_says():
    posed = plain_scene().at(0.0)
    origins, directions = np.float32([[0, 0, 1]] * 2), np.float32([[1, 0, 0]] * 2)
    assert posed.occluded(origins, directions).tolist() == [True, True]
    assert posed.occluded(origins, directions, 8.9).tolist() == [False, False]
    assert posed.occluded(origins, directions, np.array([8.9, 9.1])).tolist() == [False, True]


def test_objects_move_and_carry_their_instance():
    b = MeshBuilder(semantic=ID["car"])
    b.box((0, 0, 0), (4, 2, 1.5))
    path = Path([(0, 5, 0), (100, 5, 0)])
    item = SceneObject(7, ID["car"], b.build(), (4, 2, 1.5), Motion(path=path, start=5, speed=10, lift=0.75))
    scene = plain_scene(objects=[item])
    np.testing.assert_allclose(item.pose(0.5)[:3, 3], [10, 5, 0.75])
    np.testing.assert_allclose(item.velocity(0.5), [10, 0, 0], atol=1e-3)
    for time, ahead in ((0.0, 3.0), (0.5, 8.0)):
        hit = scene.at(time).cast(np.float32([0, 5, 0.75]), np.float32([[1, 0, 0]]))
        assert hit.t[0] == pytest.approx(ahead, abs=1e-4) and hit.instance[0] == 7
        assert hit.local[0] == pytest.approx([-2, 0, 0], abs=1e-4)  # textures stick to the object
    assert scene.at(0.5) is scene.at(0.5)
    assert scene.object(7) is item


def test_route_is_smooth_and_ends_on_its_path():
    route = Route(Path([(0, 0, 0), (60, 0, 0)]), 10.0, 8.0)
    times = np.linspace(0, 60, 601)
    along = np.array([route.distance(t) for t in times])
    step = np.diff(along) / np.diff(times)
    assert along[0] == 10 and along[-1] < 60 and (step >= 0).all()
    assert (
        step[0] == pytest.approx(8.0) and np.abs(np.diff(step)).max() < 0.4
    )  # 5 % of the speed in a tenth of a second


def floor_light(light: Lighting, shape=(24, 32)):
    """Radiance of a floor seen from above, as a picture."""
    scene = plain_scene(light)
    height, width = shape
    x, y = np.meshgrid(np.linspace(-8, 8, width), np.linspace(8, -8, height))
    target = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    eye = np.float32([-2, 0, 12])
    directions = target - eye
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    posed = scene.at(0.0)
    hits = posed.cast(eye, directions)
    return shade(posed, hits, eye, directions, 0.01, shape).reshape(*shape, 3), target.reshape(*shape, 3)


def test_open_floor_has_the_light_it_should():
    light = Lighting(sun_direction=(0, 0, 1), sun_colour=(0.8, 0.7, 0.6), sun_size=0.0)
    image, target = floor_light(light)
    far = np.linalg.norm(target[..., :2] - [10, 0], axis=-1) > 8
    expected = 0.5 * (np.array(light.sun_colour) + np.array(light.ambient_up))
    np.testing.assert_allclose(image[far], np.broadcast_to(expected, image[far].shape), rtol=1e-3)


def test_things_cast_shadows_and_occlude():
    low = Lighting(sun_direction=(0.8, 0, 0.6), sun_colour=(1, 1, 1), sun_size=0.0)
    image, target = floor_light(low)
    # The box from x = 9 to 11 is 2 m high: with the sun at 3/4 its shadow falls from x = 9 back to 6.3.
    inside = (target[..., 0] > 6.6) & (target[..., 0] < 8.9) & (np.abs(target[..., 1]) < 0.8)
    lit = target[..., 0] < 5
    assert (image[inside].max(0) < 0.55 * image[lit].min(0)).all()


def test_half_resolution_light_is_smooth_on_flat_ground():
    """The sampling pattern must not show: on an open floor the occlusion is the same at every pixel."""
    image, target = floor_light(Lighting(sun_colour=(0, 0, 0)))
    open_floor = np.linalg.norm(target[..., :2] - [10, 0], axis=-1) > 8
    assert np.ptp(image[open_floor], axis=0).max() < 1e-5


def test_lamps_fall_off_with_the_square_and_shine_in_cones():
    light = Lighting(sun_colour=(0, 0, 0), ambient_up=(0, 0, 0), ambient_side=(0, 0, 0), ambient_down=(0, 0, 0))
    light.lamps = Lamps.points([(-4, 0, 3)], (9.0, 9.0, 9.0), radius=0.0)
    image, target = floor_light(light, (96, 128))
    under = np.argmin(np.linalg.norm(target[..., :2] - [-4, 0], axis=-1))
    assert image.reshape(-1, 3)[under] == pytest.approx(0.5, rel=0.05)  # 9 / 3^2 * albedo
    light.lamps = Lamps.spots([(-4, 0, 3)], (9.0, 9.0, 9.0), (0, 0, -1), cone=0.9, soft=0.05, radius=0.0)
    image, target = floor_light(light, (96, 128))
    far = np.linalg.norm(target[..., :2] - [-4, 0], axis=-1) > 3
    assert image[far].max() == 0 and image.reshape(-1, 3)[under].min() > 0.4


def test_haze_hides_what_is_far():
    light = Lighting(haze_density=0.5, haze_colour=(0.3, 0.6, 0.9))
    image, _ = floor_light(light)
    np.testing.assert_allclose(image, np.broadcast_to(light.haze_colour, image.shape), atol=0.02)


@pytest.mark.parametrize("weather", ["clear", "rain", "night"])
def test_pictures_of_streets_are_finite_and_normals_unit(weather):
    from perception.datasets.world.street import build_street

    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([11, 1])))
    scene = build_street(rng, weather=weather)
    pose = scene.route.pose(0.0)
    u, v = np.meshgrid((np.arange(64) + 0.5) / 32 - 1, (np.arange(40) + 0.5) / 32 - 0.6)
    local = np.stack([np.ones_like(u), -u, -v], -1).reshape(-1, 3)
    directions = local / np.linalg.norm(local, axis=1, keepdims=True) @ pose[:3, :3].T
    directions = directions.astype(np.float32)
    eye = pose[:3, 3] + np.float32([0, 0, 1.5])
    posed = scene.at(0.0)
    hits = posed.cast(eye, directions)
    radiance = shade(posed, hits, eye, directions, 1 / 32, (40, 64))
    assert radiance.dtype == np.float32 and np.isfinite(radiance).all() and radiance.min() >= 0
    again = shade(posed, posed.cast(eye, directions), eye, directions, 1 / 32, (40, 64))
    np.testing.assert_array_equal(radiance, again)
    length = np.linalg.norm(hits.normal[hits.valid], axis=1)
    np.testing.assert_allclose(length, 1, atol=1e-4)
    assert (np.einsum("ij,ij->i", hits.normal, directions)[hits.valid] <= 1e-6).all()
    picture = develop(radiance, scene.lighting.exposure)
    assert picture.dtype == np.uint8 and 10 < picture.mean() < 245 and picture.std() > 10


def test_single_rays_without_a_picture_are_shaded_too():
    posed = plain_scene().at(0.0)
    directions = np.float32([[0.6, 0, -0.8], [0, 0, 1.0]])
    hits = posed.cast(np.float32([0, 0, 1]), directions)
    radiance = shade(posed, hits, np.float32([0, 0, 1]), directions)
    assert radiance.shape == (2, 3) and (radiance > 0).all()


def test_empty_scene_is_all_sky():
    table = MaterialTable()
    scene = Scene(0, "street", "plausible", "clear", Mesh.empty(), [], table, Lighting())
    posed = scene.at(0.0)
    hits = posed.cast(np.zeros(3, np.float32), np.float32([[1, 0, 0]]))
    assert not hits.valid.any()
    assert shade(posed, hits, np.zeros(3, np.float32), np.float32([[1, 0, 0]])).shape == (1, 3)


def test_classes():
    assert [c.id for c in CATEGORIES] == list(range(len(CATEGORIES)))
    assert (ID["sky"], ID["car"], ID["clutter"]) == (0, 11, 38)
    assert GROUP_OF[IGNORE] == IGNORE
    assert set(GROUP_OF[: len(CATEGORIES)]) == set(range(len(TRAINING_GROUPS)))


def test_materials_are_shared_and_tabled():
    table = MaterialTable()
    a = table.add(Material("", srgb("#ffffff")))
    assert table.add(Material("", srgb(1.0, 1.0, 1.0))) == a
    b = table.add(Material("", (0.1, 0.2, 0.3), emission=2.0))
    assert len(table) == 2 and table.arrays.emission.tolist() == [0.0, 2.0]
    np.testing.assert_allclose(table.arrays.tint2[b], [0.035, 0.07, 0.105])
    assert srgb("#808080")[0] == pytest.approx(0.2158, abs=1e-3)
