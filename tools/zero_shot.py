"""Depth models on real frames with ground truth, beside a constant and the vertical prior, under every alignment; one table.

python tools/zero_shot.py dpt-world-tiny --nyu NYU_FOLDER --kitti KITTI_DEPTH_FOLDER
python tools/zero_shot.py work_dirs/a/export work_dirs/b/export --folder photos_with_depth --preset nyu_full --prior own room
python tools/zero_shot.py dpt-world-tiny --data '{"type": "NYUv2", "root": "nyu", "split": "test"}' --preset nyu_eigen
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command

# option -> reader and protocol; small folders of KITTI are no benchmark split, and NYU-like cameras have no white border to crop
READERS = {
    "nyu": ("NYUv2Folder", "nyu_full", "NYU-like picture folder: rgb_N.jpg with sync_depth_N.png ..."),
    "kitti": (
        "KittiDepth",
        "kitti_eigen_garg",
        "KITTI depth: image_02/ with groundtruth/ and intrinsics.json, or the benchmark's layout",
    ),
    "folder": ("ImageFolder", "none", "plain folder: NAME/image.jpg, NAME/depth.png, NAME/meta.json"),
}
WORLD = {"type": "World", "style": "plausible", "size": [144, 192], "truth": ["depth"]}
PRIORS = {"room": [900000, 900099], "street": [910000, 910099]}  # seeds that no recipe trains on


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names of the zoo, published folders, checkpoints")
    for option, (reader, preset, text) in READERS.items():
        help = f"{text} (reader {reader}, preset {preset})"
        parser.add_argument(f"--{option}", nargs="+", action="extend", default=[], metavar="DIR", help=help)
    parser.add_argument(
        "--data", nargs="+", action="extend", default=[], metavar="JSON", help="any data set with depth, as in a recipe"
    )
    parser.add_argument("--preset", help="depth protocol of all sets; default: the reader's")
    parser.add_argument("--align", nargs="+", metavar="A", help="default: none median affine-log affine-disparity")
    parser.add_argument(
        "--prior",
        nargs="+",
        default=["own"],
        metavar="P",
        help="what the opponents are fitted on: own (the evaluated frames, the default), room or street (100 frames of the world), "
        "or a JSON file of a prior",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N evenly spread frames of each set")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", metavar="OUT", help="write all metrics to this file")
    parser.add_argument("--trust-checkpoint", action="store_true", help="open checkpoints that may run code")
    return parser.parse_args(arguments)


def data_sets(options: argparse.Namespace) -> list[tuple[str, dict[str, Any], str]]:
    """(name, data set configuration, preset) of everything that was asked for."""
    from perception.errors import InputError

    found = [
        (f"{option} {Path(root).name}", {"type": reader, "root": root}, preset)
        for option, (reader, preset, _) in READERS.items()
        for root in getattr(options, option)
    ]
    for text in options.data:
        try:
            config = dict(json.loads(text))
        except (ValueError, TypeError) as error:
            raise InputError(
                f'--data takes a JSON object such as {{"type": "NYUv2", "root": "nyu"}}; found {text!r}'
            ) from error
        found.append((str(config.get("type")), config, "none"))
    if not found:
        raise InputError("no frames to evaluate on: give --nyu, --kitti, --folder or --data")
    return [(name, config, options.preset or preset) for name, config, preset in found]


def fitted_priors(names: list[str]) -> dict[str, Any]:
    """Name in the table -> what `fit_prior` takes, the world's already fitted."""
    from perception.evaluation.baselines import fit_prior
    from perception.inference.zero_shot import OWN

    priors: dict[str, Any] = {}
    for name in names:
        if name == "own":
            priors[OWN] = None
        elif name in PRIORS:
            priors[f"world, {name}"] = fit_prior({**WORLD, "kind": name, "seeds": PRIORS[name], "frames": 100}, [])
        else:
            priors[Path(name).name] = fit_prior(name, [])
    return priors


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)

    def body() -> int:
        from torch.utils.data import Subset

        import perception
        from perception.datasets.registry import build_dataset
        from perception.engine.progress import progress
        from perception.inference.zero_shot import ALIGNMENTS, zero_shot
        from perception.io.atomic import atomic_write

        sets = [(name, build_dataset(config), preset) for name, config, preset in data_sets(options)]
        priors = fitted_priors(options.prior)
        models = {
            name: perception.load(name, options.device, "auto", options.trust_checkpoint) for name in options.models
        }
        results = []
        for name, frames, preset in sets:
            if options.limit and len(frames) > options.limit:
                step = len(frames) / options.limit
                frames = Subset(frames, [int(i * step) for i in range(options.limit)])
            bar = lambda items: progress(items, name, len(items))  # noqa: B023, E731
            found = zero_shot(models, name, frames, preset, options.align or ALIGNMENTS, priors, bar)
            print(found.table(), end="\n\n", flush=True)
            results.append({"name": name, "protocol": found.protocol, "frames": found.frames, "rows": found.rows})
        if options.json:
            with atomic_write(options.json) as file:
                file.write((json.dumps(results, indent=1) + "\n").encode())
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
