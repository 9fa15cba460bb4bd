"""Samples of the parts in order, repeated parts, and what does not fit together."""

import pytest

from perception.datasets.concat import Concat
from perception.datasets.registry import register_dataset
from perception.errors import RecipeError


@register_dataset
class CountingPart:
    """`length` numbered samples."""

    def __init__(self, name: str, length: int, class_names: tuple[str, ...] = ()) -> None:
        self.name, self.length, self.class_names = name, length, class_names

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return {"meta": {"name": f"{self.name}{index}", "index": index}}


def part(name: str, length: int, **more) -> dict:
    return {"type": "CountingPart", "name": name, "length": length, **more}


def test_every_sample_once_and_repeats() -> None:
    both = Concat([part("a", 3), part("b", 2)], repeats=[1, 2])
    assert [both[i]["meta"]["name"] for i in range(len(both))] == ["a0", "a1", "a2", "b0", "b1", "b0", "b1"]
    with pytest.raises(IndexError):
        both[len(both)]


def test_samples_are_numbered_through() -> None:
    """Evaluators count a number once: samples of two parts must not share one."""
    both = Concat([part("a", 3), part("b", 2)])
    assert [both[i]["meta"]["index"] for i in range(len(both))] == list(range(5))


def test_refuses_nothing_wrong_repeats_and_other_classes() -> None:
    with pytest.raises(RecipeError, match="at least one"):
        Concat([])
    with pytest.raises(RecipeError, match="repeats"):
        Concat([part("a", 1)], repeats=[1, 2])
    with pytest.raises(RecipeError, match="same classes"):
        Concat([part("a", 1, class_names=("x",)), part("b", 1, class_names=("y",))])
