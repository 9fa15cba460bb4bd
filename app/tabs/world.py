"""World: a scene from a seed; its exact truth beside a model's answer, with the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import world as jobs
from app.jobs.common import Say, silent
from app.parts.inputs import archive_of, endpoint, given_number, run_button, summary_of
from app.parts.result import Result, tab_opened
from app.parts.views import before_after, facts_html, facts_view, picture_view, shape_view, table_html
from app.services import QUIET, Services
from perception.errors import InputError

TITLE = "World"
ANY_WEATHER, NO_MODEL = "by the seed", "none"
FIRST = jobs.Order(seed=7, kind="street")


def build(services: Services) -> None:
    """Fill the tab."""
    settings = services.settings
    result = Result(services, "world")

    def names_for(sensor: str) -> list[str]:
        return list(services.models["panorama" if sensor == jobs.PANORAMA else "photo"])

    def models_of(order: jobs.Order, name: str | None, say: Say) -> list[Any]:
        """The chosen model and, for a street camera, the first one that finds boxes."""
        if not name or name == NO_MODEL:
            return []
        if name not in names_for(order.sensor):
            raise InputError(f"the model {name!r} does not fit the sensor {order.sensor}; choose another")
        boxes = services.models["boxes3d"][:1] if order.sensor == jobs.CAMERA and order.kind == "street" else ()
        return [services.predictor(model, say) for model in (name, *boxes)]

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
            run = run_button("Make it", "world")
        with gr.Column(scale=5, min_width=320):
            picture = picture_view("What the sensor sees", "world-picture", 230)
            with gr.Tabs(elem_id="world-views"):
                with result.view("Truth and model"):
                    what = gr.Radio(
                        list(jobs.VIEWS),
                        value="Depth",
                        label="Show",
                        show_label=False,
                        container=False,
                        elem_id="world-what",
                    )
                    slider = before_after(
                        "Exact truth | model (the picture, where the model has no such part)", "world", height=400
                    )
                    metrics = gr.HTML(label="Errors of the model", elem_id="world-metrics")
                with result.view("3D"):
                    shape = shape_view("world", "The true shape; drag to turn")
                files = result.files_view("The truth (and the model's answer) in one ZIP, and file by file")
                code = result.code_view("This very scene in Python")
            summary = facts_view("world")
    controls = [seed, kind, style, weather, sensor, moment, fov]

    def order_of(seed: float, kind: str, style: str, weather: str, sensor: str, time: float, fov: float) -> jobs.Order:
        mood = None if weather in (ANY_WEATHER, "", None) else weather
        return jobs.Order(-1 if seed is None else seed, kind, style, mood, sensor, time, fov)

    def pair(answer: jobs.WorldAnswer, what: str) -> tuple[Any, Any]:
        """(truth, model); where the model has no such part, the picture stands for it."""
        found = jobs.model_view(answer, what)
        return jobs.truth_view(answer, what), jobs.image_view(answer) if found is None else found

    def predict(say: Say, *asked: Any) -> jobs.WorldAnswer:
        *scene, name = asked
        order = order_of(*scene)
        if name not in names_for(order.sensor) and name != NO_MODEL:  # of the sensor that was chosen before
            name = next(iter(names_for(order.sensor)), None)
        return jobs.make_world(order, models_of(order, name, say), say=say)

    def example(number: int, say: Say) -> jobs.WorldAnswer:
        return jobs.make_world(FIRST, models_of(FIRST, first_names[0] if first_names else None, say), say=say)

    def start(answer: jobs.WorldAnswer, now: str) -> tuple[Any, ...]:
        return (gr.update(choices=answer.views, value=now if now in answer.views else answer.views[0]),)

    def lasting(answer: jobs.WorldAnswer) -> tuple[Any, ...]:
        """What does not depend on the view."""
        lines = jobs.snippet(answer, settings.device)
        errors = table_html("The model against the truth, over all pixels", jobs.COLUMNS, answer.metrics)
        return jobs.image_view(answer), errors, facts_html(answer.facts), lines

    def files_of(answer: jobs.WorldAnswer, folder: Path) -> list[Path]:
        return jobs.write_files(answer, folder)

    def fitting(sensor: str, kind: str, name: str) -> tuple[Any, ...]:
        """Controls that the sensor and the kind of scene have."""
        choices = [*names_for(sensor), NO_MODEL]
        return (
            gr.update(choices=choices, value=name if name in choices else choices[0]),
            gr.update(visible=sensor == jobs.CAMERA),
            gr.update(visible=kind == "street"),
        )

    gr.on([sensor.input, kind.input], fitting, [sensor, kind, model], [model, fov, weather], **QUIET)
    result.starts(slider, [what], start)
    result.predicted(run.click, predict, [*controls, model])
    result.first(tab_opened(), example)
    result.drawn(lasting, [], [picture, metrics, summary, code])
    result.drawn(pair, [what], [slider], [what.input])
    result.drawn_shape(jobs.shape_file, [], shape)
    result.drawn_files(files_of, [], files)

    def make_world(
        seed: float, kind: str, style: str, weather: str, sensor: str, time: float, fov: float, model: str
    ) -> tuple[str, dict[str, Any]]:
        """Render a scene with its exact truth; returns a ZIP of it (depth, normals, classes, boxes) and the errors of the model.

        kind: street or room. style: plausible or wild. weather: a name, or empty: the seed decides. sensor: Camera, Panorama or Six cameras.
        time: seconds along the drive. fov: degrees of the camera. model: may be empty: no model is asked.
        """

        def job() -> tuple[str, dict[str, Any]]:
            order = order_of(seed, kind, style, weather, sensor, time, fov)
            answer = jobs.make_world(order, models_of(order, model, silent))
            return str(jobs.write_files(answer, services.folder())[0]), jobs.summary(answer)

        return services.run(job)

    inputs = [
        gr.Number(FIRST.seed, precision=0, visible=False, label="Seed"),
        gr.Radio(list(jobs.KINDS), value=FIRST.kind, visible=False, label="Kind"),
        gr.Radio(list(jobs.STYLES), value=FIRST.style, visible=False, label="Style"),
        gr.Dropdown([("", ""), *jobs.WEATHERS], value="", visible=False, label="Weather, or empty"),
        gr.Radio(list(jobs.SENSORS), value=FIRST.sensor, visible=False, label="Sensor"),
        given_number(FIRST.time, 0, jobs.MAX_TIME, "Time, seconds"),
        given_number(FIRST.fov, 20, 130, "Field of view, degrees"),
        gr.Textbox("", visible=False, label="Name of a model, or empty", max_length=200),
    ]
    endpoint("make_world", make_world, inputs, archive_of("the truth"), summary_of())
