"""What visitors and programs give: files that are left to the library's own readers, examples, models; endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.services import HEAVY

EXAMPLES = Path(__file__).parents[1] / "examples"
SCENES = EXAMPLES / "scenes"  # rendered by the world; not among the photos that `perception predict app/examples` takes
THUMBNAILS = EXAMPLES / "thumbnails"  # of scenes that are rendered, not read, and of clips


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


def picture_input(label: str, elem_id: str, first: Path, height: int) -> PictureInput:
    """Where a picture is uploaded or pasted; it holds the first example from the start."""
    return PictureInput(
        value=str(first),
        label=label,
        elem_id=elem_id,
        sources=["upload", "clipboard"],
        type="filepath",
        height=height,
        buttons=[],
        alt_text=f"{label} to look at",
    )


def examples(files: Sequence[Path], elem_id: str) -> gr.Dataset:
    """Thumbnails; their ``click`` event passes the index of the one chosen, checked against `files`."""
    return gr.Dataset(
        components=[gr.Image(visible=False, type="filepath")],
        samples=[[str(file)] for file in files],
        type="index",
        label="Examples",
        elem_id=elem_id,
    )


def model_menu(names: Sequence[str], elem_id: str, label: str = "Model") -> gr.Dropdown:
    """Choice of a model by name."""
    return gr.Dropdown(list(names), value=names[0], label=label, elem_id=elem_id, interactive=True)


def run_button(text: str, prefix: str) -> gr.Button:
    """The button that predicts."""
    return gr.Button(text, variant="primary", elem_id=f"{prefix}-run")


def no_model(task: str) -> None:
    """Say that no model for `task` is offered, in place of a tab's content."""
    gr.Markdown(
        f"No model for {task} is offered here. `perception models` lists what there is; `python -m app --models NAME ...` offers it.",
        elem_classes="empty",
    )


def picture_and_model(
    prefix: str, label: str, first: Sequence[Path], names: Sequence[str], height: int
) -> tuple[PictureInput, gr.Dataset, gr.Dropdown]:
    """What tabs of one picture begin with: the picture, the examples `first`, the model."""
    picture = picture_input(label, prefix, first[0], height)
    return picture, examples(first, f"{prefix}-examples"), model_menu(names, f"{prefix}-model")


# -- programs --------------------------------------------------------------------------------------------------------------


def endpoint(
    name: str, call: Callable[..., Any], inputs: Sequence[gr.components.Component], *results: gr.components.Component
) -> None:
    """Offer ``/name`` to programs. The parameters are called as those of `call`; its docstring is their documentation."""
    gr.Button(visible=False).click(
        call, list(inputs), list(results), api_name=name, api_visibility="public", show_progress="hidden", **HEAVY
    )


def given_picture(label: str = "Picture file") -> PictureInput:
    """A picture, as an endpoint takes it."""
    return PictureInput(visible=False, type="filepath", label=label)


def given_model(names: Sequence[str], label: str = "Name of a model", value: str | None = None) -> gr.Dropdown:
    """A model's name, as an endpoint takes it; the first one if nothing is said."""
    return gr.Dropdown(list(names), value=value or names[0], visible=False, label=label)


def given_number(value: float, low: float, high: float, label: str, step: float | None = None) -> gr.Slider:
    """A number between limits, as an endpoint takes it."""
    return gr.Slider(low, high, value=value, step=step, visible=False, label=label)


def given_fov() -> gr.Slider:
    """The field of view, as an endpoint takes it."""
    return given_number(0, 0, 170, "Horizontal field of view in degrees, 0 = unknown")


def given_intrinsics() -> gr.Textbox:
    """Intrinsics, as an endpoint takes them."""
    return gr.Textbox("", visible=False, label='"fx, fy, cx, cy" in pixels, or empty', max_length=400)


def archive_of(what: str = "all results") -> gr.File:
    """The ZIP that an endpoint returns."""
    return gr.File(visible=False, label=f"ZIP of {what}")


def summary_of(what: str = "Summary") -> gr.JSON:
    """The JSON that an endpoint returns."""
    return gr.JSON(visible=False, label=what)
