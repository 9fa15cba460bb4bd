"""Panorama: a 360 degree picture, or a part of one, in; range and a textured sphere out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import panorama as jobs
from app.jobs.common import Say
from app.jobs.looks import Look, depth_view
from app.jobs.ruler import in_pictures
from app.parts.inputs import (
    SCENES,
    archive_of,
    endpoint,
    given_model,
    given_picture,
    no_model,
    picture_and_model,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import LookControls, Ruler, before_after, facts_html, facts_view, shape_view
from app.services import Services

TITLE = "Panorama"
FIRST = tuple(SCENES / name for name in ("panorama_room.jpg", "panorama_street.jpg"))


def build(services: Services) -> None:
    """Fill the tab."""
    names, settings = services.models["panorama"], services.settings
    if not names:
        no_model("panoramas")
        return
    result = Result(services, "panorama")
    with gr.Row(equal_height=False):
        with controls_column():
            picture, samples, model = picture_and_model("panorama", "Panorama", FIRST, names, 220)
            with gr.Accordion("Part of the sphere", open=False, elem_id="panorama-part"):
                whole = gr.Checkbox(True, label="All of it: 360° x 180°", elem_id="panorama-whole")
                gr.Markdown("Else its edges in degrees: 0 is straight ahead and the horizon.", elem_classes="hint")
                with gr.Row():
                    left = gr.Number(-90, label="Left", minimum=-360, maximum=360, min_width=90)
                    right = gr.Number(90, label="Right", minimum=-360, maximum=360, min_width=90)
                with gr.Row():
                    bottom = gr.Number(-45, label="Bottom", minimum=-90, maximum=90, min_width=90)
                    top = gr.Number(45, label="Top", minimum=-90, maximum=90, min_width=90)
            run = run_button("Predict", "panorama")
        with result_column():
            with gr.Tabs(elem_id="panorama-views"):
                with result.view("Depth"):
                    slider = before_after("Panorama | distance along each ray", "panorama", 35)
                with result.view("3D"):
                    through = gr.Checkbox(
                        True, label="Look through the nearer walls from outside", elem_id="panorama-through"
                    )
                    shape = shape_view("panorama")
                ruler = Ruler(result, "Click one point for its distance, a second one for how far they are apart")
                files = result.files_view()
                code = result.code_view()
            summary = facts_view("panorama")
            look = LookControls("panorama")

    def predict(say: Say, file: str | None, name: str, *part: Any) -> jobs.PanoramaAnswer:
        chosen = services.predictor(name, say)
        return jobs.predict_panorama(file, chosen, sphere_of(*part), max_pixels=settings.max_pixels, say=say)

    def example(number: int, say: Say) -> jobs.PanoramaAnswer:
        return jobs.predict_panorama(FIRST[number], services.predictor(names[0], say), say=say)

    def lasting(answer: jobs.PanoramaAnswer) -> tuple[Any, ...]:
        """What does not depend on the look."""
        return facts_html(answer.facts, answer.result.notes), jobs.snippet(answer, settings.device)

    def depth(answer: jobs.PanoramaAnswer, *values: Any) -> tuple[Any, ...]:
        return answer.result.image, depth_view(answer.result, look.look(*values))

    def shape_of(answer: jobs.PanoramaAnswer, folder: Path, through: bool, *values: Any) -> Path | None:
        return jobs.shape_file(answer.result, look.look(*values), folder, through)

    def files_of(answer: jobs.PanoramaAnswer, folder: Path, *values: Any) -> list[Path]:
        return jobs.write_files(answer.result, look.look(*values), folder)

    look.connect(result)
    result.starts(slider, look.parts, look.start)
    result.predicted(run.click, predict, [picture, model, whole, left, right, bottom, top])
    result.examples(samples, example, [picture, whole], lambda number: (str(FIRST[number]), True))
    result.first(tab_opened(), example)
    result.drawn(lasting, [], [summary, code])
    result.drawn(depth, look.parts, [slider], look.changes)
    result.drawn_shape(shape_of, [through, *look.parts], shape, [through.input, *look.changes])
    result.drawn_files(files_of, look.parts, files, look.changes)
    ruler.connect(result, lambda answer: in_pictures({"": answer.result}))

    def predict_panorama(
        image: str, model: str, left: float, right: float, bottom: float, top: float
    ) -> tuple[str, dict[str, Any]]:
        """Predict the distance along every ray of a panorama; returns a ZIP of all results and a summary.

        left, right, bottom, top: the part of the sphere that the picture shows, degrees; -180, 180, -90, 90 is all of it.
        """

        def job() -> tuple[str, dict[str, Any]]:
            whole = (left, right, bottom, top) == (-180, 180, -90, 90)
            chosen, part = services.predictor(model), sphere_of(whole, left, right, bottom, top)
            answer = jobs.predict_panorama(image, chosen, part, max_pixels=settings.max_pixels)
            return str(jobs.write_files(answer.result, Look(), services.folder())[0]), jobs.summary(answer)

        return services.run(job)

    edges = {
        "Longitude of the left": -180,
        "Longitude of the right": 180,
        "Latitude of the bottom": -90,
        "Latitude of the top": 90,
    }
    degrees = [gr.Number(value, visible=False, label=f"{name} edge, degrees") for name, value in edges.items()]
    inputs = [given_picture("Panorama file"), given_model(names), *degrees]
    endpoint("predict_panorama", predict_panorama, inputs, archive_of(), summary_of())


def sphere_of(whole: bool, left: float, right: float, bottom: float, top: float) -> jobs.SphereEntry:
    """The part of the sphere from the page's controls; empty fields are no numbers."""
    numbers = [float("nan") if value is None else float(value) for value in (left, right, bottom, top)]
    return jobs.SphereEntry(bool(whole), *numbers)
