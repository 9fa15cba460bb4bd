"""Walls, floors, ceilings, doors and windows: everything of a room that cannot be carried away.

A wall's frame: s runs along it (to the right for a viewer outside, to the left end's right seen from inside = the piece frame's +y),
d into the room (the piece frame's +x), z up. Wall faces lie at d = 0; walls are axis-aligned boxes behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.mesh import Mesh, MeshBuilder
from perception.datasets.world.rooms.kit import Kit, any_colour
from perception.datasets.world.rooms.piece import _sharp_box
from perception.datasets.world.shapes import grid


@dataclass
class Opening:
    """A hole in a wall from s0 to s1 and z0 to z1. kind: "door", "passage" or "window"."""

    kind: str
    s0: float
    s1: float
    z0: float
    z1: float
    pane: str = ""  # windows: "open" (one sees outside), "bright", "frosted", "dark"


@dataclass
class Wall:
    """One wall seen from its room. origin (2,), normal (2,) into the room; along = normal turned left."""

    origin: np.ndarray
    normal: np.ndarray
    length: float
    height: float
    outer: bool = True
    extend: tuple[bool, bool] = (True, True)  # convex corner at s = 0 and s = length
    openings: list[Opening] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)  # (s0, s1, z0, z1) in use

    @property
    def plain(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Origin and normal as plain numbers, for arithmetic without arrays."""
        return (float(self.origin[0]), float(self.origin[1])), (float(self.normal[0]), float(self.normal[1]))

    @property
    def along(self) -> np.ndarray:
        return np.array([-self.normal[1], self.normal[0]])

    @property
    def yaw(self) -> float:
        """Heading of a piece that stands with its back to this wall."""
        return float(np.arctan2(self.normal[1], self.normal[0]))

    def point(self, s: float, d: float) -> np.ndarray:
        """World (x, y) of a place at `s` along and `d` off the wall."""
        return self.origin + self.along * s + self.normal * d

    def free(self, s0: float, s1: float, z0: float, z1: float, margin: float = 0.02) -> bool:
        """Whether nothing uses this part of the wall."""
        return not any(
            s0 < t1 + margin and t0 < s1 + margin and z0 < u1 + margin and u0 < z1 + margin
            for t0, t1, u0, u1 in self.taken
        )

    def hole(self, kind: str, centre: float, width: float, z0: float, z1: float, pane: str = "") -> Opening:
        """Cut an opening."""
        opening = Opening(kind, centre - width / 2, centre + width / 2, z0, z1, pane)
        self.openings.append(opening)
        self.taken.append((opening.s0 - 0.1, opening.s1 + 0.1, z0 - 0.08, z1 + 0.12))
        return opening


class Shell:
    """Collects the static boxes and sheets of a scene."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.builder, self._rows = kit, MeshBuilder(), []

    def box(self, centre, size, material: int, semantic: int, yaw: float = 0.0) -> None:
        """One box by centre and size."""
        self._rows.append((*centre, *size, yaw, material, semantic))

    def on_wall(self, wall: Wall, s: tuple, d: tuple, z: tuple, material: int, semantic: int) -> None:
        """One box given by its ranges in a wall's frame."""
        (ox, oy), (nx, ny) = wall.plain
        sm, dm, sl, dl = (s[0] + s[1]) / 2, (d[0] + d[1]) / 2, s[1] - s[0], d[1] - d[0]
        centre = (ox - ny * sm + nx * dm, oy + nx * sm + ny * dm, (z[0] + z[1]) / 2)
        size = (abs(ny) * sl + abs(nx) * dl, abs(nx) * sl + abs(ny) * dl, z[1] - z[0])
        self._rows.append((*centre, *size, 0.0, material, semantic))

    def sheet(self, wall: Wall, points: np.ndarray, material: int, semantic: int) -> None:
        """A curved sheet: points (R, C, 3) as (s, d, z)."""
        xy = wall.origin + points[..., :1] * wall.along + points[..., 1:2] * wall.normal
        v, t = grid(np.concatenate([xy, points[..., 2:]], -1))
        self.builder.mesh(v, t, material=material, semantic=semantic)

    def finish(self) -> Mesh:
        """The static mesh."""
        data = np.array(self._rows, np.float32)
        v, t = _sharp_box()
        vertices = v[None] * data[:, None, 3:6]
        local = vertices + data[:, None, :3]
        c, s = np.cos(data[:, 6, None]), np.sin(data[:, 6, None])
        x, y = vertices[..., 0].copy(), vertices[..., 1].copy()
        vertices[..., 0], vertices[..., 1] = c * x - s * y, s * x + c * y
        vertices += data[:, None, :3]
        material = data[:, 7].astype(np.int16)
        if self.kit.wild:
            special = np.isin(material, self.keep)
            material = np.where(special, material, self.kit.wild_ids(len(material)))
        self.builder.batch(
            vertices, t, material=material[:, None], semantic=data[:, 8].astype(np.uint8)[:, None], local=local
        )
        return self.builder.build()

    keep: tuple[int, ...] = ()  # materials that the wild style leaves alone


