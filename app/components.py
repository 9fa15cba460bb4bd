"""A picture input that leaves decoding to the library, so that a bad upload gets its own sentence instead of a bare "Error"."""

from __future__ import annotations

from typing import Any

import gradio as gr


class PictureInput(gr.Image):
    """`gr.Image` whose value in Python is the path of the uploaded file, as uploaded: nothing is decoded or re-encoded."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path
