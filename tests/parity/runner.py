"""Run parity cases: a re-implementation against a reference's stored outputs.

A system contributes a module ``tests/parity/systems/<system>.py`` with ``KINDS: dict[str, Callable[[Case], Iterable[Check]]]``.
The kind of a folder is the longest known name that the folder's name (or ``<parent>/<name>``) starts with; all else (size,
variant, seed) comes from the manifest.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity import systems
from tests.parity.case import load_case


@dataclasses.dataclass(frozen=True)
class Check:
    """One compared output. `rtol`/`atol` of None mean the manifest's tolerance."""

    name: str
    actual: Any
    expected: Any
    rtol: float | None = None
    atol: float | None = None


class Case:
    """A case folder; `manifest`, `state`, `inputs`, `outputs` as `load_case` returns them, loaded when first used."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()

    @cached_property
    def _loaded(self) -> tuple[dict, dict, dict, dict]:
        return load_case(self.folder)

    @property
    def manifest(self) -> dict:
        return self._loaded[0]

    @property
    def reference(self) -> dict:
        return self.manifest["reference"]

    @property
    def state(self) -> dict[str, np.ndarray]:
        return self._loaded[1]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return self._loaded[2]

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        return self._loaded[3]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The verdict on one output: `error` is the largest absolute difference."""

    name: str
    error: float
    atol: float
    rtol: float
    passed: bool
    remark: str = ""


def kept_every(full: int, kept: int, *usual: int) -> int:
    """Return the step by which an output's axis was thinned out from `full` to `kept` entries: a usual one if it fits, else the first that does."""
    return next((step for step in (*usual, *range(1, full + 1)) if -(-full // step) == kept), usual[0])


def known_kinds() -> dict[str, Callable[[Case], Iterable[Check]]]:
    """Collect the kinds that all system modules declare."""
    kinds: dict[str, Callable[[Case], Iterable[Check]]] = {}
    for module in pkgutil.iter_modules(systems.__path__):
        kinds |= importlib.import_module(f"{systems.__name__}.{module.name}").KINDS
    return kinds


def kind_of(folder: Path, kinds: Iterable[str]) -> str | None:
    """Return the longest kind that the folder's name, or its parent's and its own, starts with."""
    names = (folder.name, f"{folder.parent.name}/{folder.name}")
    fitting = [kind for kind in kinds if any(name.startswith(kind) for name in names)]
    return max(fitting, key=len, default=None)


def compare(check: Check, tolerance: dict[str, float]) -> Outcome:
    """Compare shapes, then values; NaN equals NaN (some references use it for 'undefined')."""
    rtol = tolerance["rtol"] if check.rtol is None else check.rtol
    atol = tolerance["atol"] if check.atol is None else check.atol
    actual = check.actual.detach().cpu().numpy() if hasattr(check.actual, "detach") else np.asarray(check.actual)
    expected = np.asarray(check.expected)
    if actual.shape != expected.shape:
        return Outcome(check.name, float("inf"), atol, rtol, False, f"shape {actual.shape}, expected {expected.shape}")
    if actual.size == 0:
        return Outcome(check.name, 0.0, atol, rtol, True, "empty")
    if expected.dtype.kind not in "fciub":
        return Outcome(check.name, 0.0, atol, rtol, bool((actual == expected).all()))
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    same = (a == e) | (np.isnan(a) & np.isnan(e))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - e))
        passed = bool((same | (difference <= atol + rtol * np.abs(e))).all())
    worst = float("inf") if np.isnan(difference).any() else float(difference.max())
    return Outcome(check.name, worst, atol, rtol, passed)


def run_case(folder: str | Path) -> list[Outcome]:
    """Run one case and return its outcomes. Raises `ValueError` for a folder of no known kind, or a case that checks nothing."""
    folder = Path(folder).resolve()
    kinds = known_kinds()
    kind = kind_of(folder, kinds)
    if kind is None:
        raise ValueError(
            f"no system in tests/parity/systems knows a kind for the folder {folder.name!r}; known: {sorted(kinds)}"
        )
    case = Case(folder)
    checks = list(kinds[kind](case))
    if not checks:
        raise ValueError(f"the case {folder.name!r} was run but nothing was compared")
    tolerance = {"rtol": 0.0, "atol": 0.0}
    if (folder / "manifest.json").exists():
        tolerance = case.manifest.get("tolerance", tolerance)
    return [compare(check, tolerance) for check in checks]


def main(arguments: list[str]) -> int:
    """Print one line an output and a summary; return 0 only if everything passed."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m tests.parity FOLDER...")
        return 0 if arguments else 2
    failures = total = 0
    for folder in arguments:
        start = time.perf_counter()
        try:
            outcomes = run_case(folder)
        except Exception as error:  # a crash in one system must not hide the verdict on the others
            print(f"FAIL {Path(folder).name}: {type(error).__name__}: {error}")
            failures, total = failures + 1, total + 1
            continue
        for outcome in outcomes:
            verdict = "pass" if outcome.passed else "FAIL"
            remark = f"  {outcome.remark}" if outcome.remark else ""
            print(
                f"{verdict} {Path(folder).name}: {outcome.name}: largest error {outcome.error:.3g} (atol {outcome.atol:g}, rtol {outcome.rtol:g}){remark}"
            )
        failures += sum(not outcome.passed for outcome in outcomes)
        total += len(outcomes)
        print(f"     {Path(folder).name}: {len(outcomes)} outputs in {time.perf_counter() - start:.1f} s")
    print(f"{total - failures} passed, {failures} failed")
    return 1 if failures else 0
