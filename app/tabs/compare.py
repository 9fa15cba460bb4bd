"""Compare: two models on one picture, side by side, with the difference as a map."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components import (
    EXAMPLES,
    VIEW_HEIGHT,
    PictureInput,
    camera_entry,
    current_tab,
    endpoint,
    entry_of,
    examples,
    facts_html,
    facts_view,
    model_menu,
    no_model,
    picture_view,
)
from app.jobs import compare as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import read_picture
from app.services import HEAVY, QUIET, Services

TITLE = "Compare"
FIRST = ("motorcycle.jpg", "palace.jpg", "coffee.jpg")
FIRST_FOV = 55.0  # degrees, a guess of what a compact camera sees


def build(services: Services) -> None:
    """Fill the tab."""
    names = services.models["photo"]
    if not names:
        no_model("photos")
        return
    settings = services.settings
    ticket = gr.State(None)
    usual = jobs.SAME if len(names) > 1 else jobs.MIRRORED
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = PictureInput(
                value=str(EXAMPLES / FIRST[0]),
                label="Photo",
                elem_id="compare-photo",
                sources=["upload", "clipboard"],
                type="filepath",
                height=260,
                buttons=[],
                alt_text="The photo to compare models on",
            )
            samples = examples([EXAMPLES / name for name in FIRST], "compare-examples")
            with gr.Row():
                first = model_menu(names, "compare-first", "First model")
                second = model_menu(names[::-1], "compare-second", "Second model")
            variation = gr.Dropdown(
                list(jobs.VARIATIONS), value=usual, label="The second model sees", elem_id="compare-variation"
            )
            camera = camera_entry("compare", FIRST_FOV)
            run = gr.Button("Compare", variant="primary", elem_id="compare-run")
        with gr.Column(scale=5, min_width=320):
            what = gr.Radio(
                list(jobs.PARTS), value=jobs.DEPTH, show_label=False, container=False, elem_id="compare-what"
            )
            with gr.Tabs(elem_id="compare-views") as views:
                with gr.Tab("Side by side"):
                    slider = gr.ImageSlider(
                        label="First | second",
                        elem_id="compare-slider",
                        format="png",
                        slider_position=50,
                        max_height=VIEW_HEIGHT,
                        buttons=["fullscreen"],
                    )
                with gr.Tab("Difference"):
                    difference = picture_view("Second minus first", "compare-difference")
                with gr.Tab("Files"):
                    files = gr.File(label="Both results in one ZIP", elem_id="compare-files", interactive=False)
                with gr.Tab("Python"):
                    code = gr.Code(
                        language="python", label="This comparison in Python", elem_id="compare-code", lines=10
                    )
            summary = facts_view("compare-summary")
    shown_parts = [slider, difference, summary]
    outputs = [ticket, what, code, files, *shown_parts]

    def drawn(done: jobs.Comparison, part: str) -> tuple[Any, ...]:
        one, two, apart, facts = jobs.views(done, part)
        notes = dict.fromkeys((*done.first.notes, *done.second.notes))
        return (one, two), apart, facts_html([*facts, *done.facts], list(notes))

    def shown(done: jobs.Comparison, code: str) -> tuple[Any, ...]:
        part = done.parts[0]
        parts = drawn(done, part)
        choice = gr.update(choices=done.parts, value=part)
        return services.shelf.put(done, done.megabytes), choice, code, None, *parts

    def compared(file: Any, one: str, two: str, seen: str, entry: CameraEntry, say: Any) -> tuple[jobs.Comparison, str]:
        done = jobs.compare(
            file,
            services.predictor(one),
            services.predictor(two),
            seen,
            entry,
            max_pixels=settings.max_pixels,
            say=say,
        )
        image = read_picture(file, settings.max_pixels)
        return done, jobs.snippet(done, image.name, entry.arguments(image), seen, settings.device)

    def compare(
        picture: str | None,
        first: str,
        second: str,
        variation: str,
        mode: str,
        fov: float,
        focal: float,
        sensor: float,
        matrix: str,
        opencv: bool,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        entry = entry_of(mode, fov, focal, sensor, matrix, opencv)
        say = lambda share, text: progress(share, desc=text)  # noqa: E731
        return shown(*services.run(lambda: compared(picture, first, second, variation, entry, say)))

    def example(number: int) -> tuple[jobs.Comparison, str]:
        file, entry = EXAMPLES / FIRST[number], CameraEntry(mode=FROM_FOV, fov=FIRST_FOV)
        quiet = lambda share, text: None  # noqa: E731
        return services.once(("compare", file.name), lambda: compared(file, names[0], names[-1], usual, entry, quiet))

    def show_example(number: int) -> tuple[Any, ...]:
        return str(EXAMPLES / FIRST[number]), FROM_FOV, FIRST_FOV, *shown(*example(number))

    def redraw(ticket: str | None, part: str) -> tuple[Any, ...]:
        if not ticket:
            return gr.skip(), gr.skip(), gr.skip()
        return services.attempt(lambda: drawn(services.shelf.get(ticket), part))

    def make_files(event: gr.SelectData, ticket: str | None) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()
        return services.attempt(lambda: str(jobs.write_files(services.shelf.get(ticket), services.folder())))

    def opened(ticket: str | None) -> tuple[Any, ...]:
        """The finished example, for who comes here first."""
        return tuple(gr.skip() for _ in outputs) if ticket else shown(*example(0))

    camera.connect(picture, services)
    run.click(compare, [picture, first, second, variation, *camera.inputs], outputs, api_visibility="private", **HEAVY)
    samples.click(show_example, samples, [picture, *camera.preset, *outputs], api_visibility="private", **HEAVY)
    what.input(redraw, [ticket, what], shown_parts, **QUIET)
    views.select(make_files, ticket, files, api_visibility="private")
    current_tab().select(opened, ticket, outputs, api_visibility="private", **HEAVY)

    def compare_models(image: str, first: str, second: str, variation: str, fov: float) -> tuple[str, dict[str, Any]]:
        """Predict a picture with two models; returns a ZIP of both results with difference maps, and a summary.

        variation: what the second model sees. fov: horizontal field of view in degrees, 0 where it is unknown.
        """
        entry = CameraEntry(mode=FROM_FOV, fov=fov) if fov else CameraEntry()

        def job() -> tuple[str, dict[str, Any]]:
            done = compared(image, first, second, variation, entry, lambda share, text: None)[0]
            facts = dict(done.facts)
            for part in done.parts:
                facts |= dict(jobs.views(done, part)[3])
            return str(jobs.write_files(done, services.folder())), facts

        return services.run(job)

    endpoint(
        "compare_models",
        compare_models,
        [
            PictureInput(visible=False, type="filepath", label="Picture file"),
            gr.Dropdown(list(names), value=names[0], visible=False, label="Name of the first model"),
            gr.Dropdown(list(names), value=names[-1], visible=False, label="Name of the second model"),
            gr.Dropdown(list(jobs.VARIATIONS), value=usual, visible=False, label="What the second model sees"),
            gr.Slider(0, 170, value=0, visible=False, label="Horizontal field of view in degrees, 0 = unknown"),
        ],
        [gr.File(visible=False, label="ZIP of both results"), gr.JSON(visible=False, label="Summary")],
    )
