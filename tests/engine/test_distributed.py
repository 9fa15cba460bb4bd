"""Two processes on this CPU (gloo) through ``tools/train.py --launcher pytorch``, against one process with twice the batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from tests.engine.helpers import RECIPE, ROOT, rows, together, train_here

# Dropout and the augmentation draw from each process's own stream, so the comparison leaves them out.
SAME = ("model.dropout=0", "batch_transform=[]", "train_cfg.max_iters=8", "default_hooks.checkpoint.keep=0")


def two_processes(folder: Path, options: tuple[str, ...], resume: bool = False) -> None:
    """Train the toy recipe in two processes as torchrun starts them."""
    together(folder, lambda: run_training(folder, options, resume))


def run_training(folder: Path, options: tuple[str, ...], resume: bool) -> int:
    code, text = train_here(folder, options, launcher="pytorch", resume=resume)
    print(text)
    return code


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    code, text = train_here(folder, (*SAME, "train_dataloader.batch_size=8"))
    assert code == 0, text
    return folder


def assert_same_training(first: Path, second: Path) -> None:
    losses = [[row["loss"] for row in rows(folder)] for folder in (first, second)]
    assert len(losses[0]) == 8
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    metrics = [[row["toy/mae"] for row in rows(folder, "val")] for folder in (first, second)]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-5)
    assert all(row["toy/images"] == 7 for row in rows(second, "val")), "no sample is evaluated twice"
    states = [torch.load(folder / "iter_8.pth", weights_only=True) for folder in (first, second)]
    for key in ("state_dict", "ema_state_dict"):
        for name, value in states[0][key].items():
            torch.testing.assert_close(states[1][key][name], value, rtol=1e-4, atol=1e-6)
    assert states[0]["meta"]["position"] == states[1]["meta"]["position"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_equal_one_with_twice_the_batch(alone: Path, tmp_path: Path, strategy: str) -> None:
    options = (*SAME, "train_dataloader.batch_size=4", f"strategy={strategy}")
    two_processes(tmp_path, options)
    assert_same_training(alone, tmp_path)


def test_sharded_checkpoints_go_on_in_one_process_and_back(alone: Path, tmp_path: Path) -> None:
    options = (*SAME, "train_dataloader.batch_size=4", "strategy=fsdp2")
    first = torch.load(alone / "iter_8.pth", weights_only=True)

    def assert_ends_alike(folder: Path) -> None:
        last = torch.load(folder / "iter_8.pth", weights_only=True)
        for name, value in first["state_dict"].items():
            torch.testing.assert_close(last["state_dict"][name], value, rtol=1e-4, atol=1e-6)

    # a checkpoint of one process goes on in two sharded ones
    two = tmp_path / "two"
    two.mkdir()
    (two / "iter_5.pth").write_bytes((alone / "iter_5.pth").read_bytes())
    two_processes(two, (*options, "default_hooks.checkpoint.interval=7"), resume=True)
    assert_ends_alike(two)
    # and one of two sharded processes (whole weights, moments and average) in one
    one = tmp_path / "one"
    one.mkdir()
    (one / "iter_7.pth").write_bytes((two / "iter_7.pth").read_bytes())
    code, text = train_here(one, (*SAME, "train_dataloader.batch_size=8"), resume=True)
    assert code == 0 and "at iteration 7 of 8" in text, text
    assert_ends_alike(one)


def test_a_signal_to_one_process_ends_both_with_a_checkpoint(tmp_path: Path) -> None:
    options = (*SAME, "train_cfg.max_iters=100000", "default_hooks.checkpoint.interval=5")

    def terminate() -> None:
        while not (tmp_path / "iter_5.pth").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    def body() -> int:
        if os.environ["RANK"] == "1":
            threading.Thread(target=terminate, daemon=True).start()
        return run_training(tmp_path, options, False)

    outputs = together(tmp_path, body)
    newest = (tmp_path / "last_checkpoint").read_text()
    assert "Stopped by a signal to another process" in outputs[0] and newest in outputs[0]
    assert torch.load(tmp_path / newest, weights_only=True)["meta"]["iter"] >= 5


@pytest.mark.slow
def test_torchrun_starts_the_training_tool(alone: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29871"]
    words += [str(ROOT / "tools" / "train.py"), str(RECIPE), "--work-dir", str(tmp_path), "--launcher", "pytorch"]
    words += ["--cfg-options", *SAME, "train_dataloader.batch_size=4"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout
    assert_same_training(alone, tmp_path)
