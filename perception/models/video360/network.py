"""Networks on cube maps: every convolution sees the neighbouring face where a picture would end (cube padding, Wang et al. 2018, section 3.1).

Faces are folded into the batch: (6 B, C, h, h), number 6 b + face.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.geometry.cubemap import face_rays, face_rotations, pad_cube
from perception.options import check_choice

PADDINGS = ("cube", "zeros")


class CubeConv(nn.Module):
    """Convolution of odd kernel with cube padding, batch norm, ReLU. padding: "cube", or "zeros" to see what it is good for."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: str = "cube",
        norm: bool = True,
    ) -> None:
        super().__init__()
        check_choice("the padding of a cube map", padding, PADDINGS)
        self.pad, self.padding = kernel // 2, padding
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, bias=not norm)
        self.norm = nn.BatchNorm2d(out_channels) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (6 B, C, h, h) to (6 B, C', h / stride, h / stride)."""
        if self.padding == "cube":
            x = pad_cube(x.unflatten(0, (-1, 6)), self.pad).flatten(0, 1)
        else:
            x = F.pad(x, [self.pad] * 4)
        x = self.conv(x)
        return x if self.norm is None else F.relu(self.norm(x), inplace=True)


class CubeDepthNet(nn.Module):
    """A U-Net over the faces (DispNet-like): one depth map a scale.

    Args:
        widths: channels of the encoder, each level at half the size of the one before, the first at half the input.
        scales: number of depth maps, the first at the faces' own size, each at half the one before.
        near, far: range of the answers in the network's own unit (the scale of self-supervised depth is free).
        latitude: also show the network how far above the horizon each pixel looks, for cameras that are held level: floors and ceilings without texture
            say nothing else about their distance.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256, 256),
        scales: int = 4,
        near: float = 0.1,
        far: float = 50.0,
        padding: str = "cube",
        latitude: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= scales <= len(widths):
            raise RecipeError(f"a network of {len(widths)} levels gives 1 to {len(widths)} depth maps; found {scales}")
        self.near, self.far, self.latitude = near, far, latitude
        below, encoder = 4 if latitude else 3, []
        for index, width in enumerate(widths):
            kernel = 7 if index == 0 else 3
            first = CubeConv(below, width, kernel, stride=2, padding=padding)
            encoder.append(nn.Sequential(first, CubeConv(width, width, 3, padding=padding)))
            below = width
        self.encoder = nn.ModuleList(encoder)
        outs = [max(16, widths[0] // 2), *widths[:-1]]  # of the decoder by level, shallow to deep
        self.up, self.fuse, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleDict()
        for level in reversed(range(len(widths))):
            skip = widths[level - 1] if level else 0
            self.up.append(CubeConv(below, outs[level], 3, padding=padding))
            self.fuse.append(CubeConv(outs[level] + skip, outs[level], 3, padding=padding))
            below = outs[level]
            if level < scales:
                self.heads[str(level)] = CubeConv(below, 1, 3, padding=padding, norm=False)

    def forward(self, faces: Tensor) -> list[Tensor]:
        """Map normalised faces (6 B, 3, h, h), h a multiple of 2^levels, to ranges (6 B, 1, h / 2^s, h / 2^s), s = 0, 1, ..."""
        skips = []
        x = faces
        if self.latitude:
            height = -face_rays(x.shape[-1], x.device, x.dtype)[..., 1][:, None]  # (6, 1, h, h), 1 at the zenith
            x = torch.cat([x, height.repeat(x.shape[0] // 6, 1, 1, 1)], 1)
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        depths: dict[int, Tensor] = {}
        for place, (up, fuse) in enumerate(zip(self.up, self.fuse, strict=True)):
            level = len(self.encoder) - 1 - place
            x = up(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = fuse(torch.cat([x, skips[level - 1]], 1) if level else x)
            if str(level) in self.heads:
                depths[level] = self._range(self.heads[str(level)](x))
        return [depths[level] for level in sorted(depths)]

    def _range(self, raw: Tensor) -> Tensor:
        """Inverse range between 1 / far and 1 / near; 0 answers their geometric middle."""
        low, high = 1 / self.far, 1 / self.near
        start = ((low * high) ** 0.5 - low) / (high - low)
        offset = float(torch.logit(torch.tensor(start)))
        return 1 / (low + (high - low) * (raw.float() + offset).sigmoid())


def normal_flow(faces: Tensor, targets: int) -> Tensor:
    """(6 B, 3 (T + 1), h, h), the reference first -> (6 B, 2 T, h, h): how far each neighbour's picture has moved along its own gradient, pixels, within +-3.

    Least squares of brightness constancy in windows of 5 x 5 with a prior for standing still (Lucas and Kanade 1981); 0 where there is no texture.
    """
    grey = faces.float().unflatten(1, (targets + 1, 3)).mean(2)  # (6 B, T + 1, h, h)
    grey = F.avg_pool2d(F.pad(grey, (2, 2, 2, 2), mode="replicate"), 5, 1)
    middle = grey.mean(1, keepdim=True)  # gradients of the mean hold half way between the frames
    padded = F.pad(middle, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    change = grey[:, 1:] - grey[:, :1]

    def window(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)

    xx, yy, xy = (window(value) for value in (dx * dx, dy * dy, dx * dy))
    xt, yt = window(dx * change), window(dy * change)
    prior = 0.1 * (xx + yy).mean((2, 3), keepdim=True) + 1e-6
    xx, yy = xx + prior, yy + prior
    determinant = xx * yy - xy * xy
    u, v = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
    return torch.cat([u, v], 1).clamp(-3, 3).to(faces.dtype)


class CubePoseNet(nn.Module):
    """Motion of the camera to each neighbouring frame, seen by each face on its own, and how far each pixel is explained by it.

    Args:
        targets: number of neighbouring frames. widths: channels, each level at half the size of the one before.
        masks: number of explainability maps (scales); 0 for none.
        scale: what the last layer's answers are multiplied with (0.01 in SfMLearner and BiFuse++). Radians and the network's unit of length: where the motion
            is far larger than it, the network first has to grow its last layer, and meanwhile range falls to its smallest value to make up for it.
        flow: also show the network the normal flow between the reference and each neighbour (`normal_flow`): motion is nearly linear in it, whereas a
            network has to learn the product of two pictures' differences from their colours.
    """

    def __init__(
        self,
        targets: int = 2,
        widths: Sequence[int] = (16, 32, 64, 128, 128),
        masks: int = 4,
        padding: str = "cube",
        scale: float = 0.01,
        flow: bool = False,
    ) -> None:
        super().__init__()
        self.targets, self.masks, self.scale, self.flow = targets, masks, scale, flow
        below, encoder = 3 * (targets + 1) + (2 * targets if flow else 0), []
        for index, width in enumerate(widths):
            encoder.append(CubeConv(below, width, 7 if index == 0 else 3, stride=2, padding=padding))
            below = width
        self.encoder = nn.ModuleList(encoder)
        self.motion = nn.Conv2d(below, 6 * targets, 1)
        self.explain = nn.ModuleList(
            CubeConv(widths[level], targets, 3, padding=padding, norm=False) for level in range(masks)
        )
        for layer in self.explain:  # starts with "everything is explained"
            nn.init.zeros_(layer.conv.weight)
            nn.init.constant_(layer.conv.bias, 3.0)
        turn = torch.from_numpy(face_rotations()).float()
        self.register_buffer("panorama_from_face", turn, persistent=False)

    def forward(self, faces: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map (6 B, 3 (T + 1), h, h), the reference first, to motions (B, 6, T, 6) and masks (6 B, T, h / 2^(s + 1), ...) in 0..1.

        A motion is axis-angle (radians) and translation, target <- reference, turned from the face's axes into the panorama's.
        """
        x, features = faces, []
        if self.flow:
            x = torch.cat([x, normal_flow(x, self.targets)], 1)
        for layer in self.encoder:
            x = layer(x)
            features.append(x)
        raw = self.scale * self.motion(x).mean((2, 3)).float()
        raw = raw.view(-1, 6, self.targets, 2, 3)
        motions = torch.einsum("fij,bftkj->bftki", self.panorama_from_face, raw).flatten(-2)
        return motions, [layer(feature).sigmoid() for layer, feature in zip(self.explain, features, strict=False)]
