"""Fronts of buildings: finishes, walls with windows, shop fronts, doors, balconies."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.palette import Kit
from perception.datasets.world.templates import ROLE, Shape

_WALLS = {
    "plaster": ("#d9cfba", "#e8e4da", "#c9b08a", "#b9a99a", "#d8b48c", "#c98f6a", "#a9b3b0", "#8f9aa3", "#dcd4a8", "#c7867a", "#9fb09a", "#f2efe8"),
    "brick": ("#8a4a38", "#9c5a42", "#7a4034", "#b07a58", "#a8927c", "#6b4a42", "#c2a88a"),
    "stone_blocks": ("#b8ad98", "#a39a8c", "#c9c0ae", "#8d8a84"),
    "concrete": ("#a6a39c", "#8f8d88", "#bcb8ae"),
    "siding": ("#e8e6df", "#b7c3c9", "#d9d0b0", "#8ea3a0", "#a85a4a", "#6f7f8a"),
    "tiles": ("#c8c4ba", "#9aa6a8", "#b89a80"),
    "metal": ("#9aa0a4", "#c4c8ca", "#5f6e7a", "#7a8a6f"),
}  # fmt: skip
_ROOFS = ("#8a4030", "#6e3a30", "#9c5a3c", "#4a4644", "#5b5450", "#3c4048", "#7a6a58", "#a0664a")


class Finish:
    """Roles of a building's parts, as the integers that `Shape` takes for materials."""

    wall, base, accent, frame = ROLE["wall"], ROLE["base"], ROLE["accent"], ROLE["frame_paint"]
    glass, lit, dark, roof = ROLE["pane"], ROLE["pane_lit"], ROLE["dark"], ROLE["roof"]
    door, sign, sign2, awning, poster = (
        ROLE["door"],
        ROLE["shop_sign"],
        ROLE["shop_sign2"],
        ROLE["awning"],
        ROLE["poster"],
    )


_FAMILIES = {
    "block": ("plaster", "plaster", "plaster", "brick", "brick", "stone_blocks", "concrete", "tiles"),
    "tower": ("concrete", "tiles", "metal"),
    "house": ("plaster", "plaster", "plaster", "brick", "siding", "stone_blocks"),
    "hall": ("metal", "metal", "siding", "concrete", "brick"),
}


def finish(kit: Kit, kind: str) -> np.ndarray:
    """(R,) int16 role lookup of one building of a kind: block, tower, house or hall."""
    rng = kit.rng

    def wall(options):
        family = options[int(rng.integers(len(options)))]
        colours = _WALLS[family]
        colour = kit.vary(colours[int(rng.integers(len(colours)))], 0.12)
        second = kit.vary(("#b8b0a4", "#8f8880", "#d0cac0")[int(rng.integers(3))], 0.1)
        return kit.textured(family, colour, second, roughness=0.9, lidar_reflectance=float(rng.uniform(0.2, 0.6)))

    def one(*options):
        return options[int(rng.integers(len(options)))]

    glow = float(rng.uniform(0.08, 0.25)) if kit.night else 0.0
    shade = float(rng.uniform(0.006, 0.03))
    tint = (shade, shade * 1.15, shade * 1.2)
    if kind == "tower":
        tint = kit.vary(one("#1c2a30", "#25353a", "#2a2620", "#142028", "#3a4a52"), 0.2)
    lit = kit.vary(one("#ffd9a0", "#ffe9c8", "#ffc980", "#e8f0ff")) if kit.night else kit.vary("#8a8278", 0.3)
    sign_glow = 0.25 if kit.night else 0.0
    return kit.roles(
        wall=wall(_FAMILIES[kind]),
        base=wall(("stone_blocks", "concrete", "plaster", "brick")),
        accent=kit.plain(kit.vary(one("#e8e4da", "#c9c0ae", "#b8ad98", "#8d8a84"), 0.1)),
        frame_paint=kit.plain(kit.vary(one("#f2f0ea", "#e6e2d8", "#3a3a3c", "#5b4632", "#7a7d80", "#2c4034"), 0.1), specular=0.05, roughness=0.5),
        pane=kit.plain(tint, specular=0.85, roughness=0.04, lidar_reflectance=0.05),
        pane_lit=kit.plain(lit, specular=0.4, roughness=0.1, emission=glow),
        dark=kit.plain("#2a2a2c", roughness=0.7),
        roof=kit.textured("roof", kit.vary(one(*_ROOFS), 0.15)),
        door=kit.textured("planks", kit.vary(one("#5b3a26", "#2f4a3a", "#7a2a24", "#2a3550", "#3c3c3e", "#d8d4c8", "#8a6a44"), 0.2), scale_m=1.2),
        shop_sign=kit.textured("sign_text", (1, 1, 1), scale_m=float(rng.uniform(1.0, 1.8)), emission=sign_glow),
        shop_sign2=kit.textured("poster", (1, 1, 1), scale_m=float(rng.uniform(1.2, 2.5)), emission=sign_glow),
        awning=kit.textured(one("stripes", "fabric"), kit.vary(one("#a82a24", "#2a5a3a", "#2a4a8a", "#d8d0c0", "#c88a2a")), "#e8e4da", scale_m=0.8),
    )  # fmt: skip


