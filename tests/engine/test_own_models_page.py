"""What ``docs/own_models.md`` shows trains, is evaluated and loads, as it stands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from perception.datasets.registry import DATASETS
from perception.evaluation.registry import EVALUATORS
from perception.models.registry import MODELS
from tests.engine.helpers import ROOT, rows, run

TEXT = (ROOT / "docs" / "own_models.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's module and recipe, on the path; what the module registers is forgotten afterwards."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    module = "\n\n".join(block for block in blocks if "@register" in block)
    (recipe,) = [block for block in blocks if "_base_" in block]
    (tmp_path / "my_models.py").write_text(module, encoding="utf-8")
    (tmp_path / "my_recipe.py").write_text(recipe, encoding="utf-8")
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for registry in (DATASETS, EVALUATORS, MODELS):
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    return tmp_path


def test_the_page_trains(folder: Path) -> None:
    (commands,) = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in commands.splitlines():
        python, tool, *arguments = shlex.split(line)
        done = run(Path(tool).stem, *arguments)
        assert python == "python" and done.returncode == 0, f"{line}\n{done.stdout}"
    assert "log_error" in done.stdout  # the metric of the page, in the report of tools/test.py
    (measured,) = rows(folder / "work_dirs" / "mine", "val")
    assert any("log_error" in name and value > 0 for name, value in measured.items()), measured

    (loading,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "perception.load" in block]
    names: dict = {}
    exec(loading, names)
    result = names["model"](str(ROOT / "app" / "examples" / "coffee.jpg"))
    assert result.depth.kind == "metric" and result.normals is None
    config = json.loads((folder / "work_dirs" / "mine" / "export" / "config.json").read_text())
    assert config["model"]["type"] == "PlainDepth"

    data = DATASETS.build({"type": "Ramps", "length": 3})
    assert len(data) == 3 and data[2]["depth"].max() == 7
