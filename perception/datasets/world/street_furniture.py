"""Poles, lamps, traffic lights, signs, cones, barriers, benches, bins, bollards, shelters, boards, hydrants, boxes: templates.

Feet at the origin (not centred) except cones and barriers, which have boxes; x is the side that faces oncoming traffic.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.shapes import extrude, lathe
from perception.datasets.world.templates import Shape, Template, maker


@maker("street_lamp")
def _street_lamp(rng, variant: int) -> Template:
    """Arm reaches to +y; the lamp's place is (0, arm, height): see `model`, "lamp <arm> <height>"."""
    shape = Shape()
    u = rng.uniform
    old = variant % 4 == 3
    if old:
        height, arm = u(3.2, 4.5), 0.0
        shape.tube((0, 0, -0.2), (0, 0, height), 0.12, sides=8, taper=0.7, role="pole_paint")
        shape.cylinder((0, 0, 0.35), (0.26, 0.26, 0.7), sides=8, taper=0.6, role="pole_paint")
        shape.cylinder((0, 0, height + 0.25), (0.24, 0.24, 0.45), sides=6, taper=1.6, role="lamp_glass")
        shape.cone((0, 0, height + 0.6), (0.5, 0.5, 0.25), sides=6, role="pole_paint")
        height -= 0.15
    else:
        height, arm = u(5.5, 10.5), u(0.8, 2.6)
        thick = u(0.12, 0.22)
        shape.tube((0, 0, -0.2), (0, 0, height), thick, sides=8, taper=0.55, role="pole_paint")
        rise = u(0.0, 0.7)
        shape.tube((0, 0, height - 0.05), (0, arm, height + rise), thick * 0.5, sides=6, role="pole_paint")
        shape.bevelled_box((0, arm + 0.2, height + rise), (0.28, 0.75, 0.12), bevel=0.3, role="pole_paint")
        shape.box((0, arm + 0.2, height + rise - 0.07), (0.2, 0.55, 0.03), role="lamp_glass")
        shape.box((thick * 0.5, 0, 0.8), (0.02, 0.1, 0.4), role="trim")
        height, arm = height + rise - 0.12, arm + 0.2
    return shape.template(f"lamp {arm:.2f} {height:.2f}", centred=False)


@maker("utility_pole")
def _utility_pole(rng, variant: int) -> Template:
    shape = Shape()
    height = rng.uniform(7, 10)
    shape.tube((0, 0, -0.3), (0, 0, height), 0.28, sides=7, taper=0.7, role="wood" if variant % 2 else "concrete")
    for z in (height - 0.4, height - 1.2)[: 1 + variant % 2]:
        shape.box((0, 0, z), (0.1, 2.0, 0.12), role="wood")
        shape.cylinder([(0, y, z + 0.14) for y in (-0.9, -0.4, 0.4, 0.9)], (0.09, 0.09, 0.16), sides=6, role="concrete")
    if variant % 3 == 0:
        shape.cylinder((0, 0.35, height - 2.0), (0.45, 0.45, 0.9), role="metal")
    return shape.template("utility_pole", centred=False)


@maker("traffic_light")
def _traffic_light(rng, variant: int) -> Template:
    """Faces +x. Overhead ones reach to +y. Roles lamp_red/amber/green are lit by the scene; the housing is the light's."""
    shape = Shape()
    u = rng.uniform
    overhead = variant % 3 == 2
    height = u(2.6, 3.2)
    spots = [(0.0, 0.0, height)]
    if overhead:
        arm = u(3.0, 5.5)
        shape.tube((0, 0, -0.2), (0, 0, 5.8), 0.22, sides=8, taper=0.7, role="pole_paint")
        shape.tube((0, 0, 5.6), (0, arm, 5.8), 0.14, sides=6, role="pole_paint")
        spots.append((0.0, arm, 5.0))
    else:
        shape.tube((0, 0, -0.2), (0, 0, height), 0.13, sides=8, role="pole_paint")
    pole_end = len(shape._parts)
    yellow = "warning" if rng.random() < 0.2 else "trim"
    for x, y, z in spots:
        shape.bevelled_box((x + 0.12, y, z), (0.22, 0.3, 0.95), bevel=0.06, role=yellow)
        if variant % 2:
            shape.box((x + 0.03, y, z), (0.02, 0.55, 1.2), role="trim")
        for k, role in enumerate(("lamp_red", "lamp_amber", "lamp_green")):
            at = np.array([x + 0.23, y, z + 0.3 - 0.3 * k])
            shape.tube(at, at + [0.015, 0, 0], 0.22, sides=12, role=role)
            shape.box(at + [0.07, 0, 0.12], (0.16, 0.24, 0.02), role="trim")
    result = shape.template("traffic_light", centred=False)
    poles = sum(len(part[1]) for part in shape._parts[:pole_end])
    return Template(result.vertices, result.triangles, result.role, result.size, f"light {poles}")


