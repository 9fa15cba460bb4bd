"""Token clustering as a switch on plain vision transformers: fewer tokens in the later blocks, nothing trained.

Liang et al., "Expediting Large-Scale Vision Transformer for Dense Prediction without Fine-tuning" (NeurIPS 2022, arXiv 2210.01035); the
numerics are in `perception.ops.token_clustering`. After block `after`, the patch tokens of an H x W grid become h x w cluster centres; the
later blocks see those (class and register tokens pass by), and wherever features are handed out the H x W tokens are reconstructed.

It hangs on the blocks by hooks, so parameter names stay, and any network with `patch_embed` and `blocks` over (B, N, C) tokens takes it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import InputError, RecipeError
from perception.ops.token_clustering import Clustering, cluster_tokens, reconstruct_tokens
from perception.options import check_choice


class TokenClustering:
    """The switch.

    Args:
        vit: a network with `patch_embed` (a patch size or a convolution) and `blocks`, called with (B, 3, H, W).
        after: block (0-based) whose output is clustered; a fraction counts from the depth (0.375: after block 9 of 24, as published for ViT-L).
        clusters: (h, w) centres, or their number a side as a share of the grid's.
        iterations, temperature, window: of the clustering, see `cluster_tokens`.
        neighbours, normalise: of the reconstruction: "sum" (the paper's), "l2" (its code's) or "nearest" (a copy of the nearest centre).
        taps: blocks whose outputs are used; None for the last alone.
        prefix: number of class and register tokens; None to ask the network (`num_prefix_tokens`, else 1 with a `cls_token`, else 0).

    It acts at evaluation only. Raises `RecipeError` for networks and settings that do not fit, `InputError` for tokens that are no grid.
    """

    def __init__(
        self,
        vit: nn.Module,
        *,
        after: int | float = 0.375,
        clusters: float | Sequence[int] = 0.7,
        iterations: int = 5,
        temperature: float = 0.02,
        window: int = 5,
        neighbours: int = 20,
        normalise: str = "sum",
        taps: Collection[int] | None = None,
        prefix: int | None = None,
    ) -> None:
        blocks = getattr(vit, "blocks", None)
        if blocks is None or not hasattr(vit, "patch_embed"):
            raise RecipeError(f"token clustering needs a plain vision transformer; {type(vit).__name__} is none")
        depth = len(blocks)
        self.after = after if isinstance(after, int) else max(round(after * depth) - 1, 0)
        if not 0 <= self.after < depth - 1:
            raise RecipeError(f"token clustering after block {after} leaves nothing to save in {depth} blocks")
        if isinstance(clusters, int | float) and not 0 < clusters <= 1:
            raise RecipeError(f"clusters should be (h, w) or a share in (0, 1]; found {clusters}")
        check_choice("token clustering's normalise", normalise, ("sum", "l2", "nearest"))
        self.clusters = clusters if isinstance(clusters, int | float) else tuple(clusters)
        self.iterations, self.temperature, self.window = iterations, temperature, window
        self.neighbours, self.normalise = neighbours, normalise
        self.taps = {depth - 1} if taps is None else {tap % depth for tap in taps}
        self.last = max(self.taps) if max(self.taps) > self.after else depth - 1
        if prefix is None:
            prefix = getattr(vit, "num_prefix_tokens", 1 if hasattr(vit, "cls_token") else 0)
        self.prefix = prefix
        self.patch = _patch_size(vit.patch_embed)
        self.enabled = True
        # One call's tokens, by thread: two threads may use one network.
        self._calls: dict[int, dict[str, Any]] = {}
        self._handles = [
            vit.patch_embed.register_forward_pre_hook(self._start),
            blocks[self.after].register_forward_hook(self._cluster),
        ]
        for index in range(self.after + 1, depth):
            self._handles.append(blocks[index].register_forward_pre_hook(self._enter, with_kwargs=True))
            self._handles.append(blocks[index].register_forward_hook(_Leave(self, index)))

    def remove(self) -> None:
        """Take the switch off the network for good."""
        for handle in self._handles:
            handle.remove()

    def _start(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        height, width = args[0].shape[-2:]
        grid = (math.ceil(height / self.patch[0]), math.ceil(width / self.patch[1]))
        self._calls[threading.get_ident()] = {"grid": grid}

    def _cluster(self, block: nn.Module, args: Any, tokens: Tensor) -> None:
        call = self._calls.get(threading.get_ident(), {})
        if block.training or not self.enabled or "grid" not in call:
            return
        grid = call["grid"]
        if tokens.ndim != 3 or tokens.shape[1] != self.prefix + grid[0] * grid[1]:
            raise InputError(
                f"token clustering expects {self.prefix} + {grid[0]}x{grid[1]} tokens; found shape {tuple(tokens.shape)}"
            )
        clusters = self._size(grid)
        if clusters == grid:
            return
        clustering = cluster_tokens(
            tokens[:, self.prefix :].float(), grid, clusters, self.iterations, self.temperature, self.window
        )
        few = torch.cat([tokens[:, : self.prefix], clustering.centres.to(tokens.dtype)], 1)
        call |= {"few": few, "full": tokens, "clustering": clustering, "clusters": clusters}

    def _size(self, grid: tuple[int, int]) -> tuple[int, int]:
        if isinstance(self.clusters, tuple):
            return min(self.clusters[0], grid[0]), min(self.clusters[1], grid[1])
        return tuple(max(1, round(self.clusters * cells)) for cells in grid)

    def _enter(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        call = self._calls.get(threading.get_ident(), {})
        if "few" not in call:
            return None
        kwargs = {key: self._at_centres(value, call) if key == "rope" else value for key, value in kwargs.items()}
        return (call["few"], *args[1:]), kwargs

    def _at_centres(self, table: Tensor | None, call: Mapping[str, Any]) -> Tensor | None:
        """Rows (..., N, d) of a rotary table at the cells in the middle of each cluster's home."""
        count = call["grid"][0] * call["grid"][1]
        if table is None or table.shape[-2] != count:
            return table
        rows, columns = (
            (torch.arange(few, device=table.device) * 2 + 1) * many // (2 * few)
            for few, many in zip(call["clusters"], call["grid"], strict=True)
        )
        return table.index_select(-2, (rows[:, None] * call["grid"][1] + columns).flatten())

    def _leave(self, index: int, tokens: Tensor) -> Tensor | None:
        call = self._calls.get(threading.get_ident(), {})
        if "few" not in call:
            return None
        call["few"], out = tokens, call["full"]
        if index in self.taps or index == self.last:
            out = self._reconstruct(tokens, call["clustering"])
        if index == self.last:
            self._calls.pop(threading.get_ident())
        return out

    def _reconstruct(self, tokens: Tensor, clustering: Clustering) -> Tensor:
        patches = tokens[:, self.prefix :].float()
        patches = reconstruct_tokens(patches, clustering, self.temperature, self.neighbours, self.normalise)
        return torch.cat([tokens[:, : self.prefix], patches.to(tokens.dtype)], 1)


class _Leave:
    """A block's forward hook that knows the block's number."""

    def __init__(self, owner: TokenClustering, index: int) -> None:
        self.owner, self.index = owner, index

    def __call__(self, block: nn.Module, args: Any, tokens: Tensor) -> Tensor | None:
        return self.owner._leave(self.index, tokens)


def _patch_size(embed: nn.Module) -> tuple[int, int]:
    size = getattr(embed, "patch_size", None) or getattr(embed, "stride", None)
    if size is None:
        raise RecipeError(f"token clustering cannot tell the patch size of {type(embed).__name__}")
    return (size, size) if isinstance(size, int) else tuple(size)
