"""Light of streets by weather and hour: from a name to a `Lighting`, with random spread within each name."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.lighting import Lighting
from perception.datasets.world.sky import Sky

Colour = tuple[float, float, float]
# name: share among random scenes
WEATHERS = {
    "clear": 0.26, "low_sun": 0.14, "cloudy": 0.2, "overcast": 0.14, "white": 0.07, "hazy": 0.06, "dusk": 0.05, "night": 0.04, "rain": 0.04,
}  # fmt: skip


def pick_weather(rng: np.random.Generator) -> str:
    """A random weather name."""
    names = tuple(WEATHERS)
    weights = np.array([WEATHERS[n] for n in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _rgb(*values: float) -> Colour:
    return tuple(float(v) for v in values)


def _mix(a, b, share: float):
    return _rgb(*(np.array(a) * (1 - share) + np.array(b) * share))


def street_lighting(rng: np.random.Generator, weather: str) -> Lighting:
    """A `Lighting` for a weather name of `WEATHERS`."""
    u = rng.uniform
    azimuth = u(-np.pi, np.pi)
    elevation = {"low_sun": u(0.1, 0.38), "dusk": u(-0.02, 0.08)}.get(weather, u(0.45, 1.2))
    sun = _rgb(np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation))
    offset = _rgb(u(0, 9), u(0, 9))
    sky = Sky(
        sun_direction=sun,
        cloud_offset=offset,
        cloud_scale=float(np.exp(u(np.log(0.05), np.log(0.25)))),
        cloud_kind=int(rng.integers(4)),
    )
    blue = _mix((0.10, 0.26, 0.68), (0.26, 0.42, 0.70), u(0, 1))
    pale = _mix((0.55, 0.72, 0.95), (0.85, 0.88, 0.90), u(0, 1))
    light = Lighting(
        sun_direction=sun, sky=sky, haze_colour=pale, haze_density=float(np.exp(u(np.log(0.0002), np.log(0.0016))))
    )
    if weather in ("clear", "cloudy", "hazy"):
        _fair(rng, light, weather, blue)
    elif weather in ("overcast", "white", "rain"):
        _grey(rng, light, weather)
    elif weather == "low_sun":
        _low_sun(rng, light, blue)
    elif weather == "dusk":
        _dusk(rng, light)
    else:
        _night(rng, light)
    return light


def _fair(rng: np.random.Generator, light: Lighting, weather: str, blue: Colour) -> None:
    """Blue sky, more or less clouded."""
    sky, u = light.sky, rng.uniform
    sky.zenith, sky.horizon = blue, light.haze_colour
    sky.cover = {"clear": u(0.0, 0.25) * (rng.random() < 0.75), "cloudy": u(0.35, 0.75), "hazy": u(0.0, 0.4)}[weather]
    strength = {"clear": u(0.85, 1.1), "cloudy": u(0.55, 0.95), "hazy": u(0.45, 0.75)}[weather]
    light.sun_colour = _rgb(strength, strength * u(0.92, 0.96), strength * u(0.8, 0.9))
    fill = u(0.8, 1.15)
    light.ambient_up, light.ambient_side = (
        _rgb(0.30 * fill, 0.35 * fill, 0.44 * fill),
        _rgb(0.24 * fill, 0.26 * fill, 0.29 * fill),
    )
    light.ambient_down = _rgb(0.15 * fill, 0.14 * fill, 0.125 * fill)
    light.exposure = u(1.0, 1.7)
    if weather == "hazy":
        light.haze_density, light.sun_size = u(0.002, 0.007), 0.02
        sky.zenith = _mix(blue, light.haze_colour, 0.6)


def _low_sun(rng: np.random.Generator, light: Lighting, blue: Colour) -> None:
    """Warm light from near the horizon."""
    sky, u = light.sky, rng.uniform
    warm = u(0.5, 0.8)
    sky.zenith, sky.horizon = _mix(blue, (0.3, 0.4, 0.6), 0.4), _rgb(0.95, 0.7 + 0.15 * warm, 0.5 + 0.3 * warm)
    sky.cover, sky.cloud_colour, sky.cloud_shadow = u(0, 0.5), _rgb(1.0, 0.85, 0.7), _rgb(0.5, 0.45, 0.5)
    strength = u(0.8, 1.1)
    sky.sun_colour = light.sun_colour = _rgb(strength, strength * (0.62 + 0.2 * warm), strength * (0.3 + 0.4 * warm))
    light.ambient_up, light.ambient_side, light.ambient_down = (
        (0.2, 0.25, 0.34),
        (0.2, 0.2, 0.21),
        (0.1, 0.095, 0.09),
    )
    light.haze_colour, light.haze_density = sky.horizon, u(0.0004, 0.003)
    light.exposure = u(1.2, 1.8)


def _grey(rng: np.random.Generator, light: Lighting, weather: str) -> None:
    """Closed clouds: no sun, no shadows but those of corners."""
    sky, u = light.sky, rng.uniform
    grey = {"overcast": u(0.4, 0.65), "white": u(0.8, 1.2), "rain": u(0.35, 0.55)}[weather]
    tint = np.array([0.97, 1.0, 1.04]) * np.exp(rng.normal(0, 0.015, 3))
    sky.zenith, sky.horizon = _rgb(*(tint * grey * u(0.8, 1.0))), _rgb(*(tint * grey * u(1.0, 1.2)))
    sky.cover = 0.0 if weather == "white" else u(0.4, 0.9)
    sky.cloud_colour, sky.cloud_shadow = _rgb(*(tint * grey * 1.12)), _rgb(*(tint * grey * u(0.75, 0.95)))
    sky.sun_disc = 0.0
    light.sun_colour, light.sun_size = _rgb(0, 0, 0), 0.3
    light.ambient_up, light.ambient_side = _rgb(*(tint * 0.62)), _rgb(*(tint * 0.36))
    light.ambient_down = _rgb(*(tint * 0.16))
    light.occlusion_strength, light.occlusion_reach = 0.92, 7.0
    light.haze_colour = sky.horizon
    light.haze_density = u(0.002, 0.008) if weather == "rain" else u(0.0003, 0.003)
    light.wetness = u(0.5, 1.0) if weather == "rain" else float(u(0.1, 0.5) * (rng.random() < 0.15))
    light.exposure = u(1.15, 1.8) if weather != "white" else u(1.3, 2.1)


def _dusk(rng: np.random.Generator, light: Lighting) -> None:
    """After sunset: what the sky still gives, and lamps."""
    sky, u = light.sky, rng.uniform
    warm = u(0.0, 1.0)
    sky.zenith = _mix((0.03, 0.05, 0.12), (0.06, 0.07, 0.11), u(0, 1))
    sky.horizon = _mix((0.13, 0.16, 0.22), (0.30, 0.19, 0.13), warm)
    sky.ground = _rgb(0.04, 0.04, 0.045)
    sky.cover, sky.cloud_colour = u(0, 0.7), _mix((0.12, 0.13, 0.17), (0.26, 0.18, 0.15), warm)
    sky.cloud_shadow = _rgb(0.07, 0.075, 0.1)
    sky.sun_disc = 0.0
    light.sun_colour = _rgb(0, 0, 0)
    light.ambient_up, light.ambient_side, light.ambient_down = (
        (0.085, 0.095, 0.13),
        (0.055, 0.058, 0.072),
        (0.025, 0.025, 0.03),
    )
    light.haze_colour, light.haze_density = _mix(sky.horizon, sky.zenith, 0.4), u(0.0004, 0.002)
    light.exposure, light.night = u(2.6, 4.2), True


def _night(rng: np.random.Generator, light: Lighting) -> None:
    """Lamps alone."""
    sky, u = light.sky, rng.uniform
    glow = u(0.3, 1.0)
    sky.zenith, sky.horizon, sky.ground = (
        _rgb(0.002, 0.003, 0.006),
        _rgb(0.03 * glow, 0.022 * glow, 0.016 * glow),
        _rgb(0.003, 0.003, 0.003),
    )
    sky.cover, sky.cloud_colour, sky.cloud_shadow = (
        u(0, 0.5),
        _rgb(0.02 * glow, 0.016 * glow, 0.012 * glow),
        _rgb(0.005, 0.004, 0.004),
    )
    sky.sun_disc = 0.0
    light.sun_colour = _rgb(0, 0, 0)
    light.ambient_up, light.ambient_side, light.ambient_down = (
        (0.008, 0.008, 0.011),
        (0.011, 0.01, 0.01),
        (0.006, 0.005, 0.005),
    )
    light.haze_colour, light.haze_density = _rgb(0.012, 0.01, 0.009), u(0.0005, 0.003)
    light.wetness = float(u(0.3, 0.9) * (rng.random() < 0.3))
    light.exposure, light.night = u(6, 10), True


def wild_lighting(rng: np.random.Generator, picture: np.ndarray | None) -> Lighting:
    """Any sun, any colours; `picture` (S, S, 3) textures the sky."""
    u = rng.uniform
    elevation, azimuth = u(0.15, 1.4), u(-np.pi, np.pi)
    sun = _rgb(np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation))
    light = Lighting(sun_direction=sun, sky=Sky(sun_direction=sun, cloud_scale=u(0.1, 1.0)))
    light.sky.texture = picture if rng.random() < 0.6 else None
    light.sky.zenith, light.sky.horizon = _rgb(*u(0.02, 1.0, 3)), _rgb(*u(0.1, 1.2, 3))
    light.sky.cover = u(0, 0.9)
    light.sun_colour = _rgb(*(u(0.5, 1.1, 3) * (rng.random() < 0.75)))
    fill = u(0.25, 0.6)
    light.ambient_up, light.ambient_side, light.ambient_down = (
        _rgb(*(fill * s * u(0.75, 1.25, 3))) for s in (1.0, 0.7, 0.4)
    )
    light.haze_colour, light.haze_density = _rgb(*u(0.2, 1.0, 3)), float(np.exp(u(np.log(0.0002), np.log(0.01))))
    light.exposure = u(0.8, 1.8)
    return light
