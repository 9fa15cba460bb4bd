"""Tangent images: a panorama cut into overlapping pictures of a plane each, arranged in rings of latitude.

      panorama (rows of a 4-ring layout)          patch k touches the sphere at its centre (longitude, latitude)

      +--------------------------------+                    y down
      |    1         2          3      |  67.5 N           +-----------+     direction = centre + x right + y down
      | 4    5    6    7    8    9     |  22.5 N           |     |     |     x, y in +-extent
      | 10   11   12   13   14   15    |  22.5 S           |-----*-----| x
      |    16        17         18     |  67.5 S           |     |     |     every patch is a pinhole camera
      +--------------------------------+                   +-----------+

After OmniFusion (Li et al., CVPR 2022, arXiv 2203.00838, section 3.1). Two conventions:

``"consistent"``  pixel centres at + 0.5 in patches and panorama, `fov` is the true angle, the panorama has neither seam nor poles, and what
                  `sample` cuts out `merge` puts back where it was.
``"official"``    the geometry that the released weights were trained with: `fov` is an angle used as a tangent (80 is really 69.8 degrees), the
                  grids include both ends, `merge` is half a pixel off, and with 3 rings merges at 59.6 instead of 60 degrees.

Directions are in camera axes x right, y down, z forward. Patches: (B, N, C, h, w), N by rings from the top, longitudes growing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.geometry import sphere
from perception.geometry.cameras import Pinhole
from perception.ops.constants import cached_constants

# rings -> (patches of each ring, latitude of each ring in degrees), from the top
RINGS: dict[int, tuple[tuple[int, ...], tuple[float, ...]]] = {
    3: ((3, 4, 3), (60.0, 0.0, -60.0)),
    4: ((3, 6, 6, 3), (67.5, 22.5, -22.5, -67.5)),
    5: ((3, 6, 8, 6, 3), (72.2, 36.1, 0.0, -36.1, -72.2)),
    6: ((3, 8, 12, 12, 8, 3), (75.2, 45.93, 15.72, -15.72, -45.93, -75.2)),
}
CONVENTIONS = ("consistent", "official")
MODES = ("average", "confidence", "feathered")
Size = tuple[int, int]  # (height, width), pixels


def rings_of(patches: int) -> int:
    """Number of rings of the layout with so many patches. Raises `InputError` where there is none."""
    for rings, (counts, _) in RINGS.items():
        if sum(counts) == patches:
            return rings
    known = ", ".join(str(sum(counts)) for counts, _ in RINGS.values())
    raise InputError(f"a layout of tangent images has {known} patches; found {patches}")


@dataclass(frozen=True)
class TangentLayout:
    """Where the patches are and what they see.

    rings: 3 to 6 (10, 18, 26 or 46 patches), or one's own: (number of patches, latitude in degrees) of each ring, from the top. fov: degrees, one
    angle or (vertical, horizontal). convention: see the module.
    """

    rings: int | tuple[tuple[int, float], ...] = 4
    fov: float | tuple[float, float] = 80.0
    convention: str = "consistent"

    def __post_init__(self) -> None:
        """Raises `InputError` for values that do not exist."""
        if isinstance(self.rings, int):
            if self.rings not in RINGS:
                raise InputError(f"tangent images come in {', '.join(map(str, RINGS))} rings; found {self.rings}")
        else:
            own = tuple((int(count), float(latitude)) for count, latitude in self.rings)
            if not own or self.official or any(n < 1 or not -90 <= latitude <= 90 for n, latitude in own):
                raise InputError(
                    "one's own rings of tangent images are (patches, latitude within +-90 degrees) each, in the consistent convention; "
                    f"found {self.rings}"
                )
            object.__setattr__(self, "rings", own)
        if self.convention not in CONVENTIONS:
            raise InputError(
                f"the convention of tangent images is {' or '.join(map(repr, CONVENTIONS))}; found {self.convention!r}"
            )
        pair = (self.fov, self.fov) if isinstance(self.fov, int | float) else tuple(self.fov)
        if len(pair) != 2 or not all(0 < angle < 180 for angle in pair):
            raise InputError(
                f"the field of view of tangent images is one or two angles between 0 and 180 degrees; found {self.fov}"
            )
        object.__setattr__(self, "fov", tuple(map(float, pair)))

    # -- where the patches are ------------------------------------------------------------------------------------------

    @property
    def official(self) -> bool:
        """Whether the released weights' geometry is kept, flaws included."""
        return self.convention == "official"

    @property
    def table(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Patches and latitude (degrees) of each ring, from the top."""
        return RINGS[self.rings] if isinstance(self.rings, int) else tuple(zip(*self.rings, strict=True))  # type: ignore[return-value]

    @property
    def patches(self) -> int:
        """Number of patches N."""
        return sum(self.table[0])

    @property
    def extent(self) -> tuple[float, float]:
        """Half the (height, width) of a patch on the plane at distance 1."""
        if self.official:
            return tuple(math.pi * angle / 360 for angle in self.fov)  # type: ignore[return-value]
        return tuple(math.tan(math.radians(angle) / 2) for angle in self.fov)  # type: ignore[return-value]

    @property
    def true_fov(self) -> tuple[float, float]:
        """(vertical, horizontal) angle that a patch really spans, degrees."""
        return tuple(2 * math.degrees(math.atan(half)) for half in self.extent)  # type: ignore[return-value]

    def centres(self, merging: bool = False) -> np.ndarray:
        """(N, 2) float64 longitude and latitude of the patch centres, radians. merging: as the official merge sees them."""
        counts, latitudes = self.table
        if merging and self.official and self.rings == 3:
            latitudes = (59.6, 0.0, -59.6)
        rows = [((j + 0.5) * 360 / n - 180, lat) for n, lat in zip(counts, latitudes, strict=True) for j in range(n)]
        return np.radians(np.array(rows, np.float64))

    def rotations(self) -> np.ndarray:
        """(N, 3, 3) float64 ``panorama_from_patch``: columns are a patch's right, down and forward axes in the panorama's axes."""
        lon, lat = self.centres().T
        zero = np.zeros_like(lon)
        right = np.stack([np.cos(lon), zero, -np.sin(lon)], -1)
        down = np.stack([np.sin(lon) * np.sin(lat), np.cos(lat), np.cos(lon) * np.sin(lat)], -1)
        forward = np.stack([np.sin(lon) * np.cos(lat), -np.sin(lat), np.cos(lon) * np.cos(lat)], -1)
        return np.stack([right, down, forward], -1)

    def camera(self, patch: Size) -> Pinhole:
        """The pinhole camera of a patch of (h, w) pixels in the consistent convention; all patches share it."""
        height, width = patch
        return Pinhole.from_fov(
            width, height, horizontal_degrees=self.true_fov[1], vertical_degrees=self.true_fov[0], source="caller"
        )

    def rays(self, patch: Size, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """(N, h, w, 3) unit directions of the patch pixels. Shared and cached: do not write into it."""
        return _rays(self, tuple(patch), torch.device(device), dtype)

    def plane(self, patch: Size) -> tuple[np.ndarray, np.ndarray]:
        """(w,) x and (h,) y of the patch pixels on the plane at distance 1, float64."""
        axes = []
        for size, half in zip(patch, self.extent, strict=True):
            if self.official:
                axes.append(np.linspace(-half, half, size) if size > 1 else np.zeros(1))
            else:
                axes.append(((np.arange(size) + 0.5) / size * 2 - 1) * half)
        return axes[1], axes[0]

    # -- panorama -> patches --------------------------------------------------------------------------------------------

    def sample(self, panorama: Tensor, patch: Size, mode: str = "bilinear") -> Tensor:
        """Cut (B, C, H, W) into (B, N, C, h, w) patches of the same dtype. mode: "bilinear", or "nearest" for labels and depth with holes."""
        batch, channels, height, width = panorama.shape
        work = sphere.at_least_float32(panorama.dtype)
        grid = _grid(self, tuple(patch), (height, width), panorama.device, work).expand(batch, -1, -1, -1)
        whole = panorama if self.official else sphere.pad_sphere(panorama, 1)
        cut = F.grid_sample(whole.to(work), grid, mode=mode, padding_mode="border", align_corners=self.official)
        return cut.to(panorama.dtype).view(batch, channels, self.patches, *patch).transpose(1, 2)

    # -- patches -> panorama --------------------------------------------------------------------------------------------

    def merge(
        self,
        patches: Tensor,
        size: Size,
        mode: str = "average",
        confidence: Tensor | None = None,
        allow_holes: bool = False,
    ) -> Tensor:
        """Put (B, N, C, h, w) patches back into a panorama (B, C, H, W) of `size`.

        mode: "average" (every patch that sees a pixel counts the same), "confidence" (by `confidence` (B, N, 1, h, w) >= 0), "feathered" (weights fall
        to zero towards a patch's border, times `confidence` where given). allow_holes: directions that no patch sees become 0; without it they are
        an `InputError` that names the smallest field of view without holes.
        """
        from perception.geometry.tangent_merge import merge

        return merge(self, patches, tuple(size), mode, confidence, allow_holes)

    def coverage(self, patch: Size, size: Size) -> Tensor:
        """(H, W) float32: 1 where some patch sees the panorama's pixel, 0 in holes."""
        from perception.geometry.tangent_merge import merge_operator

        operator = merge_operator(self, tuple(patch), tuple(size), "average", torch.device("cpu"), torch.float32)
        return operator.apply(torch.ones(1, self.patches * patch[0] * patch[1])).view(size)

    def smallest_fov(self, patch: Size, size: Size) -> tuple[float, float]:
        """Smallest `fov` (vertical, horizontal; whole tenths of degrees) of this shape without holes, for these sizes."""
        scale = _needed_scale(self, tuple(patch), tuple(size))
        # The last pixels of the official grid are cut by a rounding's width; a tenth of a degree more is on the safe side of both conventions.
        if self.official:
            return tuple(math.ceil(angle * scale * 10 + 0.5) / 10 for angle in self.fov)  # type: ignore[return-value]
        return tuple(
            math.ceil(20 * math.degrees(math.atan(half * scale)) + 0.5) / 10
            for half in self.extent  # type: ignore[return-value]
        )

    def check(self, patch: Size, size: Size) -> None:
        """Raise `InputError` when patches of (h, w) leave holes in a panorama of (H, W)."""
        if _needed_scale(self, tuple(patch), tuple(size)) <= 1:
            return
        smallest = self.smallest_fov(patch, size)
        text = f"{smallest[0]:g}" if smallest[0] == smallest[1] else f"({smallest[0]:g}, {smallest[1]:g})"
        found = f"{self.fov[0]:g}" if self.fov[0] == self.fov[1] else f"({self.fov[0]:g}, {self.fov[1]:g})"
        raise InputError(
            f"{self.patches} tangent images in {len(self.table[0])} rings with a field of view of {found} degrees leave holes in a {size[1]}x{size[0]} panorama; "
            f"use fov={text} or more, or more rings"
        )


def panorama_angles(layout: TangentLayout, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """(W,) longitudes and (H,) latitudes of a panorama's pixels in the layout's convention, float64, radians."""
    height, width = size
    if layout.official:
        return np.linspace(-math.pi, math.pi, width), np.linspace(math.pi / 2, -math.pi / 2, height)
    longitude = ((np.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    return longitude, (0.5 - (np.arange(height) + 0.5) / height) * math.pi


def plane_position(
    centre: np.ndarray, longitude: np.ndarray, latitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the directions of a panorama's rows and columns meet a patch's plane: x, y and the cosine of the angle to its centre, (H, W) each.

    x and y mean something only where the cosine is positive.
    """
    lon0, lat0 = centre
    sin, cos = np.sin(latitude)[:, None], np.cos(latitude)[:, None]
    across, along = np.sin(longitude - lon0)[None], np.cos(longitude - lon0)[None]
    cosine = math.sin(lat0) * sin + math.cos(lat0) * cos * along
    inverse = 1 / np.where(cosine > 1e-9, cosine, np.inf)
    x = cos * across * inverse
    y = (math.sin(lat0) * cos * along - math.cos(lat0) * sin) * inverse
    return x, y, cosine


@lru_cache(maxsize=16)
def _needed_scale(layout: TangentLayout, patch: Size, size: Size) -> float:
    """By how much the patches must grow so that every pixel of the panorama is seen; at most 1 when there are no holes."""
    longitude, latitude = panorama_angles(layout, size)
    inner = (
        layout.extent if layout.official else tuple(e * (1 - 1 / n) for e, n in zip(layout.extent, patch, strict=True))
    )
    if min(inner) <= 0:
        raise InputError(f"tangent images need at least 2x2 pixels; found {patch}")
    need = np.full(size, np.inf)
    for centre in layout.centres(merging=True):
        x, y, cosine = plane_position(centre, longitude, latitude)
        reach = np.maximum(np.abs(x) / inner[1], np.abs(y) / inner[0])
        np.minimum(need, np.where(cosine > 1e-9, reach, np.inf), out=need)
    return float(need.max())


@cached_constants(maxsize=16)
def _rays(layout: TangentLayout, patch: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
    return _exact_rays(layout, patch).to(device, dtype)


def _exact_rays(layout: TangentLayout, patch: Size) -> Tensor:
    """(N, h, w, 3) float64 unit directions; not kept, in this precision they take more memory than the pictures."""
    x, y = layout.plane(patch)
    x, y = np.meshgrid(x, y)
    local = np.stack([x, y, np.ones_like(x)], -1)
    rays = np.einsum("nij,hwj->nhwi", layout.rotations(), local)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return torch.from_numpy(rays)


@cached_constants(maxsize=16)
def _grid(layout: TangentLayout, patch: Size, size: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(1, N h, w, 2) sampling grid of the patches."""
    rays = _exact_rays(layout, patch)
    if layout.official:
        longitude, latitude = sphere.direction_angles(rays)
        grid = torch.stack([longitude / math.pi, -latitude / (math.pi / 2)], -1)
    else:
        grid = sphere.padded_grid(rays, *size)
    return grid.reshape(1, -1, patch[1], 2).to(device, dtype)
