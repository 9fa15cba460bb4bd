"""Photo: a picture in; depth, normals, segments and 3D out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import photo as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import Say
from app.jobs.looks import Look, depth_view
from app.jobs.ruler import in_pictures
from app.parts.camera import camera_entry, entry_given, entry_of
from app.parts.inputs import (
    EXAMPLES,
    archive_of,
    endpoint,
    given_fov,
    given_intrinsics,
    given_model,
    given_picture,
    no_model,
    picture_and_model,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, page_load
from app.parts.views import LookControls, Ruler, before_after, facts_html, facts_view, picture_view, shape_view
from app.services import Services

TITLE = "Photo"
FIRST = tuple(EXAMPLES / name for name in ("palace.jpg", "coffee.jpg", "motorcycle.jpg"))
FIRST_FOV = 55.0  # degrees, a guess of what a compact camera sees


def build(services: Services) -> None:
    """Fill the tab."""
    names, settings = services.models["photo"], services.settings
    if not names:
        no_model("photos")
        return
    result = Result(services, "photo")
    with gr.Row(equal_height=False):
        with controls_column():
            picture, samples, model = picture_and_model("photo", "Photo", FIRST, names, 300)
            camera = camera_entry("photo", FIRST_FOV)
            run = run_button("Predict", "photo")
        with result_column():
            with gr.Tabs(elem_id="photo-views"):
                with result.view("Depth"):
                    slider = before_after("Photo | depth", "photo", 35)
                with result.view("Normals"):
                    normals = picture_view("Surface normals", "photo-normals")
                with result.view("Segments"):
                    segments = picture_view("Segments", "photo-segments")
                with result.view("3D"):
                    style = gr.Radio(["Mesh", "Points"], value="Mesh", label="Style", show_label=False, container=False)
                    shape = shape_view("photo")
                ruler = Ruler(result, "Click one point for its depth, a second one for the distance")
                files = result.files_view()
                code = result.code_view()
            summary = facts_view("photo")
            look = LookControls("photo")

    def predict(say: Say, file: str | None, name: str, *camera: Any) -> jobs.PhotoAnswer:
        chosen = services.predictor(name, say)
        return jobs.predict_photo(file, chosen, entry_of(*camera), max_pixels=settings.max_pixels, say=say)

    def example(number: int, say: Say) -> jobs.PhotoAnswer:
        chosen = services.predictor(names[0], say)
        return jobs.predict_photo(FIRST[number], chosen, CameraEntry(mode=FROM_FOV, fov=FIRST_FOV), say=say)

    def lasting(answer: jobs.PhotoAnswer) -> tuple[Any, ...]:
        """What does not depend on the look."""
        found = answer.result
        return (
            None if found.normals is None else found.normals.preview(),
            None if found.segmentation is None else found.segmentation.preview(found.image),
            facts_html(answer.facts, found.notes),
        )

    def looks(answer: jobs.PhotoAnswer, *values: Any) -> tuple[Any, ...]:
        chosen = look.look(*values)
        depth = depth_view(answer.result, chosen)
        return (
            None if depth is None else (answer.result.image, depth),
            jobs.snippet(answer, chosen, settings.device),
        )

    def shape_of(answer: jobs.PhotoAnswer, folder: Path, style: str, *values: Any) -> Path | None:
        return jobs.shape_file(answer.result, look.look(*values), folder, style)

    def files_of(answer: jobs.PhotoAnswer, folder: Path, *values: Any) -> list[Path]:
        return jobs.write_files(answer.result, look.look(*values), folder)

    camera.connect(picture, services.picture)
    look.connect(result)
    result.starts(slider, look.parts, look.start)
    result.predicted(run.click, predict, [picture, model, *camera.inputs])
    preset = [picture, *camera.preset]
    result.examples(samples, example, preset, lambda number: (str(FIRST[number]), FROM_FOV, FIRST_FOV))
    result.first(page_load(), example)
    result.drawn(lasting, [], [normals, segments, summary])
    result.drawn(looks, look.parts, [slider, code], look.changes)
    result.drawn_shape(shape_of, [style, *look.parts], shape, [style.input, *look.changes])
    result.drawn_files(files_of, look.parts, files, look.changes)
    ruler.connect(result, lambda answer: in_pictures({"": answer.result}))

    def predict_photo(image: str, model: str, fov: float, intrinsics: str) -> tuple[str, dict[str, Any]]:
        """Predict a picture; returns a ZIP of all results and a summary.

        fov: horizontal field of view in degrees, 0 where it is unknown. intrinsics: "fx, fy, cx, cy" in pixels, used instead of fov; may be empty.
        """

        def job() -> tuple[str, dict[str, Any]]:
            chosen, entry = services.predictor(model), entry_given(fov, intrinsics)
            answer = jobs.predict_photo(image, chosen, entry, max_pixels=settings.max_pixels)
            archive = jobs.write_files(answer.result, Look(), services.folder())[0]
            return str(archive), jobs.summary(answer)

        return services.run(job)

    inputs = [given_picture(), given_model(names), given_fov(), given_intrinsics()]
    endpoint("predict_photo", predict_photo, inputs, archive_of(), summary_of())
