"""Tangent images: the round trip, the seam, rolling, holes, and the operator's gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.geometry.sphere import equirectangular_directions, sample_sphere, solid_angles
from perception.geometry.tangent import RINGS, TangentLayout, rings_of
from perception.geometry.tangent_merge import gather_tables, merge_operator

FOV = {3: 125, 4: 80, 5: 66, 6: 52}
CPU = torch.device("cpu")


def direction_field(size: tuple[int, int]) -> torch.Tensor:
    """(1, 3, H, W) float64 unit directions of a panorama."""
    return equirectangular_directions(*size, CPU, torch.float64).permute(2, 0, 1)[None]


def angles_between(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Degrees between (1, 3, H, W) directions."""
    return torch.rad2deg(2 * torch.asin((a / a.norm(dim=1, keepdim=True) - b).norm(dim=1) / 2))


def smooth(size: tuple[int, int]) -> torch.Tensor:
    """A smooth picture on the sphere, (1, 1, H, W)."""
    x, y, z = equirectangular_directions(*size, CPU, torch.float64).unbind(-1)
    return (torch.sin(3 * x + 1) + torch.cos(4 * y) * z + 0.5 * torch.sin(5 * z * x))[None, None]


@pytest.mark.parametrize("rings", RINGS)
@pytest.mark.parametrize("mode", ["average", "feathered"])
def test_a_direction_field_comes_back(rings: int, mode: str) -> None:
    size, layout = (128, 256), TangentLayout(rings, FOV[rings])
    field = direction_field(size)
    error = angles_between(layout.merge(layout.sample(field, (96, 96)), size, mode), field)
    assert error.mean() < 0.02
    assert error.max() < 0.3


def test_the_figures_of_the_issue() -> None:
    size = (256, 512)
    field = direction_field(size)
    consistent, official = TangentLayout(4, 70), TangentLayout(4, 80, "official")
    ours = angles_between(consistent.merge(consistent.sample(field, (128, 128)), size), field)
    assert ours.mean() < 0.005
    # The official grid of a panorama includes both ends, so its directions are others.
    lon, lat = np.meshgrid(np.linspace(-math.pi, math.pi, 512), np.linspace(math.pi / 2, -math.pi / 2, 256))
    rays = np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)])[None]
    theirs = torch.from_numpy(rays)
    error = angles_between(official.merge(official.sample(theirs, (128, 128)), size), theirs)
    assert error.mean() == pytest.approx(0.293, abs=0.002)  # the flaw that the released weights were trained with
    assert error.max() == pytest.approx(0.537, abs=0.01)


def test_non_square_patches_and_odd_sizes() -> None:
    size, layout = (75, 151), TangentLayout(4, (78, 86))
    field = direction_field(size)
    cut = layout.sample(field, (63, 81))
    assert cut.shape == (1, 18, 3, 63, 81) and torch.isfinite(cut).all()
    assert angles_between(layout.merge(cut, size, "feathered"), field).mean() < 0.02
    odd = TangentLayout(4, 80, "official").rays((33, 33))
    assert torch.isfinite(odd).all() and torch.allclose(odd.norm(dim=-1), torch.ones(()))


def test_patches_are_pinhole_pictures() -> None:
    layout, patch = TangentLayout(4, (70, 84)), (24, 32)
    local = torch.from_numpy(layout.camera(patch).rays(unit=True).copy()).double()
    turned = torch.einsum("nij,hwj->nhwi", torch.from_numpy(layout.rotations()), local)
    assert torch.allclose(turned, layout.rays(patch, dtype=torch.float64), atol=1e-6)
    assert layout.true_fov == pytest.approx((70, 84))
    assert TangentLayout(4, 80, "official").true_fov[0] == pytest.approx(69.84, abs=0.01)


@pytest.mark.parametrize("rings", RINGS)
def test_rolling_the_panorama_rolls_the_result(rings: int) -> None:
    layout, size, patch = TangentLayout(rings, FOV[rings]), (96, 192), (64, 64)
    image = smooth(size)

    def there_and_back(panorama: torch.Tensor) -> torch.Tensor:
        return layout.merge(layout.sample(panorama, patch), size, "feathered")

    if rings == 4:  # a third of a turn maps every ring onto itself
        whole = there_and_back(image.roll(64, -1))
        assert torch.allclose(whole, there_and_back(image).roll(64, -1), atol=1e-6)
    any_turn = there_and_back(image.roll(37, -1)) - there_and_back(image).roll(37, -1)
    assert any_turn.abs().max() < 8e-3  # of values within +-2.5


def test_no_seam() -> None:
    size = (64, 128)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, *size, generator=generator, dtype=torch.float64)
    layout = TangentLayout(4, 80)
    result = layout.merge(layout.sample(image, (96, 96)), size, "average")
    error = (result - image).abs()[0, 0]
    assert error[:, [0, -1]].mean() < 1.5 * error.mean()  # noise is blurred at the seam as much as elsewhere
    turned = image.roll(64, -1)
    moved = layout.merge(layout.sample(turned, (96, 96)), size, "average").roll(-64, -1)
    assert (moved - result).abs()[..., [0, -1]].mean() < 1.5 * (moved - result).abs().mean()


def test_lookup_crosses_seam_and_poles() -> None:
    image = smooth((64, 128))
    rays = direction_field((50, 91))[0].permute(1, 2, 0)
    x, y, z = rays.unbind(-1)
    expected = torch.sin(3 * x + 1) + torch.cos(4 * y) * z + 0.5 * torch.sin(5 * z * x)
    assert (sample_sphere(image, rays)[0, 0] - expected).abs().max() < 0.01
    assert solid_angles(33, 64, CPU).sum() * 64 == pytest.approx(4 * math.pi, rel=1e-6)


