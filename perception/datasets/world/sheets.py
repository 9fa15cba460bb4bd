"""Contact sheets of the world for people to look at: streets, rooms, weather, rigs, truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from perception.datasets.world import rigs
from perception.datasets.world.classes import ID
from perception.datasets.world.lighting import Lighting
from perception.datasets.world.materials import Material
from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.render import World
from perception.datasets.world.rendered import Frame
from perception.datasets.world.scene import Motion, Scene, SceneObject
from perception.datasets.world.weather import WEATHERS
from perception.drawing import colorize_depth, draw_normals, grid
from perception.drawing.segmentation import colorize_ids
from perception.errors import InputError, nearest
from perception.geometry.cameras import Equirectangular, Pinhole
from perception.io import atomic_write

_GAP = 4
_LARGEST = 580_000  # bytes of a sheet
_THINGS = (
    "truck",
    "bus",
    "trailer",
    "construction_vehicle",
    "motorcycle",
    "bicycle",
    "person",
    "traffic_cone",
    "barrier",
)


def streets(seed: int) -> np.ndarray:
    """24 plausible streets, one picture of each."""
    return grid([_picture(World(seed + k, "street"), (168, 300)) for k in range(24)], 4, _GAP)


def rooms(seed: int) -> np.ndarray:
    """24 plausible rooms, one picture of each."""
    return grid([_picture(World(seed + k, "room"), (180, 240)) for k in range(24)], 6, _GAP)


def wild(seed: int) -> np.ndarray:
    """Six wild streets and six wild rooms."""
    kinds = ("street", "room")
    return grid([_picture(World(seed + k, kinds[k % 2], "wild"), (180, 240)) for k in range(12)], 4, _GAP)


def rain(seed: int) -> np.ndarray:
    """Six streets in the rain."""
    return grid([_picture(World(seed + k, "street", weather="rain"), (192, 384)) for k in range(6)], 2, _GAP)


def night(seed: int) -> np.ndarray:
    """Six streets at night."""
    return grid([_picture(World(seed + k, "street", weather="night"), (192, 384)) for k in range(6)], 2, _GAP)


def weathers(seed: int) -> np.ndarray:
    """One street in every weather."""
    world = World(seed + 4, "street")
    return grid([_driver(World(world.seed, "street", weather=name), (168, 300)) for name in WEATHERS], 3, _GAP)


def surround(seed: int) -> np.ndarray:
    """The six cameras of a key frame in a city, as one stands in the middle: left, front, right above; left, back, right below."""
    city = next(w for w in (World(seed + k, "street") for k in range(3, 100)) if w.scene.info["setting"] == "city")
    moment = city.render({"type": "surround", "width": 480, "height": 270}, truth=())
    order = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
    return grid([moment.frames[f"CAM_{name}"].image for name in order], 3, _GAP)


def panorama(seed: int) -> np.ndarray:
    """A room and a street as equirectangular pictures."""
    camera = Equirectangular(1024, 512)
    return grid([World(seed + 1, kind).render(camera, truth=()).image for kind in ("room", "street")], 1, _GAP)


def truth(seed: int) -> np.ndarray:
    """Picture, depth, normals and classes of two streets and two rooms."""
    tiles = []
    for kind, number in (("street", 1), ("street", 3), ("room", 0), ("room", 5)):
        world = World(seed + number, kind)
        frame = world.render_view(world.views(1, (180, 300))[0], truth=("depth", "normals", "semantic"))
        tiles += [
            frame.image,
            colorize_depth(frame.depth, frame.valid),
            draw_normals(frame.normals, frame.valid),
            colorize_ids(frame.semantic),
        ]
    return grid(tiles, 4, _GAP)


def things(seed: int) -> np.ndarray:
    """Things from 40 streets, 30 m away before a camera with a focal length of 720 pixels: two rows of cars, a row of each of `_THINGS`."""
    found: dict[str, list[tuple[int, Scene, SceneObject]]] = {"car": []} | {name: [] for name in _THINGS}
    models = Counter()
    for number in range(40):
        scene = World(seed + number, "street").scene
        for item in scene.objects:
            kind = (item.name, item.model.split()[0])
            found[item.name].append((models[kind], scene, item))
            models[kind] += 1
    tiles = []
    for name, candidates in found.items():
        candidates.sort(key=lambda row: row[0])  # the first of each kind, then the second ones
        tiles += [_at_30_m(scene, item) for _, scene, item in candidates[: 12 if name == "car" else 6]]
    return grid(tiles, 6, _GAP)


SHEETS: dict[str, Callable[[int], np.ndarray]] = {
    sheet.__name__: sheet
    for sheet in (streets, rooms, things, surround, panorama, night, rain, wild, weathers, truth)
}  # fmt: skip


def write(name: str, folder: str | Path, seed: int = 0) -> Path:
    """Draw the sheet `name` of `SHEETS` and write it as ``folder/world_NAME.jpg``, below 600 kB. Raises `InputError` for other names."""
    if name not in SHEETS:
        raise InputError(f"sheet {name!r} is not known, only {sorted(SHEETS)}.{nearest(name, SHEETS)}")
    image = SHEETS[name](seed)
    for quality in (90, 85, 80, 74, 68, 60, 50, 40):
        code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(code) < _LARGEST:
            break
    path = Path(folder) / f"world_{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(code)
    return path


def _picture(world: World, size: tuple[int, int]) -> np.ndarray:
    """The first viewpoint of a world, (H, W, 3)."""
    return world.render_view(world.views(1, size)[0], truth=()).image


def _driver(world: World, size: tuple[int, int]) -> np.ndarray:
    """What a driver sees ahead, (H, W, 3)."""
    moment = world.render({"type": "pinhole", "width": size[1], "height": size[0]}, truth=())
    frame: Frame = moment.frames["camera"]
    return frame.image


def _at_30_m(scene: Scene, item: SceneObject) -> np.ndarray:
    """A thing of a scene alone on an empty square by day, (112, 220, 3)."""
    floor = MeshBuilder(scene.materials.add(Material("", (0.3, 0.3, 0.3))), ID["road"])
    floor.box((0, 0, -0.5), (400, 400, 1))
    alone = replace(item, motion=Motion((30.0, 0.0, item.size[2] / 2), yaw=2.5))
    world = World()
    world.scene = Scene(0, "street", "plausible", "clear", floor.build(), [alone], scene.materials, Lighting())
    camera = Pinhole(720, 720, 110, 64, 220, 112)
    return world.render(camera, world_from_camera=rigs.camera_pose(0, 0, 1.5), effects=False, truth=()).image
