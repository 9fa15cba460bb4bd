"""The guard against numbers that are not finite: the run stops within one iteration and names the batch.

The check costs no waiting on a GPU: the flag of iteration i is copied to the host beside the running work and read at
iteration i + 1, before anything is saved. With ``action="skip"`` (and on the CPU) it is read before the optimiser's step.
"""

from __future__ import annotations

import dataclasses

import torch

from perception.errors import RecipeError, TrainingError


@dataclasses.dataclass
class _Pending:
    finite: torch.Tensor  # (1 + losses + gradient,) bool on the host, once `event` has happened
    labels: list[str]
    names: list[str]
    iteration: int
    event: torch.cuda.Event | None


class FiniteGuard:
    """Checks losses and the gradient's norm of every iteration.

    Args:
        action: ``"stop"`` raises `TrainingError`; ``"skip"`` leaves the step out and counts it in `skipped`.
        limit: ``"skip"`` gives up after this many skipped steps in a row.
    """

    def __init__(self, action: str = "stop", limit: int = 20) -> None:
        if action not in ("stop", "skip"):
            raise RecipeError(f"non_finite should be 'stop' or 'skip', found {action!r}")
        self.action, self.limit = action, limit
        self.skipped = 0
        self._in_a_row = 0
        self._pending: _Pending | None = None

    def check(
        self, losses: dict[str, torch.Tensor], norm: torch.Tensor | None, names: list[str], iteration: int
    ) -> bool:
        """Take up one iteration; return whether the optimiser may step.

        Raises:
            TrainingError: this or (on a GPU) the former iteration was not finite.
        """
        self.flush()
        labels = [f"loss {name!r}" for name in losses]
        values = [value.detach().reshape(()).float() for value in losses.values()]
        if norm is not None:
            labels.append("gradient")
            values.append(norm.detach().reshape(()).float())
        finite = torch.isfinite(torch.stack(values))
        if finite.is_cuda and self.action == "stop":
            host = torch.empty(finite.shape, dtype=torch.bool, pin_memory=True)
            host.copy_(finite, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = _Pending(host, labels, names, iteration, event)
            return True
        self._pending = _Pending(finite.cpu(), labels, names, iteration, None)
        return self._judge()

    def flush(self) -> None:
        """Read the outstanding flag, if any; called before anything is saved. Raises `TrainingError`."""
        self._judge()

    def _judge(self) -> bool:
        pending, self._pending = self._pending, None
        if pending is None:
            return True
        if pending.event is not None:
            pending.event.synchronize()
        if bool(pending.finite.all()):
            self._in_a_row = 0
            return True
        bad = [label for label, good in zip(pending.labels, pending.finite.tolist(), strict=True) if not good]
        self.skipped += 1
        self._in_a_row += 1
        sentence = (
            f"{', '.join(bad)} is not finite at iteration {pending.iteration + 1} on the batch "
            f"[{', '.join(pending.names[:16])}{', ...' if len(pending.names) > 16 else ''}]"
        )
        if self.action == "skip" and self._in_a_row <= self.limit:
            return False
        if self.action == "skip":
            raise TrainingError(f"{sentence}; {self._in_a_row} steps in a row were skipped")
        raise TrainingError(
            f"{sentence}; nothing was saved after the last good checkpoint. Lower the learning rate, clip gradients, "
            "look at these samples, or set non_finite='skip'"
        )
