"""Any timm model as a multi-scale trunk: NCHW maps with true strides, for pictures of any size.

What a model needs is found out when it is built, by creating it and running it once on a small picture; there is no table of names:

* whether it takes other sizes than its own (directly, with ``dynamic_img_size`` or with ``strict_img_size=False``), and of which
  the sides must be multiples; a model that has one size only sees the picture stretched to that size;
* whether its maps are NCHW or NHWC, their true strides and channels;
* whether it is a pyramid ("native") or has one stride (a plain ViT), which is made into a pyramid by a simple feature pyramid ("sfp",
  ViTDet, arXiv 2203.16527) or from four depths ("dpt", arXiv 2103.13413).

Pictures are padded at the right and the bottom (edge pixels repeated) and the maps are cut back to ceil(side / stride) cells.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError, WeightsError, nearest
from perception.models.backbones import cswin, cvt, hornet, rmt, soft, sret, transnext  # noqa: F401 (registered with timm)
from perception.models.backbones.polyphase import polyphase_anchor, unroll_map
from perception.models.layers.conv import resize
from perception.models.layers.flow_attention import use_flow_attention
from perception.models.layers.pyramid import ReassemblePyramid, SimplePyramid
from perception.models.layers.token_clustering import TokenClustering
from perception.options import check_choice

MODES = ("auto", "native", "sfp", "dpt")
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Level(NamedTuple):
    """One map of a timm model: its place in the model's list of outputs, its stride and channels, and where the channels stand."""

    index: int
    stride: int
    channels: int
    channels_last: bool


class _Probed(NamedTuple):
    arguments: dict[str, Any]  # keyword arguments that `timm.create_model` needs
    multiple: int  # sides of the input must be multiples of it; 0 for a model of one size
    fixed_size: tuple[int, int] | None
    levels: list[Level]
    parameters: int = 0  # of the model as `arguments` make it


