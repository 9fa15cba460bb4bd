"""The table of variants: what is trained, what is tested, what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perception.engine import ablation
from perception.errors import RecipeError

VARIANTS = {
    "all": {},
    "radar off": {"test": ["test_dataloader.dataset.radar=False"]},
    "no HAT": {"train": ["model.hat=False"]},
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    seen: list[tuple] = []

    def evaluate(recipe, weights, seed, options):
        seen.append(("test", str(weights), tuple(options)))
        return {"nuscenes/nds": 0.1 * len(seen), "occupancy/miou": float("nan")}

    def trained(recipe, work_dir, options, minutes):
        seen.append(("train", tuple(options)))
        return Path(work_dir) / "runs" / str(len(options))

    monkeypatch.setattr(ablation, "evaluate", evaluate)
    monkeypatch.setattr(ablation, "trained", trained)
    return seen


def test_given_weights_are_tested_and_trainings_left_out(calls, tmp_path: Path) -> None:
    (tmp_path / "variants.json").write_text(json.dumps(VARIANTS))
    variants = ablation.read_variants(tmp_path / "variants.json")
    found = ablation.ablate("recipe.py", variants, tmp_path, "weights", options=["a=1"])
    assert calls == [
        ("test", "weights", ("a=1",)),
        ("test", "weights", ("a=1", "test_dataloader.dataset.radar=False")),
    ]
    assert list(found) == ["all", "radar off"]
    lines = ablation.table(found, ("nuscenes/nds", "occupancy/miou", "tracking/amota")).splitlines()
    assert lines[0] == "| variant | nds | miou | amota |" and lines[2] == "| all | 0.100 | - | - |"
    calls.clear()
    assert ablation.ablate("recipe.py", variants, tmp_path, "weights", options=["a=1"]).keys() == found.keys()
    assert calls == [], "finished variants are read from the folder"
    ablation.ablate("recipe.py", variants, tmp_path, "others", options=["a=1"])
    assert len(calls) == 2, "other weights are another question"


def test_variants_are_trained_where_asked(calls, tmp_path: Path) -> None:
    variants = {name: {"train": [], "test": [], **v} for name, v in VARIANTS.items()}
    with pytest.raises(RecipeError, match="needs weights"):
        ablation.ablate("recipe.py", variants, tmp_path)
    ablation.ablate("recipe.py", variants, tmp_path, train=True)
    assert [call[1] for call in calls if call[0] == "train"] == [(), (), ("model.hat=False",)]


def test_wrong_variants_are_one_sentence(tmp_path: Path) -> None:
    for text in ("[]", "{}", '{"a": {"tset": []}}', '{"a": {"test": "x=1"}}', "{"):
        (tmp_path / "v.json").write_text(text)
        with pytest.raises(RecipeError, match=r"variants .*v\.json"):
            ablation.read_variants(tmp_path / "v.json")
    for path in (Path(__file__).parents[2] / "models/hydra").glob("ablations*.json"):
        assert len(ablation.read_variants(path)) >= 3
