"""Occupancy predictions on disk: what the evaluator writes is what the command reads, for the scenes of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perception.errors import DatasetError, InputError
from perception.evaluation.folders import occupancy_folders
from perception.evaluation.occupancy import OccupancyEvaluator, write_labels
from tests.datasets.nuscenes_fixture import write_tables


def test_written_predictions_give_the_same_metrics(tmp_path: Path) -> None:
    root = write_tables(tmp_path / "data")
    scenes = [row["name"] for row in json.loads((root / "v1.0-mini/scene.json").read_text())]
    (root / "v1.0-mini/splits.json").write_text(json.dumps({"train": scenes[:1], "val": scenes[1:]}))
    rng = np.random.default_rng(0)
    evaluator = OccupancyEvaluator(submission=str(tmp_path / "out"))
    for number, scene in enumerate(scenes):
        labels, guess = (rng.integers(0, 18, (4, 4, 2), dtype=np.uint8) for _ in range(2))
        mask = rng.random((4, 4, 2)) < 0.7
        target = root / "gts" / scene / f"token{number}" / "labels.npz"
        target.parent.mkdir(parents=True)
        np.savez(target, semantics=labels, mask_camera=mask, mask_lidar=mask)
        if scene in scenes[1:]:
            sample = {"occupancy": labels[None], "occupancy_mask_camera": mask[None]}
            evaluator.update([{"occupancy": guess}], {**sample, "meta": [{"scene": scene, "name": f"token{number}"}]})
    found = occupancy_folders(root / "gts", tmp_path / "out", split="val", version="v1.0-mini").compute()
    assert found == evaluator.compute() and found["frames"] == len(scenes) - 1
    with pytest.raises(DatasetError, match="have no prediction"):
        occupancy_folders(root / "gts", tmp_path / "out")


@pytest.mark.parametrize("meta", [{}, {"scene": "a"}, {"scene": "..", "name": "x"}, {"scene": "a", "name": "x/y"}])
def test_samples_without_a_usable_name_are_refused(tmp_path: Path, meta: dict) -> None:
    with pytest.raises(InputError, match="can name folders"):
        write_labels(tmp_path, np.zeros((1, 1, 1)), meta)
