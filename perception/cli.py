"""``perception predict | models | backbones``: the command line.

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
        "predict", help="predict pictures, folders of pictures or videos and save the results"
    )
    predict.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder of pictures, or video")
    predict.add_argument(
        "--model", default="default", help="name of the zoo (see `perception models`), folder or checkpoint"
    )
    predict.add_argument("--out", default="out", help="folder for the results (default: out)")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    predict.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    camera = predict.add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEGREES", help="horizontal field of view of the camera")
    camera.add_argument("--intrinsics", metavar="FX,FY,CX,CY", help="focal lengths and principal point in pixels")
    predict.add_argument(
        "--trust-checkpoint", action="store_true", help="allow a checkpoint to run code; only for your own files"
    )
    predict.set_defaults(run=_predict)

    models = commands.add_parser("models", help="list the models: what they do, licence, where the weights are")
    models.add_argument("--task", help="only models that do this: depth, normals, segmentation, boxes3d, ...")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=_models)

    backbones = commands.add_parser("backbones", help="list the backbones that every head takes")
    backbones.add_argument(
        "--filter", default="*", metavar="F", help="part of a name, or a pattern such as 'convnext*'"
    )
    backbones.add_argument("--probe", action="store_true", help="build every row's network to fill in all columns")
    backbones.set_defaults(run=_backbones)
    return parser


def _predict(options: argparse.Namespace) -> int:
    from pathlib import Path

    from perception.inference import load
    from perception.inference.predictor import input_files
    from perception.io import VideoWriter, is_video

    camera = _intrinsics(options.intrinsics)
    videos = [Path(name) for name in options.inputs if is_video(name)]
    pictures = [name for name in options.inputs if Path(name) not in videos]
    files = input_files(pictures) if pictures else []
    folder = Path(options.out)
    names = _unique_names([*files, *videos])
    model = load(options.model, device=options.device, dtype=options.dtype, trust_checkpoint=options.trust_checkpoint)
    failures = 0
    for number, file in enumerate(files, 1):
        place = folder / names[file]
        try:
            result = model(file, camera, fov=options.fov)
        except PerceptionError as error:
            failures += 1
            print(f"perception: {error}", file=sys.stderr)
            continue
        result.save(place)
        print(f"[{number}/{len(files)}] {file} -> {place}")
    for file in videos:
        place = folder / names[file]
        place.mkdir(parents=True, exist_ok=True)
        with VideoWriter(place / "prediction.mp4") as writer:
            for count, result in enumerate(model.stream(file, camera, fov=options.fov), 1):
                writer.write(result.preview())
                print(f"\r{file}: {count} frames", end="", flush=True)
        print(f" -> {place / 'prediction.mp4'}")
    if failures:
        print(f"perception: {failures} of {len(files)} pictures could not be predicted", file=sys.stderr)
    return 1 if failures else 0


def _unique_names(files: Sequence) -> dict:
    """Result folder of each input: its stem, numbered where two inputs share one."""
    names, used = {}, {}
    for file in files:
        count = used[file.stem] = used.get(file.stem, 0) + 1
        names[file] = file.stem if count == 1 else f"{file.stem}_{count}"
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
    from perception.models.backbones import list_backbones
    from perception.models.backbones.facts import backbone_facts, is_known, licence_of

    names = list_backbones(options.filter if set("*?[") & set(options.filter) else f"*{options.filter}*")
    if not names:
        raise PerceptionError(f"no backbone matches {options.filter!r}")
    width = max(map(len, names))
    print(f"{'NAME':{width}}  {'PARAMS':>9}  {'STRIDES':13}  {'WEIGHTS':16}  PICTURES")
    left_out = 0
    for name in names:
        if options.probe or is_known(name) or len(names) <= _PROBED_AT_ONCE:
            facts = backbone_facts(name)
            parameters = f"{facts.parameters / 1e6:.2f}M" if facts.parameters else "-"
            row = (parameters, " ".join(map(str, facts.strides)), facts.licence, facts.rule)
        else:
            left_out += 1
            row = ("?", "?", licence_of(name), "?")
        print(f"{name:{width}}  {row[0]:>9}  {row[1]:13}  {row[2]:16}  {row[3]}", flush=True)
    if left_out:
        print(
            f"{left_out} rows with '?' were not probed: narrow the list with --filter, or add --probe (seconds a row)",
            file=sys.stderr,
        )
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
