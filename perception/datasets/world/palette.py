"""A scene's palette: which material each role and surface gets. In wild style every request gets a random one.

`Kit` bundles what generators need: the scene's random stream, its material table and its palette.
"""

from __future__ import annotations

import math

import numpy as np

from perception.datasets.world.materials import (
    RADAR_MEDIUM,
    RADAR_METAL,
    RADAR_NONE,
    RADAR_WEAK,
    Colour,
    Material,
    MaterialTable,
    srgb,
)
from perception.datasets.world.templates import ROLE, ROLES, Template

# Car paints with their share on the road: greys dominate, colours make the tail.
_PAINTS = [
    ("#f4f4f2", 22), ("#0c0c0e", 17), ("#5b5e62", 14), ("#b9bcc0", 13), ("#8d9196", 6), ("#1b2a4c", 5), ("#2f5d9e", 4),
    ("#8b1a1c", 4), ("#c4201f", 4), ("#e8e2d0", 2), ("#3b3a2e", 1.5), ("#274a37", 1.5), ("#6f5b45", 1.5), ("#d8891c", 1),
    ("#f0c419", 1), ("#5fa3c8", 1), ("#7db33f", 0.5), ("#51315e", 0.5), ("#4a1f22", 1), ("#9bb0b8", 1),
]  # fmt: skip
_PAINT_STEPS = np.cumsum([w for _, w in _PAINTS])
_SKIN = ("#f1c9ad", "#e0ac85", "#c68a5f", "#9b6544", "#6b4129", "#4a2c1d")
_HAIR = ("#15110e", "#2e2018", "#54391f", "#8a6535", "#c9a86a", "#9a9a98", "#dcdcdc", "#6e2c16")
_CLOTH = (
    "#17181b", "#22262e", "#2d3442", "#3c4250", "#52565c", "#7a7d80", "#b5b5b0", "#e6e4de", "#f5f5f5", "#1f2f56", "#34548c",
    "#5b7fae", "#7b1e22", "#b3282d", "#d8552c", "#e3a52a", "#efe04d", "#4a6b2f", "#2c4734", "#57704f", "#6a4a34", "#93714f",
    "#c2a57d", "#5b2f5c", "#c05a86", "#e9b3c1", "#35808a",
)  # fmt: skip


