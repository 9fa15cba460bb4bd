"""What the README shows for programs is run as it stands, but for the address."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOWN = "http://127.0.0.1:7860"


def lines(language: str, holding: str, address: str) -> str:
    """The one block of the README in that language which has `holding`, with the address of the test's own app."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (block,) = [block for block in blocks if holding in block]
    assert SHOWN in block
    return block.replace(SHOWN, address)


def test_the_lines_with_gradio_client(app_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio_client")
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(lines("python", "gradio_client", app_address), names)
    assert zipfile.is_zipfile(names["archive"]) and zipfile.is_zipfile(names["frames"])
    assert Path(names["movie"]).suffix == ".mp4" and names["summary"]["Frames"].startswith("3,")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_with_curl(app_address: str) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines("sh", "curl", app_address)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "event: complete" in done.stdout and ".zip" in done.stdout and '"model": "dpt-world-tiny"' in done.stdout
