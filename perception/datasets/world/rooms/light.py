"""Light of a room: daylight through windows, sun patches, lamps of many colour temperatures, dim and bright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.datasets.world.lighting import Lamps, Lighting
from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.layout import Room
from perception.datasets.world.sky import Sky

# linear colours of equal luminance, from candle to north sky
_LAMPS = (
    (1.75, 0.85, 0.3),
    (1.5, 0.92, 0.48),
    (1.3, 0.97, 0.68),
    (1.12, 0.99, 0.88),
    (0.97, 1.0, 1.02),
    (0.85, 1.04, 0.98),
)
_DAY = ((0.86, 0.98, 1.32), (0.94, 1.0, 1.12), (1.0, 1.0, 1.0), (1.2, 0.98, 0.75))


@dataclass
class Mood:
    """Chosen before furnishing. daylight: radiance of the sky outside; lit: lamps burn; sun: strength (0 = none)."""

    name: str
    daylight: float
    lit: bool
    sun: float
    day_colour: tuple[float, float, float]
    lamp_colour: tuple[float, float, float]
    bounce: float  # ambient light per unit of direct light

    @property
    def night(self) -> bool:
        return self.daylight < 0.2


def choose_mood(kit: Kit, has_windows: bool) -> Mood:
    """Time of day, weather and whether the lamps burn."""
    names = ("sunny", "bright", "dull", "evening", "dim") if has_windows else ("lamps", "lamps", "lamps", "dim")
    name = kit.pick(names)
    between = kit.between
    daylight = {"sunny": between(1.0, 2.5), "bright": between(0.8, 2.5), "dull": between(0.3, 0.9)}.get(
        name, between(0.01, 0.12)
    )
    lit = {"sunny": 0.2, "bright": 0.3, "dull": 0.6}.get(name, 1.0) > kit.rng.random()
    sun = between(1.5, 5.0) if name == "sunny" else 0.0
    lamp = kit.pick(_LAMPS)
    if kit.wild:
        lamp = tuple(float(c) for c in kit.rng.uniform(0.4, 1.6, 3))
    return Mood(name, daylight, lit, sun, kit.pick(_DAY), lamp, between(0.25, 0.6))


def light_room(kit: Kit, room: Room, mood: Mood) -> Lighting:
    """The lighting of a finished room."""
    day, lamp = np.array(mood.day_colour), np.array(mood.lamp_colour)
    positions, colours, directions, cones, radii = [], [], [], [], []
    total = np.zeros(3)
    windows = [(w, o) for w in room.walls for o in w.openings if o.kind == "window"]
    for wall, hole in sorted(windows, key=lambda pair: -(pair[1].s1 - pair[1].s0))[:2]:
        if mood.night:
            break
        width, height = hole.s1 - hole.s0, hole.z1 - hole.z0
        power = mood.daylight * width * height / np.pi * 0.8
        at = wall.point((hole.s0 + hole.s1) / 2, 0.12)
        positions.append((*at, (hole.z0 + hole.z1) / 2))
        colours.append(day * power)
        directions.append((*wall.normal, -0.15))
        cones.append(-0.05)
        radii.append(min(width, height) * 0.35)
        total += day * power
    for position, colour, strength, cone in sorted(room.lamps, key=lambda item: -item[2])[: 4 - len(positions)]:
        positions.append(position)
        colours.append(colour * strength)
        directions.append((0, 0, -1))
        cones.append(cone)
        radii.append(0.12)
        total += colour * strength
    share = total / max(room.area, 4.0) * 3.2  # light that walls throw back: power over area
    ambient = share * mood.bounce + day * mood.daylight * (0.02 + 0.04 * bool(windows)) + lamp * 0.01
    tint = np.array([1.08, 1.0, 0.9])  # warm floors colour what falls on the ceiling
    if mood.sun and windows:
        ambient = ambient + day * mood.sun * 0.03
    lamps = Lamps.none()
    if positions:
        lamps = Lamps.spots(
            np.array(positions), np.array(colours), np.array(directions), np.array(cones), 0.5, np.array(radii), 0.22
        )
    direction, sun = (0.3, 0.4, 0.8), (0.0, 0.0, 0.0)
    if mood.sun and windows:
        wall, _ = windows[int(kit.rng.integers(len(windows)))]
        side, rise = kit.between(-1.0, 1.0), kit.between(0.25, 1.0)
        v = -wall.normal + wall.along * side
        v = np.array([v[0], v[1], rise * np.hypot(1, side)])
        direction = tuple(float(c) for c in v / np.linalg.norm(v))
        warm = np.array([1.05, 0.98, 0.86]) if rise > 0.5 else np.array([1.2, 0.95, 0.66])
        sun = tuple(float(c) for c in warm * mood.sun)
    level = float(ambient.mean() + share.mean() * 0.6)

    def colour(v) -> tuple[float, float, float]:
        return tuple(float(c) for c in v)

    return Lighting(
        sun_direction=direction,
        sun_colour=sun,
        ambient_up=colour(ambient),
        ambient_side=colour(ambient * 0.92),
        ambient_down=colour(ambient * tint * 0.85),
        occlusion_reach=kit.between(0.8, 1.8),
        occlusion_strength=kit.between(0.65, 0.9),
        sky=_sky(kit, mood, direction),
        lamps=lamps,
        exposure=float(np.clip(0.5 / max(level, 0.02), 0.15, 12.0)),
        night=mood.night,
    )


def _sky(kit: Kit, mood: Mood, direction) -> Sky:
    gain = mood.daylight * kit.between(0.8, 1.5)
    if mood.night:
        zenith, horizon = (0.02, 0.03, 0.07), (0.12, 0.1, 0.1)
        gain = kit.between(0.05, 0.6)
    elif mood.name == "dull" or kit.chance(0.3):
        zenith, horizon = (0.75, 0.78, 0.82), (0.8, 0.81, 0.83)
    else:
        zenith, horizon = (0.16, 0.32, 0.75), (0.7, 0.8, 0.95)

    def times(colour):
        return tuple(float(c * gain) for c in colour)

    return Sky(
        zenith=times(zenith),
        horizon=times(horizon),
        ground=times((0.25, 0.23, 0.2)),
        cloud_colour=times((0.95, 0.95, 0.97)),
        cloud_shadow=times((0.55, 0.57, 0.62)),
        cover=0.0 if mood.night else kit.between(0.0, 0.8),
        cloud_offset=(kit.between(0, 1), kit.between(0, 1)),
        cloud_kind=int(kit.rng.integers(4)),
        sun_direction=direction,
        sun_disc=1.0 if mood.sun else 0.0,
    )
