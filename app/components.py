"""Parts that the tabs share: uploads that leave decoding to the library, facts, camera entry, 3D view, examples, endpoints for programs."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.data_classes import FileData

from app.jobs.cameras import FROM_FOV, FROM_LENS, FROM_MATRIX, FROM_PICTURE, MODES, CameraEntry
from app.jobs.common import read_picture
from app.services import HEAVY, QUIET, Services

EXAMPLES = Path(__file__).parent / "examples"
SCENES = EXAMPLES / "scenes"  # rendered by the world; not among the photos that `perception predict app/examples` takes
VIEW_HEIGHT = 520  # pixels of the large pictures and of the 3D view


class PictureInput(gr.Image):
    """`gr.Image` whose value in Python is the path of the uploaded file, as uploaded: nothing is decoded or re-encoded."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path


class VideoInput(gr.Video):
    """`gr.Video` whose value in Python is the path of the uploaded file, as uploaded."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path


class VideoView(gr.Video):
    """`gr.Video` that shows a file as it is: ours play in browsers (VP9), so nothing is converted, with or without ffmpeg."""

    is_template = True

    def postprocess(self, value: Any) -> FileData | None:
        return None if value is None else FileData(path=str(value), orig_name=Path(value).name)


def facts_html(facts: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> str:
    """Name and value pairs and sentences as HTML. Everything is escaped: names of files are the visitor's."""
    rows = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts)
    lines = "".join(f"<p>{html.escape(note[:1].upper() + note[1:])}.</p>" for note in notes)
    return f'<dl class="facts">{rows}</dl><div class="notes">{lines}</div>'


def facts_view(elem_id: str, label: str = "About this result") -> gr.HTML:
    """Where `facts_html` is shown."""
    return gr.HTML(elem_id=elem_id, label=label, elem_classes="about")


def current_tab() -> gr.Tab:
    """The `gr.Tab` that is being filled; its ``select`` event says when a visitor opens it."""
    block = Context.block
    while block is not None and not isinstance(block, gr.Tab):
        block = block.parent
    if block is None:
        raise RuntimeError("this must be called inside a gr.Tab")
    return block


def model_menu(names: Sequence[str], elem_id: str, label: str = "Model") -> gr.Dropdown:
    """Choice of a model by name."""
    return gr.Dropdown(list(names), value=names[0], label=label, elem_id=elem_id, interactive=True)


def no_model(task: str) -> None:
    """Say that no model for `task` is offered, in place of a tab's content."""
    gr.Markdown(
        f"No model for {task} is offered here. `perception models` lists what there is; `python -m app --models NAME ...` offers it.",
        elem_classes="empty",
    )


def examples(files: Sequence[Path], elem_id: str, kind: str = "image", label: str = "Examples") -> gr.Dataset:
    """Thumbnails; their ``click`` event passes the index of the one chosen, checked against `files`."""
    part = gr.Video(visible=False) if kind == "video" else gr.Image(visible=False, type="filepath")
    return gr.Dataset(
        components=[part], samples=[[str(file)] for file in files], type="index", label=label, elem_id=elem_id
    )


