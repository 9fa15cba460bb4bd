"""What surfaces are made of: a `Material` record, and the per-scene table of them in structure-of-arrays form.

Albedo of a surface point, from the texel (rgb, mask) of the material's texture (`textures`)::

    albedo = rgb * ((1 - mask) * colour + mask * tint2)

Neutral textures (brick, asphalt, fabric ...) have a mean rgb of 1, so `colour` is the mean albedo and `tint2` the colour of mortar,
grain or stripes; coloured textures (posters, foliage ...) hold albedo themselves and want ``colour=(1, 1, 1)``.
Colours are linear RGB, not sRGB (`srgb` converts).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

Colour = tuple[float, float, float]

# Radar classes: how strongly a surface answers a 77 GHz radar.
RADAR_NONE, RADAR_WEAK, RADAR_MEDIUM, RADAR_METAL = 0, 1, 2, 3


@lru_cache(maxsize=1024)
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

    texture: name of a texture of `textures.texture_bank()` (``"brick_2"``; a family's name means its first member); ``""`` = plain
        `colour`.
    colour, tint2: linear RGB in [0, 1]; see the module's formula. `tint2` None = 0.35 * colour.
    scale_m: metres covered by one repetition of the texture.
    specular: strength of the mirror part in [0, 1] (glass 0.9, paint 0.5, plaster 0.02). roughness: 0 mirror .. 1 matt.
    emission: radiated light as a multiple of the albedo (white in the sun is about 1); 0 = none.
    lidar_reflectance: in [0, 1] at 905 nm. radar_class: RADAR_NONE .. RADAR_METAL.
    wettable: whether rain darkens it and makes it shine. smooth: light it with interpolated vertex normals (round things whose
        triangles share vertices); true normals stay those of the triangles.
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
    smooth: bool = False


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
    """colour, tint2 (M, 3) float32; scale_m, specular, roughness, emission, lidar_reflectance, wettable, smooth (M,) float32;
    radar_class (M,) int8; texture: list of M names."""

    def __init__(self, items: list[Material]) -> None:
        items = items or [Material()]
        self.texture = [m.texture for m in items]
        self.colour = np.array([m.colour for m in items], np.float32)
        tint2 = [m.tint2 if m.tint2 is not None else tuple(0.35 * c for c in m.colour) for m in items]
        self.tint2 = np.array(tint2, np.float32)
        for name in ("scale_m", "specular", "roughness", "emission", "lidar_reflectance", "wettable", "smooth"):
            setattr(self, name, np.array([getattr(m, name) for m in items], np.float32))
        self.radar_class = np.array([m.radar_class for m in items], np.int8)
