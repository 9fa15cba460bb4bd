"""What is done with keyword arguments of models and data sets: take one of a few choices, or change some of a table of defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perception.errors import RecipeError, nearest


def check_choice(what: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise `RecipeError` unless `value` is one of `choices`. `what`: whose choice it is, such as "MonoDETR's query_start"."""
    choices = list(choices)
    if value not in choices:
        raise RecipeError(
            f"{what} is one of {', '.join(map(repr, choices))}; found {value!r}.{nearest(str(value), map(str, choices))}"
        )


def with_changes(what: str, defaults: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """`defaults` with `changes` in their places. Raises `RecipeError` for a change of what is not there."""
    for name in changes or {}:
        if name not in defaults:
            raise RecipeError(f"{what} have no {name!r}; known: {', '.join(defaults)}.{nearest(name, defaults)}")
    return {**defaults, **(changes or {})}
