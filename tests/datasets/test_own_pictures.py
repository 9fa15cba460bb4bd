"""One's own pictures with 3D boxes, in COCO's manner and in KITTI's text files: checked, trained on, tested, written for evaluation, predicted."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from perception.datasets.kitti import KittiWriter
from perception.io.kitti import KittiLabels
from tests.engine.helpers import ROOT, run

RECIPE = ROOT / "models/monodetr/monodetr_own_pictures.py"
MATRIX = np.array([[120.0, 0, 80], [0, 120, 24], [0, 0, 1]])
BOX = np.array([[0.5, 1.0, 12.0, 4.0, 1.6, 1.5, 1.2], [-2.0, 1.0, 20.0, 2.0, 1.0, 2.0, 0.3]])
FLAT = np.array([[65.0, 25, 105, 45], [60, 25, 75, 40]])
SMALL = (
    "model.dim=32 model.heads=2 model.ffn_dim=32 model.num_queries=6 model.pretrained=False model.encoder_layers=1 model.decoder_layers=1 "
    "model.backbone.model_args.channels=(8,8,16,16) model.backbone.model_args.stem_width=8 train_dataloader.num_workers=0 "
    "val_dataloader.num_workers=0 train_dataloader.batch_size=2 train_cfg.max_iters=1 train_cfg.val_interval=1"
).split()


def coco(root) -> list[str]:
    classes = ["forklift", "pallet"]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "K": MATRIX.tolist()} for i in range(3)],
        "categories": [{"id": 7, "name": "forklift"}, {"id": 3, "name": "pallet"}],
        "annotations": [
            {
                "image_id": i,
                "category_id": kind,
                "center_cam": b[:3].tolist(),
                "dimensions": b[[4, 5, 3]].tolist(),
                "yaw": b[6],
            }
            for i in range(3)
            for kind, b in zip((7, 3), BOX, strict=True)
        ],
    }
    for i in range(3):
        cv2.imwrite(str(root / f"{i}.png"), np.full((48, 160, 3), 40 * i, np.uint8))
    for part in ("train", "val"):
        (root / f"{part}.json").write_text(json.dumps(content))
    return [f"{part}_dataloader.dataset.root={root}" for part in ("train", "val")] + [
        f"{key}={classes}"
        for key in ("model.classes", "train_dataloader.dataset.classes", "val_dataloader.dataset.classes")
    ]


def kitti(root) -> list[str]:
    writer = KittiWriter(root)
    for i in range(3):
        labels = KittiLabels.from_boxes(["forklift", "pallet"], BOX, FLAT)
        for split in ("train", "val"):
            writer.write(f"{i:06d}", np.full((48, 160, 3), 40 * i, np.uint8), MATRIX, labels, split)
    writer.finish()
    reader = {"type": "KittiObject", "root": str(root), "classes": ["forklift", "pallet"]}
    return [f"model.classes={reader['classes']}"] + [
        f"{part}_dataloader.dataset={dict(_delete_=True, split=part, **extra, **reader)}"
        for part, extra in (("train", {"size": (96, 320)}), ("val", {}))
    ]


@pytest.mark.parametrize("layout", [coco, kitti], ids=["coco", "kitti"])
def test_own_pictures_from_check_to_prediction(layout, tmp_path) -> None:
    import perception

    (tmp_path / "data").mkdir()
    judge = {"type": "KittiEvaluator", "classes": ["forklift", "pallet"]}
    options = ["--cfg-options", *layout(tmp_path / "data"), *SMALL, f"val_evaluator={[judge]}"]
    results = tmp_path / "results"
    options += [
        f"test_evaluator={[judge | {'submission': str(results)}]}",
        *(option.replace("val_", "test_", 1) for option in options if option.startswith("val_dataloader")),
    ]
    done = run("check_dataset", RECIPE, *options)
    assert done.returncode == 0 and "3 samples, 0 missing files, 0 broken" in done.stdout, done.stdout
    done = run("train", RECIPE, "--work-dir", tmp_path / "work", *options)
    assert done.returncode == 0, done.stdout
    options += ["model.score_threshold=0"]
    done = run("test", RECIPE, "--checkpoint", tmp_path / "work", *options)
    assert done.returncode == 0 and "forklift/3d" in done.stdout, done.stdout
    written = sorted(results.glob("*.txt"))
    assert len(written) == 3 and {line.split()[0] for path in written for line in path.read_text().splitlines()} <= {
        "forklift",
        "pallet",
    }
    if layout is kitti:
        truth = tmp_path / "data/training/label_2"
        done = run(
            "evaluate",
            "kitti",
            "--gt",
            truth,
            "--pred",
            results,
            "--classes",
            "forklift",
            "--json",
            tmp_path / "ap.json",
        )
        assert done.returncode == 0 and json.loads((tmp_path / "ap.json").read_text())["frames"] == 3, done.stdout
    model = perception.load(tmp_path / "work/export", device="cpu")
    model.model.postprocess.score_threshold = 0.0
    found = model(np.zeros((48, 160, 3), np.uint8), camera=MATRIX)
    assert (
        set(found.boxes3d.names) <= {"forklift", "pallet"}
        and torch.isfinite(torch.from_numpy(found.boxes3d.boxes.copy())).all()
    )
