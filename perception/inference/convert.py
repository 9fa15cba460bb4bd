"""Official checkpoints -> published folders, with a report of what became of every entry.

A system's ``weights.py`` knows the names (``convert(state) -> state``); this module finds out what it did: an entry is *mapped* when its
values are in the result, *merged* when the result depends on it, and *dropped* when it does not; entries that the file stores twice are *shared*.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from perception.errors import WeightsError, nearest
from perception.io.checkpoints import load_strictly, read_checkpoint

# Name on the command line -> package below `perception.models` whose `weights` module has `convert`.
SYSTEMS: dict[str, str] = {
    "kmax": "polymax",
    "polymax": "polymax",
    "monodetr": "monodetr",
    "monodino_detr": "monodino_detr",
    "depth_anything": "depth_anything",
    "omnifusion": "omnifusion",
    "hydra": "hydra",
    "spidepth": "spidepth",
    "croco": "croco",
}
State = dict[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What became of the official entries: ``mapped`` (official -> ours), ``merged``, ``dropped``, ``shared`` (groups of equal names)."""

    mapped: dict[str, str]
    merged: list[str]
    dropped: list[str]
    shared: list[list[str]]

    @property
    def text(self) -> str:
        lines = [
            f"{len(self.mapped)} entries mapped, {len(self.merged)} merged, {len(self.dropped)} dropped, "
            f"{len(self.shared)} groups stored more than once"
        ]
        for title, keys in (("merged", self.merged), ("dropped", self.dropped)):
            lines += [f"  {title:<8}{key}" for key in keys]
        lines += [f"  shared  {' = '.join(group)}" for group in self.shared]
        return "\n".join(lines)


def convert_checkpoint(
    system: str, source: str | Path, out: str | Path, model: dict[str, Any] | None = None, trust: bool = False
) -> tuple[Path, ConversionReport]:
    """Convert the official checkpoint `source` of `system` (a file, or a folder where the system publishes several) and publish it in the folder `out`.

    Args:
        model: configuration of the model that the weights belong to (``{"type": ..., ...}``); systems whose weights tell it by
            themselves (``model_config(state)`` in their ``weights.py``) need none.

    Raises `WeightsError` for unknown systems, files that are unsafe or belong to another model, and weights that do not fit `model`.
    """
    from perception.engine.publish import publish
    from perception.inference.loading import without_downloads
    from perception.models.registry import build_model

    module = weights_module(system)
    if Path(source).is_dir():
        if not hasattr(module, "read_folder"):
            raise WeightsError(f"the weights of {system!r} are one file; found the folder {str(source)!r}")
        state = module.read_folder(source, trust)
    else:
        state = official_state(read_checkpoint(source, trust))
    convert = lambda entries: _convert(module, entries, model)  # noqa: E731
    converted = convert(state)
    report = explain(state, converted, convert)
    if model is None:
        tell = getattr(module, "model_config", None)
        if tell is None:
            raise WeightsError(
                f"the weights of {system!r} do not say which variant they are; give its recipe, such as "
                f"--recipe models/{SYSTEMS[system]}/<variant>.py"
            )
        model = tell(state)
    network = build_model(without_downloads(model))
    load_strictly(network, converted, f"the converted checkpoint {Path(source).name!r}")
    about = {"title": f"{system} converted from {Path(source).name}", "licence": "that of the original weights"}
    folder = publish(out, model, network.state_dict(), {"source": Path(source).name, "system": system}, about=about)
    return folder, report


def weights_module(system: str) -> Any:
    """Return the module with the system's `convert`. Raises `WeightsError` with the nearest name."""
    if system not in SYSTEMS:
        raise WeightsError(f"no system is called {system!r}.{nearest(system, SYSTEMS)} Known: {', '.join(SYSTEMS)}")
    try:
        module = importlib.import_module(f"perception.models.{SYSTEMS[system]}.weights")
    except ModuleNotFoundError as error:
        raise WeightsError(f"this installation has no weights converter for {system!r}") from error
    return module


def official_state(checkpoint: Any) -> State:
    """Find the tensors of an official checkpoint under the usual keys; a ``module.`` prefix is taken off. Raises `WeightsError`."""
    state = checkpoint
    for key in ("state_dict", "model_state", "model", "model_state_dict"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise WeightsError(f"the checkpoint holds no state dictionary; found {type(state).__name__}")
    state = {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise WeightsError("the checkpoint holds no tensors")
    return state


def explain(official: State, converted: State, convert: Callable[[State], State]) -> ConversionReport:
    """Find out what `convert` did with every entry of `official`."""
    places = {_place(value): key for key, value in converted.items() if value.numel()}
    mapped = {key: places[_place(value)] for key, value in official.items() if _place(value) in places}
    unchanged = set(mapped.values())  # official entries as they are, which nothing else can change
    made = [name for name in converted if name not in unchanged]
    merged, dropped = [], []
    for key, value in official.items():
        if key in mapped:
            continue
        changed = convert({**official, key: value + 1 if not value.dtype == torch.bool else ~value})
        same = all(torch.equal(converted[name], changed[name]) for name in made)
        (dropped if same else merged).append(key)
    groups: dict[Any, list[str]] = {}
    for key, value in official.items():
        if value.numel() > 1:
            groups.setdefault((_place(value), tuple(value.shape)), []).append(key)
    return ConversionReport(mapped, merged, dropped, [names for names in groups.values() if len(names) > 1])


def _place(value: torch.Tensor) -> tuple[int, int]:
    return value.data_ptr(), value.numel()


def _convert(module: Any, state: State, model: dict[str, Any] | None) -> State:
    parameters = inspect.signature(module.convert).parameters
    required = [name for name, p in parameters.items() if p.default is p.empty][1:]
    if required == ["rules"] and hasattr(module, "rules_of"):
        return dict(module.convert(state, module.rules_of(model)))
    if required:
        raise WeightsError(f"the converter {module.__name__} needs {', '.join(required)}; use it from Python")
    return dict(module.convert(state))
