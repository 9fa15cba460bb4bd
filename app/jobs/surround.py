"""Surround: a drive past six cameras and five radars, of the world or of a visitor: boxes, tracks over time, occupancy, the truth beside them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.common import Facts, Say, halved_where_too_large, megabytes, model_facts, pack, silent
from perception.drawing import canvas
from perception.drawing.colors import color_of
from perception.drawing.rig import draw_bev_of_rig, draw_cameras
from perception.errors import InputError
from perception.geometry import transforms
from perception.geometry.rig import Rig
from perception.inference import Predictor

MODEL, TRUTH = "Model", "Truth"
COLUMNS = ("Class", "Track", "Score", "Distance m", "Ahead m", "Left m", "Speed m/s", "Length m", "Width m", "Height m")
SIZE = (96, 264)  # (H, W) of the world's pictures: 3 moments in about 3 s of one core
MOMENTS, MAX_MOMENTS, MAX_SEED = 3, 6, 10**9
GRID = {"lower": (-40.0, -40.0, -1.0), "voxel": 0.8, "shape": (100, 100, 8)}
EXTENT = 52.0  # metres to each side from above
NEAR = 2.0  # metres: a found object this close to a true one of its class counts as it
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


@dataclasses.dataclass(frozen=True, eq=False)
class SurroundAnswer:
    """results: one `RigPrediction` a moment, with track ids, or None where there is no model (then the truth is all that is shown)."""

    scene: Scene
    results: Sequence[Any] | None
    model: str
    seconds: float
    facts: Facts

    @property
    def megabytes(self) -> float:
        pictures = sum(camera.image.nbytes for rig in self.scene.rigs for camera in rig.cameras) / 1e6
        return pictures + sum(megabytes(result) for result in self.results or ())

    @property
    def sides(self) -> list[str]:
        """What can be shown: the model's answer, the truth, or both."""
        return [MODEL] * (self.results is not None) + [TRUTH] * (self.scene.truth is not None)

    def side(self, wanted: str) -> str:
        """The wanted one of `sides`, or the one there is."""
        return wanted if wanted in self.sides else self.sides[0]


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
    """The moments in an uploaded ZIP, see `rig_archive`. Raises `InputError`."""
    from app.jobs.rig_archive import read_rig_archive

    rigs = read_rig_archive(archive, folder, max_pixels)
    code = (
        "from pathlib import Path\n"
        "from perception.inference.rig_inputs import rig_from_json\n"
        'rigs = [rig_from_json(path) for path in sorted(Path("rig").glob("*.json"))]  # the unpacked archive\n'
    )
    return Scene(rigs[0].scene or rigs[0].name or "uploaded rig", rigs, code=code)


def predict_surround(scene: Scene, model: Predictor | None, say: Say = silent) -> SurroundAnswer:
    """Let the model look at all moments in order, with its history and tracks. Without a model, the scene's truth is the answer.

    Where the device has too little memory, all moments are predicted once more from pictures of half the size. Raises `InputError` where there is
    neither model nor truth.
    """
    first = scene.rigs[0]
    facts: Facts = [
        ("Scene", scene.name),
        ("Moments", f"{len(scene.rigs)}, {len(first.cameras)} cameras"),
        ("Radar", "none" if first.radar_points is None else f"{len(first.radar_points)} points in the first moment"),
    ]
    if model is None:
        if scene.truth is None:
            raise InputError("no model of vehicle rigs is offered here, and an uploaded rig has no truth to show")
        return SurroundAnswer(scene, None, "", 0.0, facts)

    def look_around(divisor: int) -> list[Any]:
        results = []
        for result in model.stream(_smaller(rig, divisor) for rig in scene.rigs):
            results.append(result)
            say(0.4 + 0.5 * len(results) / len(scene.rigs), f"Moment {len(results)} of {len(scene.rigs)}")
        return results

    start = time.perf_counter()
    results, divisor = halved_where_too_large(look_around, "this rig")
    if divisor > 1:
        note = "the device has too little memory for more: predicted from pictures of half the size"
        results = [dataclasses.replace(result, notes=(*result.notes, note)) for result in results]
    seconds = time.perf_counter() - start
    return SurroundAnswer(scene, results, model.name, seconds, facts + model_facts(model, seconds))


