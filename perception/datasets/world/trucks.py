"""Lorries, articulated tractors, trailers and buses."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.loft import Body, add_body, add_lamps, add_wheels
from perception.datasets.world.shapes import extrude
from perception.datasets.world.templates import Shape, Template, maker


def _cab(
    rng, shape: Shape, rear: float, length: float, width: float, height: float, clearance: float, nosed: bool
) -> None:
    """A driver's cab from x = rear forward."""
    u = rng.uniform
    part = Shape()
    if nosed:
        hood = u(0.9, 1.6)
        cowl = length - hood
        belt_z, hood_z = height * 0.56, height * u(0.44, 0.52)
        belt = [(0, belt_z), (cowl - 0.2, belt_z), (cowl, hood_z), (length - 0.2, hood_z - 0.1), (length, hood_z - 0.3)]
        roof = [(0, height - 0.1), (0.4, height), (cowl - 0.5, height - 0.05), (cowl, hood_z)]
        screens, sides = [(cowl - 0.48, cowl - 0.05)], [(max(0.3, cowl - 1.3), cowl - 0.25)]
        axle = length - 0.75
    else:
        belt_z = height * u(0.46, 0.52)
        belt = [(0, belt_z), (length - 0.12, belt_z), (length, belt_z - 0.25)]
        lean = u(0.12, 0.5)
        roof = [(0, height - 0.1), (0.3, height), (length - lean - 0.1, height - 0.05), (length - 0.02, belt_z)]
        screens, sides = (
            [(length - lean - 0.06, length - 0.05)],
            [(length - min(1.25, length * 0.75), length - 0.22 - lean * 0.4)],
        )
        axle = length - u(0.75, 1.25)
    taper = [(0, 1.0), (length - 0.4, 1.0), (length, 0.9)]
    body = Body(length, width, belt, roof, taper, sides, screens, [axle], 0.48, 0.3, clearance, inset=0.06, rail=max(0.2, (height - belt_z) * 0.3), flat=0.7)  # fmt: skip
    add_body(part, body)
    add_wheels(part, [axle], width * 0.98, 0.48, 0.3)
    front = 0.9 * width / 2
    add_lamps(part, length + 0.01, 1, front - 0.2, clearance + u(0.25, 0.4), (0.38, 0.18), "lamp_front")
    part.bevelled_box(
        (length - 0.07, 0, clearance + u(0.55, 0.75)), (0.2, width * u(0.5, 0.8), u(0.25, 0.5)), role="grille"
    )
    part.bevelled_box(
        (length - 0.09, 0, clearance + 0.12), (0.24, width * 0.92, 0.28), role="trim" if rng.random() < 0.5 else "paint"
    )
    part.box((length + 0.035, 0, clearance + 0.1), (0.03, 0.5, 0.11), role="plate")
    part.bevelled_box(
        [(length - 0.35, s * (width / 2 + 0.02), belt_z + 0.35) for s in (1, -1)], (0.14, 0.2, 0.5), role="trim"
    )
    if not nosed and rng.random() < 0.4:
        part.bevelled_box((length * 0.45, 0, height + 0.2), (length * 0.8, width * 0.85, 0.4), bevel=0.3, role="paint")
    mesh = part.build()
    mesh.vertices[:, 0] += rear
    shape.add(mesh)


def _rear_end(rng, shape: Shape, width: float, z: float) -> None:
    """Chassis end at x = 0: bumper bar, lamps, plate."""
    shape.box((0.05, 0, z - 0.05), (0.1, width * 0.9, 0.16), role="trim")
    add_lamps(shape, -0.01, -1, width / 2 - 0.25, z + 0.1, (0.4, 0.14), "lamp_rear", 0.12)
    shape.box((-0.02, 0, z + 0.1), (0.03, 0.5, 0.11), role="plate")
    if rng.random() < 0.3:
        shape.box([(-0.015, s * width * 0.25, z + 0.25) for s in (1, -1)], (0.03, width * 0.4, 0.12), role="warning")


