"""Where a drive comes from: a street of the world, with its truth, or a visitor's own archive."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from app.jobs.common import Say, silent
from app.jobs.surround.archive import read_rig_archive
from perception.errors import InputError
from perception.geometry.rig import Rig

SIZE = (96, 264)  # (H, W) of the world's pictures: 3 moments in about 3 s of one core
MOMENTS, MAX_MOMENTS, MAX_SEED = 3, 6, 10**9
GRID = {"lower": (-40.0, -40.0, -1.0), "voxel": 0.8, "shape": (100, 100, 8)}
_SCENES: OrderedDict[tuple, Scene] = OrderedDict()
_SCENES_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """Moments in order of time; the truth is None for uploads. `voxels`: number of a moment -> its true occupancy, made when it is asked for.

    `code`: the Python lines that make ``rigs`` again.
    """

    name: str
    rigs: Sequence[Rig]
    truth: Sequence[Any] | None = None
    voxels: Callable[[int], Any] | None = None
    code: str = ""


def world_scene(seed: int, weather: str | None = None, moments: int = MOMENTS, say: Say = silent) -> Scene:
    """Render `moments` key frames, 0.5 s apart, of the street with this seed. The last four scenes are kept. Raises `InputError`."""
    if not (isinstance(seed, (int, float)) and float(seed).is_integer() and 0 <= seed <= MAX_SEED):
        raise InputError(f"the seed must be a whole number from 0 to {MAX_SEED}; found {seed}")
    if not 1 <= moments <= MAX_MOMENTS:
        raise InputError(f"a scene has 1 to {MAX_MOMENTS} moments here; found {moments}")
    key = (int(seed), weather, int(moments))
    with _SCENES_LOCK:
        if key in _SCENES:
            _SCENES.move_to_end(key)
            return _SCENES[key]
    say(0.1, "Building the street and looking around")
    from perception.datasets.world_rig import WorldRig
    from perception.inference.rig_inputs import rig_from_sample
    from perception.results import Boxes3DResult

    options = {"frames": int(moments), "size": SIZE, "depth": False, "weather": weather}
    data = WorldRig(seeds=(key[0], key[0]), **options)
    samples = [data[i] for i in range(len(data))]
    truth = [
        Boxes3DResult(
            sample["boxes3d"].numpy(),
            sample["labels3d"].numpy(),
            frame="ego",
            class_names=data.classes,
            velocity=sample["velocity"].numpy(),
            track_ids=sample["track_ids"].numpy(),
        )
        for sample in samples
    ]
    mood = "" if weather is None else f", weather={weather!r}"
    code = (
        "from perception.inference.rig_inputs import rig_from_world\n"
        f"rigs = [rig_from_world({key[0]}, frame, size={SIZE}{mood}) for frame in range({key[2]})]\n"
    )
    rigs = [rig_from_sample(sample) for sample in samples]
    scene = Scene(f"world street {key[0]}", rigs, truth, partial(true_voxels, key[0], weather), code)
    with _SCENES_LOCK:
        _SCENES[key] = scene
        while len(_SCENES) > 4:
            _SCENES.popitem(last=False)
    return scene


@lru_cache(maxsize=24)
def true_voxels(seed: int, weather: str | None, moment: int) -> Any:
    """The occupancy of a moment of `world_scene`, as `WorldRig` gives it: a third of the rendering's time, so only who looks at it pays."""
    from perception.datasets.world.occupancy import Grid, occ3d_labels, occupancy
    from perception.datasets.world_rig import PERIOD, START
    from perception.results import OccupancyResult

    grid, when = Grid(GRID["lower"], GRID["voxel"], GRID["shape"]), START + PERIOD * moment
    with _SCENES_LOCK:  # a world keeps what it has posed: one thread at a time
        world = _street(seed, weather)
        found = occupancy(world.scene.at(when), world.ego_pose(when), [], [], grid)
    return OccupancyResult(occ3d_labels(found.semantics), grid.lower, (grid.voxel,) * 3)


@lru_cache(maxsize=2)
def _street(seed: int, weather: str | None) -> Any:
    from perception.datasets.world import World

    return World(seed, "street", "plausible", weather)


def uploaded_scene(archive: str | Path | None, folder: Path, max_pixels: int = 24_000_000) -> Scene:
    """The moments in an uploaded ZIP, see `archive`. Raises `InputError`."""
    rigs = read_rig_archive(archive, folder, max_pixels)
    code = (
        "from pathlib import Path\n"
        "from perception.inference.rig_inputs import rig_from_json\n"
        'rigs = [rig_from_json(path) for path in sorted(Path("rig").glob("*.json"))]  # the unpacked archive\n'
    )
    return Scene(rigs[0].scene or rigs[0].name or "uploaded rig", rigs, code=code)
