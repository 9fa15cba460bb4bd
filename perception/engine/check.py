"""``--check``: one batch of everything a recipe uses, and what it costs, before a long run is started."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from perception.engine import distributed
from perception.engine.collate import batch_size
from perception.engine.data import batches_of, worker_errors_as_sentences
from perception.engine.runner import PerceptionRunner
from perception.engine.wrapper import train_step

STEPS = 6


def check_run(recipe: dict[str, Any]) -> dict[str, float]:
    """Train a few iterations, validate one batch, write and read one checkpoint, all in a temporary folder.

    Prints and returns parameters [M], seconds a step, the share of it spent waiting for data, and peak memory [MiB].
    Raises whatever sentence a long run would have ended with.
    """
    with tempfile.TemporaryDirectory(prefix="perception_check_") as folder:
        runner, loop = _start(recipe, folder)
        _print_parameters(runner.training_model.net)
        print(
            f"training data: {loop.batches.size} samples, {loop.step_samples} a step, {loop.max_epochs} epochs",
            flush=True,
        )
        figures = time_steps(runner, loop, STEPS, warmup=1)
        if runner._val_loop is not None:
            validation = runner.build_val_loop(runner._val_loop)
            batch = next(batches_of(validation.dataloader, False, lambda sample: None))
            runner.model.eval()
            with torch.no_grad():
                batch = runner.training_model.prepare(batch, False, validation.dataloader.dataset.on_device)
                outputs = runner.training_model.val_step(batch)
            for evaluator in validation.evaluators.values():
                evaluator.update(outputs, batch)
                evaluator.compute()
            print(f"validation: {batch_size(batch)} samples predicted and scored by {', '.join(validation.evaluators)}")
        path = Path(folder) / "iter_0.pth"
        runner.save(path, marker=True)
        if runner.rank == 0:
            print(f"checkpoint: {path.stat().st_size / 2**20:.1f} MiB")
        runner.close_logs()
    print("check passed", flush=True)
    return figures


def benchmark_training(recipe: dict[str, Any], steps: int = 50, warmup: int = 5) -> dict[str, float]:
    """Time `steps` training iterations of a resolved recipe after `warmup` others; see `time_steps`."""
    with tempfile.TemporaryDirectory(prefix="perception_benchmark_") as folder:
        runner, loop = _start(recipe, folder)
        figures = time_steps(runner, loop, steps, warmup)
        runner.close_logs()
    return figures


def _start(recipe: dict[str, Any], folder: str) -> tuple[PerceptionRunner, Any]:
    """Return a runner whose training loop and optimiser are ready for `train_step`."""
    runner = PerceptionRunner(recipe, folder, launcher="pytorch" if distributed.world()[1] > 1 else "none")
    loop = runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.param_schedulers:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.optim_wrapper.initialize_count_status(runner.model, 0, loop.max_iters)
    return runner, loop


def time_steps(runner: PerceptionRunner, loop: Any, steps: int, warmup: int) -> dict[str, float]:
    """Train `warmup` iterations (they compile, allocate and start the workers), then time `steps` more; print the figures.

    Returns ``seconds`` a step, ``images_per_second``, ``data_share`` (of the time, spent waiting for data) and ``memory_mib`` at its peak.
    """
    feed, device = loop._feed(), runner.training_model.device
    waiting = working = 0.0
    losses: dict[str, torch.Tensor] = {}
    with worker_errors_as_sentences(loop.dataloader), contextlib.closing(feed):
        for step in range(warmup + steps):
            begin = time.perf_counter()
            batch = next(feed)
            middle = time.perf_counter()
            runner.model.train()
            batch = runner.training_model.prepare(batch, True, loop.dataloader.dataset.on_device)
            losses = train_step(runner.model, batch, runner.optim_wrapper, step)
            if device.type == "cuda":
                torch.cuda.synchronize()
            if step >= warmup:
                waiting += middle - begin
                working += time.perf_counter() - middle
    runner.optim_wrapper.guard.flush()
    print("losses: " + "  ".join(f"{name} {float(value):.4g}" for name, value in losses.items()))
    seconds, share = (waiting + working) / steps, waiting / max(waiting + working, 1e-9)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else _peak_memory()
    print(
        f"step: {seconds:.3f} s ({loop.step_samples / seconds:.1f} samples/s), {100 * share:.0f} % of it waiting for data; "
        f"peak memory {memory / 2**20:.0f} MiB on {device.type}",
        flush=True,
    )
    return {
        "seconds": seconds,
        "images_per_second": loop.step_samples / seconds,
        "data_share": share,
        "memory_mib": memory / 2**20,
    }


def _print_parameters(net: torch.nn.Module) -> None:
    total = sum(p.numel() for p in net.parameters())
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    print(f"{type(net).__name__}: {total / 1e6:.2f} M parameters, {trained / 1e6:.2f} M of them trained")
    for name, child in net.named_children():
        count = sum(p.numel() for p in child.parameters())
        if count:
            print(f"  {name:<24}{type(child).__name__:<28}{count / 1e6:8.2f} M")


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
