"""Depth and motion from 360-degree video: the warp is right where the official one is not, and the losses can only be small for the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError
from perception.evaluation.motion import motion_errors, summarise
from perception.geometry import Equirectangular
from perception.geometry.cubemap import FACES
from perception.geometry.sphere import equirectangular_directions
from perception.models.registry import build_model
from perception.models.video360 import losses
from perception.models.video360.network import CubeConv, CubeDepthNet, CubePoseNet, normal_flow
from perception.models.video360.view_synthesis import rotation_from_axis_angle, warp_panorama

CPU = torch.device("cpu")
SIZE = (64, 128)
TINY = dict(size=(64, 128), face=32, widths=(8, 8, 16, 16, 16), pose_widths=(8, 8, 16, 16, 16), scales=2)


def box(rays: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Range (...) along (..., 3) in a box of +-(3, 1.5, 4) m around the origin, seen from `centre`."""
    half = torch.tensor([3.0, 1.5, 4.0], dtype=rays.dtype)
    safe = torch.where(rays.abs() < 1e-9, 1e-9, rays)
    wall = (half * safe.sign() - centre) / safe
    return wall.amin(-1)


def painted(points: torch.Tensor) -> torch.Tensor:
    """Colour (1, 3, ...) of places in the box."""
    x, y, z = points.unbind(-1)
    return (0.5 + 0.4 * torch.stack([torch.sin(2 * x + z), torch.cos(1.5 * z - y), torch.sin(2 * y + x)]))[None]


