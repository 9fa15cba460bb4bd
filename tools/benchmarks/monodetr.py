"""MonoDETR's latency on a CPU: one picture, with its parts and the peak memory of the process.

    python tools/benchmarks/monodetr.py --threads 2

Two times are printed: by the clock, and processor time divided by the threads, which other programs on the machine disturb less. The weights are
random; they do not change the time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--size", type=int, nargs=2, default=(384, 1280), metavar=("H", "W"), help="network input")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each part, the best one counts (default 5)")
    parser.add_argument("--grid", action="store_true", help="deformable attention by grid_sample, for comparison")


def timed(job: Callable[[], object], repeat: int, threads: int) -> tuple[float, float]:
    """Return the least seconds by the clock and by the processor (divided by the threads) of `repeat` runs."""
    clock, processor = [], []
    for _ in range(repeat):
        begin, used = time.perf_counter(), time.process_time()
        job()
        clock.append(time.perf_counter() - begin)
        processor.append((time.process_time() - used) / threads)
    return min(clock), min(processor)


def peak_gigabytes() -> float:
    """Most memory that this process has held, GB."""
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024) / 1e9


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    import torch

    from perception.models.registry import build_model
    from perception.ops import deformable_attention as op

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.grid:
        op._by_rows = op._by_grid
    height, width = options.size
    model = build_model({"type": "MonoDETR", "backbone": options.backbone, "image_size": (height, width)}).eval()
    image = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    focal, high = torch.tensor([720.0]), torch.tensor([float(height)])
    before = peak_gigabytes()
    with torch.inference_mode():
        x = model.normalise(image)
        maps = model.pyramid(x)
        depth = model.depth_predictor(maps)
        memory, shapes = model.encoder(maps)
        boxes = [heads.box for heads in model.heads]
        states, found = model.decoder(memory, shapes, depth[2], boxes, model.num_queries)
        parts: dict[str, Callable[[], object]] = {
            "whole network": lambda: model(image, focal, high),
            "  normalisation": lambda: model.normalise(image),
            "  backbone": lambda: model.backbone(x),
            "  backbone and neck": lambda: model.pyramid(x),
            "  depth predictor": lambda: model.depth_predictor(maps),
            "  encoder": lambda: model.encoder(maps),
            "  decoder": lambda: model.decoder(memory, shapes, depth[2], boxes, model.num_queries),
            "  heads": lambda: model.heads[-1](states[-1], found[-1], depth[1], focal, high),
        }
        print(f"MonoDETR {options.backbone}, {height} x {width}, batch 1, float32, {options.threads} threads")
        print(f"{'':<22}{'clock':>9}{'processor / threads':>22}")
        for name, job in parts.items():
            clock, processor = timed(job, options.repeat, options.threads)
            print(f"{name:<22}{clock:8.3f}s{processor:21.3f}s", flush=True)
    print(f"peak memory {peak_gigabytes():.2f} GB, of which before the first picture {before:.2f} GB")
    return 0


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments(parser)
    return run(parser.parse_args(given))


if __name__ == "__main__":
    sys.exit(main())
