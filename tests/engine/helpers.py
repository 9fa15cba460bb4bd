"""Running the real command lines as processes on the toy recipe."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "tests" / "engine" / "toy_recipe.py"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT), **more}


def command(tool: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, arguments)]


def run(tool: str, *arguments: str | Path, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``tools/<tool>.py`` and return what it printed (stdout and stderr together) and its exit code."""
    return subprocess.run(
        command(tool, *arguments),
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def train(
    folder: Path, *arguments: str, options: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``tools/train.py`` on the toy recipe in `folder`."""
    changes = ("--cfg-options", *options) if options else ()
    return run("train", RECIPE, "--work-dir", folder, *arguments, *changes, **more)


def train_here(folder: Path, options: tuple[str, ...] = (), **arguments: Any) -> tuple[int, str]:
    """Like `train` but in this process, which saves the seconds of importing torch. Returns exit code and output."""
    from perception.engine.command import run_command
    from perception.engine.train import train as run_training

    def body() -> int:
        run_training(RECIPE, folder, options=list(options), **arguments)
        return 0

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = run_command(body)
    return code, text.getvalue()


def rows(folder: Path, mode: str = "train") -> list[dict[str, Any]]:
    """Return the rows of ``metrics.jsonl`` of one mode."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["mode"] == mode]


def curve(folder: Path) -> list[tuple[int, float, float]]:
    """Return (iteration, loss, gradient norm) of each training row."""
    return [(row["iter"], row["loss"], row.get("grad_norm")) for row in rows(folder)]


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the paths at which two nested structures of tensors and plain data are not bit-equal."""
    if isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
        return [] if same else [path]
    if isinstance(first, dict):
        if not isinstance(second, dict) or first.keys() != second.keys():
            return [f"{path} keys"]
        return [found for key in first for found in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple):
        if len(first) != len(second):
            return [f"{path} length"]
        return [
            found
            for i, pair in enumerate(zip(first, second, strict=True))
            for found in differences(*pair, f"{path}/{i}")
        ]
    return [] if first == second else [path]
