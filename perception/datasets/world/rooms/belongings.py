"""What lies on floors: boxes, baskets, bags, shoes, clothes, toys. Each is a piece that stands on z = 0 around the origin."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.kit import Kit, any_colour
from perception.datasets.world.rooms.piece import Part, Piece


def carton(kit: Kit, size: float | None = None) -> Part:
    """Cardboard box, closed or open, crate or storage box."""
    piece = Piece(kit, "box", "carton")
    size = size or float(np.clip(np.exp(kit.rng.normal(-1.0, 0.35)), 0.15, 0.8))
    x, y, z = size * kit.between(0.6, 1.0), size * kit.between(0.8, 1.3), size * kit.between(0.4, 0.9)
    if kit.chance(0.55):
        board = kit.add("cardboard", (0.42, 0.28, 0.16), (0.12, 0.07, 0.04), max(x, y))
    else:
        board = kit.plastic() if kit.chance(0.5) else kit.fabric()
    if kit.chance(0.5):
        piece.box((0, 0, z / 2), (x, y, z), board)
        if kit.chance(0.6):
            piece.box((0, 0, z + 0.001), (0.05, y, 0.003), kit.plastic((0.5, 0.42, 0.28), 0.4))
        piece.top(-x / 2, x / 2, -y / 2, y / 2, z, 0.4)
        return piece.finish()
    t = 0.012
    piece.box((0, 0, t / 2), (x, y, t), board)
    for s in (-1, 1):
        piece.box((s * x / 2, 0, z / 2), (t, y, z), board)
        piece.box((0, s * y / 2, z / 2), (x, t, z), board)
        lean = kit.between(0.4, 1.9)
        piece.box(
            (s * (x / 2 + np.sin(lean) * x * 0.2), 0, z + np.cos(lean) * x * 0.2),
            (t / 2, y, x * 0.4),
            board,
            pitch=s * lean,
        )
    for _ in range(int(kit.rng.integers(0, 5))):
        d = kit.between(0.2, 0.45) * x
        piece.soft(
            (kit.between(-0.25, 0.25) * x, kit.between(-0.25, 0.25) * y, z * kit.between(0.4, 1.0)),
            (d, d, d),
            kit.fabric(0.5),
            power=0.5,
            yaw=kit.between(0, 3),
        )
    return piece.finish()


def basket(kit: Kit) -> Part:
    """Round basket or waste-paper bin."""
    piece = Piece(kit, "clutter", "basket")
    r, h = kit.between(0.11, 0.24), kit.between(0.2, 0.5)
    skin = (
        kit.add("wicker", (0.42, 0.3, 0.17)) if kit.chance(0.5) else (kit.metal() if kit.chance(0.5) else kit.plastic())
    )
    piece.lathe([(0, 0.01), (r * 0.8, 0.01), (r, h), (r * 0.94, h), (r * 0.76, 0.03), (0, 0.03)], (0, 0, 0), skin)
    if kit.chance(0.6):
        for _ in range(int(kit.rng.integers(1, 6))):
            a, d = kit.between(0, 6.3), r * kit.between(0.5, 0.9)
            piece.builder.blob(
                kit.rng, (0.3 * r * np.cos(a), 0.3 * r * np.sin(a), h * 0.85), (d, d, d), 0.3, material=kit.fabric(0.4)
            )
    return piece.finish()


def bag(kit: Kit) -> Part:
    """Rucksack, handbag or suitcase."""
    piece = Piece(kit, "clutter", "bag")
    cover = kit.leather() if kit.chance(0.35) else kit.fabric(0.15)
    if kit.chance(0.35):  # suitcase
        h, w, d = kit.between(0.45, 0.75), kit.between(0.35, 0.5), kit.between(0.18, 0.28)
        shell = kit.plastic()
        piece.rounded((0, 0, 0.04 + h / 2), (d, w, h), shell, bevel=0.1)
        for s in (-1, 1):
            piece.tube((-d * 0.3, s * 0.1, h), (-d * 0.3, s * 0.1, h + 0.28), 0.015, kit.trim, sides=5)
            piece.cylinder((0, s * w * 0.4, 0.025), (0.05, 0.03, 0.05), kit.trim, sides=8)
        piece.tube((-d * 0.3, -0.1, h + 0.28), (-d * 0.3, 0.1, h + 0.28), 0.025, kit.trim, sides=5)
        return piece.finish()
    h, w, d = kit.between(0.25, 0.48), kit.between(0.25, 0.4), kit.between(0.13, 0.24)
    piece.soft((0, 0, h / 2), (d, w, h), cover, power=0.4, pitch=kit.between(-0.2, 0.2))
    piece.soft((d / 2, 0, h * 0.32), (d * 0.5, w * 0.75, h * 0.45), cover, power=0.4)
    a = np.linspace(0, np.pi, 7)
    loop = np.stack([0 * a, 0.1 * np.cos(a), h * 0.95 + 0.12 * np.sin(a)], -1)
    piece.tube(loop[:-1], loop[1:], 0.018, cover, sides=5)
    return piece.finish()


def shoes(kit: Kit) -> Part:
    """A pair of shoes or slippers."""
    piece = Piece(kit, "clutter", "shoes")
    leather, sole = kit.leather() if kit.chance(0.5) else kit.fabric(0.1), kit.plastic()
    for s in (-1, 1):
        y, turn = s * kit.between(0.06, 0.1), s * kit.between(-0.1, 0.5)
        piece.rounded((0, y, 0.012), (0.27, 0.095, 0.024), sole, bevel=0.3, yaw=turn)
        piece.soft((0.05, y, 0.05), (0.17, 0.09, 0.06), leather, power=0.6, yaw=turn)
        piece.soft((-0.07, y, 0.065), (0.12, 0.085, 0.1), leather, power=0.5, yaw=turn)
    return piece.finish()


def clothes(kit: Kit) -> Part:
    """A heap of clothes or a towel."""
    piece = Piece(kit, "clutter", "clothes")
    n = 12
    t = np.linspace(-1, 1, n)
    y, x = np.meshgrid(t, t, indexing="ij")
    for _ in range(int(kit.rng.integers(1, 4))):
        r2 = np.clip(1 - (x**4 + y**4), 0, 1)
        noise = sum(np.sin(kit.between(2, 6) * x + kit.between(2, 6) * y + kit.between(0, 6)) for _ in range(4)) / 4
        size, tall = kit.between(0.15, 0.35), kit.between(0.06, 0.18)
        z = tall * np.sqrt(r2) * (0.65 + 0.35 * noise) + 0.004
        at = (kit.between(-0.1, 0.1), kit.between(-0.1, 0.1))
        points = np.stack([at[0] + size * x * (1 + 0.15 * noise), at[1] + size * y * (1 - 0.15 * noise), z], -1)
        piece.surface(points, kit.fabric(0.4))
    return piece.finish()


def toy(kit: Kit) -> Part:
    """Ball, blocks, teddy bear, ring tower."""
    piece = Piece(kit, "clutter", "toy")
    kind = kit.pick(("ball", "blocks", "bear", "rings", "car"))

    def bright():
        return kit.plastic(any_colour(kit.rng, (0.6, 1), (0.5, 1)))

    if kind == "ball":
        d = kit.between(0.07, 0.6) if kit.chance(0.3) else kit.between(0.08, 0.25)
        piece.sphere(
            (0, 0, d / 2),
            (d, d, d),
            kit.add("stripes_2", any_colour(kit.rng), any_colour(kit.rng), 0.3, smooth=True),
            level=2,
        )
    elif kind == "blocks":
        for _ in range(int(kit.rng.integers(3, 10))):
            s = kit.between(0.03, 0.07)
            piece.box(
                (kit.between(-0.2, 0.2), kit.between(-0.2, 0.2), s / 2),
                (s, s * kit.pick((1, 1, 2)), s),
                bright(),
                yaw=kit.between(0, 3),
            )
    elif kind == "bear":
        fur = kit.add("fur", kit.pick(((0.35, 0.2, 0.1), (0.6, 0.5, 0.35), (0.5, 0.5, 0.5))), scale=0.3, smooth=True)
        s = kit.between(0.6, 2.0)
        for c, d in (
            ((0, 0, 0.1), 0.16),
            ((0.01, 0, 0.22), 0.13),
            ((0.06, 0, 0.21), 0.06),
            ((0, 0.05, 0.29), 0.05),
            ((0, -0.05, 0.29), 0.05),
        ):
            piece.sphere(tuple(s * q for q in c), (s * d,) * 3, fur, level=1)
        for y in (-0.07, 0.07):
            piece.sphere((s * 0.09, s * y, s * 0.035), (s * 0.13, s * 0.06, s * 0.06), fur, level=1)
            piece.sphere((s * 0.04, s * y * 1.15, s * 0.14), (s * 0.1, s * 0.05, s * 0.05), fur, level=1)
    elif kind == "rings":
        for k in range(5):
            d = 0.16 - 0.022 * k
            piece.cylinder((0, 0, 0.018 + 0.034 * k), (d, d, 0.032), bright(), sides=16)
    else:
        piece.rounded((0, 0, 0.05), (0.22, 0.1, 0.05), bright(), bevel=0.2)
        piece.rounded((-0.02, 0, 0.09), (0.11, 0.085, 0.045), bright(), bevel=0.2)
        for sx in (-0.065, 0.065):
            for sy in (-0.05, 0.05):
                piece.cylinder(
                    (sx, sy, 0.025), (0.05, 0.05, 0.02), kit.plastic((0.02, 0.02, 0.02)), sides=10, roll=np.pi / 2
                )
    return piece.finish()


FLOOR = (carton, carton, basket, bag, shoes, clothes, toy, toy)
