"""Light of a scene: sun, sky, lamps, haze, wetness and the exposure that suits them.

Radiances are linear and relative: white paper facing the noon sun has radiance about 1. ``exposure`` maps radiance to
display-linear [0, 1] (`shading.develop`); cameras may vary it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from perception.datasets.world.sky import Sky


@dataclass
class Lamps:
    """L point or spot lamps. position (L, 3) world metres; colour (L, 3) linear intensity (irradiance at 1 m / pi); direction
    (L, 3) unit axis of the cone; cone (L,) cosine of its half angle (-1 = all around); soft (L,) width of the edge in cosine."""

    position: np.ndarray
    colour: np.ndarray
    direction: np.ndarray
    cone: np.ndarray
    soft: np.ndarray

    @staticmethod
    def none() -> Lamps:
        """No lamps."""
        three, one = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
        return Lamps(three, three, three, one, one)

    @staticmethod
    def points(position, colour) -> Lamps:
        """Lamps that shine all around: position (L, 3), colour (3,) or (L, 3)."""
        position = np.asarray(position, np.float32).reshape(-1, 3)
        n = len(position)
        colour = np.broadcast_to(np.asarray(colour, np.float32), (n, 3)).copy()
        down = np.tile(np.float32([0, 0, -1]), (n, 1))
        return Lamps(position, colour, down, np.full(n, -1, np.float32), np.full(n, 0.2, np.float32))

    def __len__(self) -> int:
        return len(self.position)

    def joined(self, other: Lamps) -> Lamps:
        """Both sets."""
        names = ("position", "colour", "direction", "cone", "soft")
        return Lamps(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))


@dataclass
class Lighting:
    """sun_direction: unit, towards the sun. sun_colour: irradiance / pi of a surface facing it (0 = no sun). ambient_up / ambient_side /
    ambient_down: light from above, the horizon and the ground on an open surface that faces there. ambient occlusion reaches
    `occlusion_reach` metres and darkens by `occlusion_strength`. haze_density per metre, towards haze_colour. wetness in [0, 1].
    """

    sun_direction: tuple[float, float, float] = (0.35, 0.45, 0.82)
    sun_colour: tuple[float, float, float] = (0.9, 0.85, 0.75)
    ambient_up: tuple[float, float, float] = (0.3, 0.35, 0.45)
    ambient_side: tuple[float, float, float] = (0.25, 0.27, 0.3)
    ambient_down: tuple[float, float, float] = (0.15, 0.14, 0.13)
    occlusion_reach: float = 4.0
    occlusion_strength: float = 0.8
    sky: Sky = field(default_factory=Sky)
    lamps: Lamps = field(default_factory=Lamps.none)
    haze_density: float = 0.0
    haze_colour: tuple[float, float, float] = (0.7, 0.75, 0.8)
    wetness: float = 0.0
    exposure: float = 1.0
    night: bool = False