def _cargo(rng, shape: Shape, kind: str, start: float, end: float, width: float, floor: float, top: float) -> None:
    """A superstructure between x = start and end."""
    u = rng.uniform
    length, mid = end - start, (start + end) / 2
    if kind == "box":
        shape.bevelled_box((mid, 0, (floor + top) / 2), (length, width, top - floor), bevel=0.012, role="cargo")
        shape.box((start - 0.005, 0, (floor + top) / 2), (0.03, 0.03, (top - floor) * 0.94), role="trim")
        shape.box(
            [(start - 0.01, s * width * 0.2, (floor + top) / 2) for s in (1, -1)],
            (0.03, 0.03, (top - floor) * 0.9),
            role="chrome",
        )
        if rng.random() < 0.6:  # a painted panel on the sides
            shape.box(
                [(mid, s * (width / 2 + 0.002), floor + (top - floor) * u(0.4, 0.6)) for s in (1, -1)],
                (length * u(0.4, 0.9), 0.015, (top - floor) * u(0.2, 0.6)),
                role="cargo2" if rng.random() < 0.6 else "poster",
            )
    elif kind == "curtain":
        shape.box((mid, 0, (floor + top) / 2), (length, width, top - floor), role="cargo2")
        posts = np.linspace(start + 0.05, end - 0.05, int(length / 1.3) + 2)
        shape.box(
            [(x, s * (width / 2), (floor + top) / 2) for x in posts for s in (1, -1)],
            (0.06, 0.05, top - floor),
            role="metal",
        )
        shape.box((start - 0.005, 0, (floor + top) / 2), (0.04, width * 0.96, (top - floor) * 0.96), role="cargo")
    elif kind == "flat":
        shape.box((mid, 0, floor + 0.08), (length, width, 0.16), role="deck")
        if rng.random() < 0.75:
            shape.box([(mid, s * width / 2, floor + 0.35) for s in (1, -1)], (length, 0.05, 0.5), role="paint2")
        x = start + 0.5
        while x < end - 0.8:
            size = (u(0.6, 2.0), u(1.0, width * 0.9), u(0.3, 1.4))
            if rng.random() < 0.7:
                shape.bevelled_box(
                    (x + size[0] / 2, 0, floor + 0.16 + size[2] / 2),
                    size,
                    bevel=0.04,
                    role=("cargo", "wood", "metal", "concrete")[rng.integers(4)],
                )
            x += size[0] + 0.2
    elif kind == "tank":
        size = min(width, top - floor)
        shape.tube((start, 0, floor + size / 2), (end, 0, floor + size / 2), size, sides=18, role="cargo")
        rings = np.linspace(start + 0.3, end - 0.3, 5)
        shape.tube(
            [(x - 0.04, 0, floor + size / 2) for x in rings],
            [(x + 0.04, 0, floor + size / 2) for x in rings],
            size * 1.02,
            sides=18,
            role="metal",
        )
        shape.box((mid, 0, top + 0.05), (length * 0.8, 0.5, 0.1), role="metal")
    elif kind == "tipper":
        z = np.array([floor, floor, top, top])
        profile = np.array([[start + 0.4, z[0]], [end, z[1]], [end, z[2]], [start, z[3]]])
        shape.mesh(*extrude(profile, width), role="paint2")
        ribs = np.linspace(start + 0.6, end - 0.1, 6)
        shape.box(
            [(x, s * width / 2, (floor + top) / 2) for x in ribs for s in (1, -1)],
            (0.1, 0.1, top - floor),
            role="paint2",
        )
        shape.blob(rng, (mid, 0, top), (length * 0.9, width * 0.85, u(0.3, 0.9)), 0.12, 2, role="concrete")
    elif kind == "mixer":
        shape.tube(
            (start + 0.2, 0, floor + 1.35),
            (mid + 0.3, 0, floor + 1.05),
            width * 0.75,
            sides=14,
            taper=1.3,
            role="paint2",
        )
        shape.tube(
            (mid + 0.3, 0, floor + 1.05), (end - 0.1, 0, floor + 0.85), width * 0.97, sides=14, taper=0.5, role="cargo"
        )
        shape.box((mid, 0, floor + 0.1), (length, 0.9, 0.3), role="trim")
        shape.tube((start + 0.2, 0, floor + 1.9), (start - 0.1, 0, floor + 0.6), 0.5, sides=6, role="metal")
    elif kind == "refuse":
        shape.bevelled_box(
            (mid + 0.4, 0, (floor + top) / 2), (length - 0.8, width, top - floor), bevel=0.1, role="paint2"
        )
        shape.bevelled_box(
            (start + 0.5, 0, (floor + top) / 2 - 0.2), (1.2, width, top - floor - 0.3), bevel=0.14, role="metal"
        )


