"""Every recipe under ``models/``: literals only, every name and argument exists, and its model can be built."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from perception.engine.layer_decay import layer_scales
from perception.engine.recipe import load_recipe
from perception.engine.schema import check_recipe
from perception.errors import DatasetError, RecipeError
from perception.inference.loading import without_downloads
from perception.models.registry import build_model
from tests.engine.helpers import ROOT

FILES = sorted((ROOT / "models").rglob("*.py"))
NO_TRUNK = {"Video360"}  # a small U-Net of its own, trained from scratch
RECIPES = [path for path in FILES if "_base_" not in path.parts]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_builds_its_model_and_names_real_data_sets(path: Path) -> None:
    from perception.datasets.registry import build_dataset

    recipe = load_recipe(path)
    check_recipe(recipe)
    with torch.device("meta"):  # shapes without memory: large models too are built in a moment
        model = build_model(without_downloads(recipe["model"]))
    assert sum(parameter.numel() for parameter in model.parameters()) > 0
    if (
        recipe["model"]["type"] not in NO_TRUNK
    ):  # `paramwise_cfg = dict(layer_decay=...)` finds the layers of every backbone
        rates = set(layer_scales(model, 0.5).values())
        assert len(rates) > 3 and max(rates) == 0.5, sorted(rates)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = (recipe.get(key) or {}).get("dataset")
        if dataset and "root" in dataset:
            try:
                assert len(build_dataset(dataset)) > 0
            except DatasetError as error:  # the data are not on this machine: said so in a sentence
                assert str(dataset["root"]) in str(error)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recipes_hold_literals_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.FunctionDef | ast.Attribute)
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name) and node.func.id == "dict"


def test_recipes_of_the_world_name_its_classes() -> None:
    """A recipe holds literals, so the names stand in it again; here is what keeps them the world's."""
    from perception.datasets.world.classes import TRAINING_GROUPS

    found = 0
    for path in RECIPES:
        recipe = load_recipe(path)
        if "'labels': 'groups'" in str(recipe.get("train_dataloader")) and "class_names" in recipe["model"]:
            found += 1
            model = recipe["model"]
            assert tuple(model["class_names"]) == TRAINING_GROUPS and model["num_classes"] == len(TRAINING_GROUPS)
            assert model["class_names"][model["sky_class"]] == "sky"
    assert found >= 3


def test_recipes_say_the_same_to_mmengine() -> None:
    """They are mmengine's text configs: its own reader finds the same values."""
    from mmengine.config import Config

    for path in RECIPES[:2]:
        theirs = Config.fromfile(path, lazy_import=False).to_dict()
        assert load_recipe(path) == {key: value for key, value in theirs.items() if not key.startswith("_")}


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "model = dict(type=__import__('os').system('touch victim'))",
        "name = open('victim', 'w')",
        "name = [x for x in ()].__class__",
        "name = f'{1}'",
        'exec(\'open("victim", "w")\')',
        "model = (lambda: open('victim', 'w'))()",
    ],
)
def test_hostile_recipe_is_refused_and_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.py").write_text(f"{line}\n")
    with pytest.raises(RecipeError, match=r"recipe .*recipe\.py, line 1"):
        load_recipe(tmp_path / "recipe.py")
    assert not (tmp_path / "victim").exists()


def test_hostile_option_is_text(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text("a = dict(b=1)\n")
    recipe = load_recipe(tmp_path / "recipe.py", ["a.b=__import__('os').getcwd()"])
    assert recipe["a"]["b"] == "__import__('os').getcwd()"


def test_a_list_may_take_in_one_from_above(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text("a = [dict(b=1)]\nc = [*a, dict(b=2)]\n")
    recipe = load_recipe(tmp_path / "recipe.py")
    assert recipe["c"] == [{"b": 1}, {"b": 2}] and recipe["a"] == [{"b": 1}]
    recipe["c"][0]["b"] = 9
    assert recipe["a"] == [{"b": 1}]
    (tmp_path / "recipe.py").write_text("a = [*'text']\n")
    with pytest.raises(RecipeError, match="line 1: `\\*` is for lists"):
        load_recipe(tmp_path / "recipe.py")
