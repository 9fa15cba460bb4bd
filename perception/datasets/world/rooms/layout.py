"""A room under construction: walls, what stands where, and placing without overlaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from perception.datasets.world.mesh import Mesh, rotation_z
from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.rooms.piece import Part
from perception.datasets.world.rooms.shell import Wall
from perception.datasets.world.scene import Motion, SceneObject


class Room:
    """bounds: (x0, y0, x1, y1) of the floor; height; walls. `objects` grows as pieces are placed.

    Obstacles are axis-aligned boxes (x0, y0, x1, y1, z0, z1); furniture never overlaps them by more than `slack` metres."""

    def __init__(
        self, kit: Kit, bounds: tuple[float, float, float, float], height: float, walls: list[Wall], kind: str
    ) -> None:
        self.kit, self.bounds, self.height, self.walls, self.kind = kit, bounds, height, walls, kind
        self.objects: list[SceneObject] = []
        self.obstacles: list[tuple[float, float, float, float, float, float]] = []
        self.lamps: list[tuple[np.ndarray, np.ndarray, float, float]] = []  # position, colour, strength, cone
        self.pool: dict[str, list[Part]] = {}

    @property
    def size(self) -> tuple[float, float]:
        return self.bounds[2] - self.bounds[0], self.bounds[3] - self.bounds[1]

    @property
    def area(self) -> float:
        return self.size[0] * self.size[1]

    # placing --------------------------------------------------------------------------------------------------------

    def footprint(self, part: Part, x: float, y: float, yaw: float) -> tuple[float, float, float, float]:
        """Axis-aligned outline (x0, y0, x1, y1) of a part at a pose."""
        c, s = np.cos(yaw), np.sin(yaw)
        corners = [
            (c * a - s * b, s * a + c * b) for a in (part.low[0], part.high[0]) for b in (part.low[1], part.high[1])
        ]
        xs, ys = [p[0] for p in corners], [p[1] for p in corners]
        return x + min(xs), y + min(ys), x + max(xs), y + max(ys)

    def fits(self, outline, z0: float, z1: float, margin: float = 0.01) -> bool:
        """Whether an outline is inside the room and clear of obstacles over z0..z1."""
        x0, y0, x1, y1 = outline
        bx0, by0, bx1, by1 = self.bounds
        if x0 < bx0 or y0 < by0 or x1 > bx1 or y1 > by1 or z1 > self.height:
            return False
        for a0, b0, a1, b1, c0, c1 in self.obstacles:
            if x0 < a1 + margin and a0 < x1 + margin and y0 < b1 + margin and b0 < y1 + margin and z0 < c1 and c0 < z1:
                return False
        return True

    def block(self, outline, z0: float = 0.0, z1: float = 2.0) -> None:
        """Reserve a volume."""
        self.obstacles.append((*outline, z0, z1))

    def put(self, part: Part, x: float, y: float, z: float = 0.0, yaw: float = 0.0, block: bool = True) -> SceneObject:
        """Place a part without asking."""
        centre = (part.low + part.high) / 2
        mesh = part.mesh
        moved = Mesh(mesh.vertices - centre, mesh.triangles, mesh.material, mesh.semantic, mesh.instance, mesh.local)
        position = rotation_z(yaw) @ centre + np.float32([x, y, z])
        item = SceneObject(
            len(self.objects) + 1,
            part.category,
            moved,
            tuple(float(v) for v in part.high - part.low),
            Motion(tuple(float(v) for v in position), float(yaw)),
            model=part.model,
        )
        self.objects.append(item)
        if block:
            self.block(self.footprint(part, x, y, yaw), z + float(part.low[2]), z + float(part.high[2]))
        return item

    def against(
        self,
        part: Part,
        wall: Wall | None = None,
        s: float | None = None,
        gap: float = 0.015,
        clear: float = 0.0,
        tries: int = 10,
        before_windows: float = 0.1,
    ) -> tuple[float, float, float, Wall] | None:
        """Stand a part with its back to a wall; returns (x, y, yaw, wall) or None when there is no room.

        clear: free depth kept in front of it. before_windows: chance to accept a place before a window that it would cover."""
        rng = self.kit.rng
        half = float(part.high[1] - part.low[1]) / 2
        middle = float(part.high[1] + part.low[1]) / 2
        for _ in range(tries):
            w = wall or self.walls[int(rng.integers(len(self.walls)))]
            if w.length < 2 * half + 0.02:
                continue
            if s is None:
                corner = rng.random()
                at = rng.uniform(half, w.length - half)
                at = half + 0.01 if corner < 0.2 else (w.length - half - 0.01 if corner < 0.4 else at)
            else:
                at = s
            if not w.free(at - half, at + half, 0.0, float(part.high[2]), 0.0) and rng.random() >= before_windows:
                continue
            d = gap + 0.012 - float(part.low[0])
            spot = w.point(at - middle, d)
            outline = self.footprint(part, spot[0], spot[1], w.yaw)
            if not self.fits(outline, 0.02, float(part.high[2])):
                continue
            if clear > 0:
                front = w.point(at, d + float(part.high[0]) + clear / 2)
                reach = np.abs(w.along) * half * 0.7 + np.abs(w.normal) * clear / 2
                if not self.fits((*(front - reach), *(front + reach)), 0.02, 1.0):
                    continue
            self.put(part, spot[0], spot[1], 0.0, w.yaw)
            w.taken.append((at - half, at + half, 0.0, float(part.high[2])))
            return float(spot[0]), float(spot[1]), w.yaw, w
        return None

    def free_standing(self, part: Part, yaws: Sequence[float] | None = None, tries: int = 12, margin: float = 0.05):
        """Stand a part somewhere on the floor; returns (x, y, yaw) or None."""
        rng = self.kit.rng
        x0, y0, x1, y1 = self.bounds
        for _ in range(tries):
            yaw = float(rng.uniform(-np.pi, np.pi)) if yaws is None else float(yaws[int(rng.integers(len(yaws)))])
            x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
            outline = self.footprint(part, x, y, yaw)
            if self.fits(outline, float(part.low[2]) + 0.02, float(part.high[2]), margin):
                self.put(part, x, y, 0.0, yaw)
                return x, y, yaw
        return None

    def try_put(self, part: Part, x: float, y: float, yaw: float, z: float = 0.0, margin: float = -0.02) -> bool:
        """Place a part at a pose if it is free; negative margins let edges touch."""
        outline = self.footprint(part, x, y, yaw)
        if not self.fits(outline, z + float(part.low[2]) + 0.02, z + float(part.high[2]), margin):
            return False
        self.put(part, x, y, z, yaw)
        return True

    def hang(
        self, part: Part, wall: Wall | None = None, z: float | None = None, s: float | None = None, tries: int = 6
    ) -> tuple[Wall, float, float] | None:
        """Hang a part on a wall with its centre at (s, z); returns (wall, s, z) or None."""
        rng = self.kit.rng
        half = float(part.high[1] - part.low[1]) / 2
        low, high = float(part.low[2]), float(part.high[2])
        for _ in range(tries):
            w = wall or self.walls[int(rng.integers(len(self.walls)))]
            if w.length < 2 * half + 0.1:
                continue
            at = float(rng.uniform(half + 0.05, w.length - half - 0.05)) if s is None else s
            height = float(np.clip(rng.normal(1.55, 0.15), 0.3 - low, self.height - high - 0.05)) if z is None else z
            if not w.free(at - half, at + half, height + low, height + high, 0.03):
                continue
            spot = w.point(at, 0.002 - float(part.low[0]))
            outline = self.footprint(part, spot[0], spot[1], w.yaw)
            if float(part.high[0] - part.low[0]) > 0.12 and not self.fits(outline, height + low, height + high):
                continue
            self.put(part, spot[0], spot[1], height, w.yaw, block=float(part.high[0]) > 0.12)
            w.taken.append((at - half, at + half, height + low, height + high))
            return w, at, height
        return None

    # small things ---------------------------------------------------------------------------------------------------

    def prop(self, makers: Sequence[Callable[[Kit], Part]], fresh: float = 0.35) -> Part:
        """A small thing: mostly one made before, since a room needs dozens and the eye forgives repeats."""
        make = self.kit.pick(makers)
        known = self.pool.setdefault(make.__name__, [])
        if known and (len(known) >= 4 or not self.kit.chance(fresh)):
            return self.kit.pick(known)
        part = make(self.kit)
        known.append(part)
        return part

    def scatter(
        self, part: Part, x: float, y: float, yaw: float, makers, count: float, z: float = 0.0, tops=None
    ) -> None:
        """Put about `count` small things on the tops of a placed part."""
        rng = self.kit.rng
        c, s = np.cos(yaw), np.sin(yaw)
        for x0, x1, y0, y1, top, free in part.tops if tops is None else tops:
            used: list[tuple[float, float, float]] = []
            for _ in range(int(rng.poisson(count))):
                small = self.prop(makers)
                size = small.high - small.low
                if size[2] > free:
                    continue
                turn = float(rng.normal(0, 0.5)) if rng.random() < 0.7 else float(rng.uniform(-3.1, 3.1))
                radius = float(max(size[0], size[1])) / 2
                ct, st = abs(np.cos(turn)), abs(np.sin(turn))
                hx, hy = (ct * size[0] + st * size[1]) / 2, (st * size[0] + ct * size[1]) / 2
                if x1 - x0 < 2 * hx or y1 - y0 < 2 * hy:
                    continue
                for _ in range(4):
                    px, py = float(rng.uniform(x0 + hx, x1 - hx)), float(rng.uniform(y0 + hy, y1 - hy))
                    if all(np.hypot(px - a, py - b) > radius + r for a, b, r in used):
                        used.append((px, py, radius))
                        mid = (small.low + small.high) / 2
                        ox = px - (np.cos(turn) * mid[0] - np.sin(turn) * mid[1])
                        oy = py - (np.sin(turn) * mid[0] + np.cos(turn) * mid[1])
                        self.put(small, x + c * ox - s * oy, y + s * ox + c * oy, z + top, yaw + turn, block=False)
                        break

    def place_on(
        self,
        small: Part,
        x: float,
        y: float,
        yaw: float,
        at: tuple[float, float, float],
        turn: float = 0.0,
        z: float = 0.0,
    ) -> None:
        """Put one thing at `at` (x, y, z) in the frame of a piece standing at (x, y, yaw)."""
        c, s = np.cos(yaw), np.sin(yaw)
        self.put(small, x + c * at[0] - s * at[1], y + s * at[0] + c * at[1], z + at[2], yaw + turn, block=False)

    def light(self, position, strength: float, colour, cone: float = -1.0) -> None:
        """A lamp that shines (linear colour times strength at one metre)."""
        self.lamps.append((np.asarray(position, np.float32), np.asarray(colour, np.float32), strength, cone))
