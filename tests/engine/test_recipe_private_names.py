"""Names that start with an underscore serve the recipe's own file and are no keys of the recipe."""

from pathlib import Path

from perception.engine.recipe import load_recipe


def test_private_names_are_values_only(tmp_path: Path) -> None:
    file = tmp_path / "recipe.py"
    file.write_text("_shared = dict(size=(4, 6))\nmodel = dict(type='DPT', options=dict(kind='room', **_shared))\n")
    assert load_recipe(file) == {"model": {"type": "DPT", "options": {"kind": "room", "size": (4, 6)}}}
