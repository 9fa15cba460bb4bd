"""Weaknesses of LiDAR and radar, motion over time, and the truths of a rig."""

from __future__ import annotations

import numpy as np
import pytest

from perception.datasets.world import lidar, motion_truth, radar, rigs, truth
from perception.datasets.world.classes import ID
from perception.datasets.world.lighting import Lighting
from perception.datasets.world.materials import RADAR_METAL, Material, MaterialTable
from perception.datasets.world.mesh import Mesh, MeshBuilder
from perception.datasets.world.render import World
from perception.datasets.world.rendered import relative_pose
from perception.datasets.world.scene import Motion, Path, Scene, SceneObject
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole

CAMERA = Pinhole.from_fov(160, 120, 75)
RADAR = rigs.pose(0, 0, 0.5)


def scene_of(*objects: tuple[str, tuple, tuple, float]) -> Scene:
    """Things on a metal-free floor: (category, centre, size, LiDAR reflectance)."""
    table = MaterialTable()
    floor = MeshBuilder(material=table.add(Material("", (0.2, 0.2, 0.2), lidar_reflectance=0.15)), semantic=ID["road"])
    floor.box((0, 0, -0.5), (300, 300, 1))
    items = []
    for number, (name, centre, size, reflectance) in enumerate(objects, 1):
        paint = Material("", (0.5, 0.5, 0.5 + 0.01 * number), lidar_reflectance=reflectance, radar_class=RADAR_METAL)
        builder = MeshBuilder(material=table.add(paint), semantic=ID[name])
        builder.box((0, 0, 0), size)
        items.append(SceneObject(number, ID[name], builder.build(), size, Motion(centre)))
    return Scene(0, "street", "plausible", "clear", floor.build(), items, table, Lighting())


def radar_of(
    scene: Scene, seed: int = 0, velocity=(0.0, 0.0, 0.0), headings: float = 0.0, **options
) -> radar.RadarScan:
    motion = {item.id: (np.zeros(3), headings) for item in scene.objects}
    classes = scene.materials.arrays.radar_class
    return radar.scan(scene.at(0.0), classes, RADAR, np.array(velocity), motion, np.random.default_rng(seed), **options)


def test_radar_sees_vehicles_better_than_people():
    scene = scene_of(("car", (20, -6, 0.8), (4, 1.8, 1.6), 0.5), ("person", (20, 6, 0.9), (0.5, 0.5, 1.8), 0.3))
    scan = radar_of(scene, noise=False)
    strongest = {i: scan.rcs[scan.instance == i].max() for i in (1, 2)}
    assert strongest[1] > strongest[2] + 5
    total = 10 * np.log10((10 ** (scan.rcs[scan.instance == 1] / 10)).sum())
    front, side = radar.RCS["car"]
    assert front - 1 < total < side + 1


def test_radar_cross_section_depends_on_the_aspect():
    scene = scene_of(("car", (20, 0, 0.8), (3, 3, 1.6), 0.5))
    totals = []
    for heading in (0.0, np.pi / 2):
        scan = radar_of(scene, headings=heading, noise=False)
        totals.append(10 * np.log10((10 ** (scan.rcs[scan.instance == 1] / 10)).sum()))
    assert totals[1] - totals[0] == pytest.approx(6.0, abs=1.5)  # broadside against head-on


def test_radar_has_clutter_ghosts_and_drop_out():
    scene = scene_of(*[("car", (15 + 6 * k, 3 * (-1) ** k, 0.8), (4, 1.8, 1.6), 0.5) for k in range(6)])
    exact = radar_of(scene, noise=False)
    assert (exact.instance >= 0).all() and (exact.false_alarm_index == 0).all()
    scans = [radar_of(scene, seed) for seed in range(40)]
    kinds = np.concatenate([scan.false_alarm_index for scan in scans])
    assert (kinds == 1).sum() > 5  # ghosts
    assert 1.5 < (kinds == 2).sum() / 40 < 5  # clutter
    found = np.array([len(np.unique(scan.instance[scan.instance > 0])) for scan in scans])
    assert found.min() < found.max() <= 6
    assert all((scan.points[:, 2] == 0).all() for scan in scans)
    nearest = np.concatenate([scan.range[scan.instance == 1] for scan in scans])
    assert 0.02 < np.std(nearest[np.abs(nearest - 13.0) < 0.8]) < 0.5


def test_radars_measure_13_times_a_second():
    for sensor in rigs.surround_rig().radars:
        times = [sensor.time(t) for t in np.arange(0, 1, 1 / 13) + sensor.phase_s]
        np.testing.assert_allclose(np.diff(times), 1 / 13, atol=1e-9)


