"""tools/plot.py: what a run folder's log says, as numbers and as a picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perception.errors import InputError
from tools.plot import curve_of, main, read_run

TOOL = Path(__file__).parents[2] / "tools" / "plot.py"


@pytest.fixture
def run(tmp_path):
    rows = [
        {"mode": "train", "iter": 100, "loss": 3.0, "seconds": 0.36},
        {"mode": "train", "iter": 200, "loss": 2.0, "seconds": 0.72},
        {"mode": "val", "iter": 200, "depth/abs_rel": 0.5},
        {"mode": "train", "iter": 300, "loss": 9.0, "seconds": 0.36},
        {"mode": "train", "iter": 250, "loss": 1.5, "seconds": 0.72},  # resumed from an earlier checkpoint
    ]
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"mode": "train", "it')
    return folder


def test_hours_add_up_and_a_repeated_stretch_counts_once(run):
    assert curve_of(read_run(run), "loss") == [
        (100, pytest.approx(0.01), 3.0),
        (200, pytest.approx(0.03), 2.0),
        (250, pytest.approx(0.04), 1.5),
    ]
    assert curve_of(read_run(run), "depth/abs_rel") == [(200, pytest.approx(0.03), 0.5)]


def test_table_picture_and_list(run, capsys, tmp_path):
    assert main([str(run)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[2:] == ["| depth/abs_rel | 0.5 |", "| loss | 1.5 |", "| seconds | 0.72 |"]
    assert main([str(run), "--values", "depth/abs_rel"]) == 0
    assert "| 200 | 0.03 | 0.5 |" in capsys.readouterr().out
    assert main([str(run), "--values", "loss", "depth/abs_rel", "--out", str(tmp_path / "a.png"), "--iterations"]) == 0
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_two_tests_stand_beside_a_run(run, capsys, tmp_path):
    """What tools/test.py --json and tools/evaluate.py --json write."""
    (tmp_path / "test.json").write_text(json.dumps({"recipe": "r", "metrics": {"depth/abs_rel": 0.4, "bad": None}}))
    (tmp_path / "files.json").write_text(json.dumps({"depth/abs_rel": 0.3, "iou": {"car": 1.0}}))
    assert main([str(run), str(tmp_path / "test.json"), str(tmp_path / "files.json")]) == 0
    assert "| depth/abs_rel | 0.5 | 0.4 | 0.3 |" in capsys.readouterr().out
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="holds no metrics"):
        main([str(tmp_path / "list.json")])


def test_mistakes_are_sentences(run, tmp_path):
    with pytest.raises(InputError, match=r"Did you mean 'depth/abs_rel'"):
        main([str(run), "--values", "depth/absrel"])
    with pytest.raises(InputError, match="--out draws --values"):
        main([str(run), "--out", "a.png"])
    with pytest.raises(InputError, match=r"\.png, \.pdf or \.svg"):
        main([str(run), "--values", "loss", "--out", "a.bmp"])
    done = subprocess.run([sys.executable, str(TOOL), str(tmp_path / "no")], capture_output=True, text=True)
    assert done.returncode == 2 and "has no metrics.jsonl" in done.stderr and "Traceback" not in done.stderr
