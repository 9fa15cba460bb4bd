"""Which frames a data set of the world consists of: a `Plan` turns a frame number into a scene, a viewpoint and a picture size.

A frame depends on its plan and number alone, so every worker and every process renders the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

from perception.datasets.world import render as rendering
from perception.datasets.world.classes import WORLD_VERSION
from perception.datasets.world.views import View
from perception.errors import InputError
from perception.geometry.cameras import Equirectangular

_WIDE = 3.3


@dataclass(frozen=True)
class Plan:
    """kind, style, weather: of `World`. first_seed, scenes: the seeds ``first_seed .. first_seed + scenes - 1``. size: (H, W) of the frames.
    views_per_scene: pictures of each scene. wide_share: share of blocks whose frames are street pictures about 3.3 times as wide as
    high with the same area (rooms have none). camera: "pinhole" or "panorama". degrees: horizontal field of view of a 4:3 picture.
    block: scenes in a block; all frames of a block have one size. viewpoint: of street views, "driver", "free" or None for both."""

    kind: str = "mixed"
    style: str = "mixed"
    weather: str | None = None
    first_seed: int = 0
    scenes: int = 100
    size: tuple[int, int] = (240, 320)
    views_per_scene: int = 3
    wide_share: float = 0.0
    camera: str = "pinhole"
    degrees: tuple[float, float] = (42.0, 92.0)
    truth: tuple[str, ...] = rendering.DEFAULT_TRUTH
    effects: bool = True
    block: int = 16
    viewpoint: str | None = None

    def __post_init__(self) -> None:
        rendering.World(0, self.kind, self.style, self.weather)  # raises for unknown names
        if self.camera not in ("pinhole", "panorama"):
            raise InputError(f"a world plan's camera must be 'pinhole' or 'panorama', found {self.camera!r}")
        if self.viewpoint not in (None, "driver", "free"):
            raise InputError(f"a world plan's viewpoint must be 'driver', 'free' or None, found {self.viewpoint!r}")
        if min(self.size) < 16 or self.scenes < 1 or self.views_per_scene < 1 or self.block < 1:
            raise InputError(
                "a world plan needs pictures of at least 16 pixels a side and at least one scene, view and block, found "
                f"size {self.size}, {self.scenes} scenes, {self.views_per_scene} views, blocks of {self.block}"
            )

    def __len__(self) -> int:
        return self.scenes * self.views_per_scene

    @property
    def blocks(self) -> int:
        """Number of blocks; the last one may be shorter."""
        return math.ceil(self.scenes / self.block)

    def is_wide(self, block: int) -> bool:
        """Whether a block holds wide street pictures; they are spread evenly."""
        share = self.wide_share if self.kind != "room" and self.camera == "pinhole" else 0.0
        return math.floor((block + 1) * share + 1e-9) > math.floor(block * share + 1e-9)

    def block_size(self, block: int) -> tuple[int, int]:
        """(H, W) of a block's frames."""
        if not self.is_wide(block):
            return tuple(self.size)
        height = max(32, round(math.sqrt(self.size[0] * self.size[1] / _WIDE) / 32) * 32)
        return height, round(height * _WIDE / 32) * 32

    def scene_range(self, block: int) -> range:
        """Scene numbers of a block."""
        return range(block * self.block, min((block + 1) * self.block, self.scenes))

    def locate(self, frame: int) -> tuple[int, int]:
        """Return (scene number, view number) of a frame. Raises `IndexError` outside the plan."""
        if not 0 <= frame < len(self):
            raise IndexError(f"frame {frame} is outside the plan's 0..{len(self) - 1}")
        return divmod(frame, self.views_per_scene)

    def world(self, scene: int) -> rendering.World:
        """Return the world of a scene number."""
        kind = "street" if self.is_wide(scene // self.block) else self.kind
        return rendering.World(self.first_seed + scene, kind, self.style, self.weather)

    def posed_world(self, scene: int) -> rendering.World:
        """`world`, kept while its key times are asked for one after the other."""
        return _world(self, scene)

    def views(self, world: rendering.World, scene: int) -> list[View]:
        """Return all viewpoints of a scene number."""
        size = self.block_size(scene // self.block)
        camera = Equirectangular(size[1], size[0]) if self.camera == "panorama" else None
        return world.views(self.views_per_scene, size, camera=camera, degrees=self.degrees, viewpoint=self.viewpoint)

    def frame(self, number: int) -> rendering.Frame:
        """Render one frame. The scene of the last frames is kept, so frames in order are cheapest."""
        scene, view = self.locate(number)
        world, views = _scene(self, scene)
        frame = world.render_view(views[view], truth=self.truth, effects=self.effects)
        frame.name = f"world-{world.kind}-{world.seed}-{view}"
        return frame

    def to_dict(self) -> dict:
        """Plain values, with the version of the world."""
        values = json.loads(json.dumps(asdict(self)))
        if self.viewpoint is None:
            del values["viewpoint"]  # caches made before there was a choice keep their name
        return {**values, "world_version": WORLD_VERSION}

    @property
    def digest(self) -> str:
        """Twelve hex digits that name the plan and the version of the world."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


@lru_cache(maxsize=2)
def _world(plan: Plan, scene: int) -> rendering.World:
    return plan.world(scene)


@lru_cache(maxsize=2)
def _scene(plan: Plan, scene: int) -> tuple[rendering.World, list[View]]:
    world = plan.world(scene)
    return world, plan.views(world, scene)


def make_plan(seeds: Sequence[int] | range | int = (0, 99), **options) -> Plan:
    """Build a `Plan`; seeds: ``[first, last]`` (both included), a `range` of step 1, or the number of scenes from seed 0.

    Raises `InputError` for other seeds and for unknown options.
    """
    if isinstance(seeds, int):
        seeds = range(seeds)
    if isinstance(seeds, range):
        if seeds.step != 1 or not len(seeds):
            raise InputError(f"world seeds must be a range of step 1 that is not empty, found {seeds}")
        first, count = seeds.start, len(seeds)
    else:
        values = list(seeds) if isinstance(seeds, Iterable) else []
        if len(values) != 2 or not all(isinstance(v, int) for v in values) or values[1] < values[0]:
            raise InputError(f"world seeds must be [first, last], a range or a count, found {seeds!r}")
        first, count = values[0], values[1] - values[0] + 1
    for name in ("size", "degrees", "truth"):
        if name in options:
            options[name] = tuple(options[name])
    try:
        return Plan(first_seed=first, scenes=count, **options)
    except TypeError as error:
        raise InputError(f"a world plan cannot be built from {sorted(options)}: {error}") from error
