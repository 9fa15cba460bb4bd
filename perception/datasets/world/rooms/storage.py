"""Shelves with books, wardrobes, chests of drawers, sideboards."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.materials import srgb
from perception.datasets.world.mesh import MeshBuilder
from perception.datasets.world.rooms.kit import Kit, vary
from perception.datasets.world.rooms.piece import Part, Piece

# cloth and paper covers: earthy and dark ones, white ones, a few loud
_COVERS = (
    "#6e2b25", "#8c3b2e", "#3b2a22", "#5a4632", "#24344a", "#2f4f6b", "#1d2a22", "#31523c", "#7d6a45", "#b59a63", "#d8c9a3", "#ece6d6",
    "#f2f0ea", "#1b1b1d", "#3a3a3f", "#77787c", "#a8a9ab", "#c24a33", "#d9812e", "#e0b33a", "#3f7fa8", "#5c9a8b", "#7a4a6b", "#b9505f",
)  # fmt: skip


class BookPool:
    """Covers of a room's books, made once: materials cost more than boxes."""

    def __init__(self, kit: Kit) -> None:
        plain = [kit.add("plain", vary(kit.rng, srgb(kit.pick(_COVERS)), 0.25), specular=0.15) for _ in range(16)]
        self.plain = np.array(plain, np.int16)
        self.pages = kit.add("stripes_2", (0.72, 0.68, 0.58), (0.6, 0.56, 0.47), 0.05)
        self.spine = np.array([kit.printed("spine") for _ in range(4)], np.int16)


def books(kit: Kit, pool: BookPool, length: float, height: float, depth: float) -> Part:
    """A row of books along y from 0 to at most `length`, backs at x = `depth`, standing on z = 0; some leaning."""
    piece = Piece(kit, "book", "row")
    rng = kit.rng
    widths = rng.uniform(0.012, 0.055, int(length / 0.02) + 1)
    end = np.cumsum(widths)
    count = max(int(np.searchsorted(end, length)), 1)
    widths, start = widths[:count], np.concatenate([[0], end[: count - 1]])
    same = rng.random() < 0.3  # an edition: equal books
    tall = np.full(count, height * rng.uniform(0.7, 0.92)) if same else height * rng.uniform(0.55, 0.95, count)
    deep = np.minimum(depth * 0.95, tall * rng.uniform(0.65, 0.8, count))
    centre = np.stack([depth - deep / 2 - rng.uniform(0, 0.03, count), start + widths / 2, tall / 2], 1)
    size = np.stack([deep, widths * 0.96, tall], 1)
    material = (
        np.repeat(pool.plain[rng.integers(len(pool.plain))], count)
        if same
        else pool.plain[rng.integers(len(pool.plain), size=count)]
    )
    builder: MeshBuilder = piece.builder
    builder.box(centre, size, material=material)
    label = np.flatnonzero(rng.random(count) < 0.75)  # a strip of print on the back
    if len(label):
        at = centre[label].copy()
        at[:, 0] += size[label, 0] / 2
        at[:, 2] *= rng.uniform(0.8, 1.4, len(label))
        strip = np.stack(
            [np.full(len(label), 0.002), size[label, 1] * 0.98, tall[label] * rng.uniform(0.15, 0.5, len(label))], 1
        )
        builder.box(at, strip, material=pool.spine[rng.integers(len(pool.spine), size=len(label))])
    return piece.finish()


