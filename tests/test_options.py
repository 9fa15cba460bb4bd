"""Arguments of models that do not exist are one sentence with the nearest that does."""

from __future__ import annotations

import pytest

from perception.engine.schema import _typed
from perception.errors import RecipeError
from perception.models.registry import build_model, model_class
from perception.options import check_choice, with_changes
from tests.models.hydra.conftest import TINY


def test_a_choice_is_one_of_a_few() -> None:
    check_choice("the weather", None, ("sun", "rain", None))
    with pytest.raises(RecipeError, match=r"the weather is one of 'sun', 'rain'; found 'rian'\. Did you mean 'rain'\?"):
        check_choice("the weather", "rian", ("sun", "rain"))


def test_changes_of_defaults() -> None:
    defaults = {"box": 1.0, "depth": 2.0}
    assert with_changes("the losses", defaults, None) == defaults
    assert with_changes("the losses", defaults, {"depth": 0.0}) == {"box": 1.0, "depth": 0.0}
    with pytest.raises(RecipeError, match=r"the losses have no 'dept'; known: box, depth\. Did you mean 'depth'\?"):
        with_changes("the losses", defaults, {"dept": 0.0})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backward": "dfa"}, "backward is one of 'attention', 'dfa3d', None; found 'dfa'"),
        ({"depth_net": "plane"}, "Did you mean 'plain'"),
        ({"widths": {"encodre": (8, 8)}}, "the widths have no 'encodre'"),
        ({"loss_weights": {"boxes": 1.0}}, "the loss weights have no 'boxes'"),
        ({"box_class_weights": {"lorry": 2.0}}, "box_class_weights of HyDRa's head have no 'lorry'"),
        ({"classes": ("car", "truck")}, "'pedestrian' is not one of the data set's"),
        ({"occupancy": {**TINY["occupancy"], "weights": (1.0, 2.0)}}, "18 classes; found 2"),
    ],
)
def test_a_hydra_that_cannot_be(change: dict, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build_model({**TINY, **change})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("model", "wrong", "right"),
    [("HyDRa", "depth_nett", "depth_net"), ("HyDRa", "histroy", "history"), ("MonoDETR", "num_querys", "num_queries")],
)
def test_a_recipe_is_told_of_misspelt_arguments_of_parent_classes(model: str, wrong: str, right: str) -> None:
    _typed({"type": model, right: 1}, "model", model_class)
    with pytest.raises(RecipeError, match=f"{model} takes no '{wrong}'. Did you mean '{right}'"):
        _typed({"type": model, wrong: 1}, "model", model_class)
