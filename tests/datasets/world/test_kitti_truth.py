"""A driver's views and KITTI's classes in the `World` data set."""

import numpy as np
import pytest

from perception.datasets.world.dataset import WorldDataset
from perception.datasets.world.plan import make_plan
from perception.errors import InputError, RecipeError
from perception.evaluation.kitti import KittiEvaluator

NAMES = ("Pedestrian", "Car", "Cyclist")


def test_the_default_viewpoint_leaves_names_of_caches_alone():
    assert "viewpoint" not in make_plan(4).to_dict()
    assert make_plan(4, viewpoint="driver").digest != make_plan(4).digest
    with pytest.raises(InputError, match="viewpoint"):
        make_plan(4, viewpoint="bird")
    with pytest.raises(RecipeError, match="kitti"):
        WorldDataset(box_classes="nuscenes")


def test_drivers_see_what_the_evaluator_counts():
    data = WorldDataset(
        "street", (40, 41), "plausible", (64, 192), 2, truth=("boxes",), viewpoint="driver", box_classes="kitti"
    )
    samples = [data[i] for i in range(len(data))]
    assert {data.plan.frame(i).meta["view"] for i in range(len(data))} == {"driver"}
    evaluator = KittiEvaluator(NAMES, ("strict",), pixel_scale=6.0)
    shown = 0
    for sample in samples:
        labels = sample["kitti_labels"]
        for row in np.flatnonzero(np.isin(labels.types.astype(str), NAMES)):
            shown += 1
            place = labels[np.array([row])].boxes3d()[0]
            near = np.abs(sample["boxes3d"].numpy()[:, :3] - place[:3]).max(1, initial=0) < 0.01
            kept = sample["visibility"].numpy()[near]  # the data set leaves out what is hardly seen
            assert near.sum() == 1 or len(kept) == 0
            if near.any():
                assert NAMES[int(sample["labels3d"][near][0])] == labels.types[row]
    assert shown > 3
    # The truth as its own prediction is found completely.
    truths = [
        {
            "boxes3d": s["kitti_labels"].boxes3d(),
            "boxes2d": s["kitti_labels"].boxes2d + 0.5,
            "labels": list(s["kitti_labels"].types),
            "scores": np.linspace(0.9, 0.5, len(s["kitti_labels"])),
        }
        for s in samples
    ]
    for sample, truth in zip(samples, truths, strict=True):
        evaluator.update([truth], [sample])
    table = evaluator.table()["strict"]
    counted = sum(r[0].types.astype(str).tolist().count("Car") for r in evaluator.ordered())
    if counted:
        assert max(table["car/3d"]["R11"]) > 0