class Backbone(nn.Module):
    """A timm model as trunk.

    Args:
        name: any name of `list_backbones()`, with or without a tag of its weights.
        out_strides: strides of the maps, shallow to deep. A model of one stride p gives round(p x stride / 16) in their place (a patch-14
            network 3.5, 7, 14, 28 for 4, 8, 16, 32); read `strides`.
        pretrained: load timm's published weights (needs the network or timm's cache).
        mode: "native" (the model's own pyramid), "sfp", "dpt", or "auto": native where there is a pyramid, else dpt.
        img_size: (height, width) or side for models of one size; elsewhere it sizes position tables.
        in_channels: channels of the picture.
        pyramid_channels: width of the maps in the modes "sfp" (each) and "dpt" (the deepest; half as many a level up). None: the model's.
        model_args: further keyword arguments of `timm.create_model` (``{"reg_tokens": 4}`` adds register tokens to a plain ViT).
        checkpoint: file of weights for the timm model, in timm's or the official layout; instead of `pretrained`.
        attention: "flow" puts flow attention (linear in the number of tokens, to be trained from scratch) into a plain ViT.
        token_clustering: True or the settings of `TokenClustering`: fewer tokens in a plain ViT's later blocks at evaluation.
        shift_equivariant: anchor pictures by polyphase (`polyphase_anchor`) and move the maps back.

    Attributes:
        channels, strides: of each returned map; strides may be fractions for patch sizes that are not powers of two.
        mean, std: normalisation that the model's published weights expect, for pictures scaled to 0..1.

    Raises `RecipeError` for names, modes and arguments that do not exist, and `InputError` for models that cannot serve as a trunk.
    """

    activation = None

    def __init__(
        self,
        name: str,
        out_strides: Sequence[int] = (4, 8, 16, 32),
        pretrained: bool = False,
        mode: str = "auto",
        img_size: int | tuple[int, int] | None = None,
        *,
        in_channels: int = 3,
        pyramid_channels: int | None = None,
        model_args: dict[str, Any] | None = None,
        checkpoint: str | None = None,
        attention: str | None = None,
        token_clustering: bool | dict[str, Any] | None = None,
        shift_equivariant: bool = False,
    ) -> None:
        super().__init__()
        check_choice("a backbone's mode", mode, MODES)
        if not timm.is_model(name):
            raise RecipeError(f"timm has no model {name!r}.{nearest(name.split('.')[0], timm.list_models())}")
        arguments = {"features_only": True, "in_chans": in_channels, **(model_args or {})}
        if img_size is not None:
            arguments["img_size"] = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        probed = probe(name, arguments)
        pyramid = _is_pyramid(probed.levels)
        if mode == "native" and not pyramid:
            raise RecipeError(
                f"backbone {name!r} has maps of stride {sorted({v.stride for v in probed.levels})} only, so mode 'native' cannot work; use 'sfp' or 'dpt'"
            )
        self.mode = ("native" if pyramid else "dpt") if mode == "auto" else mode
        if self.mode != "native" and "out_indices" not in probed.arguments:
            probed = _with_taps(name, probed, 4 if self.mode == "dpt" else 1)
        elif self.mode == "native" and "out_indices" not in probed.arguments:
            probed = _without_tail(name, probed, tuple(out_strides))
        net = _create(name, probed.arguments, pretrained, checkpoint)
        self.name, self.net, self.multiple, self.fixed_size = name, net, probed.multiple, probed.fixed_size
        self._set_levels(probed.levels, tuple(out_strides), pyramid_channels)
        self.shift_equivariant = shift_equivariant
        self._set_options(attention, token_clustering)
        config = timm.get_pretrained_cfg(name, allow_unregistered=True)
        self.mean = tuple(getattr(config, "mean", None) or _IMAGENET[0])
        self.std = tuple(getattr(config, "std", None) or _IMAGENET[1])

    def _set_levels(self, levels: list[Level], out_strides: tuple[int, ...], width: int | None) -> None:
        """Choose the levels to keep and build what makes the missing ones."""
        if self.mode == "native":
            # The last level of a stride: the deepest, most refined one.
            chosen = {level.stride: level for level in levels}
            self._levels = [chosen[s] for s in sorted(chosen) if s in out_strides] or [levels[-1]]
            self.pyramid: nn.Module = _Completion(self._levels, out_strides)
        else:
            self._levels = levels
            last = levels[-1]
            scales = tuple(_scale(stride) for stride in out_strides)
            if self.mode == "sfp":
                self._levels = [last]
                self.pyramid = SimplePyramid(last.channels, last.stride, scales, width)
            else:
                taps = (levels * 4)[:4] if len(levels) < 4 else levels[-4:]
                if len(out_strides) > 4:
                    raise RecipeError(f"mode 'dpt' makes at most 4 maps, found {len(out_strides)} strides")
                self._levels = taps[-len(out_strides) :]
                self.pyramid = ReassemblePyramid([t.channels for t in self._levels], last.stride, scales, width)
        self.channels, self.strides = list(self.pyramid.channels), list(self.pyramid.strides)

    def _set_options(self, attention: str | None, token_clustering: bool | dict[str, Any] | None) -> None:
        vit = getattr(self.net, "model", self.net)
        if attention is not None:
            if attention != "flow":
                raise RecipeError(f"attention should be 'flow' or None; found {attention!r}")
            if not use_flow_attention(vit):
                raise RecipeError(f"backbone {self.name!r} has no plain self-attention that flow attention can replace")
        self.token_clustering: TokenClustering | None = None
        if token_clustering:
            settings = {} if token_clustering is True else dict(token_clustering)
            taps = getattr(self.net, "out_indices", None)
            self.token_clustering = TokenClustering(vit, **{"taps": taps, **settings})

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map normalised pictures (B, in_channels, H, W) of any size to maps (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))."""
        height, width = image.shape[-2:]
        if self.fixed_size is not None:
            image = resize(image, self.fixed_size)
        else:
            pad = (-width % self.multiple, -height % self.multiple)
            if any(pad):
                image = F.pad(image, (0, pad[0], 0, pad[1]), mode="replicate")
        if self.shift_equivariant:
            image, offset = polyphase_anchor(image, max(level.stride for level in self._levels))
        outputs = self.net(image)
        maps = []
        for level in self._levels:
            feature = outputs[level.index]
            maps.append(feature.permute(0, 3, 1, 2) if level.channels_last else feature)
        maps = self.pyramid(maps)
        if self.shift_equivariant:
            maps = [unroll_map(feature, offset, stride) for feature, stride in zip(maps, self.strides, strict=True)]
        sizes = [(_cells(height, s), _cells(width, s)) for s in self.strides]
        if self.fixed_size is not None:
            return [resize(feature, size) for feature, size in zip(maps, sizes, strict=True)]
        return [feature[..., : size[0], : size[1]] for feature, size in zip(maps, sizes, strict=True)]


def _cells(side: int, stride: float) -> int:
    """ceil(side / stride) in whole numbers, also for fractional strides (3.5) and while a graph with free sizes is recorded."""
    fraction = Fraction(stride)
    return -(-side * fraction.denominator // fraction.numerator)


class _Completion(nn.Module):
    """Fill in the strides that a native pyramid lacks: finer ones by transposed convolutions, coarser ones by max-pooling."""

    def __init__(self, levels: list[Level], out_strides: tuple[int, ...]) -> None:
        super().__init__()
        own = [level.stride for level in levels]
        self.plan: list[tuple[int, int]] = []  # (source among `levels`, number of poolings)
        self.channels, self.strides = [], list(out_strides)
        self.up = nn.ModuleDict()
        for place, stride in enumerate(out_strides):
            if stride in own:
                source, pools = own.index(stride), 0
            elif stride > own[-1]:
                source, pools = len(own) - 1, round(math.log2(stride / own[-1]))
            else:
                source, pools = next(i for i, s in enumerate(own) if s > stride), 0
                factor = own[source] // stride
                self.up[str(place)] = nn.ConvTranspose2d(
                    levels[source].channels, levels[source].channels, factor, factor
                )
            if own[source] * 2**pools != stride and str(place) not in self.up:
                raise RecipeError(f"stride {stride} cannot be made from the strides {own} by halving or doubling")
            self.plan.append((source, pools))
            self.channels.append(levels[source].channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        outputs = []
        for place, (source, pools) in enumerate(self.plan):
            feature = maps[source]
            if str(place) in self.up:
                feature = self.up[str(place)](feature)
            for _ in range(pools):
                feature = F.max_pool2d(feature, 2, ceil_mode=True)
            outputs.append(feature)
        return outputs


def list_backbones(filter: str = "") -> list[str]:
    """Return the names that `Backbone` takes, sorted; `filter` is a shell pattern such as ``"convnext*"``. Not all of them can be a trunk."""
    return sorted(timm.list_models(filter))


def _scale(stride: int) -> float:
    """Scale of a map against a plain ViT's own grid: output strides are written for patch 16."""
    scale = 16 / stride
    if math.log2(scale) % 1 or not 0.25 <= scale <= 8:
        raise RecipeError(f"output strides of a plain ViT are powers of two from 2 to 64, found {stride}")
    return scale


