"""Depth protocols: which pixels count, how a prediction is clamped and aligned, how images are averaged. Presets by name.

Numbers of different presets never belong into one table: the crop alone moves AbsRel by several per cent.
Sources: BTS and monodepth2 (Eigen and Garg crops), the KITTI depth devkit, OmniFusion, UniFuse, BiFuse, DA-2.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from perception.errors import RecipeError, nearest


@dataclasses.dataclass(frozen=True)
class DepthProtocol:
    """One way to score depth maps; `describe` puts it into words.

    min_depth, max_depth  truth counts when min < truth < max [m] (`include_max`: truth <= max)
    crop                  None | nyu_eigen | kitti_garg | kitti_eigen | bifuse: image region that counts
    clamp                 limit the aligned prediction to [min_depth, max_depth] (where finite and positive)
    average               image: metrics of each image, then their mean; pooled: sums over all pixels of the set
    alignment             default alignment (`perception.evaluation.alignment`)
    group, drop_last      images (by index) that share one alignment; an incomplete last group is dropped
    lower_median          median alignment takes the lower middle element, as torch.median does
    weighting             None | solid_angle: pixels of a panorama weigh cos(latitude)
    truth_floor           truth below it is raised to it [m]
    overwrite_beyond      official UniFuse flaw: where the prediction exceeds it, the TRUTH becomes this value [m]
    panoramic             also measure the seam and the poles (`panorama_depth`); not together with `group` > 1
    """

    name: str
    min_depth: float = 0.0
    max_depth: float = math.inf
    include_max: bool = False
    crop: str | None = None
    clamp: bool = False
    average: str = "image"
    alignment: str = "none"
    group: int = 1
    drop_last: bool = False
    lower_median: bool = False
    weighting: str | None = None
    log_base: float = math.e
    truth_floor: float = 0.0
    overwrite_beyond: float | None = None
    panoramic: bool = False

    def describe(self) -> str:
        """One line that states everything but the alignment."""
        top = (
            "no upper limit"
            if math.isinf(self.max_depth)
            else f"{'<=' if self.include_max else '<'} {self.max_depth:g} m"
        )
        parts = [f"protocol {self.name}: truth > {self.min_depth:g} m, {top}", f"crop {self.crop or 'none'}"]
        parts.append("prediction clamped to that range" if self.clamp else "prediction not clamped")
        parts.append("mean of per-image metrics" if self.average == "image" else "pooled over all pixels")
        if self.group > 1:
            parts.append(
                f"{self.group} images aligned together" + (", incomplete group dropped" if self.drop_last else "")
            )
        if self.weighting:
            parts.append("pixels weighted by solid angle")
        if self.panoramic:
            parts.append("seam and polar_rmse in metres")
        if self.log_base != math.e:
            parts.append(f"RMSElog in base {self.log_base:g}")
        if self.overwrite_beyond is not None:
            parts.append(f"truth set to {self.overwrite_beyond:g} m where the prediction exceeds it (official flaw)")
        return ", ".join(parts)

    def mask(self, truth: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
        """(H, W) bool: the pixels that count. `truth` (H, W) metres; `valid` (H, W) bool or None."""
        with np.errstate(invalid="ignore"):
            inside = (truth > self.min_depth) & (
                truth <= self.max_depth if self.include_max else truth < self.max_depth
            )
        inside &= np.isfinite(truth) & (truth > 0)
        if valid is not None:
            inside &= valid.astype(bool)
        rows, columns = crop_region(self.crop, *truth.shape)
        region = np.zeros_like(inside)
        region[rows, columns] = inside[rows, columns]
        return region

    def row_weights(self, height: int) -> np.ndarray | None:
        """(H,) weight of each pixel row, or None when all pixels weigh the same."""
        if self.weighting is None:
            return None
        return np.cos((np.arange(height) + 0.5) / height * math.pi - math.pi / 2)


def crop_region(name: str | None, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a named crop. The NYU crop is defined at 480x640 and scales with other sizes."""
    if name is None:
        return slice(None), slice(None)
    if name == "nyu_eigen":
        rows, columns = (45 * height / 480, 471 * height / 480), (41 * width / 640, 601 * width / 640)
        return slice(round(rows[0]), round(rows[1])), slice(round(columns[0]), round(columns[1]))
    if name == "kitti_garg":
        return (
            slice(int(0.40810811 * height), int(0.99189189 * height)),
            slice(int(0.03594771 * width), int(0.96405229 * width)),
        )
    if name == "kitti_eigen":
        return (
            slice(int(0.3324324 * height), int(0.91351351 * height)),
            slice(int(0.0359477 * width), int(0.96405229 * width)),
        )
    if name == "bifuse":  # 68 of 512 rows at the top and at the bottom, where Matterport has no ground truth
        edge = round(68 * height / 512)
        return slice(edge, height - edge), slice(None)
    known = ("nyu_eigen", "kitti_garg", "kitti_eigen", "bifuse")
    raise RecipeError(f"crop {name!r} is unknown; known: {', '.join(known)}.{nearest(name, known)}")


