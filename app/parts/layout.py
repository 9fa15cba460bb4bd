"""The two columns of a tab, in a `gr.Row`; on a narrow screen the controls come before the result."""

from __future__ import annotations

import gradio as gr


def controls_column() -> gr.Column:
    """Where a visitor chooses."""
    return gr.Column(scale=2, min_width=300)


def result_column() -> gr.Column:
    """Where the result is seen."""
    return gr.Column(scale=5, min_width=320)
