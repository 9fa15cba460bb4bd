"""World: a scene from a seed; its exact truth beside a model's answer, with the errors."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.jobs import world as jobs
from app.jobs.common import Say, silent
from app.jobs.ruler import in_pictures
from app.parts.inputs import THUMBNAILS, archive_of, endpoint, examples, given_number, run_button, summary_of
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import (
    LookControls,
    Ruler,
    before_after,
    facts_html,
    facts_view,
    picture_view,
    shape_view,
    table_html,
)
from app.services import QUIET, Services
from perception.errors import InputError

TITLE = "World"
ANY_WEATHER, NO_MODEL = "by the seed", "none"
FIRST = {  # thumbnail of an example -> what it is made of
    "world_street.jpg": jobs.Order(seed=7),
    "world_room.jpg": jobs.Order(seed=3, kind="room"),
    "world_panorama.jpg": jobs.Order(seed=4, sensor=jobs.PANORAMA),
}
DEFAULT = jobs.Order()


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
        with controls_column():
            samples = examples([THUMBNAILS / name for name in FIRST], "world-examples")
            with gr.Row():
                seed = gr.Number(
                    DEFAULT.seed,
                    label="Seed",
                    precision=0,
                    minimum=0,
                    maximum=jobs.MAX_SEED,
                    elem_id="world-seed",
                    min_width=100,
                )
                kind = gr.Radio(list(jobs.KINDS), value=DEFAULT.kind, label="Kind", elem_id="world-kind", min_width=140)
            style = gr.Radio(
                list(jobs.STYLES),
                value=DEFAULT.style,
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
                value=DEFAULT.time,
                step=0.1,
                label="Time, seconds",
                info="Along the drive; in a room the tripod turns",
                elem_id="world-time",
            )
            sensor = gr.Radio(list(jobs.SENSORS), value=DEFAULT.sensor, label="Sensor", elem_id="world-sensor")
            fov = gr.Slider(20, 130, value=DEFAULT.fov, step=1, label="Field of view, degrees", elem_id="world-fov")
            first_names = names_for(DEFAULT.sensor)
            model = gr.Dropdown(
                [*first_names, NO_MODEL],
                value=first_names[0] if first_names else NO_MODEL,
                label="Model to compare with the truth",
                elem_id="world-model",
            )
            run = run_button("Make the scene", "world")
        with result_column():
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
                    slider = before_after("Exact truth | model, else the picture", "world", height=400)
                    metrics = gr.HTML(label="Errors of the model", elem_id="world-metrics")
                with result.view("3D"):
                    shape = shape_view("world", "The true shape; drag to turn")
                ruler = Ruler(result, "Click one point for its true depth and the model's, a second one for distances")
                files = result.files_view("The truth (and the model's answer) in one ZIP, and file by file")
                code = result.code_view("This very scene in Python")
            summary = facts_view("world")
            look = LookControls("world", leaves_out=False, scores=True)
    controls = [seed, kind, style, weather, sensor, moment, fov]

    def order_of(seed: float, kind: str, style: str, weather: str, sensor: str, time: float, fov: float) -> jobs.Order:
        mood = None if weather in (ANY_WEATHER, "", None) else weather
        return jobs.Order(-1 if seed is None else seed, kind, style, mood, sensor, time, fov)

    def pair(answer: jobs.WorldAnswer, what: str, *values: Any) -> tuple[Any, Any]:
        """(truth, model); where the model has no such part, the picture stands for it."""
        chosen = look.look(*values)
        found = jobs.model_view(answer, what, chosen)
        return jobs.truth_view(answer, what, chosen), jobs.image_view(answer) if found is None else found

    def predict(say: Say, *asked: Any) -> jobs.WorldAnswer:
        *scene, name = asked
        order = order_of(*scene)
        if name not in names_for(order.sensor) and name != NO_MODEL:  # of the sensor that was chosen before
            name = next(iter(names_for(order.sensor)), None)
        return jobs.make_world(order, models_of(order, name, say), say=say)

    def example(number: int, say: Say) -> jobs.WorldAnswer:
        order = tuple(FIRST.values())[number]
        return jobs.make_world(order, models_of(order, next(iter(names_for(order.sensor)), None), say), say=say)

    def preset(number: int) -> tuple[Any, ...]:
        """The values of `controls` and `model` that make an example."""
        order = tuple(FIRST.values())[number]
        fitted = fitting(order.sensor, order.kind, "")
        mood = gr.update(value=order.weather or ANY_WEATHER, visible=order.kind == "street")
        angle = gr.update(value=order.fov, visible=order.sensor == jobs.CAMERA)
        return order.seed, order.kind, order.style, mood, order.sensor, order.time, angle, fitted[0]

    def start(answer: jobs.WorldAnswer, now: str, *_: Any) -> tuple[Any, ...]:
        part = gr.update(choices=answer.views, value=now if now in answer.views else answer.views[0])
        return part, *look.start(answer)

    def lasting(answer: jobs.WorldAnswer) -> tuple[Any, ...]:
        """What does not depend on the view."""
        lines = jobs.snippet(answer, settings.device)
        return jobs.image_view(answer), facts_html(answer.facts, answer.notes), lines

    def errors(answer: jobs.WorldAnswer, *values: Any) -> str:
        rows = answer.metrics(look.look(*values).score)
        return table_html("The model against the truth, over all pixels", jobs.COLUMNS, rows)

    def fitting(sensor: str, kind: str, name: str) -> tuple[Any, ...]:
        """Controls that the sensor and the kind of scene have."""
        choices = [*names_for(sensor), NO_MODEL]
        return (
            gr.update(choices=choices, value=name if name in choices else choices[0]),
            gr.update(visible=sensor == jobs.CAMERA),
            gr.update(visible=kind == "street"),
        )

    gr.on([sensor.input, kind.input], fitting, [sensor, kind, model], [model, fov, weather], **QUIET)
    look.connect(result)
    result.starts(slider, [what, *look.parts], start)
    result.predicted(run.click, predict, [*controls, model])
    result.examples(samples, example, [*controls, model], preset)
    result.first(tab_opened(), example)
    result.drawn(lasting, [], [picture, summary, code])
    result.drawn(errors, look.parts, [metrics], look.changes)
    result.drawn(pair, [what, *look.parts], [slider], [what.input, *look.changes])
    result.drawn_shape(jobs.shape_file, [], shape)
    result.drawn_files(jobs.write_files, [], files)
    ruler.connect(result, lambda answer: in_pictures(answer.ahead))

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
        gr.Number(DEFAULT.seed, precision=0, visible=False, label="Seed"),
        gr.Radio(list(jobs.KINDS), value=DEFAULT.kind, visible=False, label="Kind"),
        gr.Radio(list(jobs.STYLES), value=DEFAULT.style, visible=False, label="Style"),
        gr.Dropdown([("", ""), *jobs.WEATHERS], value="", visible=False, label="Weather, or empty"),
        gr.Radio(list(jobs.SENSORS), value=DEFAULT.sensor, visible=False, label="Sensor"),
        given_number(DEFAULT.time, 0, jobs.MAX_TIME, "Time, seconds"),
        given_number(DEFAULT.fov, 20, 130, "Field of view, degrees"),
        gr.Textbox("", visible=False, label="Name of a model, or empty", max_length=200),
    ]
    endpoint("make_world", make_world, inputs, archive_of("the truth"), summary_of())
