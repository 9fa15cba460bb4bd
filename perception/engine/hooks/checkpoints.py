"""Saving: periodically, the best so far, and when a signal asks the run to end."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from perception.engine import distributed
from perception.engine.checkpoint import delete_old
from perception.engine.files import remove_leftovers
from perception.engine.loops import SIGNALLED
from perception.errors import RecipeError, nearest


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Writes ``iter_<n>.pth`` atomically, then the marker, and deletes old files last.

    Args:
        interval: iterations between two checkpoints, or None.
        minutes: minutes between two checkpoints, or None; both may be set.
        keep: how many of the newest to keep; 0 keeps all.
        save_best: metric whose best checkpoint is kept as ``best.pth``, such as ``"depth/median/abs_rel"``.
        rule: ``"less"`` or ``"greater"`` is better; required with `save_best`.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        interval: int | None = 1000,
        minutes: float | None = None,
        keep: int = 3,
        save_best: str | None = None,
        rule: str | None = None,
    ) -> None:
        if save_best and rule not in ("less", "greater"):
            raise RecipeError(f"rule should be 'less' or 'greater' beside save_best={save_best!r}, found {rule!r}")
        self.interval, self.minutes, self.keep = interval, minutes, keep
        self.save_best, self.rule = save_best, rule
        self.due = False
        self.saved_at = -1
        self.last_time = time.monotonic()

    def before_train(self, runner: Any) -> None:
        self.saved_at = runner.iter  # what was resumed is on disk already
        if runner.rank == 0:
            remove_leftovers(Path(runner.work_dir))

    def after_step(self, runner: Any) -> None:
        """Save when due and no gradients are waiting for their step."""
        late = False
        if self.minutes is not None:  # the processes' clocks differ, so they vote
            late = bool(distributed.largest(int(time.monotonic() - self.last_time >= 60 * self.minutes)))
        self.due |= late or bool(self.interval and runner.iter % self.interval == 0)
        if self.due and not runner.optim_wrapper.accumulating:
            self.save(runner)

    def after_train(self, runner: Any) -> None:
        """Save the end of the run, whichever way it ended."""
        if self.saved_at != runner.iter:
            self.save(runner)

    def save(self, runner: Any) -> None:
        """Write the checkpoint of the present iteration."""
        folder = Path(runner.work_dir)
        runner.save(folder / f"iter_{runner.iter}.pth", marker=True)
        if runner.rank == 0:
            delete_old(folder, self.keep)
        self.due, self.saved_at, self.last_time = False, runner.iter, time.monotonic()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        if not self.save_best or not metrics:
            return
        if self.save_best not in metrics:
            raise RecipeError(
                f"save_best={self.save_best!r} is not among the metrics.{nearest(self.save_best, metrics)}"
            )
        value, best = metrics[self.save_best], runner.best.get("value")
        better = best is None or (value < best if self.rule == "less" else value > best)
        if better and not runner.optim_wrapper.accumulating:
            runner.best = {"metric": self.save_best, "value": float(value), "iter": runner.iter}
            runner.save(Path(runner.work_dir) / "best.pth", marker=False)


@HOOKS.register_module()
class SignalHook(Hook):
    """On SIGTERM, SIGINT or SIGUSR1: finish the iteration, save, and end in an orderly way.

    Schedulers send SIGTERM (or, with ``sbatch --signal=USR1@120``, SIGUSR1) before they take a machine back. A second
    Ctrl-C ends at once.
    """

    SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")

    def __init__(self) -> None:
        self.former: dict[int, Any] = {}

    def before_train(self, runner: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers in the main thread alone

        def stop(number: int, frame: Any) -> None:
            runner.stop_signal = signal.Signals(number).name
            runner.train_loop.requested_stop = SIGNALLED
            if number == signal.SIGINT:
                signal.signal(signal.SIGINT, signal.default_int_handler)

        for name in self.SIGNALS:
            if hasattr(signal, name):
                number = getattr(signal, name)
                self.former[number] = signal.signal(number, stop)

    def after_run(self, runner: Any) -> None:
        """Give the signals back."""
        for number, handler in self.former.items():
            signal.signal(number, handler)
        self.former = {}
