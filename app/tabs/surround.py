"""Surround: a street of the world by its seed, or a visitor's own rig as a ZIP; boxes on all pictures and from above, tracks over time, occupancy in 3D."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import surround as jobs
from app.jobs.common import Say, silent
from app.jobs.ruler import Measured
from app.jobs.world import WEATHERS
from app.parts.inputs import (
    SCENES,
    THUMBNAILS,
    archive_of,
    endpoint,
    examples,
    given_number,
    model_menu,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import Ruler, before_after, facts_html, facts_view, picture_view, shape_view
from app.services import QUIET, Services

TITLE = "Surround"
FROM_WORLD, FROM_FILE = "A street of the world", "Your own rig"
ANY_WEATHER = "by the seed"
FIRST_SEED = 5
SCORE = 0.3
COLUMNS = "() => innerWidth < 640 ? 1 : innerWidth < 1100 ? 2 : 3"  # of pictures side by side, so that each can be seen
BEV_HEIGHT = 480  # pixels: about as it is shown, so that its texts can be read
EXAMPLE_RIG = SCENES / "rig.zip"
FIRST = {  # thumbnail of an example -> seed and weather of the street, or None: the archive
    "surround_day.jpg": (FIRST_SEED, ANY_WEATHER),
    "surround_night.jpg": (8, "night"),
    "surround_rig.jpg": None,
}
FORMAT = """One JSON file a moment, and the pictures it names, in one ZIP (at most 12 moments of 12 cameras):

