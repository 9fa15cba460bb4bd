"""SLURM without SLURM: its variables, and the job file with stand-ins for `srun` and `scontrol`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from perception.engine.distributed import _first_host, _slurm_environment, start_processes
from perception.errors import RecipeError
from tests.engine.helpers import ROOT

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*NAMES, *(name for name in os.environ if name.startswith("SLURM_"))):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_slurm_variables_become_torchruns(clean: pytest.MonkeyPatch) -> None:
    values = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_NODELIST": "gpu[03-04]"}
    for name, value in {**values, "SLURM_JOB_ID": "41234"}.items():
        clean.setenv(name, value)
    for name in NAMES:  # so that they are taken away again afterwards
        clean.setenv(name, "")
        clean.delenv(name)
    clean.setenv("PATH", "")
    _slurm_environment()
    assert [os.environ[name] for name in NAMES] == ["5", "8", "1", "gpu03", "21234"]


@pytest.mark.parametrize(
    ("nodes", "first"), [("node7", "node7"), ("a[03-07,12]", "a03"), ("x1,x2", "x1"), ("n-[1-2]", "n-1")]
)
def test_the_first_host_is_found_without_scontrol(clean: pytest.MonkeyPatch, nodes: str, first: str) -> None:
    clean.setenv("PATH", "")
    assert _first_host(nodes) == first


@pytest.mark.parametrize(("launcher", "words"), [("slurm", "start with srun"), ("pytorch", "start with `torchrun")])
def test_a_launcher_without_its_environment_is_a_sentence(clean: pytest.MonkeyPatch, launcher: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        start_processes(launcher)


@pytest.mark.parametrize(
    ("ended", "code", "requeued"), [("finished", 0, False), ("SIGUSR1", 0, True), ("SIGTERM", 0, True), ("", 3, False)]
)
def test_the_job_goes_back_into_the_queue_after_a_signal_only(
    tmp_path: Path, ended: str, code: int, requeued: bool
) -> None:
    tools, work = tmp_path / "bin", tmp_path / "run"
    tools.mkdir()
    work.mkdir()
    (work / "iter_4.pth").write_bytes(b"x")
    status = f'{{"ended": "{ended}", "iteration": 4}}'
    scripts = {
        "srun": f"echo \"$@\" > {tmp_path}/srun\necho '{status}' > {work}/status.json\nexit {code}",
        "scontrol": f'echo "$@" > {tmp_path}/scontrol',
    }
    for name, body in scripts.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    variables = {"PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"}
    words = ["bash", str(ROOT / "tools" / "slurm.sh"), "recipe.py", str(work), "--seed", "3"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    started = (tmp_path / "srun").read_text()
    assert f"tools/train.py recipe.py --work-dir {work} --launcher slurm --resume --seed 3" in started
    assert (tmp_path / "scontrol").exists() == requeued
    if requeued:
        assert (tmp_path / "scontrol").read_text().split() == ["requeue", "77"]
