"""A scene: static surroundings, objects that may move, materials and light.

Frames: world = x forward/east, y left/north, z up, metres. An object's frame has its origin at the centre of its box,
x forward, y left, z up; ``size`` is (length, width, height) of the box that just encloses it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from perception.datasets.world.classes import CATEGORIES
from perception.datasets.world.lighting import Lamps, Lighting
from perception.datasets.world.materials import MaterialTable
from perception.datasets.world.mesh import Mesh, pose
from perception.datasets.world.raycast import PosedScene


class Path:
    """A polyline (K, 3) in the world, walked by arc length; positions and headings beyond its ends continue straight.

    marks: (K,) increasing or decreasing labels of the points (metres along a street, for example), see `find`."""

    def __init__(self, points: np.ndarray, marks: np.ndarray | None = None) -> None:
        self.marks = marks
        self.points = np.asarray(points, np.float64)
        steps = np.diff(self.points, axis=0)
        self.lengths = np.linalg.norm(steps, axis=1)
        self.along = np.concatenate([[0.0], np.cumsum(self.lengths)])
        yaw = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
        # Headings at the vertices, averaged from both sides and interpolated between, so that vehicles turn smoothly.
        self.yaw = np.concatenate([yaw[:1], (yaw[1:] + yaw[:-1]) / 2, yaw[-1:]])
        pitch = -np.arctan2(steps[:, 2], np.hypot(steps[:, 0], steps[:, 1]))
        self.pitch = np.concatenate([pitch[:1], (pitch[1:] + pitch[:-1]) / 2, pitch[-1:]])

    @property
    def length(self) -> float:
        """Arc length in metres."""
        return float(self.along[-1])

    def find(self, mark: float) -> float:
        """Arc length where the label is `mark`."""
        order = slice(None) if self.marks[-1] > self.marks[0] else slice(None, None, -1)
        return float(np.interp(mark, self.marks[order], self.along[order]))

    def at(self, distance: float) -> tuple[np.ndarray, float, float]:
        """Position (3,) float64, yaw and pitch (radians, positive = nose down) after `distance` metres."""
        i = int(np.clip(np.searchsorted(self.along, distance, side="right") - 1, 0, len(self.lengths) - 1))
        part = (distance - self.along[i]) / self.lengths[i]
        position = self.points[i] + part * (self.points[i + 1] - self.points[i])
        blend = min(max(part, 0.0), 1.0)
        yaw = self.yaw[i] + blend * (self.yaw[i + 1] - self.yaw[i])
        pitch = self.pitch[i] + blend * (self.pitch[i + 1] - self.pitch[i])
        return position, float(yaw), float(pitch)


@dataclass
class Motion:
    """Where something is at a time: resting at `position` with `yaw`/`pitch`/`roll`, or driving along `path`.

    `start` metres along the path at time 0, `speed` m/s (constant). `lift`: height of the object's centre above the path.
    `upright`: keep pitch 0 on slopes (people)."""

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    path: Path | None = None
    start: float = 0.0
    speed: float = 0.0
    lift: float = 0.0
    upright: bool = False

    @property
    def moving(self) -> bool:
        """Whether the pose changes with time."""
        return self.path is not None and self.speed != 0.0

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) float32 world_from_object."""
        if self.path is None:
            return pose(self.position, self.yaw, self.pitch, self.roll)
        position, yaw, pitch = self.path.at(self.start + self.speed * time)
        matrix = pose((0, 0, 0), yaw, 0.0 if self.upright else pitch)
        matrix[:3, 3] = position + matrix[:3, 2].astype(np.float64) * self.lift
        return matrix

    def velocity(self, time: float) -> np.ndarray:
        """(3,) float32 m/s, world frame."""
        if not self.moving:
            return np.zeros(3, np.float32)
        step = 0.05
        return (self.pose(time + step)[:3, 3] - self.pose(time - step)[:3, 3]) / np.float32(2 * step)


@dataclass
class SceneObject:
    """One thing with a box. id: instance id (> 0), unique in the scene. category: semantic id. mesh: object frame (origin = box
    centre), its triangles' instance ids are set by the scene. size: (length, width, height) metres. attribute: nuScenes-like
    state ("vehicle.moving", "vehicle.parked", "vehicle.stopped", "pedestrian.moving", "pedestrian.standing",
    "cycle.with_rider", "cycle.without_rider", "")."""

    id: int
    category: int
    mesh: Mesh
    size: tuple[float, float, float]
    motion: Motion = field(default_factory=Motion)
    attribute: str = ""
    model: str = ""  # finer kind, for example "estate" or "child"

    @property
    def name(self) -> str:
        """Category name."""
        return CATEGORIES[self.category].name

    def pose(self, time: float = 0.0) -> np.ndarray:
        """(4, 4) float32 world_from_object."""
        return self.motion.pose(time)

    def velocity(self, time: float = 0.0) -> np.ndarray:
        """(3,) float32 m/s, world frame."""
        return self.motion.velocity(time)