def build_wall(shell: Shell, wall: Wall, material: int, thickness: float) -> None:
    """The wall as boxes around its openings."""
    wall_id, height = ID["wall"], wall.height
    start = -thickness if wall.extend[0] else 0.0
    end = wall.length + (thickness if wall.extend[1] else 0.0)
    at = start
    for hole in sorted(wall.openings, key=lambda o: o.s0):
        if hole.s0 > at:
            shell.on_wall(wall, (at, hole.s0), (-thickness, 0), (0, height), material, wall_id)
        if hole.z0 > 0:
            shell.on_wall(wall, (hole.s0, hole.s1), (-thickness, 0), (0, hole.z0), material, wall_id)
        if hole.z1 < height:
            shell.on_wall(wall, (hole.s0, hole.s1), (-thickness, 0), (hole.z1, height), material, wall_id)
        at = max(at, hole.s1)
    if end > at:
        shell.on_wall(wall, (at, end), (-thickness, 0), (0, height), material, wall_id)


def skirting(shell: Shell, wall: Wall, material: int, z0: float, z1: float, depth: float) -> None:
    """A strip along the wall that stops at openings: skirting board, dado rail, cornice."""
    at = 0.0
    for hole in sorted(wall.openings, key=lambda o: o.s0):
        if hole.z0 < z1 and hole.z1 > z0:
            if hole.s0 - 0.06 > at:
                shell.on_wall(wall, (at, hole.s0 - 0.06), (0, depth), (z0, z1), material, ID["wall"])
            at = max(at, hole.s1 + 0.06)
    if wall.length > at:
        shell.on_wall(wall, (at, wall.length), (0, depth), (z0, z1), material, ID["wall"])