def _sign_plate(kind: str, size: float) -> np.ndarray:
    """Outline (P, 2) in the yz plane."""
    if kind == "round":
        a = np.arange(20) * (2 * np.pi / 20)
        return np.stack([np.cos(a), np.sin(a)], 1) * size / 2
    if kind == "triangle":
        return np.array([[-0.5, -0.43], [0.5, -0.43], [0.0, 0.43]]) * size
    if kind == "yield":
        return np.array([[0.5, 0.43], [-0.5, 0.43], [0.0, -0.43]]) * size
    if kind == "stop":
        a = np.arange(8) * (2 * np.pi / 8) + np.pi / 8
        return np.stack([np.cos(a), np.sin(a)], 1) * size / 2
    if kind == "diamond":
        return np.array([[0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5]]) * size
    tall = {"tall": 1.5, "wide": 0.4}.get(kind, 1.0)
    return np.array([[0.5, -0.5 * tall], [0.5, 0.5 * tall], [-0.5, 0.5 * tall], [-0.5, -0.5 * tall]]) * size


SIGNS = ("round", "triangle", "round", "yield", "stop", "square", "diamond", "tall", "wide", "round")


@maker("sign")
def _sign(rng, variant: int) -> Template:
    """One or two plates on a post, facing +x. Roles: sign_rim (plate), sign_face (inner field), sign_back; model "sign <pole triangles>"."""
    shape = Shape()
    u = rng.uniform
    kind = SIGNS[variant % len(SIGNS)]
    size = {"wide": u(1.0, 2.2), "stop": 0.8}.get(kind, u(0.6, 0.95))
    height = u(2.1, 3.0)
    shape.tube((-0.03, 0, -0.2), (-0.03, 0, height + size * 0.45), 0.065, sides=6, role="metal")
    poles = sum(len(part[1]) for part in shape._parts)
    plates = [(kind, size, height)]
    if rng.random() < 0.3:
        plates.append((("wide", "square", "round")[int(rng.integers(3))], size * 0.8, height - size * 0.95))
    for shape_kind, side, z in plates:
        outline = _sign_plate(shape_kind, side)
        for x, scale, role in ((0.03, 1.0, "sign_rim"), (0.036, 0.78, "sign_face"), (0.02, 1.0, "sign_back")):
            points = np.concatenate([np.full((len(outline), 1), x), outline * scale], 1) + [0, 0, z]
            centre = np.array([[x, 0, z]])
            i = np.arange(len(outline))
            fan = np.stack([i, (i + 1) % len(outline), np.full(len(i), len(outline))], 1)
            shape.mesh(np.concatenate([points, centre]), fan, role=role)
        if shape_kind in ("round", "triangle", "diamond"):  # a pictogram
            shape.box(
                (0.04, u(-0.1, 0.1) * side, z - 0.05 * side),
                (0.006, side * u(0.08, 0.4), side * u(0.08, 0.3)),
                role="trim",
            )
    return shape.template(f"sign {poles}", centred=False)


@maker("cone")
def _cone(rng, variant: int) -> Template:
    shape = Shape()
    h = rng.uniform(0.45, 1.0)
    if variant % 4 == 3:  # drum or post
        shape.mesh(
            *lathe(np.array([[0.22, 0], [0.22, 0.3], [0.18, 0.3], [0.18, 1.0], [0.0, 1.02]]), 12), role="cone_body"
        )
        shape.mesh(*lathe(np.array([[0.186, 0.45], [0.186, 0.6]]), 12), role="cone_band")
        shape.mesh(*lathe(np.array([[0.186, 0.75], [0.186, 0.9]]), 12), role="cone_band")
        return shape.template("drum")
    shape.box((0, 0, 0.025), (h * 0.55, h * 0.55, 0.05), role="cone_body" if variant % 2 else "trim")
    wide = h * 0.2
    shape.mesh(*lathe(np.array([[wide, 0.04], [0.03, h], [0.0, h]]), 12), role="cone_body")
    for low, high in ((0.35, 0.52), (0.66, 0.8)) if h > 0.6 else ((0.45, 0.7),):
        r = [wide + (0.03 - wide) * s + 0.006 for s in (low, high)]
        shape.mesh(*lathe(np.array([[r[0], low * h], [r[1], high * h]]), 12), role="cone_band")
    return shape.template("cone")


