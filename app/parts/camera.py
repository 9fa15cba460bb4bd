"""Four ways to say what the camera is, with a read-out of what follows from them."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from app.jobs.cameras import FROM_FOV, FROM_LENS, FROM_MATRIX, FROM_PICTURE, MODES, CameraEntry
from app.parts.inputs import PictureInput, VideoInput
from app.services import QUIET
from perception.io.images import LoadedImage


@dataclasses.dataclass(frozen=True)
class CameraControls:
    """`inputs` in the order that `entry_of` takes; `readout` says what the camera is before anything is predicted, in the `block` that can be opened."""

    inputs: list[gr.components.Component]
    readout: gr.HTML
    block: gr.Accordion

    @property
    def preset(self) -> list[gr.components.Component]:
        """What an example sets: its mode and field of view, as ``(FROM_FOV, degrees)``."""
        return self.inputs[:2]

    def connect(self, source: PictureInput | VideoInput, load: Callable[[str], LoadedImage]) -> None:
        """Keep the read-out right when the picture (or clip) or a number changes. load: how to read its file."""

        def read(file: str | None, *values: Any) -> str:
            if not file:
                return ""
            try:
                text = entry_of(*values).text(load(file))
            except ValueError as error:  # the sentence comes as a toast when it is predicted; here it is only read out
                text = str(error)
            return f'<p class="hint">{html.escape(text)}</p>'

        # The example's camera is not the visitor's. This happens in the browser, so that who predicts at once is not too early.
        source.upload(None, None, self.inputs[0], js=f"() => {json.dumps(FROM_PICTURE)}", show_progress="hidden")
        gr.on(
            [self.block.expand, source.change, *(part.change for part in self.inputs)],
            read,
            [source, *self.inputs],
            self.readout,
            trigger_mode="always_last",
            **QUIET,
        )


def camera_entry(prefix: str, fov: float) -> CameraControls:
    """The controls, closed at first. Their elem_ids start with `prefix`; `fov`: that of the example shown first, degrees."""
    with gr.Accordion("Camera", open=False, elem_id=f"{prefix}-camera") as block:
        mode = gr.Radio(
            MODES,
            value=FROM_FOV,
            label="Known from",
            info="Distances are true metres only with the true camera.",
            elem_id=f"{prefix}-camera-mode",
        )
        angle = gr.Slider(
            5, 170, value=fov, step=0.5, label="Horizontal field of view, degrees", elem_id=f"{prefix}-fov"
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
    return CameraControls([mode, angle, focal, sensor, matrix, opencv], readout, block)


def entry_of(mode: str, fov: float, focal: float, sensor: float, matrix: str, opencv: bool) -> CameraEntry:
    """The values of `CameraControls.inputs` as one object."""
    return CameraEntry(mode, float(fov or 0), float(focal or 0), float(sensor or 0), matrix or "", bool(opencv))


def entry_given(fov: float, intrinsics: str = "") -> CameraEntry:
    """The camera as endpoints take it: intrinsics, else the field of view (0: unknown)."""
    if intrinsics:
        return CameraEntry(mode=FROM_MATRIX, matrix=intrinsics)
    return CameraEntry(mode=FROM_FOV, fov=fov) if fov else CameraEntry()