def door(shell: Shell, wall: Wall, hole: Opening, thickness: float, leaf: str) -> None:
    """Frame and leaf of a door. leaf: "closed", "ajar" (opens into the room), "away" (opens out of it) or "none"."""
    kit, door_id = shell.kit, ID["door"]
    frame = shell.frame_material
    w = kit.between(0.04, 0.1)
    for d in ((0, 0.015), (-thickness - 0.015, -thickness)):
        shell.on_wall(wall, (hole.s0 - w, hole.s0), d, (0, hole.z1 + w), frame, door_id)
        shell.on_wall(wall, (hole.s1, hole.s1 + w), d, (0, hole.z1 + w), frame, door_id)
        shell.on_wall(wall, (hole.s0, hole.s1), d, (hole.z1, hole.z1 + w), frame, door_id)
    for s in ((hole.s0, hole.s0 + 0.02), (hole.s1 - 0.02, hole.s1)):
        shell.on_wall(wall, s, (-thickness, 0), (0, hole.z1), frame, door_id)
    shell.on_wall(wall, (hole.s0, hole.s1), (-thickness, 0), (hole.z1 - 0.02, hole.z1), frame, door_id)
    if leaf == "none":
        return
    width, height = hole.s1 - hole.s0 - 0.05, hole.z1 - 0.03
    if leaf == "closed":
        turn = 0.0
    else:
        turn = kit.between(0.5, 1.75) * (1 if leaf == "ajar" else -1)
    hinge_left = kit.chance(0.5)
    s_hinge = hole.s0 + 0.025 if hinge_left else hole.s1 - 0.025
    direction = 1.0 if hinge_left else -1.0
    d_hinge = -0.03 if leaf != "away" else -thickness + 0.03
    skin = shell.door_material
    panels = kit.pick((0, 0, 2, 4, 6, -1))
    handle, glass = kit.metal(), kit.add("", (0.35, 0.4, 0.42), specular=0.9, roughness=0.1)
    c, s = np.cos(turn), np.sin(turn)

    def put(a0, a1, b0, b1, z0, z1, material):  # a along the leaf from the hinge, b across it
        a, b = (a0 + a1) / 2, (b0 + b1) / 2
        ds, dd = direction * (a * c) - 0 * b, a * s
        ds, dd = ds - direction * b * s, dd + b * c
        centre = wall.point(s_hinge + ds, d_hinge + dd)
        yaw = wall.yaw + np.pi / 2 + (turn if not hinge_left else -turn)
        shell.box((centre[0], centre[1], (z0 + z1) / 2), (a1 - a0, b1 - b0, z1 - z0), material, door_id, yaw)

    put(0, width, -0.02, 0.02, 0.01, height, skin)
    if panels == -1:
        put(width * 0.2, width * 0.8, -0.023, 0.023, height * 0.5, height * 0.9, glass)
    elif panels:
        rows, columns = (panels, 1) if panels < 4 else (panels // 2, 2)
        for r in range(rows):
            for k in range(columns):
                pw, ph = width / columns, height / rows
                put(k * pw + 0.09, (k + 1) * pw - 0.09, -0.026, 0.026, r * ph + 0.1, (r + 1) * ph - 0.08, skin)
    for side in (-1, 1):
        put(width - 0.1, width - 0.06, side * 0.03 - 0.01, side * 0.03 + 0.01, 0.96, 1.12, handle)
        put(width - 0.17, width - 0.06, side * 0.055 - 0.01, side * 0.055 + 0.01, 1.03, 1.055, handle)


def window(shell: Shell, wall: Wall, hole: Opening, thickness: float) -> None:
    """Frame, glazing bars, sill and pane."""
    kit, window_id = shell.kit, ID["window"]
    frame, t = shell.window_material, kit.between(0.035, 0.075)
    back = -thickness * kit.between(0.4, 0.9)
    d = (back, back + 0.06)
    s0, s1, z0, z1 = hole.s0, hole.s1, hole.z0, hole.z1
    for s in ((s0, s0 + t), (s1 - t, s1)):
        shell.on_wall(wall, s, d, (z0, z1), frame, window_id)
    for z in ((z0, z0 + t), (z1 - t, z1)):
        shell.on_wall(wall, (s0, s1), d, z, frame, window_id)
    columns = max(1, round((s1 - s0) / kit.between(0.55, 1.2)))
    bar = t * kit.between(0.5, 1.2)
    for k in range(1, columns):
        s = s0 + (s1 - s0) * k / columns
        shell.on_wall(wall, (s - bar / 2, s + bar / 2), d, (z0, z1), frame, window_id)
    rows = kit.pick((1, 1, 1, 2, 2, 3))
    for k in range(1, rows):
        z = z0 + (z1 - z0) * k / rows
        thin = bar * 0.6
        shell.on_wall(wall, (s0, s1), d, (z - thin / 2, z + thin / 2), frame, window_id)
    if z0 > 0.2:
        sill = kit.stone() if kit.chance(0.4) else shell.window_material
        shell.on_wall(wall, (s0 - 0.05, s1 + 0.05), (back, kit.between(0.02, 0.14)), (z0 - 0.035, z0), sill, window_id)
    if kit.chance(0.4):  # casing on the wall
        w = kit.between(0.05, 0.1)
        for s in ((s0 - w, s0), (s1, s1 + w)):
            shell.on_wall(wall, s, (0, 0.018), (z0 - w, z1 + w), frame, window_id)
        shell.on_wall(wall, (s0, s1), (0, 0.018), (z1, z1 + w), frame, window_id)
    if hole.pane == "open":
        return
    if hole.pane == "bright":
        pane = kit.add(
            "swirl_0" if kit.chance(0.2) else "",
            (0.85, 0.88, 0.9),
            (0.8, 0.85, 0.9),
            3.0,
            emission=kit.between(1.2, 4.0) * shell.daylight,
        )
    elif hole.pane == "frosted":
        pane = kit.add(
            "noise_5", (0.6, 0.65, 0.66), (0.5, 0.55, 0.56), 0.3, emission=kit.between(0.5, 1.5) * shell.daylight
        )
    else:
        pane = kit.add("", (0.012, 0.014, 0.02), specular=0.9, roughness=0.05)
    shell.keep += (pane,)
    shell.on_wall(wall, (s0, s1), (back + 0.02, back + 0.035), (z0, z1), pane, window_id)


def curtains(shell: Shell, wall: Wall, hole: Opening) -> None:
    """Curtains, a roller blind or slats before a window."""
    kit, curtain_id = shell.kit, ID["curtain"]
    kind = kit.pick(("pair", "pair", "pair", "one", "roller", "slats", "sheer"))
    s0, s1 = hole.s0, hole.s1
    top = min(hole.z1 + kit.between(0.05, 0.25), wall.height - 0.02)
    if kind == "roller":
        low = hole.z1 - (hole.z1 - hole.z0) * kit.between(0.15, 0.9)
        shell.on_wall(wall, (s0 - 0.02, s1 + 0.02), (0.02, 0.025), (low, top), kit.fabric(0.3), curtain_id)
        shell.on_wall(wall, (s0 - 0.03, s1 + 0.03), (0.0, 0.07), (top - 0.07, top), kit.trim, curtain_id)
        return
    if kind == "slats":
        material, low = (
            kit.plastic((0.7, 0.69, 0.66)) if kit.chance(0.6) else kit.wood(),
            hole.z0 + (hole.z1 - hole.z0) * kit.between(0, 0.5),
        )
        step = kit.between(0.035, 0.07)
        flat = kit.between(0.3, 1.0)
        for k in range(int((top - low) / step)):
            z = top - k * step
            shell.on_wall(
                wall,
                (s0, s1),
                (0.015, 0.015 + step * flat),
                (z - max(step * (1 - flat), 0.003), z),
                material,
                curtain_id,
            )
        return
    material = kit.fabric(0.35) if kind != "sheer" else kit.add("fabric", (0.7, 0.7, 0.68), smooth=True)
    low = kit.between(0.01, 0.06) if kit.chance(0.7) else max(hole.z0 - 0.15, 0.05)
    over = kit.between(0.1, 0.35)
    left, right = max(s0 - over, 0.02), min(s1 + over, wall.length - 0.02)
    rod = kit.metal()
    shell.on_wall(wall, (left - 0.02, right + 0.02), (0.075, 0.1), (top, top + 0.025), rod, curtain_id)
    cover = kit.between(0.12, 0.32) if kind != "sheer" else 0.5
    width = (right - left) * cover
    ranges = [(left, left + width), (right - width, right)]
    for a, b in ranges if kind != "one" else [kit.pick(ranges)]:
        n = max(int((b - a) / 0.025), 8)
        s = np.linspace(a, b, n)
        waves = kit.between(5, 9) / max(b - a, 0.2) * (b - a) / 0.5
        phase = kit.between(0, 6.3)
        rows = []
        for k, z in enumerate(np.linspace(low, top, 6)):
            swing = 0.035 * np.sin(
                (s - a) / max(b - a, 1e-3) * waves * 2 * np.pi * (b - a) / 0.5 * 0.5 + phase + 0.1 * k
            )
            gather = (s - (a + b) / 2) * (0.12 * np.sin(np.pi * k / 5) if kind == "pair" else 0)
            rows.append(np.stack([s - gather, 0.085 + swing * (0.6 + 0.4 * (5 - k) / 5), np.full(n, z)], -1))
        shell.sheet(wall, np.array(rows), material if not kit.wild else int(kit.wild_ids(1)[0]), curtain_id)
    wall.taken.append((left - 0.05, right + 0.05, low, top))


def choose_finishes(shell: Shell, daylight: float) -> None:
    """Frames and doors of a scene share their finish."""
    kit = shell.kit
    shell.daylight = daylight
    shell.frame_material = kit.trim
    shell.window_material = kit.trim if kit.chance(0.7) else kit.paint()
    if kit.chance(0.5):
        shell.door_material = kit.trim
    else:
        shell.door_material = (
            kit.wood()
            if kit.chance(0.7)
            else kit.add("plain", any_colour(kit.rng, (0.2, 0.8), (0.15, 0.7)), specular=0.25, roughness=0.4)
        )
