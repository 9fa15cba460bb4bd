"""Light of a scene: sun, sky, lamps, haze, wetness and the exposure that suits them.

Radiances are linear and relative: white paper facing the noon sun has radiance about 1. ``exposure`` maps radiance to
display-linear [0, 1] (`shading.develop`); cameras may vary it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from perception.datasets.world.sky import Sky


@dataclass
class Lamps:
    """L point or spot lamps. position (L, 3) world metres; colour (L, 3) linear: radiance of white paper at 1 m that faces the lamp;
    direction (L, 3) unit axis of the cone; cone (L,) cosine of its half angle (-1 = all around); soft (L,) width of the cone's edge in
    cosine; radius (L,) metres, softens shadows; clearance (L,) metres: shadow rays stop this far from the lamp (its own housing)."""

    position: np.ndarray
    colour: np.ndarray
    direction: np.ndarray
    cone: np.ndarray
    soft: np.ndarray
    radius: np.ndarray
    clearance: np.ndarray

    @staticmethod
    def none() -> Lamps:
        """No lamps."""
        return Lamps.points(np.zeros((0, 3)), (1, 1, 1))

    @staticmethod
    def points(position, colour, radius: float = 0.1, clearance: float = 0.25) -> Lamps:
        """Lamps that shine all around: position (L, 3), colour (3,) or (L, 3)."""
        position = np.asarray(position, np.float32).reshape(-1, 3)
        return Lamps.spots(
            position, colour, np.tile(np.float32([0, 0, -1]), (len(position), 1)), -1.0, 0.2, radius, clearance
        )

    @staticmethod
    def spots(position, colour, direction, cone=0.7, soft=0.2, radius=0.1, clearance=0.25) -> Lamps:
        """Lamps that shine along `direction` (3,) or (L, 3) within a cone; the other arguments are scalars or (L,)."""
        position = np.asarray(position, np.float32).reshape(-1, 3)
        n = len(position)
        direction = np.broadcast_to(np.asarray(direction, np.float32), (n, 3))
        direction = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), np.float32(1e-9))
        colour = np.broadcast_to(np.asarray(colour, np.float32), (n, 3)).copy()
        scalars = [np.broadcast_to(np.asarray(x, np.float32), (n,)).copy() for x in (cone, soft, radius, clearance)]
        return Lamps(position, colour, direction, *scalars)

    def __len__(self) -> int:
        return len(self.position)

    def joined(self, other: Lamps) -> Lamps:
        """Both sets."""
        return Lamps(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


@dataclass
class Lighting:
    """sun_direction: unit, towards the sun. sun_colour: radiance of white paper that faces it (0 = no sun); sun_size: angular
    radius (softness of shadows). ambient_up / ambient_side /
    ambient_down: light from above, the horizon and the ground on an open surface that faces there. ambient occlusion reaches
    `occlusion_reach` metres and darkens by `occlusion_strength`. haze_density per metre, towards haze_colour. wetness in [0, 1].
    """

    sun_direction: tuple[float, float, float] = (0.35, 0.45, 0.82)
    sun_colour: tuple[float, float, float] = (0.9, 0.85, 0.75)
    sun_size: float = 0.006
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
