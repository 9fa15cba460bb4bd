"""Muon: directions, the share that AdamW takes, and training with it through the command line."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from perception.engine.muon import MuonAdamW, orthogonalised
from tests.engine.helpers import rows, train_here


@pytest.mark.parametrize("shape", [(24, 90), (90, 24), (32, 32)])
def test_singular_values_become_equal_and_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(-2, 1, shape[1])
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalised(matrix)
    values = torch.diagonal(u.T @ result @ vt.T)
    torch.testing.assert_close(result, u @ torch.diag(values) @ vt, rtol=0, atol=2e-3)
    assert 0.6 < values.median() < 1.25
    assert values.max() < 1.3


def test_zeros_stay_zeros() -> None:
    assert not orthogonalised(torch.zeros(20, 30)).any()


@pytest.mark.parametrize("shape", [(40,), (3, 40), (40, 1, 3, 3), (1, 50, 16)])
def test_vectors_and_thin_matrices_take_the_step_of_adamw(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(shape))
    theirs = torch.nn.Parameter(ours.detach().clone())
    optimizers = [MuonAdamW([ours], lr=0.01, weight_decay=0.1), torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)]
    for _ in range(6):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_steps_of_a_kernel_have_the_usual_size_and_decay_apart() -> None:
    torch.manual_seed(0)
    kernel = torch.nn.Parameter(torch.randn(32, 48, 3, 3))
    before = kernel.detach().clone()
    kernel.grad = torch.randn_like(kernel) * 1e-4
    MuonAdamW([kernel], lr=0.01, weight_decay=0.5).step()
    step = kernel.detach() - before * (1 - 0.01 * 0.5)
    assert step.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.15)
    assert (step * kernel.grad).sum() < 0


def test_a_restored_state_goes_on_exactly() -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(20, 24)
    run = MuonAdamW(net.parameters(), lr=0.01)

    def step(net: torch.nn.Module, run: MuonAdamW, seed: int) -> None:
        inputs = torch.randn(8, 20, generator=torch.Generator().manual_seed(seed))
        run.zero_grad()
        net(inputs).square().sum().backward()
        run.step()

    step(net, run, 0)
    other = copy.deepcopy(net)
    restored = MuonAdamW(other.parameters(), lr=0.5)
    restored.load_state_dict(copy.deepcopy(run.state_dict()))
    step(net, run, 1)
    step(other, restored, 1)
    torch.testing.assert_close(other.weight, net.weight, rtol=0, atol=0)
    torch.testing.assert_close(other.bias, net.bias, rtol=0, atol=0)


def test_a_sharded_kernel_takes_the_step_of_a_whole_one(tmp_path: Path) -> None:
    init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        torch.manual_seed(0)
        start, gradient = torch.randn(2, 24, 18, 3, 3)
        results = []
        for placements in (None, [Shard(0)], [Replicate()]):
            weight, grad = start.clone(), gradient
            if placements is not None:
                weight, grad = (distribute_tensor(x, mesh, placements) for x in (weight, grad))
            weight = torch.nn.Parameter(weight)
            weight.grad = grad
            MuonAdamW([weight], lr=0.01).step()
            results.append(weight.detach() if placements is None else weight.detach().full_tensor())
        torch.testing.assert_close(results[1], results[0])
        torch.testing.assert_close(results[2], results[0])
    finally:
        destroy_process_group()


def test_the_training_tool_trains_and_resumes_with_it(tmp_path: Path) -> None:
    options = ("optim_wrapper.optimizer.type=MuonAdamW", "optim_wrapper.optimizer.thin=4")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    code, text = train_here(whole, options)
    assert code == 0, text
    code, text = train_here(parts, (*options, "default_hooks.checkpoint.keep=0"))
    assert code == 0, text
    for path in parts.glob("iter_1?.pth"):
        path.unlink()
    code, text = train_here(parts, options, resume=True)
    assert code == 0, text
    ends = [torch.load(folder / "iter_16.pth", weights_only=True)["state_dict"] for folder in (whole, parts)]
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=0)
    assert rows(whole)[-1]["loss"] < rows(whole)[0]["loss"]
