"""Running the command lines on the toy recipe: in this process, or in forks of it where something has to be killed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "tests" / "engine" / "toy_recipe.py"


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended: its exit code and what it printed (stdout and stderr together)."""

    returncode: int
    stdout: str


def run(tool: str, *arguments: str | Path) -> Done:
    """Run ``tools/<tool>.py`` with a command line in this process, which saves the seconds of importing torch."""
    spec = importlib.util.spec_from_file_location(f"tool_{tool}", ROOT / "tools" / f"{tool}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    text, former = io.StringIO(), list(sys.argv)
    sys.argv = [str(ROOT / "tools" / f"{tool}.py"), *map(str, arguments)]
    try:
        spec.loader.exec_module(module)
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            code = module.main()
    finally:
        sys.argv = former
    return Done(code, text.getvalue())


def train(folder: Path, *arguments: str, options: tuple[str, ...] = ()) -> Done:
    """Run ``tools/train.py`` on the toy recipe in `folder`."""
    changes = ("--cfg-options", *options) if options else ()
    return run("train", RECIPE, "--work-dir", folder, *arguments, *changes)


class Child:
    """A forked copy of this process that runs `body` (returns an exit code); what it prints goes to `log`.

    A fork has torch and the package imported already: a training starts in it in milliseconds.
    """

    def __init__(self, body: Callable[[], int], log: Path, **variables: str) -> None:
        self.log = log
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 70
        try:
            os.environ.update(variables, CUDA_VISIBLE_DEVICES="")
            torch.set_num_threads(1)  # the parent's thread pool does not exist in a fork
            with (
                open(log, "w", buffering=1) as file,
                contextlib.redirect_stdout(file),
                contextlib.redirect_stderr(file),
            ):
                try:
                    code = body()
                except BaseException:
                    traceback.print_exc()
        finally:
            os._exit(code)

    def wait(self, seconds: float) -> int | None:
        """Return the exit code (negative: the signal that killed it), or None when it still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        return None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def together(folder: Path, body: Callable[[], int], processes: int = 2, seconds: float = 240) -> list[str]:
    """Run `body` in several processes with torchrun's environment (gloo); return what each printed. All have to succeed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    folder.mkdir(parents=True, exist_ok=True)
    children = [
        Child(body, folder / f"process_{rank}.log", RANK=str(rank), LOCAL_RANK=str(rank), **shared)
        for rank in range(processes)
    ]
    codes = []
    for child in children:
        codes.append(child.wait(seconds))
        if codes[-1] is None:
            child.kill()
    outputs = [child.output for child in children]
    assert codes == [0] * processes, f"exit codes {codes}\n" + "\n".join(outputs)
    return outputs


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
