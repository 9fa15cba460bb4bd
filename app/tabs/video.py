"""Video: a clip in; depth or boxes out, as MP4 and as frames, with one range of colours for the whole clip."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr

from app.components import (
    EXAMPLES,
    VideoInput,
    VideoView,
    camera_entry,
    current_tab,
    endpoint,
    entry_of,
    examples,
    facts_html,
    facts_view,
    model_menu,
    no_model,
)
from app.jobs import video as jobs
from app.jobs.cameras import FROM_FOV, FROM_PICTURE, CameraEntry
from app.jobs.photo import COLORMAPS, checked_look
from app.services import HEAVY, QUIET, Services

TITLE = "Video"
FIRST, FIRST_FOV = "drive.mp4", 80.0


@dataclasses.dataclass(frozen=True)
class Shown:
    """A predicted clip, its MP4 as drawn last, and the Python lines."""

    answer: jobs.VideoAnswer
    movie: str
    code: str


def build(services: Services) -> None:
    """Fill the tab."""
    names = (*services.models["photo"], *services.models["boxes3d"])
    if not names:
        no_model("videos")
        return
    settings = services.settings
    ticket = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            clip = VideoInput(
                value=str(EXAMPLES / FIRST), label="Clip", elem_id="clip", sources=["upload"], height=240, buttons=[]
            )
            samples = examples([EXAMPLES / FIRST], "video-examples", kind="video", label="Example")
            model = model_menu(names, "video-model")
            every = gr.Slider(
                1, 30, value=1, step=1, label="Take every n-th frame", info=jobs.LIMITS, elem_id="video-every"
            )
            camera = camera_entry("video", FIRST_FOV)
            run = gr.Button("Predict", variant="primary", elem_id="video-run")
        with gr.Column(scale=5, min_width=320):
            with gr.Tabs(elem_id="video-views") as views:
                with gr.Tab("Video"):
                    movie = VideoView(
                        label="Picture and result",
                        elem_id="movie",
                        interactive=False,
                        autoplay=True,
                        loop=True,
                        buttons=["download"],
                    )
                with gr.Tab("Files"):
                    files = gr.File(
                        label="MP4, and every frame: 16-bit depth, colours, JSON",
                        elem_id="video-files",
                        interactive=False,
                    )
                with gr.Tab("Python"):
                    code = gr.Code(language="python", label="These frames in Python", elem_id="video-code", lines=8)
            summary = facts_view("video-summary")
            with gr.Accordion("Colours", open=False, elem_id="video-look"):
                with gr.Row():
                    colormap = gr.Dropdown(list(COLORMAPS), value=COLORMAPS[0], label="Colours", min_width=140)
                    near = gr.Number(0, label="Near, m", minimum=0, min_width=100)
                    far = gr.Number(0, label="Far, m", minimum=0, min_width=100)
                    layout = gr.Dropdown(list(jobs.LAYOUTS), value=jobs.LAYOUTS[0], label="Show", min_width=160)
                draw = gr.Button("Draw again", size="sm", elem_id="video-draw")
    look = [colormap, near, far, layout]
    outputs = [ticket, movie, files, code, summary, colormap, near, far]

    def predicted(file: Any, name: str, every: int, entry: CameraEntry, say: Any, folders: Any) -> Shown:
        answer = jobs.predict_video(
            file,
            services.predictor(name),
            folders(),
            every=max(1, int(every)),
            camera=entry,
            max_pixels=settings.max_pixels,
            say=say,
        )
        movie = jobs.draw_video(answer, jobs.look_of(answer), folders(), jobs.LAYOUTS[0], say)
        arguments = f", fov={entry.fov:g}" if entry.mode == FROM_FOV else ""
        if entry.mode not in (FROM_FOV, FROM_PICTURE):
            fx, fy, cx, cy = answer.intrinsics
            arguments = f", camera=({fx:.10g}, {fy:.10g}, {cx:.10g}, {cy:.10g})"
        code = jobs.snippet(answer.name, name, arguments, max(1, int(every)), settings.device)
        return Shown(answer, str(movie), code)

    def shown(done: Shown) -> tuple[Any, ...]:
        answer = done.answer
        return (
            services.shelf.put(done, 1.0),
            done.movie,
            None,
            done.code,
            facts_html(answer.facts, answer.notes),
            COLORMAPS[0],
            answer.near,
            answer.far,
        )

    def predict(
        clip: str | None,
        name: str,
        every: int,
        mode: str,
        fov: float,
        focal: float,
        sensor: float,
        matrix: str,
        opencv: bool,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        entry = entry_of(mode, fov, focal, sensor, matrix, opencv)
        say = lambda share, text: progress(share, desc=text)  # noqa: E731
        return shown(services.run(lambda: predicted(clip, name, every, entry, say, services.folder)))

    def example(say: Any) -> Shown:
        entry = CameraEntry(mode=FROM_FOV, fov=FIRST_FOV)
        return services.once(
            ("video", FIRST),
            lambda: predicted(EXAMPLES / FIRST, names[0], 1, entry, say, services.workspace.lasting),
        )

    def show_example(number: int, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        return (
            str(EXAMPLES / FIRST),
            FROM_FOV,
            FIRST_FOV,
            *shown(example(lambda share, text: progress(share, desc=text))),
        )

    def opened(ticket: str | None, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        """The finished example, for who comes here first."""
        if ticket:
            return tuple(gr.skip() for _ in outputs)
        return shown(example(lambda share, text: progress(share, desc=text)))

    def redraw(
        ticket: str | None,
        colormap: str,
        near: float,
        far: float,
        layout: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        def job() -> tuple[Any, ...]:
            done = services.shelf.get(ticket)
            chosen = checked_look(colormap, near, far, False, 0)
            say = lambda share, text: progress(share, desc=text)  # noqa: E731
            path = jobs.draw_video(done.answer, chosen, services.folder(), layout, say)
            return str(path), None, services.shelf.put(dataclasses.replace(done, movie=str(path)), 1.0)

        return services.attempt(job)

    def make_files(event: gr.SelectData, ticket: str | None, colormap: str, near: float, far: float) -> Any:
        if event.value != "Files" or not ticket:
            return gr.skip()

        def job() -> list[str]:
            done = services.shelf.get(ticket)
            chosen = checked_look(colormap, near, far, False, 0)
            return [done.movie, str(jobs.write_frames(done.answer, chosen, services.folder()))]

        return services.attempt(job)

    clip.upload(lambda: FROM_PICTURE, None, camera.inputs[0], **QUIET)
    run.click(predict, [clip, model, every, *camera.inputs], outputs, api_visibility="private", **HEAVY)
    samples.click(show_example, samples, [clip, *camera.preset, *outputs], api_visibility="private", **HEAVY)
    draw.click(redraw, [ticket, *look], [movie, files, ticket], api_visibility="private")
    views.select(make_files, [ticket, colormap, near, far], files, api_visibility="private")
    current_tab().select(opened, ticket, outputs, api_visibility="private", **HEAVY)

    def predict_video(video: str, model: str, every: int, fov: float, layout: str) -> tuple[str, str, dict[str, Any]]:
        """Predict a clip; returns an MP4, a ZIP of all frames (16-bit depth, colours, JSON) and a summary.

        every: take each n-th frame. fov: horizontal field of view in degrees, 0 where it is unknown.
        """
        entry = CameraEntry(mode=FROM_FOV, fov=fov) if fov else CameraEntry()
        quiet = lambda share, text: None  # noqa: E731

        def job() -> tuple[str, str, dict[str, Any]]:
            answer = jobs.predict_video(
                video,
                services.predictor(model),
                services.folder(),
                every=max(1, int(every)),
                camera=entry,
                max_pixels=settings.max_pixels,
            )
            chosen = jobs.look_of(answer)
            movie = jobs.draw_video(answer, chosen, services.folder(), layout, quiet)
            archive = jobs.write_frames(answer, chosen, services.folder())
            return str(movie), str(archive), dict(answer.facts) | {"notes": list(answer.notes)}

        return services.run(job)

    endpoint(
        "predict_video",
        predict_video,
        [
            gr.File(visible=False, label="Video file", type="filepath"),
            gr.Dropdown(list(names), value=names[0], visible=False, label="Name of a model"),
            gr.Slider(1, 30, value=1, step=1, visible=False, label="Take every n-th frame"),
            gr.Slider(0, 170, value=0, visible=False, label="Horizontal field of view in degrees, 0 = unknown"),
            gr.Dropdown(list(jobs.LAYOUTS), value=jobs.DEPTH_ONLY, visible=False, label="What the MP4 shows"),
        ],
        [
            gr.File(visible=False, label="MP4"),
            gr.File(visible=False, label="ZIP of all frames"),
            gr.JSON(visible=False, label="Summary"),
        ],
    )
