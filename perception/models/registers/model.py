"""Post-hoc registers (Chen et al., "Vision Transformers with Self-Distilled Registers", NeurIPS 2025, arXiv 2505.21501).

A vision transformer trained without register tokens keeps global information in some patch tokens, which spoils dense features. Here a student,
the same network plus fresh register tokens, learns from the frozen original. The teacher's features are cleaned first: it sees several shifted
and mirrored copies of a picture, and its features are averaged where they show the same patch, so artifacts, which stay with no patch, fade.
Only the registers, the patch embedding, the position table and the last block of the student learn. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError, WeightsError
from perception.models.dense.preprocess import Preprocess
from perception.models.registry import register_model


@register_model
class RegisterDistillation(nn.Module):
    """Teacher and student of one training run; the student is the result (`save_student`).

    Args:
        backbone: name of a plain vision transformer of timm without register tokens.
        registers: number of register tokens to add.
        model_args: further keyword arguments of `timm.create_model`, for teacher and student.
        pretrained, checkpoint: where the teacher's weights come from: timm's published ones, or a file in timm's layout.
        views: shifted and mirrored copies a picture that the teacher sees.
        shift: largest shift, as a share of the picture's sides; shifts are whole patches.
        unlocked: how many of the student's last blocks learn.
        preprocess: keyword arguments of `Preprocess`.
    """

    tasks = ("features",)
    unexportable = "it trains a backbone; put the student (save_student) into a head and export that"
    camera_kind = "pinhole"

    def __init__(
        self,
        backbone: str = "vit_small_patch14_dinov2",
        *,
        registers: int = 16,
        model_args: Mapping[str, Any] | None = None,
        pretrained: bool = False,
        checkpoint: str | None = None,
        views: int = 4,
        shift: float = 0.15,
        unlocked: int = 1,
        preprocess: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if registers < 1 or views < 1:
            raise RecipeError(f"registers and views should be at least 1; found {registers} and {views}")
        arguments = {"num_classes": 0, "dynamic_img_size": True, **(model_args or {})}
        overlay = {} if checkpoint is None else {"pretrained_cfg_overlay": {"file": str(checkpoint)}}
        self.teacher = timm.create_model(
            backbone, pretrained=pretrained or checkpoint is not None, **arguments, **overlay
        )
        if getattr(self.teacher, "reg_token", None) is not None or not hasattr(self.teacher, "blocks"):
            raise RecipeError(f"backbone {backbone!r} is no plain vision transformer without registers")
        self.teacher.eval().requires_grad_(False)
        self.student = timm.create_model(backbone, reg_tokens=registers, **arguments)
        load_into_student(self.student, self.teacher.state_dict())
        self._unlock(unlocked)
        self.views, self.shift = views, shift
        self.patch = tuple(self.teacher.patch_embed.patch_size)
        config = self.teacher.pretrained_cfg
        self.preprocess = Preprocess(**{"multiple": self.patch[0], **(preprocess or {})})
        for name in ("mean", "std"):
            value = torch.tensor(config[name]).view(3, 1, 1) * 255
            self.register_buffer(f"pixel_{name}", value, persistent=False)

    def _unlock(self, blocks: int) -> None:
        self.student.requires_grad_(False)
        self.student.patch_embed.requires_grad_(True)
        for block in list(self.student.blocks)[-blocks:] if blocks else []:
            block.requires_grad_(True)
        for name in ("reg_token", "pos_embed"):
            if isinstance(getattr(self.student, name, None), nn.Parameter):
                getattr(self.student, name).requires_grad_(True)

    def train(self, mode: bool = True) -> RegisterDistillation:
        super().train(mode)
        self.teacher.eval()
        return self

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W) 0..255, cut to sides that are multiples of the patch."""
        images = batch["image"]
        if not isinstance(images, Tensor):
            images = torch.stack(list(images))
        height, width = (n // p * p for n, p in zip(images.shape[-2:], self.patch, strict=True))
        if not height or not width:
            raise InputError(f"pictures should be at least one patch {self.patch}; found {tuple(images.shape[-2:])}")
        return {"image": images[..., :height, :width].to(self.pixel_mean.device)}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) 0..255 -> ``features`` (B, C, H / patch, W / patch): the student's patch tokens, without registers."""
        return {"features": dense_features(self.student, self._normalise(image))}

    def _normalise(self, image: Tensor) -> Tensor:
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Distance of the student's features to the cleaned ones of the teacher: direction (1 - cosine) and value (mean square)."""
        target = self.target(self._normalise(self.inputs(batch)["image"]))
        features = outputs["features"].float()
        cosine = F.cosine_similarity(features, target, dim=1).mean()
        return {"loss_direction": 1 - cosine, "loss_value": F.mse_loss(features, target)}

    @torch.no_grad()
    def target(self, image: Tensor) -> Tensor:
        """Teacher's features (B, C, h, w) of normalised pictures, averaged over views; each cell over the views that show it."""
        plain = dense_features(self.teacher, image).float()
        total, count = plain, torch.ones_like(plain[:1, :1])
        height, width = plain.shape[2:]
        for view in range(1, self.views):
            reach = [min(int(self.shift * n), n - 1) for n in (height, width)]
            down, right = (int(torch.randint(-r, r + 1, ())) if r else 0 for r in reach)
            moved = _shifted(image, down * self.patch[0], right * self.patch[1])
            mirrored = view % 2 == 1
            seen = dense_features(self.teacher, moved.flip(3) if mirrored else moved).float()
            seen = seen.flip(3) if mirrored else seen
            rows, columns = _overlap(height, down), _overlap(width, right)
            total[..., rows[0], columns[0]] += seen[..., rows[1], columns[1]]
            count[..., rows[0], columns[0]] += 1
        return total / count

    def predict(self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Any = None) -> list[Any]:
        """A `Prediction` without parts for each picture: features are for other networks."""
        from perception.results import Prediction

        return [Prediction() for _ in cameras]


