"""Street: a picture in; 3D boxes on it and from above, side by side, as a table, as a scene and as files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import street as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import Say
from app.jobs.looks import depth_view
from app.parts.camera import camera_entry, entry_given, entry_of
from app.parts.inputs import (
    SCENES,
    archive_of,
    endpoint,
    given_fov,
    given_intrinsics,
    given_model,
    given_number,
    given_picture,
    no_model,
    picture_and_model,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import LookControls, Ruler, before_after, facts_html, facts_view, picture_view, shape_view
from app.services import Services

TITLE = "Street"
FIRST = tuple(SCENES / name for name in ("street_town.jpg", "street_avenue.jpg", "street_city.jpg"))
FIRST_FOV = 80.0  # degrees, what the examples were rendered with
BEV_HEIGHT = 400  # pixels: about as it is shown, so that its texts can be read


def build(services: Services) -> None:
    """Fill the tab."""
    names, settings = services.models["boxes3d"], services.settings
    if not names:
        no_model("3D boxes")
        return
    result = Result(services, "street")
    with gr.Row(equal_height=False):
        with controls_column():
            picture, samples, model = picture_and_model("street", "Street picture", FIRST, names, 260)
            camera = camera_entry("street", FIRST_FOV)
            score = gr.Slider(0, 1, value=jobs.SCORE, step=0.01, label="Least score", elem_id="street-score")
            run = run_button("Find objects", "street")
        with result_column():
            with gr.Tabs(elem_id="street-views"):
                with result.view("Boxes"):
                    with gr.Row():
                        with gr.Column(scale=3, min_width=300):
                            slider = before_after("Picture | 3D boxes", "street", 6)
                        with gr.Column(scale=2, min_width=240):
                            bev = picture_view("From above: forward is up, rings in metres", "street-bev", None)
                    table = gr.Dataframe(
                        headers=list(jobs.COLUMNS),
                        interactive=False,
                        label="Objects, the nearest first. Heading: 0 = as the camera looks, 90 = to the right, 180 = towards it",
                        elem_id="street-table",
                        elem_classes="plain",
                        max_height=280,
                    )
                with result.view("Depth"):
                    depth = before_after("Picture | the model's own coarse depth of objects", "street-depth", 35)
                with result.view("3D"):
                    shape = shape_view(
                        "street", "Drag to turn, scroll to zoom. A cross marks the front of each box", tilt=60
                    )
                ruler = Ruler(result, "Click an object for its depth, a second one for the distance")
                files = result.files_view()
                code = result.code_view()
            summary = facts_view("street")
            look = LookControls("street", leaves_out=False)

    def predict(say: Say, file: str | None, name: str, *camera: Any) -> jobs.StreetAnswer:
        chosen = services.predictor(name, say)
        return jobs.predict_street(file, chosen, entry_of(*camera), max_pixels=settings.max_pixels, say=say)

    def example(number: int, say: Say) -> jobs.StreetAnswer:
        chosen = services.predictor(names[0], say)
        return jobs.predict_street(FIRST[number], chosen, CameraEntry(mode=FROM_FOV, fov=FIRST_FOV), say=say)

    def seen(answer: jobs.StreetAnswer, score: float) -> tuple[Any, ...]:
        found = answer.result
        return (
            (found.image, jobs.image_view(found, score)),
            jobs.bev_view(found, score, BEV_HEIGHT),
            jobs.table(found, score),
            facts_html(jobs.facts(answer, score), jobs.notes(answer, score)),
            jobs.snippet(answer, score, settings.device),
        )

    def depth_of(answer: jobs.StreetAnswer, *values: Any) -> Any:
        coloured = depth_view(answer.result, look.look(*values))
        return None if coloured is None else (answer.result.image, coloured)

    def shape_of(answer: jobs.StreetAnswer, folder: Path, score: float) -> Path:
        return jobs.shape_file(answer.result, score, folder)

    def files_of(answer: jobs.StreetAnswer, folder: Path, score: float) -> list[Path]:
        return jobs.write_files(answer.result, score, folder)

    camera.connect(picture, services.picture)
    look.connect(result)
    result.starts(slider, look.parts, look.start)
    result.predicted(run.click, predict, [picture, model, *camera.inputs])
    preset = [picture, *camera.preset, score]
    result.examples(samples, example, preset, lambda number: (str(FIRST[number]), FROM_FOV, FIRST_FOV, jobs.SCORE))
    result.first(tab_opened(), example)
    result.drawn(seen, [score], [slider, bev, table, summary, code], [score.input])
    result.drawn(depth_of, look.parts, [depth], look.changes)
    result.drawn_shape(shape_of, [score], shape, [score.input])
    result.drawn_files(files_of, [score], files, [score.input])
    ruler.connect(result, lambda answer, score: jobs.measured(answer.result, score), [score], [score.input])

    def predict_street(image: str, model: str, fov: float, intrinsics: str, score: float) -> tuple[str, dict[str, Any]]:
        """Find 3D boxes in a street picture; returns a ZIP of all results and the boxes.

        fov: horizontal field of view in degrees, 0 where it is unknown. intrinsics: "fx, fy, cx, cy" in pixels, used instead of fov; may be empty.
        score: boxes below are left out.
        """

        def job() -> tuple[str, dict[str, Any]]:
            chosen, entry = services.predictor(model), entry_given(fov, intrinsics)
            answer = jobs.predict_street(image, chosen, entry, max_pixels=settings.max_pixels)
            archive = jobs.write_files(answer.result, score, services.folder())[0]
            return str(archive), jobs.summary(answer, score)

        return services.run(job)

    inputs = [given_picture(), given_model(names), given_fov(), given_intrinsics()]
    inputs.append(given_number(jobs.SCORE, 0, 1, "Least score"))
    endpoint("predict_street", predict_street, inputs, archive_of(), summary_of("Summary and boxes"))
