"""HyDRa's operators on a CPU against their plain forms: lift-splat, 3D deformable attention; and the latency of a model.

    python tools/benchmarks/hydra.py --threads 1

Forms take turns and the best run of each counts, so that other programs on the machine disturb all alike. Two times are printed: by the clock, and
processor time divided by the threads.
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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each form, the best one counts (default 5)")
    parser.add_argument("--only", choices=("lift", "dfa3d"), help="one operator only")


def compared(forms: dict[str, Callable[[], object]], repeat: int, threads: int) -> dict[str, tuple[float, float]]:
    """Least seconds by the clock and by the processor of each form; the forms take turns."""
    best = {name: (float("inf"), float("inf")) for name in forms}
    for _ in range(repeat):
        for name, job in forms.items():
            begin, used = time.perf_counter(), time.process_time()
            job()
            clock, processor = time.perf_counter() - begin, (time.process_time() - used) / threads
            best[name] = (min(best[name][0], clock), min(best[name][1], processor))
    return best


def report(title: str, figures: dict[str, tuple[float, float]]) -> None:
    """Print a table; the first form is the yardstick."""
    print(title)
    base = next(iter(figures.values()))
    for name, (clock, processor) in figures.items():
        share = 100 * processor / base[1]
        print(f"  {name:45s} {clock:8.3f} s by the clock  {processor:8.3f} s of processor  {share:6.1f} %")


def lift_forms() -> dict[str, Callable[[], object]]:
    """6 cameras x 118 bins x 16 x 44 cells x 80 channels -> 128 x 128."""
    import torch

    from perception.datasets.world.rigs import surround_rig
    from perception.models.hydra.calibration import Calibration, DepthAxis
    from perception.ops.lift_splat import VoxelGrid, lift_splat, plan_lift

    torch.manual_seed(0)
    rig = surround_rig(704, 256, crop_top=140)
    intrinsics = torch.stack([torch.from_numpy(c.model.matrix).float() for c in rig.cameras])[None]
    poses = torch.stack([torch.from_numpy(c.ego_from_sensor).float() for c in rig.cameras])[None]
    calibration = Calibration.of(intrinsics, poses)
    axis, grid = (
        DepthAxis(1, 60, 0.5),
        VoxelGrid.of({"x": (-51.2, 51.2, 0.8), "y": (-51.2, 51.2, 0.8), "z": (-5, 3, 8)}),
    )
    depth = torch.randn(1, 6, 118, 16, 44).softmax(2)
    context = torch.randn(1, 6, 80, 16, 44)
    points = calibration.frustum(axis, (256, 704), (16, 44))
    plan = plan_lift(points, grid)

    def materialised() -> torch.Tensor:
        frustum = depth[:, :, None] * context[:, :, :, None]  # (1, 6, 80, 118, 16, 44)
        table = frustum.permute(0, 1, 3, 4, 5, 2).reshape(-1, 80)
        inside = plan.cell.flatten() < plan.cells
        out = torch.zeros(plan.cells, 80)
        return out.index_add_(0, plan.cell.flatten()[inside], table[inside])

    def moving() -> torch.Tensor:
        fresh = plan_lift(calibration.frustum(axis, (256, 704), (16, 44)), grid)
        return lift_splat(depth, context, fresh)

    ours = lift_splat(depth, context, plan)[0].flatten(1).T
    torch.testing.assert_close(ours, materialised(), rtol=1e-4, atol=1e-4)
    return {
        "frustum materialised, index_add": materialised,
        "lift_splat, fixed rig": lambda: lift_splat(depth, context, plan),
        "lift_splat, calibration new every call": moving,
    }


def attention_forms() -> dict[str, Callable[[], object]]:
    """2,500 queries, 8 heads of 32 channels, 2 levels, 8 points, 112 bins."""
    import torch
    from torch.nn import functional as F

    from perception.ops.deformable_attention_3d import deformable_attention_3d

    torch.manual_seed(0)
    shapes, heads, width, bins, queries, points = ((32, 88), (16, 44)), 8, 32, 112, 2500, 8
    tokens = sum(h * w for h, w in shapes)
    value = torch.randn(1, tokens, heads, width)
    spread = torch.randn(1, tokens, bins).softmax(-1)
    locations = torch.rand(1, queries, heads, 2, points, 3) * 1.1 - 0.05
    weights = torch.rand(1, queries, heads, 2, points)

    def plain() -> torch.Tensor:
        """The factorised form written straight down: four corner lookups of distributions and features a level."""
        out, begin = 0.0, 0
        for level, (height, width_) in enumerate(shapes):
            at = locations[0, :, :, level]  # (Q, M, P, 3)
            x, y, z = at[..., 0] * width_ - 0.5, at[..., 1] * height - 0.5, at[..., 2] * bins - 0.5
            left, top, near = x.floor(), y.floor(), z.floor()
            features = value[0, begin : begin + height * width_]  # (S, M, C)
            bars = spread[0, begin : begin + height * width_]
            head = torch.arange(heads).view(1, -1, 1)
            for dy in (0, 1):
                for dx in (0, 1):
                    row, column = top + dy, left + dx
                    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width_)
                    pixel = (row.clamp(0, height - 1) * width_ + column.clamp(0, width_ - 1)).long()
                    corner = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside
                    score = 0.0
                    for dz in (0, 1):
                        bin_ = near + dz
                        known = (bin_ >= 0) & (bin_ < bins)
                        score = score + bars[pixel, bin_.clamp(0, bins - 1).long()] * (1 - (z - bin_).abs()) * known
                    weight = (corner * score * weights[0, :, :, level]).unsqueeze(-1)
                    out = out + (features[pixel, head] * weight).sum(2)
            begin += height * width_
        return out.flatten(1)[None]

    def volume() -> torch.Tensor:
        """The definition: the whole volume, sampled trilinearly."""
        out, begin = 0.0, 0
        for level, (height, width_) in enumerate(shapes):
            part = slice(begin, begin + height * width_)
            cube = torch.einsum("bsmc,bsd->bmcds", value[:, part], spread[:, part])
            cube = cube.unflatten(-1, (height, width_)).flatten(0, 1)
            grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)[:, None]
            sampled = F.grid_sample(cube, grid, align_corners=False)[:, :, 0]
            out = out + (sampled * weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]).sum(-1)
            begin += height * width_
        return out.view(1, heads * width, -1).transpose(1, 2)

    ours = deformable_attention_3d(value, spread, shapes, locations, weights)
    torch.testing.assert_close(ours, plain(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours, volume(), rtol=1e-3, atol=1e-4)
    return {
        "factorised, plain indexing": plain,
        "deformable_attention_3d": lambda: deformable_attention_3d(value, spread, shapes, locations, weights),
        "explicit volume, grid_sample": volume,
    }


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    import torch

    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        if options.only in (None, "lift"):
            figures = compared(lift_forms(), options.repeat, options.threads)
            report("lift-splat 6 x 118 x 16 x 44 x 80 -> 128 x 128 (at most 10 % and 50 %)", figures)
        if options.only in (None, "dfa3d"):
            figures = compared(attention_forms(), options.repeat, options.threads)
            report(
                "3D deformable attention, 2,500 queries, 8 heads, 2 levels, 8 points, 112 bins (at most 70 %)", figures
            )
    return 0


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments(parser)
    return run(parser.parse_args(given))


if __name__ == "__main__":
    sys.exit(main())
