"""What results are shown in: pictures, a slider before and after, 3D, facts; the limits of colours; a ruler."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from app.jobs.looks import COLORMAPS, Look, checked_look
from app.jobs.ruler import Measured, Point, parse_points, ruler_view
from app.parts.result import Result
from app.services import QUIET

VIEW_HEIGHT = 520  # pixels of the large pictures and of the 3D view
_FOR_VISITORS = {  # what notes tell programs -> what they tell those who look at the page
    "give fov= or camera=": "enter it under Camera",
    "say so with Equirectangular(width, height, longitude=(left, right), latitude=(bottom, top)) in radians, or on the command line with --angles in degrees": (
        "enter its edges under Part of the sphere"
    ),
}


class VideoView(gr.Video):
    """`gr.Video` that shows a file as it is: ours play in browsers (VP9), so nothing is converted, with or without ffmpeg."""

    is_template = True

    def postprocess(self, value: Any) -> FileData | None:
        return None if value is None else FileData(path=str(value), orig_name=Path(value).name)


def facts_html(facts: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> str:
    """Name and value pairs and sentences as HTML. Everything is escaped: names of files are the visitor's."""
    rows = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts)
    lines = "".join(f"<p>{html.escape(_for_visitors(note))}</p>" for note in notes)
    return f'<dl class="facts">{rows}</dl><div class="notes">{lines}</div>'


def _for_visitors(note: str) -> str:
    for program, page in _FOR_VISITORS.items():
        note = note.replace(program, page)
    return f"{note[:1].upper()}{note[1:]}."


def table_html(caption: str, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table that wraps on narrow screens; empty without rows. Everything is escaped."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in headers)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(value))}</td>' for value in row)}</tr>" for row in rows)
    return f'<table class="rows"><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def facts_view(prefix: str, label: str = "About this result") -> gr.HTML:
    """Where `facts_html` is shown."""
    return gr.HTML(elem_id=f"{prefix}-summary", label=label, elem_classes="about")


