"""A training run's state as a checkpoint's content (`perception.engine.checkpoint` says what is in it), and back into a run that goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mmengine
import torch

from perception import __version__
from perception.engine.checkpoint import to_cpu, to_plain
from perception.errors import RecipeError, WeightsError
from perception.io.checkpoints import load_strictly

if TYPE_CHECKING:
    from perception.engine.runner import PerceptionRunner


def run_weights(runner: PerceptionRunner) -> dict[str, Any]:
    """Weights, optimiser state and running average, whole and on the CPU. Every process has to call it."""
    if _is_sharded(runner):
        from perception.engine.sharded import gathered_states

        return gathered_states(runner)
    states: dict[str, Any] = {
        "state_dict": to_cpu(dict(runner.training_model.net.state_dict())),
        "optimizer": to_cpu(runner.optim_wrapper.state_dict()),
    }
    if runner.average is not None:
        states["ema_state_dict"] = to_cpu(runner.average.average)
        states["ema"] = {"updates": runner.average.updates}
    return states


def checkpoint_of(runner: PerceptionRunner, states: dict[str, Any], rng: list[dict[str, Any]]) -> dict[str, Any]:
    """The checkpoint: `states` of `run_weights`, the random state of every process, schedules, and where the run is."""
    loop, recipe = runner.train_loop, runner.recipe
    return {
        "meta": {
            "format": "perception-checkpoint/1",
            "iter": loop.iter,
            "epoch": loop.epoch,
            "position": loop.position,
            "max_iters": loop.max_iters,
            "global_batch": loop.step_samples,
            "model": recipe["model"],
            "recipe": recipe,
            "recipe_name": recipe.get("name"),
            "seed": runner.seed,
            "best": runner.best,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "perception_version": __version__,
            "mmengine_version": mmengine.__version__,
            "torch_version": str(torch.__version__),
        },
        "model_config": recipe["model"],
        **states,
        "param_schedulers": [to_plain(scheduler.state_dict()) for scheduler in runner.param_schedulers or []],
        # mmengine pickles its smoothing windows here, which no safe loader reads; plain facts are all that is needed
        "message_hub": {"log_scalars": {}, "runtime_info": {"iter": loop.iter}, "resumed_keys": {}},
        "rng": rng,
    }


def restore_run(runner: PerceptionRunner, checkpoint: dict[str, Any], path: Path) -> None:
    """Bring a built run to where `checkpoint` was written; `path` is for messages.

    Raises `WeightsError` for a file that says too little to go on from, `RecipeError` for a checkpoint of another model or of other schedules.
    """
    meta = checkpoint.get("meta") or {}
    for key in ("iter", "position", "model"):
        if key not in meta:
            raise WeightsError(f"checkpoint {path} cannot be resumed: its meta has no {key!r}; use load_from instead")
    if meta["model"] != runner.recipe["model"]:
        raise RecipeError(
            f"checkpoint {path} holds another model than the recipe; resume with the recipe it was made by"
        )
    schedulers, saved = runner.param_schedulers or [], checkpoint["param_schedulers"]
    if len(saved) != len(schedulers):
        raise RecipeError(f"checkpoint {path} has {len(saved)} schedulers, the recipe {len(schedulers)}")
    loop = runner.train_loop
    loop._iter, loop.position = int(meta["iter"]), int(meta["position"])
    runner.best = dict(meta.get("best") or {})
    _restore_weights(runner, checkpoint, path)
    for scheduler, state in zip(schedulers, saved, strict=True):
        scheduler.load_state_dict(state)
    states = checkpoint.get("rng") or []
    if len(states) == runner.world_size:
        loop.rng = states[runner.rank]
    elif states:
        runner.logger.warning(
            f"{path} was written by {len(states)} processes and is resumed by {runner.world_size}: "
            "data go on where they were, random augmentations do not repeat"
        )


def _restore_weights(runner: PerceptionRunner, checkpoint: dict[str, Any], path: Path) -> None:
    if _is_sharded(runner):
        from perception.engine.sharded import load_states

        load_states(runner, checkpoint)
        return
    load_strictly(runner.training_model.net, checkpoint["state_dict"], f"the checkpoint {str(path)!r}")
    runner.optim_wrapper.load_state_dict(checkpoint["optimizer"])
    if runner.average is not None and "ema_state_dict" in checkpoint:
        runner.average.load(checkpoint["ema_state_dict"], checkpoint["ema"]["updates"])


def _is_sharded(runner: PerceptionRunner) -> bool:
    return runner.recipe.get("strategy") == "fsdp2" and runner.distributed
