"""Build the page and serve it: limits, queue, temporary files, error sentences."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr

from app import jobs
from app.page import EXAMPLES, FIRST_EXAMPLE, build_page
from perception.errors import InputError
from perception.inference import list_models

LOG = logging.getLogger("app")
FIRST_FOV = 55.0  # degrees, a guess of what a compact camera sees
KEEP_SECONDS = 30 * 60  # results of a visitor stay this long, then they are deleted


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the app is served. `auth` is (user, password) or None; `max_upload` in megabytes, `max_pixels` in pixels."""

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth: tuple[str, str] | None = None
    models: tuple[str, ...] = ()
    device: str = "auto"
    max_upload: float = 20.0
    max_pixels: int = 24_000_000

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Settings:
        """From the command line. Raises `InputError` for flags that cannot work."""
        auth = None
        if options.auth is not None:
            user, colon, password = options.auth.partition(":")
            if not (user and colon and password):
                raise InputError("--auth takes USER:PASSWORD")
            auth = (user, password)
        return cls(
            host=options.host,
            port=options.port,
            share=options.share,
            auth=auth,
            models=tuple(options.models or ()),
            device=options.device,
            max_upload=options.max_upload,
            max_pixels=int(options.max_pixels * 1e6),
        )


class Workspace:
    """Fresh folders for results, deleted when they are old. Their names come from the system, never from a visitor."""

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self.keep_seconds = keep_seconds
        self.root = Path(tempfile.mkdtemp(prefix="perception_app_"))
        self._lock = threading.Lock()

    def fresh(self) -> Path:
        """Make a new folder; take the opportunity to delete the old ones."""
        with self._lock:
            self.sweep()
            return Path(tempfile.mkdtemp(dir=self.root, prefix="visit"))

    def sweep(self) -> None:
        """Delete the folders that are older than `keep_seconds`."""
        limit = time.time() - self.keep_seconds
        for folder in self.root.glob("visit*"):
            try:
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)


def offered_models(settings: Settings) -> list[str]:
    """Names for the page's menu: those asked for, else every bundled model that predicts depth. Raises for unknown names."""
    from perception.inference.zoo import entry

    if settings.models:
        return [entry(name).name for name in settings.models]
    names = [row.name for row in list_models() if row.bundled and "depth" in row.tasks]
    if not names:
        raise InputError("this installation bundles no model; name one with --models")
    return names


def build(settings: Settings, workspace: Workspace) -> gr.Blocks:
    """Return the page, not yet served."""

    def photo(file: str | None, model: str, fov: float | None) -> jobs.Photo:
        if model not in names:
            raise gr.Error("This model is not offered here.", duration=8, print_exception=False)
        try:
            return jobs.predict_photo(
                file, model, workspace.fresh(), fov=fov or None, device=settings.device, max_pixels=settings.max_pixels
            )
        except InputError as error:
            raise gr.Error(_sentence(error), duration=8, print_exception=False) from None
        except Exception:
            LOG.exception("a prediction failed")
            raise gr.Error(
                "Something went wrong on the server; it was logged.", duration=8, print_exception=False
            ) from None

    @functools.cache
    def first() -> jobs.Photo:
        """The example on the first screen: predicted once, shown to everybody; nobody's upload is in it."""
        folder = workspace.root / "first"
        folder.mkdir()
        return jobs.predict_photo(EXAMPLES / FIRST_EXAMPLE, names[0], folder, fov=FIRST_FOV, device=settings.device)

    names = offered_models(settings)
    return build_page(names, photo, first)


def serve(settings: Settings, block: bool = True) -> tuple[gr.Blocks, str]:
    """Launch the page and return it with its address; with `block`, serve until interrupted."""
    if settings.host not in ("127.0.0.1", "localhost", "::1") and settings.auth is None:
        print("app: listening beyond this machine without --auth: anybody who reaches it can use it", file=sys.stderr)
    workspace = Workspace()
    page = build(settings, workspace)
    page.queue(max_size=32, default_concurrency_limit=1)
    from app.page import CSS, THEME

    _, local, public = page.launch(
        server_name=settings.host,
        server_port=settings.port,
        share=settings.share,
        auth=settings.auth,
        max_file_size=f"{settings.max_upload:g}mb",
        show_error=False,
        enable_monitoring=False,
        allowed_paths=[str(workspace.root), str(Path(__file__).parent / "examples")],
        blocked_paths=[str(Path.cwd() / ".git"), str(Path.cwd() / ".venv")],
        theme=THEME,
        css=CSS,
        quiet=True,
        ssr_mode=False,
        prevent_thread_lock=True,
        footer_links=["api"],
    )
    print(f"app: serving on {public or local}", flush=True)
    if block:
        try:
            page.block_thread()
        finally:
            workspace.close()
    return page, public or local


def _sentence(error: Any) -> str:
    text = str(error)
    if not text.split(" ", 1)[0].isalpha():  # a file's name keeps its case
        return text + ("" if text.endswith((".", "!", "?")) else ".")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
