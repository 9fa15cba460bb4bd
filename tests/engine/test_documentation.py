"""The commands of ``docs/training.md`` run, on the toy recipe and a tiny model instead of the ones that take hours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.engine.recipe import load_recipe
from perception.engine.schema import check_recipe
from tests.engine.helpers import RECIPE, ROOT, run

TEXT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines() if line]


def test_documented_recipes_and_options_exist() -> None:
    assert len(COMMANDS) >= 12
    for line in COMMANDS:
        words = shlex.split(line)
        for recipe in (word for word in words if word.startswith("models/")):
            options = [word for word in words if re.match(r"[\w.]+=", word)]
            check_recipe(load_recipe(ROOT / recipe, options))


def test_documented_training_and_evaluation_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = 0
    for line in COMMANDS:
        words = shlex.split(line)
        if words[0] != "python":
            continue
        tool = words[1].removeprefix("tools/").removesuffix(".py")
        recipe = [str(RECIPE) if word.startswith("models/") else word for word in words[2:]]
        if "--max-minutes" in recipe:
            recipe[recipe.index("--max-minutes") + 1] = "0.01"
        result = run(tool, *recipe)
        assert result.returncode == 0, f"{line}\n{result.stdout}"
        done += 1
    assert done >= 8
    assert (tmp_path / "metrics.json").is_file() and (tmp_path / "shown").is_dir()
    assert "Training finished at iteration 16" in result.stdout or (tmp_path / "work_dirs" / "tiny" / "export").is_dir()


def test_documented_prediction_and_export_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from perception.cli import main
    from perception.inference.hub import save_pretrained
    from perception.models.registry import build_model
    from tests.inference.export import tiny  # noqa: F401  (registers TinyDepth)

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_pretrained(build_model({"type": "TinyDepth"}).eval(), "work_dirs/tiny/export")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    (tmp_path / "photos").mkdir()
    for path in ("photo.jpg", "photos/a.jpg", "photos/b.jpg"):
        image.save(path)
    for line in COMMANDS:
        words = shlex.split(line)
        if words[0] != "perception":
            continue
        if "ray" in words:
            try:
                import ray  # noqa: F401

                # Ray's processes know only what the package registers, not this test's toy
                words[words.index("work_dirs/tiny/export")] = "dpt-world-tiny"
            except ImportError:
                words[words.index("ray")] = "local"
        assert main(words[1:]) == 0, line
    assert (tmp_path / "out" / "photo" / "result.json").is_file()
