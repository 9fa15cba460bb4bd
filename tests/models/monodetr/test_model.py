"""The network's life: train, predict, odd sizes, empty pictures, wrong arguments."""

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError
from perception.geometry import Pinhole
from perception.models.preprocess import Prepared


def test_training_reaches_every_trainable_weight(tiny, batch):
    model = tiny().train()
    losses = model.loss(model(**model.inputs(batch)), batch)
    assert set(losses) >= {
        "loss_class",
        "loss_centre",
        "loss_depth",
        "loss_depth_map",
        "loss_class_0",
        "loss_heading_0",
    }
    sum(losses.values()).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_pictures_without_objects_train(tiny, batch):
    model = tiny().train()
    empty = {**batch, "boxes3d": [b[:0] for b in batch["boxes3d"]], "labels3d": [x[:0] for x in batch["labels3d"]]}
    losses = model.loss(model(**model.inputs(empty)), empty)
    assert all(v.isfinite() for v in losses.values())
    assert losses["loss_centre"] == 0 and losses["loss_class"] > 0
    sum(losses.values()).backward()


def test_group_zero_of_training_equals_inference(tiny, batch):
    model = tiny(dropout=0.0).eval()
    inputs = model.inputs(batch)
    with torch.no_grad():
        calm, groups = model(**inputs), model.train()(**inputs)
    assert groups["logits"].shape[1] == 18
    for name in ("logits", "boxes", "depths", "headings"):
        torch.testing.assert_close(groups[name][:, :6], calm[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(64, 128), (70, 101), (33, 47), (32, 32)])
def test_any_input_size_and_batch_one(tiny, size):
    model = tiny().eval()
    image = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    out = model(image, torch.tensor([80.0]), torch.tensor([float(size[0])]))
    assert out["logits"].shape == (1, 6, 3) and all(v.isfinite().all() for v in out.values())
    assert out["depth_map"].shape[1:] == (-(-size[0] // 16), -(-size[1] // 16))


def test_batches_do_not_mix(tiny, batch):
    model = tiny().eval()
    inputs = model.inputs(batch)
    with torch.no_grad():
        both, one = model(**inputs), model(**{k: v[1:] for k, v in inputs.items()})
    torch.testing.assert_close(both["boxes"][1:], one["boxes"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("width,height", [(1242, 375), (640, 480), (30, 200), (1, 1), (500, 3)])
def test_any_picture_gives_a_prediction(tiny, width, height):
    model = tiny(score_threshold=0.0).eval()
    prepared = model.preprocess(np.zeros((height, width, 3), np.uint8), Pinhole.default(width, height))
    assert isinstance(prepared, Prepared)
    with torch.no_grad():
        outputs = model(**{k: v[None] for k, v in prepared.inputs.items()})
    (prediction,) = model.predict(outputs, [prepared])
    assert prediction.boxes3d.camera.size == (width, height)
    assert prediction.depth.shape == (height, width)


def test_pictures_of_different_sizes_predict_but_do_not_train(tiny, batch):
    model = tiny(score_threshold=0.0).eval()
    mixed = {"image": [batch["image"][0], batch["image"][1][:, :40]], "intrinsics": batch["intrinsics"]}
    cameras = [Pinhole(100.0, 100.0, 64.0, 32.0, 128, h) for h in (64, 40)]
    with torch.no_grad():
        outputs = model(**model.inputs(mixed))
    results = model.predict(outputs, cameras, [(64, 128), (40, 128)])
    assert [r.boxes3d.camera.height for r in results] == [64, 40]
    with pytest.raises(InputError, match="one size"):
        model.loss(outputs, {**batch, **mixed})


def test_a_few_steps_learn_one_picture(tiny, batch, camera):
    """Optimised on one picture, the best detections are the picture's objects."""
    torch.manual_seed(0)
    one = {k: v[:1] for k, v in batch.items()}
    model = tiny(query_groups=2, dropout=0.0, decoder_layers=1, num_queries=4).train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    first = None
    for _ in range(60):
        losses = model.loss(model(**model.inputs(one)), one)
        total = sum(losses.values())
        first = first or total.item()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert total.item() < first / 4
    with torch.no_grad():
        outputs = model.eval()(**model.inputs(one))
    (found,) = model.predict(outputs, [camera], [(64, 128)])
    found = found.boxes3d
    assert sorted(found.labels[:2].tolist()) == [0, 1]
    for i in range(2):
        truth = one["boxes3d"][0][one["labels3d"][0].tolist().index(int(found.labels[i]))].numpy()
        assert np.abs(found.boxes[i, :3] - truth[:3]).max() < 2.0
        assert abs((found.boxes[i, 6] - truth[6] + np.pi) % (2 * np.pi) - np.pi) < 0.3


def test_virtual_focal_makes_depth_follow_the_lens(tiny, batch):
    """The same pixels under a lens twice as long show objects twice as far."""
    model = tiny(virtual_focal=100.0, score_threshold=0.0).eval()
    near, far = (Pinhole(f, f, 64.0, 32.0, 128, 64) for f in (100.0, 200.0))
    with torch.no_grad():
        outputs = model(**model.inputs(batch))
    a, b = (model.predict(outputs, [c, c], [(64, 128)] * 2)[0].boxes3d for c in (near, far))
    np.testing.assert_allclose(b.boxes[:, 2], 2 * a.boxes[:, 2], rtol=1e-5)
    np.testing.assert_allclose(b.boxes[:, 0], a.boxes[:, 0], rtol=1e-4, atol=1e-5)


def test_wrong_arguments_name_the_fix(tiny, batch, camera):
    with pytest.raises(RecipeError, match="convention"):
        tiny(convention="right")
    with pytest.raises(RecipeError, match="heading"):
        tiny(loss_weights={"headding": 1.0})
    with pytest.raises(RecipeError, match="levels"):
        tiny(levels=2)
    model = tiny().eval()
    with pytest.raises(InputError, match="camera is for"):
        model.preprocess(np.zeros((10, 10, 3), np.uint8), camera)
    with pytest.raises(InputError, match="uint8"):
        model.preprocess(np.zeros((10, 10), np.uint8), camera)


def test_other_backbones(batch):
    from perception.models.registry import build_model
    from tests.models.monodetr.conftest import TINY

    for name in ("mobilenetv3_small_050", "resnet18"):
        model = build_model({**TINY, "backbone": name}).eval()
        with torch.no_grad():
            assert model(**model.inputs(batch))["boxes"].shape == (2, 6, 6)
