"""What every registered model must be able to do, on the tiny configurations of `configs`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.geometry import Pinhole
from perception.models.registry import build_model, list_architectures, model_class
from tests.models.configs import CASES, TESTED_ELSEWHERE, ModelCase

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> ModelCase:
    return CASES[request.param]


def build(case: ModelCase) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(case.config)


def tensors(value, prefix: str = "") -> dict[str, torch.Tensor]:
    """All tensors in nested outputs by their path."""
    if isinstance(value, torch.Tensor):
        return {prefix: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {key: tensor for name, inner in items for key, tensor in tensors(inner, f"{prefix}/{name}").items()}


def test_every_registered_model_has_a_case() -> None:
    registered = {name for name in list_architectures() if model_class(name).__module__.startswith("perception.")}
    missing = registered - {case.config["type"] for case in CASES.values()} - TESTED_ELSEWHERE.keys()
    assert not missing, (
        f"no test builds {', '.join(sorted(missing))}: add a ModelCase with a small configuration and its training batch to CASES in "
        "tests/models/configs.py, or name the file that tests the same in TESTED_ELSEWHERE there"
    )
    for name, file in TESTED_ELSEWHERE.items():
        assert name in registered and (ROOT / file).is_file(), (
            f"TESTED_ELSEWHERE names {name} in {file}, which is not there"
        )


def test_configuration_is_json(case: ModelCase) -> None:
    assert json.loads(json.dumps(case.config)) == case.config


@pytest.mark.parametrize("count", [1, 2])
def test_trains(case: ModelCase, count: int) -> None:
    model = build(case).train()
    for height, width in case.sizes if count == 2 else case.sizes[:1]:
        model.zero_grad()
        batch = case.batch(count, height, width)
        losses = model.loss(model(**model.inputs(batch)), batch)
        assert losses and all(value.shape == () for value in losses.values())
        total = sum(value for name, value in losses.items() if not name.startswith("log_"))
        assert torch.isfinite(total)
        total.backward()
        missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing, missing[:5]  # distributed training hangs on parameters without a gradient
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_batch_does_not_matter_in_evaluation(case: ModelCase) -> None:
    model = build(case).eval()
    batch = case.batch(2, *case.sizes[-1])
    with torch.no_grad():
        both = tensors(model(**model.inputs(batch)))
        one = {key: value[:1] if isinstance(value, torch.Tensor | list) else value for key, value in batch.items()}
        single = tensors(model(**model.inputs(one)))
    assert both.keys() == single.keys()
    for name, value in single.items():
        torch.testing.assert_close(
            value[0], both[name][0], rtol=1e-3, atol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_state_dict_round_trip(case: ModelCase) -> None:
    first, second = build(case).eval(), build_model(case.config).eval()
    second.load_state_dict(first.state_dict(), strict=True)
    batch = case.batch(1, *case.sizes[0])
    with torch.no_grad():
        a, b = tensors(first(**first.inputs(batch))), tensors(second(**second.inputs(batch)))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_predicts_at_the_original_size(case: ModelCase) -> None:
    model = build(case).eval()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (61, 133, 3), dtype=np.uint8)
    if getattr(model, "camera_kind", "pinhole") != "pinhole":
        pytest.skip("no pinhole model")
    prepared = model.preprocess(image, Pinhole.from_fov(133, 61, 70))
    inputs = {name: value[None] for name, value in prepared.inputs.items()}
    with torch.no_grad():
        result = model.predict(model(**inputs), [prepared])[0]
    for part in ("depth", "normals", "segmentation"):
        value = getattr(result, part)
        assert value is None or value.shape == (61, 133), part


def test_exports(case: ModelCase) -> None:
    if not case.export:
        pytest.skip("exported by tests/inference/export in `make test-all`")
    if next(other for other in CASES.values() if other.export and other.config["type"] == case.config["type"]) != case:
        pytest.skip(
            "another of its type is exported here, and all of them by tests/inference/export in `make test-all`"
        )
    model = build(case).eval()
    inputs = {k: v for k, v in model.inputs(case.batch(1, *case.sizes[0])).items() if v is not None}
    with torch.no_grad():
        expected = tensors(model(**inputs))
        program = torch.export.export(model, (), inputs)
        actual = tensors(program.module()(**inputs))
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-4, atol=1e-4)
