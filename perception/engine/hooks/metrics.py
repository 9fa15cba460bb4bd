"""Losses and metrics to the console, to ``metrics.jsonl`` and to mmengine's visual backends.

Losses are summed on the device; the host waits for them once an interval, not once an iteration.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from perception.engine import distributed
from perception.engine.files import write_text
from perception.engine.progress import progress


@HOOKS.register_module()
class MetricsHook(Hook):
    """Writes one line every `interval` iterations and one for each validation."""

    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = 50, file: str = "metrics.jsonl") -> None:
        self.interval, self.name = max(1, interval), file
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}
        self.seconds = self.data_seconds = 0.0
        self.iterations = 0
        self.bar: Any = None

    def before_train(self, runner: Any) -> None:
        self.path = Path(runner.work_dir) / self.name
        if runner.rank == 0:
            self._forget_lines_after(runner.iter)
            self.bar = progress(label="train", total=runner.max_iters)
            self.bar.update(runner.iter)
        self.clock = time.perf_counter()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, torch.Tensor] | None = None
    ) -> None:
        for name, value in (outputs or {}).items():
            self.sums[name] = self.sums[name] + value.float() if name in self.sums else value.float()
            self.counts[name] = self.counts.get(name, 0) + 1
        now = time.perf_counter()
        self.seconds, self.clock = self.seconds + now - self.clock, now
        self.data_seconds += runner.train_loop.data_seconds
        self.iterations += 1
        if self.bar is not None:
            self.bar.update(1)
        if (batch_idx + 1) % self.interval == 0 or batch_idx + 1 == runner.max_iters:
            self._write_losses(runner, batch_idx + 1)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._write_metrics(runner, metrics, "val")
        self.clock = time.perf_counter()  # validation is not part of an iteration's time

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self.path = Path(runner.work_dir) / self.name
        self._write_metrics(runner, metrics, "test")

    def after_train(self, runner: Any) -> None:
        if self.iterations:
            self._write_losses(runner, runner.iter)
        if self.bar is not None:
            self.bar.close()

    def _write_losses(self, runner: Any, iteration: int) -> None:
        names = list(self.sums)
        totals = torch.stack([self.sums[name] for name in names]).tolist() if names else []
        means = {name: total / self.counts[name] for name, total in zip(names, totals, strict=True)}
        shares = distributed.gather(means)  # each process saw its own part of the batch
        means = {name: sum(share[name] for share in shares) / len(shares) for name in means}
        seconds, share = self.seconds / self.iterations, self.data_seconds / max(self.seconds, 1e-9)
        rates = {group["lr"] for group in runner.optim_wrapper.optimizer.param_groups}
        row: dict[str, Any] = {
            "mode": "train",
            "iter": iteration,
            "epoch": runner.train_loop.position // runner.train_loop.batches.size,
            **means,
            "lr": max(rates),
            "seconds": seconds,
            "data_share": share,
            "images_per_second": runner.train_loop.step_samples / max(seconds, 1e-9),
        }
        if runner.training_model.device.type == "cuda":
            row["memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
        self.sums, self.counts = {}, {}
        self.seconds = self.data_seconds = 0.0
        self.iterations = 0
        if runner.rank != 0:
            return
        self._append(row)
        left = (runner.max_iters - iteration) * seconds
        losses = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._say(
            runner,
            f"iter {iteration}/{runner.max_iters}  {losses}  lr {row['lr']:.3g}  {seconds:.3f} s/it "
            f"({row['images_per_second']:.1f} img/s, data {100 * share:.0f} %)  {_duration(left)} left",
        )
        runner.visualizer.add_scalars({f"train/{k}": v for k, v in means.items()} | {"lr": row["lr"]}, step=iteration)

    def _write_metrics(self, runner: Any, metrics: dict[str, float] | None, mode: str) -> None:
        if runner.rank != 0 or not metrics:
            return
        iteration = runner.iter if runner.trains else 0
        self._append({"mode": mode, "iter": iteration, **metrics})
        loop = runner.val_loop if mode == "val" else runner.test_loop
        for name, text in loop.reports.items():
            self._say(runner, f"{mode} {name}\n{text}")
        numbers = {f"{mode}/{k}": v for k, v in metrics.items() if isinstance(v, int | float)}
        runner.visualizer.add_scalars(numbers, step=iteration)

    def _say(self, runner: Any, text: str) -> None:
        if self.bar is not None:
            self.bar.clear()
        runner.logger.info(text)
        if self.bar is not None:
            self.bar.refresh()

    def _append(self, row: dict[str, Any]) -> None:
        clean = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(clean, allow_nan=False, default=float) + "\n")

    def _forget_lines_after(self, iteration: int) -> None:
        """Drop lines of iterations that a resumed run is about to do again (a run that was killed wrote on after its save)."""
        if not self.path.is_file():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # half a line of a killed process
            if iteration and row.get("iter", 0) <= iteration:
                kept.append(line)
        write_text(self.path, "".join(line + "\n" for line in kept))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
