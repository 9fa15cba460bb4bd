"""Errors that a user may meet. Each message is one sentence: the thing, what was expected, what was found, the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PerceptionError(ValueError):
    """Base of every error that is the caller's to mend; the command line and the app show its text without a traceback."""


class InputError(PerceptionError):
    """A picture, camera or other input that cannot be used."""


class WeightsError(PerceptionError):
    """Weights that are missing, broken, unsafe or belong to another model."""


class DatasetError(PerceptionError):
    """A data set whose files are missing, broken or laid out differently."""


class RecipeError(PerceptionError):
    """A recipe or an option that does not exist or does not fit."""


class OutputError(PerceptionError, OSError):
    """A file that cannot be written: a folder without permission, a full disk. Whatever was there before is whole."""


class TrainingError(PerceptionError):
    """A training or evaluation run that cannot go on: numbers that are not finite, a dead worker, a full disk."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name that is closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
