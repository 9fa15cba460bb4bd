"""Streets from a seed: `build_street` chooses a setting, lays the road and lets the generators fill it.

A street runs along a curved corridor (`road.py`) from about s = -50 to s = 165 m; the ego vehicle starts at s = 0 in one of the lanes.
Own parts: `roadside.py` (parcels), `kerbside.py` (furniture), `traffic.py`, `parking.py`, `crowd.py`, `weather.py` (light).
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.classes import ID, IGNORE
from perception.datasets.world.corridor import Corridor, Layout
from perception.datasets.world.crowd import people
from perception.datasets.world.greenery import Greens
from perception.datasets.world.kerbside import line_kerb
from perception.datasets.world.lighting import Lamps, Lighting
from perception.datasets.world.materials import MaterialTable
from perception.datasets.world.palette import Kit
from perception.datasets.world.parking import fill_parking, road_works
from perception.datasets.world.placing import Street
from perception.datasets.world.road import Surfaces, build_road
from perception.datasets.world.roadside import line_roadside
from perception.datasets.world.scene import Route, Scene
from perception.datasets.world.settling import settle
from perception.datasets.world.shapes import unit_bevelled_box, unit_box, unit_cylinder, unit_gable, unit_sphere
from perception.datasets.world.traffic import cross_traffic, fill_lanes
from perception.datasets.world.weather import WEATHERS, pick_weather, street_lighting, wild_lighting
from perception.errors import InputError, nearest

SETTINGS = {"city": 0.30, "residential": 0.28, "boulevard": 0.12, "rural": 0.14, "industrial": 0.08, "downtown": 0.08}
STYLES = ("plausible", "wild")


def build_street(
    rng: np.random.Generator,
    style: str = "plausible",
    weather: str | None = None,
    setting: str | None = None,
    seed: int = 0,
) -> Scene:
    """One street of about 215 m.

    style: "plausible" or "wild". weather: a name of `weather.WEATHERS`, setting: a name of `SETTINGS`; None = random. seed is noted in
    the scene; every random number comes from `rng`. Raises InputError for unknown names.
    """
    for name, value, known in (
        ("style", style, STYLES),
        ("weather", weather, WEATHERS),
        ("setting", setting, SETTINGS),
    ):
        if value is not None and value not in known:
            raise InputError(
                f"street {name} {value!r} is unknown, expected one of {', '.join(known)}.{nearest(value, known)}"
            )
    weather = weather or pick_weather(rng)
    names = tuple(SETTINGS)
    setting = setting or names[int(rng.choice(len(names), p=np.array(list(SETTINGS.values()))))]
    materials = MaterialTable()
    night = weather in ("night", "dusk") and style != "wild"
    kit = Kit(rng, materials, style, night)
    layout = _layout(rng, setting)
    bend = {"rural": 0.008, "residential": 0.006}.get(setting, 0.003) * rng.uniform(0, 1)
    slope = {"rural": 0.05, "residential": 0.045, "city": 0.03}.get(setting, 0.02) * rng.uniform(0, 1)
    corridor = Corridor(rng, bend, slope, -50.0, 165.0)
    street = Street(rng, kit, corridor, layout, setting, weather, night)
    queue = bool(rng.random() < (0.5 if layout.lights else 0.12))
    street.lights_red = queue
    street.terrain = build_road(rng, street.builder, corridor, layout, _surfaces(kit, setting), setting == "rural")
    street.builder.semantic = ID["building"]
    greens = Greens(street)
    route = _traffic(street, queue)
    line_kerb(street, greens)
    line_roadside(street, greens)
    people(
        street,
        {"city": 7, "downtown": 9, "boulevard": 5, "residential": 2.5, "industrial": 1, "rural": 0.3}[setting]
        * rng.uniform(0.2, 1.6),
    )
    settle(street)
    if style == "wild":
        picture = kit.bank.image(kit.bank.index(kit.bank.pick(rng)))[..., :3] * rng.uniform(0.3, 1.0, 3).astype(
            np.float32
        )
        lighting = wild_lighting(rng, picture)
        _floaters(street)
    else:
        lighting = street_lighting(rng, weather)
        if night:
            _lamp_light(street, lighting)
    return Scene(
        seed,
        "street",
        style,
        weather,
        street.builder.build(),
        street.objects,
        materials,
        lighting,
        route,
        _stations(street),
        {"setting": setting, "coupled": street.coupled, "queue": queue},
        street.mobile_lamps,
    )


def _layout(rng: np.random.Generator, setting: str) -> Layout:
    u = rng.uniform
    layout = Layout(drive=-1 if rng.random() < 0.8 else 1)
    parked = rng.random
    if setting == "residential":
        layout.lane_width = u(2.6, 3.2)
        layout.parking = (u(2.1, 2.4) * (parked() < 0.65), u(2.1, 2.4) * (parked() < 0.6))
        layout.verge = u(1.0, 2.5) * (rng.random() < 0.35)
        layout.pavement = (u(1.3, 2.4), u(1.3, 2.4))
        layout.marked = rng.random() < 0.35
    elif setting == "city":
        layout.lanes = (1, 1) if rng.random() < 0.7 else (2, 2)
        layout.lane_width = u(2.9, 3.4)
        layout.parking = (u(2.1, 2.4) * (parked() < 0.75), u(2.1, 2.4) * (parked() < 0.75))
        layout.pavement = (u(2.0, 4.5), u(2.0, 4.5))
        layout.cycle = u(1.4, 2.0) * (rng.random() < 0.25)
        if rng.random() < 0.15:
            layout.angled = (rng.random() < 0.6, rng.random() < 0.6)
            layout.parking = tuple(5.2 if a else p for a, p in zip(layout.angled, layout.parking, strict=True))
    elif setting in ("boulevard", "downtown"):
        layout.lanes = (2, 2) if rng.random() < 0.7 else (3, 3)
        layout.lane_width = u(3.0, 3.5)
        layout.median = u(1.0, 5.0) if rng.random() < 0.5 else 0.0
        layout.parking = (u(2.2, 2.5) * (parked() < 0.45), u(2.2, 2.5) * (parked() < 0.45))
        layout.pavement = (u(3.0, 6.0), u(3.0, 6.0))
        layout.verge = u(1.2, 2.5) * (rng.random() < 0.3)
        layout.cycle = u(1.5, 2.2) * (rng.random() < 0.35)
    elif setting == "industrial":
        layout.lanes = (1, 1) if rng.random() < 0.6 else (2, 2)
        layout.lane_width = u(3.2, 3.7)
        layout.parking = (2.5 * (parked() < 0.4), 2.5 * (parked() < 0.3))
        layout.verge = u(1.0, 3.0) * (rng.random() < 0.5)
        layout.pavement = (u(1.2, 2.0), u(1.2, 2.0))
    else:
        layout.lanes = (1, 1) if rng.random() < 0.75 else (2, 2)
        layout.lane_width = u(2.8, 3.6)
        layout.verge = u(0.6, 2.0)
        layout.pavement = (0.0, 0.0)
        layout.kerb = 0.0
        layout.median = u(1.5, 6.0) * (layout.lanes[0] == 2) * (rng.random() < 0.6)
    if layout.kerb:
        layout.kerb = float(u(0.07, 0.17))
    layout.side_width = float(u(2.8, 4.5)) if setting != "downtown" else float(u(4.5, 7.0))
    if rng.random() < (0.35 if setting == "rural" else 0.75):
        first = float(u(25, 75))
        layout.crossings = [first] + [first + float(u(60, 90))] * (rng.random() < 0.6)
        if rng.random() < 0.4:
            layout.crossings.insert(0, float(u(-34, -22)))
    layout.lights = bool(layout.crossings) and setting in ("city", "boulevard", "downtown") and rng.random() < 0.6
    if setting != "rural" and not layout.lights and rng.random() < 0.4:
        spot = float(u(12, 60))
        if all(abs(spot - c) > layout.side_width + 9 for c in layout.crossings):
            layout.zebras = [spot]
    return layout


def _surfaces(kit: Kit, setting: str) -> Surfaces:
    rng = kit.rng
    dark = ("#4e4e50", "#6a6a6a", "#7d7b78", "#8b8986", "#5d5f63", "#948f88")
    asphalt = kit.vary(dark[int(rng.integers(len(dark)))], 0.12)
    old = kit.vary(dark[int(rng.integers(len(dark)))], 0.12)
    road = "asphalt" if rng.random() < 0.9 or setting == "rural" else ("paving", "concrete")[int(rng.integers(2))]
    walk = ("paving", "concrete", "tiles", "asphalt", "hexagons", "stone_blocks")[
        int(rng.choice(6, p=[0.45, 0.2, 0.1, 0.13, 0.06, 0.06]))
    ]
    green = kit.vary(
        ("#5c7a3a", "#6f8a44", "#7f8a50", "#4f6a34", "#98925a", "#a89a68")[
            int(rng.choice(6, p=[0.3, 0.25, 0.15, 0.15, 0.1, 0.05]))
        ],
        0.15,
    )
    lush = rng.random() < (0.88 if setting in ("rural", "residential") else 0.55)
    soil = ("soil", "gravel", "sand")[int(rng.integers(3))]
    worn = float(rng.uniform(0.45, 0.9))
    wet = {"wettable": True}
    return Surfaces(
        asphalt=kit.textured(road, asphalt, kit.vary("#55534f", 0.1), scale_m=float(rng.uniform(2.0, 4.5)) if road == "asphalt" else 1.8, roughness=0.75, lidar_reflectance=0.15, **wet),
        parking=kit.textured("paving" if rng.random() < 0.4 else "asphalt", old, roughness=0.8, lidar_reflectance=0.2, **wet),
        cycle=kit.textured("asphalt", kit.vary(("#9c4a3c", "#4a7a4a", "#6a6a6a", "#3f6a9c")[int(rng.integers(4))], 0.1), **wet),
        pavement=kit.textured(walk, kit.vary(("#a39d92", "#8d8a86", "#b8b0a2", "#9a8478", "#7f7d7a")[int(rng.integers(5))], 0.1), kit.vary("#6f6a62", 0.1), lidar_reflectance=0.25, **wet),
        kerb=kit.textured("concrete", kit.vary("#aaa69e", 0.12), **wet),
        verge=kit.textured("grass" if rng.random() < 0.85 else "soil", green),
        terrain=kit.textured("grass", green) if lush else kit.textured(soil, kit.vary("#a08c6a", 0.2)),
        white=kit.textured("concrete", (worn, worn, worn * 0.97), roughness=0.6, lidar_reflectance=0.7),
        yellow=kit.textured("concrete", kit.vary("#d8a820", 0.1), roughness=0.6, lidar_reflectance=0.6),
        patch=kit.textured("asphalt", kit.vary(tuple(0.9 * c for c in asphalt), 0.25), roughness=0.75, **wet),
        iron=kit.plain(tuple(0.45 * c for c in asphalt), roughness=0.6),
    )  # fmt: skip


def _traffic(street: Street, queue: bool) -> Route:
    """Fill the road; returns the ego vehicle's route."""
    rng, layout, corridor = street.rng, street.layout, street.corridor
    lane = int(rng.integers(layout.lanes[0]))
    speed = (
        0.0 if queue else float(rng.uniform(4, {"rural": 20, "boulevard": 14, "downtown": 12}.get(street.setting, 11)))
    )
    d = layout.lane_centre(True, lane)
    if rng.random() < 0.25:
        road_works(street)
    fill_lanes(street, lane, speed, queue)
    fill_parking(street)
    cross_traffic(street, moving=queue and layout.lights)
    path = corridor.path(d, True)
    if street.night:
        ego = Lamps.spots(
            [(2.3, s * 0.65, 0.7) for s in (1, -1)],
            np.float32([1.0, 0.93, 0.82]) * 5.0,
            (1.0, 0.0, -0.05),
            cone=0.88,
            soft=0.11,
            clearance=0.3,
        )
        street.mobile_lamps.append((0, ego))
    return Route(path, path.find(0.0), speed)


