"""Streets from a seed: `build_street`."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.lighting import Lighting
from perception.datasets.world.materials import Material, MaterialTable, srgb
from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.scene import Motion, Path, Route, Scene, SceneObject


def build_street(
    rng: np.random.Generator, style: str = "plausible", weather: str | None = None, seed: int = 0
) -> Scene:
    """One street of about 250 m. weather: a name of `street.WEATHERS` or None for a random one."""
    materials = MaterialTable()
    asphalt = materials.add(Material("asphalt", srgb("#6a6a6a"), scale_m=4))
    wall = materials.add(Material("brick", srgb("#a08070"), scale_m=2))
    builder = MeshBuilder()
    builder.box((100, 0, -0.5), (400, 200, 1), material=asphalt, semantic=ID["road"])
    for x in range(0, 200, 20):
        for side in (-1, 1):
            size = rng.uniform((12, 8, 5), (18, 14, 15))
            builder.box((x, side * 18, size[2] / 2), size, material=wall, semantic=ID["building"])
    objects = []
    lane = Path([(-50, -1.75, 0), (250, -1.75, 0)])
    for i in range(10):
        paint = materials.add(Material("", tuple(rng.uniform(0, 1, 3)), specular=0.5))
        body = MeshBuilder(material=paint, semantic=ID["car"])
        body.bevelled_box((0, 0, -0.3), (4.2, 1.8, 0.9))
        body.bevelled_box((0, 0, 0.4), (2.2, 1.5, 0.7))
        if i < 5:
            motion = Motion(path=lane, start=65 + 15 * i, speed=8.0, lift=0.75)
        else:
            motion = Motion((10 * i - 40, 5.0, 0.75))
        state = "vehicle.moving" if motion.moving else "vehicle.parked"
        objects.append(SceneObject(i + 1, ID["car"], body.build(), (4.2, 1.8, 1.5), motion, state, "saloon"))
    route = Route(lane, 50.0, 8.0)
    stations = np.array([[0, -1.75, 1.5, 0]], np.float32)
    return Scene(
        seed, "street", style, weather or "clear", builder.build(), objects, materials, Lighting(), route, stations
    )
