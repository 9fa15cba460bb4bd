"""The set-up that `make test` does: a missing browser is installed where that is allowed, and never fails the run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALLS = (
    '#!/bin/sh\necho "$@" >>"$LOG"\ncase "$*" in *chromium) touch "$BIN/chromium"; chmod +x "$BIN/chromium";; esac\n'
)


def run(folder: Path, programs: dict[str, str]) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script where there are these programs and what a shell needs, and return what was asked of `apt-get`."""
    for name in ("bash", "sh", "touch", "chmod", "env", "true"):
        (folder / name).symlink_to(shutil.which(name))
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    log = folder / "log"
    env = {"PATH": str(folder), "LOG": str(log), "BIN": str(folder)}
    done = subprocess.run(
        [shutil.which("bash"), ROOT / "tools" / "browser.sh"], env=env, capture_output=True, text=True
    )
    return done, log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_a_browser_that_is_there_is_left_alone(folder: Path) -> None:
    done, asked = run(folder, {"google-chrome": "#!/bin/sh\n", "apt-get": INSTALLS})
    assert (done.returncode, done.stdout, done.stderr, asked) == (0, "", "", [])


def test_it_is_installed_by_root(folder: Path) -> None:
    done, asked = run(folder, {"id": "#!/bin/sh\necho 0\n", "apt-get": INSTALLS})
    assert done.returncode == 0 and done.stderr == ""
    assert asked == ["update -qq", "install -y -qq chromium"]


@pytest.mark.parametrize(
    "programs",
    [
        {"id": "#!/bin/sh\necho 0\n", "apt-get": "#!/bin/sh\nexit 100\n"},  # no network
        {"id": "#!/bin/sh\necho 1000\n", "apt-get": INSTALLS, "sudo": "#!/bin/sh\nexit 1\n"},  # not allowed
        {},  # no Debian
    ],
)
def test_where_it_cannot_be_installed_one_sentence_says_so(folder: Path, programs: dict[str, str]) -> None:
    done, asked = run(folder, programs)
    assert done.returncode == 0 and asked == []
    assert done.stderr.count("\n") == 1 and "apt-get install chromium" in done.stderr


def test_make_test_sets_the_browser_up_before_the_tests() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    words = [make, "--dry-run", "--always-make", "test"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    plan = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert plan.index("tools/browser.sh") < plan.index("-m pytest")
    assert plan.index('".[ray]"') < plan.index("-m pytest")
