"""Moving vehicles: what drives in the lanes and across."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.lighting import Lamps
from perception.datasets.world.placing import Street
from perception.datasets.world.scene import Motion, Path
from perception.datasets.world.templates import Template, template

VARIANTS = 14  # templates of each kind
_STYLES = {
    "saloon": 24,
    "hatchback": 24,
    "estate": 9,
    "suv": 20,
    "coupe": 4,
    "minivan": 6,
    "city": 5,
    "pickup": 5,
    "van": 9,
    "offroad": 3,
}
_FLEET = ["#f4f4f2", "#f4f4f2", "#c4201f", "#2f5d9e", "#f0c419", "#1b2a4c", "#274a37", "#d8891c", "#8d9196", "#7db33f"]
_BUSES = ["#c4201f", "#f0c419", "#f4f4f2", "#2f5d9e", "#5fa3c8", "#274a37", "#b9bcc0", "#8b1a1c"]
_MACHINES = ["#f0b419", "#f0b419", "#e88a10", "#d8d4c8", "#c4401f"]


def choose(rng, weights: dict[str, float]) -> str:
    mark = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        mark -= weight
        if mark < 0:
            return name
    return next(reversed(weights))


def vehicle(street: Street, kind: str | None = None) -> tuple[str, Template, tuple[float, float, float], np.ndarray]:
    """Category, template, scale and role lookup of a random vehicle of `kind` (a template kind; None = a car of any style)."""
    rng, kit = street.rng, street.kit
    kind = kind or choose(rng, _STYLES)
    shape = template(
        kind, street.variant({"bus": 12, "construction_vehicle": 24, "trailer": 16, "truck": 24}.get(kind, VARIANTS))
    )
    if kind in ("truck", "tractor", "trailer"):
        category = "trailer" if kind == "trailer" else "truck"
        cargo = kit.paint(["#f4f4f2", "#f4f4f2", "#d8d6d0", "#b9bcc0", *_FLEET])
        second = kit.textured(
            "metal" if rng.random() < 0.5 else "sign_text",
            kit.vary(_FLEET[int(rng.integers(len(_FLEET)))], 0.3),
            scale_m=2.0,
        )
        lookup = kit.roles(paint=kit.paint(_FLEET), paint2=kit.paint(_FLEET), cargo=cargo, cargo2=second)
    elif kind == "bus":
        category = "bus"
        lookup = kit.roles(
            paint=kit.paint(_BUSES), paint2=kit.paint(_BUSES), cargo2=kit.textured("poster", (1, 1, 1), scale_m=2.5)
        )
    elif kind == "construction_vehicle":
        category = kind
        lookup = kit.roles(paint=kit.paint(_MACHINES), paint2=kit.paint())
    elif kind in ("bicycle", "cyclist", "motorcycle", "motorcyclist"):
        category = "bicycle" if kind in ("bicycle", "cyclist") else "motorcycle"
        lookup = kit.person_roles() if kind.endswith("cyclist") else kit.roles()
        lookup = lookup.copy()
        from perception.datasets.world.templates import ROLE

        lookup[ROLE["frame"]] = lookup[ROLE["paint"]] = kit.paint()
    else:
        category = "car"
        lookup = kit.roles(paint=kit.paint() if kind != "van" or rng.random() < 0.5 else kit.paint(_FLEET))
    spread = 0.02 if kind in ("bicycle", "cyclist", "motorcycle", "motorcyclist") else 0.03
    scale = tuple(float(np.exp(v)) for v in rng.normal(0, (spread, spread * 0.6, spread)))
    return category, shape, scale, lookup


def lamps_of(street: Street, item, front: bool = True) -> None:
    """Headlights of a vehicle at night: two spots in the object's frame."""
    if not street.night or not front:
        return
    length, width, height = item.size
    z = -height / 2 + 0.65
    spots = Lamps.spots(
        [(length / 2 + 0.1, s * width * 0.35, z) for s in (1, -1)],
        np.float32([1.0, 0.92, 0.8]) * 3.0,
        (1.0, 0, -0.06),
        cone=0.9,
        soft=0.09,
        clearance=0.3,
    )
    street.mobile_lamps.append((item.id, spots))


