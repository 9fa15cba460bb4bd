"""The model zoo: names -> where the weights are, what they can do, under which licence.

Bundled models lie in ``perception/weights/<name>/`` as ``config.json`` + ``model.safetensors``. Published weights of other groups are listed with
their official address; they are fetched on demand, or read from the cache folder when somebody put them there.
"""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from pathlib import Path
from typing import Any

from perception.errors import WeightsError, nearest
from perception.inference.published import PUBLISHED
from perception.io.checkpoints import read_json

BUNDLED = Path(__file__).resolve().parent.parent / "weights"
CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    `address` is "bundled", an https address, or ``hub:<repository>/<file>``; `model` is the configuration that rebuilds the network
    (None for bundled models, whose ``config.json`` holds it, and where the converter's ``variant`` reads it off the file); `file` is the name of the weights
    file, where the address does not end with it; `converter` names the module whose ``convert`` maps official keys to ours; `by_hand`: the address is a
    page for people, from which no program can fetch the file; `more_files` lie beside the address's own file, and the converter's ``read_folder`` reads
    them together.
    """

    name: str
    tasks: tuple[str, ...]
    title: str
    licence: str
    address: str
    model: dict[str, Any] | None = None
    converter: str = ""
    sha256: str = ""
    card: str = ""
    file: str = ""
    more_files: tuple[str, ...] = ()
    by_hand: bool = False

    @property
    def bundled(self) -> bool:
        return self.address == "bundled"

    @property
    def file_name(self) -> str:
        """Name of the weights file in the cache folder."""
        return WEIGHTS_NAME if self.bundled else self.file or self.address.rsplit("/", 1)[-1]


def cache_folder() -> Path:
    """Where downloaded weights are kept: ``$PERCEPTION_CACHE``, else ``~/.cache/perception3d``."""
    return Path(os.environ.get("PERCEPTION_CACHE") or Path.home() / ".cache" / "perception3d")


@cache
def entries() -> dict[str, Entry]:
    """All models by name, the bundled ones first."""
    found = {}
    for config in sorted(BUNDLED.glob(f"*/{CONFIG_NAME}")):
        about = read_json(config).get("about", {})
        name = config.parent.name
        found[name] = Entry(
            name=name,
            tasks=tuple(about.get("tasks", ())),
            title=about.get("title", ""),
            licence=about.get("licence", "Apache-2.0"),
            address="bundled",
            card=about.get("card", ""),
        )
    found |= {values["name"]: Entry(**values) for values in PUBLISHED}
    return found


def list_models(task: str | None = None) -> list[Entry]:
    """Return the zoo's entries, optionally those that do `task` (depth, normals, segmentation, boxes3d, panorama, bev ...)."""
    chosen = list(entries().values())
    if task is None:
        return chosen
    tasks = sorted({known for entry in chosen for known in entry.tasks})
    if task not in tasks:
        raise WeightsError(f"no model does the task {task!r}; known tasks: {', '.join(tasks)}.{nearest(task, tasks)}")
    return [entry for entry in chosen if task in entry.tasks]


def entry(name: str) -> Entry:
    """Return the entry called `name`. Raises `WeightsError` with the nearest known name."""
    known = entries()
    if name not in known:
        raise WeightsError(
            f"{name!r} is neither a model of the zoo nor an existing file or folder.{nearest(name, known)} "
            "`perception models` lists all names"
        )
    return known[name]
