"""Any perspective depth model of the zoo on panoramas: run on tangent images, made one by a scale and a shift a patch, merged with feathered borders.

    panorama -> tangent pictures (pinhole cameras) -> the model's own preprocessing, network and results -> inverse depth of each patch
             -> `panorama_alignment` (least squares over all overlaps) -> inverse range, merged -> range of every direction

Outdoors too: what is merged is inverse range, in which the sky is 0 and near things count. ``perception.load("panorama-<model>")``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perception.errors import InputError
from perception.geometry import sphere
from perception.geometry.tangent import TangentLayout
from perception.inference.panorama_alignment import align_patches
from perception.inference.panorama_sky import GRID, spread_sky
from perception.models.omnifusion.preprocess import PanoramaPreprocess, shape_notes, to_camera
from perception.models.preprocess import Prepared

CAMERA_HEIGHT = 1.6  # metres above the floor: what sets the scale where the model knows none
# Eight level views hold most of what matters: networks are trained on level cameras. Three patches close each pole.
VIEWS = ((3, 60.0), (8, 0.0), (3, -60.0))
_FAR = 1e-3  # smallest inverse range that counts as a depth, 1 / metres


class PanoramaDepth(nn.Module):
    """Wraps a perspective depth model; lives like every model of the zoo.

    Args:
        model: a built model of the zoo with the task "depth" and a pinhole camera.
        size: (H, W) at which patches are merged. rings, fov: of `TangentLayout`. patch: width of a tangent picture, pixels (its height follows from the
            angles).
        batch: tangent pictures that are run together.

    Raises `InputError` for a model without perspective depth.
    """

    tasks = ("depth",)
    camera_kind = "equirectangular"

    def __init__(
        self,
        model: nn.Module,
        size: tuple[int, int] = (512, 1024),
        rings: int | tuple[tuple[int, float], ...] = VIEWS,
        fov: float | tuple[float, float] = (108.0, 92.0),
        patch: int = 320,
        batch: int = 6,
    ) -> None:
        super().__init__()
        if "depth" not in getattr(model, "tasks", ()) or getattr(model, "camera_kind", "pinhole") != "pinhole":
            raise InputError(
                f"a panorama is made from a model of perspective depth; {type(model).__name__} does {getattr(model, 'tasks', ())}"
            )
        self.model = model
        self.layout = TangentLayout(rings, fov)
        tall = self.layout.extent[0] / self.layout.extent[1]
        self.size, self.patch, self.batch = tuple(size), (round(patch * tall), patch), batch
        self.layout.check(self.patch, self.size)
        # Pictures are cut from the panorama at about the patches' own resolution.
        across = round(patch / (2 * self.layout.extent[1]) * 2 * math.pi)
        self.preprocess = PanoramaPreprocess((across // 2, across // 2 * 2))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map panoramas (B, 3, H, W), RGB 0..255, to ``inverse_range`` (B, 1, h, w) 1 / metres, ``valid`` and ``confidence`` (B, 1, h, w), ``metric`` (B,)."""
        parts = [self._one(picture[None]) for picture in image]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _one(self, image: Tensor) -> dict[str, Tensor]:
        cut = self.layout.sample(image.float(), self.patch)[0].round().clamp(0, 255).to(torch.uint8)
        inverse, valid, metric = self._patch_depth(cut.permute(0, 2, 3, 1).cpu().numpy(), image.device)
        valid = valid & ~_all_sky(self.layout, image, valid)
        return fuse(self.layout, inverse, valid, self.size, metric) | {
            "metric": torch.tensor([metric], device=inverse.device)
        }

    def _patch_depth(self, pictures: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, bool]:
        """(N, h, w, 3) uint8 -> (N, h, w) inverse depth and its validity, and whether it is metric."""
        camera = self.layout.camera(self.patch)
        values, known, kinds = [], [], set()
        for start in range(0, len(pictures), self.batch):
            prepared = [self.model.preprocess(picture, camera) for picture in pictures[start : start + self.batch]]
            inputs = {
                name: torch.stack([item.inputs[name] for item in prepared]).to(device) for name in prepared[0].inputs
            }
            for result in self.model.predict(self.model(**inputs), prepared):
                depth = result.depth
                kinds.add(depth.kind)
                there = torch.from_numpy(np.array(depth.valid))
                value = torch.from_numpy(np.array(depth.depth))
                values.append(value if depth.kind == "inverse" else there / value.clamp(min=1e-3))
                known.append(there)
        return torch.stack(values).to(device), torch.stack(known).to(device), kinds == {"metric"}

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """Return one `Prediction` a panorama: depth of kind "range" at its own size, with the agreement of the patches as confidence."""
        from perception.geometry import Equirectangular
        from perception.results import DepthResult, Prediction

        results = []
        for index, item in enumerate(cameras):
            prepared = isinstance(item, Prepared)
            camera = (item.camera if prepared else item) or Equirectangular(sizes[index][1], sizes[index][0])
            names = ("inverse_range", "valid", "confidence")
            maps = torch.cat([outputs[name][index : index + 1].float() for name in names], 1)
            inverse, valid, confidence = to_camera(maps, camera)[0].cpu()
            there = (valid > 0.5) & (inverse > _FAR)
            depth = DepthResult(
                (1 / inverse.clamp(min=_FAR)).numpy(),
                there.numpy(),
                kind="range",
                camera=camera,
                confidence=confidence.clamp(0, 1).numpy(),
            )
            notes = shape_notes(camera)
            if not bool(outputs["metric"][index]):
                notes += (f"scale assumed: camera {CAMERA_HEIGHT:g} m above the floor",)
            results.append(Prediction(camera=camera, image=item.image if prepared else None, depth=depth, notes=notes))
        return results