@maker("truck")
def _truck(rng, variant: int) -> Template:
    u = rng.uniform
    heavy = rng.random() < 0.55
    kind = ("box", "box", "box", "curtain", "flat", "tank", "tipper", "mixer", "refuse")[int(rng.integers(9))]
    width = u(2.3, 2.55) if heavy else u(2.0, 2.25)
    cab = u(1.8, 2.4) if heavy else u(1.6, 1.9)
    nosed = rng.random() < 0.25
    cab += 0.9 * nosed
    bed = u(5.0, 8.5) if heavy else u(3.0, 5.2)
    cab_height = u(2.6, 3.2) if heavy else u(2.15, 2.5)
    floor = u(1.0, 1.2) if heavy else u(0.8, 0.95)
    top = u(3.2, 3.9) if heavy else u(2.6, 3.3)
    if kind in ("flat", "tipper"):
        top = floor + u(0.8, 1.4)
    shape = Shape()
    _cab(rng, shape, bed + 0.1, cab, width * 0.97, cab_height, 0.42 if heavy else 0.34, nosed)
    shape.box(((bed + 0.5) / 2, 0, floor - 0.15), (bed + 0.5, 0.85, 0.3), role="trim")
    _cargo(rng, shape, kind, 0.05, bed - 0.05, width, floor, top)
    radius = 0.48 if heavy else 0.4
    axles = [bed * 0.22, bed * 0.22 + 1.3] if heavy and rng.random() < 0.6 else [bed * 0.28]
    add_wheels(shape, axles, width * 0.97, radius, 0.55)
    shape.box(
        [(bed * 0.62, s * (width / 2 - 0.2), floor - 0.35) for s in (1, -1)],
        (1.4, 0.4, 0.5),
        role="trim" if rng.random() < 0.6 else "chrome",
    )
    _rear_end(rng, shape, width, floor - 0.2)
    return shape.template(f"truck_{kind}")


@maker("tractor")
def _tractor(rng, variant: int) -> Template:
    u = rng.uniform
    width, nosed = u(2.4, 2.55), rng.random() < 0.3
    cab = u(2.2, 2.6) + 1.2 * nosed
    shape = Shape()
    rear = u(2.6, 3.4)
    _cab(rng, shape, rear, cab, width, u(2.9, 3.7), 0.42, nosed)
    shape.box((rear / 2 + 0.3, 0, 0.85), (rear + 0.6, 0.85, 0.3), role="trim")
    shape.cylinder((rear * 0.4, 0, 1.08), (1.0, 1.0, 0.12), role="trim")
    add_wheels(shape, [rear * 0.28, rear * 0.28 + 1.3] if rear > 2.9 else [rear * 0.4], width * 0.97, 0.5, 0.55)
    shape.tube(
        [(rear - 0.1, s * 0.9, 1.0) for s in (1, -1)],
        [(rear - 0.1, s * 0.9, u(2.8, 3.4)) for s in (1, -1)],
        0.16,
        role="chrome",
    )
    _rear_end(rng, shape, width, 0.85)
    return shape.template("tractor")