def bookcase(kit: Kit, width: float | None = None) -> tuple[Part, list[tuple]]:
    """A bookcase and its compartments (x0, x1, y0, y1, z, free height) to be filled."""
    piece = Piece(kit, "shelf", "bookcase")
    width = width or float(np.clip(np.exp(kit.rng.normal(-0.1, 0.4)), 0.4, 2.6))
    depth, height = (
        kit.between(0.24, 0.42),
        kit.pick((kit.between(0.7, 1.3), kit.between(1.6, 2.25), kit.between(1.8, 2.3))),
    )
    wood, t = kit.wood() if kit.chance(0.85) else kit.metal(), kit.between(0.016, 0.03)
    columns = max(1, round(width / kit.between(0.6, 0.95)))
    rows = max(2, round(height / kit.between(0.3, 0.42)))
    backless = kit.chance(0.25)
    plinth = kit.between(0.02, 0.1)
    for k in range(columns + 1):
        piece.box((0, -width / 2 + k * width / columns, height / 2), (depth, t, height), wood)
    step = (height - plinth) / rows
    for k in range(rows + 1):
        piece.box((0, 0, plinth + k * step - t / 2 if k else plinth - t / 2), (depth, width + t, t), wood)
    if not backless:
        piece.box((-depth / 2 + 0.004, 0, height / 2), (0.008, width, height), wood if kit.chance(0.7) else kit.paint())
    piece.box((0, 0, plinth / 2), (depth * 0.94, width, plinth), wood)
    cells = []
    doors = int(rows * kit.between(0.2, 0.5)) if kit.chance(0.25) else 0
    w = width / columns
    handle = kit.metal()
    for c in range(columns):
        y = -width / 2 + c * w
        if doors:
            h = doors * step
            piece.box((depth / 2 + 0.008, y + w / 2, plinth + h / 2), (0.018, w - 0.006, h - 0.006), wood)
            piece.box((depth / 2 + 0.028, y + w * 0.85, plinth + h * 0.75), (0.02, 0.012, 0.1), handle)
        for r in range(doors, rows):
            cells.append((-depth / 2 + 0.01, depth / 2, y + t / 2, y + w - t / 2, plinth + r * step, step - t))
    piece.top(-depth / 2, depth / 2, -width / 2, width / 2, height, 0.45)
    return piece.finish(), cells


def wall_shelf(kit: Kit) -> tuple[Part, list[tuple]]:
    """One to three boards with brackets; z = 0 is the lowest board's underside."""
    piece = Piece(kit, "shelf", "boards")
    width, depth, wood = kit.between(0.5, 1.8), kit.between(0.15, 0.3), kit.wood()
    cells = []
    count, step = int(kit.rng.integers(1, 4)), kit.between(0.28, 0.4)
    for k in range(count):
        z = k * step
        piece.box((0, 0, z + 0.012), (depth, width, 0.024), wood)
        for sy in (-0.4, 0.4):
            piece.box((-depth * 0.15, sy * width, z - 0.02), (depth * 0.6, 0.02, 0.03), kit.trim)
        cells.append((-depth / 2, depth / 2, -width / 2, width / 2, z + 0.024, step - 0.03))
    return piece.finish(), cells


def rack(kit: Kit) -> tuple[Part, list[tuple]]:
    """Open metal shelving of storage rooms and offices."""
    piece = Piece(kit, "shelf", "rack")
    width, depth, height = kit.between(0.8, 2.2), kit.between(0.35, 0.6), kit.between(1.5, 2.3)
    metal = kit.metal()
    for sx in (-1, 1):
        for sy in (-1, 1):
            piece.box((sx * (depth / 2 - 0.02), sy * (width / 2 - 0.02), height / 2), (0.035, 0.035, height), metal)
    rows = int(kit.rng.integers(3, 6))
    cells = []
    for k in range(rows):
        z = 0.1 + k * (height - 0.15) / (rows - 1)
        piece.box((0, 0, z), (depth, width, 0.03), metal if kit.chance(0.5) else kit.wood())
        free = (height - 0.15) / (rows - 1) - 0.05 if k < rows - 1 else 0.5
        cells.append((-depth / 2, depth / 2, -width / 2, width / 2, z + 0.015, free))
    if kit.chance(0.5):
        piece.tube((-depth / 2, -width / 2, 0.1), (-depth / 2, width / 2, height), 0.012, metal, sides=4)
        piece.tube((-depth / 2, width / 2, 0.1), (-depth / 2, -width / 2, height), 0.012, metal, sides=4)
    return piece.finish(), cells


