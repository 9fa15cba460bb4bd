"""The materials of one room: a palette chosen once, and finishes that furniture asks for by name.

`style="wild"` answers every request with a random texture in random colours, which breaks the link between look and thing.
"""

from __future__ import annotations

import colorsys

import numpy as np

from perception.datasets.world.materials import RADAR_MEDIUM, RADAR_METAL, Colour, Material, MaterialTable, srgb
from perception.datasets.world.textures import texture_bank

_WOODS = ("#c9a06a", "#8a5a33", "#5b3a22", "#dcc39a", "#b06a3a", "#a98a63", "#3e2a1e", "#c8b08c")
_PAINTED = ("#e9e7e1", "#f2f1ee", "#2c2a28", "#8f8c86", "#b9c2c4", "#5d6b73", "#d9d2c0")
_CLOTH = (
    "#8c8a86", "#5a5c60", "#2f3136", "#b8ad98", "#d8d0c0", "#ece8e0", "#27364f", "#3f5a7d", "#2f4a3b", "#6e7f5c", "#7a2b2f",
    "#b5532f", "#c9982f", "#2f6b6b", "#8d6a8a", "#b98a92", "#6b4a32", "#9c7a55", "#15161a", "#a33a3a", "#4f7fa8", "#c7b299",
)  # fmt: skip
_WALLS = (
    "#f4f2ec", "#efe9dc", "#e8e0cf", "#f7f7f5", "#e3e4e4", "#d9d4c8", "#f0e6d2", "#e6d9c3", "#d6dde0", "#cfd8d2", "#dccfc4",
)  # fmt: skip
_STRONG = (
    "#2f4858",
    "#5c3b3b",
    "#46584b",
    "#7c5c3e",
    "#8a3d3d",
    "#34495e",
    "#a0653a",
    "#6b6f8a",
    "#3d3d40",
    "#8aa39b",
    "#b59a4b",
)


def vary(rng: np.random.Generator, colour: Colour, amount: float = 0.12) -> Colour:
    """A neighbour of a linear colour: brightness and tint shifted a little, inside 0.01..0.92."""
    gain = np.exp(rng.normal(0, amount)) * np.exp(rng.normal(0, amount * 0.35, 3))
    return tuple(float(c) for c in np.clip(np.array(colour) * gain, 0.01, 0.92))


def any_colour(rng: np.random.Generator, saturation=(0.2, 0.9), value=(0.15, 0.95)) -> Colour:
    """A random linear colour."""
    return srgb(*colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value)))


