"""The training loop over iterations and the loop that evaluates."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop

from perception.engine import distributed
from perception.engine.checkpoint import get_rng_state, set_rng_state
from perception.engine.collate import to_device
from perception.engine.data import batches_of, build_loader, worker_errors_as_sentences
from perception.engine.progress import progress
from perception.engine.wrapper import train_step
from perception.errors import RecipeError

# Why a run ended before its last iteration; the larger number wins when processes differ.
RUNNING, OUT_OF_TIME, SIGNALLED = 0, 1, 2


@LOOPS.register_module()
class IterationTrainLoop(BaseLoop):
    """Trains for a number of iterations, validating in between, and stops early in an orderly way.

    Args:
        runner: the runner.
        dataloader: ``train_dataloader`` of the recipe.
        max_iters: iterations; or give `max_epochs`.
        val_interval: iterations between two validations.
        max_minutes: stop, save and publish after so many minutes of this process; schedules are not changed by it.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: dict[str, Any],
        max_iters: int | None = None,
        max_epochs: float | None = None,
        val_interval: int | None = None,
        max_minutes: float | None = None,
    ) -> None:
        self._runner = runner
        rank, world = distributed.world()
        self.skip_bad = bool(dataloader.get("skip_bad", False))
        self.dataloader = build_loader(dataloader, runner.seed, True, rank, world)
        self.batches = self.dataloader.batch_sampler
        self.step_samples = self.batches.batch * world
        if (max_iters is None) == (max_epochs is None):
            raise RecipeError("train_cfg needs either max_iters or max_epochs")
        if max_iters is None:
            max_iters = max(1, round(max_epochs * self.batches.size / self.step_samples))
        self._max_iters, self._iter = int(max_iters), 0
        self.position = 0  # samples drawn so far, over all processes
        self.val_interval, self.val_begin = val_interval or self._max_iters, 1
        self.max_minutes, self.started = max_minutes, time.monotonic()
        self.stop_training = False  # set by EarlyStoppingHook
        self.stop_reason = RUNNING
        self.requested_stop = RUNNING  # set by the signal hook of this process
        self.rng: dict[str, Any] | None = None  # put back when a resumed run starts
        self.skipped_samples = 0
        self.data_seconds = 0.0

    max_iters = property(lambda self: self._max_iters)
    iter = property(lambda self: self._iter)

    @property
    def epoch(self) -> int:
        return self.position // self.batches.size

    @property
    def max_epochs(self) -> int:
        return -(-self._max_iters * self.step_samples // self.batches.size)

    def run(self) -> torch.nn.Module:
        """Train until `max_iters`, the time limit, a signal or early stopping."""
        runner = self.runner
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")
        self.batches.position = self.position
        feed = self._feed()
        if self.rng is not None:
            set_rng_state(self.rng)
        with worker_errors_as_sentences(self.dataloader), contextlib.closing(feed):
            while self._iter < self._max_iters and not self.stop_training and self.stop_reason == RUNNING:
                begin = time.perf_counter()
                batch = next(feed)
                self.data_seconds = time.perf_counter() - begin
                self.run_iter(batch)
                if runner.val_loop is not None and (
                    self._iter % self.val_interval == 0 or self._iter == self._max_iters
                ):
                    runner.val_loop.run()
                runner.call_hook("after_step")
                self._decide_to_stop()
        runner.optim_wrapper.guard.flush()
        runner.call_hook("after_train_epoch")
        runner.call_hook("after_train")
        return runner.model

    def run_iter(self, batch: dict[str, Any]) -> None:
        """One iteration on a batch that is on the device already."""
        runner = self.runner
        runner.model.train()
        batch = runner.training_model.prepare(batch, True, self.dataloader.dataset.on_device)
        runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=batch)
        outputs = train_step(runner.model, batch, runner.optim_wrapper, self._iter)
        if runner.average is not None and runner.optim_wrapper.stepped:
            runner.average.update(runner.training_model.net)
        runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=batch, outputs=outputs)
        self._iter += 1
        self.position += self.step_samples

    def _decide_to_stop(self) -> None:
        if self.runner.optim_wrapper.accumulating:
            return  # a checkpoint taken now would lose the gradients gathered so far
        wanted = self.requested_stop
        if self.max_minutes is not None and time.monotonic() - self.started >= 60 * self.max_minutes:
            wanted = max(wanted, OUT_OF_TIME)
        self.stop_reason = distributed.largest(wanted)

    def _feed(self) -> Iterator[dict[str, Any]]:
        """Yield batches on the device; on a GPU they are copied beside the work of the former iteration."""
        model = self.runner.training_model
        device = model.device
        stream = torch.cuda.Stream() if device.type == "cuda" else None
        with contextlib.closing(batches_of(self.dataloader, self.skip_bad, self._count_skipped)) as batches:
            for batch in batches:
                if stream is not None:
                    with torch.cuda.stream(stream):
                        batch = to_device(batch, device)
                    torch.cuda.current_stream().wait_stream(stream)
                    _keep_until_used(batch)
                yield batch

    def _count_skipped(self, sample: Any) -> None:
        self.skipped_samples += 1
        self.runner.logger.warning(f"{sample.message}; skipped ({self.skipped_samples} so far)")