def _is_pyramid(levels: list[Level]) -> bool:
    strides = {level.stride for level in levels}
    return len(strides) > 1 and all(math.log2(s) % 1 == 0 for s in strides)


def _create(name: str, arguments: dict[str, Any], pretrained: bool = False, checkpoint: str | None = None) -> nn.Module:
    if checkpoint is not None:
        if not Path(checkpoint).is_file():
            raise WeightsError(f"the backbone's checkpoint {checkpoint!r} does not exist; give the path of a file")
        arguments, pretrained = {**arguments, "pretrained_cfg_overlay": {"file": str(checkpoint)}}, True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm speaks of unused keys of its own configurations
        return timm.create_model(name, pretrained=pretrained, **arguments)


def _attempts(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for extra in ({"dynamic_img_size": True}, {"strict_img_size": False}, {}):
        yield {**extra, **arguments}


def probe(name: str, arguments: dict[str, Any], numbers: bool = True) -> _Probed:
    """`_probe` without numbers where a model allows it (meta tensors: shapes alone, no memory, no time), else with them.

    A model that takes one size only is tried again with numbers, since it may be the meta tensors that other sizes failed on;
    ``numbers=False`` spares that, and raises `InputError` where nothing works without numbers.
    """
    try:
        with torch.device("meta"):
            probed = _probe(name, arguments)
        if probed.fixed_size is None or not numbers:
            return probed
    except (InputError, RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        if not numbers:
            raise InputError(f"backbone {name!r} cannot be probed without numbers: {error}") from None
    return _probe(name, arguments)


def _probe(name: str, arguments: dict[str, Any]) -> _Probed:
    """Find arguments and sizes with which the model runs, and the shapes it returns. Raises `InputError` if there are none."""
    reason: BaseException | None = None
    fallback: tuple[dict[str, Any], nn.Module] | None = None
    for attempt in _attempts(arguments):
        try:
            net = _create(name, attempt).eval()
        except TypeError as error:  # an argument that this family does not have
            reason = error
            continue
        except (RuntimeError, ValueError, AssertionError, AttributeError, NotImplementedError, IndexError) as error:
            reason = error
            continue
        fallback = (attempt, net)
        step = math.lcm(*(int(s) for s in net.feature_info.reduction()))
        if step > 1024:
            break
        for factor in (1, 2):
            multiple = step * factor
            if multiple * 5 > 2400:
                break
            levels, reason = _run(net, (2 * multiple, 3 * multiple), arguments["in_chans"], reason)
            if levels and _run(net, (3 * multiple, 5 * multiple), arguments["in_chans"], None)[0] == levels:
                return _Probed(attempt, multiple, None, levels, _count(net))
    if fallback is not None:
        attempt, net = fallback
        size = arguments.get("img_size") or _own_size(name)
        if "img_size" not in arguments and any(side % step for side in size):
            rounded = tuple(-(-side // step) * step for side in size)
            try:  # LeViT: 224 is no multiple of its stride 64, 256 is
                net = _create(name, attempt | {"img_size": rounded}).eval()
                attempt, size = attempt | {"img_size": rounded}, rounded
            except (TypeError, RuntimeError, ValueError):
                pass
        levels, reason = _run(net, size, arguments["in_chans"], reason)
        if levels:
            return _Probed(attempt, 0, size, levels, _count(net))
    text = str(reason).splitlines()[0] if reason and str(reason) else type(reason).__name__
    raise InputError(f"backbone {name!r} cannot serve as a trunk: it gives no feature maps here ({text})")


def _count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _own_size(name: str) -> tuple[int, int]:
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    size = getattr(config, "input_size", None) or (3, 224, 224)
    return tuple(size[1:])


def _run(
    net: nn.Module, size: tuple[int, int], channels: int, reason: BaseException | None
) -> tuple[list[Level] | None, BaseException | None]:
    """Run once and read off the levels; None and the error if it fails or the maps are no grid of the picture."""
    try:
        with torch.no_grad():
            outputs = net(torch.zeros(1, channels, *size))
    except Exception as error:  # whatever a model of another family may raise on a size that it does not take
        return None, error
    levels = []
    for index, (output, expected) in enumerate(zip(outputs, net.feature_info.channels(), strict=True)):
        if output.ndim != 4:
            return None, InputError(f"output {index} has shape {tuple(output.shape)}, not a map")
        last = output.shape[-1] == expected and output.shape[1] != expected
        grid = output.shape[1:3] if last else output.shape[-2:]
        strides = [round(side / cells) for side, cells in zip(size, grid, strict=True)]
        if strides[0] != strides[1] or any(s * c != side for s, c, side in zip(strides, grid, size, strict=True)):
            return None, InputError(f"output {index} is {tuple(grid)} cells for a picture of {size}")
        levels.append(Level(index, strides[0], output.shape[-1] if last else output.shape[1], last))
    return levels, reason


def _with_taps(name: str, probed: _Probed, count: int) -> _Probed:
    """Ask a single-stride model for maps at 1/4, 2/4, 3/4 and 4/4 of its depth."""
    if probed.fixed_size is None:
        try:
            with torch.device("meta"):
                return _tapped(name, probed, count)
        except (RuntimeError, NotImplementedError):
            pass
    return _tapped(name, probed, count)


def _without_tail(name: str, probed: _Probed, out_strides: tuple[int, ...]) -> _Probed:
    """Leave out the stages behind the last map that is asked for: they would cost time, and never get a gradient."""
    wanted = [i for i, level in enumerate(probed.levels) if level.stride in out_strides]
    if not wanted or wanted[-1] == len(probed.levels) - 1:
        return probed
    kept = probed.levels[: wanted[-1] + 1]
    arguments = {**probed.arguments, "out_indices": tuple(range(len(kept)))}
    size = probed.fixed_size or (2 * probed.multiple, 3 * probed.multiple)
    try:
        levels, _ = _run(_create(name, arguments).eval(), size, arguments["in_chans"], None)
    except Exception:  # not every family of timm can be cut
        return probed
    return _Probed(arguments, probed.multiple, probed.fixed_size, levels) if levels == kept else probed


def _tapped(name: str, probed: _Probed, count: int) -> _Probed:
    net = _create(name, probed.arguments)
    depth = len(net.feature_info.info)
    if depth < count or not hasattr(net, "out_indices"):
        return probed
    taps = [max(0, round(depth * (i + 1) / count) - 1) for i in range(count)]
    arguments = {**probed.arguments, "out_indices": taps}
    try:
        net = _create(name, arguments).eval()
    except Exception:
        return probed
    size = probed.fixed_size or (2 * probed.multiple, 3 * probed.multiple)
    levels, _ = _run(net, size, arguments["in_chans"], None)
    if not levels or len({level.stride for level in levels}) > 1:
        return probed
    return _Probed(arguments, probed.multiple, probed.fixed_size, levels)
