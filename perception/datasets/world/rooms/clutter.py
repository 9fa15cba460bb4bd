"""Small things on tables, shelves and worktops, and which of them belong where. Each is a piece that stands on z = 0 around the origin."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.rooms.belongings import toy
from perception.datasets.world.rooms.kit import Kit, any_colour
from perception.datasets.world.rooms.piece import Part, Piece


def cup(kit: Kit) -> Part:
    """Mug with a handle, or a glass."""
    piece = Piece(kit, "clutter", "cup")
    r, h = kit.between(0.032, 0.05), kit.between(0.07, 0.13)
    material = kit.ceramic(0.4)
    piece.lathe(
        [(r * 0.8, 0), (r, h * 0.3), (r, h), (r * 0.9, h), (r * 0.88, h * 0.25), (0, h * 0.25)], (0, 0, 0), material
    )
    piece.tube((0, r, h * 0.8), (0, r * 1.6, h * 0.6), 0.012, material, sides=5)
    piece.tube((0, r * 1.6, h * 0.6), (0, r, h * 0.25), 0.012, material, sides=5)
    return piece.finish()


def bottle(kit: Kit) -> Part:
    """Bottle or jar, often with a label."""
    piece = Piece(kit, "clutter", "bottle")
    r, h = kit.between(0.03, 0.05), kit.between(0.16, 0.34)
    glass = kit.plastic(any_colour(kit.rng, (0.0, 0.8), (0.05, 0.7)), 0.7)
    neck, shoulder = kit.between(0.25, 0.8), kit.between(0.5, 0.75)
    piece.lathe(
        [(0, 0), (r, 0), (r, h * shoulder), (r * neck, h * (shoulder + 0.15)), (r * neck, h * 0.95), (0, h * 0.95)],
        (0, 0, 0),
        glass,
    )
    piece.cylinder((0, 0, h * 0.96), (r * neck * 2.2, r * neck * 2.2, h * 0.08), kit.plastic(), sides=10)
    if kit.chance(0.7):
        z = h * shoulder * 0.5
        piece.cylinder(
            (0, 0, z), (2 * r + 0.002, 2 * r + 0.002, h * shoulder * 0.6), kit.printed("packet"), sides=14, caps=False
        )
    return piece.finish()


def bowl(kit: Kit) -> Part:
    """Bowl, sometimes with fruit."""
    piece = Piece(kit, "clutter", "bowl")
    r, h = kit.between(0.06, 0.17), kit.between(0.05, 0.11)
    piece.lathe(
        [(r * 0.4, 0), (r * 0.8, h * 0.5), (r, h), (r * 0.95, h), (r * 0.7, h * 0.4), (0, h * 0.2)],
        (0, 0, 0),
        kit.ceramic(0.4) if kit.chance(0.7) else kit.wood(),
    )
    if kit.chance(0.5):
        for _ in range(int(kit.rng.integers(2, 8))):
            a, q, size = kit.between(0, 6.3), kit.between(0, 0.6) * r, kit.between(0.05, 0.08)
            colour = kit.pick(((0.5, 0.04, 0.02), (0.6, 0.25, 0.01), (0.25, 0.4, 0.03), (0.65, 0.5, 0.05)))
            piece.sphere(
                (q * np.cos(a), q * np.sin(a), h * 0.75 + kit.between(0, 0.03)),
                (size, size, size),
                kit.plastic(colour),
                level=1,
            )
    return piece.finish()


def vase(kit: Kit) -> Part:
    """Vase, sometimes with flowers or twigs."""
    piece = Piece(kit, "clutter", "vase")
    h, r = kit.between(0.12, 0.4), kit.between(0.035, 0.1)
    z = np.linspace(0, h, 8)
    phase, waves = kit.between(0, 6), kit.between(0.7, 1.6) * np.pi / h
    profile = np.stack([r * (0.65 + 0.35 * np.sin(z * waves + phase)), z], -1)
    piece.lathe(profile, (0, 0, 0), kit.ceramic(0.3))
    if kit.chance(0.6):
        stem = kit.leaf()
        flower = kit.plastic(any_colour(kit.rng, (0.3, 1), (0.6, 1)), 0.05)
        for _ in range(int(kit.rng.integers(3, 12))):
            a, out = kit.between(0, 6.3), kit.between(0.1, 0.55) * h
            end = (out * np.cos(a), out * np.sin(a), h * kit.between(1.4, 2.1))
            piece.tube((0, 0, h * 0.8), end, 0.006, stem, sides=4)
            size = kit.between(0.02, 0.07)
            piece.sphere(end, (size, size, size * 0.8), flower, level=1)
    return piece.finish()


def packet(kit: Kit) -> Part:
    """Carton, tin or box of groceries, medicine, games."""
    piece = Piece(kit, "box", "packet")
    size = (kit.between(0.03, 0.12), kit.between(0.06, 0.24), kit.between(0.06, 0.3))
    if kit.chance(0.25):
        d = size[1] * 0.6
        piece.cylinder((0, 0, size[2] / 2), (d, d, size[2]), kit.printed("packet"), sides=16)
        piece.cylinder((0, 0, size[2]), (d, d, 0.004), kit.metal((0.5, 0.5, 0.5)), sides=16)
        return piece.finish()
    piece.box((0, 0, size[2] / 2), size, kit.printed("packet", "poster"), fit=True)
    return piece.finish()


def papers(kit: Kit) -> Part:
    """Loose sheets, a magazine, a folder."""
    piece = Piece(kit, "clutter", "papers")
    z = 0.0
    for _ in range(int(kit.rng.integers(1, 6))):
        t = kit.between(0.002, 0.012)
        at = (kit.between(-0.06, 0.06), kit.between(-0.06, 0.06), z + t / 2)
        piece.box(at, (0.29, 0.21, t), kit.printed("paper", "paper", "poster"), fit=True, yaw=kit.between(-0.6, 0.6))
        z += t
    return piece.finish()


def keyboard(kit: Kit) -> Part:
    """Keyboard and mouse; the typist sits at +x."""
    piece = Piece(kit, "clutter", "keyboard")
    w = kit.between(0.36, 0.46)
    piece.box((0, 0, 0.009), (0.14, w, 0.018), kit.plastic((0.02, 0.02, 0.022)))
    piece.box((0, 0, 0.019), (0.12, w * 0.96, 0.003), kit.printed("keyboard"), fit=True, pitch=0.0)
    piece.soft((0, w / 2 + 0.09, 0.018), (0.11, 0.065, 0.036), kit.plastic(), power=0.6)
    return piece.finish()


def gadget(kit: Kit) -> Part:
    """Telephone, remote control, loudspeaker, router, radio."""
    piece = Piece(kit, "clutter", "gadget")
    dark = kit.plastic()
    kind = kit.pick(("phone", "remote", "speaker", "speaker", "radio"))
    if kind == "phone":
        piece.rounded((0, 0, 0.006), (0.15, 0.07, 0.011), dark, bevel=0.2)
    elif kind == "remote":
        piece.rounded((0, 0, 0.01), (0.18, 0.045, 0.02), dark, bevel=0.2)
    elif kind == "speaker":
        s = kit.between(0.6, 1.6)
        piece.rounded(
            (0, 0, 0.12 * s), (0.14 * s, 0.14 * s, 0.24 * s), kit.wood() if kit.chance(0.4) else dark, bevel=0.04
        )
        for z, d in ((0.075, 0.11), (0.18, 0.06)):
            piece.cylinder(
                (0.07 * s, 0, z * s), (d * s, d * s, 0.012), kit.plastic((0.02, 0.02, 0.02)), sides=16, pitch=np.pi / 2
            )
    else:
        piece.rounded((0, 0, 0.08), (0.1, 0.28, 0.16), kit.plastic(), bevel=0.08)
        piece.cylinder((0.052, -0.06, 0.08), (0.11, 0.11, 0.01), kit.metal(), sides=16, pitch=np.pi / 2)
        piece.box((0.052, 0.07, 0.1), (0.008, 0.1, 0.05), kit.plastic((0.3, 0.35, 0.2)))
    return piece.finish()


def kitchen_thing(kit: Kit) -> Part:
    """Kettle, toaster, pot, microwave, knife block, coffee machine, dish rack."""
    piece = Piece(kit, "clutter", "kitchen")
    kind = kit.pick(("kettle", "toaster", "pot", "pan", "microwave", "block", "coffee", "jar", "plates"))
    metal, dark = kit.metal(), kit.plastic((0.02, 0.02, 0.02))
    if kind == "kettle":
        piece.lathe(
            [(0.085, 0), (0.09, 0.08), (0.06, 0.2), (0.02, 0.22), (0, 0.23)],
            (0, 0, 0),
            metal if kit.chance(0.5) else kit.plastic(),
        )
        piece.tube((0, 0.06, 0.2), (0, 0.13, 0.15), 0.022, dark)
        piece.tube((0, 0.13, 0.15), (0, 0.1, 0.05), 0.022, dark)
        piece.tube((0, -0.06, 0.14), (0, -0.11, 0.18), 0.03, metal, taper=0.6)
    elif kind == "toaster":
        piece.soft((0, 0, 0.1), (0.17, 0.28, 0.19), metal if kit.chance(0.6) else kit.plastic(), power=0.3)
        for x in (-0.03, 0.03):
            piece.box((x, 0, 0.19), (0.025, 0.2, 0.01), dark)
    elif kind == "pot":
        r, h = kit.between(0.08, 0.14), kit.between(0.08, 0.18)
        piece.cylinder((0, 0, h / 2), (2 * r, 2 * r, h), metal if kit.chance(0.6) else kit.plastic(), sides=18)
        piece.lathe([(r * 1.02, 0), (r * 0.5, 0.025), (0, 0.03)], (0, 0, h), metal)
        piece.sphere((0, 0, h + 0.045), (0.035, 0.035, 0.035), dark, level=1)
        for s in (-1, 1):
            piece.box((0, s * (r + 0.025), h * 0.8), (0.07, 0.05, 0.015), dark)
    elif kind == "pan":
        piece.cylinder((0, 0, 0.025), (0.26, 0.26, 0.05), dark, sides=18, taper=1.15)
        piece.tube((0, 0.13, 0.045), (0, 0.34, 0.07), 0.025, dark)
    elif kind == "microwave":
        piece.box((0, 0, 0.15), (0.36, 0.48, 0.28), kit.plastic((0.7, 0.7, 0.69)) if kit.chance(0.5) else dark)
        piece.box((0.182, -0.06, 0.15), (0.006, 0.32, 0.22), kit.plastic((0.012, 0.012, 0.013), 0.6))
        piece.box((0.19, 0.115, 0.15), (0.02, 0.015, 0.2), metal)
    elif kind == "block":
        piece.box((0, 0, 0.11), (0.1, 0.12, 0.2), kit.wood(), pitch=0.25)
        for k in range(5):
            piece.box((0.06, (k - 2) * 0.022, 0.235), (0.022, 0.014, 0.09), dark, pitch=0.25)
    elif kind == "coffee":
        piece.rounded((0, 0, 0.02), (0.26, 0.2, 0.04), dark, bevel=0.1)
        piece.rounded((-0.08, 0, 0.17), (0.1, 0.2, 0.32), dark, bevel=0.08)
        piece.rounded((0.02, 0, 0.3), (0.22, 0.2, 0.08), metal, bevel=0.1)
        piece.cylinder((0.05, 0, 0.1), (0.12, 0.12, 0.12), kit.plastic((0.1, 0.06, 0.04), 0.7), sides=14)
    elif kind == "jar":
        for k in range(int(kit.rng.integers(2, 5))):
            piece.cylinder((0, k * 0.1, 0.08), (0.08, 0.08, 0.16 - 0.02 * k), kit.ceramic(0.4), sides=12)
            piece.cylinder((0, k * 0.1, 0.165 - 0.02 * k), (0.07, 0.07, 0.02), kit.wood(), sides=12)
    else:
        for k in range(int(kit.rng.integers(2, 8))):
            piece.lathe([(0.06, 0), (0.12, 0.015), (0.115, 0.018), (0, 0.008)], (0, 0, k * 0.012), kit.ceramic())
    return piece.finish()


def candle(kit: Kit) -> Part:
    """One to three candles."""
    piece = Piece(kit, "clutter", "candle")
    for k in range(int(kit.rng.integers(1, 4))):
        h, d = kit.between(0.05, 0.25), kit.between(0.02, 0.07)
        piece.cylinder((0, k * 0.09, h / 2 + 0.01), (d, d, h), kit.plastic((0.7, 0.65, 0.55), 0.1), sides=10)
        piece.cylinder((0, k * 0.09, 0.006), (d * 1.8, d * 1.8, 0.012), kit.metal(), sides=12)
    return piece.finish()


def ornament(kit: Kit) -> Part:
    """Sculpture: stacked simple solids; a globe; a framed photo on a foot."""
    piece = Piece(kit, "clutter", "ornament")
    kind = kit.pick(("stack", "globe", "photo", "photo", "knot"))
    if kind == "globe":
        d = kit.between(0.15, 0.32)
        piece.cylinder((0, 0, 0.012), (d * 0.6, d * 0.6, 0.024), kit.wood(), sides=14)
        piece.tube((0, 0, 0), (0, 0, d * 0.3), 0.015, kit.metal())
        piece.sphere(
            (0, 0, d * 0.78), (d, d, d), kit.add("blobs", (0.05, 0.18, 0.4), (0.3, 0.35, 0.12), 0.5, smooth=True)
        )
    elif kind == "photo":
        h = kit.between(0.12, 0.3)
        w = h * kit.pick((0.7, 1.3))
        piece.box((0, 0, h / 2), (0.015, w, h), kit.wood(), pitch=-0.2)
        piece.box((0.009, 0, h / 2), (0.004, w * 0.82, h * 0.84), kit.printed("painting"), pitch=-0.2, fit=True)
    elif kind == "knot":
        a = np.linspace(0, 2 * np.pi, 25)
        s = kit.between(0.05, 0.12)
        p = np.stack(
            [
                s * (np.sin(a) + 2 * np.sin(2 * a)) / 2,
                s * np.sin(3 * a),
                s * (np.cos(a) - 2 * np.cos(2 * a)) / 2 + s * 1.6,
            ],
            -1,
        )
        piece.tube(p[:-1], p[1:], s * 0.3, kit.metal(), sides=6)
    else:
        z, material = 0.0, kit.ceramic() if kit.chance(0.5) else kit.wood()
        for _ in range(int(kit.rng.integers(2, 5))):
            s = kit.between(0.04, 0.12)
            piece.soft(
                (0, 0, z + s / 2),
                (s, s * kit.between(0.7, 1.3), s),
                material,
                power=kit.pick((0.3, 0.7, 1.0)),
                yaw=kit.between(0, 3),
            )
            z += s * 0.95
    return piece.finish()


def roll_holder(kit: Kit) -> Part:
    """Towels, rolls, soap: bathroom things."""
    piece = Piece(kit, "clutter", "towels")
    if kit.chance(0.5):
        for k in range(int(kit.rng.integers(1, 5))):
            piece.soft((0, 0, 0.03 + k * 0.055), (0.22, 0.34, 0.065), kit.fabric(0.2), power=0.3)
    else:
        for _ in range(int(kit.rng.integers(1, 5))):
            h, r = kit.between(0.08, 0.22), kit.between(0.02, 0.035)
            piece.lathe(
                [(r, 0), (r, h * 0.8), (r * 0.4, h * 0.9), (r * 0.4, h), (0, h)],
                (0, kit.between(-0.12, 0.12), 0),
                kit.plastic(),
            )
    return piece.finish()


DESK = (papers, papers, cup, gadget, packet, bottle, ornament)
LIVING = (cup, bowl, vase, candle, papers, gadget, ornament, bottle)
KITCHEN = (kitchen_thing, kitchen_thing, kitchen_thing, bottle, bowl, cup, packet, packet)
BATH = (roll_holder, roll_holder, bottle, cup)
SHELF = (ornament, vase, packet, bowl, gadget, candle, bottle, toy)