@maker("barrier")
def _barrier(rng, variant: int) -> Template:
    """One element; its length runs along y (across the traffic), as nuScenes labels it: length < width."""
    shape = Shape()
    kind = variant % 4
    if kind == 0:  # concrete
        width = rng.uniform(1.8, 3.0)
        profile = np.array(
            [[-0.3, 0], [0.3, 0], [0.26, 0.1], [0.12, 0.35], [0.08, 0.85], [-0.08, 0.85], [-0.12, 0.35], [-0.26, 0.1]]
        )
        shape.mesh(*extrude(profile, width), role="concrete")
        if rng.random() < 0.5:
            shape.box(
                [(0.125, y, 0.6) for y in np.linspace(-width / 2 + 0.3, width / 2 - 0.3, 4)],
                (0.02, 0.25, 0.2),
                role="barrier_band",
            )
    elif kind == 1:  # striped board on feet
        width = rng.uniform(1.2, 2.4)
        for z in (0.9, 0.5):
            count = int(width / 0.2)
            y = np.linspace(-width / 2, width / 2, count + 1)
            for k in range(count):
                shape.box(
                    (0, (y[k] + y[k + 1]) / 2, z),
                    (0.03, y[k + 1] - y[k], 0.22),
                    role="barrier_band" if k % 2 else "barrier_body",
                )
        shape.box([(0, s * width * 0.4, 0.5) for s in (1, -1)], (0.06, 0.06, 1.0), role="metal")
        shape.box([(0, s * width * 0.4, 0.05) for s in (1, -1)], (0.6, 0.2, 0.1), role="trim")
    elif kind == 2:  # plastic, water filled
        width = rng.uniform(1.0, 2.0)
        shape.bevelled_box(
            (0, 0, 0.2), (0.5, width, 0.4), bevel=0.1, role="barrier_band" if variant % 8 == 2 else "barrier_body"
        )
        shape.bevelled_box(
            (0, 0, 0.6), (0.26, width, 0.6), bevel=0.1, role="barrier_band" if variant % 8 == 2 else "barrier_body"
        )
    else:  # crowd fence
        width = rng.uniform(2.0, 2.5)
        shape.tube(
            [(0, -width / 2, 1.05), (0, -width / 2, 0.2)],
            [(0, width / 2, 1.05), (0, width / 2, 0.2)],
            0.045,
            sides=5,
            role="metal",
        )
        y = np.linspace(-width / 2, width / 2, 13)
        shape.tube([(0, a, 0.2) for a in y], [(0, a, 1.05) for a in y], 0.025, sides=4, role="metal")
        shape.box([(0, s * width * 0.4, 0.06) for s in (1, -1)], (0.6, 0.05, 0.05), role="metal")
        shape.box([(0, s * width * 0.4, 0.14) for s in (1, -1)], (0.04, 0.04, 0.2), role="metal")
    return shape.template(("concrete", "board", "plastic", "fence")[kind])


@maker("bench")
def _bench(rng, variant: int) -> Template:
    shape = Shape()
    wide = rng.uniform(1.4, 2.2)
    shape.box([(x, 0, 0.45) for x in (-0.15, 0.0, 0.15)], (0.12, wide, 0.04), role="wood")
    shape.box([(-0.25, 0, z) for z in (0.65, 0.8)], (0.04, wide, 0.11), role="wood")
    shape.box([(0, s * wide * 0.4, 0.22) for s in (1, -1)], (0.4, 0.06, 0.45), role="pole_paint")
    return shape.template("bench", centred=False)


@maker("bin")
def _bin(rng, variant: int) -> Template:
    shape = Shape()
    kind = variant % 4
    if kind == 0:
        shape.cylinder((0, 0, 0.5), (0.45, 0.45, 1.0), sides=12, taper=1.1, role="bin_body")
        shape.sphere((0, 0, 1.0), (0.48, 0.48, 0.3), level=1, role="bin_body")
    elif kind == 1:  # wheelie bin
        shape.bevelled_box((0, 0, 0.52), (0.6, 0.55, 0.95), bevel=0.06, role="bin_body")
        shape.bevelled_box((0.02, 0, 1.02), (0.68, 0.6, 0.1), bevel=0.2, role="bag")
    elif kind == 2:  # skip container
        shape.bevelled_box((0, 0, 0.65), (1.1, 1.5, 1.1), bevel=0.06, role="bin_body")
        shape.bevelled_box((0, 0, 1.25), (1.15, 1.55, 0.2), bevel=0.3, role="bag")
    else:  # switch box
        shape.box((0, 0, 0.6), (0.45, rng.uniform(0.7, 1.6), 1.2), role="bin_body")
        shape.box((0, 0, 1.22), (0.5, 1.0, 0.05), role="metal")
    return shape.template("bin", centred=False)