def fuse(
    layout: TangentLayout,
    inverse: Tensor,
    valid: Tensor,
    size: tuple[int, int],
    metric: bool,
    directions: tuple[int, int] = (64, 128),
) -> dict[str, Tensor]:
    """Fuse (N, h, w) inverse depths of tangent images, known where `valid` (N, h, w) bool.

    metric: the patches' own scale means something; else the result is scaled so that the floor lies `CAMERA_HEIGHT` below. directions: rows and columns of
    the grid on which overlaps are compared. Returns ``inverse_range``, ``valid``, ``confidence`` (1, 1, H, W).
    """
    patch = tuple(inverse.shape[-2:])
    x, y = layout.plane(patch)
    length = torch.from_numpy(np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + 1)).to(inverse)
    values, lengths, weights = _overlaps(layout, inverse, valid, length, directions)
    trust = np.cos(layout.centres()[:, 1]) ** 2  # networks know level cameras best
    strength = 0.003 if metric else 0.001
    solved = align_patches(values, lengths, weights * trust, trust, scale_prior=strength, shift_prior=strength)
    solution = torch.from_numpy(solved).to(inverse)
    valid = valid & _below_the_sky(layout, valid, size)
    fused = (solution[:, :1, None] * inverse + solution[:, 1:, None]) / length
    fused = fused.clamp(min=0)
    there = valid * torch.from_numpy(trust).to(fused)[:, None, None]
    seen = torch.ones_like(there) * there.amax((1, 2), keepdim=True).clamp(min=1e-6)
    stack = torch.stack([fused * there, fused.square() * there, there, seen], 1)[None]  # (1, N, 4, h, w)
    merged = layout.merge(stack, size, "feathered")
    known = merged[:, 2:3].clamp(min=1e-6)
    mean = merged[:, :1] / known
    spread = (merged[:, 1:2] / known - mean.square()).clamp(min=0).sqrt()
    if not metric:
        mean, spread = (value * _floor_factor(mean) for value in (mean, spread))
    return {
        "inverse_range": mean,
        "valid": merged[:, 2:3] / merged[:, 3:].clamp(min=1e-6),
        "confidence": torch.exp(-4 * spread / mean.clamp(min=1e-6)),
    }


