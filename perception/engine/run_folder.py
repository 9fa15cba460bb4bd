"""What a run folder tells about its run, and the checks that fail in the first second instead of the last hour."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

from perception.engine.checkpoint import list_checkpoints
from perception.engine.files import write_json, write_text
from perception.errors import RecipeError, TrainingError

_PACKAGES = ("torch", "torchvision", "timm", "mmengine", "numpy", "opencv-python", "open3d", "scipy", "safetensors")


def open_run_folder(folder: str | Path, resume: bool) -> Path:
    """Make `folder` and write into it once.

    Raises:
        TrainingError: it cannot be made or written.
        RecipeError: it holds checkpoints of an earlier run and this one does not resume.
    """
    folder = Path(folder)
    probe = folder / f".write_test_{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise TrainingError(f"work directory {folder} cannot be written: {error.strerror or error}") from error
    earlier = list_checkpoints(folder)
    if earlier and not resume:
        raise RecipeError(
            f"work directory {folder} holds {earlier[-1].name} of an earlier run; add --resume to go on with it or "
            "choose another --work-dir"
        )
    return folder


def check_disk(folder: str | Path, parameters: int, keep: int, average: bool) -> None:
    """Raise `TrainingError` when the checkpoints of the run cannot fit.

    A checkpoint holds the weights, two moments of the optimiser and perhaps the average, 4 bytes each; while one is
    written the `keep` older ones are still there.
    """
    copies = max(1, keep) + 1
    needed = parameters * 4 * (4 if average else 3) * copies + 64 * 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise TrainingError(
            f"the disk of {folder} has {free / 2**30:.2f} GiB free, the checkpoints of this run need about "
            f"{needed / 2**30:.2f} GiB; free some, lower `keep` or choose another --work-dir"
        )


def describe_environment() -> dict[str, Any]:
    """Return versions, hardware, git state and the command line, as plain data."""
    import torch

    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.executable).name, *sys.argv],
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "git": describe_git(Path(__file__).parent),
    }


def describe_git(folder: Path) -> dict[str, Any] | None:
    """Return commit, branch and changed files of the repository around `folder`, or None."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        if not commit:
            return None
        changed = git("status", "--porcelain").splitlines()
        return {"commit": commit, "branch": git("rev-parse", "--abbrev-ref", "HEAD"), "changed_files": changed[:100]}
    except (OSError, subprocess.TimeoutExpired):
        return None


def describe_run(folder: Path, recipe: dict[str, Any], source: str | None) -> None:
    """Write ``recipe.json`` (resolved), ``recipe.py`` (as written) and one ``environment_<n>.json`` for each start."""
    write_json(folder / "recipe.json", recipe)
    if source and Path(source).is_file():
        write_text(folder / "recipe.py", Path(source).read_text(encoding="utf-8"))
    number = len(list(folder.glob("environment*.json")))
    write_json(folder / (f"environment_{number}.json" if number else "environment.json"), describe_environment())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
