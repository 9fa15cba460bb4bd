"""What to render: a scene by its seed, and the sensor that looks at it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from perception.errors import InputError

CAMERA, PANORAMA, SURROUND = "Camera", "Panorama", "Six cameras"
SENSORS = (CAMERA, PANORAMA, SURROUND)
KINDS, STYLES = ("street", "room"), ("plausible", "wild")
WEATHERS = ("clear", "low_sun", "cloudy", "overcast", "white", "hazy", "dusk", "night", "rain")
MAX_SEED, MAX_TIME = 10**9, 8.0
_SIZES = {CAMERA: (480, 320), PANORAMA: (768, 384), SURROUND: (288, 162)}  # (W, H) of a picture


@dataclasses.dataclass(frozen=True)
class Order:
    """What to render. weather: a name of `WEATHERS`, or None: the seed decides. time: seconds along the drive; in a room the tripod turns. fov: degrees."""

    seed: int = 7
    kind: str = "street"
    style: str = "plausible"
    weather: str | None = None
    sensor: str = CAMERA
    time: float = 1.0
    fov: float = 70.0

    def __post_init__(self) -> None:
        """Raises `InputError` for anything that cannot be rendered here."""
        known = {"kind": KINDS, "style": STYLES, "sensor": SENSORS}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise InputError(f"the {name} must be one of {', '.join(choices)}; found {getattr(self, name)!r}")
        if self.weather is not None and self.weather not in WEATHERS:
            raise InputError(f"the weather must be one of {', '.join(WEATHERS)}; found {self.weather!r}")
        if self.kind == "room":
            object.__setattr__(self, "weather", None)  # which rooms do not have
        whole = isinstance(self.seed, (int, float)) and math.isfinite(self.seed) and float(self.seed).is_integer()
        if not whole or not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"the seed must be a whole number from 0 to {MAX_SEED}; found {self.seed}")
        object.__setattr__(self, "seed", int(self.seed))
        for name, low, high in (("time", 0.0, MAX_TIME), ("fov", 20.0, 130.0)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise InputError(f"the {name} must lie between {low:g} and {high:g}; found {value}")

    def rig(self, divisor: int = 1) -> dict[str, Any]:
        """The sensor as `World.render` takes it, the sides of its pictures divided."""
        width, height = (side // divisor for side in _SIZES[self.sensor])
        size = {"width": width, "height": height}
        if self.sensor == PANORAMA:
            return {"type": "panorama", **size}
        if self.sensor == SURROUND:
            return {"type": "surround", **size}
        pitch = 0.08 if self.kind == "room" else 0.0
        return {"type": "pinhole", **size, "horizontal_degrees": float(self.fov), "pitch": pitch}
