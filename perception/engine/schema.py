"""The check of a resolved recipe at start: every key and every name, each error with the nearest match."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from perception.errors import RecipeError, nearest

TOP_KEYS = {
    "model": "registered name and literal arguments",
    "train_dataloader": "data set and loader to train on",
    "val_dataloader": "data set and loader to validate on while training",
    "test_dataloader": "data set and loader of tools/test.py",
    "val_evaluator": "evaluators of the validation",
    "test_evaluator": "evaluators of tools/test.py",
    "train_cfg": "max_iters or max_epochs, val_interval, max_minutes",
    "optim_wrapper": "optimizer, clip_grad, accumulative_counts, paramwise_cfg",
    "param_scheduler": "list of schedules",
    "batch_transform": "list of augmentations on the device",
    "ema": "True or dict(decay, warmup)",
    "amp": "None, 'bfloat16' or 'float16'",
    "compile": "True or keyword arguments of torch.compile",
    "channels_last": "True for channels-last memory",
    "non_finite": "'stop' or 'skip'",
    "default_hooks": "changes to the hooks log, checkpoint, param_scheduler, signals, pictures",
    "custom_hooks": "list of further hooks",
    "vis_backends": "mmengine backends, such as TensorboardVisBackend",
    "publish": "dict(half, which, about) of the published form",
    "bundled": "name of the bundled weights that belong to the recipe",
    "name": "name of the run",
    "work_dir": "run folder",
    "load_from": "weights to start from: a checkpoint, a run folder, a published folder, 'bundled' or a bundled name",
    "load_partly": "True to take from load_from what fits and to report the rest, for other heads or classes",
    "seed": "seed of everything",
    "deterministic": "True for deterministic GPU kernels",
    "env_cfg": "cudnn_benchmark, mp_cfg, resource_limit",
    "log_level": "level of the console log",
    "sync_bn": "True for batch norms over all processes",
    "find_unused_parameters": "for models that do not use all parameters in every step",
    "strategy": "'ddp' or 'fsdp2' where there are several processes",
    "imports": "Python modules to import first; they register models, data sets and transforms of yours",
}
# visual backend -> the module it needs and the extra of this package that brings it
BACKENDS = {
    "TensorboardVisBackend": ("tensorboard", "track"),
    "WandbVisBackend": ("wandb", "wandb"),
    "MLflowVisBackend": ("mlflow", "mlflow"),
}
_TRAIN_KEYS = ("max_iters", "max_epochs", "val_interval", "max_minutes")
_OPTIM_KEYS = ("type", "optimizer", "clip_grad", "accumulative_counts", "paramwise_cfg", "constructor")
# value -> what it has to be, and the words for it
_WHOLE = (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1, "a whole number of at least 1")
_COUNT = (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0, "a whole number of at least 0")
_VALUES = {
    "seed": (lambda v: _COUNT[0](v) and v < 2**32, "a whole number from 0 to 4294967295"),
    "train_cfg.max_iters": _WHOLE,
    "train_cfg.max_epochs": (lambda v: _is_number(v) and v > 0, "a number above 0"),
    "train_cfg.val_interval": _COUNT,
    "train_cfg.max_minutes": (lambda v: _is_number(v) and v > 0, "a number above 0"),
    "optim_wrapper.accumulative_counts": _WHOLE,
    "optim_wrapper.clip_grad": (lambda v: isinstance(v, dict), "a dictionary such as dict(max_norm=1.0)"),
    "optim_wrapper.optimizer.lr": (lambda v: _is_number(v) and v >= 0, "a number of at least 0"),
    "ema": (lambda v: isinstance(v, bool | dict), "True, False or dict(decay, warmup)"),
    "ema.decay": (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to below 1"),
} | {
    f"{loader}.{key}": rule
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader")
    for key, rule in (("batch_size", _WHOLE), ("num_workers", _COUNT))
}
_PUBLISH_KEYS = ("half", "which", "about")
_EMA_KEYS = ("decay", "warmup")


def import_modules(recipe: dict[str, Any]) -> None:
    """Import what the recipe's ``imports`` names. Raises `RecipeError` for modules that are not there."""
    for name in recipe.get("imports") or []:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise RecipeError(f"module {name!r} of the recipe's imports cannot be imported: {error}") from error


