"""MonoDETR: depth-guided transformer for 3D boxes from one picture (arXiv 2203.13310; official code ZrrSkywalker/MonoDETR).

Conventions: pictures are (3, H, W) RGB; boxes inside the network are (cx, cy, l, r, t, b), the projected 3D centre and the distances from it to the
sides of the 2D box, as fractions of the network's input; object sizes inside are (height, width, length); depth is z along the optical axis, metres.
Samples and results have camera-frame boxes [x, y, z, length, width, height, yaw] (`perception.geometry.boxes3d`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError, WeightsError
from perception.io.checkpoints import load_strictly, read_checkpoint, state_dict_of
from perception.models.monodetr.depth_predictor import DepthPredictor, conv_norm
from perception.models.monodetr.detector import MonoDetector
from perception.models.registry import register_model


@register_model
class MonoDETR(MonoDetector):
    """MonoDETR on any backbone.

    Args:
        backbone: "resnet18/34/50/101" (torchvision's layout, frozen batch norm, as released; good with pretrained weights only) or the name of any
            backbone of the zoo; or a dictionary with such a name and further arguments.
        pretrained: True = start from the backbone's published weights (downloads them); a text = start from the backbone of another model of this
            package: a bundled one by its name, a published folder, or a training checkpoint.
        strides: of the backbone's maps, each twice the one before; the depth map has the second. Published: (8, 16, 32), for pictures of 384 x 1280.
            Pictures of 96 x 320 show a car with a quarter of the pixels and need a finer start, (4, 8, 16, 32).
        top_down: add to each level the coarser one, enlarged (arXiv 1612.03144, without its convolutions): for encoders of few layers. Not published.
        **options: see `MonoDetector`.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any] = "resnet50",
        *,
        pretrained: bool | str = False,
        strides: Sequence[int] = (8, 16, 32),
        top_down: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.top_down = top_down
        dim = self.encoder.level_embed.shape[1]
        dropout, ffn_dim = self.encoder.layers[0].dropout.p, self.encoder.layers[0].linear1.out_features
        heads, levels = self.encoder.layers[0].attention.heads, self.encoder.level_embed.shape[0]
        if levels < 3 or not 3 <= len(strides) <= levels:
            raise RecipeError(
                f"MonoDETR needs at least 3 levels and 3 to that many strides; found {levels} and {list(strides)}"
            )
        self.backbone = build_backbone(backbone, pretrained is True, strides)
        if isinstance(pretrained, str):
            load_backbone(self.backbone, pretrained)
        channels = self.backbone.channels
        self.neck = nn.ModuleList(conv_norm(c, dim, 1) for c in channels)
        for index in range(levels - len(channels)):
            self.neck.append(conv_norm(channels[-1] if index == 0 else dim, dim, 3, stride=2))
        for module in self.neck.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.depth_predictor = DepthPredictor(dim, heads, ffn_dim, dropout, self.bins)

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> maps (B, dim, h, w), published: of strides 8, 16, 32, 64 (each half the one before, rounded up)."""
        maps = self.backbone(images)
        levels = [project(x) for project, x in zip(self.neck, maps, strict=False)]
        coarse = maps[-1]
        for project in self.neck[len(maps) :]:
            coarse = project(coarse)
            levels.append(coarse)
        if self.top_down:
            for index in range(len(levels) - 2, -1, -1):
                size = levels[index].shape[-2:]
                levels[index] = levels[index] + F.interpolate(
                    levels[index + 1], size, mode="bilinear", align_corners=False
                )
        return levels

    def features(self, images: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor, Tensor]]:
        """Pyramid and depth, see `MonoDetector.features`."""
        maps = self.pyramid(images)
        return maps, self.depth_predictor(maps)


def build_backbone(config: str | Mapping[str, Any], pretrained: bool, strides: Sequence[int]) -> nn.Module:
    """Maps of `strides` from a ResNet in the released layout or any backbone of the zoo."""
    from perception.models.trunks import build_backbone as build
    from perception.models.trunks.frozen_resnet import FrozenResNet, is_frozen_resnet

    arguments = {"name": config} if isinstance(config, str) else dict(config)
    if "type" not in arguments and is_frozen_resnet(arguments.get("name", "")):
        stages = tuple(int(stride).bit_length() - 2 for stride in strides)  # stage 1 has stride 4
        return FrozenResNet(**{"pretrained": pretrained, "levels": stages, **arguments})
    return build(arguments, out_strides=tuple(strides), pretrained=pretrained)


def load_backbone(backbone: nn.Module, source: str) -> None:
    """Start `backbone` from the entries ``backbone.*`` of another model of this package: its bundled name, published folder or checkpoint.

    Raises `WeightsError` when there is none, or when it is another backbone.
    """
    path = Path(source)
    if not path.exists():
        path = Path(__file__).resolve().parents[2] / "weights" / source
    if not path.exists():
        raise WeightsError(f"pretrained={source!r} is neither a bundled model, a published folder nor a checkpoint")
    state = read_checkpoint(path / "model.safetensors" if path.is_dir() else path)
    state = state_dict_of(state, keys=("ema_state_dict", "state_dict"))
    part = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    part = {key: value.float() if value.is_floating_point() else value for key, value in part.items()}
    load_strictly(backbone, part, f"the backbone of {source!r}")
