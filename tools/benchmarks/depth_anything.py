"""Depth Anything V2's latency on a CPU: from a picture to its depth, resizing included.

    python tools/benchmarks/depth_anything.py --model vits --threads 1

Two times are printed: by the clock, and processor time divided by the threads. The weights are random; they do not change the time.
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


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    import numpy as np
    import torch

    from perception.geometry import Pinhole
    from perception.inference.predictor import Predictor
    from perception.models.registry import build_model

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = build_model({"type": "DepthAnythingV2", "size": options.model, "input_size": options.input_size}).eval()
    predictor = Predictor(model, torch.device("cpu"), torch.float32)
    height, width = options.picture
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = Pinhole.default(width, height)
    predictor(picture, camera)
    clock, processor = [], []
    for _ in range(options.repeat):
        begin, used = time.perf_counter(), time.process_time()
        predictor(picture, camera)
        clock.append(time.perf_counter() - begin)
        processor.append((time.process_time() - used) / options.threads)
    print(f"Depth Anything V2 {options.model}, {height} x {width} picture, shorter side {options.input_size}, float32")
    print(f"{min(clock):.2f} s by the clock, {min(processor):.2f} s of {options.threads} threads' processor time")
    return 0


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(parser)
    return run(parser.parse_args(given))


if __name__ == "__main__":
    sys.exit(main())
