"""What every tab is given: names of models, limits, folders, kept results, and one way to run a job so that faults become sentences."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from app.jobs.common import Say, free_memory, is_loaded, out_of_memory, predictor, read_picture, silent
from app.settings import Settings
from app.workspace import Shelf, Workspace
from perception.errors import InputError, PerceptionError
from perception.inference import Predictor, list_models

LOG = logging.getLogger("app")
T = TypeVar("T")
TASKS = ("photo", "boxes3d", "panorama", "rig")
HEAVY = {"concurrency_id": "device", "concurrency_limit": 1}  # for events that use the device: one at a time
QUIET = {"api_visibility": "private", "show_progress": "hidden"}  # for events that only draw again


@dataclasses.dataclass(frozen=True)
class Services:
    """`models`: task -> names for menus. The tasks are "photo" (depth, normals or segments of a picture), "boxes3d" (of one picture), "panorama", "rig"."""

    settings: Settings
    workspace: Workspace
    shelf: Shelf
    models: Mapping[str, tuple[str, ...]]
    _device: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    _once: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, workspace: Workspace) -> Services:
        """Raises `WeightsError` for names of models that do not exist, `InputError` where there is no model at all."""
        return cls(settings, workspace, Shelf(), offered_models(settings))

    def folder(self) -> Path:
        """A fresh folder for the files of one request."""
        return self.workspace.fresh()

    def predictor(self, name: str, say: Say = silent) -> Predictor:
        """The model called `name`, loaded on first use, which `say` then tells. Raises `InputError` for one that is not offered."""
        if not any(name in names for names in self.models.values()):
            raise InputError("this model is not offered here")
        if not is_loaded(name, self.settings.device):
            say(0.05, "Loading the model")
        return predictor(name, self.settings.device)

    def picture(self, file: str) -> Any:
        """Decode an upload within the limits of pixels. Raises `InputError`."""
        return read_picture(file, self.settings.max_pixels)

    def run(self, job: Callable[[], T]) -> T:
        """Do heavy work, alone on the device; what goes wrong becomes a `gr.Error` with one sentence, without traceback or path."""
        with self._device:
            return self.attempt(job)

    def attempt(self, job: Callable[[], T]) -> T:
        """Do light work (draw, pack) with the same sentences."""
        try:
            return job()
        except gr.Error:
            raise
        except PerceptionError as error:
            raise toast(sentence(error)) from None
        except Exception as error:
            if out_of_memory(error):
                free_memory()
                raise toast("The memory of the device is too small for this; try a smaller picture or clip.") from None
            LOG.exception("a job failed")
            raise toast("Something went wrong on the server; it was logged.") from None

    def example(self, key: str, make: Callable[[], Any]) -> str:
        """A ticket of the finished example called `key`, which `once` makes."""
        return self.shelf.put_lasting(key, self.once(key, make))

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """The finished example called `key`: made when it is first wanted, shown to everybody; nobody's upload may be in it."""
        if key not in self._once:

            def alone() -> T:
                return self._once[key] if key in self._once else make()

            self._once[key] = self.run(alone)
        return self._once[key]


def offered_models(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Names by task: those asked for, else all bundled ones. Raises `WeightsError` for unknown names, `InputError` when there is none."""
    from perception.inference.zoo import entry

    rows = [entry(name) for name in settings.models] or [row for row in list_models() if row.bundled]
    if not rows:
        raise InputError("this installation bundles no model; name one with --models")
    found: dict[str, list[str]] = {task: [] for task in TASKS}
    whole_spheres: list[str] = []  # made for panoramas: they come before photo models on pieces of one
    for row in rows:
        tasks = set(row.tasks)
        if tasks & {"bev", "rig", "occupancy", "tracking"}:
            found["rig"].append(row.name)
        elif "panorama" in tasks:
            whole_spheres.append(row.name)
        elif "boxes3d" in tasks:
            found["boxes3d"].append(row.name)
        elif tasks & {"depth", "normals", "segmentation"}:
            found["photo"].append(row.name)
            if "depth" in tasks:
                found["panorama"].append(f"panorama-{row.name}")
    found["panorama"] = whole_spheres + found["panorama"]
    return {task: tuple(names) for task, names in found.items()}


def sentence(error: Any) -> str:
    """The text of an error with a capital and a full stop; a file's name keeps its case."""
    text = str(error)
    end = "" if text.endswith((".", "!", "?")) else "."
    return (text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text) + end


def toast(text: str) -> gr.Error:
    """An error that the visitor reads and the log does not."""
    return gr.Error(text, duration=8, print_exception=False)
