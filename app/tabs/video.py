"""Video: a clip in; depth or boxes out, as MP4 and as frames, with one range of colours for the whole clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.jobs import video as jobs
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.common import Say, silent
from app.jobs.ruler import Measured
from app.parts.camera import camera_entry, entry_given, entry_of
from app.parts.inputs import (
    EXAMPLES,
    THUMBNAILS,
    VideoInput,
    archive_of,
    endpoint,
    examples,
    given_fov,
    given_model,
    given_number,
    model_menu,
    no_model,
    run_button,
    summary_of,
)
from app.parts.layout import controls_column, result_column
from app.parts.result import Result, tab_opened
from app.parts.views import LookControls, Ruler, VideoView, before_after, facts_html, facts_view, shape_view
from app.services import Services

TITLE = "Video"
FIRST, FIRST_FOV = EXAMPLES / "drive.mp4", 80.0


def build(services: Services) -> None:
    """Fill the tab."""
    names, settings = (*services.models["photo"], *services.models["boxes3d"]), services.settings
    if not names:
        no_model("videos")
        return
    tasks = {"video_depth.jpg": "photo", "video_boxes.jpg": "boxes3d"}  # thumbnail of an example -> task of its model
    first = {file: services.models[task][0] for file, task in tasks.items() if services.models[task]}
    result = Result(services, "video")
    with gr.Row(equal_height=False):
        with controls_column():
            clip = VideoInput(
                value=str(FIRST), label="Clip", elem_id="clip", sources=["upload"], height=240, buttons=[]
            )
            samples = examples([THUMBNAILS / name for name in first], "video-examples")
            model = model_menu(names, "video-model")
            every = gr.Slider(
                1, 30, value=1, step=1, label="Take every n-th frame", info=jobs.LIMITS, elem_id="video-every"
            )
            camera = camera_entry("video", FIRST_FOV)
            run = run_button("Predict", "video")
        with result_column():
            with gr.Tabs(elem_id="video-views"):
                with result.view("Video"):
                    movie = VideoView(
                        label="Picture and result",
                        elem_id="movie",
                        interactive=False,
                        autoplay=True,
                        loop=True,
                        buttons=["download"],
                    )
                    with gr.Row():
                        layout = gr.Dropdown(
                            list(jobs.LAYOUTS), value=jobs.LAYOUTS[0], label="The video shows", min_width=160
                        )
                        draw = gr.Button(
                            "Draw again", size="sm", elem_id="video-draw", elem_classes="low", min_width=120, scale=0
                        )
                with result.view("Frames"):
                    slider = before_after("Picture | result", "video", 35)
                with result.view("3D"):
                    shape = shape_view("video")
                ruler = Ruler(result, "Click one point for its depth, a second one for the distance")
                files = result.files_view("One ZIP of MP4, all frames, and the chosen one in 3D; the MP4 alone")
                code = result.code_view("These frames in Python")
            number = gr.Slider(
                1, 2, value=1, step=1, label="Frame", info="For the views Frames, 3D and Measure", elem_id="video-frame"
            )
            summary = facts_view("video")
            look = LookControls("video", leaves_out=False, scores=True)

    def predict(say: Say, file: str | None, name: str, every: float, *camera: Any) -> jobs.VideoAnswer:
        chosen, folder, entry = services.predictor(name, say), services.folder(), entry_of(*camera)
        return jobs.predict_video(
            file, chosen, folder, every=int(every), camera=entry, max_pixels=settings.max_pixels, say=say
        )

    def example(number: int, say: Say) -> jobs.VideoAnswer:
        chosen, entry = services.predictor(tuple(first.values())[number], say), CameraEntry(FROM_FOV, fov=FIRST_FOV)
        return jobs.predict_video(FIRST, chosen, services.workspace.lasting(), camera=entry, say=say)

    def preset(number: int) -> tuple[Any, ...]:
        return str(FIRST), FROM_FOV, FIRST_FOV, tuple(first.values())[number]

    def start(answer: jobs.VideoAnswer, *_: Any) -> tuple[Any, ...]:
        frame = gr.update(maximum=max(answer.count, 2), value=1, interactive=answer.count > 1)
        return frame, *look.start(answer)

    def moving(say: Say, answer: jobs.VideoAnswer, layout: str, *values: Any) -> str:
        return str(jobs.movie_of(answer, look.look(*values), layout, say))

    def lasting(answer: jobs.VideoAnswer) -> tuple[Any, ...]:
        return facts_html(answer.facts, answer.notes), jobs.snippet(answer, settings.device)

    def seen(answer: jobs.VideoAnswer, number: float, *values: Any) -> tuple[Any, Any]:
        at = int(number) - 1
        return jobs.frame_of(answer, at).image, jobs.frame_view(answer, at, look.look(*values))

    def measured(answer: jobs.VideoAnswer, number: float, *values: Any) -> Measured:
        return jobs.measured(answer, int(number) - 1, look.look(*values))

    def shape_of(answer: jobs.VideoAnswer, folder: Path, number: float, *values: Any) -> Path | None:
        return jobs.shape_file(answer, int(number) - 1, look.look(*values), folder)

    def files_of(answer: jobs.VideoAnswer, folder: Path, number: float, layout: str, *values: Any) -> list[Path]:
        return jobs.write_files(answer, int(number) - 1, look.look(*values), layout, folder)

    camera.connect(clip, lambda file: jobs.first_frame(file, settings.max_pixels))
    look.connect(result)
    result.starts(movie, [number, *look.parts], start)
    result.predicted(run.click, predict, [clip, model, every, *camera.inputs])
    result.examples(samples, example, [clip, *camera.preset, model], preset)
    result.first(tab_opened(), example)
    result.drawn(moving, [layout, *look.parts], [movie], [draw.click], busy=movie)
    result.drawn(lasting, [], [summary, code])
    frame, changes = [number, *look.parts], [number.input, *look.changes]
    result.drawn(seen, frame, [slider], changes)
    result.drawn_shape(
        shape_of, frame, shape, [number.input, look.parts[-1].input]
    )  # colours do not matter, the score does
    result.drawn_files(files_of, [number, layout, *look.parts], files, [draw.click])
    ruler.connect(result, measured, frame, changes)

    def predict_video(video: str, model: str, every: int, fov: float, layout: str) -> tuple[str, str, dict[str, Any]]:
        """Predict a clip; returns an MP4, a ZIP of all frames (16-bit depth, colours, JSON) and a summary.

        every: take each n-th frame. fov: horizontal field of view in degrees, 0 where it is unknown.
        """

        def job() -> tuple[str, str, dict[str, Any]]:
            answer = jobs.predict_video(
                video,
                services.predictor(model),
                services.folder(),
                every=int(every),
                camera=entry_given(fov),
                max_pixels=settings.max_pixels,
            )
            chosen = jobs.look_of(answer)
            movie = jobs.draw_video(answer, chosen, services.folder(), layout, silent)
            return str(movie), str(jobs.write_frames(answer, chosen, services.folder())), jobs.summary(answer)

        return services.run(job)

    inputs = [
        gr.File(visible=False, label="Video file", type="filepath"),
        given_model(names),
        given_number(1, 1, 30, "Take every n-th frame", 1),
        given_fov(),
        gr.Dropdown(list(jobs.LAYOUTS), value=jobs.DEPTH_ONLY, visible=False, label="What the MP4 shows"),
    ]
    movie_file = gr.File(visible=False, label="MP4")
    endpoint("predict_video", predict_video, inputs, movie_file, archive_of("all frames"), summary_of())
