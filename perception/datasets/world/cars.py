"""Cars: saloons, hatchbacks, estates, SUVs, coupes, minivans, city cars, pick-ups, vans, from side profiles (`loft.py`)."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.loft import Body, add_body, add_lamps, add_wheels
from perception.datasets.world.templates import Shape, Template, maker

# style: length, width, height ranges; bonnet share, bonnet height share, belt share, boot share (0 = none), rear slope, ground clearance
_STYLES = {
    "saloon": ((4.4, 5.2), (1.74, 1.92), (1.40, 1.50)),
    "hatchback": ((3.8, 4.5), (1.70, 1.84), (1.42, 1.55)),
    "estate": ((4.5, 5.0), (1.76, 1.90), (1.44, 1.55)),
    "suv": ((4.2, 5.1), (1.80, 2.02), (1.60, 1.85)),
    "coupe": ((4.1, 4.8), (1.76, 1.95), (1.25, 1.38)),
    "minivan": ((4.3, 5.1), (1.76, 1.98), (1.62, 1.85)),
    "city": ((2.7, 3.7), (1.55, 1.68), (1.46, 1.58)),
    "pickup": ((5.0, 6.0), (1.85, 2.05), (1.70, 1.95)),
    "van": ((4.8, 6.4), (1.90, 2.10), (1.95, 2.75)),
    "offroad": ((3.9, 4.8), (1.80, 1.98), (1.80, 2.00)),
}
STYLES = tuple(_STYLES)


def _tail(rng: np.random.Generator, low: float, high: float) -> float:
    """Mostly within the range, now and then 8 % beyond."""
    value = rng.uniform(low, high)
    return float(value * np.exp(rng.normal(0, 0.05)) if rng.random() < 0.12 else value)


def _car(rng: np.random.Generator, style: str, coarse: bool = False) -> Template:
    ranges = _STYLES[style]
    length, width, height = (_tail(rng, *r) for r in ranges)
    u = rng.uniform
    tall = style in ("suv", "pickup", "offroad", "van")
    radius = u(0.34, 0.40) if tall else u(0.29, 0.345)
    sill = u(0.26, 0.36) if tall else u(0.17, 0.23)
    front_over, rear_over = u(0.78, 0.95), u(0.7, 1.0)
    if style == "city":
        front_over, rear_over = u(0.5, 0.65), u(0.45, 0.6)
    wheels = [rear_over, length - front_over]
    belt = height * u(0.60, 0.66)
    if style == "van":
        belt = height * u(0.48, 0.54)
    hood = belt - u(0.02, 0.10)
    nose = hood - u(0.10, 0.24)
    lip = 0.06
    cowl = length - u(1.05, 1.3)  # foot of the windscreen
    if style in ("minivan", "city"):
        cowl = length - u(0.75, 0.95)
    if style == "van":
        cowl, nose, hood = length - u(0.55, 0.95), belt - u(0.15, 0.3), belt - 0.03
    if style == "coupe":
        cowl = length - u(1.3, 1.6)
    if style in ("offroad", "pickup"):
        hood, nose = belt - u(0.0, 0.05), belt - u(0.05, 0.12)
    rake = (height - belt) * {"offroad": u(0.25, 0.6), "van": u(0.4, 0.8)}.get(style, u(1.1, 1.6))
    roof_front = cowl - rake
    deck = {"saloon": u(0.45, 0.75), "coupe": u(0.3, 0.6)}.get(style, 0.0)
    trunk = belt + u(0.0, 0.07)
    bed = 0.0
    if style in ("saloon", "coupe"):
        glass_rear = deck
        roof_rear = deck + (height - belt) * u(1.3, 1.9)
    elif style == "pickup":
        bed = length * u(0.27, 0.36)
        glass_rear = bed + 0.05
        roof_rear = bed + u(0.12, 0.3)
    elif style in ("hatchback", "city"):
        glass_rear, roof_rear = u(0.06, 0.16), u(0.35, 0.75)
    elif style in ("suv", "estate", "minivan"):
        glass_rear, roof_rear = u(0.06, 0.12), u(0.22, 0.6)
    else:
        glass_rear, roof_rear = 0.05, u(0.10, 0.18)
    back = height - u(0.0, 0.07) if style not in ("van", "offroad") else height - 0.01
    peak = roof_front - u(0.1, 0.4)
    taper = [
        (0, u(0.80, 0.9)),
        (0.18, u(0.92, 0.96)),
        (0.7, 1.0),
        (length - 0.9, 1.0),
        (length - 0.25, u(0.88, 0.95)),
        (length, u(0.68, 0.8)),
    ]
    if style in ("van", "offroad", "pickup"):
        taper = [(0, 0.96), (0.12, 1.0), (length - 0.8, 1.0), (length - 0.2, 0.93), (length, 0.82)]
    belt_line = [(0, trunk - u(0.04, 0.12)), (lip, trunk), (max(glass_rear, 0.3), trunk), (roof_rear + 0.5, belt + u(-0.02, 0.04)),
                 (cowl, hood), (length - 0.22, (hood + nose) / 2 + 0.04), (length - 0.05, nose), (length, nose - u(0.03, 0.1))]  # fmt: skip
    roof_line = [
        (glass_rear, trunk),
        (roof_rear, back),
        (peak, height),
        (roof_front, height - u(0.01, 0.05)),
        (cowl, hood),
    ]
    if style == "pickup":
        belt_line = [
            (0, trunk - 0.03),
            (lip, trunk),
            (bed, trunk),
            (bed + 0.5, belt),
            (cowl, hood),
            (length - 0.2, nose + 0.06),
            (length, nose - 0.05),
        ]
    belt_line = sorted(belt_line)
    pillar = u(0.07, 0.12)
    doors = 2 if style in ("coupe", "city") or (style == "hatchback" and rng.random() < 0.3) else 4
    a_foot = cowl - 0.08
    b_pillar = roof_front - u(0.75, 0.95) if doors == 4 else roof_front - u(1.0, 1.2)
    sides = [(b_pillar + pillar / 2, a_foot)]
    rear_end = {"saloon": glass_rear + 0.35, "coupe": glass_rear + 0.45}.get(style, roof_rear + 0.06)
    if style == "pickup":
        rear_end = roof_rear + 0.03
    if style == "van":
        kind = rng.random()
        if kind > 0.6:  # minibus
            edges = np.linspace(roof_rear + 0.15, b_pillar - pillar / 2, int(rng.integers(3, 5)))
            sides += [(a + 0.04, b - 0.04) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        elif kind > 0.45:
            sides.append((b_pillar - 1.1, b_pillar - pillar))
    elif doors == 4 and b_pillar - rear_end > 1.3:
        c_pillar = b_pillar - u(0.75, 0.95)
        sides += [(c_pillar + 0.05, b_pillar - pillar / 2), (rear_end, c_pillar - 0.05)]
    elif b_pillar - rear_end > 0.35:
        sides.append((rear_end, b_pillar - pillar / 2))
    screens = [(roof_front + 0.06, cowl - 0.06)]
    if style != "van" or rng.random() < 0.5:
        low, high = min(glass_rear, roof_rear), max(glass_rear, roof_rear)
        screens.append((low + 0.05 * (high - low) + 0.01, high - 0.04))
    body = Body(
        length, width, belt_line, roof_line, taper, sides, screens, wheels, radius, 0.2 + 0.05 * tall, sill,
        inset=0.05 if style == "van" else (0.08 if style == "offroad" else u(0.13, 0.2)),
        rail=u(0.06, 0.1) if style != "van" else max(0.25, height - belt - u(0.55, 0.75)),
        cladding=style in ("suv", "offroad", "pickup") and rng.random() < 0.6,
        top_role="paint2" if style in ("suv", "city", "coupe") and rng.random() < 0.2 else "paint",
        flat=0.8 if style in ("van", "offroad") else 0.0,
    )  # fmt: skip
    if coarse:
        body.arch_steps, body.gap = 4, 0.22
    shape = Shape()
    add_body(shape, body)
    add_wheels(shape, wheels, width * 0.985, radius, body.wheel_width, 7 if coarse else 12, not coarse)
    _details(rng, shape, body, style, trunk, nose, belt, height, cowl, sill, roof_rear, peak, bed, coarse)
    return shape.template(style)


def _details(rng, shape, body, style, trunk, nose, belt, height, cowl, sill, roof_rear, peak, bed, coarse) -> None:
    u, length, half = rng.uniform, body.length, body.width / 2
    ends = np.interp([0.0, length], *np.array(body.taper).T) * half
    # Front: lamps, grille, intake, plate. Rear: lamps, bumper, plate.
    lamp_z = nose - u(0.1, 0.18)
    wide, tall = u(0.28, 0.45), u(0.1, 0.2)
    if style == "offroad":
        wide = tall = 0.2
    add_lamps(shape, length, 1, ends[1] * 0.98 - wide * 0.35, lamp_z, (wide, tall), "lamp_front", u(0.3, 0.6))
    shape.bevelled_box(
        (length - 0.07, 0, lamp_z - u(0, 0.05)), (0.2, ends[1] * u(0.7, 1.2), u(0.08, 0.25)), role="grille"
    )
    if rng.random() < 0.4:
        shape.box((length - 0.08, 0, lamp_z + 0.03), (0.2, ends[1] * 0.9, 0.02), role="chrome")
    shape.box((length - 0.09, 0, sill + 0.14), (0.2, ends[1] * u(1.0, 1.5), u(0.08, 0.15)), role="trim")
    if rng.random() < 0.8:
        shape.box((length + 0.012, 0, sill + 0.26), (0.04, 0.5, 0.11), role="plate")
    tail_z = trunk - u(0.12, 0.28)
    if style in ("hatchback", "suv", "estate", "minivan", "city", "van", "offroad") and rng.random() < 0.65:
        size = (u(0.14, 0.24), u(0.3, 0.55))
    else:
        size = (u(0.26, 0.5), u(0.12, 0.2))
    add_lamps(
        shape, 0.0, -1, ends[0] - size[0] * 0.42, max(tail_z - size[1] * 0.2, sill + 0.4), size, "lamp_rear", 0.34
    )
    if rng.random() < 0.2:
        shape.box((0.05, 0, tail_z + 0.05), (0.13, ends[0] * 1.5, 0.04), role="lamp_rear")
    plate_z = u(0.55, 0.62) if rng.random() < 0.4 else tail_z
    shape.box((-0.012, 0, plate_z), (0.04, 0.5, 0.11), role="plate")
    shape.bevelled_box(
        (0.07, 0, sill + 0.12), (0.2, ends[0] * 1.7, 0.2), role="trim" if rng.random() < 0.7 else "paint"
    )
    if rng.random() < 0.5:
        shape.box((-0.005, 0, sill + 0.34), (0.06, ends[0] * 1.6, 0.03), role="trim")
    if coarse:
        return
    # Mirrors, door lines and handles.
    mirror_x = cowl - u(0.25, 0.4)
    mirror = [(mirror_x, s * (half - 0.02), belt + 0.06) for s in (1, -1)]
    shape.box(mirror, (0.12, 0.18, 0.14), role="paint" if rng.random() < 0.7 else "trim")
    for low, high in body.sides:
        if high - low > 0.4:
            for s in (1, -1):
                shape.box(
                    (low + 0.12, s * (half - 0.005), belt - u(0.1, 0.14)),
                    (0.2, 0.03, 0.03),
                    role="trim" if rng.random() < 0.5 else "chrome",
                )
                shape.box(
                    (low - 0.04, s * (half - 0.012), (belt + sill) / 2 + 0.05),
                    (0.012, 0.03, (belt - sill) * 0.8),
                    role="trim",
                )
    if style in ("suv", "estate", "minivan", "offroad") and rng.random() < 0.5:
        shape.box(
            [((roof_rear + peak) / 2, s * half * 0.66, height + 0.04) for s in (1, -1)],
            (abs(peak - roof_rear) * 0.9, 0.04, 0.05),
            role="chrome",
        )
    if style in ("suv", "estate", "van", "hatchback") and rng.random() < 0.08:
        shape.bevelled_box(((roof_rear + peak) / 2, 0, height + 0.24), (1.7, 0.8, 0.36), bevel=0.25, role="paint2")
    if style == "pickup":  # open bed: a dark floor below the rim reads as a hole from eye height
        shape.box((bed / 2 + 0.05, 0, trunk + 0.012), (bed - 0.16, body.width * 0.78, 0.03), role="trim")
        if rng.random() < 0.3:
            shape.bevelled_box((bed / 2, 0, trunk + 0.2), (bed * 0.8, body.width * 0.7, 0.4), role="cargo2")
    if style == "offroad" and rng.random() < 0.7:
        shape.tube((-0.2, 0, belt * 0.85), (-0.01, 0, belt * 0.85), 0.62, sides=14, role="tyre")
    if style == "van" and rng.random() < 0.2:
        shape.box(
            [(length * 0.4, s * half * 0.6, height + 0.06) for s in (1, -1)], (length * 0.6, 0.05, 0.06), role="metal"
        )
    if rng.random() < 0.25:
        shape.box((roof_rear + 0.3, 0, height + 0.05), (0.2, 0.04, 0.08), role="trim")


for _style in _STYLES:
    maker(_style)(lambda rng, variant, _style=_style: _car(rng, _style))
    maker(_style + "_far")(lambda rng, variant, _style=_style: _car(rng, _style, coarse=True))