@maker("trailer")
def _trailer(rng, variant: int) -> Template:
    u = rng.uniform
    shape = Shape()
    if variant % 4 == 3:  # small trailer behind a car
        length, width, floor = u(2.2, 5.0), u(1.5, 2.1), 0.6
        caravan = rng.random() < 0.5
        if caravan:
            height = u(2.3, 2.6)
            belt = [(0, 1.35), (length, 1.35)]
            roof = [(0, height - 0.15), (0.3, height), (length - 0.5, height), (length - 0.02, 1.6)]
            body = Body(length, width, belt, roof, [(0, 0.95), (0.2, 1), (length - 0.3, 1), (length, 0.9)],
                        [(length * 0.2, length * 0.4), (length * 0.55, length * 0.8)], [(length - 0.4, length - 0.1)], [length * 0.45], 0.3, sill=0.4, inset=0.05, rail=0.5, flat=0.8)  # fmt: skip
            add_body(shape, body)
            add_lamps(shape, 0, -1, width * 0.38, 0.7, (0.2, 0.16), "lamp_rear")
            shape.box((-0.01, 0, 1.7), (0.04, width * 0.6, 0.45), role="glass")
        else:
            _cargo(
                rng,
                shape,
                ("flat", "box", "tipper")[int(rng.integers(3))],
                0,
                length,
                width,
                floor,
                floor + u(0.5, 1.6),
            )
            _rear_end(rng, shape, width, floor - 0.05)
        add_wheels(shape, [length * 0.45], width * 1.02, 0.3, 0.2)
        shape.tube((length, 0, 0.5), (length + 1.0, 0, 0.5), 0.12, role="trim")
        return shape.template("caravan" if caravan else "small_trailer")
    length, width = u(9.0, 13.6), u(2.45, 2.55)
    kind = ("box", "curtain", "curtain", "flat", "tank", "box")[int(rng.integers(6))]
    floor = 1.2
    _cargo(rng, shape, kind, 0.05, length, width, floor, u(3.5, 4.0))
    shape.box((length / 2, 0, floor - 0.2), (length, 0.9, 0.35), role="trim")
    add_wheels(shape, [1.2 + 1.3 * i for i in range(int(rng.integers(2, 4)))], width * 0.97, 0.5, 0.5)
    shape.box(
        [(length * 0.5, s * (width / 2 - 0.05), 0.75) for s in (1, -1)], (length * 0.35, 0.05, 0.45), role="metal"
    )
    shape.box([(length * 0.75, s * 0.8, 0.55) for s in (1, -1)], (0.15, 0.15, 1.0), role="trim")
    _rear_end(rng, shape, width, floor - 0.3)
    return shape.template(f"trailer_{kind}")


