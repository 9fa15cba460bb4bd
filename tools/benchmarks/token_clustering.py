"""Time against accuracy of token clustering on the world, for a trained model with a plain vision transformer.

    python tools/benchmarks/token_clustering.py work_dirs/dpt_vit/published --kind room --scenes 900000 900019
    python tools/benchmarks/token_clustering.py --shape vits --size 518x686        # Depth Anything V2's shape, random weights: time alone

Seconds are processor seconds of one thread (they hardly depend on what else runs); every setting sees the same pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SETTINGS: tuple[dict[str, Any], ...] = (
    {"after": 0.5, "clusters": 0.7},
    {"after": 0.25, "clusters": 0.7},
    {"after": 0.25, "clusters": 0.5},
    {"after": 0.25, "clusters": 0.35},
    {"after": 0.25, "clusters": 0.5, "normalise": "nearest"},
)


def find_vit(model: Any) -> tuple[Any, Any]:
    """The plain vision transformer inside a model, and the blocks whose outputs are used (None: the last)."""
    from perception.errors import InputError

    for module in model.modules():
        if hasattr(module, "out_indices") and hasattr(getattr(module, "model", None), "blocks"):
            return module.model, module.out_indices
        if hasattr(module, "blocks") and hasattr(module, "patch_embed"):
            return module, getattr(module, "taps", None)
    raise InputError(f"{type(model).__name__} holds no plain vision transformer; token clustering is for those")


def time_shape(
    shape: str, size: tuple[int, int], settings: Sequence[dict[str, Any]], passes: int
) -> list[dict[str, Any]]:
    """Processor seconds of the Depth Anything V2 network of some size, without clustering first."""
    import torch

    from perception.models.backbones.token_clustering import TokenClustering
    from perception.models.depth_anything import DepthAnythingV2

    torch.manual_seed(0)
    model = DepthAnythingV2(shape).eval()
    image = torch.randn(1, 3, *size)
    rows = []
    for setting in ({}, *settings):
        vit, taps = find_vit(model)
        switch = TokenClustering(vit, **{"taps": taps, **setting}) if setting else None
        times = []
        with torch.inference_mode():
            for _ in range(passes):
                began = time.process_time()
                model.infer(image)
                times.append(time.process_time() - began)
        if switch is not None:
            switch.remove()
        rows.append({"setting": setting, "seconds": min(times)})
    return rows


def curve(model: Any, data: Any, settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Processor seconds a picture and mean absolute relative depth error (each picture's median aligned) of every setting."""
    import numpy as np
    import torch

    from perception.geometry import Pinhole
    from perception.models.backbones.token_clustering import TokenClustering

    samples = [data[index] for index in range(len(data))]
    rows = []
    for setting in ({}, *settings):
        vit, taps = find_vit(model)
        switch = TokenClustering(vit, **{"taps": taps, **setting}) if setting else None
        errors, seconds = [], 0.0
        for sample in samples:
            picture = sample["image"].permute(1, 2, 0).numpy()
            matrix = sample["intrinsics"]
            camera = Pinhole(
                float(matrix[0, 0]),
                float(matrix[1, 1]),
                float(matrix[0, 2]),
                float(matrix[1, 2]),
                picture.shape[1],
                picture.shape[0],
            )
            prepared = model.preprocess(picture, camera)
            with torch.inference_mode():
                began = time.process_time()
                outputs = model(**{name: value[None] for name, value in prepared.inputs.items()})
                seconds += time.process_time() - began
            depth = np.asarray(model.predict(outputs, [prepared])[0].depth.depth)
            truth, valid = sample["depth"].numpy(), sample["depth_valid"].numpy() & np.isfinite(depth)
            if not valid.any():
                continue
            depth, truth = depth[valid], truth[valid]
            depth = depth * np.median(truth) / max(np.median(depth), 1e-6)
            errors.append(float(np.mean(np.abs(depth - truth) / truth)))
        if switch is not None:
            switch.remove()
        rows.append({"setting": setting, "seconds": seconds / len(samples), "abs_rel": float(np.mean(errors))})
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure token clustering: time against accuracy.")
    parser.add_argument("model", nargs="?", help="name, folder or checkpoint of a trained model with a plain ViT")
    parser.add_argument(
        "--shape", help="instead of a model: vits, vitb ...: Depth Anything V2's network with random weights"
    )
    parser.add_argument(
        "--size", default="518x686", metavar="HxW", help="with --shape: the network's input (default: 518x686)"
    )
    parser.add_argument("--passes", type=int, default=2, help="with --shape: passes, of which the fastest counts")
    parser.add_argument("--kind", default="room", help="kind of the world's scenes (default: room)")
    parser.add_argument(
        "--scenes", type=int, nargs=2, default=(900000, 900019), metavar="SEED", help="first and last seed"
    )
    parser.add_argument(
        "--setting", type=json.loads, action="append", help="JSON arguments of TokenClustering; repeatable"
    )
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    options = parser.parse_args(arguments)
    if bool(options.model) == bool(options.shape):
        parser.error("name a trained model, or --shape for time alone")
    import torch

    from perception.errors import PerceptionError

    torch.set_num_threads(1)
    settings = options.setting or SETTINGS
    try:
        if options.shape:
            height, width = (int(side) for side in options.size.split("x"))
            rows = time_shape(options.shape, (height, width), settings, options.passes)
        else:
            from perception.datasets.registry import build_dataset
            from perception.inference import load

            world = {"type": "World", "kind": options.kind, "seeds": tuple(options.scenes), "views_per_scene": 1}
            data = build_dataset({**world, "style": "plausible", "size": (240, 320), "truth": ("depth",)})
            rows = curve(load(options.model).model, data, settings)
    except PerceptionError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    for row in rows:
        print(f"{row['seconds']:8.3f} s  {row['seconds'] / rows[0]['seconds']:6.2f} of the time", end="")
        print(f"  AbsRel {row['abs_rel']:.4f}" if "abs_rel" in row else "", f" {json.dumps(row['setting']) or 'off'}")
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
