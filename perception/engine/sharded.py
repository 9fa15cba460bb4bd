"""Training with weights, gradients and optimiser states split over the processes (torch's FSDP2, ``fully_shard``).

Recipes choose it with ``strategy = "fsdp2"``. Checkpoints are gathered and look like those of one process, so that a sharded
run can be resumed, evaluated and published by one process and the other way round.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from perception.engine.checkpoint import to_cpu
from perception.engine.wrapper import TrainingModel

UNIT = 1_000_000  # parameters that are worth a gathering of their own


def shard(model: TrainingModel) -> TrainingModel:
    """Split `model` over all processes: one unit for every block of a repeated stack, or large child, and one for the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = model.device.type
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    for module in _units(model.net):
        fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _units(net: nn.Module) -> list[nn.Module]:
    """Return modules to gather one at a time: entries of module lists, and direct children with many parameters."""
    found: list[nn.Module] = []
    for module in net.modules():
        if isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1:
            found += [block for block in module if sum(p.numel() for p in block.parameters()) >= UNIT // 10]
    found += [child for child in net.children() if sum(p.numel() for p in child.parameters()) >= UNIT]
    # containers are never called themselves; inner units come before outer ones
    unique = dict.fromkeys(module for module in found if not isinstance(module, nn.ModuleList | nn.ModuleDict))
    return list(reversed(list(unique)))


def gathered_states(runner: Any) -> dict[str, Any]:
    """Return whole weights, optimiser state and average, in the form of one process. Every process has to call it."""
    net, optimizer = runner.training_model.net, runner.optim_wrapper.optimizer
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(net, options=options)
    state = get_optimizer_state_dict(net, optimizer, options=options)
    states: dict[str, Any] = {"state_dict": dict(weights), "optimizer": _by_position(state) if runner.rank == 0 else {}}
    settings = runner.optim_wrapper.base_param_settings
    if settings is not None:
        states["optimizer"]["base_param_settings"] = settings
    if runner.average is not None:
        states["ema_state_dict"] = to_cpu({name: _whole(value) for name, value in runner.average.average.items()})
        states["ema"] = {"updates": runner.average.updates}
    return states


def load_states(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Spread a whole checkpoint over the processes."""
    net, optimizer = runner.training_model.net, runner.optim_wrapper.optimizer
    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(net, checkpoint["state_dict"], options=options)
    saved = dict(checkpoint["optimizer"])
    settings = saved.pop("base_param_settings", None)
    if settings is not None:
        runner.optim_wrapper.base_param_settings = settings
    names = {parameter: name for name, parameter in net.named_parameters()}
    order = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    set_optimizer_state_dict(net, optimizer, _by_name(saved, order), options=options)
    if runner.average is not None and "ema_state_dict" in checkpoint:
        spread = {
            name: _like(checkpoint["ema_state_dict"][name], value) for name, value in runner.average.average.items()
        }
        runner.average.load(spread, checkpoint["ema"]["updates"])


def _by_position(state: dict[str, Any]) -> dict[str, Any]:
    """Optimiser state by parameter name -> by position, as ``Optimizer.state_dict`` has it."""
    order = [name for group in state["param_groups"] for name in group["params"]]
    place = {name: index for index, name in enumerate(order)}
    groups = [{**group, "params": [place[name] for name in group["params"]]} for group in state["param_groups"]]
    return {"state": {place[name]: value for name, value in state["state"].items()}, "param_groups": groups}


def _by_name(state: dict[str, Any], order: list[str]) -> dict[str, Any]:
    groups = [{**group, "params": [order[index] for index in group["params"]]} for group in state["param_groups"]]
    return {"state": {order[index]: value for index, value in state["state"].items()}, "param_groups": groups}


def _whole(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _like(whole: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """Split `whole` as `pattern` is split."""
    if not hasattr(pattern, "full_tensor"):
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(pattern.device), pattern.device_mesh, pattern.placements)
