"""World: a scene from a seed; its exact truth beside a model's answer, with the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.components import Viewer, current_tab, endpoint, facts_html, facts_view
from app.jobs import world as jobs
from app.services import HEAVY, QUIET, Services

TITLE = "World"
ANY_WEATHER, NO_MODEL = "by the seed", "none"
FIRST = jobs.Order(seed=7, kind="street")


def build(services: Services) -> None:
    """Fill the tab."""
    settings = services.settings
    ticket = gr.State(None)

    def names_for(sensor: str) -> list[str]:
        return list(services.models["panorama" if sensor == jobs.PANORAMA else "photo"])

    def models_of(order: jobs.Order, name: str | None) -> list[Any]:
        """The chosen model and, for a street camera, the first one that finds boxes."""
        if not name or name == NO_MODEL:
            return []
        if name not in names_for(order.sensor):
            from perception.errors import InputError

            raise InputError(f"the model {name!r} does not fit the sensor {order.sensor}; choose another")
        boxes = services.models["boxes3d"][:1] if order.sensor == jobs.CAMERA and order.kind == "street" else ()
        return [services.predictor(model) for model in (name, *boxes)]

    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            with gr.Row():
                seed = gr.Number(
                    FIRST.seed,
                    label="Seed",
                    precision=0,
                    minimum=0,
                    maximum=jobs.MAX_SEED,
                    elem_id="world-seed",
                    min_width=100,
                )
                kind = gr.Radio(list(jobs.KINDS), value=FIRST.kind, label="Kind", elem_id="world-kind", min_width=140)
            style = gr.Radio(
                list(jobs.STYLES),
                value=FIRST.style,
                label="Style",
                info="Wild: textures and shapes without their usual meaning",
                elem_id="world-style",
            )
            weather = gr.Dropdown(
                [ANY_WEATHER, *jobs.WEATHERS], value=ANY_WEATHER, label="Weather of the street", elem_id="world-weather"
            )
            moment = gr.Slider(
                0,
                jobs.MAX_TIME,
                value=FIRST.time,
                step=0.1,
                label="Time, seconds",
                info="Along the drive; in a room the tripod turns",
                elem_id="world-time",
            )
            sensor = gr.Radio(list(jobs.SENSORS), value=FIRST.sensor, label="Sensor", elem_id="world-sensor")
            fov = gr.Slider(20, 130, value=FIRST.fov, step=1, label="Field of view, degrees", elem_id="world-fov")
            first_names = names_for(FIRST.sensor)
            model = gr.Dropdown(
                [*first_names, NO_MODEL],
                value=first_names[0] if first_names else NO_MODEL,
                label="Model to compare with the truth",
                elem_id="world-model",
            )
            run = gr.Button("Make it", variant="primary", elem_id="world-run")
        with gr.Column(scale=5, min_width=320):
            picture = gr.Image(
                label="What the sensor sees",
                elem_id="world-picture",
                interactive=False,
                format="png",
                height=230,
                buttons=["fullscreen", "download"],
                alt_text="The rendered scene",
            )
            with gr.Tabs(elem_id="world-views") as views:
                with gr.Tab("Truth and model"):
                    what = gr.Radio(list(jobs.VIEWS), value="Depth", show_label=False, elem_id="world-what")
                    slider = gr.ImageSlider(
                        label="Exact truth | model (the picture, where the model has no such part)",
                        elem_id="world-slider",
                        format="png",
                        slider_position=50,
                        max_height=400,
                        buttons=["fullscreen"],
                    )
                    metrics = gr.Dataframe(
                        headers=["Error", "Value", "Meaning"],
                        interactive=False,
                        label="The model against the truth, over all pixels",
                        elem_id="world-metrics",
                        wrap=True,
                    )
                with gr.Tab("3D"):
                    viewer = Viewer("world-3d", "The true shape; drag to turn")
                with gr.Tab("Files"):
                    files = gr.File(
                        label="The truth (and the model's answer) in one ZIP, and file by file",
                        elem_id="world-files",
                        interactive=False,
                    )
                with gr.Tab("Python"):
                    code = gr.Code(language="python", label="This very scene in Python", elem_id="world-code", lines=10)
            summary = facts_view("world-summary")
    controls = [seed, kind, style, weather, sensor, moment, fov]
    outputs = [ticket, picture, what, slider, metrics, summary, code, files]

    def order_of(seed: float, kind: str, style: str, weather: str, sensor: str, time: float, fov: float) -> jobs.Order:
        mood = None if weather in (ANY_WEATHER, "", None) else weather
        return jobs.Order(-1 if seed is None else seed, kind, style, mood, sensor, time, fov)

    def pair(answer: jobs.WorldAnswer, what: str) -> tuple[Any, Any]:
        """(truth, model); where the model has no such part, the picture stands for it."""
        found = jobs.model_view(answer, what)
        return jobs.truth_view(answer, what), jobs.image_view(answer) if found is None else found

    def shown(answer: jobs.WorldAnswer, what: str) -> tuple[Any, ...]:
        """A new answer as the values of `outputs`."""
        what = what if what in answer.views else answer.views[0]
        return (
            services.shelf.put(answer, answer.megabytes),
            jobs.image_view(answer),
            gr.update(choices=answer.views, value=what),
            pair(answer, what),
            answer.metrics,
            facts_html(answer.facts),
            jobs.snippet(answer, settings.device),
            None,
        )

    def make(
        seed: float,
        kind: str,
        style: str,
        weather: str,
        sensor: str,
        time: float,
        fov: float,
        name: str,
        what: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        def job() -> jobs.WorldAnswer:
            order = order_of(seed, kind, style, weather, sensor, time, fov)
            return jobs.make_world(order, models_of(order, name), say=lambda share, text: progress(share, desc=text))

        return shown(services.run(job), what)

    def open_first(ticket: str | None) -> tuple[Any, ...]:
        """A finished example when the tab is opened for the first time."""
        if ticket:
            return tuple(gr.skip() for _ in outputs)
        answer = services.once(
            ("world", FIRST),
            lambda: jobs.make_world(FIRST, models_of(FIRST, first_names[0] if first_names else None)),
        )
        return shown(answer, "Depth")

    def redraw(ticket: str | None, what: str) -> Any:
        if not ticket:
            return gr.skip()
        return services.attempt(lambda: pair(services.shelf.get(ticket), what))

    def draw_shape(ticket: str | None) -> Path | None:
        if not ticket:
            return None
        return services.attempt(lambda: jobs.shape_file(services.shelf.get(ticket), services.folder()))

    def make_files(event: gr.SelectData, ticket: str | None) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()
        return services.attempt(
            lambda: [str(path) for path in jobs.write_files(services.shelf.get(ticket), services.folder())]
        )

    def fitting(sensor: str, kind: str) -> tuple[Any, ...]:
        """Controls that the sensor and the kind of scene have."""
        names = names_for(sensor)
        return (
            gr.update(choices=[*names, NO_MODEL], value=names[0] if names else NO_MODEL),
            gr.update(visible=sensor == jobs.CAMERA),
            gr.update(visible=kind == "street"),
        )

    gr.on([sensor.input, kind.input], fitting, [sensor, kind], [model, fov, weather], **QUIET)
    viewer.connect(views, "3D", draw_shape, [ticket])
    viewer.after(run.click(make, [*controls, model, what], outputs, api_visibility="private", **HEAVY))
    what.input(redraw, [ticket, what], slider, **QUIET)
    views.select(make_files, ticket, files, api_visibility="private")
    current_tab().select(open_first, ticket, outputs, **QUIET, **HEAVY)

    def make_world(
        seed: float, kind: str, style: str, weather: str, sensor: str, time: float, fov: float, model: str
    ) -> tuple[str, dict[str, Any]]:
        """Render a scene with its exact truth; returns a ZIP of it (depth, normals, classes, boxes) and the errors of the model.

        kind: street or room. style: plausible or wild. weather: a name, or empty: the seed decides. sensor: Camera, Panorama or Six cameras.
        time: seconds along the drive. fov: degrees of the camera. model: may be empty: no model is asked.
        """

        def job() -> tuple[str, dict[str, Any]]:
            order = order_of(seed, kind, style, weather, sensor, time, fov)
            answer = jobs.make_world(order, models_of(order, model))
            return str(jobs.write_files(answer, services.folder())[0]), jobs.summary(answer)

        return services.run(job)

    endpoint(
        "make_world",
        make_world,
        [
            gr.Number(FIRST.seed, precision=0, visible=False, label="Seed"),
            gr.Radio(list(jobs.KINDS), value=FIRST.kind, visible=False, label="Kind"),
            gr.Radio(list(jobs.STYLES), value=FIRST.style, visible=False, label="Style"),
            gr.Dropdown([("", ""), *jobs.WEATHERS], value="", visible=False, label="Weather, or empty"),
            gr.Radio(list(jobs.SENSORS), value=FIRST.sensor, visible=False, label="Sensor"),
            gr.Slider(0, jobs.MAX_TIME, value=FIRST.time, visible=False, label="Time, seconds"),
            gr.Slider(20, 130, value=FIRST.fov, visible=False, label="Field of view, degrees"),
            gr.Textbox("", visible=False, label="Name of a model, or empty", max_length=200),
        ],
        [gr.File(visible=False, label="ZIP of the truth"), gr.JSON(visible=False, label="Summary")],
    )
