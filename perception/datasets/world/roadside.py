"""What stands beside the road: parcels of houses, blocks, parks, car parks, halls, woods; trees and furniture along the kerb."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.buildings import FLOORS, finish, footprint
from perception.datasets.world.classes import ID
from perception.datasets.world.placing import Street
from perception.datasets.world.templates import ROLE, Template, template
from perception.datasets.world.traffic import _choose, _park, pedestrian
from perception.datasets.world.vegetation import TREES

_LEAVES = ("#5f8f3c", "#6f9a48", "#4f7f34", "#7fa04a", "#55803f", "#86a85a", "#476f3a")
_AUTUMN = ("#c8862a", "#b8642a", "#d8b03a", "#a04a28", "#8a8a3a", "#c05a30")

PARCELS = {
    "city": {"block": 78, "park": 5, "lot": 5, "hall": 2, "site": 4, "plaza": 6},
    "downtown": {"block": 45, "tower": 40, "plaza": 9, "site": 4, "lot": 2},
    "boulevard": {"block": 55, "tower": 10, "park": 15, "plaza": 8, "lot": 6, "hall": 6},
    "residential": {"house": 80, "block": 7, "park": 7, "lot": 3, "site": 3},
    "rural": {"field": 42, "wood": 32, "house": 16, "hall": 4, "site": 2},
    "industrial": {"hall": 55, "lot": 18, "site": 9, "block": 10, "field": 8},
}


def far_away(s: float, d: float) -> bool:
    """Whether the coarser template will do: the ego vehicle drives from s = 0 along d = 0."""
    return abs(d) > 17 or s > 48 or s < -12


class Greens:
    """Leaf colours and tree kinds of a scene."""

    def __init__(self, street: Street) -> None:
        rng, kit = street.rng, street.kit
        self.street = street
        tones = _AUTUMN if rng.random() < 0.14 else _LEAVES
        self.kinds = [
            TREES[int(i)] for i in rng.choice(len(TREES), 3, p=[0.42, 0.19, 0.06, 0.12, 0.05, 0.02, 0.1, 0.04])
        ]
        self.lookups = []
        bark = kit.textured("bark", kit.vary(("#5a4a3c", "#7a6a58", "#4a4038", "#a8a090")[int(rng.integers(4))], 0.15))
        for _ in range(4):
            tone = kit.vary(tones[int(rng.integers(len(tones)))], 0.15)
            dark = tuple(0.62 * c for c in tone)
            leaf = kit.textured("foliage", tone, scale_m=float(rng.uniform(0.9, 2.0)))
            shade = kit.textured("foliage", dark, scale_m=float(rng.uniform(0.9, 2.0)))
            flower = kit.plain(kit.vary(("#d8507a", "#f0e8e8", "#e8c83a", "#8a4ab0")[int(rng.integers(4))], 0.2))
            self.lookups.append(kit.roles(leaf=leaf, leaf2=shade, bark=bark, flower=flower))

    def tree(self, s, d, z=0.0, kind: str | None = None, small: bool = False) -> None:
        """A tree with its foot at (s, d)."""
        street, rng = self.street, self.street.rng
        kind = kind or self.kinds[int(rng.choice(3, p=[0.6, 0.3, 0.1]))]
        scale = float(np.exp(rng.normal(-0.25 if small else 0.0, 0.2)))
        coarse = "_far" if far_away(s, d) else ""
        street.still(
            template(kind + coarse, street.variant(7)),
            "vegetation",
            s,
            d,
            z,
            float(rng.uniform(0, 6.28)),
            (scale, scale, scale * float(rng.uniform(0.9, 1.15))),
            self._look(),
        )

    def bush(self, s, d, z=0.0) -> None:
        """A bush at (s, d)."""
        street, rng = self.street, self.street.rng
        scale = float(np.exp(rng.normal(0, 0.3)))
        street.still(
            template("bush_far" if far_away(s, d) else "bush", street.variant(10)),
            "vegetation",
            s,
            d,
            z,
            float(rng.uniform(0, 6.28)),
            (scale,) * 3,
            self._look(),
        )

    def hedge(self, s0, s1, d, z, height: float) -> None:
        """A clipped hedge along the street."""
        street = self.street
        count = max(int(round((s1 - s0) / 1.95)), 1)
        look = self.lookups[0]
        for s in s0 + (np.arange(count) + 0.5) * (s1 - s0) / count:
            street.still(
                template("hedge", street.variant(4)),
                "vegetation",
                float(s),
                d,
                z,
                0.0,
                ((s1 - s0) / count / 1.95, 1.0, height),
                look,
            )

    def _look(self) -> np.ndarray:
        return self.lookups[int(self.street.rng.integers(4))]


class Stock:
    """A scene's choice of finishes and building templates."""

    def __init__(self, street: Street, tall: int) -> None:
        self.street, self.tall = street, tall
        self._finishes: dict[str, list[np.ndarray]] = {}

    def shape(self, kind: str) -> Template:
        """A random building template of a kind; blocks vary about the scene's usual height."""
        rng = self.street.rng
        if kind in ("block", "block_far", "corner"):
            floors = int(np.clip(self.tall + rng.integers(-1, 3), 2, 9))
            return template(kind, (floors - 2) + FLOORS * int(rng.integers(5 if kind == "corner" else 7)))
        return template(kind, self.street.variant({"house": 40, "hall": 16, "tower": 12}[kind]))

    def put(
        self,
        shape: Template,
        kind: str,
        s0: float,
        s1: float,
        sign: int,
        front: float,
        matrix: np.ndarray | None = None,
    ) -> None:
        """Place a building between s0 and s1 (its width is scaled to fit), its front `front` metres from the centre line."""
        street = self.street
        width, _ = footprint(shape)
        if matrix is None:
            yaw = 0.0 if sign > 0 else np.pi
            matrix = street.pose((s0 + s1) / 2, sign * front, street.layout.kerb, yaw)
            matrix[:3, 3] -= matrix[:3, 0] * (s1 - s0) / 2
        tall = float(np.exp(street.rng.normal(0, 0.04)))
        mesh = street.kit.dress(shape, ID["building"], ((s1 - s0) / width, 1.0, tall), self._finish(kind))
        street.builder.add(mesh, matrix)

    def _finish(self, kind: str) -> np.ndarray:
        kind = "block" if kind == "corner" else kind
        pool = self._finishes.setdefault(kind, [])
        if len(pool) < 9:
            pool.append(finish(self.street.kit, kind))
            return pool[-1]
        return pool[int(self.street.rng.integers(len(pool)))]


