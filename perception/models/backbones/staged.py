"""What timm expects of a network, once for all architectures of this folder: a stem, stages, a norm and a classifier.

A subclass sets `stem` (picture -> state), `stages` (each state -> state, a `Stage`), `norm` and `head`, and ends its `__init__` with
`describe`. A state is an NCHW map, or (map, class token) where an architecture has one. From that follow timm's `features_only`,
`forward_intermediates`, gradient checkpointing, layer groups for learning-rate decay, pruning and the classifier's life.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perception.io.checkpoints import load_strictly
from perception.models.layers.weight_files import rename, state_of

State = Tensor | tuple[Tensor, Tensor]


class Stage(nn.Module):
    """Blocks of one resolution; `run` applies them, each behind a gradient checkpoint where that is switched on."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.grad_checkpointing = False

    def run(self, x: Tensor, *extra: Any) -> Tensor:
        """Apply the blocks to x; `extra` goes to every block."""
        for block in self.blocks:
            if self.grad_checkpointing and torch.is_grad_enabled() and not torch.jit.is_scripting():
                x = checkpoint(block, x, *extra, use_reentrant=False)
            else:
                x = block(x, *extra)
        return x


class StagedTrunk(nn.Module):
    """Base of the architectures; see the module's text.

    Attributes:
        first_conv: name of the convolution that sees the picture (timm adapts it to other numbers of channels).
        takes_img_size: whether the constructor takes `img_size`; elsewhere timm's argument of that name is dropped.
    """

    first_conv = "stem.0"
    takes_img_size = False

    stem: nn.Module
    stages: nn.ModuleList
    norm: nn.Module
    head: nn.Module

    def describe(
        self, channels: Sequence[int], strides: Sequence[int], classes: int, head_in: int | None = None
    ) -> None:
        """Set what timm asks: channels and strides of the stages, width before the classifier; builds the classifier."""
        self.feature_info = [
            {"num_chs": c, "reduction": s, "module": f"stages.{i}"}
            for i, (c, s) in enumerate(zip(channels, strides, strict=True))
        ]
        self.num_features = channels[-1]
        self.head_hidden_size = head_in or channels[-1]
        self.reset_classifier(classes)

    # What a subclass may replace -------------------------------------------------------------------------------

    def embed(self, image: Tensor) -> State:
        """Picture (B, C, H, W) to the first stage's input."""
        return self.stem(image)

    def normed_map(self, feature: Tensor) -> Tensor:
        """The last stage's map (B, C, h, w) after the final norm, where that applies to maps."""
        return feature

    def finish(self, state: State) -> Tensor:
        """What `forward_features` returns: the last map, or (B, 1 + h*w, C) tokens with the class token first."""
        return self.normed_map(state)  # type: ignore[arg-type]

    def pooled(self, features: Tensor) -> Tensor:
        """`forward_features`' result to (B, head_hidden_size)."""
        return features.mean((2, 3))

    # timm's interface ------------------------------------------------------------------------------------------

    def _run(self, image: Tensor, last: int) -> list[State]:
        state, states = self.embed(image), []
        for stage in self.stages[: last + 1]:
            state = stage(state)
            states.append(state)
        return states

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps (B, C, h, w) of the stages in `indices` (all if None, the last n if a number), and unless `intermediates_only` the
        final features before them. `norm` applies the final norm to the last stage's map."""
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt should be 'NCHW' for {type(self).__name__}; found {output_fmt!r}")
        take, last = feature_take_indices(len(self.stages), indices)
        states = self._run(x, last if stop_early or intermediates_only else len(self.stages) - 1)
        maps = [state if isinstance(state, Tensor) else state[0] for state in states]
        if norm and len(maps) == len(self.stages):
            maps[-1] = self.normed_map(maps[-1])
        chosen = [maps[i] for i in take]
        return chosen if intermediates_only else (self.finish(states[-1]), chosen)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the stages after the last of `indices`, and the norm and classifier if asked; returns the indices."""
        take, last = feature_take_indices(len(self.stages), indices)
        self.stages = self.stages[: last + 1]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0)
        return take

    def forward_features(self, x: Tensor) -> Tensor:
        return self.finish(self._run(x, len(self.stages) - 1)[-1])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.pooled(x)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures (B, C, H, W) to logits (B, classes)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        self.num_classes = num_classes
        self.head = nn.Linear(self.head_hidden_size, num_classes) if num_classes else nn.Identity()

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        for stage in self.stages:
            stage.grad_checkpointing = enable

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Layers, shallow to deep: the stem, each block (its stage's downsampling with its first block), the final norm."""
        if coarse:
            return {"stem": r"^stem|^position", "blocks": [(r"^stages\.(\d+)", None), (r"^norm|^projection", (99999,))]}
        blocks = [
            (r"^stages\.(\d+)\.blocks\.(\d+)", None),
            (r"^stages\.(\d+)\.", (0,)),
            (r"^norm|^projection", (99999,)),
        ]
        return {"stem": r"^stem|^position", "blocks": blocks}


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Stochastic depth of every block: linear from 0 at the first to `rate` at the last, grouped by stage."""
    last = max(sum(depths) - 1, 1)
    rates = [rate * i / last for i in range(sum(depths))]  # no tensor: networks are also built on the meta device
    return [[rates.pop(0) for _ in range(depth)] for depth in depths]


def initialise(module: nn.Module) -> None:
    """Truncated normal (0.02) weights and zero biases for linear layers."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


