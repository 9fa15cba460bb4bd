"""The history recipe, killed and resumed: it ends bit-equal to a run that nobody disturbed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from perception.engine.checkpoint import list_checkpoints, read_checkpoint
from perception.engine.train import train
from tests.engine.helpers import Child, differences

RECIPE = Path(__file__).parents[3] / "models/hydra/hydra_world_tiny_history.py"
END = 6


def options(cache: Path) -> list[str]:
    small = ["model.widths.encoder=(8,16,16)", "model.backbone.model_args.channels=(8,8,16,16)"]
    small += [f"model.widths.{name}=16" for name in ("image", "mid", "context", "radar", "bev", "out", "shared")]
    data = []
    for part, seeds in (("train", "(0,1)"), ("val", "(7,7)")):
        inner = f"{part}_dataloader.dataset.dataset"
        data += [
            f"{inner}.seeds={seeds}",
            f"{inner}.frames=3",
            f"{inner}.cache={cache}",
            f"{part}_dataloader.batch_size=2",
        ]
    run = [f"train_cfg.max_iters={END}", "train_cfg.val_interval=1000", "default_hooks.checkpoint.interval=1"]
    return [*small, *data, *run, "default_hooks.checkpoint.keep=0"]


@pytest.mark.slow
def test_killed_and_resumed_temporal_training_is_bit_equal(tmp_path: Path) -> None:
    wanted = options(tmp_path / "cache")

    def body(folder: str, resume: bool = False) -> int:
        train(RECIPE, tmp_path / folder, options=wanted, resume=resume)
        return 0

    whole = Child(lambda: body("whole"), tmp_path / "whole.log")
    assert whole.wait(3000) == 0, whole.output
    child = Child(lambda: body("killed"), tmp_path / "killed.log")
    deadline = time.monotonic() + 3000
    while len(list_checkpoints(tmp_path / "killed")) < 2 and time.monotonic() < deadline:
        assert child.wait(0.005) is None, child.output
    child.kill()
    stopped = max(int(path.stem.removeprefix("iter_")) for path in list_checkpoints(tmp_path / "killed"))
    assert 2 <= stopped < END, "the run was over before it could be killed"
    resumed = Child(lambda: body("killed", resume=True), tmp_path / "resumed.log")
    assert resumed.wait(3000) == 0, resumed.output
    first, last = (read_checkpoint(tmp_path / run / f"iter_{END}.pth") for run in ("whole", "killed"))
    assert {"state_dict", "ema_state_dict", "optimizer", "rng"} <= first.keys()
    assert any(name.startswith("temporal.") for name in first["state_dict"]), "the recipe has a history"
    assert set(differences(first, last)) <= {"/meta/time"}