def _front(
    piece: Piece,
    kit: Kit,
    x: float,
    y: float,
    z: float,
    w: float,
    h: float,
    material: int,
    handle: int,
    drawer: bool,
    side: int,
) -> None:
    """A door or drawer front on the plane x, centred at (y, z)."""
    piece.box((x + 0.01, y, z), (0.02, w - 0.008, h - 0.008), material)
    if kit.chance(0.35):  # a raised panel
        piece.box((x + 0.022, y, z), (0.006, max(w - 0.12, 0.05), max(h - 0.12, 0.04)), material)
    if drawer:
        piece.box((x + 0.035, y, z + h * 0.15), (0.016, min(w * 0.35, 0.2), 0.014), handle)
    else:
        piece.box((x + 0.035, y + side * (w / 2 - 0.05), z + h * 0.08), (0.016, 0.014, min(h * 0.25, 0.2)), handle)


def cabinet(
    kit: Kit,
    width: float,
    depth: float,
    height: float,
    rows: int,
    columns: int,
    drawers: float,
    model: str,
    feet: float = 0.06,
) -> Part:
    """Box with a grid of doors and drawers: wardrobe, chest, sideboard, filing cabinet."""
    piece = Piece(kit, "cabinet", model)
    body = kit.wood() if kit.chance(0.7) else (kit.paint() if kit.chance(0.6) else kit.other_wood())
    front = body if kit.chance(0.7) else kit.wood()
    handle = kit.metal()
    piece.box((0, 0, feet + (height - feet) / 2), (depth, width, height - feet), body)
    if feet > 0.1:
        for sx in (-1, 1):
            for sy in (-1, 1):
                piece.tube(
                    (sx * depth * 0.4, sy * width * 0.44, 0),
                    (sx * depth * 0.36, sy * width * 0.4, feet),
                    0.03,
                    handle if kit.chance(0.3) else body,
                    taper=1.5,
                )
    else:
        piece.box((-0.01, 0, feet / 2), (depth * 0.92, width * 0.98, feet), body)
    piece.rounded((0.01, 0, height - 0.012), (depth + 0.03, width + 0.02, 0.028), body, bevel=0.1)
    w, h = width / columns, (height - feet - 0.03) / rows
    for c in range(columns):
        column_drawers = kit.chance(drawers)
        for r in range(rows):
            z = feet + (r + 0.5) * h
            y = -width / 2 + (c + 0.5) * w
            _front(piece, kit, depth / 2, y, z, w, h, front, handle, column_drawers, 1 if c % 2 == 0 else -1)
    piece.top(-depth / 2, depth / 2, -width / 2, width / 2, height + 0.002, 0.6)
    return piece.finish()


def wardrobe(kit: Kit) -> Part:
    """Tall cupboard."""
    columns = int(kit.rng.integers(2, 5))
    return cabinet(
        kit,
        columns * kit.between(0.42, 0.6),
        kit.between(0.5, 0.65),
        kit.between(1.8, 2.3),
        1,
        columns,
        0.0,
        "wardrobe",
    )


def chest(kit: Kit) -> Part:
    """Chest of drawers."""
    columns, rows = int(kit.rng.integers(1, 3)), int(kit.rng.integers(3, 6))
    return cabinet(
        kit,
        columns * kit.between(0.5, 0.8),
        kit.between(0.38, 0.5),
        kit.between(0.7, 1.25),
        rows,
        columns,
        1.0,
        "chest",
        kit.pick((0.05, 0.15)),
    )


def sideboard(kit: Kit) -> Part:
    """Low and wide: under a television, in a dining room."""
    columns = int(kit.rng.integers(2, 5))
    return cabinet(
        kit,
        columns * kit.between(0.4, 0.6),
        kit.between(0.35, 0.5),
        kit.between(0.4, 0.85),
        kit.pick((1, 2)),
        columns,
        0.5,
        "sideboard",
        kit.pick((0.05, 0.18)),
    )


def filing_cabinet(kit: Kit) -> Part:
    """Office drawers."""
    return cabinet(
        kit,
        kit.between(0.4, 0.48),
        kit.between(0.5, 0.65),
        kit.pick((0.62, 1.0, 1.32)),
        kit.pick((2, 3, 4)),
        1,
        1.0,
        "filing",
        0.03,
    )