def dense_features(network: nn.Module, image: Tensor) -> Tensor:
    """Normed patch tokens of the last block as maps (B, C, h, w)."""
    return network.forward_intermediates(image, indices=1, norm=True, intermediates_only=True)[0]


def _shifted(image: Tensor, down: int, right: int) -> Tensor:
    """Move the picture's content down and to the right by pixels; what comes in is mirrored from the border."""
    height, width = image.shape[2:]
    image = F.pad(image, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)), mode="reflect")
    top, left = max(-down, 0), max(-right, 0)
    return image[..., top : top + height, left : left + width]


def _overlap(length: int, moved: int) -> tuple[slice, slice]:
    """Cells of the original, and the cells in which the moved picture shows them."""
    first, last = max(0, -moved), min(length, length - moved)
    return slice(first, last), slice(first + moved, last + moved)


def load_into_student(student: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a network's state into the same network with registers; they have positions of zero where the table has rows for them."""
    state = dict(state)
    own = student.state_dict()
    table, wanted = state.get("pos_embed"), own.get("pos_embed")
    if table is not None and wanted.shape[1] != table.shape[1]:
        classes = student.num_prefix_tokens - own["reg_token"].shape[1]
        fresh = table.new_zeros(1, wanted.shape[1] - table.shape[1], table.shape[2])
        state["pos_embed"] = torch.cat([table[:, :classes], fresh, table[:, classes:]], 1)
    missing, unexpected = student.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"reg_token"}:
        raise WeightsError(f"the teacher's weights do not fit the student: {[*missing, *unexpected][:3]}")


def save_student(model: RegisterDistillation, path: str | Path) -> None:
    """Write the student in timm's layout: ``Backbone(name, checkpoint=path, model_args={"reg_tokens": n})`` reads it."""
    torch.save({"state_dict": {name: value.cpu() for name, value in model.student.state_dict().items()}}, path)