PRESETS: dict[str, DepthProtocol] = {
    protocol.name: protocol
    for protocol in (
        DepthProtocol("none"),
        DepthProtocol("nyu_eigen", 1e-3, 10.0, crop="nyu_eigen", clamp=True),
        DepthProtocol("nyu_full", 1e-3, 10.0, clamp=True),
        DepthProtocol("kitti_eigen_garg", 1e-3, 80.0, crop="kitti_garg", clamp=True),
        DepthProtocol("kitti_eigen_eigen", 1e-3, 80.0, crop="kitti_eigen", clamp=True),
        DepthProtocol("kitti_benchmark"),
        DepthProtocol("world", 0.1, 80.0, clamp=True),
        DepthProtocol("clean", weighting="solid_angle", panoramic=True),
        DepthProtocol(
            "omnifusion",
            0.1,
            8.0,
            include_max=True,
            average="pooled",
            alignment="median",
            group=2,
            drop_last=True,
            lower_median=True,
        ),
        DepthProtocol(
            "omnifusion_matterport3d",
            0.1,
            10.0,
            include_max=True,
            average="pooled",
            alignment="median",
            group=2,
            drop_last=True,
            lower_median=True,
        ),
        DepthProtocol(
            "unifuse",
            0.0,
            10.0,
            include_max=True,
            log_base=10.0,
            truth_floor=0.1,
            overwrite_beyond=10.0,
            panoramic=True,
        ),
        DepthProtocol(
            "unifuse_fixed", 0.0, 10.0, include_max=True, log_base=10.0, truth_floor=0.1, clamp=True, panoramic=True
        ),
        DepthProtocol("bifuse", 0.01, 10.0, crop="bifuse", log_base=10.0, panoramic=True),
        DepthProtocol("bifuse_nocrop", 0.01, 10.0, log_base=10.0, panoramic=True),
        DepthProtocol("da2", 0.0, 5.0, include_max=True, alignment="median", lower_median=True, panoramic=True),
    )
}


ALIASES = {"panorama": "clean"}  # an earlier name


def depth_protocol(protocol: str | dict | DepthProtocol) -> DepthProtocol:
    """Return a preset by name, or build one from ``{"base": preset, **changes}``. Raises `RecipeError`."""
    if isinstance(protocol, DepthProtocol):
        return protocol
    changes = {} if isinstance(protocol, str) else dict(protocol)
    name = protocol if isinstance(protocol, str) else changes.pop("base", "none")
    name = ALIASES.get(name, name)
    if name not in PRESETS:
        raise RecipeError(f"depth preset {name!r} is unknown; known: {', '.join(PRESETS)}.{nearest(name, PRESETS)}")
    try:
        return dataclasses.replace(PRESETS[name], **{"name": f"{name} changed", **changes} if changes else {})
    except TypeError as error:
        raise RecipeError(f"depth protocol cannot be changed by keys {sorted(changes)}: {error}") from error
