"""What every recipe may switch on: mixed precision, accumulation, averaging, channels-last memory, compilation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perception.engine.guard import FiniteGuard
from perception.engine.optim import GuardedOptimWrapper
from perception.engine.recipe import load_recipe
from perception.engine.schema import check_recipe
from perception.engine.wrapper import TrainingModel, train_step
from perception.errors import TrainingError
from perception.models.registry import build_model
from tests.engine.helpers import ROOT, curve, differences, train_here
from tests.models.configs import CASES

PLAIN = ("model.dropout=0", "batch_transform=[]", "param_scheduler=[]", "val_dataloader=None", "val_evaluator=None")
RECIPES = sorted(path for path in (ROOT / "models").rglob("*.py") if "_base_" not in path.parts)


def state_of(folder: Path, iteration: int) -> dict:
    return torch.load(folder / f"iter_{iteration}.pth", weights_only=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    code, text = train_here(folder, (*PLAIN, "train_cfg.max_iters=8"))
    assert code == 0, text
    return folder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_takes_every_option(path: Path) -> None:
    options = ["amp=float16", "ema.decay=0.99", "channels_last=True", "compile.backend=eager", "non_finite=skip"]
    options += ["optim_wrapper.accumulative_counts=2", "strategy=fsdp2", "train_dataloader.skip_bad=True"]
    check_recipe(load_recipe(path, options))


def test_accumulation_equals_the_larger_batch(plain: Path, tmp_path: Path) -> None:
    options = ("train_cfg.max_iters=16", "train_dataloader.batch_size=2", "optim_wrapper.accumulative_counts=2")
    code, text = train_here(tmp_path, (*PLAIN, *options))
    assert code == 0, text
    one, two = state_of(plain, 8), state_of(tmp_path, 16)
    assert two["meta"]["position"] == one["meta"]["position"]
    for key in ("state_dict", "ema_state_dict"):  # the average follows steps, not iterations
        for name, value in one[key].items():
            torch.testing.assert_close(two[key][name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("option", ["channels_last=True", "compile.backend=eager"])
def test_memory_format_and_compilation_do_not_change_what_is_learnt(plain: Path, tmp_path: Path, option: str) -> None:
    code, text = train_here(tmp_path, (*PLAIN, "train_cfg.max_iters=8", option))
    assert code == 0, text
    for name, value in state_of(plain, 8)["state_dict"].items():
        torch.testing.assert_close(state_of(tmp_path, 8)["state_dict"][name], value, rtol=1e-4, atol=1e-6)


def test_the_average_is_what_is_validated_and_published(plain: Path, tmp_path: Path) -> None:
    code, text = train_here(tmp_path, (*PLAIN, "train_cfg.max_iters=8", "ema=False"))
    assert code == 0, text
    without, with_average = state_of(tmp_path, 8), state_of(plain, 8)
    assert "ema_state_dict" not in without and curve(tmp_path) == curve(plain)
    assert differences(without["state_dict"], with_average["state_dict"]) == [], "averaging leaves the training alone"
    assert differences(with_average["state_dict"], with_average["ema_state_dict"]) != []


def test_amp_on_a_cpu_falls_back_with_a_warning(plain: Path, tmp_path: Path) -> None:
    code, text = train_here(tmp_path, (*PLAIN, "train_cfg.max_iters=8"), amp=True)
    assert code == 0, text
    if not torch.cuda.is_available():
        assert "mixed precision needs a GPU" in text and curve(tmp_path) == curve(plain)


@pytest.mark.parametrize("name", CASES)
def test_every_model_trains_in_bfloat16(name: str) -> None:
    """Autocast around the network, losses in float32: finite, near the float32 losses, and gradients for all parameters."""
    case = CASES[name]
    torch.manual_seed(0)
    model = TrainingModel(
        build_model(case.config)
    ).eval()  # without dropout, so that the two precisions can be compared
    batch = case.batch(2, *case.sizes[0])
    with torch.no_grad():
        exact = {key: float(value) for key, value in model(batch).items()}
    model.amp_dtype = torch.bfloat16
    losses = model(batch)
    assert losses.keys() == exact.keys()
    total, known = sum(losses.values()), sum(exact.values())
    assert total.dtype == torch.float32 and float(total) == pytest.approx(known, rel=0.15)
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def scaled_step(value: float, scaler: bool = True) -> tuple[GuardedOptimWrapper, torch.nn.Parameter, bool]:
    """One step on a parameter whose gradient is `value`."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    wrapper = GuardedOptimWrapper(torch.optim.SGD([parameter], lr=1.0))
    wrapper.guard = FiniteGuard("stop")
    if scaler:
        wrapper.use_loss_scaling("cpu")
    loss = (parameter * value).sum()
    wrapper.guarded_update({"loss": loss.detach()}, loss, ["picture"], 0)
    return wrapper, parameter, wrapper.stepped


def test_float16_loss_scaling_leaves_out_steps_that_overflow() -> None:
    wrapper, parameter, _ = scaled_step(2.0)
    assert parameter.item() == -2.0, "the step is unscaled before it is made"
    wrapper, parameter, _ = scaled_step(1e38)  # times the scale it is infinite
    assert parameter.item() == 0.0 and wrapper.scaler.get_scale() < 2.0**16, "left out, and the scale is lowered"
    other = GuardedOptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0))
    other.use_loss_scaling("cpu")
    other.load_state_dict(wrapper.state_dict())
    assert other.scaler.get_scale() == wrapper.scaler.get_scale(), "the scale is part of a checkpoint"


def test_an_infinite_gradient_stops_the_run_before_the_step() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    wrapper = GuardedOptimWrapper(torch.optim.SGD([parameter], lr=1.0))
    loss = torch.sqrt(parameter).sum()  # finite loss, infinite gradient
    with pytest.raises(TrainingError, match=r"gradient is not finite at iteration 4 on the batch \[a, b\]"):
        wrapper.guarded_update({"loss": loss.detach()}, loss, ["a", "b"], 3)
    assert parameter.item() == 0.0


def test_train_step_shows_losses_and_the_gradient(tmp_path: Path) -> None:
    case = CASES["dpt"]
    model = TrainingModel(build_model(case.config))
    wrapper = GuardedOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01), clip_grad={"max_norm": 1.0})
    wrapper.initialize_count_status(model, 0, 1)
    shown = train_step(model, case.batch(2, *case.sizes[0]), wrapper, 0)
    assert float(shown["grad_norm"]) > 0
    parts = [float(value) for name, value in shown.items() if name.startswith("loss_")]
    assert float(shown["loss"]) == pytest.approx(sum(parts), rel=1e-5)
