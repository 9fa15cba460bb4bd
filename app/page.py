"""The page: one tab a task, in a fixed order. A tab is a module of `app.tabs` with a `TITLE` and ``build(services)``, which fills its `gr.Tab`."""

from __future__ import annotations

import importlib
import importlib.util

import gradio as gr

from app.services import Services

TABS = ("photo", "street", "panorama", "surround", "video", "compare", "world")


def build_page(services: Services) -> gr.Blocks:
    """Lay the page out, with the tabs that exist."""
    with gr.Blocks(title="perception3d", analytics_enabled=False) as page:
        gr.HTML(
            "<h1>perception3d</h1><p>Metric 3D from pictures: depth, surfaces, objects, surroundings.</p>",
            elem_id="title",
        )
        with gr.Tabs(elem_id="tabs"):
            for name in TABS:
                if importlib.util.find_spec(f"app.tabs.{name}") is None:
                    continue
                module = importlib.import_module(f"app.tabs.{name}")
                with gr.Tab(module.TITLE, id=name, elem_id=f"tab-{name}"):
                    module.build(services)
    return page
