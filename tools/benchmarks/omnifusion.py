"""OmniFusion at the released sizes: seconds of the first and of later calls, and peak memory, each variant in a process of its own.

    python tools/benchmarks/omnifusion.py --threads 2

Random weights; batch 1, 512 x 1024, float32, CPU. The official code on a quiet machine of this kind with 2 threads: `single128` 4.1 s with 2.8 GB and 1 GB of
grid files, `iterative256` 18.4 s. Wall time means something on a quiet machine only; CPU seconds are printed beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

VARIANTS = {
    "single128": {"patch": 128, "geometry": "centre", "confidence": True},
    "iterative256": {"patch": 256, "geometry": "ray", "passes": 2, "confidence": False},
}
OFFICIAL_SECONDS = {"single128": 4.1, "iterative256": 18.4}


def measure_here(variant: str, threads: int, repeats: int) -> dict[str, float]:
    """Measure one variant in this process: seconds of the first call, the fastest later one, its CPU seconds, MiB at most."""
    import resource
    import time

    import torch

    from perception.models.omnifusion import OmniFusion

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = OmniFusion(size=(512, 1024), **VARIANTS[variant]).eval()
    image = torch.randint(0, 255, (1, 3, 512, 1024), dtype=torch.uint8)
    walls, cpus = [], []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            model(image)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return {
        "first_seconds": walls[0],
        "seconds": min(walls[1:]),
        "first_cpu_seconds": cpus[0],
        "cpu_seconds": min(cpus[1:]),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(
    threads: int = 2, repeats: int = 3, variants: Sequence[str] = tuple(VARIANTS)
) -> dict[str, dict[str, float]]:
    """Measure each variant in a fresh process."""
    found = {}
    for variant in variants:
        command = [sys.executable, __file__, "--child", variant, "--threads", str(threads), "--repeats", str(repeats)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[variant] = json.loads(output.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure OmniFusion.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="calls after the first (default: 3)")
    parser.add_argument("--variant", choices=tuple(VARIANTS), action="append", help="default: all")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    parser.add_argument("--child", choices=tuple(VARIANTS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(measure_here(options.child, options.threads, options.repeats)))
        return 0
    found = measure(options.threads, options.repeats, options.variant or tuple(VARIANTS))
    for variant, figures in found.items():
        share = figures["seconds"] / OFFICIAL_SECONDS[variant]
        print(
            f"{variant}: first call {figures['first_seconds']:.2f} s, later {figures['seconds']:.2f} s ({share:.0%} of {OFFICIAL_SECONDS[variant]} s), "
            f"CPU {figures['cpu_seconds']:.2f} s (first {figures['first_cpu_seconds']:.2f} s), at most {figures['peak_mib']:.0f} MiB"
        )
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
