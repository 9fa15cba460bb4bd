"""Artefact tokens of a vision transformer before and after PH-Reg, on pictures of the world that it was not trained on.

    python tools/benchmark.py registers --plant models/registers/registers_world_tiny.py work_dirs/registers_teacher.pth
    python tools/train.py models/registers/registers_world_tiny.py --work-dir work_dirs/registers --cfg-options model.checkpoint=work_dirs/registers_teacher.pth
    python tools/benchmark.py registers work_dirs/registers/export

`--plant` writes a teacher with random weights of which some places of the position table are spoiled: artefacts that stay with the place and not with
the picture, as PH-Reg supposes them to be. For a trained teacher leave that line out and name its weights in the second.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch


def plant(recipe: str, out: Path, share: float, strength: float) -> int:
    """Write the recipe's teacher with a spoiled position table; return how many places are spoiled."""
    from perception.engine.recipe import load_recipe
    from perception.models.registry import build_model

    torch.manual_seed(0)
    model = build_model({**load_recipe(recipe)["model"], "checkpoint": None, "pretrained": False})
    state = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    table = state["pos_embed"]
    first = model.teacher.num_prefix_tokens
    count = max(1, round(share * (table.shape[1] - first)))
    places = first + torch.randperm(table.shape[1] - first)[:count]
    direction = torch.nn.functional.normalize(torch.randn(table.shape[2]), dim=0)
    state["pos_embed"][0, places] += strength * direction * table.shape[2] ** 0.5
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state}, out)
    return count


def measure(model: Any, images: torch.Tensor, views: int) -> dict[str, dict[str, float]]:
    """For teacher and student: ``artefacts``, the share of patch tokens whose norm in front of the last layer norm is more than twice the median of their
    picture; ``ratio``, the largest norm over the median, mean over the pictures; ``distance``, 1 - cosine to the teacher's features averaged over `views`."""
    from perception.models.registers.model import dense_features

    model.eval()
    model.views = views
    torch.manual_seed(1)
    rows = {}
    with torch.inference_mode():
        normal = model._normalise(model.inputs({"image": images})["image"])
        target = model.target(normal)
        for name in ("teacher", "student"):
            network = getattr(model, name)
            raw = network.forward_intermediates(normal, indices=1, norm=False, intermediates_only=True)[0]
            norms = raw.norm(dim=1).flatten(1)
            relative = norms / norms.median(1, keepdim=True).values
            near = torch.nn.functional.cosine_similarity(dense_features(network, normal), target, dim=1)
            rows[name] = {
                "artefacts": float((relative > 2).float().mean()),
                "ratio": float(relative.amax(1).mean()),
                "distance": float(1 - near.mean()),
            }
    return rows


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trained", nargs="?", help="published folder of a RegisterDistillation")
    parser.add_argument("--plant", nargs=2, metavar=("RECIPE", "OUT"), help="write a teacher with artefacts instead")
    parser.add_argument("--share", type=float, default=0.05, help="of the places that are spoiled (default: 0.05)")
    parser.add_argument("--strength", type=float, default=3.0, help="of what is added there (default: 3)")
    parser.add_argument("--scenes", type=int, nargs=2, default=(900000, 900019), metavar="SEED")
    parser.add_argument("--views", type=int, default=32, help="shifted and mirrored copies behind `distance`")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")


def run(options: argparse.Namespace) -> int:
    from perception.errors import InputError

    if options.plant:
        count = plant(options.plant[0], Path(options.plant[1]), options.share, options.strength)
        print(f"{count} places of the position table are spoiled -> {options.plant[1]}")
        return 0
    if not options.trained:
        raise InputError("name a published folder of a RegisterDistillation, or give --plant RECIPE OUT")
    from perception.datasets.registry import build_dataset
    from perception.inference.loading import read_published

    torch.set_num_threads(1)
    model, _ = read_published(Path(options.trained))
    world = {"type": "World", "kind": "room", "seeds": tuple(options.scenes), "views_per_scene": 1}
    data = build_dataset({**world, "style": "plausible", "size": (144, 192), "truth": ("depth",)})
    rows = measure(model, torch.stack([data[i]["image"] for i in range(len(data))]), options.views)
    print(f"{len(data)} pictures; share of artefact tokens, largest norm over the median, distance to the mean view:")
    for name, row in rows.items():
        print(f"  {name}  {100 * row['artefacts']:6.2f} %  {row['ratio']:6.2f}  {row['distance']:.4f}")
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0
