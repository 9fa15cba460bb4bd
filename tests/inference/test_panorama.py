"""Panoramas from perspective depth: scale and shift of every patch are found, no outline and no seam remains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.geometry.sphere import equirectangular_directions
from perception.geometry.tangent import TangentLayout
from perception.inference.panorama import VIEWS, PanoramaDepth, fuse
from perception.inference.panorama_sky import spread_sky
from perception.models.preprocess import Prepared
from perception.results import DepthResult, Prediction

SIZE = (64, 128)
LAYOUT = TangentLayout(VIEWS, (108, 92))
PATCH = (64, 48)


def room_range(rays: torch.Tensor) -> torch.Tensor:
    """Range (...) along directions (..., 3) in a box 6 x 3 x 8 m with a column, seen 1.6 m above its floor."""
    low, high = torch.tensor([-2.0, -1.4, -5.0]), torch.tensor([4.0, 1.6, 3.0])
    rays = rays.float()
    safe = torch.where(rays.abs() < 1e-9, 1e-9, rays)
    wall = torch.where(safe > 0, high, low) / safe
    distance = wall.amin(-1)
    column = (torch.atan2(rays[..., 0], rays[..., 2]) - 2.0).abs() < 0.15
    return torch.where(column, (1.5 / torch.hypot(rays[..., 0], rays[..., 2])).minimum(distance), distance)


def patch_inverse(layout: TangentLayout) -> torch.Tensor:
    """(N, h, w) true inverse depth 1 / z of the tangent images."""
    rays = layout.rays(PATCH)
    x, y = layout.plane(PATCH)
    length = torch.from_numpy(np.sqrt(x[None] ** 2 + y[:, None] ** 2 + 1)).float()
    return length / room_range(rays)


def error_of(inverse_range: torch.Tensor) -> torch.Tensor:
    truth = room_range(equirectangular_directions(*SIZE, torch.device("cpu")))
    ratio = 1 / inverse_range[0, 0] / truth
    return (ratio / ratio.median() - 1).abs()


@pytest.mark.parametrize("metric", [True, False])
def test_scales_and_shifts_are_found(metric: bool) -> None:
    rng = np.random.default_rng(0)
    inverse = patch_inverse(LAYOUT)
    count = len(inverse)
    scale = torch.from_numpy(np.exp(rng.normal(0, 0.3, count))).float()[:, None, None]
    shift = torch.from_numpy(rng.normal(0, 0.0 if metric else 0.08, count)).float()[:, None, None]
    valid = torch.ones(count, *PATCH, dtype=torch.bool)
    spoilt = inverse * scale + shift
    fused = fuse(LAYOUT, spoilt, valid, SIZE, metric)
    plain = fuse(LAYOUT, inverse, valid, SIZE, metric)
    assert error_of(plain["inverse_range"]).mean() < 0.01
    assert error_of(fused["inverse_range"]).mean() < (0.03 if metric else 0.05)
    assert fused["confidence"].mean() > 0.85
    if not metric:  # the floor is put where it is in the median of rooms: here it is exactly there
        down = fused["inverse_range"][0, 0, 52]
        angle = math.radians(90 - 180 * 52.5 / 64)
        assert (math.sin(-angle) / down).median() == pytest.approx(1.6, rel=0.08)


def test_what_has_no_depth_stays_out() -> None:
    inverse = patch_inverse(LAYOUT)
    sky = LAYOUT.rays(PATCH)[..., 1] < -0.6
    spoilt = torch.where(sky, torch.full_like(inverse, 40.0), inverse)
    fused = fuse(LAYOUT, spoilt, ~sky, SIZE, True)
    up = equirectangular_directions(*SIZE, torch.device("cpu"))[..., 1]
    assert fused["valid"][0, 0][up < -0.65].max() < 0.5 and fused["valid"][0, 0][up > -0.55].min() > 0.5
    assert error_of(fused["inverse_range"])[up > -0.55].mean() < 0.01


def test_what_lies_above_the_sky_is_sky() -> None:
    """Patches that look up say "ceiling" everywhere; the level ones see a tower in front, which goes on above their edge, and sky all around."""
    rays = LAYOUT.rays(PATCH)
    tower = (torch.atan2(rays[..., 0], rays[..., 2]).abs() < 0.35) & (rays[..., 1] > -0.95)
    level = torch.from_numpy(np.abs(LAYOUT.centres()[:, 1]) < 0.1)[:, None, None]
    valid = ~level | (rays[..., 1] > -0.1) | tower
    fused = fuse(LAYOUT, patch_inverse(LAYOUT), valid, SIZE, True)["valid"][0, 0] > 0.5
    up = equirectangular_directions(*SIZE, torch.device("cpu"))
    ahead = torch.atan2(up[..., 0], up[..., 2]).abs()
    assert not fused[up[..., 1] < -0.97].any() and not fused[(up[..., 1] < -0.2) & (ahead > 0.6)].any()
    assert fused[up[..., 1] > 0].all() and fused[(up[..., 1] > -0.8) & (ahead < 0.2)].all()

    inside = torch.ones_like(valid)
    inside[LAYOUT.patches // 2, 10:20, 10:30] = False  # a window does not open the ceiling
    assert (fuse(LAYOUT, patch_inverse(LAYOUT), inside, SIZE, True)["valid"][0, 0][:12] > 0.5).all()


def test_the_picture_spreads_the_sky_that_some_patches_found() -> None:
    """Half of a cloudy sky was found, up to a straight border: the other half follows down to the roofs, and into none of the houses."""
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(np.arange(128), np.arange(256), indexing="ij")
    roofs = 40 + 8 * ((columns // 32) % 3)
    truth = rows < roofs
    clouds = 0.06 * np.sin(columns / 9) * np.cos(rows / 7)
    heaven = np.stack([0.55 + clouds, 0.65 + clouds, 0.8 + 0.5 * clouds], -1)
    houses = np.array([0.75, 0.7, 0.6]) + 0.05 * rng.normal(size=(128, 256, 1))
    image = np.where(truth[..., None], heaven, houses).astype(np.float32)
    image[20:26, 60:70] = image[20:26, 200:210] = (0.1, 0.1, 0.1)  # what hangs in the sky is sky
    found = truth & (columns < 128)
    found[20:26, 60:70] = False
    spread = spread_sky(image, found)
    assert spread[20:26, 60:70].all() and spread[20:26, 200:210].all()
    assert (spread & found).sum() == found.sum() and not spread[~truth].mean() > 0.01
    assert spread[truth].mean() > 0.95
    window = truth & (columns < 12)  # a window in a wall: the ceiling of the same colour stays a ceiling
    assert (spread_sky(image, window) == window).all()


class Oracle(nn.Module):
    """Answers each tangent picture with the depth written into its pixels, up to a scale that it draws."""

    tasks = ("depth",)
    camera_kind = "pinhole"

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def preprocess(self, image: np.ndarray, camera: Pinhole) -> Prepared:
        assert isinstance(camera, Pinhole) and camera.size == (image.shape[1], image.shape[0])
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return Prepared({"image": tensor}, image, camera, ImageTransform.identity(camera.size))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"range": image[:, 0].float() / 25}

    def predict(self, outputs, prepared):
        results = []
        for distance, item in zip(outputs["range"], prepared, strict=True):
            z = item.camera.depth_from_range(distance.numpy()) * float(
                torch.exp(0.2 * torch.randn((), generator=self.generator))
            )
            results.append(Prediction(camera=item.camera, depth=DepthResult(z, kind="metric", camera=item.camera)))
        return results


def test_whole_path_and_its_seam() -> None:
    model = PanoramaDepth(Oracle(), size=SIZE, patch=48)
    truth = room_range(equirectangular_directions(80, 160, torch.device("cpu")))
    picture = (truth * 25).round().clamp(0, 255).byte()[..., None].expand(-1, -1, 3).numpy()
    prepared = model.preprocess(picture, Equirectangular(160, 80))
    with torch.no_grad():
        outputs = model(prepared.inputs["image"][None])
    depth = model.predict(outputs, [prepared])[0].depth
    assert depth.shape == (80, 160) and depth.kind == "range" and depth.valid.all()
    ratio = depth.depth / truth.numpy()
    assert np.abs(ratio / np.median(ratio) - 1).mean() < 0.05
    steps = np.abs(np.diff(np.log(depth.depth), axis=1, append=np.log(depth.depth[:, :1])))
    assert steps[:, -1].mean() < 2 * steps.mean() + 0.01  # from the last column to the first like anywhere else


def test_needs_perspective_depth() -> None:
    with pytest.raises(InputError, match="perspective depth"):
        PanoramaDepth(nn.Identity())
