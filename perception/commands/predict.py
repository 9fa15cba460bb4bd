"""``perception predict``: pictures, pairs of pictures, rigs and videos to folders of results."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from perception.errors import PerceptionError


def add(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    command = commands.add_parser(
        "predict", help="predict pictures, folders of pictures or videos (as prediction.mp4) and save the results"
    )
    command.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="picture, folder of pictures, or video; for stereo and flow models pictures in pairs: LEFT RIGHT, or FRAME NEXT; for rigs their JSON file",
    )
    command.add_argument(
        "--model", default="default", help="name of the zoo (see `perception models`), folder or checkpoint"
    )
    command.add_argument("--out", default="out", help="folder for the results (default: out)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    command.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    camera = command.add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEGREES", help="horizontal field of view of the camera")
    camera.add_argument("--intrinsics", metavar="FX,FY,CX,CY", help="focal lengths and principal point in pixels")
    camera.add_argument(
        "--calib", metavar="FILE", help="KITTI calibration file of the camera; boxes are saved as KITTI lines, too"
    )
    camera.add_argument(
        "--angles",
        metavar="LEFT,RIGHT,BOTTOM,TOP",
        help="what a panorama of less than 360 x 180 degrees shows: longitudes and latitudes of its edges in degrees (write --angles=-60,...)",
    )
    command.add_argument(
        "--baseline", type=float, metavar="METRES", help="between the cameras of a stereo pair: also gives metric depth"
    )
    command.add_argument("--every", type=int, default=1, metavar="N", help="of videos: each n-th frame (default: 1)")
    command.add_argument(
        "--trust-checkpoint", action="store_true", help="allow a checkpoint to run code; only for your own files"
    )
    command.add_argument(
        "--runtime",
        choices=("torch", "onnxruntime"),
        default="torch",
        help="what runs the network; onnxruntime takes an .onnx file of `perception export`, or exports the model once",
    )
    command.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: many files by several workers, resumable (extra `ray`); finished inputs are left alone",
    )
    command.add_argument("--workers", type=int, default=2, metavar="N", help="workers of --engine ray (default: 2)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Predict every input and save the results; return the exit status, 1 where a picture could not be predicted."""
    import warnings

    for name in options.inputs:  # told before seconds of imports
        if not Path(name).exists():
            raise PerceptionError(f"the file {name!r} is not there")

    from perception.inference import load
    from perception.inference.predictor import input_files
    from perception.io import is_video

    warnings.filterwarnings("ignore", "a panorama of 360 x 180", UserWarning)  # the same sentence is printed as a note

    camera = options.calib or angles(options.angles) or intrinsics(options.intrinsics)
    videos = [Path(name) for name in options.inputs if is_video(name)]
    pictures = [name for name in options.inputs if Path(name) not in videos]
    if options.engine != "local":
        return _predict_bulk(options, input_files(pictures) if pictures else [], videos, camera)
    model = load(_weights(options), **_load_options(options))
    kind = getattr(model.model, "camera_kind", "pinhole")
    if kind == "rig":  # a file (or a folder with rig.json) holds pictures, cameras and radars of one moment
        files = [Path(name) for name in pictures]
    else:
        files = input_files(pictures) if pictures else []
    places = {file: Path(options.out) / name for file, name in _unique_names([*files, *videos]).items()}
    sources, call = _calls(options, model.name, kind, files, videos, camera)
    failures = 0
    for number, source in enumerate(sources, 1):
        file = source[0] if isinstance(source, tuple) else source
        try:
            result = model(source, **call)
        except PerceptionError as error:
            failures += 1
            print(f"perception: {error}", file=sys.stderr)
            continue
        _save(result, places[file], options.calib)
        _print_notes(file, result.notes)
        print(f"[{number}/{len(sources)}] {file} -> {places[file]}")
    for file in videos:
        _predict_video(model, file, places[file], camera, options)
    if failures:
        print(f"perception: {failures} of {len(sources)} pictures could not be predicted", file=sys.stderr)
    return 1 if failures else 0


def _calls(
    options: argparse.Namespace, model: str, kind: str, files: list[Path], videos: list[Path], camera: Any
) -> tuple[Sequence[Any], dict[str, Any]]:
    """What a model of this kind is called with: its sources one by one, and the options of every call."""
    if kind == "rig":
        if camera is not None or options.fov is not None or videos:
            raise PerceptionError(f"{model!r} takes JSON rig files, which hold their cameras; leave camera options out")
        return files, {}
    call = {"camera": camera, "fov": options.fov}
    if kind == "pair":
        from perception.inference.pair_predictor import pairs_of

        return pairs_of(files), {**call, "baseline": options.baseline}
    if options.baseline is not None:
        raise PerceptionError(f"--baseline belongs to stereo models; {model!r} takes single pictures")
    return files, call


