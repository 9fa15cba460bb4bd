"""Surround: a street of the world by its seed, or a visitor's own rig as a ZIP; boxes on all pictures and from above, tracks over time, occupancy in 3D."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.components import (
    SCENES,
    Viewer,
    current_tab,
    endpoint,
    facts_html,
    facts_view,
    model_menu,
    picture_view,
)
from app.jobs import surround as jobs
from app.jobs.common import is_loaded
from app.jobs.world import WEATHERS
from app.services import HEAVY, QUIET, Services

TITLE = "Surround"
FROM_WORLD, FROM_FILE = "A street of the world", "Your own rig"
ANY_WEATHER = "by the seed"
FIRST_SEED = 5
SCORE = 0.3
EXAMPLE_RIG = SCENES / "rig.zip"
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
    names = services.models["rig"]
    settings = services.settings
    ticket = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            source = gr.Radio([FROM_WORLD, FROM_FILE], value=FROM_WORLD, show_label=False, elem_id="surround-source")
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
                    "No model of vehicle rigs is offered here yet: what is shown is the exact truth of the scene.",
                    elem_classes="empty",
                )
            score = gr.Slider(
                0, 1, value=SCORE, step=0.01, label="Least score", elem_id="surround-score", visible=bool(names)
            )
            run = gr.Button("Look around", variant="primary", elem_id="surround-run")
        with gr.Column(scale=5, min_width=320):
            with gr.Row():
                moment = gr.Slider(
                    1, jobs.MOMENTS, value=1, step=1, label="Moment", elem_id="surround-moment", min_width=200
                )
                side = gr.Radio(
                    [jobs.MODEL, jobs.TRUTH] if names else [jobs.TRUTH],
                    value=jobs.MODEL if names else jobs.TRUTH,
                    label="Pictures, table and 3D show",
                    elem_id="surround-side",
                    min_width=160,
                )
            with gr.Tabs(elem_id="surround-views") as views:
                with gr.Tab("Boxes"):
                    cameras = picture_view("All cameras; the lower row as in a mirror", "surround-cameras", None)
                    with gr.Row():
                        bev = picture_view(
                            "Model from above; true boxes in white, radar in orange", "surround-bev", None
                        )
                        true_bev = picture_view("Truth from above", "surround-true-bev", None)
                with gr.Tab("3D"):
                    viewer = Viewer("surround-3d", "Occupied voxels by class, boxes as bars; drag to turn")
                with gr.Tab("Table"):
                    table = gr.Dataframe(
                        headers=list(jobs.COLUMNS),
                        interactive=False,
                        label="Objects of this moment, the nearest first",
                        elem_id="surround-table",
                        max_height=520,
                    )
                with gr.Tab("Files"):
                    files = gr.File(
                        label="All moments in one ZIP, with the rig itself in the format that can be uploaded",
                        elem_id="surround-files",
                        interactive=False,
                    )
                with gr.Tab("Python"):
                    code = gr.Code(
                        language="python", label="This very result in Python", elem_id="surround-code", lines=10
                    )
            summary = facts_view("surround-summary")
    chosen = [moment, score, side]
    drawn = [cameras, bev, true_bev, table, summary]

    def answered(scene: Any, name: str, progress: Any) -> jobs.SurroundAnswer:
        """Heavy part, run alone on the device. `scene()` renders or reads."""

        def job() -> jobs.SurroundAnswer:
            made = scene()
            if name and not is_loaded(name, settings.device):
                progress(0.3, desc="Loading the model")
            chosen = services.predictor(name) if name else None
            return jobs.predict_surround(made, chosen, say=lambda share, text: progress(share, desc=text))

        return services.run(job)

    def views_of(answer: jobs.SurroundAnswer, moment: float, score: float, side: str) -> tuple[Any, ...]:
        """One moment as the values of `drawn`."""
        number = int(moment) - 1
        side = side if side in answer.sides else answer.sides[0]
        both = {name: jobs.bev_view(answer, number, score, name) for name in answer.sides}
        return (
            jobs.cameras_view(answer, number, score, side),
            gr.update(value=both.get(jobs.MODEL), visible=jobs.MODEL in both),
            gr.update(value=both.get(jobs.TRUTH), visible=jobs.TRUTH in both),
            jobs.table(answer, number, score, side),
            facts_html(jobs.facts(answer, number, score, side), jobs.notes(answer, number)),
        )

    def shown(answer: jobs.SurroundAnswer, score: float) -> tuple[Any, ...]:
        """A new answer as the values of `outputs`: its last moment, which has history and tracks."""
        count, side = len(answer.scene.rigs), answer.sides[0]
        return (
            services.shelf.put(answer, answer.megabytes),
            gr.update(maximum=max(count, 2), value=count, interactive=count > 1),
            gr.update(choices=answer.sides, value=side),
            *views_of(answer, count, score, side),
            jobs.snippet(answer, score, settings.device),
            None,
        )

    outputs = [ticket, moment, side, *drawn, code, files]

    def predict(
        source: str,
        seed: float,
        weather: str,
        moments: float,
        archive: str | None,
        name: str,
        score: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        def scene() -> jobs.Scene:
            if source == FROM_FILE:
                return jobs.uploaded_scene(archive, services.folder(), settings.max_pixels)
            mood = None if weather == ANY_WEATHER else weather
            return jobs.world_scene(
                -1 if seed is None else seed, mood, int(moments), say=lambda share, text: progress(share, desc=text)
            )

        return shown(answered(scene, name, progress), score)

    def open_first(ticket: str | None, name: str) -> tuple[Any, ...]:
        """A finished example when the tab is opened for the first time."""
        if ticket:
            return tuple(gr.skip() for _ in outputs)
        first = names[0] if names else None
        answer = services.once(
            ("surround", FIRST_SEED),
            lambda: jobs.predict_surround(jobs.world_scene(FIRST_SEED), services.predictor(first) if first else None),
        )
        return shown(answer, SCORE)

    def redraw(ticket: str | None, moment: float, score: float, side: str) -> tuple[Any, ...]:
        if not ticket:
            return tuple(gr.skip() for _ in (*drawn, code, files))

        def job() -> tuple[Any, ...]:
            answer = services.shelf.get(ticket)
            return *views_of(answer, moment, score, side), jobs.snippet(answer, score, settings.device), None

        return services.attempt(job)

    def draw_shape(ticket: str | None, moment: float, score: float, side: str) -> Path | None:
        if not ticket:
            return None

        def job() -> Path:
            answer = services.shelf.get(ticket)
            own = side if side in answer.sides else answer.sides[0]
            return jobs.shape_file(answer, int(moment) - 1, score, own, services.folder())

        return services.attempt(job)

    def make_files(event: gr.SelectData, ticket: str | None, score: float) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()
        return services.attempt(
            lambda: [str(path) for path in jobs.write_files(services.shelf.get(ticket), score, services.folder())]
        )

    source.change(
        lambda chosen: [gr.update(visible=chosen == FROM_WORLD), gr.update(visible=chosen == FROM_FILE)],
        source,
        [world, upload],
        **QUIET,
    )
    viewer.connect(views, "3D", draw_shape, [ticket, *chosen])
    asked = [source, seed, weather, moments, archive, model, score]
    viewer.after(run.click(predict, asked, outputs, api_visibility="private", **HEAVY))
    changes = [moment.input, score.input, side.input]
    viewer.after(gr.on(changes, redraw, [ticket, *chosen], [*drawn, code, files], trigger_mode="always_last", **QUIET))
    views.select(make_files, [ticket, score], files, api_visibility="private")
    current_tab().select(open_first, [ticket, model], outputs, **QUIET, **HEAVY)

    def packed(answer: jobs.SurroundAnswer, score: float) -> tuple[str, dict[str, Any]]:
        archive = services.attempt(lambda: jobs.write_files(answer, score, services.folder())[0])
        return str(archive), jobs.summary(answer, score)

    def predict_surround_scene(
        seed: float, weather: str, moments: float, model: str, score: float
    ) -> tuple[str, dict[str, Any]]:
        """Render a street of the world with six cameras and five radars and find what is around; returns a ZIP of all moments and the boxes.

        weather: a name, or empty: the seed decides. moments: 1 to 6, half a second apart. model: may be empty: the exact truth is the answer.
        score: boxes below are left out.
        """
        answer = answered(lambda: jobs.world_scene(seed, weather or None, int(moments)), model, _quiet)
        return packed(answer, score)

    def predict_surround_rig(rig: str, model: str, score: float) -> tuple[str, dict[str, Any]]:
        """Find what is around a vehicle in your own pictures; returns a ZIP of all moments and the boxes.

        rig: a ZIP of JSON files and pictures, as the page describes them. score: boxes below are left out.
        """
        answer = answered(lambda: jobs.uploaded_scene(rig, services.folder(), settings.max_pixels), model, _quiet)
        return packed(answer, score)

    menu = [("", ""), *((name, name) for name in names)]
    results = [gr.File(visible=False, label="ZIP of all moments"), gr.JSON(visible=False, label="Summary and boxes")]
    default = names[0] if names else ""
    endpoint(
        "predict_surround_scene",
        predict_surround_scene,
        [
            gr.Number(0, precision=0, visible=False, label="Seed"),
            gr.Dropdown([("", ""), *WEATHERS], value="", visible=False, label="Weather, or empty"),
            gr.Slider(1, jobs.MAX_MOMENTS, value=jobs.MOMENTS, step=1, visible=False, label="Moments"),
            gr.Dropdown(menu, value=default, visible=False, label="Name of a model, or empty"),
            gr.Slider(0, 1, value=SCORE, visible=False, label="Least score"),
        ],
        results,
    )
    endpoint(
        "predict_surround_rig",
        predict_surround_rig,
        [
            gr.File(visible=False, type="filepath", label="ZIP of a rig"),
            gr.Dropdown(menu, value=default, visible=False, label="Name of a model"),
            gr.Slider(0, 1, value=SCORE, visible=False, label="Least score"),
        ],
        results,
    )


def _quiet(share: float, desc: str = "") -> None:
    """Progress that nobody sees."""