def line_roadside(street: Street, greens: Greens) -> None:
    """Fill both sides with parcels, from the start of the corridor to its end."""
    rng, layout, corridor = street.rng, street.layout, street.corridor
    weights = PARCELS[street.setting]
    tall = int(
        np.clip(
            rng.normal(
                {"city": 4.5, "downtown": 7, "boulevard": 5, "residential": 3, "industrial": 4}.get(street.setting, 3),
                1.5,
            ),
            2,
            12,
        )
    )
    stock = Stock(street, tall)
    for sign, own in layout.sides():
        front = layout.outer(own)
        for span in layout.spans(corridor.start + 8, corridor.end + 5, 2.4 if street.setting != "rural" else 6):
            s = span[0]
            kind = None
            while span[1] - s > 7:
                if kind is None or rng.random() < 0.45:
                    kind = _choose(rng, weights)
                rest = span[1] - s
                edge = s == span[0]
                if kind == "block":
                    shape = stock.shape(
                        "corner" if edge or rest < 24 else "block_far" if s > 75 or s < -30 else "block"
                    )
                    wide = footprint(shape)[0]
                elif kind in ("tower", "hall"):
                    shape = stock.shape(kind)
                    wide = footprint(shape)[0] + float(rng.uniform(3, 8))
                else:
                    shape, wide = None, float(rng.uniform(*_WIDTHS[kind]))
                if rest < wide + 7:
                    wide = rest if rest < wide * 1.4 else rest / 2
                if shape is not None and wide < 0.6 * footprint(shape)[0]:
                    kind, shape = ("plaza", None) if street.setting in ("city", "downtown") else ("park", None)
                if shape is None and wide < 14 and kind not in ("wood", "plaza"):
                    kind = "field" if street.setting == "rural" else "park"
                _PARCEL[kind](street, greens, stock, shape, s, s + wide, sign, own, front)
                s += wide
    _vistas(street, greens, stock)


_WIDTHS = {
    "house": (14, 26),
    "lot": (20, 36),
    "park": (18, 45),
    "site": (18, 40),
    "plaza": (18, 40),
    "field": (25, 60),
    "wood": (20, 50),
}