def test_rings_of_ones_own() -> None:
    size, layout = (64, 128), TangentLayout(((3, 60), (8, 0), (3, -60)), 95)
    assert layout.patches == 14
    field = direction_field(size)
    assert angles_between(layout.merge(layout.sample(field, (96, 96)), size, "feathered"), field).mean() < 0.02
    for rings, convention in ((((0, 10),), "consistent"), (((3, 95),), "consistent"), (((3, 0),), "official")):
        with pytest.raises(InputError, match="own rings"):
            TangentLayout(rings, 80, convention)


def test_holes_are_refused_with_the_angle_that_has_none() -> None:
    size, patch = (128, 256), (64, 64)
    for convention in ("official", "consistent"):
        layout = TangentLayout(4, 60, convention)
        with pytest.raises(InputError, match=r"use fov=\d+") as caught:
            layout.merge(torch.zeros(1, 18, 1, *patch), size)
        smallest = layout.smallest_fov(patch, size)
        assert f"fov={smallest[0]:g}" in str(caught.value)
        TangentLayout(4, smallest, convention).check(patch, size)
        assert TangentLayout(4, smallest, convention).coverage(patch, size).min() > 0.99
        tighter = TangentLayout(4, (smallest[0] - 1, smallest[1] - 1), convention)
        assert tighter.coverage(patch, size).min() == 0
    assert TangentLayout(3, 80, "official").coverage(patch, size).eq(0).double().mean() == pytest.approx(
        0.097, abs=2e-3
    )
    # Measured with the official code in steps of 2 degrees.
    for rings, fov in {3: 116, 4: 74, 5: 58, 6: 44}.items():
        assert fov - 2.2 < TangentLayout(rings, 80, "official").smallest_fov(patch, size)[0] < fov + 0.2


def test_feathering_hides_the_borders_of_patches() -> None:
    size, patch = (256, 512), (48, 48)
    layout = TangentLayout(4, 80)
    # Each patch has its own level: plain averaging jumps at every border, feathering does not.
    levels = torch.rand(1, 18, 1, 1, 1, generator=torch.Generator().manual_seed(1)).expand(-1, -1, -1, *patch)
    jumps = {}
    for mode in ("average", "feathered"):
        merged = layout.merge(levels.contiguous(), size, mode)[0, 0]
        jumps[mode] = (merged[64:192] - merged[64:192].roll(1, -1)).abs().max()
    assert jumps["feathered"] < 0.2 * jumps["average"]


def test_confidence_decides() -> None:
    size, patch = (32, 64), (32, 32)
    layout = TangentLayout(4, 80)
    values = torch.arange(18.0).view(1, 18, 1, 1, 1).expand(1, 18, 1, *patch)
    sure = torch.zeros(1, 18, 1, *patch)
    sure[:, 5] = 1
    merged = layout.merge(values, size, "confidence", sure)
    seen = layout.merge(sure, size, "average") > 1e-3
    assert torch.allclose(merged[seen], torch.tensor(5.0), atol=1e-4)
    with pytest.raises(InputError, match="needs confidence"):
        layout.merge(values, size, "confidence")


def test_gradient_and_gathered_form() -> None:
    layout, size, patch = TangentLayout(3, 130), (12, 24), (10, 9)
    operator = merge_operator(layout, patch, size, "feathered", CPU, torch.float64)
    values = torch.rand(2, 10 * 90, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operator.apply, (values,))
    indices, weights = gather_tables(layout, patch, size, "feathered", CPU, torch.float64)
    gathered = (values[:, indices] * weights).sum(1)
    assert torch.allclose(gathered, operator.apply(values))
    assert torch.allclose(operator.apply(torch.ones(1, 900, dtype=torch.float64)), torch.ones((), dtype=torch.float64))


def test_nothing_is_confused_in_memory(tmp_path, monkeypatch) -> None:
    """The official cache is keyed by a name alone: another size, angle or layout silently reuses the wrong grid."""
    monkeypatch.chdir(tmp_path)
    image = smooth((64, 128)).float()
    first = TangentLayout(4, 80).sample(image, (32, 32))
    assert not torch.allclose(TangentLayout(4, 90).sample(image, (32, 32)), first)
    assert TangentLayout(4, 80).sample(image.double(), (32, 32)).dtype == torch.float64
    assert TangentLayout(4, 80).sample(image, (16, 16)).shape[-1] == 16
    assert torch.equal(TangentLayout(4, 80.0).sample(image, (32, 32)), first)
    assert not list(tmp_path.iterdir())


def test_says_what_exists() -> None:
    assert [rings_of(n) for n in (10, 18, 26, 46)] == [3, 4, 5, 6]
    for make, text in (
        (lambda: rings_of(17), "found 17"),
        (lambda: TangentLayout(7), "found 7"),
        (lambda: TangentLayout(4, 190), "between 0 and 180"),
        (lambda: TangentLayout(4, 80, "new"), "found 'new'"),
        (lambda: TangentLayout().merge(torch.zeros(1, 10, 1, 8, 8), (8, 16)), r"\(B, 18, C, h, w\)"),
        (lambda: TangentLayout().merge(torch.zeros(1, 18, 1, 8, 8), (8, 16), "mean"), "found 'mean'"),
    ):
        with pytest.raises(InputError, match=text):
            make()


def test_patches_of_one_row_are_refused() -> None:
    """Their neighbours would be read beyond the tensor's end."""
    layout = TangentLayout(4, 80.0)
    with pytest.raises(InputError, match="at least 2x2 pixels"):
        layout.merge(torch.zeros(1, layout.patches, 1, 1, 8), (16, 32), allow_holes=True)
