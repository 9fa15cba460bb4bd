"""Street: a picture in; 3D boxes on it and from above, side by side, as a table, as a scene and as files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.components import (
    SCENES,
    PictureInput,
    Viewer,
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
from app.jobs import street as jobs
from app.jobs.cameras import FROM_FOV, FROM_MATRIX, CameraEntry
from app.jobs.common import is_loaded
from app.services import HEAVY, QUIET, Services

TITLE = "Street"
FIRST = ("street_town.jpg", "street_avenue.jpg", "street_city.jpg")
FIRST_FOV = 80.0  # degrees, what the examples were rendered with
SCORE = 0.15


def build(services: Services) -> None:
    """Fill the tab."""
    names = services.models["boxes3d"]
    if not names:
        no_model("3D boxes")
        return
    settings = services.settings
    ticket = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = PictureInput(
                label="Street picture",
                elem_id="street",
                sources=["upload", "clipboard"],
                type="filepath",
                height=260,
                buttons=[],
                alt_text="The street picture to predict",
            )
            samples = examples([SCENES / name for name in FIRST], "street-examples")
            model = model_menu(names, "street-model")
            camera = camera_entry("street")
            score = gr.Slider(0, 1, value=SCORE, step=0.01, label="Least score", elem_id="street-score")
            run = gr.Button("Find objects", variant="primary", elem_id="street-run")
        with gr.Column(scale=5, min_width=320):
            with gr.Tabs(elem_id="street-views") as views:
                with gr.Tab("Boxes"):
                    with gr.Row():
                        with gr.Column(scale=3, min_width=300):
                            boxes = picture_view("3D boxes on the picture", "street-boxes", None)
                        with gr.Column(scale=2, min_width=240):
                            bev = picture_view("From above: forward is up, rings in metres", "street-bev", 480)
                    table = gr.Dataframe(
                        headers=list(jobs.COLUMNS),
                        interactive=False,
                        label="Objects, the nearest first. Heading: 0 = as the camera looks, 90 = to the right, 180 = towards it",
                        elem_id="street-table",
                        max_height=280,
                    )
                with gr.Tab("3D"):
                    viewer = Viewer("street-3d", "Drag to turn, scroll to zoom. A cross marks the front of each box")
                with gr.Tab("Files"):
                    files = gr.File(
                        label="Everything in one ZIP, and file by file", elem_id="street-files", interactive=False
                    )
                with gr.Tab("Python"):
                    code = gr.Code(
                        language="python", label="This very result in Python", elem_id="street-code", lines=10
                    )
            summary = facts_view("street-summary")
    drawn = [boxes, bev, table, summary, code, files]

    def predicted(file: str | None, name: str, entry: CameraEntry, progress: Any) -> jobs.StreetAnswer:
        def job() -> jobs.StreetAnswer:
            if not is_loaded(name, settings.device):
                progress(0.05, desc="Loading the model")
            return jobs.predict_street(
                file,
                services.predictor(name),
                entry,
                max_pixels=settings.max_pixels,
                say=lambda share, text: progress(share, desc=text),
            )

        return services.run(job)

    def views_of(answer: jobs.StreetAnswer, score: float) -> tuple[Any, ...]:
        """One answer at one score as the values of `drawn`; files are made when their tab is opened."""
        result = answer.result
        return (
            jobs.image_view(result, score),
            jobs.bev_view(result, score),
            jobs.table(result, score),
            facts_html(jobs.facts(answer, score), jobs.notes(answer, score)),
            jobs.snippet(answer, score, settings.device),
            None,
        )

    def predict(
        picture: str | None,
        name: str,
        score: float,
        mode: str,
        fov: float,
        focal: float,
        sensor: float,
        matrix: str,
        opencv: bool,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        answer = predicted(picture, name, entry_of(mode, fov, focal, sensor, matrix, opencv), progress)
        return services.shelf.put(answer, answer.megabytes), *views_of(answer, score)

    def example(number: int) -> jobs.StreetAnswer:
        file = SCENES / FIRST[number]
        entry = CameraEntry(mode=FROM_FOV, fov=FIRST_FOV)
        return services.once(
            ("street", file.name), lambda: jobs.predict_street(file, services.predictor(names[0]), entry)
        )

    def show_example(number: int) -> tuple[Any, ...]:
        answer = example(number)
        return (
            str(SCENES / FIRST[number]),
            FROM_FOV,
            FIRST_FOV,
            SCORE,
            services.shelf.put(answer, answer.megabytes),
            *views_of(answer, SCORE),
        )

    def open_first(ticket: str | None) -> tuple[Any, ...]:
        """A finished example when the tab is opened for the first time."""
        return tuple(gr.skip() for _ in range(5 + len(drawn))) if ticket else show_example(0)

    def redraw(ticket: str | None, score: float) -> tuple[Any, ...]:
        if not ticket:
            return tuple(gr.skip() for _ in drawn)
        return services.attempt(lambda: views_of(services.shelf.get(ticket), score))

    def draw_shape(ticket: str | None, score: float) -> Path | None:
        if not ticket:
            return None
        return services.attempt(lambda: jobs.shape_file(services.shelf.get(ticket).result, score, services.folder()))

    def make_files(event: gr.SelectData, ticket: str | None, score: float) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()
        return services.attempt(
            lambda: [
                str(path) for path in jobs.write_files(services.shelf.get(ticket).result, score, services.folder())
            ]
        )

    viewer.connect(views, "3D", draw_shape, [ticket, score])
    camera.connect(picture, services)
    asked = [picture, model, score, *camera.inputs]
    viewer.after(run.click(predict, asked, [ticket, *drawn], api_visibility="private", **HEAVY))
    viewer.after(
        samples.click(show_example, samples, [picture, *camera.preset, score, ticket, *drawn], **QUIET, **HEAVY)
    )
    viewer.after(score.input(redraw, [ticket, score], drawn, trigger_mode="always_last", **QUIET))
    views.select(make_files, [ticket, score], files, api_visibility="private")
    current_tab().select(open_first, ticket, [picture, *camera.preset, score, ticket, *drawn], **QUIET, **HEAVY)

    def predict_street(image: str, model: str, fov: float, intrinsics: str, score: float) -> tuple[str, dict[str, Any]]:
        """Find 3D boxes in a street picture; returns a ZIP of all results and the boxes.

        fov: horizontal field of view in degrees, 0 where it is unknown. intrinsics: "fx, fy, cx, cy" in pixels, used instead of fov; may be empty.
        score: boxes below are left out.
        """
        entry = CameraEntry(mode=FROM_FOV, fov=fov) if fov else CameraEntry()
        if intrinsics:
            entry = CameraEntry(mode=FROM_MATRIX, matrix=intrinsics)

        def job() -> tuple[str, dict[str, Any]]:
            answer = jobs.predict_street(image, services.predictor(model), entry, max_pixels=settings.max_pixels)
            archive = jobs.write_files(answer.result, score, services.folder())[0]
            return str(archive), jobs.summary(answer, score)

        return services.run(job)

    endpoint(
        "predict_street",
        predict_street,
        [
            PictureInput(visible=False, type="filepath", label="Picture file"),
            gr.Dropdown(list(names), value=names[0], visible=False, label="Name of a model"),
            gr.Slider(0, 170, value=0, visible=False, label="Horizontal field of view in degrees, 0 = unknown"),
            gr.Textbox("", visible=False, label='"fx, fy, cx, cy" in pixels, or empty', max_length=400),
            gr.Slider(0, 1, value=SCORE, visible=False, label="Least score"),
        ],
        [gr.File(visible=False, label="ZIP of all results"), gr.JSON(visible=False, label="Summary and boxes")],
    )
