"""What one sees through windows: ground, trees, hedges, house fronts, hills. Coarse, since it is far or behind glass."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.rooms.kit import vary
from perception.datasets.world.rooms.shell import Shell, Wall
from perception.datasets.world.shapes import unit_gable, unit_sphere


def surroundings(shell: Shell, walls: list[Wall], storey: float, night: bool) -> None:
    """Ground `storey` metres below the floor, and scenery before each wall."""
    kit = shell.kit
    rng = kit.rng
    shine = {
        "emission": shell.daylight * kit.between(0.5, 1.1)
    }  # stands for the sky's light, which indoor ambient does not hold
    ground = kit.add(
        kit.pick(("grass", "grass", "paving", "gravel", "asphalt")),
        vary(rng, kit.pick(((0.1, 0.18, 0.05), (0.3, 0.28, 0.25), (0.16, 0.2, 0.08)))),
        **shine,
    )
    shell.box((0, 0, -storey - 0.6), (220, 220, 0.8), ground, ID["terrain"])
    leaf = [
        kit.add("foliage", vary(rng, c, 0.2), tuple(1.4 * x for x in c), **shine)
        for c in ((0.07, 0.16, 0.03), (0.14, 0.2, 0.05), (0.05, 0.1, 0.04))
    ]
    bark = kit.add("bark", (0.13, 0.1, 0.07), **shine)
    shell.keep += (ground, bark, *leaf)
    for wall in walls:
        kind = kit.pick(("garden", "garden", "street", "street", "far"))
        if kind in ("street", "far"):
            _front(shell, wall, kit.between(9, 22) if kind == "street" else kit.between(35, 80), storey, night, shine)
        if kind in ("garden", "street"):
            for _ in range(int(rng.integers(2, 7))):
                _tree(shell, wall, storey, leaf[int(rng.integers(3))], bark)
        if kind == "garden":
            d, h = kit.between(6, 16), kit.between(0.9, 2.2)
            hedge = kit.chance(0.5)
            material = leaf[0] if hedge else kit.wood()
            _away(
                shell,
                wall,
                (-12, wall.length + 12),
                (d, d + (0.8 if hedge else 0.06)),
                (-storey - 0.2, -storey - 0.2 + h),
                material,
                ID["vegetation" if hedge else "fence"],
            )
            if kit.chance(0.6):
                _front(shell, wall, kit.between(18, 35), storey, night, shine)
        if kit.chance(0.5):  # hills or far wood
            v, t = unit_sphere(2)
            for _ in range(3):
                at = wall.point(kit.between(-60, 60), -kit.between(70, 100))
                size = (kit.between(50, 110), kit.between(50, 110), kit.between(12, 50))
                shell.builder.batch(
                    v[None] * np.float32(size) + np.float32([at[0], at[1], -storey]),
                    t,
                    material=leaf[2],
                    semantic=ID["vegetation"],
                )


def _away(shell: Shell, wall: Wall, s, d, z, material: int, semantic: int) -> None:
    """A box outside a wall, `d` metres away from it."""
    shell.on_wall(wall, s, (-d[1], -d[0]), z, material, semantic)


def _tree(shell: Shell, wall: Wall, storey: float, leaf: int, bark: int) -> None:
    kit = shell.kit
    height = kit.between(3, 11)
    at = wall.point(kit.between(-5, wall.length + 5), -kit.between(4, 14) - height * 0.2)
    base = -storey - 0.2
    shell.builder.tube(
        (at[0], at[1], base),
        (at[0], at[1], base + height * 0.6),
        0.05 * height,
        6,
        0.5,
        material=bark,
        semantic=ID["vegetation"],
    )
    count = int(kit.rng.integers(4, 9))
    offset = kit.rng.normal(0, 0.13 * height, (count, 3))
    size = kit.rng.uniform(0.25, 0.5, (count, 1)) * height * np.ones((1, 3))
    shell.builder.blob(
        kit.rng, offset + [at[0], at[1], base + height * 0.7], size, 0.3, material=leaf, semantic=ID["vegetation"]
    )


def _front(shell: Shell, wall: Wall, distance: float, storey: float, night: bool, shine: dict) -> None:
    """A row of houses with window grids."""
    kit = shell.kit
    at, end = -distance * 0.8 - 8, wall.length + distance * 0.8 + 8
    base = -storey - 0.2
    while at < end:
        width, depth = kit.between(7, 22), 9.0
        floors = int(kit.rng.integers(1, 7))
        height = 2.9 * floors + 0.8
        if kit.chance(0.5):
            material = kit.add(
                kit.pick(("plaster", "stone_blocks", "siding")),
                vary(kit.rng, kit.pick(((0.6, 0.55, 0.45), (0.5, 0.5, 0.48), (0.55, 0.4, 0.3)))),
                **shine,
            )
        else:
            material = kit.add("brick", vary(kit.rng, (0.35, 0.2, 0.14)), (0.5, 0.48, 0.45), **shine)
        _away(
            shell, wall, (at, at + width), (distance, distance + depth), (base, base + height), material, ID["building"]
        )
        glass = kit.add("", (0.03, 0.035, 0.045), specular=0.7, roughness=0.5, **shine)
        lit = kit.glow((1.0, 0.7, 0.35), kit.between(0.4, 1.2))
        columns = max(1, int(width / kit.between(1.8, 3.2)))
        w, h = width / columns * 0.5, kit.between(1.1, 1.8)
        for r in range(floors):
            for c in range(columns):
                s = at + (c + 0.5) * width / columns
                z = base + 0.9 + 2.9 * r
                pane = lit if night and kit.chance(0.45) else glass
                _away(
                    shell,
                    wall,
                    (s - w / 2, s + w / 2),
                    (distance - 0.04, distance + 0.05),
                    (z, z + h),
                    pane,
                    ID["building"],
                )
                _away(
                    shell,
                    wall,
                    (s - w / 2 - 0.08, s + w / 2 + 0.08),
                    (distance - 0.1, distance),
                    (z - 0.12, z),
                    kit.trim,
                    ID["building"],
                )
        if floors < 4 and kit.chance(0.7):
            v, t = unit_gable()
            c = wall.point(at + width / 2, -distance - depth / 2)
            rise = kit.between(2, 4)
            along_x = abs(wall.along[0]) > 0.5
            size = np.float32([width, depth, rise])
            vertices = v * size
            if not along_x:
                vertices = vertices[:, [1, 0, 2]]
            roof = kit.add(
                "roof", vary(kit.rng, kit.pick(((0.35, 0.13, 0.08), (0.12, 0.12, 0.13), (0.25, 0.18, 0.14)))), **shine
            )
            shell.builder.batch(
                vertices + np.float32([c[0], c[1], base + height + rise / 2]), t, material=roof, semantic=ID["building"]
            )
        at += width + (kit.between(0, 6) if kit.chance(0.5) else 0)