@LOOPS.register_module()
class EvaluationLoop(BaseLoop):
    """Evaluates the averaged weights (where there are any) on a whole data set, each sample once over all processes."""

    def __init__(
        self, runner: Any, dataloader: dict[str, Any], evaluator: list[dict[str, Any]] | dict[str, Any]
    ) -> None:
        from perception.evaluation.registry import build_evaluator

        self._runner = runner
        rank, world = distributed.world()
        self.skip_bad = bool(dataloader.get("skip_bad", False))
        self.dataloader = build_loader(dataloader, runner.seed, False, rank, world)
        self.samples = len(self.dataloader.dataset)
        configs = [evaluator] if isinstance(evaluator, dict) else list(evaluator)
        self.evaluators: dict[str, Any] = {}
        for config in configs:
            config = dict(config)
            name = config.pop("name", None) or config["type"].removesuffix("Evaluator").lower()
            if name in self.evaluators:
                raise RecipeError(f"two evaluators are called {name!r}; give one of them a `name`")
            self.evaluators[name] = build_evaluator(config)
        self.evaluator = self  # mmengine's runner shows it
        self.reports: dict[str, str] = {}

    @torch.no_grad()
    def run(self, mode: str = "val") -> dict[str, float]:
        """Return ``{"<evaluator>/<metric>": value}``. The training's random numbers are not touched."""
        runner = self.runner
        runner.call_hook(f"before_{mode}")
        runner.call_hook(f"before_{mode}_epoch")
        rng = get_rng_state()
        for evaluator in self.evaluators.values():
            evaluator.reset()
        with runner.averaged_weights(), worker_errors_as_sentences(self.dataloader):
            runner.model.eval()
            stream = batches_of(self.dataloader, self.skip_bad, lambda sample: runner.logger.warning(sample.message))
            batches = len(self.dataloader.batch_sampler)
            for index, batch in enumerate(progress(stream, f"{mode}", batches)):
                runner.call_hook(f"before_{mode}_iter", batch_idx=index, data_batch=batch)
                batch = runner.training_model.prepare(batch, False, self.dataloader.dataset.on_device)
                outputs = runner.training_model.val_step(batch)
                for evaluator in self.evaluators.values():
                    evaluator.update(outputs, batch)
                runner.call_hook(f"after_{mode}_iter", batch_idx=index, data_batch=batch, outputs=outputs)
        metrics = runner.last_metrics = self._compute()
        runner.model.train()
        set_rng_state(rng)
        runner.call_hook(f"after_{mode}_epoch", metrics=metrics)
        runner.call_hook(f"after_{mode}")
        return metrics

    def _compute(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, evaluator in self.evaluators.items():
            whole, *others = distributed.gather(evaluator)
            for other in others:
                whole.merge(other)
            metrics.update({f"{name}/{key}": value for key, value in whole.compute().items()})
            self.reports[name] = whole.report()
        return metrics


@LOOPS.register_module()
class EvaluationTestLoop(EvaluationLoop):
    """`EvaluationLoop` that calls the hooks of testing."""

    def run(self) -> dict[str, float]:  # type: ignore[override]
        return super().run("test")


def _keep_until_used(value: Any) -> None:
    """Tell the allocator that tensors made on the copying stream are read by the computing one."""
    if isinstance(value, torch.Tensor) and value.is_cuda:
        value.record_stream(torch.cuda.current_stream())
    elif isinstance(value, dict):
        for item in value.values():
            _keep_until_used(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _keep_until_used(item)
