"""Cross-view completion (CroCo, arXiv 2210.10716): fill in a mostly hidden picture with the help of a second view of the scene.

    first picture, a tenth of its patches -> encoder -> decoder (hidden patches are one learned token) -> pixels of every patch
    second picture, all patches           -> encoder ----^ cross-attention

To solve it a network must find out what corresponds to what, which is what stereo and flow need: `CroCo` starts from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import InputError, RecipeError
from perception.models.croco.losses import completion_loss
from perception.models.croco.preprocess import PairPreprocess
from perception.models.croco.transformer import (
    PATCH,
    CroCoTransformer,
    image_of,
    masked_tokens,
    patches_of,
)
from perception.models.layers.conv import resize_picture
from perception.models.registry import register_model
from perception.ops.constants import cached_constants


@register_model
class CroCoCompletion(nn.Module):
    """Pre-training. Batches: ``image`` and ``second`` (B, 3, H, W), two views of a scene; labels are never looked at.

    Args:
        size: of the transformers, see `CroCoTransformer`. image_size: (H, W) of the pictures, multiples of 16. positions: "RoPE100" (v2) or "cosine" (v1).
        mask_ratio: share of hidden patches. normalise: compare with patches of mean 0 and variance 1.
    """

    tasks = ("completion",)
    unexportable = (
        "it hides patches at random to learn without labels; export the CroCo model that begins with its weights"
    )
    camera_kind = "pair"
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        size: str | Mapping[str, int] = "vitl-base",
        *,
        image_size: Sequence[int] = (224, 224),
        positions: str = "RoPE100",
        mask_ratio: float = 0.9,
        normalise: bool = True,
    ) -> None:
        """Raises `RecipeError` for options that do not exist or do not fit."""
        super().__init__()
        if any(side < PATCH or side % PATCH for side in image_size):
            raise RecipeError(f"image_size of CroCo must be multiples of {PATCH}; found {tuple(image_size)}")
        if not 0 < mask_ratio < 1:
            raise RecipeError(f"mask_ratio must lie between 0 and 1; found {mask_ratio}")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        grid = (self.image_size[0] // PATCH, self.image_size[1] // PATCH)
        self.mask_ratio, self.normalise = mask_ratio, normalise
        self.transformer = CroCoTransformer(size, positions, grid)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.transformer.dec_dim))
        self.out = nn.Linear(self.transformer.dec_dim, 3 * PATCH * PATCH)
        nn.init.normal_(self.mask_token, std=0.02)
        self.preprocess = PairPreprocess(self.image_size)
        self.register_buffer("pixel_mean", 255 * torch.tensor(self.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * torch.tensor(self.std).view(3, 1, 1), persistent=False)

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` and ``second`` (B, 3, H, W) 0..255, resized to `image_size`; the batch's ``mask`` (B, N) where it has one."""
        if "second" not in batch:
            raise InputError("cross-view completion needs batches with 'second', another view of each picture's scene")
        found = {key: resize_picture(batch[key], self.image_size) for key in ("image", "second")}
        return found | ({"mask": batch["mask"]} if "mask" in batch else {})

    def forward(self, image: Tensor, second: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """(B, 3, H, W) RGB 0..255, twice; mask (B, N) bool, True = hidden, equally many in each picture.

        Without `mask` it is drawn in training, and one fixed mask at evaluation. Returns ``patches`` (B, N, 768) of normalised pixels and ``mask``.
        """
        image, second = self.normalised(image), self.normalised(second)
        if mask is None:
            count = (image.shape[-2] // PATCH) * (image.shape[-1] // PATCH)
            hidden = int(self.mask_ratio * count)
            if self.training:
                mask = masked_tokens(count, hidden, len(image), image.device)
            else:
                mask = _fixed_mask(count, hidden, image.device).expand(image.shape[0], -1)
        return {"patches": self.complete(image, second, mask), "mask": mask}

    def normalised(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) 0..255 -> what the encoder takes."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def visible_tokens(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder tokens (B, K, enc_dim) of the patches of a normalised picture that `mask` does not hide, in raster order, and their numbers (B, K)."""
        count = int((~mask[0]).sum()) if not torch.compiler.is_compiling() else self._visible(mask.shape[1])
        visible = mask.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]
        return self.transformer.encode(image, visible)[-1], visible

    def _visible(self, count: int) -> int:
        return count - int(self.mask_ratio * count)

    def complete(self, image: Tensor, second: Tensor, mask: Tensor) -> Tensor:
        """Normalised pictures and mask -> (B, N, 768) pixels of every patch."""
        tokens, visible = self.visible_tokens(image, mask)
        tokens = self.transformer.to_decoder(tokens)
        full = self.mask_token.to(tokens.dtype).expand(image.shape[0], mask.shape[1], -1)
        full = full.scatter(1, visible[..., None].expand(-1, -1, tokens.shape[-1]), tokens)
        memory = self.transformer.to_decoder(self.transformer.encode(second)[-1])
        places = self.transformer.positions(image), self.transformer.positions(second)
        return self.out(self.transformer.decode(full, memory, *places)[-1])

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Squared error of the hidden patches."""
        image = self.normalised(resize_picture(batch["image"], self.image_size)).float()
        return {
            "loss_completion": completion_loss(
                outputs["patches"].float(), patches_of(image), outputs["mask"], self.normalise
            )
        }

    @torch.no_grad()
    def predict(self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Any = None) -> list[Any]:
        """A `Prediction` whose image is the completed picture at network size; with `normalise` its patches have lost their own brightness."""
        from perception.results import Prediction

        grid = (self.image_size[0] // PATCH, self.image_size[1] // PATCH)
        pictures = image_of(outputs["patches"].float(), grid) * self.pixel_std + self.pixel_mean
        arrays = pictures.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [Prediction(image=array) for array in arrays[: len(cameras)]]


@cached_constants(maxsize=16)
def _fixed_mask(count: int, hidden: int, device: torch.device) -> Tensor:
    """(1, count) bool, always the same patches: every patch whose place in a golden-ratio sequence is early."""
    order = (torch.arange(count, dtype=torch.float64) * 0.6180339887498949 % 1).argsort()
    mask = torch.zeros(1, count, dtype=torch.bool)
    mask[0, order[:hidden]] = True
    return mask.to(device)
