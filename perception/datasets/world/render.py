"""`World`: one seed, any sensor, exact truth.

world = World(seed=7, kind="street")
frame = world.render(Pinhole.from_fov(320, 240, 70))          # one camera at a drawn viewpoint
frame.image, frame.depth, frame.boxes                         # NumPy arrays
frame.save("out"), frame.plot()                               # a result like a model's; frame.prediction() is one that models return
moment = world.render("surround", time=0.5)                   # a whole rig: cameras, LiDAR, radars
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from perception.datasets.world import camera_effects, motion_truth, rigs
from perception.datasets.world import lidar as lidar_model
from perception.datasets.world import radar as radar_model
from perception.datasets.world import truth as truths
from perception.datasets.world.classes import CATEGORIES, WORLD_VERSION
from perception.datasets.world.occupancy import Grid, occupancy
from perception.datasets.world.rendered import Frame, Moment
from perception.datasets.world.scene import Scene
from perception.datasets.world.seeding import generator
from perception.datasets.world.shading import develop, shade
from perception.datasets.world.views import View, sample_views
from perception.datasets.world.weather import WEATHERS
from perception.errors import InputError, nearest
from perception.geometry.cameras import Equirectangular, Pinhole

KINDS = ("street", "room", "mixed")
STYLES = ("plausible", "wild", "mixed")
TRUTH = ("depth", "normals", "semantic", "instance", "panoptic", "boxes", "flow", "disparity", "occupancy")
DEFAULT_TRUTH = ("depth", "normals", "semantic", "instance", "boxes")


class World:
    """A procedural scene that any sensor can look at.

    seed: any integer. kind: "street", "room" or "mixed" (the seed decides). style: "plausible", "wild" (textures and shapes without their
    usual meaning) or "mixed" (the seed decides: 25 % of rooms and 12 % of streets are wild). weather: a street's weather, None = the seed decides.
    Raises `InputError` for unknown names.
    """

    def __init__(
        self, seed: int = 0, kind: str = "street", style: str = "plausible", weather: str | None = None
    ) -> None:
        for value, known, what in ((kind, KINDS, "kind"), (style, STYLES, "style")):
            if value not in known:
                raise InputError(
                    f"a world's {what} must be one of {known}, found {value!r}.{nearest(str(value), known)}"
                )
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise InputError(f"a world's seed must be an integer, found {seed!r}")
        if weather is not None and weather not in WEATHERS:
            raise InputError(
                f"a world's weather must be one of {tuple(WEATHERS)} or None, found {weather!r}.{nearest(str(weather), WEATHERS)}"
            )
        if weather is not None and kind == "room":
            raise InputError(f"a room has no weather, found {weather!r}; leave weather out or take kind 'street'")
        self.seed = int(seed)
        if kind == "mixed":
            kind = "street" if generator(self.seed, "kind").random() < 0.5 else "room"
        if style == "mixed":
            share = 0.12 if kind == "street" else 0.25
            style = "wild" if generator(self.seed, "style").random() < share else "plausible"
        self.kind, self.style, self.weather = kind, style, weather
        self.version = WORLD_VERSION

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, kind={self.kind!r}, style={self.style!r}, weather={self.weather!r})"

    @cached_property
    def scene(self) -> Scene:
        """The scene, built when it is first needed."""
        rng = generator(self.seed, self.kind)
        if self.kind == "street":
            from perception.datasets.world.street import build_street

            return build_street(rng, self.style, self.weather, seed=self.seed)
        from perception.datasets.world.room import build_room

        return build_room(rng, self.style, seed=self.seed)

    def views(
        self,
        count: int,
        size: tuple[int, int] = (240, 320),
        time: float = 0.0,
        camera: Pinhole | Equirectangular | None = None,
        degrees: tuple[float, float] = (42.0, 92.0),
        purpose: str = "views",
        viewpoint: str | None = None,
    ) -> list[View]:
        """Return `count` viewpoints of this scene; the same ones each time. size: (H, W); see `views.sample_views`."""
        if camera is None and (len(size) != 2 or min(size) < 1):
            raise InputError(f"the size of a world's pictures must be (height, width) in pixels, found {tuple(size)}")
        return sample_views(self.scene, generator(self.seed, purpose), count, size, time, camera, degrees, viewpoint)

    def ego_pose(self, time: float) -> np.ndarray:
        """Return the 4x4 ``world_from_ego`` (float64) of the vehicle (streets) or of a slowly turning tripod (rooms) at `time`."""
        if self.scene.route is not None:
            return np.asarray(self.scene.route.pose(time), np.float64)
        x, y, z, yaw = (float(value) for value in self.scene.stations[0])
        return rigs.pose(x, y, z - 1.5, yaw + 0.3 * time)

    def render(
        self,
        rig: str | dict | rigs.Rig | Pinhole | Equirectangular = "pinhole",
        time: float = 0.0,
        truth: Iterable[str] = DEFAULT_TRUTH,
        world_from_camera: np.ndarray | None = None,
        effects: bool = True,
        flow_step: float = 0.1,
        grid: Grid | None = None,
    ) -> Frame | Moment:
        """Render a camera or a whole rig at `time` seconds.

        rig: a camera (returns a `Frame`, at the 4x4 `world_from_camera` or at the scene's first viewpoint), or a rig by name ("pinhole",
        "panorama", "stereo", "kitti", "surround"), by name and options (``{"type": "surround", "width": 704, "height": 256}``) or as a
        `rigs.Rig` (returns a `Moment`). truth: names of `TRUTH`; "occupancy" (in `grid`) and "disparity" need a rig. effects: noise,
        exposure and other traces of a real camera. flow_step: seconds to the picture that flow refers to. Raises `InputError`.
        """
        wanted = _checked_truth(truth)
        for name, value in (("time", time), ("flow_step", flow_step)):
            if not np.isfinite(value):
                raise InputError(f"{name} must be a finite number of seconds, found {value}")
        if isinstance(rig, Pinhole | Equirectangular):
            if wanted & {"occupancy", "disparity"}:
                raise InputError(
                    "occupancy and disparity are truths of a rig, found a single camera; render 'surround', 'kitti' or 'stereo'"
                )
            if world_from_camera is None:
                world_from_camera = self.views(1, (rig.height, rig.width), time, rig)[0].world_from_camera
            elif np.shape(world_from_camera) != (4, 4):
                raise InputError(f"world_from_camera must be a 4x4 matrix, found shape {np.shape(world_from_camera)}")
            return self._picture(rig, "camera", time, world_from_camera, wanted, effects, flow_step)
        rig = rigs.build_rig(rig)
        if world_from_camera is not None:
            raise InputError(
                f"rig {rig.name!r} rides on the ego pose, found world_from_camera too; pass one camera instead"
            )
        if "disparity" in wanted and not rig.stereo:
            raise InputError(f"disparity needs a stereo pair, rig {rig.name!r} has none; render 'stereo' or 'kitti'")
        return self._moment(rig, time, wanted, effects, flow_step, grid)

    def render_view(
        self, view: View, time: float = 0.0, truth: Iterable[str] = DEFAULT_TRUTH, effects: bool = True
    ) -> Frame:
        """Render one viewpoint of `views`."""
        frame = self._picture(view.camera, "camera", time, view.world_from_camera, _checked_truth(truth), effects, 0.1)
        frame.meta["view"] = view.kind
        return frame

    def video(
        self, rig: str | dict | rigs.Rig, rate_hz: float, count: int, start: float = 0.0, **options
    ) -> Iterator[Moment]:
        """Yield `count` moments at `rate_hz` from `start` seconds on; the cameras fire at that rate. Options as in `render`."""
        if not rate_hz > 0:
            raise InputError(f"a video's rate_hz must be above 0, found {rate_hz}")
        rig = rigs.build_rig(rig)
        cameras = (replace(camera, rate_hz=rate_hz, phase_s=start + camera.phase_s) for camera in rig.cameras)
        rig = replace(rig, cameras=tuple(cameras))
        for time in start + np.arange(count) / rate_hz:
            yield self.render(rig, float(time), **options)

    # parts ----------------------------------------------------------------------------------------------------------

    def _moment(self, rig: rigs.Rig, time, wanted, effects, flow_step, grid) -> Moment:
        frames = {}
        for camera in rig.cameras:
            at = camera.time(time)
            ego = self.ego_pose(at)
            after = self.ego_pose(at + flow_step) @ camera.ego_from_sensor
            frame = self._picture(
                camera.model,
                camera.name,
                at,
                ego @ camera.ego_from_sensor,
                wanted - {"occupancy"},
                effects,
                flow_step,
                after,
            )
            frame.world_from_ego = ego
            if "disparity" in wanted and rig.stereo and camera.name in rig.stereo:
                left, right = (rig.camera(name).ego_from_sensor[:3, 3] for name in rig.stereo)
                baseline = float(np.linalg.norm(left - right))
                frame.disparity = motion_truth.disparity(frame.depth, frame.valid, camera.model.fx, baseline)
            frames[camera.name] = frame
        lidars = {sensor.name: self.lidar(sensor, time) for sensor in rig.lidars}
        radars = {sensor.name: self.radar(sensor, time) for sensor in rig.radars}
        voxels = None
        if "occupancy" in wanted:
            ego = self.ego_pose(time)
            cameras = [(c.model, ego @ c.ego_from_sensor) for c in rig.cameras if isinstance(c.model, Pinhole)]
            beams = [(lidar_model.pattern(s.pattern), ego @ s.ego_from_sensor) for s in rig.lidars]
            voxels = occupancy(self.scene.at(time), ego, cameras, beams, grid or Grid())
        return Moment(time, self.ego_pose(time), frames, lidars, radars, voxels)

    def _picture(
        self, camera, name, time, world_from_camera, wanted, effects, flow_step, world_from_next=None
    ) -> Frame:
        scene, shape = self.scene, (camera.height, camera.width)
        posed = scene.at(time)
        pose = np.asarray(world_from_camera, np.float64)
        pinhole = isinstance(camera, Pinhole)
        local = (camera.rays(unit=True) if pinhole else camera.rays()).reshape(-1, 3)
        rotation = pose[:3, :3].astype(np.float32)
        directions = local @ rotation.T
        eye = pose[:3, 3].astype(np.float32)
        hits = posed.cast(eye, directions)
        spacing = 1.0 / camera.fx if pinhole else (camera.longitude[1] - camera.longitude[0]) / camera.width
        radiance = shade(posed, hits, eye, directions, spacing, shape).reshape(*shape, 3)
        # The exposure and lens of a rig's camera stay the same in all its pictures; a free camera has new ones everywhere.
        place = _digest(pose, camera) if world_from_next is None else (camera.width, camera.height)
        rng = generator(self.seed, f"camera {name}", *place)
        exposure = scene.lighting.exposure
        image = camera_effects.apply(radiance, rng, exposure) if effects else develop(radiance, exposure)
        frame = Frame(name, float(time), camera, pose, image)
        frame.meta.update(seed=self.seed, kind=self.kind, style=self.style, weather=scene.weather, version=self.version)
        valid = hits.valid.reshape(shape)
        frame.valid = valid
        if wanted & {"depth", "disparity"}:
            distance = np.where(hits.valid, hits.t, np.float32(0))
            frame.range = distance.reshape(shape)
            frame.depth = (distance * local[:, 2]).reshape(shape) if pinhole else frame.range
        if "normals" in wanted:
            frame.normals = (hits.normal @ rotation).reshape(*shape, 3)
        if wanted & {"semantic", "panoptic"}:
            frame.semantic = hits.semantic.reshape(shape)
        if wanted & {"instance", "panoptic", "boxes"}:
            frame.instance = hits.instance.reshape(shape)
        if "panoptic" in wanted:
            frame.panoptic = panoptic(frame.semantic, frame.instance)
        if "boxes" in wanted:
            frame.boxes = truths.camera_boxes(scene, time, camera, pose, frame.instance)
        if "flow" in wanted:
            other = pose if world_from_next is None else world_from_next
            motion = motion_truth.flow(scene, hits, camera, time, time + flow_step, camera, pose, other)
            frame.flow, frame.flow_valid, frame.scene_flow = motion["flow"], motion["flow_valid"], motion["scene_flow"]
        return frame

    def lidar(self, sensor: rigs.Lidar, time: float) -> lidar_model.LidarScan:
        """Return the turn of a LiDAR that ends nearest to `time`."""
        at = sensor.time(time)
        table = self.scene.materials.arrays
        scan = lidar_model.scan(
            self.scene.at(at),
            table.lidar_reflectance,
            self.ego_pose(at) @ sensor.ego_from_sensor,
            lidar_model.pattern(sensor.pattern),
            generator(self.seed, f"lidar {sensor.name}", round(at * 1000)),
            float(self.scene.lighting.wetness),
        )
        scan.name, scan.time = sensor.name, at
        return scan

    def radar(self, sensor: rigs.Radar, time: float) -> radar_model.RadarScan:
        """Return the measurement of a radar nearest to `time`."""
        at = sensor.time(time)
        motion = {}
        for item in self.scene.objects:
            world_from_object = item.pose(at)
            heading = float(np.arctan2(world_from_object[1, 0], world_from_object[0, 0]))
            motion[item.id] = (item.velocity(at).astype(np.float64), heading)
        scan = radar_model.scan(
            self.scene.at(at),
            self.scene.materials.arrays.radar_class,
            self.ego_pose(at) @ sensor.ego_from_sensor,
            rigs.point_velocity(self.ego_pose, sensor.ego_from_sensor, at),
            motion,
            generator(self.seed, f"radar {sensor.name}", round(at * 1000)),
            radar_model.RadarModel(field_of_view=sensor.field_of_view, max_range=sensor.max_range),
        )
        scan.name, scan.time = sensor.name, at
        return scan


def _checked_truth(truth: Iterable[str]) -> frozenset[str]:
    if isinstance(truth, str):
        raise InputError(f"truth must be a list of names of {TRUTH}, found the text {truth!r}; write ({truth!r},)")
    wanted = frozenset(truth)
    for name in sorted(wanted - set(TRUTH)):
        raise InputError(f"truth {name!r} is not known, only {TRUTH}.{nearest(str(name), TRUTH)}")
    return wanted


_THING = np.zeros(256, bool)
_THING[[category.id for category in CATEGORIES if category.thing]] = True


def panoptic(semantic: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Return (H, W) int32 segments: ``category * 100000 + instance`` for things, ``category * 100000`` for stuff."""
    return semantic.astype(np.int32) * 100000 + np.where(_THING[semantic], instance, 0).astype(np.int32)


def _digest(pose: np.ndarray, camera) -> tuple[int, ...]:
    """Return integers that name a camera and its place, so that each picture has noise of its own."""
    places = np.round(pose[:3].ravel() * 1e4).astype(np.int64) & 0xFFFFFFFF
    return (int(np.bitwise_xor.reduce(places * np.arange(1, 25, 2)) & 0xFFFFFFFF), camera.width, camera.height)
