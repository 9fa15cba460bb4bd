"""Placing things along a street: the shared state of its generators, and a register of taken ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.corridor import Corridor, Layout
from perception.datasets.world.lighting import Lamps
from perception.datasets.world.mesh import Mesh, MeshBuilder, pose
from perception.datasets.world.palette import Kit
from perception.datasets.world.scene import Motion, SceneObject
from perception.datasets.world.settling import box_row
from perception.datasets.world.templates import Template, template
from perception.datasets.world.terrain import Terrain
from perception.datasets.world.vegetation import TREES


class Ground:
    """Rectangles in (s, d) that are taken; axis-aligned, because most things stand along or across the street."""

    def __init__(self) -> None:
        self._taken = np.zeros((1024, 4))
        self._count = 0

    def free(self, s0: float, s1: float, d0: float, d1: float) -> bool:
        """Whether nothing is registered inside the rectangle."""
        t = self._taken[: self._count]
        return not bool(((t[:, 0] < s1) & (t[:, 1] > s0) & (t[:, 2] < d1) & (t[:, 3] > d0)).any())

    def take(self, s0: float, s1: float, d0: float, d1: float) -> None:
        """Register a rectangle."""
        if self._count == len(self._taken):
            self._taken = np.concatenate([self._taken, np.zeros_like(self._taken)])
        self._taken[self._count] = (s0, s1, d0, d1)
        self._count += 1

    def claim(self, s: float, d: float, length: float, width: float, yaw: float = 0.0, margin: float = 0.15) -> bool:
        """Take the ground under a box at (s, d) turned by `yaw` against the street, if it is free."""
        c, n = abs(np.cos(yaw)), abs(np.sin(yaw))
        half_s = (c * length + n * width) / 2 + margin
        half_d = (n * length + c * width) / 2 + margin
        if not self.free(s - half_s, s + half_s, d - half_d, d + half_d):
            return False
        self.take(s - half_s, s + half_s, d - half_d, d + half_d)
        return True


@dataclass
class Standing:
    """A dressed shape without an object box: its place, and what `settling` may do with it.

    plant: may shrink and be dropped; fixed: stays where it is."""

    mesh: Mesh
    s: float
    d: float
    z: float
    yaw: float
    shape: Template
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    plant: bool = False
    fixed: bool = False

    @property
    def model(self) -> str:
        """The template's."""
        return self.shape.model

    @property
    def stem(self) -> bool:
        """Whether it is a tree."""
        return self.model in TREES

    @property
    def low_box(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (3,), (3,) of what lies between 0.25 and 2.2 m above the foot; a thin post's where nothing does."""
        vertices = self.mesh.vertices
        part = vertices[(vertices[:, 2] > 0.25) & (vertices[:, 2] < 2.2)]
        if not len(part):
            part = np.array([[-0.05, -0.05, 0.25], [0.05, 0.05, 2.2]])
        return part.min(0).astype(np.float64), part.max(0).astype(np.float64)


@dataclass
class Mover:
    """A parked vehicle or a person: where it was put, and its motion if it is put at another (s, d, yaw)."""

    item: SceneObject
    s: float
    d: float
    yaw: float
    motion: Callable[[float, float, float], Motion]
    person: bool = False


@dataclass
class Street:
    """What the generators of one street share."""

    rng: np.random.Generator
    kit: Kit
    corridor: Corridor
    layout: Layout
    setting: str
    weather: str
    night: bool
    builder: MeshBuilder = field(default_factory=MeshBuilder)
    ground: Ground = field(default_factory=Ground)
    objects: list[SceneObject] = field(default_factory=list)
    coupled: list[tuple[int, int]] = field(default_factory=list)
    lamps: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list)  # position, colour, cone
    mobile_lamps: list[tuple[int, Lamps]] = field(default_factory=list)
    parcels: list[tuple[float, float, int]] = field(default_factory=list)
    lights_red: bool = False  # for own traffic
    # What `settling.settle` goes through in the end: static shapes, objects that may move, and upright boxes that stay.
    standing: list[Standing] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)
    walls: list[np.ndarray] = field(default_factory=list)
    terrain: dict[int, Terrain] = field(default_factory=dict)  # by the sign of d

    def pose(self, s: float, d: float, z: float = 0.0, yaw: float = 0.0, tilt: bool = False) -> np.ndarray:
        """(4, 4) world_from_thing at (s, d), z metres above the road, turned by yaw against the street."""
        pitch = self.corridor.pitch(s) * np.cos(yaw) if tilt else 0.0
        return pose(self.corridor.at(s, d, z), float(self.corridor.yaw(s)) + yaw, pitch)

    def variant(self, count: int) -> int:
        """A random template number below `count`."""
        return int(self.rng.integers(count))

    def wall(self, matrix: np.ndarray, low, high) -> None:
        """Note an upright box, from `low` to `high` (3,) in the frame of `matrix`, that other things keep out of."""
        self.walls.append(box_row(matrix.astype(np.float64), np.asarray(low, float), np.asarray(high, float)))

    def still(
        self, shape: Template, semantic, s, d, z=0.0, yaw=0.0, scale=(1.0, 1.0, 1.0), lookup=None, fixed=False
    ) -> None:
        """Stand a template on the ground; `semantic` a name or (T,) ids. `fixed`: it cannot give way to what it overlaps."""
        name = semantic if isinstance(semantic, str) else "pole"
        mesh = self.kit.dress(shape, ID[name], scale, lookup)
        if not isinstance(semantic, str):
            mesh.semantic = np.asarray(semantic, np.uint8)
        plant = name == "vegetation" and not fixed
        self.standing.append(Standing(mesh, s, d, z, yaw, shape, scale, plant, fixed))

    def furniture(
        self, kind: str, count: int, semantic, s, d, z=0.0, yaw=0.0, room=(0.5, 0.5), **options
    ) -> Template | None:
        """A random template of `kind` if the ground (`room` = length, width) is free."""
        if not self.ground.claim(s, d, *room, yaw=yaw):
            return None
        shape = template(kind, self.variant(count))
        self.still(shape, semantic, s, d, z, yaw, **options)
        return shape

    def thing(
        self, category: str, mesh: Mesh, size, motion: Motion, attribute: str = "", model: str = ""
    ) -> SceneObject:
        """Register an object with a box."""
        item = SceneObject(len(self.objects) + 1, ID[category], mesh, size, motion, attribute, model)
        self.objects.append(item)
        return item

    def resting(self, s: float, d: float, z: float, yaw: float, height: float, tilt: bool = True) -> Motion:
        """Motion of something that stands at (s, d) with its foot z above the road."""
        world = self.corridor.at(s, d, z)
        turn = float(self.corridor.yaw(s)) + yaw
        pitch = self.corridor.pitch(s) * float(np.cos(yaw)) if tilt else 0.0
        up = pose((0, 0, 0), turn, pitch)[:3, 2]
        return Motion(tuple(float(v) for v in world + up * height / 2), turn, pitch)
