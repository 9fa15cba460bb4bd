"""World: a scene from a seed, what a sensor sees of it with the exact truth, a model's answer beside it with its errors, files, the Python call."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs.common import Facts, Say, megabytes, model_facts, pack, silent
from perception.drawing import depth_limits, draw_boxes3d, draw_depth
from perception.errors import InputError
from perception.geometry import Equirectangular
from perception.inference import Predictor

CAMERA, PANORAMA, SURROUND = "Camera", "Panorama", "Six cameras"
SENSORS = (CAMERA, PANORAMA, SURROUND)
KINDS, STYLES = ("street", "room"), ("plausible", "wild")
WEATHERS = ("clear", "low_sun", "cloudy", "overcast", "white", "hazy", "dusk", "night", "rain")
COLUMNS = ("Error", "Value", "Meaning")  # of the table of errors
VIEWS = ("Depth", "Normals", "Segments", "Boxes")
MAX_SEED, MAX_TIME = 10**9, 8.0
FEWEST_PIXELS = 30  # boxes with fewer visible pixels are not shown
_SIZES = {CAMERA: (480, 320), PANORAMA: (768, 384), SURROUND: (288, 162)}  # (W, H) of a picture
_WORLDS: OrderedDict[tuple, Any] = OrderedDict()
_WORLDS_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Order:
    """What to render. weather: a name of `WEATHERS`, or None: the seed decides. time: seconds along the drive; in a room the tripod turns. fov: degrees."""

    seed: int = 7
    kind: str = "street"
    style: str = "plausible"
    weather: str | None = None
    sensor: str = CAMERA
    time: float = 1.0
    fov: float = 70.0

    def __post_init__(self) -> None:
        """Raises `InputError` for anything that cannot be rendered here."""
        known = {"kind": KINDS, "style": STYLES, "sensor": SENSORS}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise InputError(f"the {name} must be one of {', '.join(choices)}; found {getattr(self, name)!r}")
        if self.weather is not None and self.weather not in WEATHERS:
            raise InputError(f"the weather must be one of {', '.join(WEATHERS)}; found {self.weather!r}")
        if self.kind == "room":
            object.__setattr__(self, "weather", None)  # which rooms do not have
        whole = isinstance(self.seed, (int, float)) and math.isfinite(self.seed) and float(self.seed).is_integer()
        if not whole or not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"the seed must be a whole number from 0 to {MAX_SEED}; found {self.seed}")
        object.__setattr__(self, "seed", int(self.seed))
        for name, low, high in (("time", 0.0, MAX_TIME), ("fov", 20.0, 130.0)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise InputError(f"the {name} must lie between {low:g} and {high:g}; found {value}")

    @property
    def rig(self) -> dict[str, Any]:
        """The sensor as `World.render` takes it."""
        width, height = _SIZES[self.sensor]
        size = {"width": width, "height": height}
        if self.sensor == PANORAMA:
            return {"type": "panorama", **size}
        if self.sensor == SURROUND:
            return {"type": "surround", **size}
        return {
            "type": "pinhole",
            **size,
            "horizontal_degrees": float(self.fov),
            "pitch": 0.08 if self.kind == "room" else 0.0,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class WorldAnswer:
    """One picture of each camera: `truths` and `results` (or None where no model was asked) are `Prediction`s with the same pictures."""

    order: Order
    names: Sequence[str]
    truths: Sequence[Any]
    results: Sequence[Any] | None
    models: tuple[str, ...]
    metrics: list[list[str]]
    facts: Facts

    @property
    def megabytes(self) -> float:
        return sum(megabytes(part) for part in (*self.truths, *(self.results or ())))

    @property
    def views(self) -> list[str]:
        """Names of `VIEWS` that there are."""
        return [name for name in VIEWS if name != "Boxes" or any(len(t.boxes3d) for t in self.truths)]


def make_world(order: Order, models: Sequence[Predictor] = (), say: Say = silent) -> WorldAnswer:
    """Render what the sensor sees, and let the models look at it: the first one that has a part (depth, boxes ...) gives it.

    Raises `InputError` where a model does not fit the sensor.
    """
    say(0.05, "Building the scene")
    start = time.perf_counter()
    with _WORLDS_LOCK:  # scenes keep what they have posed: one thread at a time
        world = _world(order)
        scene = world.scene
        say(0.2, "Casting rays")
        moment = world.render(order.rig, order.time, ("depth", "normals", "semantic", "instance", "boxes"))
        frames = [moment.frames[name] for name in _around(list(moment.frames))]
        truths = [_truth(frame) for frame in frames]
    seconds = time.perf_counter() - start
    facts: Facts = [
        ("Scene", f"{order.kind} {order.seed}, {order.style}"),
        ("Light", scene.weather.replace("_", " ")),
        ("Pictures", f"{len(frames)} x {frames[0].camera.width} x {frames[0].camera.height}"),
        ("Objects in view", str(sum(len(truth.boxes3d) for truth in truths))),
        ("Rendered in", f"{seconds:.2f} s"),
    ]
    results, metrics = None, []
    if models:
        start, results = time.perf_counter(), []
        for number, truth in enumerate(truths):
            say(0.4 + 0.4 * number / len(truths), f"Predicting with {models[0].name}")
            results.append(_predicted(truth, models))
        facts += model_facts(models[0], time.perf_counter() - start)
        say(0.85, "Measuring")
        metrics = measured(truths, results)
    return WorldAnswer(
        order, [frame.name for frame in frames], truths, results, tuple(m.name for m in models), metrics, facts
    )


def _world(order: Order) -> Any:
    from perception.datasets.world import World

    key = (order.seed, order.kind, order.style, order.weather)
    if key not in _WORLDS:
        _WORLDS[key] = World(*key)
        while len(_WORLDS) > 3:
            _WORLDS.popitem(last=False)
    _WORLDS.move_to_end(key)
    return _WORLDS[key]


def _around(names: list[str]) -> list[str]:
    """Cameras as one sees them: front left, front, front right; back left, back, back right as in a mirror."""
    order = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")
    wanted = [f"CAM_{name}" for name in order]
    return wanted if set(wanted) == set(names) else names


def _truth(frame: Any) -> Any:
    """The frame's truth as a `Prediction`, with the coarse classes that the models of this project learn."""
    from perception.datasets.world.classes import GROUP_OF, TRAINING_GROUPS
    from perception.results import SegmentationResult

    truth = frame.prediction(FEWEST_PIXELS)
    semantic = GROUP_OF[frame.semantic].astype(np.int64)
    return truth.with_parts(segmentation=SegmentationResult(semantic, class_names=TRAINING_GROUPS))


