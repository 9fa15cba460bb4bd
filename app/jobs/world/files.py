"""What is kept of a scene: the truth and the answer as files, a summary, the Python call."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from app.jobs.common import loading, pack
from app.jobs.world.answer import WorldAnswer


def summary(answer: WorldAnswer) -> dict[str, Any]:
    """The facts and errors for programs."""
    return {
        "order": dataclasses.asdict(answer.order),
        **{name.lower(): value for name, value in answer.facts},
        "notes": list(answer.notes),
        "metrics": {name: value for name, value, _ in answer.metrics()},
    }


def write_files(answer: WorldAnswer, folder: Path) -> list[Path]:
    """Write the exact truth of every picture and, beside it, the model's answer; one ZIP of all comes first."""
    from perception.results.base import write_json

    results = folder / "results"
    for number, name in enumerate(answer.names):
        answer.truths[number].save(results / "truth" / name)
        if answer.results is not None:
            answer.results[number].save(results / "model" / name)
    write_json(results / "world.json", summary(answer))
    archive = pack(results, folder / "results.zip")
    first = results / "truth" / answer.names[0]
    return [archive, results / "world.json", *sorted(path for path in first.iterdir() if path.is_file())]


def snippet(answer: WorldAnswer, device: str = "auto") -> str:
    """The Python lines that render this very scene and ask this very model."""
    order = answer.order
    mood = "" if order.weather is None else f", weather={order.weather!r}"
    lines = [
        "import perception",
        "from perception.datasets.world import World",
        "",
        f"world = World(seed={order.seed}, kind={order.kind!r}, style={order.style!r}{mood})",
        f"moment = world.render({order.rig(answer.divisor)}, time={order.time:g})",
    ]
    if answer.results is not None:
        for number, name in enumerate(answer.models):
            lines.append(f"model{number or ''} = {loading(name, device)}")
    lines += [
        "for name, frame in moment.frames.items():",
        '    frame.prediction().save(f"out/truth/{name}")  # exact depth, normals, segments, boxes',
    ]
    if answer.results is not None:
        lines.append("    result = model(frame.image, frame.camera)")
        for number in range(1, len(answer.models)):
            lines.append(f"    more = model{number}(frame.image, frame.camera).parts")
            lines.append(
                "    result = result.with_parts(**{part: more[part] for part in more if part not in result.parts})"
            )
        lines.append('    result.save(f"out/model/{name}")')
    return "\n".join(lines) + "\n"
