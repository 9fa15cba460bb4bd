"""Time against accuracy of token clustering on the world, for a trained model with a plain vision transformer.

    python tools/benchmark.py token_clustering work_dirs/dpt_vit/export --recipe models/dpt/dpt_vit_world_tiny.py --shape vits --plot docs/pictures/token_clustering.png

measures a trained model on the recipe's test set (unseen scenes of the world), and the network of Depth Anything V2 with random weights for time alone; either may be left out.
Seconds are processor seconds of one thread (they hardly depend on what else runs); every setting sees the same pictures, one setting after the
other for each picture, so that a change of the machine's speed meets all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SETTINGS: tuple[dict[str, Any], ...] = (
    {"after": 0.5, "clusters": 0.7},
    {"after": 0.25, "clusters": 0.85},
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


@contextlib.contextmanager
def clustered(model: Any, setting: dict[str, Any]) -> Iterator[None]:
    """The model with its tokens clustered; an empty setting leaves it as it is."""
    from perception.models.layers.token_clustering import TokenClustering

    if not setting:
        yield
        return
    vit, taps = find_vit(model)
    switch = TokenClustering(vit, **{"taps": taps, **setting})
    try:
        yield
    finally:
        switch.remove()


def time_shape(
    shape: str, size: tuple[int, int], settings: Sequence[dict[str, Any]], passes: int
) -> list[dict[str, Any]]:
    """The Depth Anything V2 network of some size with random weights, without clustering first.

    Rows hold processor ``seconds`` (the fastest pass) and ``change``, the mean difference of the output as a share of the plain output's mean.
    """
    import torch

    from perception.models.depth_anything import DepthAnythingV2

    torch.manual_seed(0)
    model = DepthAnythingV2(shape, max_depth=20.0).eval()  # of random weights the relative head would be all zeros
    image = torch.randn(1, 3, *size)
    rows: list[dict[str, Any]] = [{"setting": setting, "seconds": float("inf")} for setting in ({}, *settings)]
    plain = None
    for _ in range(passes):
        for row in rows:
            with clustered(model, row["setting"]), torch.inference_mode():
                began = time.process_time()
                output = model.infer(image)
                row["seconds"] = min(row["seconds"], time.process_time() - began)
            plain = output if plain is None else plain
            row["change"] = float((output - plain).abs().mean() / plain.abs().mean())
    return rows


def curve(model: Any, data: Any, settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of every setting: processor ``seconds`` a picture, ``abs_rel`` (each picture's median aligned) and ``change`` of the depth itself."""
    import numpy as np
    import torch

    from perception.geometry import Pinhole

    rows: list[dict[str, Any]] = [
        {"setting": setting, "seconds": [], "abs_rel": [], "change": []} for setting in ({}, *settings)
    ]
    for index in range(len(data)):
        sample = data[index]
        picture = sample["image"].permute(1, 2, 0).numpy()
        matrix = sample["intrinsics"]
        lens = [float(matrix[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
        prepared = model.preprocess(picture, Pinhole(*lens, picture.shape[1], picture.shape[0]))
        truth, plain = sample["depth"].numpy(), None
        for row in rows:
            with clustered(model, row["setting"]), torch.inference_mode():
                began = time.process_time()
                outputs = model(**{name: value[None] for name, value in prepared.inputs.items()})
                row["seconds"].append(time.process_time() - began)
            depth = np.asarray(model.predict(outputs, [prepared])[0].depth.depth)
            plain = depth if plain is None else plain
            valid = (
                sample["depth_valid"].numpy() & (depth > 0) & (plain > 0)
            )  # 0 and NaN: nothing is known there, as in the sky
            if not valid.any():
                continue
            row["change"].append(float(np.mean(np.abs(depth - plain)[valid] / plain[valid])))
            aligned = depth[valid] * np.median(truth[valid]) / max(np.median(depth[valid]), 1e-6)
            row["abs_rel"].append(float(np.mean(np.abs(aligned - truth[valid]) / truth[valid])))
    return [row | {name: float(np.mean(row[name])) for name in ("seconds", "abs_rel", "change")} for row in rows]


def table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    accuracy = "abs_rel" in rows[0]
    lines = [
        f"{title}\n",
        "| setting | seconds | of the time without | change of the output |" + " AbsRel |" * accuracy,
    ]
    lines.append("| --- | --- | --- | --- |" + " --- |" * accuracy)
    for row in rows:
        name = ", ".join(f"{key}={value!r}" for key, value in row["setting"].items())
        cells = [f"`{name}`" if name else "off", f"{row['seconds']:.3f}", f"{row['seconds'] / rows[0]['seconds']:.2f}"]
        cells += [f"{100 * row['change']:.1f} %"] + ([f"{row['abs_rel']:.4f}"] if accuracy else [])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(parts: dict[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """A panel for each part: accuracy (or the output's change, where there is no truth) over the share of the time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(parts), figsize=(5.5 * len(parts), 4), squeeze=False)
    for axis, (title, rows) in zip(axes[0], parts.items(), strict=True):
        accuracy = "abs_rel" in rows[0]
        for row in rows:
            x, y = row["seconds"] / rows[0]["seconds"], row["abs_rel"] if accuracy else row["change"]
            axis.plot(x, y, "o", color="tab:red" if not row["setting"] else "tab:blue")
            name = ", ".join(f"{value:g}" if not isinstance(value, str) else value for value in row["setting"].values())
            axis.annotate(name or "off", (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axis.set(title=title, xlabel="processor time, share of that without clustering")
        axis.set_ylabel("AbsRel on the world, median aligned" if accuracy else "change of the output")
        axis.grid(alpha=0.3)
        axis.margins(0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure token clustering: time against accuracy.")
    parser.add_argument("model", nargs="?", help="name, folder or checkpoint of a trained model with a plain ViT")
    parser.add_argument("--shape", help="vits, vitb ...: Depth Anything V2's network with random weights, time alone")
    parser.add_argument("--pixels", type=int, help="of the model's network input; more make more tokens")
    parser.add_argument(
        "--size", default="518x686", metavar="HxW", help="with --shape: the network's input (default: 518x686)"
    )
    parser.add_argument("--passes", type=int, default=2, help="with --shape: passes, of which the fastest counts")
    parser.add_argument(
        "--recipe",
        default="models/dpt/dpt_vit_world_tiny.py",
        help="recipe whose test set the model is measured on (default: %(default)s)",
    )
    parser.add_argument("--pictures", type=int, default=24, help="of the test set, evenly spread (default: 24)")
    parser.add_argument(
        "--setting", type=json.loads, action="append", help="JSON arguments of TokenClustering; repeatable"
    )
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    parser.add_argument("--plot", metavar="OUT", type=Path, help="write a picture of the curves to this file")
    options = parser.parse_args(arguments)
    if not options.model and not options.shape:
        parser.error("name a trained model, or --shape for time alone")
    import torch

    from perception.errors import PerceptionError

    torch.set_num_threads(1)
    settings = options.setting or SETTINGS
    parts: dict[str, list[dict[str, Any]]] = {}
    try:
        if options.model:
            from perception.datasets.registry import build_dataset
            from perception.engine.recipe import load_recipe
            from perception.inference import load

            dataset = build_dataset(load_recipe(options.recipe)["test_dataloader"]["dataset"])
            step = max(1, len(dataset) // options.pictures)
            data = [dataset[index] for index in range(0, step * min(options.pictures, len(dataset)), step)]
            predictor = load(options.model, device="cpu")
            if options.pixels:
                predictor.model.preprocess.pixels = options.pixels
            parts[f"{predictor.name}, {len(data)} pictures"] = curve(predictor.model, data, settings)
        if options.shape:
            height, width = (int(side) for side in options.size.split("x"))
            title = f"Depth Anything V2 ({options.shape}, {height} x {width}), random weights"
            parts[title] = time_shape(options.shape, (height, width), settings, options.passes)
    except PerceptionError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(table(title, rows) for title, rows in parts.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(parts, indent=1) + "\n")
    if options.plot:
        draw(parts, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
