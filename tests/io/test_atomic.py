"""Half a file never takes the place of a whole one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perception.errors import OutputError
from perception.io import atomic_path, atomic_write

ROOT = Path(__file__).resolve().parents[2]


def test_the_old_file_survives_an_error_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    with atomic_write(path) as file:
        file.write(b"old")
    with pytest.raises(OSError, match="full"), atomic_write(path) as file:
        file.write(b"half of the new")
        raise OSError("disk full")
    assert path.read_bytes() == b"old"
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        assert temporary.suffix == ".json" and temporary.parent == path.parent
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and [p.name for p in path.parent.iterdir()] == ["result.json"]
    with atomic_write(path) as file:
        assert path.read_bytes() == b"old"  # readers see the old file until the end
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("where", ["README.md/x", "/proc/nowhere"])
def test_what_cannot_be_written_is_one_sentence_with_its_path(where: str) -> None:
    with pytest.raises(OutputError, match=f"{where}.*cannot be written: "), atomic_write(ROOT / where) as file:
        file.write(b"never")


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "ours") as file:
        file.write(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    code = (
        "import os, signal; from perception.io.atomic import atomic_write\n"
        f"with atomic_write({str(path)!r}) as f:\n"
        "    f.write(b'x' * 100000); f.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -9 and path.read_bytes() == b"old"
