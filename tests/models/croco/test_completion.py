"""Cross-view completion: positions, masks, patches, what is and what is not looked at, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError, WeightsError
from perception.models.croco.losses import completion_loss
from perception.models.croco.positions import cosine_table, grid_positions, rotate, rotation
from perception.models.croco.transformer import image_of, masked_tokens, patches_of
from perception.models.croco.weights import convert, load_completion, load_official, model_config
from perception.models.registry import build_model
from tests.parity.case import load_case

TINY = {
    "type": "CroCoCompletion",
    "size": {"enc_dim": 32, "enc_depth": 2, "enc_heads": 2, "dec_dim": 16, "dec_depth": 2, "dec_heads": 2},
    "image_size": [64, 96],
}


def batch(count: int = 2) -> dict:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 255, (count, 3, 64, 96), generator=generator, dtype=torch.uint8)
    return {"image": image, "second": image.roll(-4, -1)}


def test_rotary_scores_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 32, dtype=torch.float64)

    def score(a: tuple[int, int], b: tuple[int, int]) -> float:
        turns = [rotation(torch.tensor([[p]]), 32, 100.0) for p in (a, b)]
        turns = [tuple(t.double() for t in turn) for turn in turns]
        return (rotate(q, turns[0]) * rotate(k, turns[1])).sum().item()

    assert score((0, 0), (0, 0)) == pytest.approx((q * k).sum().item())
    assert score((2, 5), (4, 1)) == pytest.approx(score((7, 6), (9, 2)), abs=1e-5)
    assert abs(score((2, 5), (4, 1)) - score((2, 5), (1, 4))) > 1e-3


def test_grids_and_tables() -> None:
    assert grid_positions(2, 3, torch.device("cpu"))[0].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    table = cosine_table(2, 3, 16)
    assert table.shape == (6, 16) and table[0].tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert torch.equal(table[1, 8:], table[0, 8:]) and table[1, 0] == pytest.approx(math.sin(1))  # columns first
    assert torch.equal(table[3, :8], table[0, :8]) and table[3, 8] == pytest.approx(math.sin(1))


def test_patches_and_masks() -> None:
    image = torch.randn(2, 3, 32, 48)
    patches = patches_of(image)
    assert torch.equal(image_of(patches, (2, 3)), image)
    assert torch.equal(patches[0, 1, :6], image[0, :, 0, 16:18].T.flatten())  # row, column, channel
    mask = masked_tokens(20, 18, 5, image.device)
    assert mask.sum(1).tolist() == [18] * 5 and not torch.equal(mask[0], mask[1])


def test_loss_counts_hidden_patches_alone() -> None:
    target = torch.randn(1, 4, 12)
    mask = torch.tensor([[True, False, True, False]])
    wrong = target + 100 * (~mask)[..., None]
    assert completion_loss(wrong, target, mask, normalise=False) == 0
    assert completion_loss(wrong + 1, target, mask, normalise=False) == pytest.approx(1)
    bright = 5 * target + 3  # normalised targets do not know brightness and contrast
    assert completion_loss(target, bright, mask) == pytest.approx(
        completion_loss(target, target, mask).item(), rel=1e-3
    )


@pytest.mark.parametrize("positions", ["RoPE100", "cosine"])
def test_hidden_pixels_are_never_seen_and_the_second_picture_is(positions: str) -> None:
    torch.manual_seed(0)
    model = build_model({**TINY, "positions": positions}).eval()
    data = batch()
    found = model(**model.inputs(data))
    assert found["mask"].sum(1).tolist() == [21, 21] and torch.equal(found["mask"][0], found["mask"][1])
    hidden = image_of(found["mask"][..., None].expand(-1, -1, 768).float(), (4, 6)) > 0
    changed = torch.where(hidden, 255 - data["image"], data["image"])
    assert torch.equal(model(changed, data["second"])["patches"], found["patches"])
    assert not torch.allclose(model(data["image"], 255 - data["second"])["patches"], found["patches"], atol=1e-4)


def test_learns_and_completes() -> None:
    torch.manual_seed(0)
    model = build_model({**TINY, "mask_ratio": 0.75})
    data, history = batch(), []
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(6):
        loss = sum(model.loss(model(**model.inputs(data)), data).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert min(history[3:]) < history[0]
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    model.eval()
    with torch.no_grad():
        results = model.predict(model(**model.inputs(data)), [None, None])
    assert results[0].image.shape == (64, 96, 3) and results[0].image.dtype == np.uint8
    with pytest.raises(InputError, match="'second'"):
        model.inputs({"image": data["image"]})
    for changes, text in (
        ({"size": "vitx"}, "vitb-small"),
        ({"positions": "sine"}, "'cosine' or 'RoPE'"),
        ({"image_size": [60, 96]}, "multiples of 16"),
        ({"mask_ratio": 1.0}, "between 0 and 1"),
    ):
        with pytest.raises(RecipeError, match=text):
            build_model({**TINY, **changes})


def test_official_weights_are_told_and_start_stereo() -> None:
    from tests.parity.test_parity import CASES

    _, state, _, _ = load_case(CASES / "croco_completion")
    state = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
    config = model_config(state)
    size = {"enc_dim": 384, "enc_depth": 6, "enc_heads": 6, "dec_dim": 256, "dec_depth": 4, "dec_heads": 8}
    assert config == {"type": "CroCoCompletion", "size": size, "positions": "RoPE100"}
    load_official(build_model(config), {"model": state})
    stereo = build_model({"type": "CroCo", "size": size, "tile": [64, 96], "layer_dims": [8, 8, 8, 8], "features": 8})
    head = stereo.head.out.weight.clone()
    load_completion(stereo, state)
    assert torch.equal(stereo.transformer.to_decoder.weight, state["decoder_embed.weight"])
    assert torch.equal(stereo.head.out.weight, head)
    broken = {key: value for key, value in state.items() if key != "enc_norm.bias"}
    with pytest.raises(WeightsError, match=r"encoder_norm\.bias"):
        load_completion(stereo, broken)
    with pytest.raises(WeightsError, match="another model"):
        convert({**state, "enc_blocks.0.attn.gate": torch.zeros(1)})
