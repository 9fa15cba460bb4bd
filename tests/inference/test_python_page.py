"""The code of ``docs/python.md`` runs as it stands, block after block, with the bundled models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("app", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= 6
    assert {"depth.npy", "points.ply", "result.json"} <= {path.name for path in (tmp_path / "out" / "coffee").iterdir()}
    assert names["same"].depth.shape == names["photo"].pixels.shape[:2]
    assert names["smaller"].size == (100, 80)
    printed = capsys.readouterr().out
    assert "README.md" in printed.splitlines()[-1]
