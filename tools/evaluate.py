"""Evaluate result files without a model.

python tools/evaluate.py depth --gt DIR --pred DIR --preset nyu_eigen --align none median --gt-scale nyu
python tools/evaluate.py normals|semantic|panoptic|kitti --gt DIR --pred DIR
python tools/evaluate.py nuscenes|nuscenes-tracking --gt DATAROOT --version v1.0-mini --split mini_val --pred results.json
python tools/evaluate.py occ3d --gt DATAROOT/gts --pred DIR --split val
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command

Outcome = tuple[dict[str, Any], str]  # metrics, report


def bar(items: Iterable[Any]) -> Iterable[Any]:
    from perception.engine.progress import progress

    return progress(items, "images", len(items) if hasattr(items, "__len__") else None)


def depth(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.folders import depth_folders

    evaluator = depth_folders(
        options.gt,
        options.pred,
        options.preset,
        options.align,
        scale(options.gt_scale),
        scale(options.pred_scale),
        options.intrinsics,
        options.prior,
        not options.no_baselines,
        options.kind,
        bar,
    )
    return evaluator.compute(), evaluator.report()


def normals(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.folders import normals_folders

    evaluator = normals_folders(options.gt, options.pred, options.preset, bar)
    return evaluator.compute(), evaluator.report()


def semantic(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.folders import semantic_folders

    evaluator = semantic_folders(
        options.gt, options.pred, options.num_classes, options.ignore, options.reduce_zero, progress=bar
    )
    return {**evaluator.compute(), "iou": evaluator.per_class()}, evaluator.report()


def panoptic(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.folders import panoptic_folders

    evaluator = panoptic_folders(options.gt, options.pred, bar)
    categories = {str(key): value for key, value in evaluator.per_category().items()}
    return {**evaluator.compute(), "categories_by_id": categories}, evaluator.report()


def kitti(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.kitti import evaluate_folders, flatten_ap, format_ap

    found = evaluate_folders(options.gt, options.pred, options.classes)
    metrics = {**flatten_ap(found["ap"]), "frames": found["frames"], "missing_results": found["missing_results"]}
    note = (
        f"\n{found['missing_results']} frames have no result file and count as empty"
        if found["missing_results"]
        else ""
    )
    return metrics, format_ap(found["ap"], found["frames"]) + note


def nuscenes(options: argparse.Namespace, tracking: bool = False) -> Outcome:
    from perception.evaluation.folders import nuscenes_results

    result = nuscenes_results(options.gt, options.pred, options.version, options.split, tracking)
    return result.metrics(), result.text()


def nuscenes_tracking(options: argparse.Namespace) -> Outcome:
    return nuscenes(options, tracking=True)


def occ3d(options: argparse.Namespace) -> Outcome:
    from perception.evaluation.folders import occupancy_folders

    mask = None if options.mask == "none" else options.mask
    evaluator = occupancy_folders(options.gt, options.pred, mask, bar, options.split, options.version)
    return evaluator.compute(), evaluator.report()


def scale(text: str | None) -> float | str | None:
    """A number, or a name of `perception.io.depth_files.SCALES`."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def numbers(text: str) -> list[float]:
    values = [float(part) for part in text.split(",")]
    if len(values) != 4:
        raise argparse.ArgumentTypeError("expected fx,fy,cx,cy")
    return values


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="task", required=True, metavar="TASK")

    def add(name: str, body: Any, help: str, gt: str, pred: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help)
        command.add_argument("--gt", required=True, metavar="PATH", help=gt)
        command.add_argument("--pred", required=True, metavar="PATH", help=pred)
        command.add_argument("--json", metavar="OUT", help="write the metrics to this file")
        command.set_defaults(body=body)
        return command

    files = "folder; files belong together by name"
    command = add("depth", depth, "depth maps (.npy, 16-bit .png, .pfm, .exr)", files, files)
    command.add_argument(
        "--preset", default="none", help="none, nyu_eigen, kitti_eigen_garg, kitti_benchmark, omnifusion, unifuse, ..."
    )
    command.add_argument(
        "--align",
        nargs="+",
        metavar="A",
        help="none, median, scale[-log|-disparity], affine[-log|-disparity]; default: the preset's",
    )
    command.add_argument("--gt-scale", help="stored units a metre of 16-bit files, or nyu, kitti, matterport3d, ...")
    command.add_argument("--pred-scale", help="the same for the predictions; default: what the file says")
    command.add_argument(
        "--kind", choices=("depth", "inverse"), default="depth", help="inverse: predictions are relative 1/depth"
    )
    command.add_argument("--intrinsics", type=numbers, metavar="fx,fy,cx,cy", help="camera, for the vertical prior")
    command.add_argument(
        "--prior", metavar="JSON", help="vertical prior fitted on other frames; default: on the evaluated ones"
    )
    command.add_argument("--no-baselines", action="store_true", help="leave out the constant and the vertical prior")
    command = add("normals", normals, "normal maps (.npy, .png)", files, files)
    command.add_argument("--preset", choices=("nyu_eigen",), help="crop")
    command = add("semantic", semantic, "label maps (.png, .npy)", files, files)
    command.add_argument("--num-classes", type=int, required=True)
    command.add_argument("--ignore", type=int, default=255, help="truth label that counts nowhere (default 255)")
    command.add_argument("--reduce-zero", action="store_true", help="truth 0 is void and classes start at 1 (ADE20K)")
    coco = "COCO panoptic .json, with the PNG folder of the same name beside it"
    add("panoptic", panoptic, "panoptic segmentation in COCO's format", coco, coco)
    command = add("kitti", kitti, "KITTI object detection", "folder label_2", "folder of result files NNNNNN.txt")
    command.add_argument("--classes", nargs="+", default=["Car", "Pedestrian", "Cyclist"])
    for name, body in (("nuscenes", nuscenes), ("nuscenes-tracking", nuscenes_tracking)):
        command = add(
            name, body, f"nuScenes {'tracking' if 'tracking' in name else 'detection'}", "data root", "result .json"
        )
        command.add_argument("--version", default="v1.0-trainval")
        command.add_argument("--split", default="val")
    command = add("occ3d", occ3d, "Occ3D-nuScenes occupancy", "folder gts", "folder of .npz with 'semantics'")
    command.add_argument("--mask", choices=("camera", "lidar", "none"), default="camera")
    command.add_argument(
        "--split", help="judge its scenes alone, by the tables beside the folder gts; default: all there are"
    )
    command.add_argument("--version", default="v1.0-trainval", help="of those tables")
    return parser.parse_args(arguments)


def plain(value: Any) -> Any:
    """JSON has no NaN: an undefined metric is null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)

    def body() -> int:
        metrics, report = options.body(options)
        print(report)
        if options.json:
            from perception.io.atomic import atomic_write

            with atomic_write(options.json) as file:
                file.write((json.dumps(plain(metrics), indent=1) + "\n").encode())
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
