"""The page: a picture in; depth, normals, segments and a point cloud out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import jobs
from app.components import PictureInput

EXAMPLES = Path(__file__).parent / "examples"
FIRST_EXAMPLE = "palace.jpg"
THEME = gr.themes.Base(
    primary_hue="slate",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)
CSS = """
.gradio-container { max-width: 1280px !important; margin: 0 auto !important; }
#title h1 { margin-bottom: 0; }
@media (max-width: 640px) { .gradio-container { padding: 8px !important; } }
"""


def build_page(
    models: list[str],
    photo: Callable[[str | None, str, float | None], jobs.Photo],
    first: Callable[[], jobs.Photo] | None = None,
) -> gr.Blocks:
    """Lay the page out.

    models: names of the menu. photo: ``photo(file, model, fov)`` does the work and raises `gr.Error` with a sentence. first: gives the finished
    example that a visitor sees on arrival.
    """
    with gr.Blocks(title="perception3d", analytics_enabled=False, delete_cache=(600, 1800)) as page:
        answer = gr.State(None)
        clicks = gr.State([])
        shape_file = gr.State(None)  # the 3D viewer only draws what it is given while it can be seen
        open_tab = gr.State("Depth")
        gr.Markdown(
            "# perception3d\nMetric depth, surface normals, segments and a point cloud from one photo.", elem_id="title"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                picture = PictureInput(
                    label="Photo", elem_id="photo", sources=["upload", "clipboard"], type="filepath", height=320
                )
                with gr.Accordion("Camera and model", open=False):
                    fov = gr.Slider(
                        0,
                        150,
                        value=0,
                        step=1,
                        label="Horizontal field of view, degrees",
                        info="0: from the picture's EXIF data, else a default that the result flags",
                        elem_id="fov",
                    )
                    model = gr.Dropdown(models, value=models[0], label="Model", elem_id="model")
                run = gr.Button("Predict", variant="primary", elem_id="run")
                gr.Examples(
                    [[str(path)] for path in sorted(EXAMPLES.glob("*.jpg"))],
                    inputs=[picture],
                    label="Examples",
                    cache_examples=False,
                )
                summary = gr.JSON(label="About this result", elem_id="summary")
            with gr.Column(scale=3, min_width=320):
                with gr.Tabs() as views:
                    with gr.Tab("Depth"):
                        slider = gr.ImageSlider(
                            label="Photo | depth", elem_id="slider", format="png", slider_position=50, max_height=520
                        )
                    with gr.Tab("Measure"):
                        ruler = gr.Image(
                            label="Click one point for its depth, a second for the distance",
                            elem_id="ruler",
                            interactive=False,
                            format="png",
                        )
                        reading = gr.Textbox(label="Reading", elem_id="reading", interactive=False)
                    with gr.Tab("Normals"):
                        normals = gr.Image(label="Surface normals", elem_id="normals", interactive=False, format="png")
                    with gr.Tab("Segments"):
                        segments = gr.Image(label="Segments", elem_id="segments", interactive=False, format="png")
                    with gr.Tab("3D"):
                        cloud = gr.Model3D(
                            label="Point cloud or mesh", elem_id="cloud", clear_color=(1.0, 1.0, 1.0, 1.0), height=520
                        )
                files = gr.File(label="All results in one ZIP", elem_id="archive", interactive=False)

        def predict(
            picture: str | None,
            model: str,
            fov: float,
            progress: gr.Progress = gr.Progress(),  # noqa: B008
        ) -> tuple[Any, ...]:
            """Predict one photo. `fov` is the horizontal field of view in degrees, 0 where it is unknown."""
            progress(0.1, desc="Predicting")
            return shown(photo(picture, model, fov))

        def shown(done: jobs.Photo) -> tuple[Any, ...]:
            """One answer as the values of `outputs`."""
            pair = None if done.depth_view is None else (done.image, done.depth_view)
            cloud = None if done.model_file is None else str(done.model_file)
            return (
                done.prediction,
                [],
                pair,
                done.image,
                done.normals_view,
                done.segments_view,
                cloud,
                None,
                str(done.archive),
                done.summary,
                "",
            )

        def measure(prediction: Any, points: list[tuple[float, float]], event: gr.SelectData) -> tuple[str, list]:
            if prediction is None or prediction.depth is None:
                return "predict a photo first", []
            point = (float(event.index[0]), float(event.index[1]))
            if len(points) == 1:
                return jobs.distance_between(prediction, points[0], point), []
            return jobs.depth_at(prediction, *point), [point]

        def show_shape(file: str | None, tab: str) -> str | None:
            return file if tab == "3D" else None

        def change_tab(file: str | None, event: gr.SelectData) -> tuple[str, str | None]:
            return event.value, show_shape(file, event.value)

        outputs = [answer, clicks, slider, ruler, normals, segments, shape_file, cloud, files, summary, reading]
        run.click(predict, [picture, model, fov], outputs, api_visibility="private", concurrency_id="device").then(
            show_shape, [shape_file, open_tab], cloud, api_visibility="private", show_progress="hidden"
        )
        views.select(change_tab, shape_file, [open_tab, cloud], api_visibility="private", show_progress="hidden")
        ruler.select(measure, [answer, clicks], [reading, clicks], api_visibility="private")

        if first is not None:
            page.load(
                lambda: shown(first()),
                None,
                outputs,
                api_visibility="private",
                concurrency_id="device",
                show_progress="hidden",
            )

        def api_depth(image: str, model: str, fov: float) -> tuple[str, dict[str, Any]]:
            """Predict a picture; returns a ZIP of all results and a summary. `fov` in degrees, 0 where it is unknown."""
            done = photo(image, model, fov)
            return str(done.archive), done.summary

        image_in = PictureInput(visible=False, type="filepath")
        call = gr.Button(visible=False)
        call.click(
            api_depth, [image_in, model, fov], [files, summary], api_name="predict_photo", concurrency_id="device"
        )
    return page