def view(centre: torch.Tensor, rotation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture (1, 3, H, W) and range (1, 1, H, W) from `centre`; `rotation` box <- camera."""
    rays = equirectangular_directions(*SIZE, CPU, torch.float64) @ rotation.T
    distance = box(rays, centre)
    return painted(centre + rays * distance[..., None]), distance[None, None]


def scene() -> tuple[torch.Tensor, ...]:
    turn = rotation_from_axis_angle(torch.tensor([0.02, 0.1, -0.03], dtype=torch.float64))
    start = torch.tensor([0.2, 0.1, -0.5], dtype=torch.float64)
    move = torch.tensor([0.15, -0.05, 0.2], dtype=torch.float64)
    reference, depth = view(start, torch.eye(3, dtype=torch.float64))
    target, _ = view(start + move, turn)
    return reference, depth, target, turn.T[None], -(turn.T @ move)[None]


def test_the_true_depth_and_motion_explain_the_picture_everywhere() -> None:
    reference, depth, target, rotation, translation = scene()
    error = (warp_panorama(target, depth, rotation, translation) - reference).abs().mean(1)[0]
    assert error.mean() < 0.01
    assert error[:, [0, -1]].mean() < 0.015 and error[[0, -1]].mean() < 0.03  # seam and poles like anywhere else
    official = (warp_panorama(target, depth, rotation, translation, "official") - reference).abs().mean(1)[0]
    assert official.mean() > 2 * error.mean()
    assert official[[0, -1]].mean() > 3 * error[[0, -1]].mean()  # its latitudes end at 81.9 degrees
    with pytest.raises(InputError, match="found 'new'"):
        warp_panorama(target, depth, rotation, translation, "new")


def test_wrong_depth_and_wrong_motion_cost() -> None:
    reference, depth, target, rotation, translation = scene()

    def cost(d: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> float:
        return losses.photometric_loss(reference, warp_panorama(target, d, r, t)).item()

    truth = cost(depth, rotation, translation)
    assert truth < 0.5 * cost(1.5 * depth, rotation, translation)
    assert truth < 0.5 * cost(depth, rotation, -translation)
    assert truth < 0.5 * cost(depth, rotation.mT, translation)


def test_rotations() -> None:
    vector = torch.tensor([[0.0, 0.0, 0.0], [1e-6, 0, 0], [0.3, -0.2, 0.5], [3.0, 0.1, 0.0]], dtype=torch.float64)
    skew = torch.zeros(4, 3, 3, dtype=torch.float64)
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -vector[:, 2], vector[:, 1], -vector[:, 0]
    expected = torch.linalg.matrix_exp(skew - skew.mT)
    assert torch.allclose(rotation_from_axis_angle(vector), expected, atol=1e-12)
    zero = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    rotation_from_axis_angle(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_losses_cross_the_seam_or_do_not() -> None:
    depth = torch.ones(1, 1, 8, 16)
    depth[..., 8:] = 2
    assert losses.smoothness_loss(depth, wrap=True) > losses.smoothness_loss(depth, wrap=False)
    picture = torch.zeros(1, 3, 16, 32)
    picture[..., 16:] = 1
    assert losses.contrast(picture)[..., 0].min() > 0.1 > losses.contrast(picture, wrap=False)[..., 0].max()
    same = torch.ones(2, 6, 3)
    assert losses.pose_consistency_loss(same, same) < 1e-4
    assert losses.pose_consistency_loss(same, torch.randn(2, 6, 3)) > 0.3
    assert losses.explainability_loss(torch.ones(1, 2, 4, 4)) == 0


def test_faces_agree_in_the_common_frame() -> None:
    """A face that answers in its own axes is turned into the panorama's: forward of the front face is z, of the left one -x."""
    net = CubePoseNet(1, (8, 8), masks=0)
    torch.nn.init.zeros_(net.motion.weight)
    with torch.no_grad():
        net.motion.bias.copy_(torch.tensor([0, 0, 0, 0, 0, 100.0]))
        motions, _ = net(torch.rand(6, 6, 16, 16))
    expected = {
        "front": [0, 0, 1],
        "left": [-1, 0, 0],
        "right": [1, 0, 0],
        "back": [0, 0, -1],
        "top": [0, -1, 0],
        "down": [0, 1, 0],
    }
    for index, name in enumerate(FACES):
        assert motions[0, index, 0, 3:].tolist() == pytest.approx(expected[name], abs=1e-6)


def test_the_normal_flow_is_how_far_the_picture_moved() -> None:
    generator = torch.Generator().manual_seed(0)
    waves = torch.rand(12, 4, generator=generator) * torch.tensor([0.5, 0.5, 6.0, 1.0]) - torch.tensor(
        [0.25, 0.25, 0, 0]
    )
    v, u = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")

    def picture(across: float, down: float) -> torch.Tensor:
        a, b, phase, size = (column[:, None, None] for column in waves.unbind(1))
        return (
            (size * torch.sin(2 * math.pi * (a * (u - across) + b * (v - down)) / 2 + phase))
            .sum(0)
            .expand(1, 3, 32, 32)
        )

    faces = torch.cat([picture(0, 0), picture(0.7, -0.4), picture(-0.3, 0.2)], 1)
    flow = normal_flow(faces, 2)[0, :, 4:-4, 4:-4].mean((1, 2))
    assert flow.tolist() == pytest.approx([0.7, -0.3, -0.4, 0.2], abs=0.2)
    assert (flow.sign() == torch.tensor([1, -1, -1, 1])).all()
    assert normal_flow(torch.zeros(2, 9, 16, 16), 2).abs().max() == 0  # no texture, no motion


def test_the_latitude_tells_floor_from_ceiling() -> None:
    """Flat faces without texture: only with the latitude can the range depend on where one looks."""
    torch.manual_seed(0)
    flat = torch.zeros(6, 3, 32, 32)
    plain, upright = (CubeDepthNet((8, 8), 1, padding="cube", latitude=on) for on in (False, True))
    with torch.no_grad():
        same, found = plain(flat)[0], upright(flat)[0]
    assert same.std() < 1e-4 * same.mean() and found.std() > 1e-2 * found.mean()
    down, top = (found[FACES.index(name)] for name in ("down", "top"))
    assert (down.mean() - top.mean()).abs() > 1e-2 * found.mean()


def test_cube_padding_leaves_no_border() -> None:
    torch.manual_seed(0)
    faces = torch.ones(6, 2, 8, 8)
    assert (
        CubeConv(2, 3, norm=False)(faces) - CubeConv(2, 3, norm=False)(faces)[..., :1, :1]
    ).abs().max() > 0  # other weights
    layer, zeros = CubeConv(2, 3, norm=False), CubeConv(2, 3, norm=False, padding="zeros")
    flat = layer(faces)
    assert torch.allclose(flat, flat[..., 4:5, 4:5].expand_as(flat), atol=1e-6)
    bordered = zeros(faces)
    assert not torch.allclose(bordered, bordered[..., 4:5, 4:5].expand_as(bordered), atol=1e-3)
    with pytest.raises(RecipeError, match="one of 'cube', 'zeros'"):
        CubeConv(2, 3, padding="reflect")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pose_scale": 0.1, "latitude": True, "pose_flow": True},
        {"photometric": "contrast", "explainability": False},
        {"convention": "official", "padding": "zeros"},
    ],
    ids=str,
)
def test_learns_from_frames_alone(changes: dict) -> None:
    torch.manual_seed(0)
    model = build_model({"type": "Video360", **TINY, **changes})
    reference, _, target, _, _ = scene()
    picture, other = (255 * value.float() for value in (reference, target))
    batch = {"image": picture.repeat(2, 1, 1, 1), "neighbours": torch.stack([other, picture], 1).repeat(2, 1, 1, 1, 1)}
    batch["neighbour_from_camera"] = torch.eye(4).repeat(2, 2, 1, 1)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    history = []
    for _ in range(6):
        found = model.loss(model(**model.inputs(batch)), batch)
        assert found.pop("log_rotation_degrees") < 5  # starts near standing still
        total = sum(found.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(total.item())
    assert all(map(math.isfinite, history)) and min(history[3:]) < history[0]
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert not unused
    model.eval()
    image = np.random.default_rng(0).integers(0, 255, (40, 80, 3), dtype=np.uint8)
    prepared = model.preprocess(image, Equirectangular(80, 40))
    with torch.no_grad():
        result = model.predict(model(prepared.inputs["image"][None]), [prepared])[0]
    assert result.depth.shape == (40, 80) and "not metric" in result.notes[0]
    with pytest.raises(InputError, match="neighbours"):
        model.loss(model(batch["image"]), {"image": batch["image"]})


def test_motion_errors() -> None:
    truth = np.eye(4)[None].repeat(2, 0)
    truth[:, :3, 3] = [0, 0, 1]
    predicted = truth.copy()
    angle = math.radians(2)
    predicted[0, :3, :3] = [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    predicted[1, :3, 3] = [0.5, 0, 0.5]
    errors = motion_errors(predicted, truth)
    assert errors["rotation"] == pytest.approx([2, 0], abs=1e-9)
    assert errors["direction"] == pytest.approx([0, 45], abs=1e-9)
    assert summarise(errors)["rotation_mean"] == pytest.approx(1)


def test_motions_reach_the_recipes_evaluator() -> None:
    """What `predict` returns for a batch of video is what `MotionEvaluator` judges; single panoramas have no motion."""
    from perception.evaluation.registry import build_evaluator

    torch.manual_seed(0)
    model = build_model({"type": "Video360", **TINY}).eval()
    image = torch.randint(0, 255, (2, 3, *SIZE), dtype=torch.uint8)
    outputs = model(image, torch.stack([image, image], 1))
    found = model.predict(outputs, [None, None], [SIZE, SIZE])
    motion = found[1].motion
    assert motion.shape == (2, 6) and found[1].summary()["motion"] == motion.tolist()
    assert np.allclose(motion, outputs["motion"][1].detach().numpy())
    truth = torch.eye(4).repeat(2, 2, 1, 1)
    truth[..., :3, 3] = outputs["motion"].detach()[..., 3:] * 3
    truth[..., :3, :3] = rotation_from_axis_angle(outputs["motion"].detach()[..., :3] + torch.tensor([0, 0.02, 0]))
    evaluator = build_evaluator({"type": "MotionEvaluator"})
    evaluator.update(found, {"neighbour_from_camera": truth, "meta": [{"index": 0}, {"index": 1}]})
    got = evaluator.compute()
    assert got["rotation_mean"] == pytest.approx(math.degrees(0.02), rel=1e-2)
    assert got["translation_mean"] == pytest.approx(0, abs=1e-6)
    assert model.predict(model(image), [None, None], [SIZE, SIZE])[0].motion is None
