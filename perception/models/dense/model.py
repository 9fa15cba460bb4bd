"""The life of a dense model: pictures in, depth, normals and classes out. The architectures fill in `forward`.

Outputs of `forward` (all optional but for the tasks of the model), h and w the output resolution:

``log_depth``        (B, 1, h, w) log of the canonical depth (see `camera`), or ``depth`` (B, 1, h, w) metres
``normals``          (B, 3, h, w) camera frame, any length
``semantic_logits``  (B, C, h, w)
``scene_logits``     (B, 2) indoor, outdoor
``focal``            (B,) focal length in pixels of the network's picture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.dense import losses as L
from perception.models.dense.camera import CANONICAL_FOCAL, RayEmbedding, VerticalPrior, default_intrinsics, focal_of
from perception.models.dense.preprocess import Preprocess
from perception.options import with_changes

LOSS_WEIGHTS = {
    "depth": 1.0,
    "shape": 0.5,
    "gradient": 1.0,
    "normals": 1.0,
    "semantic": 0.4,
    "scene": 0.1,
    "silog": 1.0,
}


class DenseModel(nn.Module):
    """Base of `DPT` and `PolyMaX`.

    Args:
        tasks: of "depth", "normals", "semantic" (and what the architecture adds).
        num_classes, class_names: of the semantic task.
        sky_class: class without depth: pixels of it are invalid in the depth result. None: every pixel has depth.
        camera: use the camera (ray embedding); False for a network that sees the picture alone.
        ray_drop: share of training pictures whose rays are withheld, so that the network works without a camera too.
        prior: add the vertical prior to the depth.
        preprocess: keyword arguments of `Preprocess`.
        loss_weights: entries of `LOSS_WEIGHTS` to change.
        normal_loss: "cosine" or "l2".
    """

    camera_kind = "pinhole"
    known_tasks: tuple[str, ...] = ("depth", "normals", "semantic")

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        num_classes: int = 0,
        class_names: Sequence[str] = (),
        sky_class: int | None = None,
        camera: bool = True,
        ray_drop: float = 0.3,
        prior: bool = True,
        preprocess: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        normal_loss: str = "cosine",
    ) -> None:
        super().__init__()
        unknown = [task for task in tasks if task not in self.known_tasks]
        if unknown or not tasks:
            raise RecipeError(
                f"{type(self).__name__} does the tasks {', '.join(self.known_tasks)}; found {list(tasks)}"
            )
        if num_classes < 1 and {"semantic", "panoptic"} & set(tasks):
            raise RecipeError(f"{type(self).__name__} needs num_classes for the tasks {list(tasks)}")
        if class_names and len(class_names) != num_classes:
            raise RecipeError(f"num_classes is {num_classes} but {len(class_names)} class_names are given")
        self.tasks, self.num_classes = tuple(tasks), num_classes
        self.class_names, self.sky_class = tuple(class_names), sky_class
        self.camera, self.ray_drop = camera, ray_drop
        self.loss_weights = with_changes("the loss weights", self.default_loss_weights(), loss_weights)
        self.normal_loss = normal_loss
        self.preprocess = Preprocess(**(preprocess or {}))
        self.vertical_prior = VerticalPrior() if prior and "depth" in tasks else None

    @classmethod
    def default_loss_weights(cls) -> dict[str, float]:
        """Weights of the losses by name."""
        return dict(LOSS_WEIGHTS)

    # --- building blocks for the architectures ----------------------------------------------------------------------------

    def _build_camera(self, trunk: nn.Module) -> None:
        """Register the trunk's normalisation and the ray embedding of its maps."""
        mean, std = torch.tensor(trunk.mean), torch.tensor(trunk.std)
        self.register_buffer("pixel_mean", 255 * mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * std.view(1, -1, 1, 1), persistent=False)
        self.rays = RayEmbedding(trunk.channels) if self.camera else None

    def normalise(self, image: Tensor) -> Tensor:
        """Map RGB in 0..255 (uint8 or float) to the trunk's input."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def camera_of(
        self, image: Tensor, intrinsics: Tensor | None, known: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the true intrinsics (B, 3, 3), those that the network may see, and whether it sees them (B,) float.

        Without intrinsics, with `known` 0 and for the dropped share in training the network sees a default camera.
        """
        batch, _, height, width = image.shape
        default = default_intrinsics(batch, height, width, image.device)
        if intrinsics is None:
            return default, default, torch.zeros(batch, device=image.device)
        intrinsics = intrinsics.float()
        seen = torch.ones(batch, device=image.device) if known is None else known.float()
        if not self.camera:
            seen = torch.zeros_like(seen)
        if self.training and self.ray_drop > 0:
            seen = seen * (torch.rand(batch, device=image.device) >= self.ray_drop).float()
        visible = torch.where(seen.view(-1, 1, 1) > 0, intrinsics, default)
        return intrinsics, visible, seen

    def compose_log_depth(
        self, dense: Tensor, visible: Tensor, scene_logits: Tensor, log_scale: Tensor, size
    ) -> Tensor:
        """Return the log canonical depth (B, 1, h, w): dense part + global scale + vertical prior, in float32."""
        depth = dense.float() + log_scale.float().view(-1, 1, 1, 1)
        if self.vertical_prior is not None:
            depth = depth + self.vertical_prior(visible, scene_logits.float().softmax(-1), size, dense.shape[-2])
        return depth

    # --- the contract -----------------------------------------------------------------------------------------------------

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `forward` from a collated training batch (`image` (B, 3, H, W), `intrinsics` (B, 3, 3))."""
        inputs = {"image": batch["image"], "intrinsics": batch.get("intrinsics")}
        if "camera_known" in batch:
            inputs["camera_known"] = batch["camera_known"]
        return inputs

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses by name ("loss_..."), scalars; tasks whose truth the batch lacks are left out."""
        found = self._losses(outputs, outputs["focal"], batch)
        kind = _scene_kind(batch)
        if "scene_logits" in outputs and kind is not None:
            logits = outputs["scene_logits"].float()
            found["scene"] = F.cross_entropy(logits, kind.to(logits.device, non_blocking=True))
        return {f"loss_{name}": self.loss_weights[name] * value for name, value in found.items()}

    def _losses(self, outputs: Mapping[str, Tensor], focal: Tensor, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Unweighted losses of one set of maps."""
        found: dict[str, Tensor] = {}
        if "depth" in self.tasks and "depth" in batch:
            map_ = outputs["log_depth"] if "log_depth" in outputs else outputs["depth"]
            size = map_.shape[-2:]
            target = L.nearest(batch["depth"], size)
            valid = target > 1e-3
            if "depth_valid" in batch:
                valid = valid & L.nearest(batch["depth_valid"], size)
            if "log_depth" in outputs:
                log_target = target.clamp(min=1e-3).log() - (focal / CANONICAL_FOCAL).log().view(-1, 1, 1)
                found |= L.log_depth_losses(map_[:, 0], log_target, valid)
            else:
                found["silog"] = L.silog_loss(map_[:, 0], target, valid)
        if "normals" in self.tasks and "normals" in batch:
            target = L.nearest(batch["normals"], outputs["normals"].shape[-2:])
            found["normals"] = L.normal_loss(outputs["normals"], target.float(), self.normal_loss)
        if "semantic_logits" in outputs and "semantic" in batch:
            target = L.nearest(batch["semantic"], outputs["semantic_logits"].shape[-2:]).long()
            found["semantic"] = L.semantic_loss(outputs["semantic_logits"], target)
        return found

    def predict(
        self, outputs: Mapping[str, Any], cameras: Sequence[Any], sizes: Sequence[Any] | None = None
    ) -> list[Any]:
        """Return one `Prediction` a picture, at the original picture's size.

        cameras: what `preprocess` returned for each picture; or the cameras of the pictures as they went into the network, with `sizes`
            (height, width) of the results (training and evaluation of batches).
        """
        from perception.models.dense.predict import predictions

        return predictions(self, outputs, cameras, sizes)


def _scene_kind(batch: Mapping[str, Any]) -> Tensor | None:
    """Return 0 (indoor) or 1 (outdoor) a picture (B,), from `indoor` (B,) or from the world's ``meta["kind"]``; None if neither is there."""
    if "indoor" in batch:
        return (~batch["indoor"].bool()).long()
    kinds = [meta.get("kind") for meta in batch.get("meta", ()) if isinstance(meta, Mapping)]
    if not kinds or any(kind not in ("room", "street") for kind in kinds):
        return None
    return torch.tensor([int(kind == "street") for kind in kinds])


def metric_depth(outputs: Mapping[str, Tensor]) -> Tensor:
    """Return the depth (B, 1, h, w), metres z, of a dense model's outputs."""
    if "depth" in outputs:
        return outputs["depth"].float()
    focal = outputs["focal"].float().view(-1, 1, 1, 1)
    return outputs["log_depth"].float().exp() * (focal / CANONICAL_FOCAL)


__all__ = ["DenseModel", "focal_of", "metric_depth"]