Rules = list[tuple[str, str | None]]


def register_sizes(
    module: str,
    network: type[StagedTrunk],
    sizes: Mapping[str, dict[str, Any]],
    rules: Rules,
    config: Callable[[str], dict[str, Any]] | None = None,
    prepare: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None = None,
) -> None:
    """Register every size of an architecture with timm, under the name that is its key.

    Args:
        module: `__name__` of the architecture's module.
        network: the class that `sizes` holds the keyword arguments of.
        rules: renaming of official checkpoint entries to ours (see `weight_files.rename`).
        config: name -> entries of timm's pretrained configuration beside the usual ones (`tag` names the weights).
        prepare: changes an official state before it is renamed (folding, dropping buffers).
    """
    home = sys.modules[module]
    configs = {}
    for name in sizes:
        entries = config(name) if config else {}
        tag = entries.pop("tag", "")
        side = entries.pop("side", 224)
        configs[f"{name}.{tag}" if tag else name] = {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, side, side),
            "pool_size": None,
            "crop_pct": 1.0 if side > 224 else 0.9,
            "interpolation": "bicubic",
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "first_conv": network.first_conv,
            "classifier": "head",
            **entries,
        }
    home.default_cfgs = generate_default_cfgs(configs)

    def convert(state: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
        """Official state (or one of our own) to this model's names."""
        state = state_of(state)
        if any(key.startswith("stages.0.blocks.") for key in state):  # ours already
            return state
        if prepare is not None:
            state = prepare(state, model)
        return rename(state, rules)

    home.checkpoint_filter_fn = convert
    network.convert_official = staticmethod(convert)
    for name, arguments in sizes.items():
        register_model(_entry(name, module, network, arguments, convert))


def _entry(
    name: str, module: str, network: type, arguments: dict[str, Any], convert: Callable
) -> Callable[..., nn.Module]:
    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        count = len(arguments["depths"])
        return build_model_with_cfg(
            network,
            name,
            pretrained,
            pretrained_filter_fn=convert,
            feature_cfg={"out_indices": tuple(range(count)), "feature_cls": "getter"},
            kwargs_filter=("img_size",) if not network.takes_img_size else None,
            **{**arguments, **kwargs},
        )

    create.__name__ = create.__qualname__ = name
    create.__module__ = module
    create.__doc__ = f"{network.__name__} {name}; see this module."
    return create


def load_official(model: nn.Module, checkpoint: Any) -> None:
    """Load an official checkpoint (path or state) strictly into a model of this folder. Raises `WeightsError`."""
    load_strictly(model, model.convert_official(state_of(checkpoint), model))
