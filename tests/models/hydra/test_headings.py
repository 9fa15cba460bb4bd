"""Headings and velocities of a street of the world, through every augmentation of the BEV, into a CenterPoint head's targets and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.datasets.transforms.rig import RigBevAugment
from perception.datasets.world import World, rigs
from perception.datasets.world_rig import START, WorldRig
from perception.io.nuscenes_results import DETECTION_CLASSES
from perception.models.hydra.bev_frame import move_boxes
from perception.models.hydra.centerpoint import BRANCHES, CenterGeometry, decode
from perception.models.hydra.centerpoint_targets import center_targets

SEED = 3
TASKS = (tuple(DETECTION_CLASSES),)
GEOMETRY = CenterGeometry((-51.2, -51.2), (0.4, 0.4), (256, 256))


@pytest.fixture(scope="module")
def sample() -> dict:
    return WorldRig(seeds=(SEED, SEED), frames=1, size=(32, 88), depth=False, progress=False)[0]


def wrapped(angle: torch.Tensor | np.ndarray) -> np.ndarray:
    return np.abs((np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi)


def test_yaw_is_where_the_fronts_point_and_things_drive(sample):
    world, boxes, velocity = World(SEED, "street"), sample["boxes3d"].numpy(), sample["velocity"].numpy()
    time = rigs.surround_rig().lidars[0].time(START)
    ego_from_world = np.linalg.inv(world.ego_pose(time))
    poses = [ego_from_world @ item.pose(time) for item in world.scene.objects]
    centres = np.array([pose[:3, 3] for pose in poses])
    for box, speed in zip(boxes, velocity, strict=True):
        own = int(np.linalg.norm(centres - box[:3], axis=1).argmin())
        assert np.linalg.norm(centres[own] - box[:3]) < 0.05
        front = poses[own][:3, 0]
        assert wrapped(np.arctan2(front[1], front[0]) - box[6]) < 1e-3
        if np.linalg.norm(speed) > 0.5:
            assert wrapped(np.arctan2(speed[1], speed[0]) - box[6]) < 0.3
    assert (np.linalg.norm(velocity, axis=1) > 0.5).any()


@pytest.mark.parametrize("flips", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("rotation", [0.0, 22.5, 180.0])
def test_targets_are_decoded_to_the_truth(sample, rotation, flips):
    torch.manual_seed(0)
    boxes, labels, velocity = sample["boxes3d"], sample["labels3d"], sample["velocity"].nan_to_num()
    near = (boxes[:, :2].norm(dim=1) < 48) & (labels >= 0)
    boxes, labels, velocity = boxes[near], labels[near], velocity[near]
    turn = RigBevAugment(rotation, (0.95, 1.05), *flips)({"images": torch.zeros(1, 1)})["bev_from_ego"][0]
    moved, speed = move_boxes(boxes, velocity, turn)
    target = center_targets([moved], [labels], [speed], TASKS, GEOMETRY)[0]
    table = torch.zeros(10, 256 * 256)
    table[:, target.cell] = target.values.mT
    maps = dict(zip(BRANCHES, table.view(1, 10, 256, 256).split((2, 1, 3, 2, 2), 1), strict=True))
    peaks = (target.heatmap == 1).float()
    found = decode([{**maps, "heatmap": 20 * peaks - 10}], TASKS, GEOMETRY, min_radius={})[0]
    back, fast = move_boxes(found.boxes, found.velocity, torch.linalg.inv(turn))
    distance = torch.cdist(boxes[:, :2], back[:, :2]) + 1e3 * (labels[:, None] != found.labels)
    nearest = distance.argmin(1)
    same = distance.amin(1) < 1e-2  # two things may share a cell: the later one is decoded
    assert same.float().mean() > 0.8 and same.sum() > 10
    assert wrapped(back[nearest[same], 6] - boxes[same, 6]).max() < 1e-3
    assert (fast[nearest[same]] - velocity[same]).abs().max() < 1e-2
