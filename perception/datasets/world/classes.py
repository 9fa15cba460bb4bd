"""Names and numbers of everything in the world: categories, semantic ids, training groups.

Semantic maps are ``(H, W) uint8``; `IGNORE` (255) marks pixels without a class. Ids never change meaning: append only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Changes whenever the pictures of a given seed change, so that caches and cards can tell.
WORLD_VERSION = 2
IGNORE = 255


class Category(NamedTuple):
    """One semantic class. `thing`: countable, has instances and boxes. `group`: its coarser training group."""

    name: str
    id: int
    thing: bool
    group: str


_TABLE = (
    # name, thing, group
    ("sky", False, "sky"),
    ("road", False, "road"),
    ("pavement", False, "ground"),
    ("building", False, "building"),
    ("fence", False, "building"),
    ("vegetation", False, "vegetation"),
    ("terrain", False, "ground"),
    ("pole", False, "pole_sign"),
    ("traffic_sign", False, "pole_sign"),
    ("traffic_light", False, "pole_sign"),
    ("person", True, "person"),
    ("car", True, "vehicle"),
    ("truck", True, "vehicle"),
    ("bus", True, "vehicle"),
    ("trailer", True, "vehicle"),
    ("construction_vehicle", True, "vehicle"),
    ("motorcycle", True, "two_wheeler"),
    ("bicycle", True, "two_wheeler"),
    ("barrier", True, "building"),
    ("traffic_cone", True, "pole_sign"),
    ("floor", False, "floor"),
    ("wall", False, "wall"),
    ("ceiling", False, "ceiling"),
    ("door", False, "opening"),
    ("window", False, "opening"),
    ("table", True, "furniture"),
    ("chair", True, "furniture"),
    ("sofa", True, "furniture"),
    ("bed", True, "furniture"),
    ("shelf", True, "furniture"),
    ("lamp", True, "clutter"),
    ("picture", True, "clutter"),
    ("screen", True, "clutter"),
    ("plant", True, "vegetation"),
    ("box", True, "clutter"),
    ("curtain", False, "opening"),
    ("book", True, "clutter"),
    ("cabinet", True, "furniture"),
    ("clutter", True, "clutter"),
)

CATEGORIES: tuple[Category, ...] = tuple(
    Category(name, i, thing, group) for i, (name, thing, group) in enumerate(_TABLE)
)
NAMES: tuple[str, ...] = tuple(category.name for category in CATEGORIES)
ID: dict[str, int] = {category.name: category.id for category in CATEGORIES}  # ID["car"] == 11
THING_IDS: tuple[int, ...] = tuple(category.id for category in CATEGORIES if category.thing)

# Coarser classes that small models can learn; order of first appearance above.
TRAINING_GROUPS: tuple[str, ...] = tuple(dict.fromkeys(category.group for category in CATEGORIES))


def _group_lookup() -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)
    for category in CATEGORIES:
        table[category.id] = TRAINING_GROUPS.index(category.group)
    table.flags.writeable = False
    return table


# (256,) uint8: semantic id -> index in TRAINING_GROUPS; 255 stays 255. Use as GROUP_OF[semantic].
GROUP_OF: np.ndarray = _group_lookup()