def picture_view(label: str, elem_id: str, height: int | None = VIEW_HEIGHT) -> gr.Image:
    """A picture to look at; height: pixels, or None: as the picture and the page's width say."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        interactive=False,
        format="png",
        height=height,
        buttons=["fullscreen", "download"],
        alt_text=label,
    )


# -- camera ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CameraControls:
    """`inputs` in the order that `entry_of` takes; `readout` says what the camera is before anything is predicted."""

    inputs: list[gr.components.Component]
    readout: gr.HTML

    @property
    def preset(self) -> list[gr.components.Component]:
        """What an example sets: its mode and field of view, as ``(FROM_FOV, degrees)``."""
        return self.inputs[:2]

    def connect(self, picture: PictureInput, services: Services) -> None:
        """Keep the read-out right when the picture or a number changes."""

        def read(file: str | None, *values: Any) -> str:
            if not file:
                return ""
            try:
                text = entry_of(*values).text(read_picture(file, services.settings.max_pixels))
            except ValueError as error:  # the sentence comes as a toast when it is predicted; here it is only read out
                text = str(error)
            return f'<p class="hint">{html.escape(text)}</p>'

        picture.upload(lambda: FROM_PICTURE, None, self.inputs[0], **QUIET)  # an example's camera is not the visitor's
        gr.on(
            [picture.change, *(part.change for part in self.inputs)],
            read,
            [picture, *self.inputs],
            self.readout,
            trigger_mode="always_last",
            **QUIET,
        )


def camera_entry(prefix: str, fov: float | None = None) -> CameraControls:
    """Four ways to say what the camera is, closed at first. Their elem_ids start with `prefix`; `fov`: that of the example shown first, degrees."""
    known = fov is not None
    with gr.Accordion("Camera", open=False, elem_id=f"{prefix}-camera"):
        mode = gr.Radio(
            MODES,
            value=FROM_FOV if known else FROM_PICTURE,
            label="Known from",
            info="Distances are true metres only with the true camera.",
            elem_id=f"{prefix}-camera-mode",
        )
        angle = gr.Slider(
            5,
            170,
            value=fov if known else 60,
            step=0.5,
            label="Horizontal field of view, degrees",
            visible=known,
            elem_id=f"{prefix}-fov",
        )
        with gr.Row(visible=False) as lens:
            focal = gr.Number(26.0, label="Focal length, mm", minimum=0.1, maximum=5000, min_width=120)
            sensor = gr.Number(36.0, label="Sensor width, mm", minimum=0.1, maximum=500, min_width=120)
        with gr.Group(visible=False) as pixels:
            matrix = gr.Textbox(
                label="fx, fy, cx, cy in pixels, or all of K",
                placeholder="500, 500, 320, 240",
                max_length=400,
                elem_id=f"{prefix}-matrix",
            )
            opencv = gr.Checkbox(False, label="First pixel's centre at (0, 0), as in OpenCV, KITTI, nuScenes")
        readout = gr.HTML(elem_id=f"{prefix}-camera-text")
    mode.change(
        lambda chosen: [gr.update(visible=chosen == way) for way in (FROM_FOV, FROM_LENS, FROM_MATRIX)],
        mode,
        [angle, lens, pixels],
        **QUIET,
    )
    return CameraControls([mode, angle, focal, sensor, matrix, opencv], readout)


def entry_of(mode: str, fov: float, focal: float, sensor: float, matrix: str, opencv: bool) -> CameraEntry:
    """The values of `CameraControls.inputs` as one object."""
    return CameraEntry(mode, float(fov or 0), float(focal or 0), float(sensor or 0), matrix or "", bool(opencv))


# -- 3D --------------------------------------------------------------------------------------------------------------------


class Viewer:
    """Interactive 3D inside a `gr.Tab` of a `gr.Tabs`.

    Gradio's viewer draws only what it is given while it can be seen. So its file is made when its tab opens, and again after every event that
    changes it while the tab is open. An event that ends while the tab is closed leaves the viewer alone: a visitor may open the tab meanwhile,
    and an answer made for the closed one would empty it.
    """

    def __init__(self, elem_id: str, label: str = "3D", height: int = VIEW_HEIGHT) -> None:
        self.model = gr.Model3D(
            label=label, elem_id=elem_id, clear_color=(1.0, 1.0, 1.0, 1.0), height=height, interactive=False
        )
        self.seen = gr.State(False)

    def connect(
        self,
        views: gr.Tabs,
        title: str,
        draw: Callable[..., str | Path | None],
        inputs: Sequence[gr.components.Component],
    ) -> None:
        """draw: ``draw(*inputs)`` gives the file to show; `title`: label of the viewer's own tab among `views`."""
        self._draw, self._inputs = draw, list(inputs)

        def change(event: gr.SelectData, *values: Any) -> tuple[bool, str | None]:
            seen = event.value == title
            return seen, self._file(*values) if seen else None

        views.select(change, self._inputs, [self.seen, self.model], **QUIET)

    def after(self, event: Any) -> None:
        """Draw again after `event` (what ``.click`` and the like return), if the view can be seen."""
        event.then(self._again, [self.seen, *self._inputs], self.model, **QUIET)

    def _again(self, seen: bool, *values: Any) -> Any:
        return self._file(*values) if seen else gr.skip()

    def _file(self, *values: Any) -> str | None:
        file = self._draw(*values)
        return None if file is None else str(file)


# -- programs --------------------------------------------------------------------------------------------------------------


def endpoint(
    name: str,
    call: Callable[..., Any],
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
) -> None:
    """Offer ``/name`` to programs. The parameters are called as those of `call`; its docstring is their documentation."""
    gr.Button(visible=False).click(
        call, list(inputs), list(outputs), api_name=name, api_visibility="public", show_progress="hidden", **HEAVY
    )
