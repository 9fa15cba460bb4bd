"""The world's truths must agree with each other: geometry, motion, boxes, radar, LiDAR, panoramas."""

from __future__ import annotations

import numpy as np
import pytest

from perception.datasets.world import lidar, motion_truth, radar, rigs
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Frame, relative_pose
from perception.geometry import transforms
from perception.geometry.cameras import Equirectangular, Pinhole

SMALL = Pinhole.from_fov(160, 120, 75)


@pytest.fixture(scope="module", params=["street", "room"])
def world(request) -> World:
    return World(11, request.param)


@pytest.fixture(scope="module")
def street() -> World:
    """A street in which the carrier drives and other vehicles are near."""
    for seed in range(40):
        world = World(seed, "street")
        moving = [item for item in world.scene.objects if item.motion.moving]
        if np.linalg.norm(rigs.point_velocity(world.ego_pose, np.zeros(3), 0.0)) > 4 and len(moving) > 1:
            return world
    raise AssertionError("none of 40 streets has a driving carrier")


def look_up(values: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values (H, W, ...) at the pixels (N, 2), nearest."""
    column = np.clip(np.floor(pixels[:, 0]).astype(int), 0, values.shape[1] - 1)
    row = np.clip(np.floor(pixels[:, 1]).astype(int), 0, values.shape[0] - 1)
    return values[row, column]


def inside(pixels: np.ndarray, depth: np.ndarray, camera) -> np.ndarray:
    return (
        (depth > 0)
        & (pixels[:, 0] >= 0)
        & (pixels[:, 0] < camera.width)
        & (pixels[:, 1] >= 0)
        & (pixels[:, 1] < camera.height)
    )


def test_depth_lands_in_another_view(world):
    first = world.render(SMALL)
    moved = first.world_from_camera.copy()
    moved[:3, 3] += moved[:3, :3] @ [0.25, -0.05, 0.2]
    second = world.render(SMALL, world_from_camera=moved)
    points = SMALL.unproject(first.depth)[first.valid].astype(np.float64)
    there = transforms.apply(relative_pose(second, first), points)
    pixels, depth = SMALL.project(there)
    use = inside(pixels, depth, SMALL)
    seen = look_up(second.depth, pixels[use])
    ratio = depth[use] / np.where(seen > 0, seen, 1e6)
    assert use.sum() > 0.5 * first.valid.sum()
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.85  # grazing surfaces change within a pixel, near things hide others
    assert np.mean(ratio < 0.9) < 0.03  # nothing seen may lie behind what the second view sees there
    same = np.abs(ratio - 1) < 0.005
    agree = look_up(second.semantic, pixels[use])[same] == first.semantic[first.valid][use][same]
    assert agree.mean() > 0.97


def test_depth_lands_in_another_camera_at_another_time(street):
    """The front camera's points, carried along by what they belong to, are what the left camera sees 0.5 s later: same place, thing and colour."""
    camera = Pinhole.from_fov(192, 108, 90)
    eyes = {"front": rigs.camera_pose(1.5, 0, 1.6), "left": rigs.camera_pose(1.5, 0.5, 1.6, 0.6)}
    rig = rigs.Rig("two", tuple(rigs.Camera(name, pose, 10.0, model=camera) for name, pose in eyes.items()))
    truth = ("depth", "semantic", "instance")
    now = street.render(rig, 0.0, truth=truth, effects=False).frames["front"]
    then = street.render(rig, 0.5, truth=truth, effects=False).frames["left"]
    assert then.time == pytest.approx(now.time + 0.5)
    seen = now.valid
    points = transforms.apply(now.world_from_camera, camera.unproject(now.depth)[seen].astype(np.float64))
    owner = now.instance[seen]
    for item in street.scene.objects:
        if item.motion.moving and (owner == item.id).any():
            step = item.pose(then.time).astype(float) @ transforms.inverse(item.pose(now.time).astype(float))
            points[owner == item.id] = transforms.apply(step, points[owner == item.id])
    pixels, depth = camera.project(transforms.apply(transforms.inverse(then.world_from_camera), points))
    use = inside(pixels, depth, camera)
    ratio = depth[use] / np.maximum(look_up(then.depth, pixels[use]), 1e-6)
    same = np.abs(ratio - 1) < 0.03
    assert use.sum() > 2000
    assert same.mean() > 0.75 and np.mean(ratio < 0.9) < 0.04  # the rest is hidden by nearer things
    assert np.mean(look_up(then.instance, pixels[use])[same] == owner[use][same]) > 0.98
    assert np.mean(look_up(then.semantic, pixels[use])[same] == now.semantic[seen][use][same]) > 0.97
    here = now.image[seen][use][same].astype(float)
    error = np.abs(look_up(then.image, pixels[use])[same] - here).mean()
    unrelated = np.abs(look_up(np.roll(then.image, 37, 1), pixels[use])[same] - here).mean()
    assert error < 0.6 * unrelated


def test_range_and_z_depth_agree(world):
    frame = world.render(SMALL, truth=("depth",))
    np.testing.assert_allclose(SMALL.range_from_depth(frame.depth), frame.range, rtol=2e-5, atol=1e-5)
    assert (frame.depth[~frame.valid] == 0).all() and (frame.depth[frame.valid] > 0).all()


def test_normals_are_the_gradient_of_depth(world):
    frame = world.render(SMALL)
    points = SMALL.unproject(frame.depth).astype(np.float64)
    right, below = points[1:-1, 2:] - points[1:-1, 1:-1], points[2:, 1:-1] - points[1:-1, 1:-1]
    normal = np.cross(below, right)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    # 1/z is linear over a plane's pixels; where it bends, two surfaces meet and no difference is a gradient
    inverse = 1 / np.where(frame.valid, frame.depth, np.nan).astype(np.float64)
    centre = inverse[1:-1, 1:-1]
    bend = np.abs(inverse[1:-1, 2:] - 2 * centre + inverse[1:-1, :-2])
    bend = np.maximum(bend, np.abs(inverse[2:, 1:-1] - 2 * centre + inverse[:-2, 1:-1]))
    flat = bend < 1e-4 * centre
    assert flat.mean() > 0.15
    cosine = (normal * frame.normals[1:-1, 1:-1]).sum(-1)[flat]
    assert np.mean(cosine > 0.999) > 0.99 and np.median(cosine) > 0.99999
    length = np.linalg.norm(frame.normals[frame.valid], axis=-1)
    np.testing.assert_allclose(length, 1, atol=1e-4)
    assert ((frame.normals * SMALL.rays()).sum(-1)[frame.valid] <= 1e-6).all()  # towards the camera


def test_flow_carries_this_frame_onto_the_next(street):
    rig = rigs.Rig("one", (rigs.Camera("front", rigs.camera_pose(1.5, 0, 1.6), 10.0, model=SMALL),))
    now = street.render(rig, 0.0, truth=("depth", "semantic", "instance", "flow"), effects=False).frames["front"]
    then = street.render(rig, 0.1, truth=("depth", "semantic", "instance"), effects=False).frames["front"]
    assert then.time == pytest.approx(now.time + 0.1)
    row, column = np.nonzero(now.flow_valid & now.valid)
    target = np.stack([column, row], -1) + 0.5 + now.flow[row, column]
    moved = now.depth[row, column] + now.scene_flow[row, column, 2]
    ratio = moved / np.maximum(look_up(then.depth, target), 1e-6)
    assert np.mean(np.abs(ratio - 1) < 0.04) > 0.93
    assert np.mean(look_up(then.instance, target) == now.instance[row, column]) > 0.97
    assert np.mean(look_up(then.semantic, target) == now.semantic[row, column]) > 0.95
    warped = look_up(then.image.astype(float), target)
    here = now.image[row, column].astype(float)
    still = then.image[row, column].astype(float)
    moving = np.linalg.norm(now.flow[row, column], axis=-1) > 2
    assert np.abs(warped - here)[moving].mean() < 0.75 * np.abs(still - here)[moving].mean()


def test_static_flow_is_zero_without_motion(world):
    frame = world.render(SMALL, truth=("depth", "flow", "instance"), flow_step=0.1)
    moving = [item.id for item in world.scene.objects if item.motion.moving]
    still = ~np.isin(frame.instance, moving)
    assert np.abs(frame.flow[still]).max() < 2e-3
    assert frame.flow_valid[still & frame.valid].mean() > 0.97


def test_points_of_an_instance_lie_in_its_box(world):
    checked = 0
    for view in world.views(4, (120, 160)):
        frame = world.render_view(view)
        camera = frame.camera
        points = camera.unproject(frame.depth).astype(np.float64)
        for row in range(len(frame.boxes)):
            mine = points[frame.instance == frame.boxes.instance[row]]
            if not len(mine):
                continue
            rotation, centre = frame.boxes.rotation[row].astype(float), frame.boxes.boxes3d[row, :3].astype(float)
            local = np.abs((mine - centre) @ rotation)
            margin = local - frame.boxes.boxes3d[row, 3:6] / 2
            name = world.scene.object(int(frame.boxes.instance[row])).name
            assert margin.max() < 0.02 + 1e-3 * np.abs(mine).max(), (
                f"{name} reaches {margin.max():.3f} m out of its box"
            )
            checked += 1
    assert checked >= 3


def test_street_boxes_hold_no_other_objects_points(street):
    scan = street.render("kitti", truth=()).lidars["velodyne"]
    world_points = transforms.apply(scan.world_from_sensor, scan.points.astype(np.float64))
    total = others = 0
    for item in street.scene.objects:
        pose = item.pose(scan.time).astype(np.float64)
        local = np.abs((world_points - pose[:3, 3]) @ pose[:3, :3])
        held = (local < np.array(item.size) / 2 - 0.05).all(1)
        total += held.sum()
        others += (held & (scan.instance != item.id) & (scan.instance > 0)).sum()
    assert total > 50
    assert others <= 0.01 * total


def test_visible_boxes_are_exact(world):
    frame = world.render(SMALL)
    for row in range(len(frame.boxes)):
        rows, columns = np.nonzero(frame.instance == frame.boxes.instance[row])
        assert len(rows) == frame.boxes.visible_pixels[row]
        if not len(rows):
            assert frame.boxes.occlusion[row] == 3
            continue
        left, top, right, bottom = frame.boxes.box2d[row]
        assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        full = frame.boxes.box2d_full[row]
        assert (full[:2] <= [left + 1, top + 1]).all() and (full[2:] >= [right - 1, bottom - 1]).all()


def test_radar_velocity_is_object_minus_ego(street):
    time, sensor = 0.35, rigs.surround_rig().radars[0]
    pose = street.ego_pose(time) @ sensor.ego_from_sensor
    own = rigs.point_velocity(street.ego_pose, sensor.ego_from_sensor, time)
    motion = {item.id: (item.velocity(time).astype(float), 0.0) for item in street.scene.objects}
    scan = radar.scan(
        street.scene.at(time),
        street.scene.materials.arrays.radar_class,
        pose,
        own,
        motion,
        np.random.default_rng(0),
        noise=False,
    )
    sight = scan.points / np.linalg.norm(scan.points, axis=1, keepdims=True) @ pose[:3, :3].T
    velocity = np.array([motion[i][0] if i in motion else np.zeros(3) for i in scan.instance])
    expected = ((velocity - own) * sight).sum(1)
    assert len(scan.range) > 10 and np.linalg.norm(own) > 0.5
    assert np.percentile(np.abs(scan.radial_velocity - expected), 95) < 0.12
    assert np.abs(scan.radial_velocity_compensated - scan.radial_velocity - sight @ own).max() < 0.12
    still = np.linalg.norm(velocity, axis=1) < 1e-6
    np.testing.assert_allclose(scan.radial_velocity_compensated[still], 0, atol=1e-6)
    assert (scan.points[:, 2] == 0).all() and (np.abs(scan.azimuth) <= np.deg2rad(60.1)).all()


def test_lidar_returns_lie_on_surfaces(street):
    scan = street.render("kitti", truth=()).lidars["velodyne"]
    pattern = lidar.PATTERNS["spinning64"]
    distance = np.linalg.norm(scan.points, axis=1)
    up = np.arcsin(scan.points[:, 2] / distance)
    np.testing.assert_allclose(up, np.array(pattern.elevations)[scan.ring], atol=1e-5)
    eye = scan.world_from_sensor[:3, 3].astype(np.float32)
    rays = (scan.points / distance[:, None]) @ scan.world_from_sensor[:3, :3].T.astype(np.float32)
    hits = street.scene.at(scan.time).cast(eye, rays)
    error = distance - hits.t
    assert np.mean(np.abs(error) < 0.1) > 0.99 and 0.01 < np.std(error[np.abs(error) < 0.1]) < 0.03
    assert np.mean(hits.semantic == scan.semantic) > 0.995
    assert 10_000 < len(scan.points) < 64 * pattern.columns


@pytest.mark.parametrize("name", ["left", "right"])
def test_disparity_finds_the_same_point(street, name):
    moment = street.render({"type": "stereo", "width": 192, "height": 96}, truth=("depth", "disparity", "semantic"))
    left, right = moment.frames["left"], moment.frames["right"]
    source, other, sign = (left, right, -1) if name == "left" else (right, left, 1)
    row, column = np.nonzero(source.disparity > 0)
    target = np.stack([column + 0.5 + sign * source.disparity[row, column], row + 0.5], -1)
    use = inside(target, source.depth[row, column], source.camera)
    found = look_up(other.depth, target[use])
    ratio = source.depth[row, column][use] / np.maximum(found, 1e-6)
    assert np.mean(np.abs(ratio - 1) < 0.03) > 0.85
    np.testing.assert_allclose(
        motion_truth.disparity(source.depth, source.valid, source.camera.fx, 0.54), source.disparity, rtol=1e-6
    )


def test_panorama_and_pinhole_agree(world):
    panorama = Equirectangular(512, 256)
    pinhole: Frame = world.render(SMALL, effects=False)
    around: Frame = world.render(panorama, world_from_camera=pinhole.world_from_camera, effects=False)
    assert around.depth is around.range
    pixels, _ = panorama.project(SMALL.rays().reshape(-1, 3))
    mine = pinhole.range.reshape(-1)
    theirs = look_up(around.range, pixels)
    close = np.abs(theirs / np.maximum(mine, 1e-6) - 1) < 0.05
    assert np.mean(close | ((mine == 0) & (theirs == 0))) > 0.9
    assert np.mean(look_up(around.semantic, pixels) == pinhole.semantic.reshape(-1)) > 0.9
    assert np.mean(look_up(around.instance, pixels) == pinhole.instance.reshape(-1)) > 0.9
    normal = (look_up(around.normals, pixels) * pinhole.normals.reshape(-1, 3)).sum(1)  # same camera axes
    assert np.mean(normal[mine > 0] > 0.99) > 0.85
    # Turning the panorama about its vertical by whole pixels is a roll of its columns.
    turn = 2 * np.pi / 512 * 64
    turned = pinhole.world_from_camera.copy()
    turned[:3, :3] = turned[:3, :3] @ transforms.rotation_about("y", turn)
    rolled: Frame = world.render(panorama, world_from_camera=turned, effects=False, truth=("depth",))
    same = np.abs(np.roll(around.range, -64, axis=1) - rolled.range) < 1e-2 * np.maximum(rolled.range, 1)
    assert same.mean() > 0.99


def test_occupancy_holds_the_lidar_points(street):
    moment = street.render({"type": "surround", "width": 64, "height": 36}, 0.0, truth=("occupancy",))
    grid, scan = moment.occupancy, moment.lidars["LIDAR_TOP"]
    ego = transforms.inverse(moment.world_from_ego) @ scan.world_from_sensor
    cell = np.floor((transforms.apply(ego, scan.points.astype(float)) - grid.grid.lower) / grid.grid.voxel).astype(int)
    held = ((cell >= 0) & (cell < grid.grid.shape)).all(1)
    cell = cell[held]
    # Points lie up to their noise beside a surface: one voxel of tolerance at the faces.
    occupied = grid.semantics != 255
    near = np.zeros(len(cell), bool)
    for shift in np.ndindex(3, 3, 3):
        other = np.clip(cell + np.array(shift) - 1, 0, np.array(grid.grid.shape) - 1)
        near |= occupied[tuple(other.T)]
    assert occupied[tuple(cell.T)].mean() > 0.8 and near.mean() > 0.999
    assert grid.mask_lidar[tuple(cell.T)].mean() > 0.9
    assert 0.02 < occupied.mean() < 0.4
    assert 0.05 < grid.mask_camera.mean() < 0.95


def test_sensors_fire_at_their_own_times_and_poses(street):
    moment = street.render({"type": "surround", "width": 64, "height": 36}, 0.5, truth=("depth",))
    times = {name: item.time for group in (moment.frames, moment.lidars, moment.radars) for name, item in group.items()}
    assert len(times) == 12 and len(set(times.values())) > 5
    assert max(abs(t - 0.5) for t in times.values()) < 0.05
    front = moment.frames["CAM_FRONT"]
    np.testing.assert_allclose(front.world_from_ego, street.ego_pose(front.time))
    assert not np.allclose(front.world_from_ego, moment.world_from_ego, atol=1e-9)


def test_rendering_twice_gives_equal_bytes(world):
    again = World(world.seed, world.kind)
    first, second = world.render(SMALL), again.render(SMALL)
    for name in ("image", "depth", "normals", "semantic", "instance"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    other = World(world.seed + 1, world.kind).render(SMALL)
    assert (other.image != first.image).mean() > 0.3
