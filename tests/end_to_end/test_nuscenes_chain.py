"""World export -> training -> testing -> tracking -> evaluation, every step a process and nothing but files in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "models/hydra/hydra_world_export.py"
SMALL = [
    "model.backbone.model_args.channels=(8,16,24,32)",
    "model.widths.encoder=(16,24,32)",
    "model.widths.bev=24",
    "model.widths.image=24",
    "model.widths.mid=24",
    "model.widths.context=24",
    "train_dataloader.batch_size=1",
    "val_dataloader.batch_size=1",
]


def tool(name: str, *arguments: object, cwd: Path) -> str:
    command = [sys.executable, str(ROOT / "tools" / f"{name}.py"), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=3600)
    assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
def test_export_train_test_track_evaluate(tmp_path: Path) -> None:
    data, results = "data/world_nuscenes", tmp_path / "work_dirs/hydra_world_export/results"
    tool(
        "make_world", "--layout", "nuscenes", "--out", data, "--count", 2, "--views", 2, "--seed", 3,
        "--size", 90, 160, "--val-share", 0.5, "--workers", 1, "--quiet", cwd=tmp_path,
    )  # fmt: skip
    options = ["--cfg-options", *SMALL, "train_cfg.max_iters=2"]
    tool("train", RECIPE, "--work-dir", "run", *options, cwd=tmp_path)
    report = tool("test", RECIPE, "--checkpoint", "run", "--json", "test.json", "--cfg-options", *SMALL, cwd=tmp_path)
    for word in ("NDS", "mAP", "mIoU", "AMOTA"):
        assert word in report
    metrics = json.loads((tmp_path / "test.json").read_text())["metrics"]

    judged = ("--gt", data, "--split", "val")
    tool("evaluate", "nuscenes", *judged, "--pred", results / "detections.json", "--json", "det.json", cwd=tmp_path)
    detection = json.loads((tmp_path / "det.json").read_text())
    assert detection["nds"] == pytest.approx(metrics["nuscenes/nds"], abs=1e-6)
    assert detection["map"] == pytest.approx(metrics["nuscenes/map"], abs=1e-6)

    tool("track", *judged, "--pred", results / "detections.json", "--out", "tracks.json", cwd=tmp_path)
    tool("evaluate", "nuscenes-tracking", *judged, "--pred", "tracks.json", "--json", "track.json", cwd=tmp_path)
    tracking = json.loads((tmp_path / "track.json").read_text())
    for key in ("amota", "amotp", "recall"):
        assert tracking[key] == pytest.approx(metrics[f"tracking/{key}"], abs=1e-6, nan_ok=True)
    assert (
        json.loads((results / "tracks.json").read_text())["results"].keys()
        == json.loads((tmp_path / "tracks.json").read_text())["results"].keys()
    )

    tool(
        "evaluate", "occ3d", "--gt", f"{data}/gts", "--split", "val", "--pred", results / "occupancy", "--json", "occ.json",
        cwd=tmp_path,
    )  # fmt: skip
    occupancy = json.loads((tmp_path / "occ.json").read_text())
    assert occupancy["frames"] == 2 and occupancy["miou"] == pytest.approx(metrics["occupancy/miou"], abs=1e-9)