class Kit:
    """Random stream, material table and palette of a room. Methods return material ids."""

    def __init__(self, rng: np.random.Generator, style: str = "plausible") -> None:
        self.rng, self.style, self.table, self.bank = rng, style, MaterialTable(), texture_bank()
        self.wild = style == "wild"
        pick = self.pick
        self.woods = [vary(rng, srgb(pick(_WOODS))) for _ in range(2)]
        if rng.random() < 0.5:
            self.woods.append(vary(rng, srgb(pick(_PAINTED)), 0.06))
        self.wood_textures = [self.bank.pick(rng, "wood") for _ in self.woods]
        self.cloths = [vary(rng, srgb(pick(_CLOTH))) for _ in range(4)]
        self.metal_colour = pick(
            [(0.55, 0.55, 0.56), (0.03, 0.03, 0.035), (0.3, 0.3, 0.3), (0.55, 0.42, 0.2), (0.8, 0.8, 0.78)]
        )
        self.trim = self.add(
            "plain", srgb(pick(("#f6f5f2", "#f6f5f2", "#ece7dc", "#3a3633", "#8b6a48"))), specular=0.25, roughness=0.5
        )
        self._pool = [self._random() for _ in range(48)] if self.wild else []
        self._wood_ids = [self._wood(i) for i in range(len(self.woods))]

    def pick(self, options):
        """One of a sequence."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return float(self.rng.uniform(low, high))

    def add(
        self, family: str, colour: Colour, tint2: Colour | None = None, scale: float | None = None, **fields
    ) -> int:
        """A material with a texture of a family (or a texture by name) at its natural size, or plain when `family` is empty."""
        name = ""
        if family:
            name = self.bank.pick(self.rng, family) if family in self.bank.families else family
            scale = scale or float(self.bank.scale_m[self.bank.index(name)])
        if tint2 is None:
            tint2 = tuple(0.62 * c for c in colour)
        return self.table.add(Material(name, colour, tint2, scale or 1.0, **fields))

    def _random(self) -> int:
        rng = self.rng
        name = self.bank.pick(rng)
        coloured = self.bank.coloured[self.bank.index(name)] and rng.random() < 0.5
        colour = (1.0, 1.0, 1.0) if coloured else any_colour(rng, (0, 1), (0.05, 1))
        specular, roughness = rng.uniform(0, 0.6) ** 2, rng.uniform(0.2, 1)
        scale = float(np.exp(rng.uniform(np.log(0.15), np.log(2.5))))
        emission = rng.uniform(0.3, 1.5) if rng.random() < 0.04 else 0.0
        return self.add(
            name,
            colour,
            any_colour(rng, (0, 1), (0.05, 1)),
            scale,
            specular=specular,
            roughness=roughness,
            emission=emission,
        )

    def wild_ids(self, count: int) -> np.ndarray:
        """(count,) int16 random materials of the wild pool."""
        return np.array(self._pool, np.int16)[self.rng.integers(len(self._pool), size=count)]

    # finishes -------------------------------------------------------------------------------------------------------

    def _wood(self, i: int) -> int:
        colour = self.woods[i]
        painted = i >= 2
        texture = "plain" if painted else self.wood_textures[i]
        shine = self.between(0.08, 0.35)
        return self.add(
            texture, colour, tuple(c * 0.55 for c in colour), specular=shine, roughness=self.between(0.35, 0.8)
        )

    def wood(self, which: int | None = None) -> int:
        """Wood or painted wood of the room; `which` repeats one of the palette."""
        ids = self._wood_ids
        return ids[(int(self.rng.integers(len(ids))) if which is None else which) % len(ids)]

    def other_wood(self) -> int:
        """Wood from outside the palette: inherited pieces."""
        colour = vary(self.rng, srgb(self.pick(_WOODS + _PAINTED)))
        texture = self.bank.pick(self.rng, "wood")
        return self.add(
            texture,
            colour,
            tuple(c * 0.5 for c in colour),
            specular=self.between(0.05, 0.4),
            roughness=self.between(0.3, 0.8),
        )

    def fabric(self, patterned: float = 0.25) -> int:
        """Upholstery, curtains, cushions."""
        colour = vary(self.rng, self.pick(self.cloths), 0.2)
        if self.chance(patterned):
            return self.add("cloth_pattern", colour, vary(self.rng, srgb(self.pick(_CLOTH)), 0.2), smooth=True)
        return self.add(self.pick(("fabric", "fabric", "fabric", "fur", "plain")), colour, roughness=0.95, smooth=True)

    def linen(self) -> int:
        """Bed linen: white, plain or printed."""
        white = vary(self.rng, (0.75, 0.74, 0.71), 0.08)
        if self.chance(0.4):
            return self.add("cloth_pattern", white, vary(self.rng, srgb(self.pick(_CLOTH))), smooth=True)
        return self.add("fabric", white if self.chance(0.6) else vary(self.rng, self.pick(self.cloths)), smooth=True)

    def leather(self) -> int:
        """Leather in browns, black, cream."""
        colour = vary(self.rng, srgb(self.pick(("#5a3a26", "#1c1a19", "#2a2320", "#8a5a34", "#d8cbb4", "#6b2420"))))
        return self.add("leather", colour, specular=0.3, roughness=0.5, smooth=True)

    def metal(self, colour: Colour | None = None) -> int:
        """Metal of handles, legs, frames."""
        colour = colour or vary(self.rng, self.metal_colour, 0.1)
        return self.add(
            self.pick(("metal_0", "metal_1", "plain")), colour, specular=self.between(0.3, 0.8), roughness=self.between(0.15, 0.5),
            radar_class=RADAR_METAL,
        )  # fmt: skip

    def plastic(self, colour: Colour | None = None, shine: float = 0.3) -> int:
        """Smooth plastic, lacquer."""
        if colour is None:
            neutral = self.pick(((0.02, 0.02, 0.022), (0.75, 0.75, 0.73), (0.3, 0.3, 0.31), (0.1, 0.1, 0.11)))
            colour = neutral if self.chance(0.55) else any_colour(self.rng, (0.4, 0.9), (0.3, 0.95))
        return self.add("plain", vary(self.rng, colour, 0.1), specular=shine, roughness=0.4, smooth=True)

    def ceramic(self, white: float = 0.6) -> int:
        """Porcelain and glazed pots."""
        colour = (
            vary(self.rng, (0.78, 0.77, 0.74), 0.06)
            if self.chance(white)
            else any_colour(self.rng, (0.2, 0.8), (0.25, 0.9))
        )
        return self.add(
            self.pick(("plain", "plain", "marble", "stripes")), colour, specular=0.55, roughness=0.2, smooth=True
        )

    def paint(self) -> int:
        """A wall colour that may be strong: cupboards, doors."""
        colour = vary(self.rng, srgb(self.pick(_STRONG if self.chance(0.35) else _PAINTED)), 0.1)
        return self.add("plain", colour, specular=0.2, roughness=0.5)

    def stone(self) -> int:
        """Worktops, window sills, tops of tables."""
        colour = vary(
            self.rng, self.pick(((0.7, 0.69, 0.66), (0.08, 0.08, 0.085), (0.35, 0.34, 0.33), (0.5, 0.42, 0.33)))
        )
        second = tuple(min(c * self.pick((0.5, 1.8)), 0.9) for c in colour)
        return self.add(
            self.pick(("marble", "terrazzo", "concrete")),
            colour,
            second,
            specular=0.45,
            roughness=0.25,
            radar_class=RADAR_MEDIUM,
        )

    def printed(self, *families: str, emission: float = 0.0, **fields) -> int:
        """Something with its own colours: poster, painting, screen, packet ... at one tile a face."""
        name = self.bank.pick(self.rng, *families)
        gain = self.between(0.75, 1.0)
        return self.table.add(Material(name, (gain,) * 3, (gain,) * 3, 1.0, emission=emission, **fields))

    def glow(self, colour: Colour, strength: float) -> int:
        """A lit lamp shade or tube."""
        return self.add("", colour, emission=strength)

    def leaf(self) -> int:
        """Leaves of pot plants."""
        colour = vary(
            self.rng,
            self.pick(
                ((0.05, 0.13, 0.03), (0.09, 0.2, 0.05), (0.03, 0.08, 0.03), (0.16, 0.22, 0.06), (0.12, 0.16, 0.1))
            ),
            0.25,
        )
        return self.add(
            self.pick(("plain", "stripes_1", "foliage_4")),
            colour,
            tuple(1.5 * c for c in colour),
            0.25,
            specular=0.15,
            smooth=True,
        )

    # surfaces of the shell ------------------------------------------------------------------------------------------

    def wall(self, kind: str = "living") -> int:
        """Wall finish."""
        rng = self.rng
        colour = vary(rng, srgb(self.pick(_WALLS)), 0.08)
        roll = rng.random()
        if kind == "bathroom" or (kind == "kitchen" and roll < 0.15):
            second = vary(rng, self.pick(((0.6, 0.6, 0.58), (0.2, 0.2, 0.2), srgb(self.pick(_STRONG)))))
            return self.add(
                "tiles", vary(rng, srgb(self.pick(_WALLS + _STRONG[:5]))), second, specular=0.4, roughness=0.25
            )
        if roll < 0.52:
            smooth = self.pick(
                ("plaster_0", "plaster_0", "plaster_1", "plaster_2", "plaster_4", "drywall_seams", "plaster")
            )
            return self.add(smooth, colour, tuple(0.8 * c for c in colour))
        if roll < 0.62:
            return self.add("plaster", vary(rng, srgb(self.pick(_STRONG))))
        if roll < 0.8 and kind not in ("office", "corridor", "hall", "storage"):
            second = vary(rng, srgb(self.pick(_CLOTH)), 0.2)
            soft = tuple(0.55 * a + 0.45 * b for a, b in zip(colour, second, strict=True))
            return self.add("wallpaper", colour, soft if self.chance(0.65) else second)
        family = self.pick(
            ("brick", "concrete", "planks", "drywall_seams", "stone_blocks", "siding", "plaster", "plaster")
        )
        if family == "brick":
            base = self.pick(((0.35, 0.15, 0.09), (0.7, 0.68, 0.64), (0.28, 0.2, 0.15), (0.45, 0.3, 0.2)))
            return self.add("brick", vary(rng, base), (0.5, 0.47, 0.43))
        if family == "planks":
            return self.add("planks", vary(rng, srgb(self.pick(_WOODS))), specular=0.15)
        return self.add(family, colour if self.chance(0.7) else vary(rng, (0.35, 0.34, 0.33)))

    def floor(self, kind: str = "living") -> int:
        """Floor finish."""
        rng, roll = self.rng, self.rng.random()
        shine, rough = self.between(0.05, 0.5), self.between(0.2, 0.7)
        if kind in ("bathroom", "kitchen") or (kind == "hall" and roll < 0.5) or roll < 0.14:
            colour = vary(
                rng,
                self.pick(
                    ((0.6, 0.58, 0.54), (0.3, 0.29, 0.28), (0.5, 0.36, 0.24), (0.1, 0.1, 0.11), (0.4, 0.2, 0.13))
                ),
            )
            second = vary(rng, self.pick(((0.3, 0.3, 0.29), (0.05, 0.05, 0.05), (0.7, 0.68, 0.62))))
            return self.add(
                self.pick(("tiles", "tiles", "hexagons", "terrazzo", "marble")),
                colour,
                second,
                specular=shine,
                roughness=rough,
            )
        if (kind in ("office", "corridor", "hall", "storage") and roll < 0.65) or roll < 0.3:
            if self.chance(0.55):
                colour = vary(rng, srgb(self.pick(_CLOTH)), 0.2)
                return self.add("carpet", colour, tuple(min(1.6 * c, 0.9) for c in colour), roughness=1.0)
            colour = vary(rng, self.pick(((0.45, 0.42, 0.37), (0.25, 0.26, 0.27), (0.3, 0.35, 0.33))))
            return self.add(self.pick(("linoleum", "concrete", "terrazzo")), colour, specular=shine, roughness=rough)
        colour = vary(rng, srgb(self.pick(_WOODS)), 0.18)
        return self.add(
            self.pick(("planks", "planks", "parquet")),
            colour,
            tuple(c * 0.55 for c in colour),
            specular=shine,
            roughness=rough,
        )

    def ceiling(self, kind: str = "living") -> int:
        """Ceiling finish."""
        white = vary(self.rng, (0.8, 0.79, 0.77), 0.05)
        roll = self.rng.random()
        if kind in ("office", "corridor", "hall") and roll < 0.55:
            return self.add("ceiling_tiles", white)
        if roll < 0.1:
            return self.add("planks", vary(self.rng, srgb(self.pick(_WOODS))))
        if roll < 0.16:
            return self.add("concrete", (0.4, 0.39, 0.38))
        return self.add("plaster", white, tuple(0.85 * c for c in white))