def _predicted(truth: Any, models: Sequence[Predictor]) -> Any:
    found = None
    for model in models:
        answer = model(truth.image, truth.camera)
        if found is None:
            found = answer
        else:
            found = found.with_parts(**{name: part for name, part in answer.parts.items() if name not in found.parts})
    return found


def measured(truths: Sequence[Any], results: Sequence[Any]) -> list[list[str]]:
    """Rows (what, value, meaning) of the errors over all pictures together."""
    from perception.evaluation.depth import DepthEvaluator
    from perception.evaluation.normals import NormalsEvaluator
    from perception.evaluation.segmentation import SemanticEvaluator

    rows: list[list[str]] = []
    samples = [_sample(truth, number) for number, truth in enumerate(truths)]
    if all(result.depth is not None for result in results):
        depth = DepthEvaluator("none", ["none", "median"], baselines=False)
        for sample, result in zip(samples, results, strict=True):
            depth.records[sample["meta"]["index"]] = depth.record(result.depth, sample)
        found = depth.compute()
        for alignment, words in (("none", "as it is"), ("median", "after scaling to the true median")):
            rows.append(
                [f"AbsRel, {words}", f"{found[f'{alignment}/abs_rel']:.3f}", "mean error over true depth; 0 is best"]
            )
            rows.append(
                [f"δ < 1.25, {words}", f"{found[f'{alignment}/delta1']:.1%}", "pixels within 25 %; 100 % is best"]
            )
    if all(result.normals is not None for result in results):
        normals = NormalsEvaluator(baseline=False)
        for sample, result in zip(samples, results, strict=True):
            normals.records[sample["meta"]["index"]] = normals.record(result.normals, sample)
        found = normals.compute()
        rows.append(["Normals, mean error", f"{found['mean']:.1f}°", "angle between found and true normals"])
        rows.append(["Normals within 11.25°", f"{found['within_11.25']:.1%}", "100 % is best"])
    names = truths[0].segmentation.class_names
    if all(
        result.segmentation is not None and tuple(result.segmentation.class_names) == tuple(names) for result in results
    ):
        classes = SemanticEvaluator(len(names), names=names)
        for sample, result in zip(samples, results, strict=True):
            classes.records[sample["meta"]["index"]] = classes.record(result.segmentation.semantic, sample)
        found = classes.compute()
        rows.append(["Classes, mIoU", f"{found['miou']:.1%}", "mean overlap of the classes that occur; 100 % is best"])
        rows.append(["Classes, pixels right", f"{found['pixel_accuracy']:.1%}", "100 % is best"])
    if all(result.boxes3d is not None for result in results):
        hit, true = (sum(values) for values in zip(*map(_boxes_found, truths, results), strict=True))
        rows.append(
            ["Objects found", f"{hit} of {true}", "true boxes with a found one within 2 m, any class, score above 0.3"]
        )
    return rows