def _block(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng = street.rng
    back = float(rng.uniform(0.5, 3)) if rng.random() < 0.08 else 0.0
    gap = float(rng.uniform(1.5, 4)) if rng.random() < 0.06 else 0.0
    stock.put(shape, "block", s0, s1 - gap, sign, front + back)
    if back > 0:
        _floor(street, s0, s1, sign, front, front + back + 0.3, "pavement")


def _tower(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng = street.rng
    back = float(rng.uniform(0, 8))
    gap = min(float(rng.uniform(2, 6)), s1 - s0 - 8)
    stock.put(shape, "tower", s0 + gap / 2, s1 - gap / 2, sign, front + back)
    _floor(street, s0, s1, sign, front, front + back + 0.3, "pavement")
    if back > 3 and rng.random() < 0.6:
        for s in np.arange(s0 + 3, s1 - 2, 7):
            greens.tree(float(s), sign * (front + 1.8), street.layout.kerb, small=True)


def _house(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    u = rng.uniform
    lot = s1 - s0
    shape = stock.shape("house")
    wide, depth = footprint(shape)
    wide = min(wide, lot - 5)
    yard = float(u(2.5, 9))
    middle = (s0 + s1) / 2 + float(u(-0.5, 0.5)) * max(lot - wide - 7, 0)
    if wide > 5:
        stock.put(shape, "house", middle - wide / 2, middle + wide / 2, sign, front + yard)
        street.ground.take(
            middle - wide / 2 - 4,
            middle + wide / 2 + 4,
            *sorted((sign * (front + yard - 0.5), sign * (front + yard + depth))),
        )
    # Boundary: fence, wall, hedge or nothing, with a gap for the drive.
    drive = float(np.clip(middle + (wide / 2 + 1.8) * (1 if rng.random() < 0.5 else -1), s0 + 2, s1 - 2))
    _floor(street, drive - 1.5, drive + 1.5, sign, front - 0.05, front + yard + 2, "pavement", z=0.02)
    _boundary(street, greens, s0 + 0.2, drive - 1.7, sign, front + 0.25)
    _boundary(street, greens, drive + 1.7, s1 - 0.2, sign, front + 0.25)
    if rng.random() < 0.5 and yard > 5:
        _park(
            street,
            drive,
            sign * (front + yard - 2.2),
            np.pi / 2 * sign * (1 if rng.random() < 0.5 else -1),
            None,
            layout.kerb + 0.02,
        )
    for _ in range(int(rng.poisson(1.3))):
        s, d = float(u(s0 + 1, s1 - 1)), front + float(u(1.4, max(yard - 1, 1.6)))
        if abs(s - drive) > 2.4 and street.ground.claim(s, sign * d, 1.2, 1.2):
            greens.tree(s, sign * d, layout.kerb, small=True)
    for _ in range(int(rng.poisson(2.5))):
        s, d = float(u(s0 + 1, s1 - 1)), front + float(u(0.9, max(yard - 0.8, 1.2)))
        if abs(s - drive) > 2.2 and street.ground.claim(s, sign * d, 1.0, 1.0):
            greens.bush(s, sign * d, layout.kerb)
    if rng.random() < 0.6:
        greens.tree(float(u(s0, s1)), sign * (front + yard + depth + float(u(3, 10))), layout.kerb)


def _boundary(street, greens, s0, s1, sign, d, kind: str | None = None) -> None:
    """Fence, wall or hedge along the street from s0 to s1."""
    if s1 - s0 < 1.0:
        return
    rng, kit, b, corridor = street.rng, street.kit, street.builder, street.corridor
    z = street.layout.kerb
    kind = kind or _choose(
        rng, {"pickets": 22, "boards": 14, "rails": 16, "mesh": 12, "wall": 16, "hedge": 26, "none": 14}
    )
    if kind == "none":
        return
    street.ground.take(s0, s1, *sorted((sign * (d - 0.25), sign * (d + 0.25))))
    height = float(rng.uniform(0.8, 1.8)) if kind != "mesh" else float(rng.uniform(1.4, 2.4))
    if kind == "hedge":
        greens.hedge(s0, s1, sign * (d + 0.2), z - 0.05, height)
        return
    fence = ID["fence"]
    posts = np.linspace(s0, s1, max(int((s1 - s0) / 2.2), 1) + 1)
    if kind == "wall":
        material = kit.textured(
            ("brick", "plaster", "stone_blocks", "concrete")[int(rng.integers(4))], kit.vary("#a89a88", 0.3)
        )
        low = np.minimum(height, 1.5)
        for a, e in zip(posts[:-1], posts[1:], strict=True):
            at = corridor.at((a + e) / 2, sign * d, z + low / 2 - 0.15)
            b.box(
                at, (e - a + 0.03, 0.22, low + 0.3), float(corridor.yaw((a + e) / 2)), material=material, semantic=fence
            )
            b.box(
                at + [0, 0, low / 2 + 0.19],
                (e - a + 0.03, 0.3, 0.08),
                float(corridor.yaw((a + e) / 2)),
                material=kit.lookup_like("concrete"),
                semantic=fence,
            )
        return
    colour = ("#e8e6df", "#6a4a30", "#8a6a48", "#3a3c3e", "#2f4a38", "#a0a4a6")[int(rng.integers(6))]
    material = (
        kit.plain(kit.vary(colour, 0.15), roughness=0.7)
        if kind in ("rails", "mesh")
        else kit.textured("planks", kit.vary(colour, 0.15), scale_m=0.8)
    )
    top, foot = corridor.at(posts, sign * d, z + height), corridor.at(posts, sign * d, z - 0.2)
    b.tube(foot, top, 0.09, sides=4, material=material, semantic=fence)
    levels = (0.25, 0.85) if kind != "mesh" else (0.05, 0.98)
    for level in levels:
        line = corridor.at(posts, sign * d, z + height * level)
        b.tube(line[:-1], line[1:], 0.05, sides=4, material=material, semantic=fence)
    pitch, wide = {"pickets": (0.16, 0.09), "boards": (0.2, 0.19), "rails": (0.13, 0.025), "mesh": (0.22, 0.012)}[kind]
    s = np.arange(s0, s1, pitch)
    half = wide / 2
    corners = [
        corridor.at(s + a, sign * d, z + h) for a, h in ((-half, 0.06), (half, 0.06), (half, height), (-half, height))
    ]
    b.quad(np.stack(corners, 1), material=material, semantic=fence)
    if kind == "mesh":
        for level in np.arange(0.15, 1.0, 0.12):
            line = [corridor.at(posts, sign * d, z + height * level + a) for a in (-0.008, 0.008)]
            b.quad(
                np.stack([line[0][:-1], line[0][1:], line[1][1:], line[1][:-1]], 1), material=material, semantic=fence
            )


def _floor(street, s0, s1, sign, near, far, semantic, material: int | None = None, z: float = 0.015) -> None:
    from perception.datasets.world.road import ribbon

    if material is None:
        material = street.kit.textured("paving", street.kit.vary("#9a948a", 0.15))
    across = (near, far) if sign > 0 else (-far, -near)
    height = street.layout.kerb + z
    ribbon(
        street.builder, street.corridor, (s0, s1), across, (height, height), material=material, semantic=ID[semantic]
    )


def _park_green(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    _boundary(street, greens, s0, s1, sign, front + 0.3, _choose(rng, {"hedge": 3, "rails": 3, "wall": 1, "none": 4}))
    for _ in range(int((s1 - s0) * rng.uniform(0.1, 0.28))):
        greens.tree(float(rng.uniform(s0, s1)), sign * (front + float(rng.uniform(2, 30))), layout.kerb - 0.1)
    for _ in range(int(rng.poisson(4))):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + float(rng.uniform(1, 16))), layout.kerb - 0.05)
    for _ in range(int(rng.integers(0, 3))):
        street.furniture(
            "bench",
            4,
            "fence",
            float(rng.uniform(s0, s1)),
            sign * (front + 1.8),
            layout.kerb,
            np.pi / 2 * -sign,
            (0.6, 2.0),
        )
    for _ in range(int(rng.integers(0, 3))):
        pedestrian(
            street,
            float(rng.uniform(s0 + 1, s1 - 1)),
            sign * (front + float(rng.uniform(2, 8))),
            layout.kerb - 0.05,
            standing=True,
        )


def _lot(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    """A car park with rows across or along."""
    rng, layout = street.rng, street.layout
    asphalt = street.kit.textured("asphalt", street.kit.vary("#6f6f70", 0.15))
    depth = float(rng.uniform(14, 34))
    _floor(street, s0, s1, sign, front - 0.05, front + depth, "road", asphalt)
    z = layout.kerb + 0.015
    full = rng.uniform(0.3, 0.95)
    for row in np.arange(front + 3.2, front + min(depth - 2, 16), 8.2):
        for s in np.arange(s0 + 2, s1 - 1.5, 2.75):
            if rng.random() < full:
                kind = "van" if rng.random() < 0.06 else None
                _park(
                    street,
                    float(s),
                    sign * float(row),
                    np.pi / 2 * (1 if rng.random() < 0.5 else -1) + rng.normal(0, 0.03),
                    kind,
                    z,
                )
    if rng.random() < 0.5:
        _boundary(street, greens, s0 + 3, s1 - 3, sign, front + 0.25, _choose(rng, {"hedge": 3, "mesh": 2, "rails": 2}))
    for _ in range(2):
        _lamp_post(street, float(rng.uniform(s0 + 2, s1 - 2)), sign * (front + depth * 0.5), z, 0.0)
    _backdrop(street, greens, stock, s0, s1, sign, front + depth + 2)


def _backdrop(street, greens, stock, s0, s1, sign, d) -> None:
    """Something behind an open parcel: trees or a building."""
    rng = street.rng
    if rng.random() < 0.5:
        for s in np.arange(s0, s1, 6.0):
            greens.tree(float(s + rng.normal(0, 1.5)), sign * (d + float(rng.uniform(0, 6))), street.layout.kerb)
    elif rng.random() < 0.7:
        stock.put(stock.shape("hall"), "hall", s0, s1, sign, d)


def _hall(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    yard = float(rng.uniform(3, 16))
    stock.put(shape, "hall", s0 + 2, s1 - 2, sign, front + yard)
    ground = street.kit.textured(
        ("asphalt", "concrete", "gravel")[int(rng.integers(3))], street.kit.vary("#8a8884", 0.15)
    )
    _floor(street, s0, s1, sign, front - 0.05, front + yard + 1, "pavement", ground)
    if rng.random() < 0.6:
        _boundary(
            street, greens, s0, s1 - 7, sign, front + 0.3, _choose(rng, {"mesh": 5, "rails": 2, "hedge": 2, "wall": 1})
        )
    kinds = {"": 40, "van": 15, "truck": 18, "trailer": 14, "construction_vehicle": 8}
    for _ in range(int(rng.poisson(yard / 3))):
        _park(
            street,
            float(rng.uniform(s0 + 3, s1 - 3)),
            sign * (front + float(rng.uniform(2.5, max(yard - 2.5, 2.6)))),
            float(rng.integers(4)) * np.pi / 2,
            _choose(rng, kinds) or None,
            layout.kerb + 0.015,
        )


def _site(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    """A building site: fence or barriers, soil, machines, a shell."""
    rng, layout = street.rng, street.layout
    soil = street.kit.textured("soil" if rng.random() < 0.6 else "gravel", street.kit.vary("#8a7458", 0.2))
    _floor(street, s0, s1, sign, front - 0.05, front + 26, "terrain", soil)
    z = layout.kerb + 0.02
    if rng.random() < 0.5:
        _boundary(street, greens, s0, s1, sign, front + 0.35, "mesh" if rng.random() < 0.6 else "boards")
    else:
        variant = street.variant(16)
        shape = template("barrier", variant)
        for s in np.arange(s0 + 1.2, s1 - 1.2, shape.size[1] + 0.1):
            if street.ground.claim(float(s), sign * (front + 0.3), shape.size[0], shape.size[1], np.pi / 2, 0.0):
                street.thing(
                    "barrier",
                    street.kit.dress(shape, ID["barrier"]),
                    shape.size,
                    street.resting(float(s), sign * (front + 0.3), z, np.pi / 2, shape.size[2], False),
                    "",
                    shape.model,
                )
    for _ in range(int(rng.integers(1, 4))):
        _park(
            street,
            float(rng.uniform(s0 + 4, s1 - 4)),
            sign * (front + float(rng.uniform(4, 14))),
            float(rng.uniform(-np.pi, np.pi)),
            "construction_vehicle" if rng.random() < 0.7 else "truck",
            z,
        )
    for _ in range(int(rng.integers(1, 4))):
        at = street.corridor.at(float(rng.uniform(s0 + 3, s1 - 3)), sign * (front + float(rng.uniform(8, 20))), z)
        street.builder.blob(
            rng, at, rng.uniform((3, 3, 1.2), (8, 6, 4)), 0.15, 2, material=soil, semantic=ID["terrain"]
        )
    if rng.random() < 0.6:  # the concrete shell of a house to be
        b, depth, wide = street.builder, 10.0, min(s1 - s0 - 4, 18.0)
        concrete = street.kit.lookup_like("concrete")
        middle, yaw = (s0 + s1) / 2, float(street.corridor.yaw((s0 + s1) / 2))
        for k in range(int(rng.integers(1, 5))):
            b.box(
                street.corridor.at(middle, sign * (front + 15), z + 3.0 * k + 3.0),
                (wide, depth, 0.25),
                yaw,
                material=concrete,
                semantic=ID["building"],
            )
            posts = [
                street.corridor.at(middle + a * wide * 0.46, sign * (front + 15 + c * depth * 0.45), z + 3.0 * k + 1.5)
                for a in (-1, -0.33, 0.33, 1)
                for c in (-1, 1)
            ]
            b.box(posts, (0.4, 0.4, 3.0), yaw, material=concrete, semantic=ID["building"])


def _plaza(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    depth = float(rng.uniform(8, 18))
    _floor(street, s0, s1, sign, front - 0.05, front + depth, "pavement")
    z = layout.kerb + 0.015
    for _ in range(int(rng.integers(2, 8))):
        kind, count, semantic, room = (
            ("parasol", 5, "fence", (2.6, 2.6)),
            ("bench", 4, "fence", (0.8, 2.0)),
            ("board", 6, "traffic_sign", (1.2, 1.5)),
            ("bollard", 6, "pole", (0.5, 0.5)),
        )[int(rng.choice(4, p=[0.4, 0.25, 0.1, 0.25]))]
        street.furniture(
            kind,
            count,
            semantic,
            float(rng.uniform(s0 + 2, s1 - 2)),
            sign * (front + float(rng.uniform(1.5, depth - 2))),
            z,
            float(rng.uniform(0, 6.28)),
            room,
        )
    for _ in range(int(rng.poisson(4))):
        pedestrian(
            street,
            float(rng.uniform(s0 + 1, s1 - 1)),
            sign * (front + float(rng.uniform(1, depth - 1))),
            z,
            standing=rng.random() < 0.5,
            child=rng.random() < 0.15,
        )
    for s in np.arange(s0 + 4, s1 - 3, 8.0):
        if rng.random() < 0.5 and street.ground.claim(float(s), sign * (front + 3), 1.2, 1.2):
            greens.tree(float(s), sign * (front + 3), z, small=True)
    count = max(int((s1 - s0) / 15), 1)
    for k in range(count):
        a, e = s0 + (s1 - s0) * k / count, s0 + (s1 - s0) * (k + 1) / count
        stock.put(stock.shape("corner"), "block", a, e, sign, front + depth)


def _field(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    if rng.random() < 0.3:
        _boundary(
            street, greens, s0, s1, sign, front + 1.0, _choose(rng, {"rails": 3, "mesh": 2, "hedge": 2, "pickets": 1})
        )
    for _ in range(int(rng.poisson(4))):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + 1 + float(rng.exponential(5))), layout.kerb - 0.15)
    for _ in range(int(rng.poisson(1.2))):
        greens.tree(float(rng.uniform(s0, s1)), sign * (front + 3 + float(rng.exponential(12))), layout.kerb - 0.2)
    look = greens._look()
    for _ in range(int((s1 - s0) / 3)):
        street.still(
            template("tuft", street.variant(5)),
            "vegetation",
            float(rng.uniform(s0, s1)),
            sign * (front + 0.3 + float(rng.exponential(1.5))),
            layout.kerb - 0.05,
            float(rng.uniform(0, 6)),
            (1.4, 1.4, float(rng.uniform(0.7, 1.8))),
            look,
        )


def _wood(street, greens, stock, shape, s0, s1, sign, own, front) -> None:
    rng, layout = street.rng, street.layout
    dense = rng.uniform(2.8, 5.0)
    for row in range(3):
        for s in np.arange(s0, s1, dense * (1 + 0.4 * row)):
            greens.tree(
                float(s + rng.normal(0, 1)),
                sign * (front + 2.5 + 5 * row + float(rng.uniform(0, 4))),
                layout.kerb - 0.2,
            )
    for _ in range(int((s1 - s0) / 4)):
        greens.bush(float(rng.uniform(s0, s1)), sign * (front + 1.2 + float(rng.uniform(0, 4))), layout.kerb - 0.1)


_PARCEL = {
    "block": _block, "tower": _tower, "house": _house, "hall": _hall, "lot": _lot, "park": _park_green, "site": _site, "plaza": _plaza,
    "field": _field, "wood": _wood,
}  # fmt: skip


def _vistas(street: Street, greens: Greens, stock: Stock) -> None:
    """What closes the view at both ends and down the side roads."""
    rng, corridor, layout = street.rng, street.corridor, street.layout
    for s, turn in ((corridor.end + 14, 1), (corridor.start - 8, -1)):
        kind = _choose(rng, {"built": 0.1 if street.setting == "rural" else 3, "trees": 3, "open": 2})
        if kind == "built":
            d = -40.0
            while d < 40:
                shape = stock.shape("block_far")
                wide = footprint(shape)[0]
                stock.put(
                    shape, "block", 0, wide, 1, 0, street.pose(s, d + wide if turn > 0 else d, 0.0, -np.pi / 2 * turn)
                )
                d += wide
        elif kind == "trees":
            for d in np.arange(-45, 45, 5.5):
                greens.tree(s + turn * float(rng.uniform(0, 12)), float(d), 0.0)
    for centre in layout.crossings:
        for sign, own in layout.sides():
            for side in (-1, 1):
                s = centre + side * (layout.side_width + 2.7)
                d = layout.outer(own) + 13.5
                while d < layout.edge(own) + 70:
                    shape = stock.shape("block_far")
                    wide = footprint(shape)[0]
                    if street.setting in ("rural", "industrial") or rng.random() < 0.25:
                        greens.tree(s + side * 4, sign * (d + wide / 2), layout.kerb)
                    else:  # its front looks at the side road: depth runs away from it
                        start = d if (side < 0) == (sign > 0) else d + wide
                        matrix = street.pose(s, sign * start, layout.kerb, np.pi / 2 if side < 0 else -np.pi / 2)
                        stock.put(shape, "block", 0, wide, 1, 0, matrix)
                    d += wide
    if street.setting != "rural" and rng.random() < 0.5:  # a skyline
        b = street.builder
        count = int(rng.integers(5, 25))
        angle = rng.uniform(0, 2 * np.pi, count)
        far = rng.uniform(250, 480, count)
        size = np.stack([rng.uniform(15, 50, count), rng.uniform(15, 50, count), rng.uniform(20, 110, count)], 1)
        centre = np.stack([60 + np.cos(angle) * far, np.sin(angle) * far, size[:, 2] / 2 - 5], 1)
        wall = [street.kit.textured("concrete", street.kit.vary("#9a9a9c", 0.3), scale_m=12.0) for _ in range(4)]
        b.box(
            centre,
            size,
            rng.uniform(0, 3, count),
            material=np.array(wall)[rng.integers(0, 4, count)],
            semantic=ID["building"],
        )


def _lamp_post(street: Street, s, d, z, yaw) -> None:
    shape = template("street_lamp", street.variant(12))
    _, arm, height = shape.model.split()
    street.still(shape, "pole", s, d, z, yaw)
    if street.night:
        world = street.pose(s, d, z, yaw)
        at = world[:3, :3] @ np.float32([0, float(arm), float(height) - 0.1]) + world[:3, 3]
        street.lamps.append((at, float(height), 0.25 if float(arm) > 0 else -1.0))


def line_kerb(street: Street, greens: Greens) -> None:
    """Lamps, avenue trees, signs, traffic lights, boards, bins, bicycles along the kerb."""
    rng, layout, corridor = street.rng, street.layout, street.corridor
    spacing = float(rng.uniform(20, 38))
    rural = street.setting == "rural"
    lamps = rng.random() < (0.15 if rural else 0.92)
    avenue = not rural and rng.random() < {"boulevard": 0.9, "city": 0.4, "residential": 0.4}.get(street.setting, 0.25)
    tree_step, lamp_variant = float(rng.uniform(7, 15)), street.variant(12)
    wires = rng.random() < (0.4 if rural or street.setting == "residential" else 0.08)
    for sign, own in layout.sides():
        kerb_d = layout.edge(own) + (0.45 if layout.verge < 1 else layout.verge / 2)
        z = layout.kerb
        inward = 0.0 if sign < 0 else np.pi  # template +y towards the road
        if lamps and (own or rng.random() < 0.7):
            for s in np.arange(corridor.start + float(rng.uniform(5, 25)), corridor.end - 10, spacing):
                if any(a - 1 < s < e + 1 for a, e in layout.gaps()) or not street.ground.claim(
                    float(s), sign * kerb_d, 0.5, 0.4
                ):
                    continue
                shape = template("street_lamp", lamp_variant)
                _, arm, height = shape.model.split()
                street.still(shape, "pole", float(s), sign * kerb_d, z, inward)
                if street.night and -25 < s < 110:
                    world = street.pose(float(s), sign * kerb_d, z, inward)
                    at = world[:3, :3] @ np.float32([0, float(arm), float(height) - 0.1]) + world[:3, 3]
                    street.lamps.append((at, float(height), 0.25 if float(arm) > 0 else -1.0))
        if avenue:
            for s in np.arange(corridor.start + 6, corridor.end - 20, tree_step):
                if any(a - 3 < s < e + 3 for a, e in layout.gaps()) or rng.random() < 0.12:
                    continue
                if street.ground.claim(float(s), sign * (kerb_d + 0.2), 0.8, 0.6):
                    greens.tree(float(s), sign * (kerb_d + 0.2), z, greens.kinds[0])
        _signs(street, sign, own, kerb_d)
        amount = {"city": 9, "downtown": 10, "boulevard": 8, "residential": 5, "industrial": 3}.get(street.setting, 1)
        for _ in range(int(rng.poisson(amount))):
            s = float(rng.uniform(-20, 110))
            if any(a - 3 < s < e + 3 for a, e in layout.gaps()):
                continue
            kind, count, semantic, room, back = _KERB[_choose(rng, _KERB_SHARE)]
            d = layout.outer(own) - 0.8 if back and layout.pavement[0 if own else 1] > 2.6 else kerb_d
            street.furniture(kind, count, semantic, s, sign * d, z, np.pi / 2 * -sign, room)
        if layout.pavement[0 if own else 1] > 1.8:
            _racks(street, sign, kerb_d, z)
        if wires and own:
            _wires(street, sign, kerb_d + 0.3, z)
    if layout.median > 0.8:
        from perception.datasets.world.road import ribbon

        half = layout.median / 2
        for span in layout.spans(corridor.start, corridor.end, 4):
            ribbon(
                street.builder,
                corridor,
                span,
                (-half, half),
                (0.12, 0.12),
                material=street.kit.textured("grass", street.kit.vary("#5c7a3a", 0.2)),
                semantic=ID["terrain"],
            )
            for side in (-half, half):
                ribbon(
                    street.builder,
                    corridor,
                    span,
                    (side, side),
                    (0.0, 0.12),
                    material=street.kit.lookup_like("concrete"),
                    semantic=ID["pavement"],
                )
            if layout.median > 1.5:
                for s in np.arange(span[0] + 3, span[1] - 3, tree_step):
                    if street.ground.claim(float(s), 0.0, 1.0, 1.0):
                        greens.tree(float(s), 0.0, 0.1) if rng.random() < 0.6 else greens.bush(float(s), 0.0, 0.1)


_KERB = {
    "bin": ("bin", 8, "pole", (0.9, 1.2), True),
    "bollard": ("bollard", 6, "pole", (0.3, 0.3), False),
    "board": ("board", 9, "traffic_sign", (1.0, 1.6), False),
    "shelter": ("shelter", 3, "fence", (1.8, 4.6), True),
    "hydrant": ("hydrant", 3, "pole", (0.4, 0.4), False),
    "bench": ("bench", 4, "fence", (0.8, 2.0), True),
    "parasol": ("parasol", 5, "fence", (2.4, 2.4), True),
}
_KERB_SHARE = {"bin": 30, "bollard": 25, "board": 12, "shelter": 7, "hydrant": 8, "bench": 10, "parasol": 8}


def _signs(street: Street, sign: int, own: bool, kerb_d: float) -> None:
    rng, layout, kit = street.rng, street.layout, street.kit
    count = int(rng.poisson(3.5))
    places = [float(rng.uniform(-10, 110)) for _ in range(count)] + [z - 2.2 for z in layout.zebras]
    towards = np.pi if own else 0.0  # faces oncoming traffic
    for s in places:
        if any(a < s < e for a, e in layout.gaps()) or not street.ground.claim(s, sign * kerb_d, 0.3, 0.4):
            continue
        shape = template("sign", street.variant(30))
        poles = int(shape.model.split()[1])
        semantic = np.full(len(shape.triangles), ID["traffic_sign"], np.uint8)
        semantic[:poles] = ID["pole"]
        red, blue, white, yellow = "#b8141a", "#1450a0", "#f4f4f0", "#f0c018"
        rim, face = (
            (red, white),
            (blue, white),
            (red, white),
            (blue, blue),
            (red, red),
            (white, yellow),
            ("#1a6a3a", white),
            (yellow, yellow),
        )[int(rng.integers(8))]
        written = rng.random() < 0.35
        glow = 0.15 if street.night else 0.0
        lookup = kit.roles(
            sign_rim=kit.plain(kit.vary(rim, 0.1), emission=glow, lidar_reflectance=0.95),
            sign_face=kit.textured("sign_text", (1, 1, 1), scale_m=float(rng.uniform(0.5, 1.0)), emission=glow, lidar_reflectance=0.95) if written else kit.plain(kit.vary(face, 0.1), emission=glow, lidar_reflectance=0.95),
        )  # fmt: skip
        street.still(
            shape, semantic, s, sign * kerb_d, layout.kerb, towards + float(rng.normal(0, 0.12)), lookup=lookup
        )
    if not layout.lights:
        return
    for centre in layout.crossings:
        s = centre - (layout.side_width + 4.8 if own else -(layout.side_width + 4.8))
        lookup = kit.roles().copy()
        lit = "lamp_red" if street.lights_red else "lamp_green"
        for role, colour in (("lamp_red", "#ff2a1c"), ("lamp_amber", "#ffae1c"), ("lamp_green", "#25ff8a")):
            on = role == lit
            lookup[ROLE[role]] = kit.materials.add(_lens(colour, on, street.night))
        if street.ground.claim(s, sign * kerb_d, 0.3, 0.3):
            shape = template("traffic_light", street.variant(9))
            semantic = np.full(len(shape.triangles), ID["traffic_light"], np.uint8)
            semantic[: int(shape.model.split()[1])] = ID["pole"]
            # Overhead arms reach along the template's +y: over the road after the turn.
            street.still(
                shape,
                semantic,
                s,
                sign * kerb_d,
                layout.kerb,
                towards,
                (1.0, -1.0 if (sign > 0) == own else 1.0, 1.0),
                lookup,
            )


def _lens(colour: str, on: bool, night: bool):
    from perception.datasets.world.materials import Material, srgb

    rgb = srgb(colour)
    if not on:
        return Material("", tuple(0.12 * c for c in rgb), specular=0.3, roughness=0.2)
    return Material("", rgb, emission=0.6 if night else 2.0)


def _racks(street: Street, sign: int, d: float, z: float) -> None:
    """Parked bicycles, motorcycles and scooters on the pavement."""
    rng = street.rng
    for _ in range(int(rng.poisson(0.9))):
        s, kind = float(rng.uniform(0, 80)), "bicycle" if rng.random() < 0.65 else "motorcycle"
        across = rng.random() < 0.5
        for k in range(int(rng.integers(1, 6))):
            yaw = (np.pi / 2 if across else 0.0) + float(rng.normal(0, 0.06)) + np.pi * float(rng.integers(2))
            step = 0.75 if across else 2.2
            if not any(a - 1 < s + step * k < e + 1 for a, e in street.layout.gaps()):
                _park(street, s + step * k, sign * (d + (0.6 if across else 0.0)), yaw, kind, z)


def _wires(street: Street, sign: int, d: float, z: float) -> None:
    """Utility poles with sagging wires."""
    corridor, rng = street.corridor, street.rng
    places = np.arange(corridor.start + 10, corridor.end, float(rng.uniform(28, 40)))
    shape = template("utility_pole", street.variant(6))
    for s in places:
        street.still(shape, "pole", float(s), sign * d, z)
    height = shape.size[2] - 0.3 - 0.2
    for across in (-0.9, 0.9):
        s = np.linspace(places[0], places[-1], (len(places) - 1) * 4 + 1)
        sag = 0.9 * (1 - (2 * ((s - places[0]) / (places[1] - places[0]) % 1.0) - 1) ** 2)
        line = corridor.at(s, sign * d + across, z + height - sag)
        street.builder.tube(
            line[:-1], line[1:], 0.035, sides=3, material=street.kit.lookup_like("rubber"), semantic=ID["pole"]
        )
