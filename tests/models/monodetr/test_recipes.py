"""The recipes' numbers, and one step of the full-size one on real frames."""

from pathlib import Path

import pytest

from perception.engine.recipe import load_recipe
from tests.helpers import sample

MODELS = Path(__file__).resolve().parents[3] / "models"


def test_the_released_settings_are_in_the_recipe():
    recipe = load_recipe(MODELS / "monodetr" / "monodetr_r50_kitti.py")
    model, optimiser = recipe["model"], recipe["optim_wrapper"]["optimizer"]
    assert (model["num_queries"], model["query_groups"], model["depth_bins"]) == (50, 11, 80)
    assert tuple(model["image_size"]) == (384, 1280) and model["backbone"] == "resnet50"
    assert (optimiser["lr"], optimiser["weight_decay"], recipe["train_dataloader"]["batch_size"]) == (2e-4, 1e-4, 16)
    assert recipe["train_cfg"]["max_epochs"] == 195 and recipe["non_finite"] == "skip"


def test_the_world_recipe_evaluates_what_it_trains():
    recipe = load_recipe(MODELS / "monodetr" / "monodetr_world_tiny.py")
    data, tests = recipe["train_dataloader"]["dataset"], recipe["test_dataloader"]["dataset"]
    assert tuple(data["size"]) == tuple(tests["size"]) == tuple(recipe["model"]["image_size"])
    assert data["box_classes"] == tests["box_classes"] == "kitti"
    assert set(range(*data["seeds"])).isdisjoint(range(*tests["seeds"]))
    for evaluator in recipe["test_evaluator"]:
        assert list(evaluator["classes"]) == list(recipe["model"]["classes"])


@pytest.mark.slow
def test_one_step_of_the_full_size_recipe_on_real_frames(tmp_path):
    from perception.engine.train import train

    root = sample("kitti_object")
    options = [
        "model.pretrained=False",
        "train_dataloader.batch_size=1",
        "train_dataloader.num_workers=0",
        f"train_dataloader.dataset.root={root}",
        "train_dataloader.dataset.split=samples",
        "val_dataloader.batch_size=1",
        "val_dataloader.num_workers=0",
        f"val_dataloader.dataset.root={root}",
        "val_dataloader.dataset.split=samples",
        "train_cfg.max_epochs=0.1",
    ]
    report = train(MODELS / "monodetr" / "monodetr_r50_kitti.py", tmp_path / "run", options=options)
    assert (report.ended, report.iteration) == ("finished", 1)
    assert any(name.endswith("strict/car/3d/R40/moderate") for name in report.metrics)
    assert (report.export / "model.safetensors").exists()
