"""Training runs and tests side by side: `python tools/plot.py work_dirs/a work_dirs/b --values loss depth/median/abs_rel --out curves.png`.

Reads each run folder's metrics.jsonl, and what `tools/test.py --json` wrote. Without --values it prints the last of every value. The horizontal axis is hours of
training, or iterations with --iterations.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command
from perception.errors import InputError, nearest

Curve = list[tuple[int, float, float]]  # iteration, hours of training until then, value


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training runs and tests side by side, as tables or curves.")
    parser.add_argument(
        "runs", nargs="+", type=Path, help="run folders, their metrics.jsonl, or .json files of tools/test.py --json"
    )
    parser.add_argument(
        "--values",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of values to plot; without it the last of every value",
    )
    parser.add_argument("--out", type=Path, help="PNG, PDF or SVG to write; without it a table is printed")
    parser.add_argument("--iterations", action="store_true", help="iterations on the horizontal axis")
    return parser.parse_args(arguments)


def read_run(path: Path) -> list[dict[str, Any]]:
    """Rows of a run's log, in the order of their iterations; of a stretch that was trained twice (killed, resumed) the last one counts.

    Raises `InputError` when there is no log. A half-written last line is passed over. A test's .json is one row.
    """
    if path.suffix == ".json":
        return [_read_test(path)]
    file = path / "metrics.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{str(path)!r} has no metrics.jsonl; expected the --work-dir of a training")
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            key = (str(row["mode"]), int(row["iter"]))
        except (ValueError, KeyError, TypeError):
            continue
        for later in [k for k in rows if k[0] == key[0] and k[1] >= key[1]]:
            del rows[later]
        rows[key] = row
    if not rows:
        raise InputError(f"{str(file)!r} has no row of a training yet")
    return sorted(rows.values(), key=lambda row: (row["iter"], row["mode"]))


def _read_test(path: Path) -> dict[str, Any]:
    """The metrics that tools/test.py (or tools/evaluate.py) wrote, as a row. Raises `InputError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        metrics = content.get("metrics", content)
        return {"mode": "test", "iter": 0, **metrics}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{str(path)!r} holds no metrics of tools/test.py: {error}") from error


def curve_of(rows: Sequence[dict[str, Any]], name: str) -> Curve:
    """The points of one value. Hours are the sum of the iterations' times, without evaluation and pauses."""
    points, hours, last = [], 0.0, 0
    for row in rows:
        if row["mode"] == "train":
            hours += (row["iter"] - last) * float(row.get("seconds", 0.0)) / 3600
            last = row["iter"]
        if isinstance(row.get(name), int | float):
            points.append((row["iter"], hours, float(row[name])))
    return points


def names_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every value that some row has, sorted."""
    return sorted(
        {n for row in rows for n, v in row.items() if isinstance(v, int | float) and n not in ("iter", "epoch")}
    )


def last_values(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown table of the last of every value, one column a run."""
    lines = [f"| value | {' | '.join(runs)} |", "|---" * (len(runs) + 1) + "|"]
    for name in sorted({name for rows in runs.values() for name in names_of(rows)}):
        curves = [curve_of(rows, name) for rows in runs.values()]
        lines.append(f"| {name} | {' | '.join(f'{points[-1][2]:.4g}' if points else '-' for points in curves)} |")
    return "\n".join(lines)


def draw(curves: dict[str, dict[str, Curve]], out: Path, iterations: bool) -> None:
    """One panel a value, one line a run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(curves), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, runs) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for run, points in runs.items():
            axes.plot([p[0 if iterations else 1] for p in points], [p[2] for p in points], label=run, linewidth=1.5)
        axes.set_xlabel("iterations" if iterations else "hours of training")
        axes.set_title(name, fontsize=10)
        axes.grid(alpha=0.3)
        if len(runs) > 1:
            axes.legend(fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    runs = {str(path): read_run(path) for path in options.runs}
    if not options.values:
        if options.out is not None:
            raise InputError("--out draws --values; without --out the runs' values are listed")
        print(last_values(runs))
        return 0
    known = sorted({name for rows in runs.values() for name in names_of(rows)})
    curves: dict[str, dict[str, Curve]] = {}
    for name in options.values:
        curves[name] = {run: points for run, rows in runs.items() if (points := curve_of(rows, name))}
        if not curves[name]:
            raise InputError(
                f"no run has a value {name!r}.{nearest(name, known)} Without --values all names are listed"
            )
    if options.out is not None:
        if options.out.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise InputError(f"--out must end in .png, .pdf or .svg; found {str(options.out)!r}")
        draw(curves, options.out, options.iterations)
        print(options.out)
        return 0
    for name, by_run in curves.items():
        for run, points in by_run.items():
            print(f"\n{name}, {run}\n\n| iteration | hours | value |\n|---|---|---|")
            for iteration, hours, value in points:
                print(f"| {iteration} | {hours:.2f} | {value:.4g} |")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