def window_grid(centres, width, foot, height) -> np.ndarray:
    """(K, 4) rectangles u0, u1, z0, z1."""
    c = np.asarray(centres, float)
    return np.stack([c - width / 2, c + width / 2, np.full_like(c, foot), np.full_like(c, foot + height)], 1)


class Wall:
    """One flat wall: from `origin` (2,) along unit `along` (2,), `length` metres, facing to the right of `along`."""

    def __init__(self, builder: Shape, origin, along, length: float, rng, fin: type[Finish]) -> None:
        self.builder, self.length, self.rng, self.fin = builder, length, rng, fin
        self.origin, self.along = np.asarray(origin, float), np.asarray(along, float)
        self.out = np.array([self.along[1], -self.along[0]])

    def points(self, u, z, depth) -> np.ndarray:
        """World-of-the-building points; depth positive = into the wall."""
        u, z, depth = np.broadcast_arrays(np.asarray(u, float), np.asarray(z, float), np.asarray(depth, float))
        x = self.origin[0] + self.along[0] * u - self.out[0] * depth
        y = self.origin[1] + self.along[1] * u - self.out[1] * depth
        return np.stack([x, y, z], -1)

    def panels(self, rectangles, depth, material) -> None:
        """Flat rectangles (K, 4) u0, u1, z0, z1 at a depth."""
        r = np.asarray(rectangles, float).reshape(-1, 4)
        r = r[(r[:, 1] - r[:, 0] > 1e-3) & (r[:, 3] - r[:, 2] > 1e-3)]
        if len(r):
            corners = self.points(r[:, [0, 1, 1, 0]], r[:, [2, 2, 3, 3]], depth)
            self.builder.quad(corners, material=material)

    def boxes(self, rectangles, inner: float, outer: float, material) -> None:
        """Boxes over rectangles (K, 4), from depth `inner` (behind) to `outer` (in front, negative)."""
        r = np.asarray(rectangles, float).reshape(-1, 4)
        if not len(r):
            return
        centre = self.points((r[:, 0] + r[:, 1]) / 2, (r[:, 2] + r[:, 3]) / 2, (inner + outer) / 2)
        yaw = float(np.arctan2(self.along[1], self.along[0]))
        size = np.stack([r[:, 1] - r[:, 0], np.full(len(r), inner - outer), r[:, 3] - r[:, 2]], 1)
        self.builder.box(centre, size, yaw, material=material)

    def storey(
        self,
        z0: float,
        z1: float,
        holes: np.ndarray,
        material: int,
        recess: float,
        shutters: bool = False,
        bars: int = 1,
    ) -> None:
        """One storey with window holes (K, 4) inside [z0, z1], all of one height: wall around, reveals, frames and glass."""
        fin, rng = self.fin, self.rng
        if self.builder.coarse and len(holes):  # flat windows
            self.panels([(0, self.length, z0, z1)], 0.0, material)
            lit = rng.random(len(holes)) < 0.22
            self.panels(holes, -0.02, np.where(lit, fin.lit, fin.glass))
            return
        if not len(holes):
            self.panels([(0, self.length, z0, z1)], 0.0, material)
            return
        holes = holes[np.argsort(holes[:, 0])]
        foot, top = holes[0, 2], holes[0, 3]
        self.panels([(0, self.length, z0, foot), (0, self.length, top, z1)], 0.0, material)
        edges = np.concatenate([[0], holes[:, :2].ravel(), [self.length]]).reshape(-1, 2)
        self.panels(
            np.stack([edges[:, 0], edges[:, 1], np.full(len(edges), foot), np.full(len(edges), top)], 1), 0.0, material
        )
        u0, u1, z_low, z_high = holes.T
        zero, deep = np.zeros_like(u0), np.full_like(u0, recess)
        upright = np.stack([z_low, z_low, z_high, z_high], 1)
        rings = [  # left, right and upper reveals
            (np.stack([u0] * 4, 1), upright, np.stack([zero, deep, deep, zero], 1)),
            (np.stack([u1] * 4, 1), upright, np.stack([deep, zero, zero, deep], 1)),
            (np.stack([u0, u1, u1, u0], 1), np.stack([z_high] * 4, 1), np.stack([deep, deep, zero, zero], 1)),
        ]
        u, z, d = (np.concatenate([ring[k] for ring in rings]) for k in range(3))
        self.builder.quad(self.points(u, z, d), material=fin.accent)
        # A frame-coloured back with the panes a finger in front of it.
        self.panels(holes, recess, fin.frame)
        f = 0.06
        edges = u0[:, None] + (u1 - u0)[:, None] * np.linspace(0, 1, bars + 2)
        low, high = edges[:, :-1] + f / 2, edges[:, 1:] - f / 2
        low[:, 0] += f / 2
        high[:, -1] -= f / 2
        panes = np.stack(np.broadcast_arrays(low, high, z_low[:, None] + f, z_high[:, None] - f), -1)
        lit = np.repeat(rng.random(len(holes)) < 0.22, bars + 1)
        self.panels(panes.reshape(-1, 4), recess - 0.015, np.where(lit, fin.lit, fin.glass))
        if shutters:
            w = np.minimum((u1 - u0) * 0.45, 0.6)
            both = [np.stack([u0 - w, u0 - 0.02, z_low, z_high], 1), np.stack([u1 + 0.02, u1 + w, z_low, z_high], 1)]
            self.panels(np.concatenate(both), -0.04, fin.door)
        else:
            out = np.full_like(u0, -0.1)
            a, e, zero_up = u0 - 0.06, u1 + 0.06, np.full_like(u0, recess)
            self.builder.quad(
                self.points(
                    np.stack([a, e, e, a], 1), np.stack([z_low] * 4, 1), np.stack([out, out, zero_up, zero_up], 1)
                ),
                material=fin.accent,
            )
            self.panels(np.stack([a, e, z_low - 0.08, z_low], 1), -0.1, fin.accent)


