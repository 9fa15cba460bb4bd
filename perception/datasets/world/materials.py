"""What surfaces are made of: a `Material` record, and the per-scene table of them in structure-of-arrays form.

Albedo of a surface point, per channel, from the texture value ``x`` in [0, 1]::

    albedo = tint2 + x * (colour - tint2)

so a grey noise blends two colours (brick and mortar), and a coloured texture (poster) keeps its own colours with
``colour=(1, 1, 1), tint2=(0, 0, 0)``. Colours are linear RGB, not sRGB (`srgb` converts).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

Colour = tuple[float, float, float]

# Radar classes: how strongly a surface answers a 77 GHz radar.
RADAR_NONE, RADAR_WEAK, RADAR_MEDIUM, RADAR_METAL = 0, 1, 2, 3


def srgb(*values: float | str) -> Colour:
    """Linear RGB of an sRGB colour given as ``"#rrggbb"`` or as three numbers in [0, 1]."""
    if len(values) == 1 and isinstance(values[0], str):
        text = values[0].lstrip("#")
        values = tuple(int(text[i : i + 2], 16) / 255 for i in (0, 2, 4))
    rgb = np.clip(np.asarray(values, np.float64), 0, 1)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return (float(linear[0]), float(linear[1]), float(linear[2]))


@dataclass(frozen=True)
class Material:
    """One surface finish.

    texture: name of a texture of `textures.texture_bank()`, or of a family (any member, chosen by the scene's seed);
        ``""`` = plain `colour`.
    colour, tint2: linear RGB in [0, 1]; see the module's formula. `tint2` None = 0.35 * colour.
    scale_m: metres covered by one repetition of the texture.
    specular: strength of the mirror part in [0, 1] (glass 0.9, paint 0.5, plaster 0.02). roughness: 0 mirror .. 1 matt.
    emission: radiated light as a multiple of the albedo (white in the sun is about 1); 0 = none.
    lidar_reflectance: in [0, 1] at 905 nm. radar_class: RADAR_NONE .. RADAR_METAL.
    wettable: whether rain darkens it and makes it shine.
    """

    texture: str = ""
    colour: Colour = (0.5, 0.5, 0.5)
    tint2: Colour | None = None
    scale_m: float = 1.0
    specular: float = 0.02
    roughness: float = 0.8
    emission: float = 0.0
    lidar_reflectance: float = 0.3
    radar_class: int = RADAR_WEAK
    wettable: bool = False

    def with_(self, **changes) -> Material:
        """Copy with some fields changed."""
        return replace(self, **changes)


class MaterialTable:
    """The materials of one scene. `add` returns the id that meshes store per triangle (int16); arrays are made on demand."""

    def __init__(self) -> None:
        self.items: list[Material] = []
        self._ids: dict[Material, int] = {}

    def add(self, material: Material) -> int:
        """Return the id of `material`, adding it when it is new."""
        index = self._ids.get(material)
        if index is None:
            index = self._ids[material] = len(self.items)
            self.items.append(material)
            self.__dict__.pop("arrays", None)
        return index

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Material:
        return self.items[index]

    @cached_property
    def arrays(self) -> MaterialArrays:
        """Structure of arrays over all materials added so far."""
        return MaterialArrays(self.items)


class MaterialArrays:
    """colour, tint2 (M, 3) float32; scale_m, specular, roughness, emission, lidar_reflectance, wettable (M,) float32;
    radar_class (M,) int8; texture: list of M names."""

    def __init__(self, items: list[Material]) -> None:
        items = items or [Material()]
        self.texture = [m.texture for m in items]
        self.colour = np.array([m.colour for m in items], np.float32)
        tint2 = [m.tint2 if m.tint2 is not None else tuple(0.35 * c for c in m.colour) for m in items]
        self.tint2 = np.array(tint2, np.float32)
        for name in ("scale_m", "specular", "roughness", "emission", "lidar_reflectance", "wettable"):
            setattr(self, name, np.array([getattr(m, name) for m in items], np.float32))
        self.radar_class = np.array([m.radar_class for m in items], np.int8)
