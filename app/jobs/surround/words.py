"""What is said of one moment: facts, notes, a table of the objects, and how many of the true ones were found."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.jobs.common import Facts
from app.jobs.surround.answer import MODEL, TRUTH, SurroundAnswer

COLUMNS = ("Class", "Track", "Score", "Distance m", "Ahead m", "Left m", "Speed m/s", "Length m", "Width m", "Height m")
NEAR = 2.0  # metres: a found object this close to a true one of its class counts as it


def table(answer: SurroundAnswer, moment: int, score: float, side: str) -> list[list[Any]]:
    """One row an object in the order of `COLUMNS`, nearest first."""
    boxes = answer.boxes(moment, score, side)
    rows = []
    for i in np.argsort(np.linalg.norm(boxes.centres[:, :2], axis=1), kind="stable"):
        x, y, _ = map(float, boxes.centres[i])
        speed = float("nan") if boxes.velocity is None else float(np.hypot(*boxes.velocity[i]))
        track = "" if boxes.track_ids is None or boxes.track_ids[i] < 0 else f"#{boxes.track_ids[i]}"
        rows.append(
            [boxes.names[i], track, round(float(boxes.scores[i]), 2), round(float(np.hypot(x, y)), 1), round(x, 1)]
            + [round(y, 1), round(speed, 1) if np.isfinite(speed) else None]
            + [round(float(v), 1) for v in boxes.sizes[i]]
        )
    return rows


def found_share(answer: SurroundAnswer, moment: int, score: float) -> tuple[int, int, int]:
    """(true objects found, true objects, found in all): the model's boxes take, best first, the nearest free true one of their class within `NEAR` metres."""
    from perception.tracking.greedy import nearest_free

    boxes = answer.boxes(moment, score, MODEL).sorted()
    truth = answer.boxes(moment, 0.0, TRUTH)
    apart = np.linalg.norm(boxes.centres[:, None, :2] - truth.centres[None, :, :2], axis=-1).astype(np.float64)
    apart[(apart > NEAR) | (np.array(boxes.names)[:, None] != np.array(truth.names)[None])] = np.inf
    return int((nearest_free(apart) >= 0).sum()), len(truth), len(boxes)


def facts(answer: SurroundAnswer, moment: int, score: float, side: str) -> Facts:
    """What is shown, in words."""
    moment = answer.moment(moment)
    boxes = answer.boxes(moment, score, side)
    found = ", ".join(f"{boxes.names.count(name)} {name}" for name in dict.fromkeys(sorted(boxes.names)))
    rows: Facts = [("Objects", found or "none")]
    if answer.results is not None and answer.scene.truth is not None:
        hit, true, all_ = found_share(answer, moment, score)
        rows.append(
            ("Against the truth", f"{hit} of {true} found within {NEAR:g} m, {all_ - hit} of {all_} boxes wrong")
        )
    when = answer.scene.rigs[moment].time
    if when is not None:
        rows.append(("This moment", f"{when - (answer.scene.rigs[0].time or 0.0):.2f} s after the first moment"))
    return rows + answer.facts


def notes(answer: SurroundAnswer, moment: int) -> tuple[str, ...]:
    """Sentences for the visitor."""
    if answer.results is None:
        return ("no model of vehicle rigs is offered here: what is shown is the exact truth of the scene",)
    return tuple(answer.results[answer.moment(moment)].notes)


def summary(answer: SurroundAnswer, score: float) -> dict[str, Any]:
    """The facts and all boxes for programs."""
    side = MODEL if answer.results is not None else TRUTH
    moments = []
    for number in range(len(answer.scene.rigs)):
        entry = {
            "time": answer.scene.rigs[number].time,
            "boxes": answer.boxes(number, score, side).summary()["boxes"],
        }
        if answer.results is not None and answer.scene.truth is not None:
            hit, true, all_ = found_share(answer, number, score)
            entry |= {"true_objects": true, "found": hit, "wrong": all_ - hit}
        moments.append(entry)
    return {
        **{name.lower(): value for name, value in answer.facts},
        "shown": side.lower(),
        "notes": list(notes(answer, 0)),
        "moments": moments,
    }