def _sample(truth: Any, number: int) -> dict[str, Any]:
    """The truth as the evaluators take it."""
    normals = np.where(truth.normals.valid[..., None], truth.normals.normals, 0)
    return {
        "depth": truth.depth.depth,
        "depth_valid": truth.depth.valid,
        "normals": normals.transpose(2, 0, 1),
        "semantic": truth.segmentation.semantic,
        "meta": {"index": number},
    }


def _boxes_found(truth: Any, result: Any) -> tuple[int, int]:
    from perception.tracking.greedy import nearest_free

    found = result.boxes3d.above(0.3).sorted()
    apart = np.linalg.norm(found.centres[:, None] - truth.boxes3d.centres[None], axis=-1).astype(np.float64)
    apart[apart > 2.0] = np.inf
    return int((nearest_free(apart) >= 0).sum()), len(truth.boxes3d)


# -- pictures --------------------------------------------------------------------------------------------------------------


def image_view(answer: WorldAnswer) -> np.ndarray:
    """The pictures alone."""
    return _sheet([truth.image for truth in answer.truths])


def truth_view(answer: WorldAnswer, what: str) -> np.ndarray:
    """(H, W, 3) uint8: a view of `VIEWS` of the truth."""
    return _sheet([_drawn(answer, what, truth, truth) for truth in answer.truths])


def model_view(answer: WorldAnswer, what: str) -> np.ndarray | None:
    """The same of the model's answer, in the same colours; None where it has no such part."""
    if answer.results is None:
        return None
    tiles = [_drawn(answer, what, truth, found) for truth, found in zip(answer.truths, answer.results, strict=True)]
    return None if any(tile is None for tile in tiles) else _sheet(tiles)


def _drawn(answer: WorldAnswer, what: str, truth: Any, shown: Any) -> np.ndarray | None:
    part = {"Depth": shown.depth, "Normals": shown.normals, "Segments": shown.segmentation, "Boxes": shown.boxes3d}.get(
        what
    )
    if part is None:
        return None
    if what == "Depth":
        return draw_depth(part.depth, part.valid, unit=part.unit, limits=limits(answer))
    if what == "Boxes":
        return draw_boxes3d(truth.image, part.above(0.3), truth.camera)
    return part.preview(truth.image)


