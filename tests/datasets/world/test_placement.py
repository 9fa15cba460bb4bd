"""Nothing stands in anything else: vehicles, people, street furniture, plants, fences and buildings of 40 streets; and cameras see something."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from perception.datasets.world import World, rigs
from perception.datasets.world import street as streets
from perception.datasets.world.classes import ID
from perception.datasets.world.mesh import Mesh
from perception.datasets.world.raycast import Caster, pack_rays
from perception.datasets.world.seeding import generator
from perception.geometry.cameras import Pinhole

SEEDS = range(40)


class Built:
    """A street, taken apart: `scene`; `things`, its static shapes (furniture and plants); casters of the ground and what is built on it
    (`all`), of buildings and fences alone (`walls`), and of the plants (`greens`)."""

    def __init__(self, seed: int) -> None:
        settle, found = streets.settle, {}

        def spy(street) -> None:
            found["rest"] = street.builder.build()
            settle(street)
            found["street"] = street

        streets.settle = spy
        try:
            self.scene = streets.build_street(generator(seed, "street"), seed=seed)
        finally:
            streets.settle = settle
        self.street = street = found["street"]
        self.things = [(thing, street.pose(thing.s, thing.d, thing.z, thing.yaw)) for thing in street.standing]
        plants = Mesh.concatenate([thing.mesh.transformed(pose) for thing, pose in self.things if thing.plant])
        rest = found["rest"]
        walls = np.isin(rest.semantic, [ID["building"], ID["fence"]])
        self.all, self.walls = Caster(rest.vertices, rest.triangles), Caster(rest.vertices, rest.triangles[walls])
        self.greens = Caster(plants.vertices, plants.triangles)
        self.coupled = {frozenset(pair) for pair in self.scene.info["coupled"]}

    def boxes(self) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """(name, world_from_box (4, 4), low (3,), high (3,)) of objects, whole, and of furniture at body height, all 5 cm smaller than they are."""
        inset = np.array([0.05, 0.05, 0.0])
        found = []
        for item in self.scene.objects:
            half = np.maximum(np.array(item.size) / 2 - inset, 0.01)
            found.append((f"{item.name} {item.id}", item.pose(0.0), -half + [0, 0, 0.25], half))
        for number, (thing, pose) in enumerate(self.things):
            if not thing.plant:
                low, high = thing.low_box
                inset_here = np.minimum(inset * (7 if thing.model == "hedge" else 1), (high - low) / 3)
                found.append((f"{thing.model.split()[0]} {number}", pose, low + inset_here, high - inset_here))
        return found


@cache
def built(seed: int) -> Built:
    return Built(seed)


def probes(low: np.ndarray, high: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(45, 6) rays, origin and full length, that comb a box: five along, five across and five along a diagonal, at three heights."""
    rays = []
    for z in np.linspace(low[2], high[2] - 0.02, 3):
        for k in np.linspace(0, 1, 5):
            x, y = low[:2] + k * (high[:2] - low[:2])
            rays += [
                ((low[0], y, z), (high[0], y, z)),
                ((x, low[1], z), (x, high[1], z)),
                ((low[0], low[1], z), (high[0], y, z)),
            ]
    rays = np.array(rays) @ pose[:3, :3].T + pose[:3, 3]
    return pack_rays(rays[:, 0].astype(np.float32), (rays[:, 1] - rays[:, 0]).astype(np.float32))


def met(caster: Caster, boxes) -> list[str]:
    """Names of the boxes that a caster's surfaces enter."""
    rays = np.concatenate([probes(low, high, pose) for _, pose, low, high in boxes])
    hit = caster.any(rays, 0.0, 1.0).reshape(len(boxes), -1).any(1)
    return [name for (name, *_), bad in zip(boxes, hit, strict=True) if bad]


def pairs(street: Built) -> list[tuple[str, str]]:
    """Names of boxes that overlap; the pieces of a hedge belong together, so do a tractor and its trailer."""
    import shapely

    boxes = street.boxes()
    outlines, spans = [], []
    for _, pose, low, high in boxes:
        corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        corners = corners @ pose[:3, :3].T + pose[:3, 3]
        outlines.append(shapely.MultiPoint(corners[:, :2]).convex_hull)
        spans.append((corners[:, 2].min(), corners[:, 2].max()))
    found = []
    for i, j in shapely.STRtree(outlines).query(outlines, predicate="intersects").T:
        apart = spans[i][0] > spans[j][1] or spans[j][0] > spans[i][1]
        names = (boxes[i][0], boxes[j][0])
        hedges = all(name.startswith("hedge") for name in names)
        if i < j and not apart and not hedges and frozenset((i + 1, j + 1)) not in street.coupled:
            found.append(names)
    return found


