"""Time, memory and arithmetic of backbones at a stated size.

    python tools/benchmark.py backbones resnet50 cswin_tiny_224 --size 256x320

Each network is built with random weights and run as the heads run it, maps included. Figures of different runs on a shared machine cannot be
compared; those of one run can, roughly: the minimum of several passes is reported.
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

DEFAULT = ("resnet50", "convnext_tiny", "vit_small_patch14_dinov2", "cswin_tiny_224", "cvt_13_224", "hornet_tiny_7x7")
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(
    name: str | dict[str, Any], size: tuple[int, int], batch: int = 1, device: str = "cpu", passes: int = 5
) -> dict[str, Any]:
    """Figures of one backbone (a name or a configuration of `build_backbone`) for pictures of `size` (height, width).

    Returns ``parameters``, ``gflops`` (multiply-adds count as two; None where operations cannot be counted), ``seconds`` (fastest pass),
    ``memory_mib`` (peak above what was held before; None where it cannot be read) and ``strides``.
    """
    import torch

    from perception.models.trunks import build_backbone

    torch.manual_seed(0)
    trunk = build_backbone(name).eval().to(device)
    image = torch.randn(batch, 3, *size, device=device)
    times = []
    with torch.inference_mode():
        start = _memory(device, reset=True)
        trunk(image)  # what the allocator keeps of this pass hides the others' peaks: hence the memory of all passes
        for _ in range(passes):
            _wait(device)
            began = time.perf_counter()
            trunk(image)
            _wait(device)
            times.append(time.perf_counter() - began)
        peak = _memory(device)
    return {
        "name": name if isinstance(name, str) else json.dumps(name),
        "parameters": sum(p.numel() for p in trunk.parameters()),
        "gflops": count_flops(trunk, image),
        "seconds": min(times),
        "memory_mib": None if start is None or peak is None else max(peak - start, 0) / 2**20,
        "strides": list(trunk.strides),
        "size": list(size),
        "batch": batch,
        "device": device,
    }


def count_flops(trunk: Any, image: Any) -> float | None:
    """10^9 operations of one pass; attention is counted by its products (the fused CPU kernel is not in torch's tables)."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            trunk(image)
        return counter.get_total_flops() / 1e9
    except (RuntimeError, NotImplementedError):
        return None


def _wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device.startswith("mps"):
        torch.mps.synchronize()


def _memory(device: str, reset: bool = False) -> int | None:
    """Bytes: with `reset` what is held now (and the peak is forgotten), else the peak since."""
    import torch

    if device.startswith("cuda"):
        if reset:
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated()
        return torch.cuda.max_memory_allocated()
    try:
        if reset:
            _RESET.write_text("5")
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmRSS" if reset else "VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return None  # not Linux


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure backbones.")
    parser.add_argument(
        "names", nargs="*", default=list(DEFAULT), help="names, or JSON configurations of build_backbone"
    )
    parser.add_argument(
        "--size", default="256x320", metavar="HxW", help="pictures' height and width (default: 256x320)"
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--passes", type=int, default=5, help="timed passes, of which the fastest counts (default: 5)")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    options = parser.parse_args(arguments)
    from perception.errors import PerceptionError

    try:
        height, width = (int(side) for side in options.size.lower().split("x"))
    except ValueError:
        parser.error(f"--size is HEIGHTxWIDTH, such as 256x320; found {options.size!r}")
    print(f"{'NAME':44} {'PARAMS':>9} {'GFLOPS':>8} {'MS':>9} {'MIB':>7}   ({height}x{width}, batch {options.batch})")
    rows = []
    for text in options.names:
        try:
            row = measure(
                json.loads(text) if text.startswith("{") else text,
                (height, width),
                options.batch,
                options.device,
                options.passes,
            )
        except PerceptionError as error:
            print(f"benchmark: {error}", file=sys.stderr)
            return 1
        rows.append(row)
        flops = "-" if row["gflops"] is None else f"{row['gflops']:.2f}"
        memory = "-" if row["memory_mib"] is None else f"{row['memory_mib']:.0f}"
        print(
            f"{row['name']:44} {row['parameters'] / 1e6:8.2f}M {flops:>8} {row['seconds'] * 1e3:9.1f} {memory:>7}",
            flush=True,
        )
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