@pytest.mark.parametrize(("name", "beams"), [("spinning32", 32), ("spinning64", 64)])
def test_lidar_drops_returns_and_tells_materials_apart(name, beams):
    scene = scene_of(("car", (12, -3, 1), (2, 3, 2), 0.8), ("car", (12, 3, 1), (2, 3, 2), 0.1))
    pattern, pose = lidar.PATTERNS[name], rigs.pose(0, 0, 1.8)
    table = scene.materials.arrays.lidar_reflectance
    dry, wet = (lidar.scan(scene.at(0.0), table, pose, pattern, np.random.default_rng(1), w) for w in (0.0, 1.0))
    assert set(np.unique(dry.ring)) <= set(range(beams)) and len(np.unique(dry.ring)) > beams // 2
    bright, dull = (np.median(dry.intensity[dry.instance == i]) for i in (1, 2))
    assert bright > 4 * dull > 0
    rays = (lidar.directions(pattern.elevations, pattern.columns)[:, 2] < -0.03).sum()
    assert 0.8 * rays < len(dry.points) < rays * 1.1
    assert len(wet.points) < 0.95 * len(dry.points)  # rain drops more


def test_instances_keep_their_ids_and_move_with_their_velocity():
    world = next(w for w in (World(s, "street") for s in range(3, 20)) if _moving(w))
    step = 0.05
    before, after = (dict(zip(*truth.scene_boxes(world.scene, t), strict=True)) for t in (1.0 - step, 1.0 + step))
    assert before.keys() == after.keys()
    for item in world.scene.objects:
        speed = (after[item.id][:3] - before[item.id][:3]) / (2 * step)
        np.testing.assert_allclose(item.velocity(1.0), speed, atol=0.02)
        moving = item.attribute in ("vehicle.moving", "pedestrian.moving")
        assert not moving or np.linalg.norm(speed) > 0.3
        assert item.attribute.split(".")[0] in ("", "vehicle", "pedestrian", "cycle")
    frame = world.render(CAMERA, time=1.0, truth=("boxes",))
    rotation = frame.world_from_camera[:3, :3]
    np.testing.assert_allclose(frame.boxes.velocity @ rotation.T, frame.boxes.velocity_world, atol=1e-4)


def _moving(world: World) -> list[SceneObject]:
    return [item for item in world.scene.objects if item.motion.moving]


def test_depth_lands_in_another_view_and_looks_the_same():
    """Matt surfaces look alike from two places: the picture of one view, warped by depth, is the other one's."""
    world = World(4, "room")
    first = world.render(CAMERA, effects=False)
    moved = first.world_from_camera.copy()
    moved[:3, 3] += moved[:3, :3] @ [0.15, 0.02, 0.1]
    second = world.render(CAMERA, world_from_camera=moved, effects=False)
    points = CAMERA.unproject(first.depth)[first.valid].astype(np.float64)
    pixels, depth = CAMERA.project(transforms.apply(relative_pose(second, first), points))
    column, row = np.floor(pixels).astype(int).T
    use = (column >= 0) & (column < CAMERA.width) & (row >= 0) & (row < CAMERA.height)
    column, row = column[use], row[use]
    use[use] = np.abs(second.depth[row, column] / depth[use] - 1) < 0.01
    column, row = np.floor(pixels[use]).astype(int).T
    here = first.image[first.valid][use].astype(float)
    error = np.abs(second.image[row, column] - here).mean()
    unrelated = np.abs(np.roll(second.image, 31, 1)[row, column] - here).mean()
    assert use.mean() > 0.5 and error < 0.35 * unrelated


def test_flow_of_a_known_motion():
    """A plate that slides to the left at 10 m: flow, scene flow and disparity have closed forms."""
    table = MaterialTable()
    builder = MeshBuilder(material=table.add(Material("", (0.5, 0.5, 0.5))), semantic=ID["car"])
    builder.box((0, 0, 0), (0.1, 6, 6))
    path = Path([(10.05, -50, 0), (10.05, 50, 0)])
    item = SceneObject(1, ID["car"], builder.build(), (6, 0.1, 6), Motion(path=path, start=50, speed=2.0))
    item.mesh.vertices = item.mesh.vertices @ np.float32([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]).T
    scene = Scene(0, "street", "plausible", "clear", Mesh.empty(), [item], table, Lighting())
    camera, pose = Pinhole.from_fov(64, 48, 40), rigs.camera_pose(0, 0, 0)
    rays = camera.rays(unit=True).reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    hits = scene.at(0.0).cast(np.zeros(3, np.float32), rays)
    result = motion_truth.flow(scene, hits, camera, 0.0, 0.5, camera, pose, pose)
    z = (hits.t * camera.rays(unit=True).reshape(-1, 3)[:, 2]).reshape(48, 64)
    seen = hits.valid.reshape(48, 64)
    assert seen[24, 32] and z[24, 32] == pytest.approx(10.0, abs=0.11)
    np.testing.assert_allclose(result["flow"][seen][:, 0], -camera.fx * 1.0 / z[seen], rtol=2e-3)
    np.testing.assert_allclose(result["flow"][seen][:, 1], 0, atol=2e-3)
    np.testing.assert_allclose(result["scene_flow"][seen], np.tile([-1.0, 0, 0], (seen.sum(), 1)), atol=2e-3)
    disparity = motion_truth.disparity(z, seen, camera.fx, 0.5)
    np.testing.assert_allclose(disparity[seen], camera.fx * 0.5 / z[seen], rtol=1e-6)
    assert (disparity[~seen] == 0).all()