def picture_view(label: str, elem_id: str, height: int | None = VIEW_HEIGHT) -> gr.Image:
    """A picture to look at; height: pixels, or None: as the picture and the page's width say."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        interactive=False,
        format="png",
        height=height,
        min_width=260,
        elem_classes="picture",
        buttons=["fullscreen", "download"],
        alt_text=label,
    )


def before_after(
    label: str, prefix: str, position: int = 50, height: int = VIEW_HEIGHT, show_label: bool = True
) -> gr.ImageSlider:
    """Two pictures with a slider between them. Without loss: colours are values."""
    return gr.ImageSlider(
        label=label,
        elem_id=f"{prefix}-slider",
        format="png",
        slider_position=position,
        max_height=height,
        show_label=show_label,
        buttons=["download", "fullscreen"],
    )


def shape_view(
    prefix: str, label: str = "Drag to turn, scroll to zoom", tilt: float | None = None, away: float | None = None
) -> gr.Model3D:
    """Interactive 3D. It draws only what it is given while it can be seen; see `Result.drawn_shape`.

    tilt: degrees from straight above, away: metres, from where it is seen at first; None: as the viewer thinks.
    """
    return gr.Model3D(
        label=label,
        elem_id=f"{prefix}-3d",
        clear_color=(1.0, 1.0, 1.0, 1.0),
        camera_position=(None, tilt, away),
        height=VIEW_HEIGHT,
        interactive=False,
    )


# -- colours and limits ----------------------------------------------------------------------------------------------------


class LookControls:
    """How a result is drawn, closed at first: colours, their ends in metres, what is left out.

    An answer that they suit tells its `range` in metres and, where it has them, `has_confidence`, `score` of boxes, `coloured` (see `start`).
    leaves_out: whether pixels can be left out, not only coloured. scores: whether there may be boxes.
    """

    def __init__(self, prefix: str, leaves_out: bool = True, scores: bool = False) -> None:
        title = "Colours and limits" if leaves_out or scores else "Colours"
        with gr.Accordion(title, open=False, elem_id=f"{prefix}-look"):
            with gr.Row():
                self._parts: dict[str, gr.components.Component] = {  # by the arguments of `checked_look`
                    "colormap": gr.Dropdown(list(COLORMAPS), value=COLORMAPS[0], label="Colours", min_width=140),
                    "near": gr.Slider(
                        0, 10, value=0, step=0.01, label="Near, m", elem_id=f"{prefix}-near", min_width=140
                    ),
                    "far": gr.Slider(0, 10, value=0, step=0.01, label="Far, m", elem_id=f"{prefix}-far", min_width=140),
                }
            with gr.Row():
                if leaves_out:
                    label = "Leave out what lies beyond, in 3D and files too"
                    self._parts["hide"] = gr.Checkbox(False, label=label, elem_id=f"{prefix}-hide")
                    self._parts["confidence"] = gr.Slider(
                        0, 1, value=0, step=0.01, label="Least confidence", visible=False
                    )
                if scores:
                    self._parts["score"] = gr.Slider(
                        0, 1, value=0, step=0.01, label="Least score of boxes", visible=False, elem_id=f"{prefix}-score"
                    )
                self._reset = gr.Button("Reset", size="sm", elem_id=f"{prefix}-reset", min_width=80, scale=0)
        self.parts = list(self._parts.values())
        self.changes = [part.input for part in self.parts]  # sliders by keyboard too

    def look(self, *values: Any) -> Look:
        """The values of `parts` as one object. Raises `InputError` for a range that is empty."""
        return checked_look(**dict(zip(self._parts, values, strict=True)))

    def start(self, answer: Any, *_: Any) -> tuple[Any, ...]:
        """The values of `parts` that suit an answer: its own range and `score`, nothing else left out. Without metres there are no limits to choose."""
        low, high = answer.range
        metres, top = high > 0, high * 2 if high > 0 else 1.0
        score = getattr(answer, "score", None)
        values = {
            "colormap": gr.update(value=Look().colormap, visible=getattr(answer, "coloured", True)),
            "near": gr.update(minimum=0, maximum=top, value=low, step=top / 1000, visible=metres),
            "far": gr.update(minimum=0, maximum=top, value=high, step=top / 1000, visible=metres),
            "hide": gr.update(value=False, visible=metres),
            "confidence": gr.update(value=0, visible=getattr(answer, "has_confidence", False)),
            "score": gr.update(value=score or 0, visible=score is not None),
        }
        return tuple(values[name] for name in self._parts)

    def connect(self, result: Result) -> None:
        """Let the button set all back; it is the last of the `changes`, so call this before they are used."""

        def again(ticket: str | None) -> tuple[Any, ...]:
            return result.services.attempt(lambda: self.start(result.services.shelf.get(ticket)))

        self._reset.click(again, result.ticket, self.parts, **QUIET)
        self.changes.append(self._reset.click)


# -- a ruler ---------------------------------------------------------------------------------------------------------------


class Ruler:
    """The view "Measure": one click for a depth, a second one for a distance."""

    def __init__(self, result: Result, label: str) -> None:
        prefix = result.prefix
        with result.view("Measure"):
            self.picture = gr.Image(
                label=label,
                elem_id=f"{prefix}-ruler",
                interactive=False,
                format="png",
                height=VIEW_HEIGHT,
                elem_classes="picture",
                buttons=[],
                alt_text="The picture, to click points in",
            )
            with gr.Row(equal_height=True):
                self.reading = gr.Textbox(
                    label="Reading", elem_id=f"{prefix}-reading", interactive=False, scale=3, min_width=260
                )
                self._typed = gr.Textbox(
                    label="Or type one or two points: x, y; x, y",
                    placeholder="120, 80; 300, 90",
                    max_length=60,
                    elem_id=f"{prefix}-points",
                    scale=2,
                    min_width=220,
                )
        self._clicks = gr.State((None, ()))  # the ticket of the answer that was clicked, its points

    def connect(
        self,
        result: Result,
        measured: Callable[..., Measured],
        inputs: Sequence[gr.components.Component] = (),
        triggers: Sequence[Callable[..., Any]] = (),
    ) -> None:
        """What can be measured is ``measured(answer, *inputs)``; drawn again after `triggers`."""

        def clicked(event: gr.SelectData, ticket: str | None, clicks: tuple[Any, Any]) -> tuple[Any, Any]:
            before, point = _points(ticket, clicks), (float(event.index[0]), float(event.index[1]))
            return ticket, (*before, point) if len(before) == 1 else (point,)

        def typed(text: str, ticket: str | None) -> tuple[Any, Any]:
            return ticket, result.services.attempt(lambda: parse_points(text))

        def draw(answer: Any, ticket: str, clicks: tuple[Any, Any], *values: Any) -> tuple[Any, str]:
            (image, reading), points = measured(answer, *values), _points(ticket, clicks)
            return (ruler_view(image, points), reading(points)) if points else (image, "")

        self.picture.select(
            clicked, [result.ticket, self._clicks], self._clicks, trigger_mode="multiple", concurrency_limit=1, **QUIET
        )
        self._typed.submit(typed, [self._typed, result.ticket], self._clicks, **QUIET)
        given = [result.ticket, self._clicks, *inputs]
        result.drawn(draw, given, [self.picture, self.reading], [self._clicks.change, *triggers])


def _points(ticket: str | None, clicks: tuple[Any, Any]) -> tuple[Point, ...]:
    """The points that were clicked in this answer."""
    return tuple(clicks[1]) if clicks[0] == ticket else ()