def spread(length: float, pitch: float, width: float) -> np.ndarray:
    """Centres of as many bays as fit."""
    count = max(int(length / pitch), 1)
    if length < width + 0.6:
        return np.zeros(0)
    return (np.arange(count) + 0.5) * (length / count)


def shop_front(rng, wall: Wall, height: float, fin: type[Finish]) -> None:
    length = wall.length
    count = max(int(length / rng.uniform(3.0, 5.5)), 1)
    bay = length / count
    top = height - rng.uniform(0.8, 1.2)
    low = 0.0 if rng.random() < 0.4 else rng.uniform(0.3, 0.7)
    centres = (np.arange(count) + 0.5) * bay
    wall.storey(
        0,
        height,
        window_grid(centres, bay - rng.uniform(0.3, 0.9), low, top - low),
        fin.base,
        0.3,
        bars=int(rng.integers(1, 4)),
    )
    for k, c in enumerate(centres):
        if rng.random() < 0.75:
            wall.boxes(
                [(c - bay * 0.42, c + bay * 0.42, top + 0.1, height - 0.15)],
                0.0,
                -0.12,
                fin.sign if rng.random() < 0.6 else fin.sign2,
            )
        if rng.random() < 0.3:
            reach = rng.uniform(0.9, 1.6)
            a, e = c - bay * 0.45, c + bay * 0.45
            corners = wall.points([a, e, e, a], [top - 0.6, top - 0.6, top + 0.1, top + 0.1], [-reach, -reach, 0, 0])
            wall.builder.quad(corners, material=fin.awning)
            corners = wall.points([a, e, e, a], [top - 0.85, top - 0.85, top - 0.6, top - 0.6], -reach)
            wall.builder.quad(corners, material=fin.awning)
        if k == count // 2 or rng.random() < 0.2:
            entrance(wall, c + bay * 0.2, 1.0, 2.2, fin)
        if rng.random() < 0.25:
            u0 = c - bay * 0.3
            wall.panels(
                [(u0, u0 + rng.uniform(0.5, 1.2), low + 0.3, low + 1.4)],
                0.28,
                fin.poster,
            )


def entrance(wall: Wall, centre: float, width: float, height: float, fin: type[Finish]) -> None:
    """A door in front of whatever is there, with frame and step."""
    wall.boxes([(centre - width / 2 - 0.1, centre + width / 2 + 0.1, 0, height + 0.12)], 0.02, -0.05, fin.accent)
    wall.boxes([(centre - width / 2, centre + width / 2, 0, height)], 0.0, -0.07, fin.door)
    wall.boxes([(centre - width * 0.3, centre + width * 0.3, height * 0.6, height * 0.92)], 0.0, -0.08, fin.glass)
    wall.boxes([(centre - width * 0.8, centre + width * 0.8, 0, 0.16)], 0.0, -0.45, fin.accent)


def balconies(rng, wall: Wall, ground, storey, floors, pitch, fin: type[Finish]) -> None:
    centres = spread(wall.length, pitch, 1.0)
    centres = centres[rng.random(len(centres)) < 0.4]
    wide, reach = min(pitch * 0.95, 3.0), rng.uniform(0.7, 1.4)
    solid = rng.random() < 0.5
    for k in range(1, floors):
        z = ground + storey * (k - 1)
        if not len(centres):
            return
        wall.boxes(window_grid(centres, wide, z - 0.08, 0.16), 0.0, -reach, fin.accent)
        if solid:
            wall.boxes(window_grid(centres, wide, z + 0.08, 0.9), -reach + 0.06, -reach, fin.base)
        else:
            wall.boxes(window_grid(centres, wide, z + 0.95, 0.05), -reach + 0.05, -reach, fin.dark)
            posts = (centres[:, None] + np.linspace(-wide / 2 + 0.05, wide / 2 - 0.05, 9)).ravel()
            wall.panels(window_grid(posts, 0.03, z + 0.08, 0.9), -reach, fin.dark)