def plants_in_walls(street: Built) -> list[str]:
    """Names of the trees and bushes whose lower middle is inside walls or fences."""
    cores = []
    for number, (thing, pose) in enumerate(street.things):
        part = thing.mesh.vertices[(thing.mesh.vertices[:, 2] > 0.3) & (thing.mesh.vertices[:, 2] < 1.8)]
        if thing.stem:  # a crown may reach over a fence
            cores.append((f"{thing.model} {number}", pose, np.array([-0.15, -0.15, 0.3]), np.array([0.15, 0.15, 1.7])))
        elif thing.plant and len(part):
            low, high = part.min(0).astype(float), part.max(0).astype(float)
            middle, half = (low + high) / 2, (high - low) / 2 * [0.6, 0.6, 0.9]  # boxes of round things
            cores.append((f"{thing.model} {number}", pose, middle - half, middle + half))
    return met(street.walls, cores) if cores else []


def afloat(street: Built) -> list[tuple[str, float]]:
    """Plants up to 65 m from the road whose foot hangs above the ground or is deep in it, with the height in metres."""
    plants = [
        (number, thing, pose) for number, (thing, pose) in enumerate(street.things) if thing.plant and abs(thing.d) < 65
    ]
    eyes = np.array([pose[:3, 3] + [0, 0, 2.0] for *_, pose in plants], np.float32)
    below, *_ = street.all.closest(pack_rays(eyes, np.tile(np.float32([0, 0, -1]), (len(eyes), 1))))
    return [
        (f"{thing.model} {number}", float(2.0 - t))
        for (number, thing, _), t in zip(plants, below, strict=True)
        if abs(t - 2.0) > 0.4
    ]


def greens_over_lanes(street: Built) -> int:
    """Number of places in the lanes, up to 2.9 m above them, through which leaves reach: lines along every lane, 0.7 m from its middle."""
    corridor, layout = street.street.corridor, street.street.layout
    s = np.arange(corridor.start + 1, corridor.end - 1, 3.0)
    lines = [
        corridor.at(s, layout.lane_centre(own, lane) + shift, z)
        for side, own in enumerate((True, False))
        for lane in range(layout.lanes[side])
        for shift in (-0.7, 0.0, 0.7)
        for z in (0.5, 1.5, 2.2, 2.9)
    ]
    rays = [pack_rays(line[:-1].astype(np.float32), np.diff(line, axis=0).astype(np.float32)) for line in lines]
    return int(street.greens.any(np.concatenate(rays), 0.0, 1.0).sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_overlaps(seed):
    pytest.importorskip("shapely")
    street = built(seed)
    boxes = street.boxes()
    assert met(street.walls, boxes) == []
    assert met(street.all, [box for box in boxes if not box[0].startswith("hedge")]) == []  # those grow on slopes
    assert met(street.greens, boxes) == []
    assert pairs(street) == []
    assert plants_in_walls(street) == []
    assert afloat(street) == []
    assert greens_over_lanes(street) == 0
    feet = np.array([pose[:2, 3] for thing, pose in street.things if thing.stem])
    if len(feet) > 1:
        apart = np.linalg.norm(feet[:, None] - feet[None], axis=-1) + 10 * np.eye(len(feet))
        assert apart.min() > 0.65


def near_share(world: World, camera: Pinhole, pose: np.ndarray, time: float) -> tuple[float, float]:
    """Distance (metres) from a camera to the nearest thing but ground, in 400 directions; share of its picture that is nearer than 1.2 m."""
    rng = np.random.default_rng(0)
    around = rng.normal(size=(400, 3)).astype(np.float32)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    posed, eye = world.scene.at(time), pose[:3, 3].astype(np.float32)
    hits = posed.cast(eye, around)
    solid = ~np.isin(hits.semantic, [ID["road"], ID["pavement"], ID["terrain"]])
    rays = camera.rays(unit=True).reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    seen = posed.cast(eye, rays)
    close = (seen.t < 1.2) & ~np.isin(seen.semantic, [ID["road"], ID["pavement"], ID["terrain"]])
    return float(hits.t[solid].min(initial=np.inf)), float(close.mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_cameras_stand_free(seed):
    world = World(seed, "street")
    world.__dict__["scene"] = built(seed).scene  # the same one, built above
    for view in world.views(3, (48, 80)):
        nearest, close = near_share(world, view.camera, view.world_from_camera, 0.0)
        assert nearest > 0.6 and close < 0.02, view.kind
    for camera in rigs.surround_rig(80, 45).cameras:
        for time in (0.0, 1.0):
            nearest, close = near_share(world, camera.model, world.ego_pose(time) @ camera.ego_from_sensor, time)
            assert nearest > 1.0 and close < 0.02, camera.name
