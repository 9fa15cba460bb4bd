"""Compare: two models on one picture, side by side, with the difference as a map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import compare as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import Say, silent
from app.jobs.looks import Look
from app.jobs.photo import shape_file
from app.jobs.ruler import in_pictures
from app.parts.camera import camera_entry, entry_given, entry_of
from app.parts.inputs import (
    EXAMPLES,
    archive_of,
    endpoint,
    examples,
    given_fov,
    given_model,
    given_picture,
    model_menu,
    no_model,
    picture_input,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import LookControls, Ruler, before_after, facts_html, facts_view, picture_view, shape_view
from app.services import Services

TITLE = "Compare"
FIRST = tuple(EXAMPLES / name for name in ("motorcycle.jpg", "palace.jpg", "coffee.jpg"))
FIRST_FOV = 55.0  # degrees, a guess of what a compact camera sees
SIDES = ["First", "Second"]  # the names of `Comparison.sides`


def build(services: Services) -> None:
    """Fill the tab."""
    names, settings = services.models["photo"], services.settings
    if not names:
        no_model("photos")
        return
    usual = jobs.SAME if len(names) > 1 else jobs.MIRRORED
    result = Result(services, "compare")
    with gr.Row(equal_height=False):
        with controls_column():
            picture = picture_input("Photo", "compare-photo", FIRST[0], 260)
            samples = examples(FIRST, "compare-examples")
            first = model_menu(names, "compare-first", "First model")
            second = model_menu(names[::-1], "compare-second", "Second model")
            variation = gr.Dropdown(
                list(jobs.VARIATIONS), value=usual, label="The second model sees", elem_id="compare-variation"
            )
            camera = camera_entry("compare", FIRST_FOV)
            run = run_button("Compare", "compare")
        with result_column():
            what = gr.Radio(
                list(jobs.PARTS),
                value=jobs.DEPTH,
                label="Compare",
                show_label=False,
                container=False,
                elem_id="compare-what",
            )
            with gr.Tabs(elem_id="compare-views"):
                with result.view("Side by side"):
                    slider = before_after("First | second", "compare")
                with result.view("Difference"):
                    difference = picture_view("Difference of the second from the first", "compare-difference")
                with result.view("3D"):
                    side = gr.Radio(SIDES, value=SIDES[0], label="Which", show_label=False, container=False)
                    shape = shape_view("compare")
                ruler = Ruler(result, "Click one point for its depth in both, a second one for the distances")
                files = result.files_view("Both results in one ZIP")
                code = result.code_view("This comparison in Python")
            summary = facts_view("compare")
            look = LookControls("compare", leaves_out=False)

    def compared(say: Say, file: Any, one: str, two: str, seen: str, entry: CameraEntry) -> jobs.Comparison:
        models = [services.predictor(name, say) for name in (one, two)]
        return jobs.compare(file, *models, seen, entry, max_pixels=settings.max_pixels, say=say)

    def predict(say: Say, file: str | None, one: str, two: str, seen: str, *camera: Any) -> jobs.Comparison:
        return compared(say, file, one, two, seen, entry_of(*camera))

    def example(number: int, say: Say) -> jobs.Comparison:
        return compared(say, FIRST[number], names[0], names[-1], usual, CameraEntry(mode=FROM_FOV, fov=FIRST_FOV))

    def start(done: jobs.Comparison, now: str, *_: Any) -> tuple[Any, ...]:
        part = gr.update(choices=done.parts, value=now if now in done.parts else done.parts[0])
        return part, *look.start(done)

    def seen(done: jobs.Comparison, part: str, *values: Any) -> tuple[Any, ...]:
        one, two, apart, facts = jobs.views(done, part, look.look(*values))
        notes = dict.fromkeys((*done.first.notes, *done.second.notes))
        label = " | ".join(done.names)
        return gr.update(value=(one, two), label=label), apart, facts_html([*facts, *done.facts], list(notes))

    def shape_of(done: jobs.Comparison, folder: Path, side: str) -> Path | None:
        return shape_file(done.sides[side], Look(), folder, "Mesh")

    def files_of(done: jobs.Comparison, folder: Path) -> list[Path]:
        return [jobs.write_files(done, folder)]

    camera.connect(picture, services.picture)
    look.connect(result)
    result.starts(slider, [what, *look.parts], start)
    result.predicted(run.click, predict, [picture, first, second, variation, *camera.inputs])
    preset = [picture, *camera.preset]
    result.examples(samples, example, preset, lambda number: (str(FIRST[number]), FROM_FOV, FIRST_FOV))
    result.first(tab_opened(), example)
    result.drawn(seen, [what, *look.parts], [slider, difference, summary], [what.input, *look.changes])
    result.drawn(lambda done: jobs.snippet(done, settings.device), [], [code])
    result.drawn_shape(shape_of, [side], shape, [side.input])
    result.drawn_files(files_of, [], files)
    ruler.connect(result, lambda done: in_pictures(done.sides))

    def compare_models(image: str, first: str, second: str, variation: str, fov: float) -> tuple[str, dict[str, Any]]:
        """Predict a picture with two models; returns a ZIP of both results with difference maps, and a summary.

        variation: what the second model sees. fov: horizontal field of view in degrees, 0 where it is unknown.
        """

        def job() -> tuple[str, dict[str, Any]]:
            done = compared(silent, image, first, second, variation, entry_given(fov))
            return str(jobs.write_files(done, services.folder())), jobs.summary(done)

        return services.run(job)

    inputs = [
        given_picture(),
        given_model(names, "Name of the first model"),
        given_model(names, "Name of the second model", names[-1]),
        gr.Dropdown(list(jobs.VARIATIONS), value=usual, visible=False, label="What the second model sees"),
        given_fov(),
    ]
    endpoint("compare_models", compare_models, inputs, archive_of("both results"), summary_of())
