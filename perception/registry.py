"""Names -> classes that recipes and checkpoints build from literals, imported when they are first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from perception.errors import RecipeError, nearest


class Registry:
    """Classes of one kind by name.

    Args:
        kind: what the classes are, for messages: ``"model"``.
        homes: registered name -> module that defines it and registers it when it is imported.
    """

    def __init__(self, kind: str, homes: Mapping[str, str]) -> None:
        self.kind, self.homes = kind, dict(homes)
        self._classes: dict[str, type] = {}

    def register(self, cls: type) -> type:
        """Class decorator: make `cls` buildable by its class name. Raises `RecipeError` for a name taken by another class."""
        known = self._classes.get(cls.__name__, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise RecipeError(
                f"{self.kind} name {cls.__name__!r} is registered twice, by {known.__module__} and {cls.__module__}"
            )
        self._classes[cls.__name__] = cls
        return cls

    def names(self) -> list[str]:
        """Return the registered names, sorted. Imports nothing."""
        return sorted({*self.homes, *self._classes})

    def find(self, name: str) -> Callable[..., Any]:
        """Return the class registered as `name`. Raises `RecipeError` with the nearest known name."""
        if name not in self._classes and name in self.homes:
            importlib.import_module(self.homes[name])
        if name not in self._classes:
            raise RecipeError(f"{self.kind} type {name!r} is not registered.{nearest(name, self.names())}")
        return self._classes[name]

    def build(self, config: Mapping[str, Any]) -> Any:
        """Build ``{"type": name, **keyword arguments}``. Raises `RecipeError` for unknown names and arguments."""
        arguments = dict(config)
        name = arguments.pop("type", None)
        if name is None:
            raise RecipeError(f"the {self.kind} configuration needs a 'type' key; found keys {sorted(arguments)}")
        cls = self.find(name)
        try:
            return cls(**arguments)
        except TypeError as error:
            raise RecipeError(f"{self.kind} {name!r} cannot be built from keys {sorted(arguments)}: {error}") from error
