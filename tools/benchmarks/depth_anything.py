"""Depth Anything V2's latency on a CPU: from a picture to its depth, resizing included.

    python tools/benchmarks/depth_anything.py --model vits --threads 1

Two times are printed: by the clock, and processor time divided by the threads. The weights are random; they do not change the time. ``--compare``
measures the same network in its plain form as well, in turns in one process, so that a ratio remains where the machine is busy: attention written out as
softmax(q k) v or as torch's fused operator, layer scales as products, and the head enlarging before it projects.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--model", default="vits", help="vits, vitb, vitl or vitg")
    parser.add_argument("--picture", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    parser.add_argument("--input-size", type=int, default=518, help="shorter side of the network's input")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--compare", action="store_true", help="measure the plain forms of the network too")


def plain_forms() -> dict[str, dict[str, object]]:
    """Name -> replacements of methods ("Block", "Fusion" and "DPTHead" of Depth Anything V2) that make the plain forms."""
    import torch
    from torch.nn import functional as F

    def block(fused: bool):
        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            if fused:
                attended = F.scaled_dot_product_attention(q, k, v)
            else:
                attended = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
            x = x + self.proj(attended.transpose(1, 2).flatten(2)) * self.scale1
            return x + self.fc2(F.gelu(self.fc1(self.norm2(x)))) * self.scale2

        return forward

    def fusion(self, x, skip, size):
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return self.project(F.interpolate(self.unit(x), size, mode="bilinear", align_corners=True))

    def head(self, tokens, grid):
        x = F.interpolate(self.trunk(tokens, grid), [14 * n for n in grid], mode="bilinear", align_corners=True)
        return self.out(torch.relu(self.hidden(x)))

    return {
        "plain": {"Block": block(False), "Fusion": fusion, "DPTHead": head},
        "plain, fused attention": {"Block": block(True), "Fusion": fusion, "DPTHead": head},
    }


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    import numpy as np
    import torch

    from perception.geometry import Pinhole
    from perception.inference.predictor import Predictor
    from perception.models.depth_anything import dpt_head, vit
    from perception.models.registry import build_model

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = build_model({"type": "DepthAnythingV2", "size": options.model, "input_size": options.input_size}).eval()
    predictor = Predictor(model, torch.device("cpu"), torch.float32)
    height, width = options.picture
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = Pinhole.default(width, height)
    forms: dict[str, dict[str, object]] = {"ours": {}}
    if options.compare:
        forms |= plain_forms()
    owners = {"Block": vit.Block, "Fusion": dpt_head.Fusion, "DPTHead": dpt_head.DPTHead}
    own = {name: owner.forward for name, owner in owners.items()}
    best: dict[str, list[float]] = {name: [float("inf")] * 2 for name in forms}
    answers = {}
    for turn in range(options.repeat + 1):  # the first one warms up
        for name, changes in forms.items():
            for part, owner in owners.items():
                owner.forward = changes.get(part, own[part])
            begin, used = time.perf_counter(), time.process_time()
            answers[name] = predictor(picture, camera).depth.depth
            spent = (time.perf_counter() - begin, (time.process_time() - used) / options.threads)
            if turn:
                best[name] = [min(pair) for pair in zip(best[name], spent, strict=True)]
    for part, owner in owners.items():
        owner.forward = own[part]
    print(f"Depth Anything V2 {options.model}, {height} x {width} picture, shorter side {options.input_size}, float32")
    for name, (clock, processor) in best.items():
        print(
            f"{name}: {clock:.2f} s by the clock, {processor:.2f} s of {options.threads} threads' processor time",
            end="",
        )
        if name == "ours":
            print()
            continue
        gap = np.abs(answers[name] - answers["ours"]).max() / np.abs(answers["ours"]).max()
        print(
            f"; ours takes {best['ours'][1] / processor:.0%} of it, largest difference {gap:.1e} of the largest value"
        )
    return 0


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(parser)
    return run(parser.parse_args(given))


if __name__ == "__main__":
    sys.exit(main())
