"""Which scenes make a nuScenes split: the official ones by number, a data set's own by ``splits.json``."""

from __future__ import annotations

import json
from pathlib import Path

from perception.errors import DatasetError, RecipeError, nearest
from perception.io.text import read_text

# Scene numbers of the official validation split; the other scenes of v1.0-trainval are its training split.
_VAL_RANGES = (
    "3 12-18 35 36 38 39 92-110 221 268-278 329-332 344-346 519-524 552-565 625-627 629 630 632-638 770 771 775 777 778 "
    "780-784 794-800 802 904-917 919-931 962 963 966-969 971 972 1059-1073"
)
_MINI_TRAIN, _MINI_VAL = (61, 553, 655, 757, 796, 1077, 1094, 1100), (103, 916)


def own_splits(path: Path) -> dict[str, list[str]]:
    """Splits of a ``splits.json``, name -> scene names. Raises `DatasetError` for a file of another form."""
    try:
        listed = json.loads(read_text(path))
        return {str(name): [str(scene) for scene in scenes] for name, scenes in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(f"{str(path)!r} must hold {{split: [scene names]}}: {error}") from error


def official_scenes(split: str, names: list[str], listed: dict) -> set[str]:
    """Those of the scenes `names` that an official split has; `listed`: own splits, for the message.

    Raises `RecipeError` for an unknown name.
    """
    number = {name: int(name.rsplit("-", 1)[-1]) for name in names if name.rsplit("-", 1)[-1].isdigit()}
    val = _numbers(_VAL_RANGES)
    rules = {
        "all": set(names),
        "test": set(names),
        "val": {name for name, n in number.items() if n in val},
        "train": {name for name, n in number.items() if n not in val},
        "mini_val": {name for name, n in number.items() if n in _MINI_VAL},
        "mini_train": {name for name, n in number.items() if n in _MINI_TRAIN},
    }
    if split not in rules:
        known = [*listed, *rules]
        raise RecipeError(f"nuScenes split {split!r} is unknown; known: {', '.join(known)}.{nearest(split, known)}")
    return rules[split]


def _numbers(ranges: str) -> set[int]:
    found: set[int] = set()
    for part in ranges.split():
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found