class Lane:
    """A lane to fill: offset d, direction, speed of everything in it."""

    def __init__(self, street: Street, d: float, forward: bool, speed: float, own: bool) -> None:
        self.street, self.d, self.forward, self.speed, self.own = street, d, forward, speed, own
        self.path = street.corridor.path(d, forward)

    def add(self, s: float, kind: str | None = None, shift: float = 0.0) -> float:
        """Put a vehicle with its middle at s; returns the length of road it takes (0 = no room)."""
        street = self.street
        category, shape, scale, lookup = vehicle(street, kind)
        size = shape.scaled_size(scale)
        d = self.d + shift
        if not street.ground.claim(s, d, size[0] + 0.6, size[1], margin=0.1):
            return 0.0
        self._put(s, category, shape, scale, lookup, size, shift)
        if kind == "tractor":
            self._couple(s, size, "trailer")
        return size[0]

    def _put(self, s, category, shape, scale, lookup, size, shift=0.0):
        street = self.street
        way = self.path if shift == 0.0 else street.corridor.path(self.d + shift, self.forward)
        motion = Motion(path=way, start=way.find(s), speed=self.speed, lift=size[2] / 2)
        rider = shape.model.endswith(("cyclist", "rider"))
        state = (
            ("cycle.with_rider" if rider else "")
            if category in ("bicycle", "motorcycle")
            else ("vehicle.moving" if self.speed else "vehicle.stopped")
        )
        from perception.datasets.world.classes import ID

        item = street.thing(
            category, street.kit.dress(shape, ID[category], scale, lookup), size, motion, state, shape.model
        )
        lamps_of(street, item)
        return item

    def _couple(self, s, size, kind) -> None:
        """Hang a semitrailer on the tractor that was just added."""
        street = self.street
        tractor = street.objects[-1]
        back = -1 if self.forward else 1
        for _ in range(8):
            category, shape, scale, lookup = vehicle(street, kind)
            if shape.model.startswith("trailer"):
                break
        else:
            return
        length, width, height = shape.scaled_size(scale)
        at = s + back * (size[0] * 0.02 + length / 2)
        behind = s + back * (size[0] / 2 + 0.45)
        low, high = sorted((behind, at + back * (length / 2 + 0.4)))
        if high - low > 0.5 and not street.ground.free(low, high, self.d - width / 2, self.d + width / 2):
            return
        street.ground.take(low, high, self.d - width / 2, self.d + width / 2)
        street.coupled.append((tractor.id, tractor.id + 1))
        self._put(at, category, shape, scale, lookup, (length, width, height))