def limits(answer: WorldAnswer) -> tuple[float, float]:
    """(near, far) of the true depth of all pictures, metres: the ends of the colours."""
    every = [depth_limits(truth.depth.depth, truth.depth.valid) for truth in answer.truths]
    return min(near for near, _ in every), min(max(far for _, far in every), 100.0)


def _sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    if len(tiles) == 1:
        return np.ascontiguousarray(tiles[0])
    columns = min(3, len(tiles))
    gap = 4
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    out = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        out[top : top + height, left : left + width] = tile
    return out


def shape_file(answer: WorldAnswer, folder: Path) -> Path | None:
    """Write the true 3D of the first camera (or of the panorama) as a mesh, upright."""
    from perception.io import glb

    number = answer.names.index("CAM_FRONT") if "CAM_FRONT" in answer.names else 0
    truth = answer.truths[number]
    if not truth.depth.valid.any():
        return None
    mesh = truth.depth.mesh(truth.image, 150_000)
    whole = isinstance(truth.camera, Equirectangular)
    return glb.write_mesh_glb(folder / "truth.glb", mesh, truth.image, double_sided=not whole)


# -- words and files -------------------------------------------------------------------------------------------------------


def summary(answer: WorldAnswer) -> dict[str, Any]:
    """The facts and errors for programs."""
    return {
        "order": dataclasses.asdict(answer.order),
        **{name.lower(): value for name, value in answer.facts},
        "metrics": {name: value for name, value, _ in answer.metrics},
    }


def write_files(answer: WorldAnswer, folder: Path) -> list[Path]:
    """Write the exact truth of every picture and, beside it, the model's answer; one ZIP of all comes first."""
    from perception.results.base import write_json

    results = folder / "results"
    for number, name in enumerate(answer.names):
        answer.truths[number].save(results / "truth" / name)
        if answer.results is not None:
            answer.results[number].save(results / "model" / name)
    write_json(results / "world.json", summary(answer))
    archive = pack(results, folder / "results.zip")
    first = results / "truth" / answer.names[0]
    return [archive, results / "world.json", *sorted(path for path in first.iterdir() if path.is_file())]


def snippet(answer: WorldAnswer, device: str = "auto") -> str:
    """The Python lines that render this very scene and ask this very model."""
    order = answer.order
    mood = "" if order.weather is None else f", weather={order.weather!r}"
    lines = [
        "import perception",
        "from perception.datasets.world import World",
        "",
        f"world = World(seed={order.seed}, kind={order.kind!r}, style={order.style!r}{mood})",
        f"moment = world.render({order.rig}, time={order.time:g})",
    ]
    if answer.results is not None:
        where = "" if device == "auto" else f", device={device!r}"
        for number, name in enumerate(answer.models):
            lines.append(f"model{number or ''} = perception.load({name!r}{where})")
    lines += [
        "for name, frame in moment.frames.items():",
        '    frame.prediction().save(f"out/truth/{name}")  # exact depth, normals, segments, boxes',
    ]
    if answer.results is not None:
        lines.append("    result = model(frame.image, frame.camera)")
        for number in range(1, len(answer.models)):
            lines.append(f"    more = model{number}(frame.image, frame.camera).parts")
            lines.append(
                "    result = result.with_parts(**{part: more[part] for part in more if part not in result.parts})"
            )
        lines.append('    result.save(f"out/model/{name}")')
    return "\n".join(lines) + "\n"


def fits(order: Order, tasks: Sequence[str], name: str) -> bool:
    """Whether the model of these tasks can look through this sensor."""
    panoramic = "panorama" in tasks or name.startswith("panorama-")
    return panoramic == (order.sensor == PANORAMA)
