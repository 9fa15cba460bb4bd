"""What stands beside the road: which parcels line it, and what closes the view at its ends."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.buildings import FLOORS, footprint
from perception.datasets.world.built_plots import block_plot, hall_plot, house_plot, tower_plot
from perception.datasets.world.classes import ID
from perception.datasets.world.facades import finish
from perception.datasets.world.greenery import Greens
from perception.datasets.world.open_plots import field_plot, lot_plot, park_plot, plaza_plot, site_plot, wood_plot
from perception.datasets.world.placing import Street
from perception.datasets.world.templates import Template, template
from perception.datasets.world.traffic import choose

PARCELS = {
    "city": {"block": 78, "park": 5, "lot": 5, "hall": 2, "site": 4, "plaza": 6},
    "downtown": {"block": 45, "tower": 40, "plaza": 9, "site": 4, "lot": 2},
    "boulevard": {"block": 55, "tower": 10, "park": 15, "plaza": 8, "lot": 6, "hall": 6},
    "residential": {"house": 80, "block": 7, "park": 7, "lot": 3, "site": 3},
    "rural": {"field": 42, "wood": 32, "house": 16, "hall": 4, "site": 2},
    "industrial": {"hall": 55, "lot": 18, "site": 9, "block": 10, "field": 8},
}


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
        along = matrix is None and kind == "block"
        if matrix is None:
            yaw = 0.0 if sign > 0 else np.pi
            matrix = street.pose((s0 + s1) / 2, sign * front, street.layout.kerb, yaw)
            matrix[:3, 3] -= matrix[:3, 0] * (s1 - s0) / 2
        tall = float(np.exp(street.rng.normal(0, 0.04)))
        mesh = street.kit.dress(shape, ID["building"], ((s1 - s0) / width, 1.0, tall), self._finish(kind))
        street.builder.add(mesh, matrix)
        part = mesh.vertices[mesh.vertices[:, 2] < 2.9, :2]  # wings and garages too
        low, high = np.array((*part.min(0), -1.0)), np.array((*part.max(0), 2.6))
        if along:  # steps and shop fronts leave room on the pavement
            low[1] = 0.02
        street.wall(matrix, low, high)

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
                    kind = choose(rng, weights)
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
                if kind not in ("field", "wood", "park"):
                    street.terrain[sign].level(s, s + wide)
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
_PARCEL = {
    "block": block_plot, "tower": tower_plot, "house": house_plot, "hall": hall_plot, "lot": lot_plot, "park": park_plot, "site": site_plot, "plaza": plaza_plot,
    "field": field_plot, "wood": wood_plot,
}  # fmt: skip


def _vistas(street: Street, greens: Greens, stock: Stock) -> None:
    """What closes the view at both ends and down the side roads."""
    rng, corridor, layout = street.rng, street.corridor, street.layout
    for s, turn in ((corridor.end + 14, 1), (corridor.start - 8, -1)):
        kind = choose(rng, {"built": 0.1 if street.setting == "rural" else 3, "trees": 3, "open": 2})
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
                greens.tree(s + turn * min(float(rng.uniform(0, 12)), 10.5), float(d), 0.0)
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
