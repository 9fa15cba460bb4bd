"""DPT: a trunk, a fusion decoder, one small convolutional head a task (after arXiv 2103.13413).

The plain counterpart of PolyMaX: the same trunk, camera, canonical depth and losses, but every pixel regresses its own value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from perception.models.dense.camera import focal_of
from perception.models.dense.model import DenseModel
from perception.models.dpt.decoder import DetailBranch, FusionDecoder, GlobalToken, TaskHead
from perception.models.layers.conv import set_norm_momentum
from perception.models.registry import register_model
from perception.models.trunks import build_backbone

_VALUES = {"depth": 1, "normals": 3}


@register_model
class DPT(DenseModel):
    """Depth, normals and classes of one picture.

    Args:
        backbone: a timm name or ``{"type": ..., ...}`` (`build_backbone`).
        tasks: of "depth", "normals", "semantic".
        channels: width of the decoder, one number or one a level (shallow to deep).
        units: residual units a level.
        head_channels: width of the task heads.
        detail_channels: width of the stride-2 branch for edges; 0 leaves it out.
        out_stride: stride of the outputs.
        norm_momentum: of all batch norms; None leaves them as they are built.
        dense: further arguments of `DenseModel`, by keyword.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any] = "resnet10t",
        tasks: Sequence[str] = ("depth", "normals", "semantic"),
        *,
        channels: int | Sequence[int] = 96,
        units: int = 1,
        head_channels: int = 32,
        detail_channels: int = 16,
        out_stride: int = 2,
        norm_momentum: float | None = 0.1,
        **dense: Any,
    ) -> None:
        super().__init__(tasks, **dense)
        self.backbone = build_backbone(backbone)
        self._build_camera(self.backbone)
        self.out_stride = out_stride
        self.decoder = FusionDecoder(self.backbone.channels, channels, units)
        self.token = GlobalToken(self.backbone.channels[-1], self.decoder.widths[-1])
        self.detail = DetailBranch(detail_channels) if detail_channels else None
        self.heads = nn.ModuleDict(
            {
                task: TaskHead(
                    self.decoder.widths[0], head_channels, _VALUES.get(task, self.num_classes), detail_channels
                )
                for task in self.tasks
            }
        )
        set_norm_momentum(self, norm_momentum)

    def forward(
        self, image: Tensor, intrinsics: Tensor | None = None, camera_known: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Map RGB 0..255 (B, 3, H, W) and intrinsics (B, 3, 3) in its pixels to the outputs listed in `dense.model`, at ceil(H / out_stride).

        camera_known: (B,) 0 where the intrinsics are a guess that the network should not rely on.
        """
        size = tuple(image.shape[-2:])
        intrinsics, visible, seen = self.camera_of(image, intrinsics, camera_known)
        picture = self.normalise(image)
        features = self.backbone(picture)
        token = self.token(features[-1])
        if self.rays is not None:
            features = self.rays(features, visible, seen, size)
        x = self.decoder(features, token["context"])
        detail = self.detail(picture) if self.detail is not None else None
        out_size = (
            -(-size[0] // self.out_stride),
            -(-size[1] // self.out_stride),
        )  # whole numbers: math.ceil does not export
        values = {task: head(x, out_size, detail) for task, head in self.heads.items()}
        outputs: dict[str, Tensor] = {"focal": focal_of(intrinsics), "scene_logits": token["scene_logits"]}
        if "depth" in values:
            outputs["log_depth"] = self.compose_log_depth(
                values["depth"], visible, token["scene_logits"], token["log_scale"], size
            )
        if "normals" in values:
            outputs["normals"] = values["normals"]
        if "semantic" in values:
            outputs["semantic_logits"] = values["semantic"]
        return outputs