```json
{"cameras": [{"image": "front.jpg", "name": "CAM_FRONT",
              "intrinsics": [[f, 0, cx], [0, f, cy], [0, 0, 1]],
              "ego_from_camera": [[4 x 4]]}],
 "radars": [{"points": [[x, y, z]], "velocity": [[vx, vy]],
             "rcs": [dBsm], "ego_from_radar": [[4 x 4]]}],
 "global_from_ego": [[4 x 4]], "time": 12.5}
```
Only `cameras` is needed; `"fov": degrees` may stand for `intrinsics`, `"file": "front.pcd"` (nuScenes) for `points`.
Metres; the vehicle looks along +x, y is left, z up; cameras have x right, y down, z forward. Tracks need `global_from_ego` and `time` (seconds)."""


def build(services: Services) -> None:
    """Fill the tab. Without a model the exact truth of the world's streets is shown."""
    names, settings = services.models["rig"], services.settings
    first = {file: scene for file, scene in FIRST.items() if scene or names}  # an uploaded rig has no truth to show
    result = Result(services, "surround")
    with gr.Row(equal_height=False):
        with controls_column():
            samples = examples([THUMBNAILS / name for name in first], "surround-examples")
            source = gr.Radio(
                [FROM_WORLD, FROM_FILE], value=FROM_WORLD, label="Source", show_label=False, elem_id="surround-source"
            )
            with gr.Group() as world:
                with gr.Row():
                    seed = gr.Number(
                        FIRST_SEED,
                        label="Seed",
                        precision=0,
                        minimum=0,
                        maximum=jobs.MAX_SEED,
                        elem_id="surround-seed",
                        min_width=100,
                    )
                    weather = gr.Dropdown(
                        [ANY_WEATHER, *WEATHERS], value=ANY_WEATHER, label="Weather", elem_id="surround-weather"
                    )
                moments = gr.Slider(
                    1,
                    jobs.MAX_MOMENTS,
                    value=jobs.MOMENTS,
                    step=1,
                    label="Moments, half a second apart",
                    elem_id="surround-moments",
                )
            with gr.Group(visible=False) as upload:
                archive = gr.File(
                    label="ZIP of a rig", file_types=[".zip"], type="filepath", elem_id="surround-file", height=120
                )
                gr.DownloadButton("An example of such a ZIP", value=str(EXAMPLE_RIG), size="sm")
                with gr.Accordion("The format", open=False):
                    gr.Markdown(FORMAT)
            if names:
                model = model_menu(names, "surround-model")
            else:
                model = gr.State("")
                gr.Markdown(
                    "No model of vehicle rigs is offered here: what is shown is the exact truth of the scene.",
                    elem_classes="empty",
                )
            score = gr.Slider(
                0, 1, value=SCORE, step=0.01, label="Least score", elem_id="surround-score", visible=bool(names)
            )
            run = run_button("Look around", "surround")
        with result_column():
            with gr.Row():
                moment = gr.Slider(
                    1, jobs.MOMENTS, value=1, step=1, label="Moment", elem_id="surround-moment", min_width=200
                )
                side = gr.Radio(
                    [jobs.MODEL, jobs.TRUTH] if names else [jobs.TRUTH],
                    value=jobs.MODEL if names else jobs.TRUTH,
                    label="Pictures, table, 3D and ruler show",
                    elem_id="surround-side",
                    min_width=160,
                )
            with gr.Tabs(elem_id="surround-views"):
                with result.view("Boxes"):
                    camera = gr.Dropdown(
                        [("All", jobs.ALL)],
                        value=jobs.ALL,
                        label="Cameras",
                        info="Left of the line the pictures, right of it with the boxes",
                        elem_id="surround-camera",
                    )
                    columns = gr.Number(3, visible="hidden", label="Pictures side by side")
                    slider = before_after("Pictures | with the boxes", "surround", 6, height=1200, show_label=False)
                    with gr.Row():
                        bev = picture_view(
                            "Model from above; true boxes in white, radar in orange", "surround-bev", None
                        )
                        true_bev = picture_view("Truth from above", "surround-true-bev", None)
                with result.view("3D"):
                    shape = shape_view(
                        "surround", "Occupied voxels by class, boxes as bars; drag to turn", tilt=50, away=90
                    )
                with result.view("Table"):
                    table = gr.Dataframe(
                        headers=list(jobs.COLUMNS),
                        interactive=False,
                        label="Objects of this moment, the nearest first",
                        elem_id="surround-table",
                        elem_classes="plain",
                        max_height=520,
                    )
                ruler = Ruler(result, "Click one point for where it is, a second one for the distance")
                files = result.files_view(
                    "All moments in one ZIP, with the rig itself in the format that can be uploaded"
                )
                code = result.code_view()
            summary = facts_view("surround")
    chosen = [moment, score, side]

    def predict(
        say: Say, source: str, seed: float, weather: str, moments: float, archive: str | None, name: str
    ) -> jobs.SurroundAnswer:
        if source == FROM_FILE:
            scene = jobs.uploaded_scene(archive, services.folder(), settings.max_pixels)
        else:
            mood = None if weather in (ANY_WEATHER, "", None) else weather
            scene = jobs.world_scene(-1 if seed is None else seed, mood, int(moments), say=say)
        return jobs.predict_surround(scene, services.predictor(name, say) if name else None, say=say)

    def preset(number: int) -> tuple[Any, ...]:
        """The values of `given` that make an example."""
        scene = tuple(first.values())[number]
        if scene is None:
            return FROM_FILE, FIRST_SEED, ANY_WEATHER, jobs.MOMENTS, str(EXAMPLE_RIG)
        return FROM_WORLD, *scene, jobs.MOMENTS, None

    def example(number: int, say: Say) -> jobs.SurroundAnswer:
        return predict(say, *preset(number), names[0] if names else "")

    def start(answer: jobs.SurroundAnswer, *_: Any) -> tuple[Any, ...]:
        """The last moment, which has history and tracks."""
        count = len(answer.scene.rigs)
        return (
            gr.update(maximum=max(count, 2), value=count, interactive=count > 1),
            gr.update(choices=answer.sides, value=answer.sides[0]),
            gr.update(choices=jobs.camera_choices(answer), value=jobs.ALL),
        )

    def seen(
        answer: jobs.SurroundAnswer, moment: float, score: float, side: str, camera: int, columns: float
    ) -> tuple[Any, ...]:
        number, side, shown = int(moment) - 1, answer.side(side), (int(camera), min(max(int(columns), 1), 3))
        both = {name: jobs.bev_view(answer, number, score, name, BEV_HEIGHT) for name in answer.sides}
        return (
            (jobs.pictures_view(answer, number, *shown), jobs.cameras_view(answer, number, score, side, *shown)),
            gr.update(value=both.get(jobs.MODEL), visible=jobs.MODEL in both),
            gr.update(value=both.get(jobs.TRUTH), visible=jobs.TRUTH in both),
            jobs.table(answer, number, score, side),
            facts_html(jobs.facts(answer, number, score, side), jobs.notes(answer, number)),
            jobs.snippet(answer, score, settings.device),
        )

    def measured(answer: jobs.SurroundAnswer, moment: float, score: float, side: str) -> Measured:
        return jobs.measured(answer, int(moment) - 1, score, answer.side(side))

    def shape_of(answer: jobs.SurroundAnswer, folder: Path, moment: float, score: float, side: str) -> Path:
        return jobs.shape_file(answer, int(moment) - 1, score, answer.side(side), folder)

    def files_of(answer: jobs.SurroundAnswer, folder: Path, score: float) -> list[Path]:
        return jobs.write_files(answer, score, folder)

    source.change(
        lambda chosen: [gr.update(visible=chosen == FROM_WORLD), gr.update(visible=chosen == FROM_FILE)],
        source,
        [world, upload],
        **QUIET,
    )
    changes = [part.input for part in chosen]
    tab_opened()(None, None, columns, js=COLUMNS, show_progress="hidden")
    result.starts(slider, [moment, side, camera], start)
    given = [source, seed, weather, moments, archive]
    result.predicted(run.click, predict, [*given, model])
    result.examples(samples, example, given, preset)
    result.first(tab_opened(), example)
    result.drawn(
        seen,
        [*chosen, camera, columns],
        [slider, bev, true_bev, table, summary, code],
        [*changes, camera.input, columns.change],
    )
    result.drawn_shape(shape_of, chosen, shape, changes)
    result.drawn_files(files_of, [score], files, [score.input])
    ruler.connect(result, measured, chosen, changes)

    def packed(score: float, *asked: Any) -> tuple[str, dict[str, Any]]:
        def job() -> tuple[str, dict[str, Any]]:
            answer = predict(silent, *asked)
            return str(jobs.write_files(answer, score, services.folder())[0]), jobs.summary(answer, score)

        return services.run(job)

    def predict_surround_scene(
        seed: float, weather: str, moments: float, model: str, score: float
    ) -> tuple[str, dict[str, Any]]:
        """Render a street of the world with six cameras and five radars and find what is around; returns a ZIP of all moments and the boxes.

        weather: a name, or empty: the seed decides. moments: 1 to 6, half a second apart. model: may be empty: the exact truth is the answer.
        score: boxes below are left out.
        """
        return packed(score, FROM_WORLD, seed, weather, moments, None, model)

    def predict_surround_rig(rig: str, model: str, score: float) -> tuple[str, dict[str, Any]]:
        """Find what is around a vehicle in your own pictures; returns a ZIP of all moments and the boxes.

        rig: a ZIP of JSON files and pictures, as the page describes them. score: boxes below are left out.
        """
        return packed(score, FROM_FILE, 0, "", 1, rig, model)

    menu = [("", ""), *((name, name) for name in names)]
    default = names[0] if names else ""
    results = [archive_of("all moments"), summary_of("Summary and boxes")]
    scene_inputs = [
        gr.Number(0, precision=0, visible=False, label="Seed"),
        gr.Dropdown([("", ""), *WEATHERS], value="", visible=False, label="Weather, or empty"),
        given_number(jobs.MOMENTS, 1, jobs.MAX_MOMENTS, "Moments", 1),
        gr.Dropdown(menu, value=default, visible=False, label="Name of a model, or empty"),
        given_number(SCORE, 0, 1, "Least score"),
    ]
    rig_inputs = [
        gr.File(visible=False, type="filepath", label="ZIP of a rig"),
        gr.Dropdown(menu, value=default, visible=False, label="Name of a model"),
        given_number(SCORE, 0, 1, "Least score"),
    ]
    endpoint("predict_surround_scene", predict_surround_scene, scene_inputs, *results)
    endpoint("predict_surround_rig", predict_surround_rig, rig_inputs, *results)
