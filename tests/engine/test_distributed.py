"""Two processes on this CPU (gloo) through ``tools/train.py --launcher pytorch``, against one process with twice the batch."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.helpers import RECIPE, ROOT, differences, environment, rows, train_here

# Dropout and the augmentation draw from each process's own stream, so the comparison leaves them out.
SAME = ("model.dropout=0", "batch_transform=[]", "train_cfg.max_iters=8", "default_hooks.checkpoint.keep=0")


def two_processes(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    words += [str(ROOT / "tools" / f"{tool}.py"), *map(str, arguments), "--launcher", "pytorch"]
    return subprocess.run(
        words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240
    )


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
    options = ("--cfg-options", *SAME, "train_dataloader.batch_size=4", f"strategy={strategy}")
    done = two_processes("train", RECIPE, "--work-dir", tmp_path, *options)
    assert done.returncode == 0, done.stdout
    assert_same_training(alone, tmp_path)
    if strategy == "ddp":
        return
    # a checkpoint of two sharded processes goes on in one, and ends where the others ended
    second = tmp_path / "one_process"
    second.mkdir()
    (second / "iter_5.pth").write_bytes((tmp_path / "iter_5.pth").read_bytes())
    code, text = train_here(second, (*SAME, "train_dataloader.batch_size=8"), resume=True)
    assert code == 0 and "at iteration 5 of 8" in text, text
    first = torch.load(alone / "iter_8.pth", weights_only=True)
    last = torch.load(second / "iter_8.pth", weights_only=True)
    for name, value in first["state_dict"].items():
        torch.testing.assert_close(last["state_dict"][name], value, rtol=1e-4, atol=1e-6)
    # and one of one process goes on in two
    third = tmp_path / "two_processes"
    third.mkdir()
    (third / "iter_5.pth").write_bytes((alone / "iter_5.pth").read_bytes())
    done = two_processes("train", RECIPE, "--work-dir", third, "--resume", *options)
    assert done.returncode == 0, done.stdout
    last = torch.load(third / "iter_8.pth", weights_only=True)
    for name, value in first["state_dict"].items():
        torch.testing.assert_close(last["state_dict"][name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_resume_of_two_processes_is_bit_equal_with_random_augmentation(tmp_path: Path) -> None:
    changes = ("--cfg-options", "train_cfg.max_iters=8", "default_hooks.checkpoint.keep=0")
    done = two_processes("train", RECIPE, "--work-dir", tmp_path / "whole", *changes)
    assert done.returncode == 0, done.stdout
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "iter_5.pth").write_bytes((tmp_path / "whole" / "iter_5.pth").read_bytes())
    done = two_processes("train", RECIPE, "--work-dir", tmp_path / "part", "--resume", *changes)
    assert done.returncode == 0, done.stdout
    states = [torch.load(tmp_path / name / "iter_8.pth", weights_only=True) for name in ("whole", "part")]
    assert differences(*states) == ["/meta/time"]


def test_slurm_variables_become_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from perception.engine import distributed
    from perception.errors import RecipeError

    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RecipeError, match="start with srun"):
        distributed.start_processes("slurm")
    with pytest.raises(RecipeError, match="torchrun"):
        distributed.start_processes("pytorch")
    for name, value in {
        "SLURM_PROCID": "3",
        "SLURM_NTASKS": "8",
        "SLURM_LOCALID": "1",
        "SLURM_JOB_NODELIST": "gpu[07-08,11]",
        "SLURM_JOB_ID": "123456",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "")  # no scontrol
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    distributed._slurm_environment()
    found = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")}
    assert found == {
        "RANK": "3",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": str(20000 + 123456 % 20000),
    }
