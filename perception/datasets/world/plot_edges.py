"""What parcels beside a street share: fences, walls and hedges around them, and what covers their ground."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.corridor import ribbon
from perception.datasets.world.traffic import choose


def boundary(street, greens, s0, s1, sign, d, kind: str | None = None) -> None:
    """Fence, wall or hedge along the street from s0 to s1."""
    if s1 - s0 < 1.0:
        return
    rng, kit, b, corridor = street.rng, street.kit, street.builder, street.corridor
    z = street.layout.kerb
    kind = kind or choose(
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
    for a, e in zip(posts[:-1], posts[1:], strict=True):
        half = float(e - a) / 2
        street.wall(street.pose(float(a) + half, sign * d, z), (-half, -0.15, 0.0), (half, 0.15, height + 0.1))
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


def cover(street, s0, s1, sign, near, far, semantic, material: int | None = None, z: float = 0.015) -> None:
    if material is None:
        material = street.kit.textured("paving", street.kit.vary("#9a948a", 0.15))
    across = (near, far) if sign > 0 else (-far, -near)
    height = street.layout.kerb + z
    ribbon(
        street.builder, street.corridor, (s0, s1), across, (height, height), material=material, semantic=ID[semantic]
    )