def _smaller(rig: Rig, divisor: int) -> Rig:
    """The rig with the sides of its pictures divided."""
    if divisor == 1:
        return rig
    import cv2

    cameras = []
    for one in rig.cameras:
        size = (max(1, one.camera.width // divisor), max(1, one.camera.height // divisor))
        pixels = cv2.resize(one.image, size, interpolation=cv2.INTER_AREA)
        cameras.append(dataclasses.replace(one, image=pixels, camera=one.camera.resize(*size)))
    return dataclasses.replace(rig, cameras=cameras)


def boxes_of(answer: SurroundAnswer, moment: int, score: float, side: str) -> Any:
    """The boxes (ego frame) of the model at that score, or the true ones."""
    moment = _moment(answer, moment)
    if side == TRUTH and answer.scene.truth is not None:
        return answer.scene.truth[moment]
    if answer.results is None:
        return answer.scene.truth[moment]
    return answer.results[moment].boxes3d.above(float(score))


def voxels_of(answer: SurroundAnswer, moment: int, side: str) -> Any:
    """The occupancy, or None."""
    moment = _moment(answer, moment)
    if side == TRUTH or answer.results is None:
        return None if answer.scene.voxels is None else answer.scene.voxels(moment)
    return answer.results[moment].occupancy


def cameras_view(answer: SurroundAnswer, moment: int, score: float, side: str) -> np.ndarray:
    """(H, W, 3) uint8: the pictures around with the boxes, the view ahead in the middle of the upper row."""
    rig = answer.scene.rigs[_moment(answer, moment)]
    return draw_cameras(rig, boxes_of(answer, moment, score, side), tile_width=400, radar_in_pictures=False)


def bev_view(answer: SurroundAnswer, moment: int, score: float, side: str, height: int = 640) -> np.ndarray:
    """(height, height, 3) uint8 from above: boxes with velocities and track ids, where the tracks came from, radar points; model: true boxes in white."""
    moment = _moment(answer, moment)
    boxes = boxes_of(answer, moment, score, side)
    rig = answer.scene.rigs[moment]
    reference = answer.scene.truth[moment] if side == MODEL and answer.scene.truth is not None else None
    out = draw_bev_of_rig(rig, boxes, reference=reference, extent=EXTENT, height=height)
    for number, line in trails(answer, moment, score, side).items():
        pixels = np.array([out.shape[1] / 2, height / 2]) - line[:, [1, 0]] * (height / (2 * EXTENT))
        canvas.polylines(out, pixels[None], color_of(number), 2)
    return out


def trails(answer: SurroundAnswer, moment: int, score: float, side: str) -> dict[int, np.ndarray]:
    """Where each object of this moment was before: track id -> (K, 2) metres, in this moment's ego frame, K >= 2, the oldest first."""
    rigs = answer.scene.rigs
    if rigs[moment].global_from_ego is None:
        return {}
    ego_from_global = transforms.inverse(np.asarray(rigs[moment].global_from_ego))
    lines: dict[int, list[np.ndarray]] = {}
    for before in range(moment + 1):
        boxes, pose = boxes_of(answer, before, score, side), rigs[before].global_from_ego
        if boxes.track_ids is None or pose is None:
            continue
        centres = transforms.apply(ego_from_global @ np.asarray(pose), boxes.centres.astype(np.float64))
        for number, centre in zip(boxes.track_ids, centres, strict=True):
            if number >= 0:
                lines.setdefault(int(number), []).append(centre[:2])
    now = boxes_of(answer, moment, score, side).track_ids
    present = set() if now is None else {int(number) for number in now}
    return {number: np.array(line) for number, line in lines.items() if number in present and len(line) > 1}


def table(answer: SurroundAnswer, moment: int, score: float, side: str) -> list[list[Any]]:
    """One row an object in the order of `COLUMNS`, nearest first."""
    boxes = boxes_of(answer, moment, score, side)
    rows = []
    for i in np.argsort(np.linalg.norm(boxes.centres[:, :2], axis=1), kind="stable"):
        x, y, _ = map(float, boxes.centres[i])
        speed = float("nan") if boxes.velocity is None else float(np.hypot(*boxes.velocity[i]))
        track = "" if boxes.track_ids is None or boxes.track_ids[i] < 0 else f"#{boxes.track_ids[i]}"
        rows.append(
            [boxes.names[i], track, round(float(boxes.scores[i]), 2), round(float(np.hypot(x, y)), 1), round(x, 1)]
            + [round(y, 1), round(speed, 1) if np.isfinite(speed) else None]
            + [round(float(v), 1) for v in boxes.sizes[i]]
        )
    return rows


def found_share(answer: SurroundAnswer, moment: int, score: float) -> tuple[int, int, int]:
    """(true objects found, true objects, found in all): the model's boxes take, best first, the nearest free true one of their class within `NEAR` metres."""
    from perception.tracking.greedy import nearest_free

    boxes = boxes_of(answer, moment, score, MODEL).sorted()
    truth = boxes_of(answer, moment, 0.0, TRUTH)
    apart = np.linalg.norm(boxes.centres[:, None, :2] - truth.centres[None, :, :2], axis=-1).astype(np.float64)
    apart[(apart > NEAR) | (np.array(boxes.names)[:, None] != np.array(truth.names)[None])] = np.inf
    return int((nearest_free(apart) >= 0).sum()), len(truth), len(boxes)


def facts(answer: SurroundAnswer, moment: int, score: float, side: str) -> Facts:
    """What is shown, in words."""
    moment = _moment(answer, moment)
    boxes = boxes_of(answer, moment, score, side)
    found = ", ".join(f"{boxes.names.count(name)} {name}" for name in dict.fromkeys(sorted(boxes.names)))
    rows: Facts = [("Objects", found or "none")]
    if answer.results is not None and answer.scene.truth is not None:
        hit, true, all_ = found_share(answer, moment, score)
        rows.append(
            ("Against the truth", f"{hit} of {true} found within {NEAR:g} m, {all_ - hit} of {all_} boxes wrong")
        )
    when = answer.scene.rigs[moment].time
    if when is not None:
        rows.append(("This moment", f"{when - (answer.scene.rigs[0].time or 0.0):.2f} s after the first moment"))
    return rows + answer.facts


def notes(answer: SurroundAnswer, moment: int) -> tuple[str, ...]:
    """Sentences for the visitor."""
    if answer.results is None:
        return ("no model of vehicle rigs is offered here: what is shown is the exact truth of the scene",)
    return tuple(answer.results[_moment(answer, moment)].notes)


def summary(answer: SurroundAnswer, score: float) -> dict[str, Any]:
    """The facts and all boxes for programs."""
    side = MODEL if answer.results is not None else TRUTH
    moments = []
    for number in range(len(answer.scene.rigs)):
        entry = {
            "time": answer.scene.rigs[number].time,
            "boxes": boxes_of(answer, number, score, side).summary()["boxes"],
        }
        if answer.results is not None and answer.scene.truth is not None:
            hit, true, all_ = found_share(answer, number, score)
            entry |= {"true_objects": true, "found": hit, "wrong": all_ - hit}
        moments.append(entry)
    return {
        **{name.lower(): value for name, value in answer.facts},
        "shown": side.lower(),
        "notes": list(notes(answer, 0)),
        "moments": moments,
    }


def shape_file(answer: SurroundAnswer, moment: int, score: float, side: str, folder: Path) -> Path:
    """Write the 3D view's file: occupied voxels where they are known, else the painted ground, with the boxes, upright."""
    from app.jobs.shapes import rig_scene

    moment = _moment(answer, moment)
    boxes, voxels = boxes_of(answer, moment, score, side), voxels_of(answer, moment, side)
    return rig_scene(folder / "surround.glb", answer.scene.rigs[moment], boxes, voxels)


def write_files(answer: SurroundAnswer, score: float, folder: Path) -> list[Path]:
    """Write all moments: pictures, boxes, occupancy, the truth, and the rig itself in the format that can be uploaded; one ZIP of all comes first."""
    from perception.inference.rig_inputs import rig_to_json
    from perception.io import images

    results = folder / "results"
    for number, rig in enumerate(answer.scene.rigs):
        rig_to_json(rig, results / "rig", f"moment{number}")
        for side in answer.sides:
            own = results / f"{side.lower()}_{number}"
            own.mkdir(parents=True)
            images.write_image(own / "cameras.png", cameras_view(answer, number, score, side))
            images.write_image(own / "bev.png", bev_view(answer, number, score, side))
            boxes_of(answer, number, score, side).to_json(own / "boxes3d.json")
            voxels = voxels_of(answer, number, side)
            if voxels is not None:
                voxels.save(own)
            shape_file(answer, number, score, side, own)
    archive = pack(results, folder / "results.zip")
    return [archive, *sorted(results.glob("*_0/*"))]


def snippet(answer: SurroundAnswer, score: float, device: str = "auto") -> str:
    """The Python lines that reproduce this very result."""
    if answer.results is None:
        return "import perception\n" + answer.scene.code + "print(rigs[0])\n"
    where = "" if device == "auto" else f", device={device!r}"
    return (
        "import perception\n"
        f"{answer.scene.code}\n"
        f"model = perception.load({answer.model!r}{where})\n"
        "for result in model.stream(rigs):  # history and tracks over the moments\n"
        f"    result = result.with_parts(boxes3d=result.boxes3d.above({score:g}))\n"
        "    print(result)\n"
        '    result.save(f"out/{result.name}")  # PNG, JSON, voxels as NPZ, PLY, GLB\n'
    )


def _moment(answer: SurroundAnswer, moment: float) -> int:
    return int(np.clip(int(moment), 0, len(answer.scene.rigs) - 1))