def check_recipe(recipe: dict[str, Any], train: bool = True) -> None:
    """Check every key, type name and argument name of a resolved recipe. Raises `RecipeError` at the first that is wrong.

    Data sets are not built; only their names and arguments are looked at.
    """
    import mmengine.optim  # noqa: F401  (registers torch's optimisers and mmengine's schedules)
    from mmengine.registry import HOOKS, OPTIMIZERS, PARAM_SCHEDULERS, VISBACKENDS

    from perception.datasets.registry import dataset_class
    from perception.datasets.transforms.registry import batch_transform_class
    from perception.engine import schedules  # noqa: F401
    from perception.engine.data import LOADER_KEYS
    from perception.engine.hooks import checkpoints, metrics, pictures  # noqa: F401
    from perception.evaluation.registry import evaluator_class
    from perception.models.registry import model_class

    import_modules(recipe)
    _keys(recipe, TOP_KEYS, "a recipe")
    needed = ["model", "train_dataloader", "train_cfg", "optim_wrapper"] if train else ["model", "test_dataloader"]
    for key in needed:
        if not recipe.get(key):
            raise RecipeError(f"the recipe has no {key!r} ({TOP_KEYS[key]})")
    for dataloader, evaluator in (("val_dataloader", "val_evaluator"), ("test_dataloader", "test_evaluator")):
        if bool(recipe.get(dataloader)) != bool(recipe.get(evaluator)):
            raise RecipeError(f"{dataloader} and {evaluator} come together or not at all")
    if recipe.get("load_partly") and not recipe.get("load_from"):
        raise RecipeError("load_partly = True needs load_from: the weights to take what fits from")
    _typed(recipe["model"], "model", model_class)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = recipe.get(key)
        if loader:
            _keys(loader, LOADER_KEYS, key)
            if "dataset" not in loader:
                raise RecipeError(f"{key} has no 'dataset'")
            _typed(loader["dataset"], f"{key}.dataset", dataset_class, free=("frames",))
    for key in ("val_evaluator", "test_evaluator"):
        for item in _list(recipe.get(key)):
            _typed(item, key, evaluator_class, free=("name",))
    for item in _list(recipe.get("batch_transform")):
        _typed(item, "batch_transform", batch_transform_class)
    _keys(recipe.get("train_cfg") or {}, _TRAIN_KEYS, "train_cfg")
    optim = recipe.get("optim_wrapper") or {}
    _keys(optim, _OPTIM_KEYS, "optim_wrapper")
    if optim:
        if "optimizer" not in optim:
            raise RecipeError("optim_wrapper has no 'optimizer'")
        _typed(optim["optimizer"], "optim_wrapper.optimizer", _from(OPTIMIZERS, "optimizer"), given=("params",))
    for item in _list(recipe.get("param_scheduler")):
        free = ("convert_to_iter_based",)
        _typed(item, "param_scheduler", _from(PARAM_SCHEDULERS, "schedule"), ("optimizer", "max_iters"), free)
    _check_hooks(recipe, _from(HOOKS, "hook"))
    for item in _list(recipe.get("vis_backends")):
        _typed(item, "vis_backends", _from(VISBACKENDS, "visual backend"), given=("save_dir",))
        _installed(item["type"])
    for key, known in (("publish", _PUBLISH_KEYS), ("ema", _EMA_KEYS)):
        if isinstance(recipe.get(key), dict):
            _keys(recipe[key], known, key)
    _check_values(recipe)
    if recipe.get("strategy") not in (None, "ddp", "fsdp2"):
        raise RecipeError(f"strategy should be 'ddp' or 'fsdp2', found {recipe['strategy']!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_values(recipe: dict[str, Any]) -> None:
    """Check the numbers and switches of `_VALUES`, where the recipe has them; None means "left out"."""
    for path, (fits, words) in _VALUES.items():
        value: Any = recipe
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not fits(value):
            raise RecipeError(f"{path} should be {words}; found {value!r}")


def _installed(backend: str) -> None:
    """Raise `RecipeError` when what a visual backend imports is missing; mmengine would notice at the first line of the log."""
    module, extra = BACKENDS.get(backend, (None, ""))
    if module and importlib.util.find_spec(module) is None:
        raise RecipeError(f"tracking with {backend} needs {module}: pip install 'perception3d[{extra}]'")


def _check_hooks(recipe: dict[str, Any], resolve: Callable[[str], Any]) -> None:
    from perception.engine.runner import DEFAULT_HOOKS

    _keys(recipe.get("default_hooks") or {}, DEFAULT_HOOKS, "default_hooks")
    for name, hook in (recipe.get("default_hooks") or {}).items():
        if hook is not None:
            _typed({**DEFAULT_HOOKS[name], **hook}, f"default_hooks.{name}", resolve, free=("priority",))
    for hook in _list(recipe.get("custom_hooks")):
        _typed(hook, "custom_hooks", resolve, free=("priority",))


def _typed(
    config: Any, where: str, resolve: Callable[[str], Any], given: Sequence[str] = (), free: Sequence[str] = ()
) -> None:
    """Check ``{"type": name, **arguments}``: the name exists, the class takes the arguments and misses none.

    `given` are arguments that the engine fills in, `free` ones that are not the class's own.
    """
    if not isinstance(config, dict) or not isinstance(config.get("type"), str):
        raise RecipeError(f"{where} should be a dictionary with a 'type' string, found {config!r}")
    cls = resolve(config["type"])
    parameters = _parameters(cls)
    arguments = [key for key in config if key != "type" and key not in free]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in arguments:
        if key not in parameters and not takes_all:
            raise RecipeError(f"{where}: {config['type']} takes no {key!r}.{nearest(key, parameters)}")
    for name, parameter in inspect.signature(cls).parameters.items():  # a parent's may be given by the class itself
        required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if required and name not in config and name not in given:
            raise RecipeError(f"{where}: {config['type']} needs {name!r}")


def _parameters(cls: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a class takes by name: its constructor's parameters, and where one of ours hands ``**options`` on, its parents'."""
    found = dict(inspect.signature(cls).parameters)
    for parent in inspect.getmro(cls)[1:] if _is_ours(cls) else ():
        rest = next((name for name, p in found.items() if p.kind is p.VAR_KEYWORD), None)
        if rest is None or not _is_ours(parent):
            break
        del found[rest]
        found = {**inspect.signature(parent).parameters, **found}
    return found


def _is_ours(cls: Any) -> bool:
    return inspect.isclass(cls) and cls.__module__.startswith("perception.")


def _keys(config: Any, known: Iterable[str], where: str) -> None:
    if not isinstance(config, dict):
        raise RecipeError(f"{where} should be a dictionary, found {config!r}")
    for key in config:
        if key not in known:
            raise RecipeError(f"{where} has no key {key!r}.{nearest(key, known)}")


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _from(registry: Any, what: str) -> Callable[[str], Any]:
    def resolve(name: str) -> Any:
        with_scope = registry.get(name)
        if with_scope is None:
            raise RecipeError(f"{what} type {name!r} does not exist.{nearest(name, registry.module_dict)}")
        return with_scope

    return resolve