def _below_the_sky(layout: TangentLayout, valid: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) bool: False where a patch that looks up sees what lies above the sky of the level patches; True elsewhere.

    Networks of level cameras take the zenith for a ceiling. Whatever lies above the sky is sky: above the level patches' upper edge a direction counts as
    sky where most of that edge is, near it in the direction's own column, at the zenith all around.
    """
    latitude = layout.centres()[:, 1]
    level = np.abs(latitude) < math.radians(30)
    rising = ~level & (latitude > 0)
    if not level.any() or not rising.any():
        return torch.ones_like(valid)
    top = min(latitude[level].max() + 0.9 * math.radians(layout.true_fov[0]) / 2, math.radians(80))
    weight = torch.from_numpy(level).to(valid.device, torch.float32)[:, None, None].expand(valid.shape)
    seen = layout.merge(torch.stack([weight * valid, weight], 1)[None], size, "feathered")[0]
    known = torch.where(
        seen[1] > 0, seen[0] / seen[1].clamp(min=1e-9), 1.0
    )  # (H, W) share of the level patches that see depth
    height, width = size
    edge = min(height - 1, math.ceil((0.5 - top / math.pi) * height))  # the row just below `top`
    spectrum = torch.fft.rfft(known[edge])
    turns = torch.arange(len(spectrum), device=valid.device)
    angle = (0.5 - (torch.arange(edge, device=valid.device) + 0.5) / height) * math.pi
    spread = (
        0.4 * ((angle - top) / (math.pi / 2 - top)).clamp(0, 1)[:, None]
    )  # of a row's mean over the columns, in turns
    above = torch.fft.irfft(spectrum * torch.exp(-0.5 * (2 * math.pi * turns * spread) ** 2), n=width)
    known = torch.cat([above, known[edge:]])
    up = np.flatnonzero(rising)
    longitude, latitude = sphere.direction_angles(layout.rays(tuple(valid.shape[-2:]), valid.device)[up])
    row = ((0.5 - latitude / math.pi) * height).long().clamp(0, height - 1)
    column = ((longitude / (2 * math.pi) + 0.5) * width).long() % width
    below = torch.ones_like(valid)
    below[up] = known[row, column] > 0.5
    return below


def _all_sky(layout: TangentLayout, image: Tensor, valid: Tensor) -> Tensor:
    """(N, h, w) bool: where the patches look into the sky that they found together and the picture (1, 3, H, W), 0..255, spreads (`panorama_sky`)."""
    seen = valid & _below_the_sky(layout, valid, GRID)
    trust = torch.from_numpy(np.cos(layout.centres()[:, 1]) ** 2).to(valid.device, torch.float32)[:, None, None]
    both = torch.stack([trust * seen, trust.expand(valid.shape)], 1)[None]
    known = layout.merge(both, GRID, "feathered")[0]
    sky = (known[0] < 0.5 * known[1]).cpu().numpy()
    sky[GRID[0] // 2 :] = False
    small = nn.functional.interpolate(image.float(), GRID, mode="area")[0] / 255
    spread = spread_sky(small.permute(1, 2, 0).cpu().numpy(), sky)
    rays = layout.rays(tuple(valid.shape[-2:]), valid.device)
    whole = torch.from_numpy(spread).to(valid.device, torch.float32)[None, None]
    return sphere.sample_sphere(whole, rays.flatten(0, 1))[0, 0].view(valid.shape) > 0.5


def _overlaps(
    layout: TangentLayout, inverse: Tensor, valid: Tensor, length: Tensor, directions: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse depth, ray length and weight of every patch (P, N) at the directions of a small panorama."""
    rays = sphere.equirectangular_directions(*directions, torch.device("cpu"), torch.float64).reshape(-1, 3)
    local = torch.einsum("nij,pi->npj", torch.from_numpy(layout.rotations()), rays)  # direction in each patch's axes
    ahead = local[..., 2].clamp(min=1e-6)
    half = layout.extent
    at = torch.stack([local[..., 0] / ahead / half[1], local[..., 1] / ahead / half[0]], -1)  # -1..1 inside
    inside = (local[..., 2] > 1e-6) & (at.abs().amax(-1) < 0.97)
    maps = torch.stack([inverse.double(), valid.double()], 1).cpu()  # (N, 2, h, w)
    looked = nn.functional.grid_sample(maps, at[:, :, None].clamp(-2, 2), align_corners=False)[..., 0]  # (N, 2, P)
    known = inside & (looked[:, 1] > 0.99)
    area = rays[:, [0, 2]].norm(dim=-1)
    # A patch's own middle is more to be trusted than its border.
    trust = (1 - 0.8 * at.abs().amax(-1)).clamp(min=0.05)
    weights = known * trust * area
    return looked[:, 0].T.numpy(), (1 / ahead).T.numpy(), weights.T.numpy()


def _floor_factor(inverse_range: Tensor) -> Tensor:
    """Factor that puts what lies 35 to 65 degrees below the horizon `CAMERA_HEIGHT` below the camera in the median."""
    height = inverse_range.shape[-2]
    latitude = (0.5 - (torch.arange(height, device=inverse_range.device) + 0.5) / height) * math.pi
    rows = (latitude < math.radians(-35)) & (latitude > math.radians(-65))
    below = -latitude[rows].sin()[:, None] / inverse_range[0, 0, rows].clamp(min=1e-9)
    return (below.median() / CAMERA_HEIGHT).clamp(1e-6, 1e6)
