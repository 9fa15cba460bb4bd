"""A tiny configuration of every registered model for `test_every_model`. Add yours here: name -> case.

A case says how to build the model, which batch it trains on, and what it cannot do (with the reason, in a word or two).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch


@dataclasses.dataclass(frozen=True)
class ModelCase:
    """One model to test.

    config: literal configuration for `build_model`.
    batch: (batch size, height, width) -> collated training batch.
    sizes: (height, width) of the pictures; the first is used where one is enough.
    export: whether `torch.export` is tried.
    """

    config: dict[str, Any]
    batch: Callable[[int, int, int], dict[str, Any]]
    sizes: tuple[tuple[int, int], ...] = ((64, 96), (75, 118))
    export: bool = True


CLASSES, THINGS = 6, (3, 4)


def dense_batch(count: int, height: int, width: int) -> dict[str, Any]:
    """Random pictures with every dense truth; some pixels of each are unknown, and the last picture has no depth at all."""
    generator = torch.Generator().manual_seed(height * width + count)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    normals = torch.nn.functional.normalize(rand(count, 3, height, width) - 0.5, dim=1)
    normals = normals * (rand(count, 1, height, width) > 0.2)
    semantic = torch.randint(0, CLASSES, (count, height // 8 + 1, width // 8 + 1), generator=generator)
    semantic = semantic.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width].clone()
    semantic[:, :4] = 255
    depth = 0.5 + 20 * rand(count, height, width)
    valid = rand(count, height, width) > 0.3
    if count > 1:
        valid[-1] = False
    focal = 0.9 * width
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]).repeat(count, 1, 1)
    return {
        "image": (255 * rand(count, 3, height, width)).to(torch.uint8),
        "intrinsics": intrinsics,
        "depth": depth,
        "depth_valid": valid,
        "normals": normals,
        "semantic": semantic,
        "instance": (semantic >= 3).int() * (1 + (torch.arange(width) // 16).int()),
        "indoor": torch.arange(count) % 2 == 0,
        "meta": [
            {"name": f"picture {index}", "width": width, "height": height, "index": index} for index in range(count)
        ],
    }


def boxes_batch(count: int, height: int, width: int) -> dict[str, Any]:
    """`dense_batch` with two objects in the first picture and none in the others."""
    boxes = torch.tensor([[-1.0, 0.5, 9.0, 3.9, 1.6, 1.5, 0.4], [2.0, 0.3, 14.0, 0.8, 0.6, 1.7, -1.2]])
    labels = torch.tensor([1, 0])
    shown = [2 if index == 0 else 0 for index in range(count)]
    return {
        **dense_batch(count, height, width),
        "boxes3d": [boxes[:n] for n in shown],
        "labels3d": [labels[:n] for n in shown],
    }


_TRUNK = {"name": "resnet10t", "model_args": {"channels": [8, 16, 24, 32], "stem_width": 8}}
_CLUSTERS = {
    "mask_channels": 16,
    "pixel_decoder": {"widths": [16, 8, 8, 8], "blocks": [1, 1, 1, 1], "heads": 4},
    "decoder": {"channels": 32, "num_queries": 12, "layers": [1, 1, 1], "ffn_channels": 32, "heads": 4},
}

_DETECTOR = {
    "dim": 32,
    "heads": 4,
    "ffn_dim": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 6,
    "depth_bins": 12,
}


def video_batch(count: int, height: int, width: int) -> dict[str, Any]:
    """Random panoramas with the frames before and after."""
    batch = dense_batch(count, height, width)
    frames = [batch["image"].roll(shift, -1) for shift in (-2, 2)]
    return {"image": batch["image"], "neighbours": torch.stack(frames, 1), "meta": batch["meta"]}


def driving_batch(count: int, height: int, width: int) -> dict[str, Any]:
    """Random pictures with the frames before and after."""
    batch = dense_batch(count, height, width)
    frames = [batch["image"].roll(shift, -1) for shift in (-2, 2)]
    return {**batch, "neighbours": torch.stack(frames, 1)}


def pair_batch(count: int, height: int, width: int) -> dict[str, Any]:
    """Random pictures, each with itself moved to the left by 3 pixels: a fronto-parallel wall for stereo and flow."""
    batch = dense_batch(count, height, width)
    flow = torch.zeros(count, 2, height, width)
    flow[:, 0] = -3
    return {
        "image": batch["image"],
        "second": batch["image"].roll(-3, -1),
        "disparity": torch.full((count, height, width), 3.0).where(batch["depth_valid"], torch.inf),
        "flow": flow,
        "flow_valid": batch["depth_valid"],
        "meta": batch["meta"],
    }


_CROCO = {
    "size": {"enc_dim": 32, "enc_depth": 2, "enc_heads": 2, "dec_dim": 16, "dec_depth": 3, "dec_heads": 2},
    "tile": [64, 96],
    "layer_dims": [8, 8, 16, 16],
    "features": 16,
    "head_dims": [16, 8],
}
_SPIDEPTH = {"size": [64, 96], "dim": 16, "patch": 8, "queries": 8, "bins": 12, "ffn_dim": 32, "dropout": 0.0}

CASES: dict[str, ModelCase] = {
    "omnifusion-official": ModelCase(
        {"type": "OmniFusion", "backbone": _TRUNK, "size": [64, 96], "patch": 32, "depth": 1}, dense_batch
    ),
    "omnifusion-passes-log": ModelCase(
        {
            "type": "OmniFusion",
            "backbone": _TRUNK,
            "size": [64, 96],
            "patch": [32, 64],
            "fov": [76, 84],
            "convention": "consistent",
            "geometry": "ray",
            "passes": 2,
            "depth": 1,
            "merge": "feathered",
            "full_resolution": False,
            "space": "log",
            "validity": True,
            "normalise": "imagenet",
            "loss": "log-gradient",
        },
        dense_batch,
    ),
    "video360": ModelCase(
        {
            "type": "Video360",
            "size": [64, 96],
            "face": 32,
            "widths": [8, 8, 16],
            "scales": 2,
            "pose_widths": [8, 8, 16],
        },
        video_batch,
    ),
    "croco-stereo": ModelCase({"type": "CroCo", **_CROCO}, pair_batch),
    "croco-flow": ModelCase(
        {"type": "CroCo", "task": "flow", "positions": "cosine", "overlap": 0.0, **_CROCO}, pair_batch
    ),
    "spidepth": ModelCase(
        {
            "type": "SPIdepth",
            "backbone": "convnextv2_atto",
            "channels": [16, 16, 8, 8],
            "pose_backbone": "resnet10t",
            **_SPIDEPTH,
        },
        driving_batch,
    ),
    "spidepth-resnet-metric": ModelCase(
        {
            "type": "SPIdepth",
            "backbone": "resnet10t",
            "encoder": "resnet",
            "width": 64,
            "supervision": "depth",
            "metres_per_unit": 1.0,
            "flip_average": True,
            **_SPIDEPTH,
        },
        dense_batch,
    ),
    "monodetr": ModelCase(
        {
            "type": "MonoDETR",
            "backbone": _TRUNK,
            "image_size": [64, 96],
            "query_groups": 3,
            "dropout": 0.0,
            **_DETECTOR,
        },
        boxes_batch,
    ),
    "monodetr-one-class-virtual-lens": ModelCase(
        {
            "type": "MonoDETR",
            "backbone": _TRUNK,
            "classes": ["thing", "other"],
            "image_size": [64, 96],
            "levels": 3,
            "query_groups": 1,
            "virtual_focal": 80.0,
            "focal_tolerance": 0.1,
            "dropout": 0.0,
            **_DETECTOR,
        },
        boxes_batch,
    ),
    "monodino-detr": ModelCase(
        {
            "type": "MonoDINODETR",
            "encoder": "vits",
            "vit_size": [42, 70],
            "image_size": [64, 96],
            "query_groups": 2,
            "dropout": 0.0,
            **_DETECTOR,
            "dim": 64,  # with a channel a group, GroupNorm would enlarge the rounding of an untrained, constant depth map
        },
        boxes_batch,
        export=False,  # half a minute for a network whose parts are exported elsewhere
    ),
    "depth-anything-metric": ModelCase(
        {"type": "DepthAnythingV2", "size": "vits", "max_depth": 20.0, "input_size": 56}, dense_batch, export=False
    ),
    "dpt": ModelCase(
        {"type": "DPT", "backbone": _TRUNK, "num_classes": CLASSES, "channels": [16, 16, 24, 24], "head_channels": 8},
        dense_batch,
    ),
    "dpt-depth-no-camera": ModelCase(
        {
            "type": "DPT",
            "backbone": _TRUNK,
            "tasks": ["depth"],
            "channels": 16,
            "detail_channels": 0,
            "camera": False,
            "prior": False,
        },
        dense_batch,
    ),
    "polymax-depth-metric": ModelCase(
        {"type": "PolyMaX", "backbone": _TRUNK, "tasks": ["depth"], **_CLUSTERS}, dense_batch, export=False
    ),
    "polymax-multi-canonical": ModelCase(
        {
            "type": "PolyMaX",
            "backbone": _TRUNK,
            "tasks": ["depth", "normals", "semantic"],
            "depth_space": "canonical",
            "num_classes": CLASSES,
            "out_stride": 2,
            "normal_loss": "l2",
            **_CLUSTERS,
        },
        dense_batch,
    ),
    "polymax-panoptic-shared": ModelCase(
        {
            "type": "PolyMaX",
            "backbone": _TRUNK,
            "tasks": ["depth", "normals", "panoptic"],
            "variant": "torch",
            "depth_space": "canonical",
            "separate_heads": False,
            "num_classes": CLASSES,
            "thing_classes": list(THINGS),
            "criterion": {"samples": 64},
            **_CLUSTERS,
        },
        dense_batch,
        export=False,
    ),
    "kmax": ModelCase(
        {
            "type": "KMaXDeepLab",
            "backbone": {"type": "BottleneckResNet", "blocks": [1, 1, 1, 1], "width": 8},
            "num_classes": CLASSES,
            "thing_classes": list(THINGS),
            "criterion": {"samples": 64},
            **_CLUSTERS,
        },
        dense_batch,
    ),
    "kmax-tf-convnext-cityscapes": ModelCase(
        {
            "type": "KMaXDeepLab",
            "backbone": {
                "type": "PaddedConvNeXt",
                "depths": [1, 1, 1, 1],
                "widths": [8, 16, 16, 24],
                "return_stem": True,
            },
            "variant": "tf",
            "num_classes": CLASSES,
            "thing_classes": list(THINGS),
            "semantic_head": "cityscapes",
            "semantic_samples": None,
            **_CLUSTERS,
            "pixel_decoder": {
                "widths": [16, 8, 8, 8, 4],
                "blocks": [1, 1, 1, 1, 1],
                "axial": [True, True, False, False, False],
                "heads": 4,
            },
        },
        dense_batch,
    ),
}

# Registered models whose batches do not fit the general test -> the file that tests the same for them.
TESTED_ELSEWHERE: dict[str, str] = {
    "CroCoCompletion": "tests/models/croco/test_completion.py",  # hides patches at random, predicts no geometry
    "HyDRa": "tests/models/hydra/test_model.py",  # six cameras and five radars a sample
    "RegisterDistillation": "tests/models/registers/test_registers.py",  # trains another model, predicts nothing
}
