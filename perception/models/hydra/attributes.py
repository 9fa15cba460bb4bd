"""nuScenes attributes by rule, as mmdet3d's submissions have them: from the class and whether the box moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOVING_SPEED = 0.2  # m/s
_MOVING = {"pedestrian": "pedestrian.moving", "motorcycle": "cycle.with_rider", "bicycle": "cycle.with_rider"}
_STILL = {
    "pedestrian": "pedestrian.standing",
    "motorcycle": "cycle.without_rider",
    "bicycle": "cycle.without_rider",
    "bus": "vehicle.stopped",
}
_VEHICLES = ("car", "truck", "bus", "trailer", "construction_vehicle")


def attributes_of(names: Sequence[str], velocity: np.ndarray) -> list[str]:
    """One attribute a box, "" for classes without one; velocity (N, 2) m/s."""
    moving = np.hypot(*np.nan_to_num(np.asarray(velocity).reshape(-1, 2)).T) > MOVING_SPEED
    out = []
    for name, moves in zip(names, moving, strict=True):
        if name in _VEHICLES:
            out.append("vehicle.moving" if moves else _STILL.get(name, "vehicle.parked"))
        else:
            out.append((_MOVING if moves else _STILL).get(name, ""))
    return out
