"""``perception predict | export | models | backbones``: the command line.

Everything heavy is imported by the command that needs it, so that ``perception --help`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from perception import __version__
from perception.errors import PerceptionError

_PROBED_AT_ONCE = 25  # rows for which `perception backbones` builds networks without being asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status. Errors that are the user's to mend are printed as one sentence."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    try:
        return options.run(options)
    except PerceptionError as error:
        print(f"perception: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("perception: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="perception", description="Depth and 3D perception from pictures.")
    parser.add_argument("--version", action="version", version=f"perception3d {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    predict = commands.add_parser(
        "predict", help="predict pictures, folders of pictures or videos (as prediction.mp4) and save the results"
    )
    predict.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="picture, folder of pictures, or video; for stereo and flow models pictures in pairs: LEFT RIGHT, or FRAME NEXT; for rigs their JSON file",
    )
    predict.add_argument(
        "--model", default="default", help="name of the zoo (see `perception models`), folder or checkpoint"
    )
    predict.add_argument("--out", default="out", help="folder for the results (default: out)")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    predict.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    camera = predict.add_mutually_exclusive_group()
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
    predict.add_argument(
        "--baseline", type=float, metavar="METRES", help="between the cameras of a stereo pair: also gives metric depth"
    )
    predict.add_argument("--every", type=int, default=1, metavar="N", help="of videos: each n-th frame (default: 1)")
    predict.add_argument(
        "--trust-checkpoint", action="store_true", help="allow a checkpoint to run code; only for your own files"
    )
    predict.add_argument(
        "--runtime",
        choices=("torch", "onnxruntime"),
        default="torch",
        help="what runs the network; onnxruntime takes an .onnx file of `perception export`, or exports the model once",
    )
    predict.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: many files by several workers, resumable (extra `ray`); finished inputs are left alone",
    )
    predict.add_argument("--workers", type=int, default=2, metavar="N", help="workers of --engine ray (default: 2)")
    predict.set_defaults(run=_predict)

    export = commands.add_parser("export", help="write a model as ONNX or torch.export program, checked against it")
    export.add_argument("model", metavar="MODEL", help="name of the zoo, folder or checkpoint")
    export.add_argument("--format", choices=("onnx", "torch-export"), default="onnx")
    export.add_argument("--out", required=True, metavar="F", help="file to write, such as model.onnx or model.pt2")
    export.add_argument(
        "--size", default="640x480", metavar="WxH", help="size of the pictures where the network cannot take any size"
    )
    export.add_argument(
        "--trust-checkpoint", action="store_true", help="allow a checkpoint to run code; only for your own files"
    )
    export.set_defaults(run=_export)

    models = commands.add_parser("models", help="list the models: what they do, licence, where the weights are")
    models.add_argument("--task", help="only models that do this: depth, normals, segmentation, boxes3d, ...")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=_models)

    backbones = commands.add_parser("backbones", help="list the backbones that every head takes")
    backbones.add_argument(
        "--filter", default="*", metavar="F", help="part of a name, or a pattern such as 'convnext*'"
    )
    backbones.add_argument(
        "--probe",
        action="store_true",
        help="build every row's network instead of reading stored facts (a second a row)",
    )
    backbones.set_defaults(run=_backbones)
    return parser


def _predict(options: argparse.Namespace) -> int:
    import warnings
    from pathlib import Path

    for name in options.inputs:  # told before seconds of imports
        if not Path(name).exists():
            raise PerceptionError(f"the file {name!r} is not there")

    from perception.drawing import SteadyLimits
    from perception.inference import load
    from perception.inference.predictor import input_files
    from perception.io import VideoWriter, is_video
    from perception.io.video import frame_rate
    from perception.results.base import output_folder

    warnings.filterwarnings("ignore", "a panorama of 360 x 180", UserWarning)  # the same sentence is printed as a note

    camera = options.calib or _angles(options.angles) or _intrinsics(options.intrinsics)
    videos = [Path(name) for name in options.inputs if is_video(name)]
    pictures = [name for name in options.inputs if Path(name) not in videos]
    folder = Path(options.out)
    if options.engine != "local":
        return _predict_bulk(options, input_files(pictures) if pictures else [], videos, camera)
    load_options = {"device": options.device, "dtype": options.dtype, "trust_checkpoint": options.trust_checkpoint}
    model = load(_exported(options) if options.runtime == "onnxruntime" else options.model, **load_options)
    kind = getattr(model.model, "camera_kind", "pinhole")
    if kind == "rig":  # a file (or a folder with rig.json) holds pictures, cameras and radars of one moment
        files = [Path(name) for name in pictures]
    else:
        files = input_files(pictures) if pictures else []
    names = _unique_names([*files, *videos])
    failures = 0
    sources: Sequence = files
    extra: dict = {"camera": camera, "fov": options.fov}
    if kind == "rig":
        if camera is not None or options.fov is not None or videos:
            raise PerceptionError(
                f"{model.name!r} takes JSON rig files, which hold their cameras; leave camera options out"
            )
        extra = {}
    if kind == "pair":
        from perception.inference.pair_predictor import pairs_of

        sources, extra = pairs_of(files), {**extra, "baseline": options.baseline}
    elif options.baseline is not None:
        raise PerceptionError(f"--baseline belongs to stereo models; {model.name!r} takes single pictures")
    for number, source in enumerate(sources, 1):
        file = source[0] if isinstance(source, tuple) else source
        place = folder / names[file]
        try:
            result = model(source, **extra)
        except PerceptionError as error:
            failures += 1
            print(f"perception: {error}", file=sys.stderr)
            continue
        result.save(place)
        if options.calib and getattr(result, "boxes3d", None) is not None:
            from perception.io.kitti import read_calibration

            result.boxes3d.to_kitti(place / "kitti.txt", read_calibration(options.calib).offset())
        for note in result.notes:
            print(f"{file}: {note}", file=sys.stderr)
        print(f"[{number}/{len(sources)}] {file} -> {place}")
    for file in videos:
        place = output_folder(folder / names[file])
        rate, limits = (frame_rate(file) or 10.0) / max(options.every, 1), SteadyLimits()
        with VideoWriter(place / "prediction.mp4", rate) as writer:
            for count, result in enumerate(model.stream(file, camera, fov=options.fov, every=options.every), 1):
                depth = result.depth
                writer.write(result.preview(depth_limits=None if depth is None else limits(depth.depth, depth.valid)))
                print(f"\r{file}: {count} frames", end="", flush=True)
        print(f" -> {place / 'prediction.mp4'}")
    if failures:
        print(f"perception: {failures} of {len(sources)} pictures could not be predicted", file=sys.stderr)
    return 1 if failures else 0


def _predict_bulk(options: argparse.Namespace, files: Sequence, videos: Sequence, camera) -> int:
    from perception.inference.bulk import predict_files

    if videos:
        raise PerceptionError(f"--engine {options.engine} takes pictures, found the video {str(videos[0])!r}")
    load_options = {"device": options.device, "dtype": options.dtype, "trust_checkpoint": options.trust_checkpoint}
    report = predict_files(
        files,
        options.out,
        _exported(options) if options.runtime == "onnxruntime" else options.model,
        engine=options.engine,
        workers=options.workers,
        load=load_options,
        call={"camera": camera, "fov": options.fov},
    )
    for error in report.failures.values():
        print(f"perception: {error}", file=sys.stderr)
    print(
        f"{report.inputs} inputs: {report.predicted} predicted, {report.finished_before} finished before, "
        f"{len(report.failures)} failed -> {report.manifest}"
    )
    return 1 if report.failures else 0


def _exported(options: argparse.Namespace) -> str:
    """The .onnx file that `--runtime onnxruntime` runs; a model that is no such file is exported once, into the cache."""
    if options.model.endswith(".onnx"):
        return options.model
    from perception.inference import load
    from perception.inference.export import cached_export

    return str(cached_export(load(options.model, device="cpu", trust_checkpoint=options.trust_checkpoint)))


def _export(options: argparse.Namespace) -> int:
    from perception.inference import load
    from perception.inference.export import export_model

    try:
        width, height = (int(part) for part in options.size.lower().split("x"))
    except ValueError:
        raise PerceptionError(f"--size takes WIDTHxHEIGHT in pixels, such as 640x480; found {options.size!r}") from None
    predictor = load(options.model, device="cpu", trust_checkpoint=options.trust_checkpoint)
    report = export_model(
        predictor.model, options.format, options.out, about=predictor.about, width=width, height=height
    )
    print(report.text)
    return 0


def _unique_names(files: Sequence) -> dict:
    """Result folder of each input: its stem, numbered where two inputs share one (in upper or lower case: file systems differ)."""
    from itertools import chain, count

    names: dict = {}
    used: set[str] = set()
    for file in dict.fromkeys(files):
        candidates = chain([file.stem], (f"{file.stem}_{number}" for number in count(2)))
        names[file] = next(name for name in candidates if name.casefold() not in used)
        used.add(names[file].casefold())
    return names


def _intrinsics(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise PerceptionError(f"--intrinsics takes four numbers fx,fy,cx,cy in pixels; found {text!r}")
    return values


def _angles(text: str | None) -> dict[str, tuple[float, ...]] | None:
    if text is None:
        return None
    import math

    try:
        values = tuple(math.radians(float(part)) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise PerceptionError(f"--angles takes four numbers left,right,bottom,top in degrees; found {text!r}")
    return {"longitude": values[:2], "latitude": values[2:]}


def _models(options: argparse.Namespace) -> int:
    from perception.inference.zoo import list_models

    rows = list_models(options.task)
    if options.json:
        keys = ("name", "tasks", "title", "licence", "address", "sha256", "card")
        print(json.dumps([{key: getattr(row, key) for key in keys} for row in rows], indent=1))
        return 0
    header = ("NAME", "TASKS", "LICENCE", "WEIGHTS", "WHAT")
    table = [header] + [(row.name, ",".join(row.tasks), row.licence, row.address, row.title) for row in rows]
    _print_table(table)
    return 0


def _backbones(options: argparse.Namespace) -> int:
    import timm

    from perception.models.backbones import facts, list_backbones

    names = list_backbones(options.filter if set("*?[") & set(options.filter) else f"*{options.filter}*")
    if not names:
        raise PerceptionError(f"no backbone matches {options.filter!r}")
    width = max(map(len, names))
    print(f"{'NAME':{width}}  {'PARAMS':>9}  {'STRIDES':13}  {'LICENCE':18}  PICTURES")
    stored = set() if options.probe else {name for name in names if facts.is_known(name)}
    left_out = 0
    for name in names:
        if name in stored or options.probe or len(names) <= _PROBED_AT_ONCE:
            found = facts.backbone_facts(name, options.probe)
            parameters = f"{found.parameters / 1e6:.2f}M" if found.parameters else "-"
            row = (parameters, " ".join(map(str, found.strides)), found.licence, found.rule)
        else:
            left_out += 1
            row = ("?", "?", facts.licence_of(name), "?")
        print(f"{name:{width}}  {row[0]:>9}  {row[1]:13}  {row[2]:18}  {row[3]}", flush=True)
    if stored and facts.table_release() != timm.__version__:
        print(
            f"parameters, strides and pictures as of timm {facts.table_release()}; --probe asks timm {timm.__version__}",
            file=sys.stderr,
        )
    if left_out:
        print(
            f"{left_out} rows with '?' were not probed: narrow the list with --filter, or add --probe", file=sys.stderr
        )
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