def _save(result: Any, place: Path, calibration: str | None) -> None:
    """All parts of a result; with a calibration file, boxes as KITTI lines, too."""
    result.save(place)
    if calibration and getattr(result, "boxes3d", None) is not None:
        from perception.io.kitti import read_calibration

        result.boxes3d.to_kitti(place / "kitti.txt", read_calibration(calibration).offset())


def _print_notes(file: Path, notes: Sequence[str]) -> None:
    for note in notes:
        print(f"{file}: {note}", file=sys.stderr)


def _predict_video(model: Any, file: Path, place: Path, camera: Any, options: argparse.Namespace) -> None:
    """Write ``prediction.mp4``, as fast as its source where every frame is taken; each note of the frames is printed once."""
    from perception.drawing import SteadyLimits
    from perception.io import VideoWriter
    from perception.io.video import frame_rate
    from perception.results.base import output_folder

    place = output_folder(place)
    rate, limits = (frame_rate(file) or 10.0) / max(options.every, 1), SteadyLimits()
    notes: dict[str, None] = {}
    with VideoWriter(place / "prediction.mp4", rate) as writer:
        for number, result in enumerate(model.stream(file, camera, fov=options.fov, every=options.every), 1):
            depth = result.depth
            writer.write(result.preview(depth_limits=None if depth is None else limits(depth.depth, depth.valid)))
            notes |= dict.fromkeys(result.notes)
            print(f"\r{file}: {number} frames", end="", flush=True)
    print(f" -> {place / 'prediction.mp4'}")
    _print_notes(file, list(notes))


def _predict_bulk(options: argparse.Namespace, files: Sequence[Path], videos: Sequence[Path], camera: Any) -> int:
    from perception.inference.bulk import predict_files

    if videos:
        raise PerceptionError(f"--engine {options.engine} takes pictures, found the video {str(videos[0])!r}")
    report = predict_files(
        files,
        options.out,
        _weights(options),
        engine=options.engine,
        workers=options.workers,
        load=_load_options(options),
        call={"camera": camera, "fov": options.fov},
    )
    for error in report.failures.values():
        print(f"perception: {error}", file=sys.stderr)
    print(
        f"{report.inputs} inputs: {report.predicted} predicted, {report.finished_before} finished before, "
        f"{len(report.failures)} failed -> {report.manifest}"
    )
    return 1 if report.failures else 0


def _load_options(options: argparse.Namespace) -> dict[str, Any]:
    return {"device": options.device, "dtype": options.dtype, "trust_checkpoint": options.trust_checkpoint}


def _weights(options: argparse.Namespace) -> str:
    """What to load; for `--runtime onnxruntime` a model that is no .onnx file is exported once, into the cache."""
    if options.runtime == "torch" or options.model.endswith(".onnx"):
        return options.model
    from perception.inference import load
    from perception.inference.export import cached_export

    return str(cached_export(load(options.model, device="cpu", trust_checkpoint=options.trust_checkpoint)))


def _unique_names(files: Sequence[Path]) -> dict[Path, str]:
    """Result folder of each input: its stem, numbered where two inputs share one (in upper or lower case: file systems differ)."""
    names: dict[Path, str] = {}
    used: set[str] = set()
    for file in dict.fromkeys(files):
        candidates = chain([file.stem], (f"{file.stem}_{number}" for number in count(2)))
        names[file] = next(name for name in candidates if name.casefold() not in used)
        used.add(names[file].casefold())
    return names


def intrinsics(text: str | None) -> tuple[float, ...] | None:
    """ "fx,fy,cx,cy" in pixels. Raises `PerceptionError` for other texts, as does `angles`."""
    return None if text is None else _four(text, "--intrinsics takes four numbers fx,fy,cx,cy in pixels")


def angles(text: str | None) -> dict[str, tuple[float, ...]] | None:
    """ "left,right,bottom,top" in degrees -> what a panorama's camera takes, radians."""
    if text is None:
        return None
    found = _four(text, "--angles takes four numbers left,right,bottom,top in degrees")
    edges = tuple(math.radians(value) for value in found)
    return {"longitude": edges[:2], "latitude": edges[2:]}


def _four(text: str, takes: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise PerceptionError(f"{takes}; found {text!r}")
    return values