@dataclass
class Route:
    """The way of the camera carrier: along `path` (on the ground, in the lane) from `start` metres with `speed` m/s.

    It slows to a halt before the path ends, so any time is valid."""

    path: Path
    start: float = 0.0
    speed: float = 0.0

    def distance(self, time: float) -> float:
        """Metres along the path at `time` seconds; smooth, never beyond the end."""
        room = max(self.path.length - self.start - 1.0, 1.0)
        cruise = 0.6 * room  # then an exponential approach to the end, with continuous speed
        wanted = self.speed * time
        if wanted <= cruise:
            return self.start + max(wanted, -self.start)
        rest = room - cruise
        return self.start + cruise + rest * (1 - float(np.exp(-(wanted - cruise) / rest)))

    def pose(self, time: float = 0.0) -> np.ndarray:
        """(4, 4) float32 world_from_ego: on the ground, x forward, y left, z up."""
        position, yaw, pitch = self.path.at(self.distance(time))
        return pose(position, yaw, pitch)


@dataclass
class Scene:
    """Everything there is, from one seed.

    route: where a vehicle with cameras drives (streets); None in rooms. stations: (K, 4) float32 x, y, z, yaw: good places for a
    hand-held camera (z = eye height included), always at least one. info: free notes of the generator (plain values).
    mobile_lamps: (object id, lamps in that object's frame); id 0 = the vehicle on the route."""

    seed: int
    kind: str
    style: str
    weather: str
    static: Mesh
    objects: list[SceneObject]
    materials: MaterialTable
    lighting: Lighting
    route: Route | None = None
    stations: np.ndarray = field(default_factory=lambda: np.array([[0, 0, 1.5, 0]], np.float32))
    info: dict = field(default_factory=dict)
    mobile_lamps: list[tuple[int, Lamps]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._posed: OrderedDict[float, PosedScene] = OrderedDict()
        self._shared: dict = {}

    def object(self, instance: int) -> SceneObject:
        """The object with this instance id. Raises KeyError."""
        return self._by_id[instance]

    @cached_property
    def _by_id(self) -> dict[int, SceneObject]:
        return {item.id: item for item in self.objects}

    @cached_property
    def ordered(self) -> list[SceneObject]:
        """The objects in the order of their triangles: resting ones first, then moving ones."""
        return sorted(self.objects, key=lambda item: item.motion.moving)

    @cached_property
    def first_vertices(self) -> np.ndarray:
        """(K + 1,) first vertex of each of `ordered` in the posed mesh, and the end."""
        return np.cumsum([len(self.static.vertices), *(len(item.mesh.vertices) for item in self.ordered)])

    @cached_property
    def combined(self) -> Mesh:
        """Static mesh followed by the meshes of `ordered`, the resting ones in the world frame, the moving ones in their own; the triangle
        order of every `PosedScene`."""
        mesh = Mesh.concatenate([self.static, *(item.mesh.with_instance(item.id) for item in self.ordered)])
        mesh.vertices = mesh.vertices.copy()
        for item, first, last in self._spans():
            if not item.motion.moving and last > first:
                _place(mesh.vertices, mesh.vertices, first, last, item.pose(0.0))
        still = [len(item.mesh.triangles) for item in self.ordered if not item.motion.moving]
        self._shared["first_moving"] = len(self.static.triangles) + sum(still)
        return mesh

    def _spans(self):
        return zip(self.ordered, self.first_vertices[:-1], self.first_vertices[1:], strict=True)

    def at(self, time: float = 0.0) -> PosedScene:
        """The scene posed at `time` seconds. The last two instants are kept."""
        key = float(time) if any(item.motion.moving for item in self.objects) else 0.0
        posed = self._posed.get(key)
        if posed is None:
            mesh = self._mesh_at(key)
            posed = self._posed[key] = PosedScene(key, mesh, self.materials, self.lighting, self._shared)
            while len(self._posed) > 2:
                self._posed.popitem(last=False)
        else:
            self._posed.move_to_end(key)
        return posed

    def _mesh_at(self, time: float) -> Mesh:
        combined = self.combined
        vertices = combined.vertices.copy()
        for item, first, last in self._spans():
            if item.motion.moving and last > first:
                _place(vertices, combined.vertices, first, last, item.pose(time))
        return Mesh(
            vertices, combined.triangles, combined.material, combined.semantic, combined.instance, combined.local
        )


def _place(target: np.ndarray, source: np.ndarray, first: int, last: int, matrix: np.ndarray) -> None:
    """Move the vertices first..last by a 4x4 matrix."""
    target[first:last] = source[first:last] @ matrix[:3, :3].T + matrix[:3, 3]