@maker("bus")
def _bus(rng, variant: int) -> Template:
    u = rng.uniform
    kind = ("city", "city", "coach", "double", "mini", "school")[variant % 6]
    length = {
        "city": u(10.5, 13),
        "coach": u(11.5, 13.5),
        "double": u(9.8, 11.5),
        "mini": u(6.2, 7.8),
        "school": u(8.5, 11),
    }[kind]
    width = u(2.45, 2.58) if kind != "mini" else u(2.0, 2.2)
    height = {
        "city": u(2.95, 3.2),
        "coach": u(3.4, 3.8),
        "double": u(4.1, 4.4),
        "mini": u(2.6, 2.9),
        "school": u(2.9, 3.1),
    }[kind]
    sill = 0.32
    belt = {"coach": 1.75, "school": 1.45, "double": 1.2}.get(kind, u(1.05, 1.25))
    radius = 0.48 if kind != "mini" else 0.38
    front = length - u(2.2, 2.9)
    nose = 1.6 if kind == "school" else 0.0
    end = length - nose
    if nose:
        front = length - 1.0
    axles = [length * u(0.22, 0.28), front]
    cols = np.linspace(0.5, end - u(0.9, 1.3), max(int(length / 1.45), 4))
    sides = [(a + 0.05, b - 0.05) for a, b in zip(cols[:-1], cols[1:], strict=True)] + [(cols[-1] + 0.1, end - 0.35)]
    lean = u(0.1, 0.45)
    belt_line = (
        [(0, belt), (end - 0.05, belt), (end, belt - 0.2)]
        if not nose
        else [(0, belt), (end, belt), (length - 0.15, belt - 0.12), (length, belt - 0.3)]
    )
    top_of_side = 2.3 if kind == "double" else height
    roof_line = [
        (0, height - 0.15),
        (0.25, height),
        (end - lean - 0.15, height),
        (end - lean, height - 0.12),
        (end - 0.03, belt),
    ]
    rail = max(0.22, (height - belt) * 0.28) if kind != "double" else height - top_of_side
    body = Body(length, width, belt_line, roof_line, [(0, 0.95), (0.2, 1), (length - 0.3, 1), (length, 0.9 if not nose else 0.75)], sides,
                [(end - lean + 0.02, end - 0.06)], axles, radius, sill=sill, inset=0.05, rail=rail, flat=1.0)  # fmt: skip
    shape = Shape()
    add_body(shape, body)
    add_wheels(shape, axles, width * 0.98, radius, 0.32)
    half = width / 2
    if kind == "double":  # upper windows, on panels that stand proud of the sides
        shape.box(
            [((a + b) / 2, s * (half - 0.075), 3.35) for a, b in sides for s in (1, -1)],
            (1.2, 0.16, 0.75),
            role="glass",
        )
        shape.box((end - lean * 0.6, 0, 3.35), (0.34, width * 0.84, 0.8), role="glass")
    shape.box((0.0, 0, height * 0.68), (0.06, width * 0.7, height * u(0.16, 0.26)), role="glass")
    if rng.random() < 0.7:
        stripe = u(0.15, 0.5)
        shape.box(
            [(length / 2, s * (half + 0.001), belt - 0.1 - stripe / 2) for s in (1, -1)],
            (length * 0.9, 0.012, stripe),
            role="paint2" if rng.random() < 0.5 else "cargo2",
        )
    if kind == "city":
        doors = [front + 1.2, (axles[0] + front) / 2]
        side = -1 if rng.random() < 0.6 else 1
        shape.box([(x, side * (half - 0.005), 1.45) for x in doors], (1.2, 0.04, 2.1), role="glass")
        shape.box([(x, side * (half + 0.01), 1.45) for x in doors], (0.06, 0.04, 2.1), role="trim")
        shape.bevelled_box((length * 0.4, 0, height + 0.1), (length * 0.5, width * 0.75, 0.35), bevel=0.2, role="paint")
        shape.box((end - lean * 0.8, 0, height - 0.25), (lean * 1.2 + 0.1, width * 0.6, 0.26), role="trim")
        shape.box((end - lean * 0.2 + 0.02, 0, height - 0.25), (0.03, width * 0.5, 0.16), role="indicator")
    add_lamps(shape, length + 0.01, 1, half * 0.75, 0.7, (0.36, 0.18), "lamp_front")
    add_lamps(shape, 0.0, -1, half * 0.8, 0.95, (0.2, 0.5), "lamp_rear")
    shape.box((length + 0.03, 0, 0.5), (0.03, 0.5, 0.11), role="plate")
    shape.box((-0.02, 0, 0.75), (0.03, 0.5, 0.11), role="plate")
    shape.bevelled_box((0.03, 0, 0.45), (0.16, width * 0.9, 0.25), role="trim")
    shape.bevelled_box(
        [(end - 0.02, s * (half + 0.03), height * 0.62) for s in (1, -1)], (0.14, 0.2, 0.45), role="trim"
    )
    return shape.template(f"bus_{kind}")
