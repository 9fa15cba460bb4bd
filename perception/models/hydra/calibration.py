"""Where the pixels of a rig's cameras look, and where points of the bird's-eye view (BEV) land in them.

    BEV  <- bev_from_ego -  ego  <- ego_from_camera -  camera  - intrinsics ->  original picture  - image_rotation, image_shift ->  network's input

The BEV frame is the ego frame (x forward, y left, z up, metres) after the BEV augmentation (rotation, flips, scale), which is the identity
outside training. The last step is the image augmentation (resize, crop, flip, rotation); pictures that come with intrinsics of the network's
input have the identity there.

Conventions: "exact" puts a feature cell at its centre ((i + 0.5) / w of the picture, pixel centres at integer + 0.5) and a depth bin at its centre.
"official" does what BEVDet, BEVDepth and FB-BEV do: cells at linspace(0, W - 1, w), bins at their start. Released weights were trained with that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from perception.errors import InputError
from perception.models.layers.precision import full_precision
from perception.ops.small_inverse import small_inverse

CONVENTIONS = ("exact", "official")


@dataclasses.dataclass(frozen=True)
class DepthAxis:
    """Depth bins of `step` metres from `start` to `stop` along the optical axis."""

    start: float
    stop: float
    step: float

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.stop - self.start >= self.step and self.start >= 0):
            raise InputError(
                f"depth bins need 0 <= start, start + step <= stop and a positive step; found {dataclasses.astuple(self)}"
            )

    @classmethod
    def of(cls, values: Sequence[float] | DepthAxis) -> DepthAxis:
        """From (start, stop, step)."""
        return values if isinstance(values, DepthAxis) else cls(*(float(v) for v in values))

    @property
    def bins(self) -> int:
        """Number of bins: what ``arange(start, stop, step)`` has."""
        return int(torch.arange(self.start, self.stop, self.step).numel())

    def values(self, convention: str, like: Tensor) -> Tensor:
        """(D,) depth that stands for each bin."""
        starts = torch.arange(self.bins, dtype=like.dtype, device=like.device) * self.step + self.start
        return starts if convention == "official" else starts + 0.5 * self.step


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Cameras of B rigs with N cameras each.

    intrinsics: (B, N, 3, 3) of the original pictures. ego_from_camera: (B, N, 4, 4). image_rotation (B, N, 3, 3), image_shift (B, N, 3):
    network pixel = rotation @ original pixel + shift (upper left 2x2 and first two count). bev_from_ego: (B, 3, 3).
    """

    intrinsics: Tensor
    ego_from_camera: Tensor
    image_rotation: Tensor
    image_shift: Tensor
    bev_from_ego: Tensor

    @classmethod
    def of(
        cls,
        intrinsics: Tensor,
        ego_from_camera: Tensor,
        image_rotation: Tensor | None = None,
        image_shift: Tensor | None = None,
        bev_from_ego: Tensor | None = None,
    ) -> Calibration:
        """Fill identities in. Raises `InputError` for shapes that do not belong together."""
        if intrinsics.ndim != 4 or intrinsics.shape[-2:] != (3, 3):
            raise InputError(f"intrinsics must have shape (B, N, 3, 3); found {tuple(intrinsics.shape)}")
        lead = tuple(intrinsics.shape[:2])
        if tuple(ego_from_camera.shape) != (*lead, 4, 4):
            raise InputError(f"ego_from_camera must have shape {(*lead, 4, 4)}; found {tuple(ego_from_camera.shape)}")
        eye = torch.eye(3, dtype=intrinsics.dtype, device=intrinsics.device)
        return cls(
            intrinsics,
            ego_from_camera.to(intrinsics.dtype),
            eye.expand(*lead, 3, 3) if image_rotation is None else image_rotation,
            intrinsics.new_zeros(*lead, 3) if image_shift is None else image_shift,
            eye.expand(lead[0], 3, 3) if bev_from_ego is None else bev_from_ego,
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """All fields."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def equals(self, other: Calibration) -> bool:
        """Whether all numbers are the same."""
        return all(
            a is b or (a.shape == b.shape and a.device == b.device and torch.equal(a, b))
            for a, b in zip(self.tensors(), other.tensors(), strict=True)
        )

    @full_precision
    def frustum(
        self, axis: DepthAxis, image_size: tuple[int, int], cells: tuple[int, int], convention: str = "exact"
    ) -> Tensor:
        """(B, N, D, h, w, 3) points of the BEV frame that the feature cells see at each depth bin, metres.

        image_size: (H, W) of the network's input; cells: (h, w) of the feature map.
        """
        if convention not in CONVENTIONS:
            raise InputError(f"the geometry follows one of {', '.join(CONVENTIONS)}; found {convention!r}")
        (height, width), (rows, columns) = image_size, cells
        like = self.intrinsics
        options = {"dtype": like.dtype, "device": like.device}
        if convention == "official":
            u = torch.linspace(0, width - 1, columns, **options)
            v = torch.linspace(0, height - 1, rows, **options)
        else:
            u = (torch.arange(columns, **options) + 0.5) * (width / columns)
            v = (torch.arange(rows, **options) + 0.5) * (height / rows)
        v, u = torch.meshgrid(v, u, indexing="ij")
        depth = axis.values(convention, like)
        # Pixel rays do not depend on depth as long as the augmentation stays in the plane: one ray a cell, scaled D times.
        pixel = torch.stack((u, v, torch.zeros_like(u)), -1) - self.image_shift[:, :, None, None]  # (B, N, h, w, 3)
        pixel = _rotate(_inverse2d(self.image_rotation), pixel)
        ray = torch.cat((pixel[..., :2], torch.ones_like(pixel[..., 2:])), -1)
        ego = self.ego_from_camera
        turn = self.bev_from_ego[:, None] @ ego[..., :3, :3] @ small_inverse(self.intrinsics)
        origin = (self.bev_from_ego[:, None] @ ego[..., :3, 3:]).squeeze(-1)  # (B, N, 3)
        ray = _rotate(turn, ray)[:, :, None]  # (B, N, 1, h, w, 3)
        return torch.addcmul(origin[:, :, None, None, None], ray, depth.view(-1, 1, 1, 1))

    @full_precision
    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, 3) points of the BEV frame -> (B, N, P, 2) pixels of the network's input and (B, N, P) depth along the axis, metres.

        Pixels of points behind a camera mean nothing.
        """
        in_ego = points @ small_inverse(self.bev_from_ego).mT  # (B, P, 3)
        rotation, shift = self.ego_from_camera[..., :3, :3], self.ego_from_camera[..., :3, 3]
        to_pixel = self.intrinsics @ rotation.mT  # (B, N, 3, 3)
        pixel = (in_ego[:, None] - shift[:, :, None]) @ to_pixel.mT  # (B, N, P, 3)
        depth = pixel[..., 2]
        uv = pixel[..., :2] / depth.clamp(min=1e-5)[..., None]
        uv = uv @ self.image_rotation[..., :2, :2].mT + self.image_shift[:, :, None, :2]
        return uv, depth

    def vector(self) -> Tensor:
        """(B, N, 27) numbers that tell the depth net about a camera: fx, fy, cx, cy, the image augmentation, the BEV augmentation and the
        first three rows of ego_from_camera (BEVDepth, arXiv 2206.10092, section 3.3; order of the released code)."""
        k, r, t = self.intrinsics, self.image_rotation, self.image_shift
        bda = self.bev_from_ego[:, None].expand(-1, k.shape[1], -1, -1)
        numbers = (
            *(k[..., i, j] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))),
            *(r[..., 0, 0], r[..., 0, 1], t[..., 0], r[..., 1, 0], r[..., 1, 1], t[..., 1]),
            *(bda[..., i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 2))),
        )
        return torch.cat((torch.stack(numbers, -1), self.ego_from_camera[..., :3, :].flatten(-2)), -1)


def _rotate(matrix: Tensor, points: Tensor) -> Tensor:
    """(B, N, 3, 3) @ (B, N, h, w, 3)."""
    flat = points.flatten(2, 3) @ matrix.mT
    return flat.unflatten(2, points.shape[2:4])


def _inverse2d(matrix: Tensor) -> Tensor:
    """Inverse of matrices whose upper left 2x2 block matters; the rest is made the identity."""
    out = torch.eye(3, dtype=matrix.dtype, device=matrix.device).expand_as(matrix).clone()
    out[..., :2, :2] = small_inverse(matrix[..., :2, :2])
    return out
