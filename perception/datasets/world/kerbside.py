"""Furniture along the kerb: lamps, trees, signs, traffic lights, shelters, bins, bicycle racks, wires."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.corridor import ribbon
from perception.datasets.world.greenery import Greens
from perception.datasets.world.parking import park
from perception.datasets.world.placing import Street
from perception.datasets.world.templates import ROLE, template
from perception.datasets.world.traffic import choose


def lamp_post(street: Street, s, d, z, yaw) -> None:
    shape = template("street_lamp", street.variant(12))
    _, arm, height = shape.model.split()
    street.still(shape, "pole", s, d, z, yaw, fixed=True)
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
                street.still(shape, "pole", float(s), sign * kerb_d, z, inward, fixed=True)
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
            kind, count, semantic, room, back = _KERB[choose(rng, _KERB_SHARE)]
            d = layout.outer(own) - 0.8 if back and layout.pavement[0 if own else 1] > 2.6 else kerb_d
            street.furniture(kind, count, semantic, s, sign * d, z, np.pi / 2 * -sign, room)
        if layout.pavement[0 if own else 1] > 1.8:
            _racks(street, sign, kerb_d, z)
        if wires and own:
            _wires(street, sign, kerb_d + 0.3, z)
    if layout.median > 0.8:
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
                park(street, s + step * k, sign * (d + (0.6 if across else 0.0)), yaw, kind, z)


def _wires(street: Street, sign: int, d: float, z: float) -> None:
    """Utility poles with sagging wires."""
    corridor, rng = street.corridor, street.rng
    places = np.arange(corridor.start + 10, corridor.end, float(rng.uniform(28, 40)))
    shape = template("utility_pole", street.variant(6))
    for s in places:
        street.still(shape, "pole", float(s), sign * d, z, fixed=True)
    height = shape.size[2] - 0.3 - 0.2
    for across in (-0.9, 0.9):
        s = np.linspace(places[0], places[-1], (len(places) - 1) * 4 + 1)
        sag = 0.9 * (1 - (2 * ((s - places[0]) / (places[1] - places[0]) % 1.0) - 1) ** 2)
        line = corridor.at(s, sign * d + across, z + height - sag)
        street.builder.tube(
            line[:-1], line[1:], 0.035, sides=3, material=street.kit.lookup_like("rubber"), semantic=ID["pole"]
        )
