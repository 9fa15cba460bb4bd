"""CroCo v2 for stereo matching and optical flow (arXiv 2211.10408): a pre-trained binocular transformer and a dense head, no matching-specific parts.

    first picture -> encoder -> decoder (asks the second picture's tokens) -> DPT head -> disparity or flow, and how sure it is
    second picture -> encoder ---^

Disparity is that of the first (left) picture, pixels, not negative: a point at (u, v) is at (u - d, v) in the right picture. Flow moves a point of the first
picture to its place in the second one. Training batches: ``image``, ``second`` (B, 3, H, W) and ``disparity`` (B, H, W) or ``flow`` (B, 2, H, W), with
``disparity_valid`` / ``flow_valid`` (B, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.models.croco.dpt_head import LAYER_DIMS, BinocularHead, default_taps
from perception.models.croco.losses import CRITERIA, FLOW_SCALES, STEREO_BOUND
from perception.models.croco.preprocess import PairPreprocess
from perception.models.croco.tiling import Run, certainty, enlarge, predict_tiled, resize_displacements
from perception.models.croco.transformer import PATCH, CroCoTransformer
from perception.models.layers.conv import resize_picture
from perception.models.preprocess import Prepared
from perception.models.registry import register_model
from perception.ops.constants import is_tracing
from perception.options import check_choice

CHANNELS = {"stereo": 1, "flow": 2}
OUTPUT = {"stereo": "disparity", "flow": "flow"}
CRITERION = {"stereo": "laplacian-bounded-log", "flow": "laplacian-bounded"}
BLENDING = {"stereo": "conf_expsigmoid_15_3", "flow": "conf_expsigmoid_10_5"}
MULTIPLE = 32  # the head halves the patch grid once


@register_model
class CroCo(nn.Module):
    """Disparity or optical flow of two pictures.

    Args:
        size: of the transformers, see `CroCoTransformer`. task: "stereo" or "flow". tile: (H, W) that the network is trained at, multiples of 32.
        positions: "RoPE100" or "cosine". taps: four blocks, counted through encoder and decoder; None: `default_taps`.
        layer_dims, features, head_dims: of `BinocularHead`. criterion: name in `CRITERIA`; None: the task's published one.
        pretrained: file or published folder of cross-view completion to start from, official or ours.
        overlap, blending: of `predict_tiled`, for pictures larger than a tile at evaluation; the published recommendation is 0.7 (0.9 for benchmarks).
    """

    camera_kind = "pair"
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        size: str | Mapping[str, int] = "vitl-base",
        *,
        task: str = "stereo",
        tile: Sequence[int] = (352, 704),
        positions: str = "RoPE100",
        taps: Sequence[int] | None = None,
        layer_dims: Sequence[int] = LAYER_DIMS,
        features: int = 256,
        head_dims: Sequence[int] = (128, 32),
        criterion: str | None = None,
        pretrained: str | bool = False,
        overlap: float = 0.7,
        blending: str | None = None,
    ) -> None:
        """Raises `RecipeError` for options that do not exist or do not fit."""
        super().__init__()
        check_choice("CroCo's task", task, CHANNELS)
        if any(side < MULTIPLE or side % MULTIPLE for side in tile):
            raise RecipeError(
                f"the tile of CroCo must have sides that are multiples of {MULTIPLE}; found {tuple(tile)}"
            )
        if not 0 <= overlap < 1:
            raise RecipeError(f"overlap must lie in 0 <= overlap < 1; found {overlap}")
        self.criterion = criterion or CRITERION[task]
        check_choice("CroCo's criterion", self.criterion, CRITERIA)
        self.task, self.tasks = task, (OUTPUT[task],)
        self.tile, self.overlap = (int(tile[0]), int(tile[1])), float(overlap)
        self.blending = blending or BLENDING[task]
        certainty(self.blending)  # the name exists
        self.transformer = CroCoTransformer(size, positions, (self.tile[0] // PATCH, self.tile[1] // PATCH))
        depths = len(self.transformer.encoder), len(self.transformer.decoder)
        self.taps = tuple(taps) if taps is not None else default_taps(*depths)
        if len(self.taps) != 4 or not all(0 <= tap < sum(depths) for tap in self.taps):
            raise RecipeError(f"taps of CroCo are four of its {sum(depths)} blocks; found {self.taps}")
        widths = [self.transformer.enc_dim] * depths[0] + [self.transformer.dec_dim] * depths[1]
        self.head = BinocularHead([widths[t] for t in self.taps], CHANNELS[task] + 1, features, layer_dims, head_dims)
        self.preprocess = PairPreprocess(self.tile)
        self.register_buffer("pixel_mean", 255 * torch.tensor(self.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * torch.tensor(self.std).view(3, 1, 1), persistent=False)
        if pretrained:
            if pretrained is True:
                raise RecipeError("pretrained of CroCo is the path of a completion's weights; no file is downloaded")
            from perception.models.croco.weights import load_completion

            load_completion(self, pretrained)

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` and ``second`` (B, 3, H, W) 0..255. In training sides go to the nearest multiples of 32, at evaluation to at least a tile."""
        if "second" not in batch:
            raise InputError(f"{self.task} needs batches with 'second', the other picture of each pair")
        pictures = {key: batch[key] for key in ("image", "second")}
        if self.transformer.base is not None and not self.training:
            return {key: enlarge(picture, self.tile) for key, picture in pictures.items()}
        size = self.tile
        if self.transformer.base is not None:
            size = tuple(max(MULTIPLE, round(n / MULTIPLE) * MULTIPLE) for n in batch["image"].shape[-2:])
        return {key: resize_picture(picture, size) for key, picture in pictures.items()}

    def forward(self, image: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Two (B, 3, H, W) pictures, RGB 0..255 of any dtype.

        Returns ``disparity`` (B, 1, H, W) or ``flow`` (B, 2, H, W), pixels of this size, and ``confidence`` (B, H, W), raw: lower is surer. At
        evaluation other sizes than the tile's are cut into tiles.
        """
        image, second = self.normalised(image), self.normalised(second)
        if self.training or tuple(image.shape[-2:]) == self.tile:
            raw = self.infer(image, second).float()
            return {OUTPUT[self.task]: raw[:, :-1], "confidence": raw[:, -1]}
        return self.tiled(image, second)

    def normalised(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) 0..255 -> what the encoder takes."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def infer(self, first: Tensor, second: Tensor) -> Tensor:
        """Normalised pictures, sides multiples of 32 -> (B, C + 1, H, W): values, and the raw confidence last."""
        tokens = self.tokens(first, second)
        grid = (int(first.shape[-2]) // PATCH, int(first.shape[-1]) // PATCH)
        return self.head([tokens[tap] for tap in self.taps], grid)

    def tokens(self, first: Tensor, second: Tensor) -> list[Tensor]:
        """Tokens of the first picture after every block of the encoder, then of the decoder."""
        if is_tracing():  # a doubled batch would not stay free in an exported graph
            encoded, other = self.transformer.encode(first), self.transformer.encode(second)[-1]
        else:
            both = [tokens.unflatten(0, (2, -1)) for tokens in self.transformer.encode(torch.cat((first, second)))]
            encoded, other = [tokens[0] for tokens in both], both[-1][1]
        x, memory = self.transformer.to_decoder(encoded[-1]), self.transformer.to_decoder(other)
        places = self.transformer.positions(first), self.transformer.positions(second)
        return [*encoded, *self.transformer.decode(x, memory, *places)]

    def beyond_export(
        self, run: Callable[..., Mapping[str, Tensor]], image: Tensor, second: Tensor
    ) -> dict[str, Tensor]:
        """`forward` of pictures of any size, at least a tile's, with an exported file `run` that takes tiles alone."""

        def infer(first: Tensor, second: Tensor) -> Tensor:
            found = run(image=first, second=second)
            return torch.cat((found[OUTPUT[self.task]], found["confidence"][:, None]), 1)

        return self.tiled(image, second, infer)

    def tiled(self, first: Tensor, second: Tensor, infer: Run | None = None) -> dict[str, Tensor]:
        """`forward` of normalised pictures of any size, at least a tile's; infer: what predicts a tile, `infer` if left out."""
        if any(n < t for n, t in zip(first.shape[-2:], self.tile, strict=True)):
            raise InputError(f"pictures must be at least {self.tile} pixels (H, W); found {tuple(first.shape[-2:])}")
        pairs = zip(first.split(1), second.split(1), strict=True)
        found = [predict_tiled(infer or self.infer, a, b, self.tile, self.overlap, self.blending) for a, b in pairs]
        values, confidence = (torch.cat(parts) for parts in zip(*found, strict=True))
        return {OUTPUT[self.task]: values, "confidence": confidence}

    def export_inputs(self, batch: int, seed: int = 0) -> dict[str, Tensor]:
        """Example inputs of `forward` at the tile's size, the only one that an exported file takes."""
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, 3, *self.tile)
        return {
            key: torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8) for key in ("image", "second")
        }

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The criterion against ``disparity`` or ``flow``; truth that is not finite or not valid does not count."""
        name = OUTPUT[self.task]
        if name not in batch:
            raise InputError(f"training CroCo for {self.task} needs batches with {name!r}")
        truth = batch[name].float()
        truth = truth[:, None] if self.task == "stereo" else truth
        valid = torch.isfinite(truth).all(1)
        if f"{name}_valid" in batch:
            valid = valid & batch[f"{name}_valid"]
        values = resize_displacements(outputs[name].float(), truth.shape[-2:])
        scale = F.interpolate(
            outputs["confidence"].float()[:, None], truth.shape[-2:], mode="bilinear", align_corners=False
        )
        loss = CRITERIA[self.criterion](values, scale[:, 0], truth, valid)
        with torch.no_grad():
            error = torch.where(valid[:, None], values - truth, 0.0).norm(dim=1).sum() / valid.sum().clamp(min=1)
        return {"loss_match": loss, "log_error_pixels": error}

    def expected_error(self, scale: Tensor) -> Tensor:
        """Pixels that the network expects to be wrong by, from its raw confidence."""
        if self.criterion == "laplacian-bounded":
            return (FLOW_SCALES[1] - FLOW_SCALES[0]) * scale.sigmoid() + FLOW_SCALES[0]
        if self.criterion == "laplacian-bounded-log":
            scale = 2 * STEREO_BOUND * ((scale / STEREO_BOUND).sigmoid() - 0.5)
        return scale.clamp(max=20).exp()

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """One `Prediction` with ``disparity`` or ``flow`` a pair, at the first picture's size; its confidence is 1 / (1 + expected error in pixels).

        cameras: what `preprocess` returned for each pair; or cameras of the first pictures of a batch, with their `sizes` (height, width).
        """
        from perception.results import DisparityResult, FlowResult, Prediction

        results = []
        confidence = 1 / (1 + self.expected_error(outputs["confidence"].float()))
        for index, item in enumerate(cameras):
            prepared = isinstance(item, Prepared)
            camera = item.camera if prepared else item
            size = tuple(item.image.shape[:2]) if prepared else tuple(sizes[index])
            values = resize_displacements(outputs[OUTPUT[self.task]][index : index + 1].float(), size)[0].cpu()
            sure = F.interpolate(confidence[index][None, None], size, mode="bilinear", align_corners=False)
            sure = sure[0, 0].cpu().numpy()
            image = item.image if prepared else None
            if self.task == "stereo":
                part: dict[str, Any] = {
                    "disparity": DisparityResult(values[0].clamp(min=0).numpy(), camera=camera, confidence=sure)
                }
            else:
                part = {"flow": FlowResult(values.permute(1, 2, 0).numpy(), confidence=sure)}
            results.append(Prediction(camera=camera, image=image, **part))
        return results