@maker("bollard")
def _bollard(rng, variant: int) -> Template:
    shape = Shape()
    if variant % 3 == 2:
        shape.sphere((0, 0, 0.25), (0.5, 0.5, 0.5), level=1, role="concrete")
    else:
        height = rng.uniform(0.7, 1.1)
        shape.cylinder((0, 0, height / 2), (0.14, 0.14, height), sides=8, role="pole_paint")
        shape.cylinder((0, 0, height * 0.85), (0.15, 0.15, 0.08), sides=8, role="cone_band")
    return shape.template("bollard", centred=False)


@maker("hydrant")
def _hydrant(rng, variant: int) -> Template:
    shape = Shape()
    shape.mesh(
        *lathe(
            np.array([[0.14, 0], [0.14, 0.06], [0.1, 0.08], [0.1, 0.55], [0.13, 0.57], [0.1, 0.7], [0.0, 0.78]]), 10
        ),
        role="hydrant",
    )
    shape.tube((0, -0.18, 0.45), (0, 0.18, 0.45), 0.12, sides=8, role="hydrant")
    return shape.template("hydrant", centred=False)


@maker("shelter")
def _shelter(rng, variant: int) -> Template:
    """A bus shelter, open towards +x."""
    shape = Shape()
    wide = rng.uniform(3.0, 5.0)
    shape.box((0, 0, 2.5), (1.6, wide, 0.1), role="pole_paint")
    posts = [(x, s * wide * 0.48, 1.25) for x in (-0.7,) for s in (1, -1)] + [
        (0.6, wide * 0.48, 1.25),
        (0.6, -wide * 0.48, 1.25),
    ]
    shape.box(posts, (0.08, 0.08, 2.5), role="pole_paint")
    shape.box((-0.72, 0, 1.3), (0.03, wide * 0.94, 2.1), role="glass")
    shape.box((-0.1, -wide * 0.48, 1.3), (1.1, 0.1, 1.9), role="poster")
    shape.box((-0.45, 0.2, 0.5), (0.35, wide * 0.6, 0.05), role="wood")
    shape.box([(-0.45, y, 0.25) for y in (-wide * 0.2, wide * 0.25)], (0.06, 0.06, 0.5), role="metal")
    return shape.template("shelter", centred=False)


@maker("board")
def _board(rng, variant: int) -> Template:
    """An advertising board or column, facing +x."""
    shape = Shape()
    if variant % 3 == 0:
        shape.cylinder((0, 0, 1.5), (1.2, 1.2, 3.0), sides=16, role="poster")
        shape.cylinder((0, 0, 3.1), (1.4, 1.4, 0.25), sides=16, taper=0.6, role="pole_paint")
    else:
        wide, tall = rng.uniform(1.2, 3.5), rng.uniform(1.4, 2.4)
        foot = rng.uniform(0.4, 2.2)
        shape.box((0, 0, foot + tall / 2), (0.16, wide, tall), role="pole_paint")
        shape.box((0.085, 0, foot + tall / 2), (0.01, wide * 0.92, tall * 0.92), role="poster")
        shape.box([(0, s * wide * 0.3, foot / 2) for s in (1, -1)], (0.1, 0.1, foot), role="pole_paint")
    return shape.template("board", centred=False)


@maker("parasol")
def _parasol(rng, variant: int) -> Template:
    """A café table with chairs under a parasol."""
    shape = Shape()
    shape.tube((0, 0, 0), (0, 0, 2.5), 0.05, sides=6, role="metal")
    shape.cone((0, 0, 2.35), (2.6, 2.6, 0.5), sides=8, role="bag")
    shape.cylinder((0, 0, 0.73), (0.8, 0.8, 0.04), sides=12, role="wood")
    for angle in rng.uniform(0, 6.28) + np.arange(3) * 2.1:
        c, s = np.cos(angle) * 0.75, np.sin(angle) * 0.75
        shape.box((c, s, 0.44), (0.42, 0.42, 0.04), angle, role="hat")
        shape.box((c * 1.27, s * 1.27, 0.7), (0.04, 0.42, 0.5), angle, role="hat")
        legs = [(c + a, s + b, 0.22) for a in (-0.16, 0.16) for b in (-0.16, 0.16)]
        shape.box(legs, (0.03, 0.03, 0.44), role="metal")
    return shape.template("parasol", centred=False)