class Kit:
    """rng: the scene's stream; materials: its table; style "plausible" or "wild"; night: lamps and some windows glow."""

    def __init__(self, rng: np.random.Generator, materials: MaterialTable, style: str, night: bool = False) -> None:
        from perception.datasets.world.textures import texture_bank

        self.rng, self.materials, self.style, self.night = rng, materials, style, night
        self.wild = style == "wild"
        self.bank = texture_bank()
        self._roles = None if self.wild else self._standard_roles()

    # materials ------------------------------------------------------------------------------------------------------

    def add(self, material: Material) -> int:
        """Id of this material; in wild style, of a random one (some stay as they are)."""
        if self.wild and self.rng.random() < 0.85:
            material = self.random_material(material.emission)
        return self.materials.add(material)

    def random_material(self, emission: float = 0.0) -> Material:
        """Any texture, any colour, any size."""
        rng = self.rng
        texture = self.bank.pick(rng) if rng.random() < 0.8 else ""
        dark = rng.random() < 0.25
        colour = tuple(float(x) for x in rng.uniform(0.01, 0.25 if dark else 0.9, 3))
        second = tuple(float(x) for x in rng.uniform(0.01, 0.9, 3))
        return Material(
            texture,
            colour,
            second,
            scale_m=float(np.exp(rng.uniform(np.log(0.2), np.log(6.0)))),
            specular=float(rng.uniform(0, 0.8) * (rng.random() < 0.3)),
            roughness=float(rng.uniform(0.05, 1)),
            emission=emission if emission else float(rng.uniform(0.5, 2) * (rng.random() < 0.03)),
            lidar_reflectance=float(rng.uniform(0.05, 0.9)),
        )

    def textured(self, family: str, colour: Colour | str, tint2: Colour | str | None = None, **options) -> int:
        """Id of a material with a random texture of `family` and its natural tile size (unless `scale_m` is given)."""
        name = self.bank.pick(self.rng, family)
        number = self.bank.index(name)
        options.setdefault("scale_m", float(self.bank.scale_m[number]))
        if self.bank.coloured[number]:
            colour = (1.0, 1.0, 1.0) if isinstance(colour, str) else colour
        return self.add(Material(name, _colour(colour), None if tint2 is None else _colour(tint2), **options))

    def plain(self, colour: Colour | str, **options) -> int:
        """Id of a material without texture."""
        return self.add(Material("", _colour(colour), **options))

    def vary(self, colour: Colour | str, amount: float = 0.15) -> Colour:
        """The colour with random brightness and a little random hue."""
        light, *tint = self.rng.normal(0, amount, 4).tolist()
        return tuple(
            min(max(c * math.exp(light + t / 3), 0.003), 0.92) for c, t in zip(_colour(colour), tint, strict=True)
        )

    # roles ----------------------------------------------------------------------------------------------------------

    def _standard_roles(self) -> np.ndarray:
        """(R,) int16: the scene's material of each role."""
        rng = self.rng
        on = 4.0 if self.night else 0.0
        lookup = np.zeros(len(ROLES), np.int16)

        def put(role, colour, **options):
            lookup[ROLE[role]] = self.materials.add(Material(options.pop("texture", ""), _colour(colour), **options))

        metal = {"radar_class": RADAR_METAL}
        put("paint", "#888888", specular=0.35, roughness=0.15, smooth=True, **metal)
        put("paint2", "#1a1a1c", specular=0.3, roughness=0.2, smooth=True, **metal)
        put("glass", "#0b0f12", specular=0.8, roughness=0.03, lidar_reflectance=0.03, smooth=True)
        put("tyre", "#161616", roughness=0.9, lidar_reflectance=0.05)
        put("rim", "#b4b6b8", specular=0.4, roughness=0.3, **metal)
        put("trim", "#131315", specular=0.1, roughness=0.5, **metal)
        put("chrome", "#c9cbcd", specular=0.8, roughness=0.12, **metal)
        put("plate", ("#efefe6", "#efefe6", "#f0c832")[rng.integers(3)], lidar_reflectance=0.95, **metal)
        put("lamp_front", "#e9edf0", specular=0.6, roughness=0.1, emission=on * 6, lidar_reflectance=0.8, **metal)
        put(
            "lamp_rear",
            "#a30d0d",
            specular=0.5,
            roughness=0.15,
            emission=0.15 + on * 1.5,
            lidar_reflectance=0.8,
            **metal,
        )
        put("indicator", "#d8700c", specular=0.4, roughness=0.2, emission=0.1, lidar_reflectance=0.6, **metal)
        put("seat", "#1c1b1b", roughness=0.9)
        put("grille", "#0b0b0c", specular=0.25, roughness=0.3, **metal)
        put("skin", _SKIN[1], roughness=0.7, smooth=True, lidar_reflectance=0.4)
        for role in ("top", "bottom", "bag", "hat", "child_seat"):
            put(role, "#444a58", texture=self.bank.pick(rng, "fabric"), scale_m=0.4, roughness=1.0, smooth=True)
        put("hair", _HAIR[0], smooth=True)
        put("shoes", "#1c1a19", smooth=True)
        put("frame", "#22252a", specular=0.35, roughness=0.25, **metal)
        put("rubber", "#121212")
        put("cargo", "#e8e8e6", specular=0.1, roughness=0.5, **metal)
        put(
            "cargo2", "#4b6ea5", texture=self.bank.pick(rng, "metal"), scale_m=1.5, specular=0.1, roughness=0.5, **metal
        )
        put("deck", "#5b4a39", texture=self.bank.pick(rng, "planks"), scale_m=2.0)
        put("warning", "#e8e020", emission=0.05)
        put("bark", "#5a4a3c", texture=self.bank.pick(rng, "bark"), scale_m=1.0)
        # Leaves: the season and a few species shift the hue.
        put("leaf", "#3f6a2a", texture=self.bank.pick(rng, "foliage"), scale_m=1.5)
        put("leaf2", "#33572a", texture=self.bank.pick(rng, "foliage"), scale_m=1.2)
        put("flower", "#c9466a", texture=self.bank.pick(rng, "foliage"), scale_m=0.8)
        put(
            "metal",
            self.vary("#8f9499"),
            texture=self.bank.pick(rng, "metal"),
            scale_m=1.0,
            specular=0.2,
            roughness=0.5,
            **metal,
        )
        put(
            "pole_paint",
            self.vary(("#6c7276", "#3a4a42", "#2b2d30", "#8f9396")[rng.integers(4)]),
            specular=0.15,
            **metal,
        )
        put("sign_back", "#8a8f93", specular=0.15, roughness=0.5, **metal)
        put("sign_face", "#ffffff", lidar_reflectance=0.95, **metal)
        put("sign_rim", "#c01818", lidar_reflectance=0.95, **metal)
        put("lamp_red", "#ff2a1c", emission=0.0)
        put("lamp_amber", "#ffae1c", emission=0.0)
        put("lamp_green", "#25ff7a", emission=0.0)
        put("lamp_glass", "#fff0d0", emission=on * 5, specular=0.4)
        put("concrete", self.vary("#9a978f"), texture=self.bank.pick(rng, "concrete"), scale_m=2.0)
        put("wood", self.vary("#7a5c3c"), texture=self.bank.pick(rng, "planks"), scale_m=1.0)
        put("cone_body", "#f0501a", lidar_reflectance=0.5)
        put("cone_band", "#f2f2f0", lidar_reflectance=0.95)
        put("barrier_body", "#d8d6d0", lidar_reflectance=0.5)
        put("barrier_band", "#d01c1c", lidar_reflectance=0.9)
        put("bin_body", self.vary("#3b4a3c"), specular=0.1, radar_class=RADAR_MEDIUM)
        put(
            "poster", "#ffffff", texture=self.bank.pick(rng, "poster"), scale_m=1.4, emission=0.6 if self.night else 0.0
        )
        put("hydrant", "#b3201b", specular=0.2, **metal)
        return lookup

    def roles(self, **overrides: int) -> np.ndarray:
        """(R,) int16 role -> material id, with some roles replaced."""
        if self.wild:
            lookup = np.array([self.materials.add(self.random_material()) for _ in range(6)], np.int16)
            return lookup[self.rng.integers(0, 6, len(ROLES))]
        if not overrides:
            return self._roles
        lookup = self._roles.copy()
        for role, material in overrides.items():
            lookup[ROLE[role]] = material
        return lookup

    def paint(self, colours: list[str] | None = None) -> int:
        """Id of a random car paint (or one of `colours`)."""
        rng = self.rng
        if colours is None:
            colour = _PAINTS[int(np.searchsorted(_PAINT_STEPS, rng.random() * _PAINT_STEPS[-1], side="right"))][0]
        else:
            colour = colours[int(rng.integers(len(colours)))]
        matt = rng.random() < 0.06
        return self.add(
            Material(
                "",
                self.vary(colour, 0.2),
                specular=0.1 if matt else float(rng.uniform(0.25, 0.55)),
                roughness=0.5 if matt else float(rng.uniform(0.08, 0.22)),
                lidar_reflectance=float(rng.uniform(0.15, 0.6)),
                radar_class=RADAR_METAL,
                smooth=True,
            )
        )

    def cloth(self, colours: tuple[str, ...] = _CLOTH) -> int:
        """Id of a random garment."""
        rng = self.rng
        family = "cloth_pattern" if rng.random() < 0.15 and "cloth_pattern" in self.bank.families else "fabric"
        colour = self.vary(colours[int(rng.integers(len(colours)))], 0.2)
        second = self.vary(colours[int(rng.integers(len(colours)))], 0.2)
        scale = float(rng.uniform(0.25, 0.6))
        lidar = float(rng.uniform(0.15, 0.8))
        return self.add(
            Material(
                self.bank.pick(rng, family), colour, second, scale, roughness=1.0, smooth=True, lidar_reflectance=lidar
            )
        )

    def person_roles(self) -> np.ndarray:
        """Role lookup of one person: skin, hair and clothes of their own."""
        rng = self.rng
        skin = self.plain(self.vary(_SKIN[int(rng.integers(len(_SKIN)))], 0.08), smooth=True, radar_class=RADAR_WEAK)
        hair = self.plain(self.vary(_HAIR[int(rng.integers(len(_HAIR)))]), smooth=True)
        vest = rng.random() < 0.05
        top = (
            self.plain(("#d8f020", "#ff6a10")[int(rng.integers(2))], emission=0.1, smooth=True, lidar_reflectance=0.9)
            if vest
            else None
        )
        return self.roles(
            skin=skin,
            hair=hair,
            top=self.cloth() if top is None else top,
            bottom=self.cloth(_CLOTH[:14]) if rng.random() < 0.85 else self.cloth(),
            shoes=self.cloth(_CLOTH[:9]),
            bag=self.cloth(),
            hat=self.cloth(),
        )

    def dress(self, template: Template, semantic: int, scale=(1.0, 1.0, 1.0), lookup: np.ndarray | None = None):
        """Mesh of a template with this scene's materials (or `lookup` from `roles`)."""
        return template.mesh(self.roles() if lookup is None else lookup, semantic, scale)

    def lookup_like(self, role: str) -> int:
        """The scene's material of a role (random in wild style)."""
        return int(self.roles()[ROLE[role]])


def _colour(colour: Colour | str) -> Colour:
    return srgb(colour) if isinstance(colour, str) else colour


__all__ = ["RADAR_NONE", "Kit"]
