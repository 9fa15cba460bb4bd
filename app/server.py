"""Serve the page: limits, queue, temporary files."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

import gradio as gr

from app.page import build_page
from app.services import Services
from app.settings import Settings
from app.theme import CSS, THEME
from app.workspace import Workspace
from perception.errors import InputError


def serve(settings: Settings, block: bool = True) -> tuple[gr.Blocks, str]:
    """Launch the page and return it with its address; with `block`, serve until interrupted."""
    if settings.host not in ("127.0.0.1", "localhost", "::1") and settings.auth is None:
        print("app: listening beyond this machine without --auth: anybody who reaches it can use it", file=sys.stderr)
    workspace = Workspace(settings.keep_seconds)
    atexit.register(workspace.close)
    os.environ["GRADIO_TEMP_DIR"] = str(workspace.cache)  # uploads and copies go with the rest
    try:
        page = build_page(Services.of(settings, workspace))
        workspace.keep_cached()
        workspace.after_sweep = lambda: _forget_deleted(page)
        page.queue(max_size=settings.queue, default_concurrency_limit=4)
        _, local, public = page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            auth=settings.auth,
            max_file_size=f"{settings.max_upload:g}mb",
            show_error=False,
            enable_monitoring=False,
            state_session_capacity=512,
            allowed_paths=[str(workspace.root), str(Path(__file__).parent / "examples")],
            blocked_paths=[str(Path.cwd() / ".git"), str(Path.cwd() / ".venv")],
            theme=THEME,
            css=CSS,
            quiet=True,
            ssr_mode=False,
            prevent_thread_lock=True,
            footer_links=["api"],
            _frontend=False,  # Gradio would ask itself for the page and give up after three seconds, which busy machines need
        )
        if settings.share and not public:
            page.close()
            raise InputError(
                "--share needs the internet: Gradio's servers gave no public address; leave it out to serve on this machine"
            )
        print(f"app: serving on {public or local}", flush=True)
        if block:
            page.block_thread()
    finally:
        if block:
            workspace.close()
    return page, public or local


def _forget_deleted(page: gr.Blocks) -> None:
    """Gradio remembers the name of every file it was ever given."""
    for names in page.temp_file_sets:
        names.difference_update([name for name in tuple(names) if not os.path.exists(name)])
