"""Properties of HyDRa's parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.models.hydra.attributes import attributes_of
from perception.models.hydra.backward_projection import RadarWeight, depth_consistency
from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.models.hydra.centerpoint import CenterGeometry, circle_nms, decode
from perception.models.hydra.centerpoint_targets import center_losses, center_targets, gaussian_focal_loss
from perception.models.hydra.depth_loss import depth_bins, nearest_depth
from perception.models.hydra.hat import HeightAssociation
from perception.models.hydra.occupancy import OccupancyHead, geometric_affinity, lovasz_softmax, occupancy_losses
from perception.models.hydra.radar import BevRadar
from perception.models.hydra.temporal import TemporalFusion, align_bev
from perception.ops.lift_splat import VoxelGrid
from tests.models.hydra.conftest import poses

GRID = VoxelGrid.of({"x": (-8, 8, 1), "y": (-8, 8, 1), "z": (-2, 2, 4)})


def calibration(**options) -> Calibration:
    matrix = torch.tensor([[40.0, 0, 32], [0, 40, 16], [0, 0, 1]]).expand(1, 3, 3, 3)
    return Calibration.of(matrix, torch.from_numpy(poses(3)).float()[None], **options)


def test_frustum_points_project_to_their_cells() -> None:
    turn = torch.diag(torch.tensor([-1.0, 1, 1]))[None]
    flip = torch.diag(torch.tensor([-1.0, 1, 1])).expand(1, 3, 3, 3)
    shift = torch.tensor([64.0, 0, 0]).expand(1, 3, 3)
    rig = calibration(image_rotation=flip, image_shift=shift, bev_from_ego=turn)
    axis = DepthAxis(1, 9, 2)
    points = rig.frustum(axis, (32, 64), (4, 8))
    uv, depth = rig.project(points[:, 1].reshape(1, -1, 3))
    expected = (torch.arange(8) + 0.5) * 8
    torch.testing.assert_close(uv[0, 1].view(4, 4, 8, 2)[2, 1, :, 0], expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(depth[0, 1].view(4, 4, 8)[:, 0, 0], torch.tensor([2.0, 4, 6, 8]))


def test_an_empty_radar_column_keeps_the_image_feature() -> None:
    torch.manual_seed(0)
    layer = HeightAssociation(8, 2, 4, 5)
    image, radar = torch.randn(2, 8, 4, 3), torch.randn(2, 8, 5, 3)
    occupied = torch.zeros(2, 5, 3, dtype=torch.bool)
    occupied[0, 2, 1] = True
    out = layer(image, radar, occupied)
    changed = (out != image).any(1).any(1)
    assert changed.tolist() == [[False, True, False], [False, False, False]]
    other = radar.clone()
    other[0, :, 3, 1] += 9  # an empty cell of the same column is not attended
    assert torch.equal(layer(image, other, occupied), out)
    with pytest.raises(InputError, match="same cameras and columns"):
        layer(image, radar[..., :2])


def test_depth_bins_by_both_conventions() -> None:
    axis = DepthAxis(2, 10, 2)
    depth = torch.tensor([0.0, 1.0, 2.0, 3.9, 4.0, 9.9, 10.0])
    assert depth_bins(depth, axis).tolist() == [-1, -1, 0, 0, 1, 3, -1]
    assert depth_bins(depth, axis, "official").tolist() == [-1, -1, 0, 0, 1, 3, -1]
    # Bins that begin at the camera: a cell without a measurement still has no bin.
    assert depth_bins(depth, DepthAxis(0, 8, 2), "official").tolist() == [-1, 0, 1, 1, 2, -1, -1]
    tall = torch.zeros(1, 4, 4)
    tall[0, 0, 0], tall[0, 1, 1], tall[0, 3, 3] = 5, 3, 7
    assert nearest_depth(tall, tall > 0, (2, 2)).tolist() == [[[3, 0], [0, 7]]]


def test_depth_consistency_reads_the_right_bin() -> None:
    spread = torch.zeros(1, 4, 2, 3)
    spread[0, 2, 1, 1] = 1
    axis = DepthAxis(0, 8, 2)
    pixels = torch.tensor([[[0.5, 0.75], [0.5, 0.75], [0.5, 0.25], [2.0, 0.75]]])
    depth = torch.tensor([[5.0, 1.0, 5.0, 5.0]])
    assert depth_consistency(spread, pixels, depth, axis).tolist() == [[1, 0, 0, 0]]


def test_rdc_starts_neutral() -> None:
    assert torch.equal(RadarWeight(4)(torch.randn(2, 4, 3, 3)), torch.ones(2, 9))


def test_radar_pillars_lie_where_the_points_are() -> None:
    encoder = BevRadar(8, GRID, layers=0).eval()
    points = torch.zeros(1, 2, 8)
    points[0, 0, :2] = torch.tensor([3.2, -5.9])
    mask = torch.tensor([[True, False]])
    _, occupied = encoder(points, mask, torch.eye(3)[None])
    assert occupied.nonzero().tolist() == [[0, 2, 11]]
    turned, there = encoder(points, mask, torch.diag(torch.tensor([1.0, -1, 1]))[None])
    assert there.nonzero().tolist() == [[0, 13, 11]] and turned.isfinite().all()


def test_measured_motion_is_the_mean_around_a_cell() -> None:
    radar = BevRadar(8, VoxelGrid.of({"x": (-8, 8, 1), "y": (-8, 8, 1), "z": (-1, 3, 4)}), 1)
    points = torch.tensor(
        [[[2.5, 3.5, 0, 0, 4, 1, 0, 0], [3.5, 3.5, 0, 0, 2, 3, 0, 0], [2.5, 3.5, 0, 0, 99, 99, 0, 0]]]
    )
    mask = torch.tensor([[True, True, False]])
    motion = radar.motion(points, mask, torch.eye(3)[None])[0]
    torch.testing.assert_close(motion[:, 11, 10], torch.tensor([3.0, 2.0]))  # row y, column x; both points are near
    torch.testing.assert_close(motion[:, 11, 9], torch.tensor([4.0, 1.0]))
    assert motion[:, 3].abs().max() == 0
    mirrored = radar.motion(points, mask, torch.diag(torch.tensor([1.0, -1, 1]))[None])[0]
    torch.testing.assert_close(mirrored[:, 4, 10], torch.tensor([3.0, -2.0]))


def test_bev_of_the_past_moves_with_the_vehicle() -> None:
    past = torch.zeros(1, 1, 16, 16)
    past[0, 0, 8, 12] = 1  # x = 4.5, y = 0.5
    forward = torch.eye(4)[None].clone()
    forward[0, 0, 3] = 3.0  # the vehicle has driven 3 m ahead
    aligned, reach = align_bev(past, forward, GRID)
    assert aligned[0, 0].nonzero().tolist() == [[8, 9]]
    assert reach[0, 0, 0].tolist() == [1] * 13 + [0] * 3
    left = torch.eye(4)[None].clone()
    left[0, :2, :2] = torch.tensor([[0.0, -1], [1, 0]])  # the vehicle has turned left by 90 degrees
    aligned, _ = align_bev(past, left, GRID)
    row, column = aligned[0, 0].argmax().item() // 16, aligned[0, 0].argmax().item() % 16
    assert (row, column) == (3, 8)  # what was ahead is at the right


def test_missing_history_repeats_the_present() -> None:
    torch.manual_seed(0)
    layer = TemporalFusion(4, 1).eval()
    bev = torch.randn(1, 4, 16, 16)
    nothing = layer(bev, [], [], [], GRID)
    unknown = layer(bev, [torch.randn_like(bev)], [torch.eye(4)[None]], [torch.tensor([float("nan")])], GRID)
    torch.testing.assert_close(nothing, unknown)


def test_targets_decode_to_the_boxes() -> None:
    tasks = (("car", "truck"), ("pedestrian",))
    geometry = CenterGeometry((-8.0, -8.0), (1.0, 1.0), (16, 16))
    boxes = torch.tensor(
        [[3.3, -2.6, 0.7, 4.2, 1.9, 1.6, 2.5], [-6.1, 5.2, 0.9, 0.7, 0.6, 1.7, -1.2], [99, 0, 0, 1, 1, 1, 0]]
    )
    labels, speed = torch.tensor([1, 2, 0]), torch.tensor([[1.5, -2], [0.3, float("nan")], [0, 0]])
    targets = center_targets([boxes], [labels], [speed], tasks, geometry)
    assert [len(t.cell) for t in targets] == [1, 1]
    outputs = []
    for target in targets:
        maps = {"heatmap": torch.logit(target.heatmap.clamp(1e-4, 1 - 1e-4))}
        table = torch.zeros(1, 10, 256)
        table[target.batch, :, target.cell] = target.values.nan_to_num()
        table = table.view(1, 10, 16, 16)
        maps |= dict(zip(("reg", "height", "dim", "rot", "vel"), table.split((2, 1, 3, 2, 2), 1), strict=True))
        outputs.append(maps)
    found = decode(outputs, tasks, geometry, score_threshold=0.9, min_radius=(1, 1))[0]
    assert found.labels.tolist() == [1, 2]
    torch.testing.assert_close(found.boxes, boxes[:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.velocity[0], speed[0])
    assert center_losses(outputs, targets)["box"] < 1e-4
    assert torch.isfinite(center_losses(outputs, targets)["heatmap"])


def test_an_empty_sample_gives_finite_losses() -> None:
    geometry = CenterGeometry((-8.0, -8.0), (1.0, 1.0), (16, 16))
    targets = center_targets([torch.zeros(0, 7)], [torch.zeros(0)], [torch.zeros(0, 2)], (("car",),), geometry)
    assert targets[0].heatmap.sum() == 0
    assert torch.isfinite(gaussian_focal_loss(torch.zeros(1, 1, 16, 16), targets[0].heatmap))


def test_class_weights_count_objects_of_a_class_more() -> None:
    torch.manual_seed(0)
    geometry = CenterGeometry((-8.0, -8.0), (1.0, 1.0), (16, 16))
    boxes = torch.tensor([[0.3, 0.2, 0, 4, 2, 1.5, 0.4], [-5, 3, 1, 6, 2, 2, 0], [5, 5, 1, 6, 2, 2, 0]])
    tasks = (("car", "bus"),)
    targets = center_targets([boxes], [torch.tensor([0, 0, 1])], [torch.zeros(3, 2)], tasks, geometry)
    assert targets[0].label.tolist() == [0, 0, 1]
    shapes = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2, "heatmap": 2}
    maps = {name: torch.randn(1, count, 16, 16) for name, count in shapes.items()}
    plain = center_losses([maps], targets)
    for factor in (1.0, 3.0):  # one weight for all classes changes nothing
        same = center_losses([maps], targets, class_weights=[[factor, factor]])
        torch.testing.assert_close(same, plain)
    cars, buses = (center_losses([maps], targets, class_weights=[w]) for w in ([1, 0], [0, 1]))
    mixed = center_losses([maps], targets, class_weights=[[1, 4]])
    for name in plain:  # two cars of weight 1 and a bus of weight 4
        torch.testing.assert_close(mixed[name], (2 * cars[name] + 4 * buses[name]) / 6)


def test_occupancy_logits_are_a_plain_convolution_of_classes_by_heights() -> None:
    torch.manual_seed(0)
    bev = VoxelGrid.of({"x": (-4, 4, 1), "y": (-4, 4, 1), "z": (-1, 3, 4)})
    voxels = VoxelGrid.of({"x": (-4, 4, 2), "y": (-4, 4, 2), "z": (-1, 3, 1)})
    head = OccupancyHead(5, bev, voxels, 3, 6).eval()
    seen: list[torch.Tensor] = []
    head.after.register_forward_hook(lambda *call: seen.append(call[2]))
    out = head(torch.randn(2, 5, 8, 8), torch.eye(3).expand(2, 3, 3))
    torch.testing.assert_close(out, head.logits(seen[0]).unflatten(1, (3, 4)), rtol=1e-5, atol=1e-6)
    target, mask = torch.randint(0, 3, (2, 4, 4, 4)), torch.rand(2, 4, 4, 4) > 0.4
    weights = torch.tensor([1.0, 2, 3])
    found = occupancy_losses(out, target, mask, weights, {"focal": 1.0}, gamma=0.0)["focal"]
    expected = torch.nn.functional.cross_entropy(
        out.movedim(1, -1)[mask.permute(0, 3, 2, 1)], target.permute(0, 3, 2, 1)[mask.permute(0, 3, 2, 1)], weights
    )
    torch.testing.assert_close(found, expected)


def test_circle_nms_squared_and_by_class() -> None:
    centres = torch.tensor([[0.0, 0], [1.5, 0], [3, 0]])
    assert circle_nms(centres, 2.0, 9).tolist() == [0, 2] or circle_nms(centres, 2.0, 9).tolist() == [0, 1, 2]
    assert circle_nms(centres, 2.0, 9, squared=False).tolist() == [0, 2]
    assert circle_nms(centres, 2.0, 9, squared=True).tolist() == [0, 1, 2]
    assert circle_nms(centres, 2.0, 9, False, torch.tensor([0, 1, 0])).tolist() == [0, 1, 2]


def test_occupancy_losses_fall_towards_the_truth() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 4, (1, 3, 3, 2), dtype=torch.uint8)
    target[0, 0, 0, 0] = 255
    right = torch.nn.functional.one_hot(target.clamp(max=3).long(), 4).permute(0, 4, 3, 2, 1).float() * 12
    weights = torch.ones(4)
    wanted = {"focal": 1.0, "semantic": 1.0, "geometric": 1.0, "lovasz": 1.0}
    good = occupancy_losses(right, target, None, weights, wanted)
    bad = occupancy_losses(torch.zeros_like(right), target, None, weights, wanted)
    assert all(good[name] < 0.05 < bad[name] for name in wanted)
    probability = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([0, 1])
    assert torch.autograd.gradcheck(lambda p: lovasz_softmax(p, label) + geometric_affinity(p, label), (probability,))


def test_attributes_follow_class_and_speed() -> None:
    names = ["car", "car", "bus", "pedestrian", "bicycle", "traffic_cone"]
    speed = np.array([[3.0, 0], [0, 0], [0, 0], [0.5, 0.5], [np.nan, np.nan], [0, 0]])
    assert attributes_of(names, speed) == [
        "vehicle.moving",
        "vehicle.parked",
        "vehicle.stopped",
        "pedestrian.moving",
        "cycle.without_rider",
        "",
    ]


def test_geometry_keeps_its_precision_under_autocast() -> None:
    rig = calibration()
    axis = DepthAxis(1, 57, 0.5)
    motion = torch.eye(4)[None].clone()
    motion[0, 0, 3] = 0.37
    past = torch.rand(1, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        points, (aligned, _) = rig.frustum(axis, (32, 64), (4, 8)), align_bev(past, motion, GRID)
    torch.testing.assert_close(points, rig.frustum(axis, (32, 64), (4, 8)), rtol=0, atol=0)
    torch.testing.assert_close(aligned, align_bev(past, motion, GRID)[0], rtol=0, atol=0)
