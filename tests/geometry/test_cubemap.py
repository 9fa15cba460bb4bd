"""Cube maps: neighbours really are neighbours, and nothing is lost on the way there and back."""

from __future__ import annotations

import pytest
import torch

from perception.errors import InputError
from perception.geometry.cubemap import (
    FACES,
    cube_position,
    cube_to_equirectangular,
    equirectangular_to_cube,
    face_rays,
    pad_cube,
    sample_cube,
)
from perception.geometry.sphere import equirectangular_directions

CPU = torch.device("cpu")


def test_padding_continues_the_sphere() -> None:
    """A strip from the neighbour holds the directions beyond the border: those of a plane that goes on, to within the bend at the edge."""
    side = 64
    rays = face_rays(side, dtype=torch.float64).permute(0, 3, 1, 2)[None]  # (1, 6, 3, h, h)
    padded = pad_cube(rays, 2)
    across = torch.linalg.vector_norm(padded.diff(dim=-1), dim=2)[..., 2:-2, :]
    down = torch.linalg.vector_norm(padded.diff(dim=-2), dim=2)[..., 2:-2]
    step = 2 / side
    assert (
        across.max() < 1.01 * step and down.max() < 1.01 * step
    )  # neighbours are never farther than in the middle of a face
    assert across.min() > 0.3 * step


def test_pads_of_several_widths_agree_and_images_do_not_mix() -> None:
    faces = torch.rand(3, 6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    for pad in (1, 2, 3):
        inner = pad_cube(faces, pad)
        assert torch.equal(inner[..., pad:-pad, pad:-pad], faces)
        assert torch.equal(inner[1], pad_cube(faces[1:2], pad)[0])
        empty = pad_cube(faces, pad, corners=False)
        assert empty[..., :pad, :pad].eq(0).all() and torch.equal(empty[..., pad:-pad], inner[..., pad:-pad])
    wide, narrow = pad_cube(faces, 3), pad_cube(faces, 1)
    assert torch.equal(wide[..., 2:-2, 3:-3], narrow[..., 1:-1])


@pytest.mark.parametrize("corners", [True, False])
def test_padding_in_training_is_the_same_and_its_gradient_is_that_of_a_copy(corners: bool) -> None:
    """Training pads by strips: same values, and each pixel's gradient is the sum over its copies."""
    generator = torch.Generator().manual_seed(0)
    faces = torch.rand(2, 6, 3, 8, 8, generator=generator, dtype=torch.float64)
    watched = faces.clone().requires_grad_()
    padded = pad_cube(watched, 2, corners)
    assert torch.equal(padded, pad_cube(faces, 2, corners))
    weight = torch.rand(padded.shape, generator=generator, dtype=torch.float64)
    (padded * weight).sum().backward()
    numbers = torch.arange(1, 385, dtype=torch.float64).view(1, 6, 1, 8, 8)
    copies = pad_cube(numbers, 2, corners).long().view(-1)  # which pixel each padded one copies; 0: none
    expected = torch.zeros(385, 2, 3, dtype=torch.float64)
    expected.index_add_(0, copies, weight.permute(1, 3, 4, 0, 2).reshape(-1, 2, 3))
    assert torch.allclose(watched.grad, expected[1:].view(6, 8, 8, 2, 3).permute(3, 0, 4, 1, 2))


def test_there_and_back() -> None:
    size = (64, 128)
    x, y, z = equirectangular_directions(*size, CPU, torch.float64).unbind(-1)
    image = (torch.sin(3 * x + 1) + torch.cos(4 * y) * z)[None, None]
    cube = equirectangular_to_cube(image, 48)
    assert cube.shape == (1, 6, 1, 48, 48)
    assert (cube_to_equirectangular(cube, size) - image).abs().max() < 0.02


def test_every_direction_has_its_face_and_place() -> None:
    rays = face_rays(5, dtype=torch.float64)
    u, v, face = cube_position(rays)
    at = (torch.arange(5) + 0.5) / 5 * 2 - 1
    for number in range(len(FACES)):
        assert face[number].eq(number).all()
        assert torch.allclose(u[number], at.double().expand(5, 5)) and torch.allclose(
            v[number], at.double()[:, None].expand(5, 5)
        )


def test_lookup_is_differentiable() -> None:
    faces = torch.rand(2, 6, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    rays = torch.randn(2, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    assert torch.autograd.gradcheck(sample_cube, (faces, rays))


def test_says_what_is_wrong() -> None:
    with pytest.raises(InputError, match=r"\(B, 6, C, h, h\)"):
        pad_cube(torch.zeros(1, 5, 1, 4, 4), 1)
    with pytest.raises(InputError, match="at most one face"):
        pad_cube(torch.zeros(1, 6, 1, 4, 4), 5)