def _lamp_light(street: Street, lighting: Lighting) -> None:
    rng = street.rng
    tone = np.array(
        ((1.0, 0.62, 0.26), (1.0, 0.78, 0.5), (1.0, 0.92, 0.8), (0.85, 0.95, 1.0))[int(rng.integers(4))], np.float32
    )
    strength = float(rng.uniform(0.08, 0.22))
    # Far lamps light what is small in the picture: keep the nearest ones.
    near = sorted(street.lamps, key=lambda lamp: float(np.hypot(lamp[0][0], lamp[0][1])))[:14]
    for at, height, cone in near:
        colour = tone * strength * height**2
        lighting.lamps = lighting.lamps.joined(
            Lamps.spots(at, colour, (0, 0, -1), cone=cone, soft=0.35, radius=0.2, clearance=0.35)
        )


def _stations(street: Street) -> np.ndarray:
    """Places for hand-held cameras: on both pavements, at the kerb, in lanes; x, y, z, yaw."""
    rng, layout, corridor = street.rng, street.layout, street.corridor
    rows = []
    for k in range(8):
        sign, own = layout.sides()[k % 2]
        s = float(rng.uniform(-20, 70))
        walk = layout.pavement[0 if own else 1]
        d = (
            sign * (layout.edge(own) + layout.verge + float(rng.uniform(0.3, max(walk - 0.4, 0.5))))
            if k < 6
            else layout.lane_centre(own, 0)
        )
        for _ in range(12):
            if street.ground.free(s - 0.7, s + 0.7, d - 0.4, d + 0.4):
                break
            s += 1.7
        eye = float(rng.uniform(1.3, 1.8)) + (layout.kerb if k < 6 else 0.0)
        yaw = float(corridor.yaw(s)) + (
            float(rng.normal(0, 0.5)) if rng.random() < 0.6 else float(rng.uniform(-np.pi, np.pi))
        )
        rows.append((*corridor.at(s, d, eye), yaw))
    return np.array(rows, np.float32)


def _floaters(street: Street) -> None:
    """Wild streets: shapes that hang in the air or lie about, clear of the ego lane's first metres."""
    rng, b = street.rng, street.builder
    shapes = (unit_box(), unit_bevelled_box(), unit_sphere(2), unit_cylinder(12), unit_cylinder(9, 0.0), unit_gable())
    for _ in range(int(rng.integers(4, 30))):
        s, d = float(rng.uniform(6, 90)), float(rng.normal(0, 12))
        size = np.exp(rng.normal(-0.1, 0.7, 3))
        z = float(rng.uniform(0, 8))
        if abs(d) < 4 and z - size[2] / 2 < 3.0 and s < 18:
            continue
        b.instances(
            shapes[int(rng.integers(len(shapes)))],
            street.corridor.at(s, d, z),
            size,
            float(rng.uniform(0, 6.28)),
            material=street.kit.add(street.kit.random_material()),
            semantic=IGNORE,
        )
