"""Panorama: a 360 degree picture, or a part of one, in; range and a textured sphere out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.components import (
    SCENES,
    VIEW_HEIGHT,
    PictureInput,
    Viewer,
    current_tab,
    endpoint,
    examples,
    facts_html,
    facts_view,
    model_menu,
    no_model,
)
from app.jobs import panorama as jobs
from app.jobs.common import is_loaded
from app.jobs.photo import COLORMAPS, Look, checked_look, depth_view, ruler_view
from app.services import HEAVY, QUIET, Services

TITLE = "Panorama"
FIRST = ("panorama_room.jpg", "panorama_street.jpg")


def build(services: Services) -> None:
    """Fill the tab."""
    names = services.models["panorama"]
    if not names:
        no_model("panoramas")
        return
    settings = services.settings
    ticket, clicks = gr.State(None), gr.State([])
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = PictureInput(
                label="Panorama",
                elem_id="panorama",
                sources=["upload", "clipboard"],
                type="filepath",
                height=220,
                buttons=[],
                alt_text="The panorama to predict",
            )
            samples = examples([SCENES / name for name in FIRST], "panorama-examples")
            model = model_menu(names, "panorama-model")
            with gr.Accordion("Part of the sphere", open=False, elem_id="panorama-part"):
                whole = gr.Checkbox(True, label="All of it: 360° x 180°", elem_id="panorama-whole")
                gr.Markdown("Else its edges in degrees: 0 is straight ahead and the horizon.", elem_classes="hint")
                with gr.Row():
                    left = gr.Number(-90, label="Left", minimum=-360, maximum=360, min_width=90)
                    right = gr.Number(90, label="Right", minimum=-360, maximum=360, min_width=90)
                with gr.Row():
                    bottom = gr.Number(-45, label="Bottom", minimum=-90, maximum=90, min_width=90)
                    top = gr.Number(45, label="Top", minimum=-90, maximum=90, min_width=90)
            run = gr.Button("Predict", variant="primary", elem_id="panorama-run")
        with gr.Column(scale=5, min_width=320):
            with gr.Tabs(elem_id="panorama-views") as views:
                with gr.Tab("Depth"):
                    slider = gr.ImageSlider(
                        label="Panorama | distance along each ray",
                        elem_id="panorama-slider",
                        format="png",
                        slider_position=35,
                        max_height=VIEW_HEIGHT,
                        buttons=["fullscreen"],
                    )
                with gr.Tab("3D"):
                    see_through = gr.Checkbox(
                        True, label="Look through the nearer walls from outside", elem_id="panorama-through"
                    )
                    viewer = Viewer("panorama-3d", "Drag to turn, scroll to zoom")
                with gr.Tab("Measure"):
                    ruler = gr.Image(
                        label="Click one point for its distance, a second one for how far they are apart",
                        elem_id="panorama-ruler",
                        interactive=False,
                        format="png",
                        height=VIEW_HEIGHT,
                        buttons=[],
                        alt_text="The panorama, to click points in",
                    )
                    reading = gr.Textbox(
                        label="Reading", elem_id="panorama-reading", interactive=False, show_label=False
                    )
                with gr.Tab("Files"):
                    files = gr.File(
                        label="Everything in one ZIP, and file by file", elem_id="panorama-files", interactive=False
                    )
                with gr.Tab("Python"):
                    code = gr.Code(
                        language="python", label="This very result in Python", elem_id="panorama-code", lines=8
                    )
            summary = facts_view("panorama-summary")
            with gr.Accordion("Colours and limits", open=False):
                with gr.Row():
                    colormap = gr.Dropdown(list(COLORMAPS), value=COLORMAPS[0], label="Colours", min_width=140)
                    near = gr.Slider(0, 10, value=0, step=0.01, label="Near, m", min_width=140)
                    far = gr.Slider(0, 10, value=0, step=0.01, label="Far, m", elem_id="panorama-far", min_width=140)
                with gr.Row():
                    hide = gr.Checkbox(False, label="Leave out what lies beyond, in 3D and files too")
                    confidence = gr.Slider(0, 1, value=0, step=0.01, label="Least confidence", visible=False)
    look = [colormap, near, far, hide, confidence]
    part = [whole, left, right, bottom, top]

    def shown(answer: jobs.PanoramaAnswer) -> tuple[Any, ...]:
        """One answer as the values of `outputs`."""
        result, (low, high), start = answer.result, answer.range, Look()
        top = high * 2
        return (
            services.shelf.put(answer, answer.megabytes),
            [],
            (result.image, depth_view(result, start)),
            result.image,
            "",
            facts_html(answer.facts, result.notes),
            jobs.snippet(answer, settings.device),
            None,
            start.colormap,
            gr.update(minimum=0, maximum=top, value=low, step=top / 1000),
            gr.update(minimum=0, maximum=top, value=high, step=top / 1000),
            False,
            gr.update(value=0, visible=result.depth.confidence is not None),
        )

    outputs = [ticket, clicks, slider, ruler, reading, summary, code, files, *look]

    def predict(
        picture: str | None,
        name: str,
        whole: bool,
        left: float,
        right: float,
        bottom: float,
        top: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        def job() -> jobs.PanoramaAnswer:
            if not is_loaded(name, settings.device):
                progress(0.05, desc="Loading the model")
            return jobs.predict_panorama(
                picture,
                services.predictor(name),
                sphere_of(whole, left, right, bottom, top),
                max_pixels=settings.max_pixels,
                say=lambda share, text: progress(share, desc=text),
            )

        return shown(services.run(job))

    def show_example(number: int) -> tuple[Any, ...]:
        file = SCENES / FIRST[number]
        answer = services.once(
            ("panorama", file.name), lambda: jobs.predict_panorama(file, services.predictor(names[0]))
        )
        return str(file), True, *shown(answer)

    def open_first(ticket: str | None) -> tuple[Any, ...]:
        """A finished example when the tab is opened for the first time."""
        return tuple(gr.skip() for _ in range(2 + len(outputs))) if ticket else show_example(0)

    def redraw(ticket: str | None, *values: Any) -> tuple[Any, ...]:
        if not ticket:
            return gr.skip(), gr.skip()

        def job() -> tuple[Any, ...]:
            result = services.shelf.get(ticket).result
            return (result.image, depth_view(result, checked_look(*values))), None

        return services.attempt(job)

    def draw_shape(ticket: str | None, see_through: bool, *values: Any) -> Path | None:
        if not ticket:
            return None

        def job() -> Path | None:
            result = services.shelf.get(ticket).result
            return jobs.shape_file(result, checked_look(*values), services.folder(), see_through)

        return services.attempt(job)

    def make_files(event: gr.SelectData, ticket: str | None, *values: Any) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()

        def job() -> list[str]:
            result = services.shelf.get(ticket).result
            return [str(path) for path in jobs.write_files(result, checked_look(*values), services.folder())]

        return services.attempt(job)

    def measure(event: gr.SelectData, ticket: str | None, points: list[tuple[float, float]]) -> tuple[Any, ...]:
        def job() -> tuple[Any, ...]:
            result = services.shelf.get(ticket).result
            point = (float(event.index[0]), float(event.index[1]))
            if len(points) == 1:
                both = [points[0], point]
                return ruler_view(result.image, both), jobs.distance_between(result, *both), []
            return ruler_view(result.image, [point]), jobs.range_at(result, *point), [point]

        return services.attempt(job)

    viewer.connect(views, "3D", draw_shape, [ticket, see_through, *look])
    viewer.after(run.click(predict, [picture, model, *part], outputs, api_visibility="private", **HEAVY))
    viewer.after(samples.click(show_example, samples, [picture, whole, *outputs], **QUIET, **HEAVY))
    views.select(make_files, [ticket, *look], files, api_visibility="private")
    changes = [colormap.input, hide.input, near.release, far.release, confidence.release]
    viewer.after(gr.on(changes, redraw, [ticket, *look], [slider, files], **QUIET))
    viewer.after(see_through.input(lambda: None, **QUIET))
    ruler.select(measure, [ticket, clicks], [ruler, reading, clicks], **QUIET)
    current_tab().select(open_first, ticket, [picture, whole, *outputs], **QUIET, **HEAVY)

    def predict_panorama(
        image: str, model: str, left: float, right: float, bottom: float, top: float
    ) -> tuple[str, dict[str, Any]]:
        """Predict the distance along every ray of a panorama; returns a ZIP of all results and a summary.

        left, right, bottom, top: the part of the sphere that the picture shows, degrees; -180, 180, -90, 90 is all of it.
        """
        whole = (left, right, bottom, top) == (-180, 180, -90, 90)

        def job() -> tuple[str, dict[str, Any]]:
            answer = jobs.predict_panorama(
                image,
                services.predictor(model),
                sphere_of(whole, left, right, bottom, top),
                max_pixels=settings.max_pixels,
            )
            return str(jobs.write_files(answer.result, Look(), services.folder())[0]), jobs.summary(answer)

        return services.run(job)

    endpoint(
        "predict_panorama",
        predict_panorama,
        [
            PictureInput(visible=False, type="filepath", label="Panorama file"),
            gr.Dropdown(list(names), value=names[0], visible=False, label="Name of a model"),
            gr.Number(-180, visible=False, label="Longitude of the left edge, degrees"),
            gr.Number(180, visible=False, label="Longitude of the right edge, degrees"),
            gr.Number(-90, visible=False, label="Latitude of the bottom edge, degrees"),
            gr.Number(90, visible=False, label="Latitude of the top edge, degrees"),
        ],
        [gr.File(visible=False, label="ZIP of all results"), gr.JSON(visible=False, label="Summary")],
    )


def sphere_of(whole: bool, left: float, right: float, bottom: float, top: float) -> jobs.SphereEntry:
    """The part of the sphere from the page's controls; empty fields are no numbers."""
    numbers = [float("nan") if value is None else float(value) for value in (left, right, bottom, top)]
    return jobs.SphereEntry(bool(whole), *numbers)
