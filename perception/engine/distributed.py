"""Processes: starting them under torchrun or SLURM, and the few things they tell each other.

mmengine's own start calls CUDA even on a machine without a GPU, so the group is made here, before the runner.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from perception.errors import RecipeError


def start_processes(launcher: str, timeout_minutes: float = 30) -> tuple[int, int]:
    """Join the process group that `launcher` (``none``, ``pytorch`` or ``slurm``) made. Returns ``(rank, world size)``.

    Raises `RecipeError` when the launcher's environment is not there.
    """
    if launcher == "none":
        return 0, 1
    if dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    if launcher == "slurm":
        _slurm_environment()
    elif launcher != "pytorch":
        raise RecipeError(f"launcher should be none, pytorch or slurm, found {launcher!r}")
    missing = [
        name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]
    if missing:
        raise RecipeError(
            f"--launcher {launcher} needs {', '.join(missing)} in the environment; start with "
            "`torchrun --nproc-per-node N tools/train.py RECIPE --launcher pytorch`"
        )
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=timedelta(minutes=timeout_minutes))
    return dist.get_rank(), dist.get_world_size()


def stop_processes() -> None:
    """Leave the group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def world() -> tuple[int, int]:
    """Return ``(rank, world size)``; ``(0, 1)`` without a group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def gather(value: Any) -> list[Any]:
    """Return every process's `value` (picklable), in order of rank, on every process."""
    _, size = world()
    if size == 1:
        return [value]
    values: list[Any] = [None] * size
    dist.all_gather_object(values, value)
    return values


def broadcast(value: Any) -> Any:
    """Return the first process's `value` on every process."""
    if world()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def largest(value: int) -> int:
    """Return the largest `value` of all processes, on every process."""
    if world()[1] == 1:
        return value
    votes = torch.tensor([value])  # on the CPU: gloo carries it beside the GPU's work
    dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return int(votes.item())


def _slurm_environment() -> None:
    """Translate SLURM's variables into torchrun's."""
    try:
        rank, size, local = (os.environ[name] for name in ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))
    except KeyError as error:
        raise RecipeError(f"--launcher slurm needs {error.args[0]} in the environment; start with srun") from error
    os.environ.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=local)
    os.environ.setdefault("MASTER_ADDR", _first_host(os.environ.get("SLURM_JOB_NODELIST", "127.0.0.1")))
    job = int(re.sub(r"\D", "", os.environ.get("SLURM_JOB_ID", "")) or 0)
    os.environ.setdefault("MASTER_PORT", str(20000 + job % 20000))  # two jobs on one node do not meet


def _first_host(nodes: str) -> str:
    try:
        found = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
        return found.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        match = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes)  # node[03-07,12] -> node03
        return (match.group(1) + (match.group(2) or "")) if match else nodes
