"""Training from weights of another run: all of them, or those that fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perception.engine.evaluate import find_weights
from perception.engine.recipe import load_recipe
from perception.engine.schema import check_recipe
from perception.errors import RecipeError, WeightsError
from perception.io.checkpoints import fit_of, load_fitting
from tests.engine.helpers import RECIPE, train_here

SHORT = ("train_cfg.max_iters=1", "val_dataloader=None", "val_evaluator=None", "optim_wrapper.optimizer.lr=0")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    code, text = train_here(folder, (*SHORT[:3], "seed=5"))
    assert code == 0, text
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "iter_1.pth", weights_only=True)["state_dict"]


@pytest.mark.parametrize("part", ["", "iter_1.pth", "export"])
def test_it_starts_from_a_run_a_checkpoint_or_published_weights(source: Path, tmp_path: Path, part: str) -> None:
    code, text = train_here(tmp_path, (*SHORT, f"load_from={source / part}"))
    assert code == 0 and "loaded weights from" in text, text
    held = torch.load(source / "iter_1.pth", weights_only=True)["ema_state_dict"]
    for name, value in weights(tmp_path).items():
        torch.testing.assert_close(value, held[name], rtol=1e-3, atol=1e-3)  # published weights are of half precision


def test_other_shapes_are_refused_unless_asked_for(source: Path, tmp_path: Path) -> None:
    other = (*SHORT, f"load_from={source}", "model.batch_norm=True")
    code, text = train_here(tmp_path / "strict", other)
    assert code != 0 and "does not fit ToyNet: keys" in text and "5 missing (body.1.weight" in text, text
    code, text = train_here(tmp_path / "partly", (*other, "load_partly=True"))
    assert code == 0 and "loaded 4 of 9 entries" in text and "not taken: 5 missing (body.1.weight" in text, text
    held, new = torch.load(source / "iter_1.pth", weights_only=True)["ema_state_dict"], weights(tmp_path / "partly")
    assert torch.equal(new["head.weight"], held["head.weight"]) and torch.equal(new["body.1.weight"], torch.ones(8))


def test_weights_that_are_not_there_are_an_error_before_the_run_folder_is_made(tmp_path: Path) -> None:
    code, text = train_here(tmp_path / "run", (*SHORT, "load_from=nowhere.pth"))
    assert code != 0 and "nowhere.pth does not exist" in text and not (tmp_path / "run").exists()
    code, text = train_here(tmp_path / "run", (*SHORT, "load_from=bundled"))
    assert code != 0 and "names no bundled weights" in text
    with pytest.raises(RecipeError, match="load_partly = True needs load_from"):
        check_recipe(load_recipe(RECIPE, ["load_partly=True"]))


def test_bundled_weights_are_found_by_name() -> None:
    assert (find_weights({"name": "any"}, "dpt-world-tiny") / "model.safetensors").is_file()
    with pytest.raises(WeightsError, match="dpt-word-tiny does not exist.* Did you mean 'dpt-world-tiny'"):
        find_weights({"name": "any"}, "dpt-word-tiny")


def test_the_fit_names_every_difference() -> None:
    model = torch.nn.Linear(2, 3)
    state = {"weight": torch.ones(3, 4), "bias": torch.ones(3), "more": torch.ones(1)}
    fit = fit_of(model, state)
    assert (fit.fitting, fit.missing, fit.unexpected) == (["bias"], [], ["more"]) and not fit.complete
    assert str(fit) == "1 unexpected (more); 1 of another shape (weight (3, 4) for (3, 2))"
    before = model.weight.clone()
    assert load_fitting(model, state).fitting == ["bias"]
    assert torch.equal(model.bias, torch.ones(3)) and torch.equal(model.weight, before)
    with pytest.raises(WeightsError, match="has nothing for Linear"):
        load_fitting(model, {"more": torch.ones(1)})
