"""Photo: a picture in; depth, normals, segments and 3D out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.components import (
    EXAMPLES,
    VIEW_HEIGHT,
    PictureInput,
    Viewer,
    camera_entry,
    endpoint,
    entry_of,
    examples,
    facts_html,
    facts_view,
    model_menu,
    no_model,
    picture_view,
)
from app.jobs import photo as jobs
from app.jobs.cameras import FROM_FOV, FROM_MATRIX, CameraEntry
from app.jobs.common import is_loaded
from app.services import HEAVY, QUIET, Services

TITLE = "Photo"
FIRST = ("palace.jpg", "coffee.jpg", "motorcycle.jpg")
FIRST_FOV = 55.0  # degrees, a guess of what a compact camera sees


def build(services: Services) -> None:
    """Fill the tab."""
    names = services.models["photo"]
    if not names:
        no_model("photos")
        return
    settings = services.settings
    ticket = gr.State(None)
    clicks = gr.State([])
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = PictureInput(
                value=str(EXAMPLES / FIRST[0]),
                label="Photo",
                elem_id="photo",
                sources=["upload", "clipboard"],
                type="filepath",
                height=300,
                buttons=[],
                alt_text="The photo to predict",
            )
            samples = examples([EXAMPLES / name for name in FIRST], "photo-examples")
            model = model_menu(names, "model")
            camera = camera_entry("photo", FIRST_FOV)
            run = gr.Button("Predict", variant="primary", elem_id="run")
        with gr.Column(scale=5, min_width=320):
            with gr.Tabs(elem_id="photo-views") as views:
                with gr.Tab("Depth"):
                    slider = gr.ImageSlider(
                        label="Photo | depth",
                        elem_id="slider",
                        format="png",
                        slider_position=35,
                        max_height=VIEW_HEIGHT,
                        buttons=["fullscreen"],
                    )
                with gr.Tab("Normals"):
                    normals = picture_view("Surface normals", "normals")
                with gr.Tab("Segments"):
                    segments = picture_view("Segments", "segments")
                with gr.Tab("3D"):
                    style = gr.Radio(["Mesh", "Points"], value="Mesh", show_label=False, container=False)
                    viewer = Viewer("cloud", "Drag to turn, scroll to zoom")
                with gr.Tab("Measure"):
                    ruler = gr.Image(
                        label="Click one point for its depth, a second one for the distance",
                        elem_id="ruler",
                        interactive=False,
                        format="png",
                        height=VIEW_HEIGHT,
                        buttons=[],
                        alt_text="The photo, to click points in",
                    )
                    reading = gr.Textbox(label="Reading", elem_id="reading", interactive=False, show_label=False)
                with gr.Tab("Files"):
                    files = gr.File(label="Everything in one ZIP, and file by file", elem_id="files", interactive=False)
                with gr.Tab("Python"):
                    code = gr.Code(language="python", label="This very result in Python", elem_id="code", lines=10)
            summary = facts_view("summary")
            with gr.Accordion("Colours and limits", open=False, elem_id="look"):
                with gr.Row():
                    colormap = gr.Dropdown(
                        list(jobs.COLORMAPS), value=jobs.COLORMAPS[0], label="Colours", min_width=140
                    )
                    near = gr.Slider(0, 10, value=0, step=0.01, label="Near, m", elem_id="near", min_width=140)
                    far = gr.Slider(0, 10, value=0, step=0.01, label="Far, m", elem_id="far", min_width=140)
                with gr.Row():
                    hide = gr.Checkbox(False, label="Leave out what lies beyond, in 3D and files too", elem_id="hide")
                    confidence = gr.Slider(0, 1, value=0, step=0.01, label="Least confidence", visible=False)
                    reset = gr.Button("Reset", size="sm", elem_id="reset", min_width=80, scale=0)
    look = [colormap, near, far, hide, confidence]

    def predicted(file: str | None, name: str, entry: CameraEntry, progress: Any) -> jobs.PhotoAnswer:
        def job() -> jobs.PhotoAnswer:
            if not is_loaded(name, settings.device):
                progress(0.05, desc="Loading the model")
            return jobs.predict_photo(
                file,
                services.predictor(name),
                entry,
                max_pixels=settings.max_pixels,
                say=lambda share, text: progress(share, desc=text),
            )

        return services.run(job)

    def shown(answer: jobs.PhotoAnswer) -> tuple[Any, ...]:
        """One answer as the values of `outputs`; the colours start at the range that suits it."""
        result, (low, high) = answer.result, answer.range
        start = jobs.Look()
        depth = jobs.depth_view(result, start)
        metres = high > 0
        top = high * 2 if metres else 1.0
        graded = result.depth is not None and result.depth.confidence is not None
        return (
            services.shelf.put(answer, answer.megabytes),
            [],
            None if depth is None else (result.image, depth),
            result.image,
            None if result.normals is None else result.normals.preview(),
            None if result.segmentation is None else result.segmentation.preview(result.image),
            facts_html(answer.facts, result.notes),
            "",
            jobs.snippet(answer, start, settings.device),
            None,
            start.colormap,
            gr.update(minimum=0, maximum=top, value=low, step=top / 1000, visible=metres),
            gr.update(minimum=0, maximum=top, value=high, step=top / 1000, visible=metres),
            gr.update(value=False, visible=metres),
            gr.update(value=0, visible=graded),
        )

    outputs = [ticket, clicks, slider, ruler, normals, segments, summary, reading, code, files, *look]

    def predict(
        picture: str | None,
        name: str,
        mode: str,
        fov: float,
        focal: float,
        sensor: float,
        matrix: str,
        opencv: bool,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        return shown(predicted(picture, name, entry_of(mode, fov, focal, sensor, matrix, opencv), progress))

    def example(number: int) -> jobs.PhotoAnswer:
        file = EXAMPLES / FIRST[number]
        entry = CameraEntry(mode=FROM_FOV, fov=FIRST_FOV)
        return services.once(
            ("photo", file.name), lambda: jobs.predict_photo(file, services.predictor(names[0]), entry)
        )

    def show_example(number: int) -> tuple[Any, ...]:
        return str(EXAMPLES / FIRST[number]), FROM_FOV, FIRST_FOV, *shown(example(number))

    def redraw(ticket: str | None, *values: Any) -> tuple[Any, ...]:
        if not ticket:
            return gr.skip(), gr.skip(), gr.skip()

        def job() -> tuple[Any, ...]:
            answer, chosen = services.shelf.get(ticket), jobs.checked_look(*values)
            depth = jobs.depth_view(answer.result, chosen)
            return (
                None if depth is None else (answer.result.image, depth),
                jobs.snippet(answer, chosen, settings.device),
                None,
            )

        return services.attempt(job)

    def draw_shape(ticket: str | None, style: str, *values: Any) -> Path | None:
        if not ticket:
            return None
        return services.attempt(
            lambda: jobs.shape_file(
                services.shelf.get(ticket).result, jobs.checked_look(*values), services.folder(), style
            )
        )

    def make_files(event: gr.SelectData, ticket: str | None, *values: Any) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()
        return services.attempt(
            lambda: [
                str(path)
                for path in jobs.write_files(
                    services.shelf.get(ticket).result, jobs.checked_look(*values), services.folder()
                )
            ]
        )

    def measure(event: gr.SelectData, ticket: str | None, points: list[jobs.Point]) -> tuple[Any, ...]:
        def job() -> tuple[Any, ...]:
            result = services.shelf.get(ticket).result
            x, y = float(event.index[0]), float(event.index[1])
            if len(points) == 1:
                both = [points[0], (x, y)]
                return jobs.ruler_view(result.image, both), jobs.distance_between(result, *both), []
            return jobs.ruler_view(result.image, [(x, y)]), jobs.depth_at(result, x, y), [(x, y)]

        return services.attempt(job)

    def defaults(ticket: str | None) -> tuple[Any, ...]:
        answer = services.attempt(lambda: services.shelf.get(ticket))
        return jobs.COLORMAPS[0], *answer.range, False, 0

    viewer.connect(views, "3D", draw_shape, [ticket, style, *look])
    camera.connect(picture, services)
    viewer.after(run.click(predict, [picture, model, *camera.inputs], outputs, api_visibility="private", **HEAVY))
    viewer.after(samples.click(show_example, samples, [picture, *camera.preset, *outputs], **QUIET, **HEAVY))
    views.select(make_files, [ticket, *look], files, api_visibility="private")
    changes = [part.input for part in look]  # sliders by keyboard too
    viewer.after(gr.on(changes, redraw, [ticket, *look], [slider, code, files], trigger_mode="always_last", **QUIET))
    viewer.after(style.input(lambda: None, **QUIET))
    viewer.after(
        reset.click(defaults, ticket, look, **QUIET).then(redraw, [ticket, *look], [slider, code, files], **QUIET)
    )
    ruler.select(measure, [ticket, clicks], [ruler, reading, clicks], **QUIET)
    # the inputs hold the example from the start: to set them here would overwrite what a quick visitor has chosen
    gr.context.Context.root_block.load(lambda: shown(example(0)), None, outputs, **QUIET, **HEAVY)

    def predict_photo(image: str, model: str, fov: float, intrinsics: str) -> tuple[str, dict[str, Any]]:
        """Predict a picture; returns a ZIP of all results and a summary.

        fov: horizontal field of view in degrees, 0 where it is unknown. intrinsics: "fx, fy, cx, cy" in pixels, used instead of fov; may be empty.
        """
        entry = CameraEntry(mode=FROM_FOV, fov=fov) if fov else CameraEntry()
        if intrinsics:
            entry = CameraEntry(mode=FROM_MATRIX, matrix=intrinsics)

        def job() -> tuple[str, dict[str, Any]]:
            answer = jobs.predict_photo(image, services.predictor(model), entry, max_pixels=settings.max_pixels)
            archive = jobs.write_files(answer.result, jobs.Look(), services.folder())[0]
            return str(archive), jobs.summary(answer)

        return services.run(job)

    endpoint(
        "predict_photo",
        predict_photo,
        [
            PictureInput(visible=False, type="filepath", label="Picture file"),
            gr.Dropdown(list(names), value=names[0], visible=False, label="Name of a model"),
            gr.Slider(0, 170, value=0, visible=False, label="Horizontal field of view in degrees, 0 = unknown"),
            gr.Textbox("", visible=False, label='"fx, fy, cx, cy" in pixels, or empty', max_length=400),
        ],
        [gr.File(visible=False, label="ZIP of all results"), gr.JSON(visible=False, label="Summary")],
    )