def fill_lanes(street: Street, ego_lane: int, ego_speed: float, queue: bool) -> None:
    """Vehicles in all lanes around the ego vehicle, which keeps s = -6 to 7 of its lane."""
    rng, layout = street.rng, street.layout
    busy = float(np.exp(rng.normal(np.log(22.0), 0.6)))  # mean gap in metres
    heavy = {"industrial": 3.0, "rural": 1.5}.get(street.setting, 1.0)
    kinds = {
        "car": 82.0,
        "truck": 5.0 * heavy,
        "tractor": 2.0 * heavy,
        "bus": 3.5,
        "motorcyclist": 3.5,
        "construction_vehicle": 0.7 * heavy,
    }
    stop = min((c for c in layout.crossings if c > 4), default=1e9) - layout.side_width - 7.0
    for own in (True, False):
        for k in range(layout.lanes[0 if own else 1]):
            ego = own and k == ego_lane
            waiting = queue and own
            speed = (
                0.0
                if waiting
                else (ego_speed if ego else ego_speed * rng.uniform(0.8, 1.25) if ego_speed else rng.uniform(5, 13))
            )
            if waiting and not own:
                speed = 0.0
            lane = Lane(street, layout.lane_centre(own, k), own, speed, own)
            if ego:
                street.ground.take(-6.5, 6.5, lane.d - layout.lane_width / 2, lane.d + layout.lane_width / 2)
            mean = busy * rng.uniform(0.6, 1.8)
            s = -42.0 + rng.exponential(mean)
            while s < 140.0:
                in_queue = waiting and 0 < s < stop
                kind = choose(rng, kinds)
                kind = None if kind == "car" else kind
                room = {"truck": 6, "tractor": 4.5, "bus": 7, "construction_vehicle": 5}.get(kind, 3)
                if waiting and stop - room < s + room < stop + 25:
                    s = stop + 25
                    continue
                taken = lane.add(s + room, kind)
                if not taken:
                    s += 4.0
                    continue
                gap = rng.uniform(0.8, 4.0) if in_queue else 3.0 + 0.45 * speed + rng.exponential(mean)
                if not in_queue and rng.random() < 0.25:
                    gap += rng.exponential(30)
                s += taken / 2 + room + gap
    if street.setting != "highway" and layout.lane_width >= 3.0:
        _edge_riders(street)


def _edge_riders(street: Street) -> None:
    """Cyclists at the edge of the carriageway or on its cycle lane."""
    rng, layout = street.rng, street.layout
    for sign, own in layout.sides():
        for _ in range(int(rng.poisson(1.6 if street.setting in ("city", "boulevard", "downtown") else 0.6))):
            edge = layout.edge(own) - layout.parking[0 if own else 1]
            d = sign * (edge - (layout.cycle / 2 if layout.cycle else 0.45))
            lane = Lane(street, d, own, float(rng.uniform(3.0, 6.5)), own)
            s = float(rng.uniform(-25, 70))
            lane.add(s, "cyclist" if rng.random() < 0.85 else "motorcyclist")


def cross_traffic(street: Street, moving: bool) -> None:
    """Vehicles in side roads: waiting at the line, or crossing while own traffic stands."""
    rng, layout = street.rng, street.layout
    from perception.datasets.world.classes import ID

    for centre in layout.crossings:
        for sign, own in layout.sides():
            if rng.random() > 0.7:
                continue
            inbound = centre + (-1 if sign > 0 else 1) * layout.side_width * 0.5 * (-layout.drive)
            d = layout.outer(own) + 2.0 + (3.0 if not moving else rng.uniform(-9, 8))
            for _ in range(int(rng.integers(1, 4))):
                category, shape, scale, lookup = vehicle(
                    street, choose(rng, {"": 85, "truck": 6, "bus": 4, "motorcyclist": 5}) or None
                )
                size = shape.scaled_size(scale)
                d += size[0] / 2
                yaw = -sign * np.pi / 2
                if street.ground.claim(inbound, sign * d, size[0], size[1], yaw):
                    mesh = street.kit.dress(shape, ID[category], scale, lookup)
                    rider = "cycle.with_rider" if category in ("bicycle", "motorcycle") else ""
                    if moving:
                        way = Path(street.corridor.at(inbound, np.linspace(sign * (d + 30), sign * (d - 110), 40)))
                        motion = Motion(path=way, start=30.0, speed=float(rng.uniform(4, 9)), lift=size[2] / 2)
                        item = street.thing(category, mesh, size, motion, rider or "vehicle.moving", shape.model)
                        d += 8
                    else:
                        item = street.thing(
                            category,
                            mesh,
                            size,
                            street.resting(inbound, sign * d, 0, yaw, size[2]),
                            rider or "vehicle.stopped",
                            shape.model,
                        )
                    lamps_of(street, item)
                d += size[0] / 2 + rng.uniform(1.5, 6)
                if moving:
                    break
