"""Published weights of other groups: name, task, licence, official address. Facts only; nothing here is shipped.

None of these files can be redistributed with this package or was evaluated by this project: their cards under ``models/`` say what the authors
report. Parity of the architectures is shown without weights (``tests/parity``).
"""

from __future__ import annotations

from typing import Any

_DEPTH_ANYTHING = {"vits": ("Small", "Apache-2.0"), "vitb": ("Base", "CC-BY-NC-4.0"), "vitl": ("Large", "CC-BY-NC-4.0")}


def _depth_anything() -> list[dict[str, Any]]:
    rows = []
    for size, (title, licence) in _DEPTH_ANYTHING.items():
        rows.append(
            {
                "name": f"depth-anything-v2-{size}",
                "tasks": ("depth",),
                "title": f"Depth Anything V2 {title}, relative inverse depth",
                "licence": licence,
                "address": f"hub:depth-anything/Depth-Anything-V2-{title}/depth_anything_v2_{size}.pth",
                "model": {"type": "DepthAnythingV2", "size": size},
                "converter": "perception.models.depth_anything.weights",
                "card": "models/depth_anything/README.md",
            }
        )
        for data, metres, label in (("hypersim", 20.0, "Hypersim"), ("vkitti", 80.0, "VKITTI")):
            rows.append(
                {
                    "name": f"depth-anything-v2-metric-{data}-{size}",
                    "tasks": ("depth",),
                    "title": f"Depth Anything V2 {title}, metric depth up to {metres:g} m ({label})",
                    "licence": licence,
                    "address": f"hub:depth-anything/Depth-Anything-V2-Metric-{label}-{title}/depth_anything_v2_metric_{data}_{size}.pth",
                    "model": {"type": "DepthAnythingV2", "size": size, "max_depth": metres},
                    "converter": "perception.models.depth_anything.weights",
                    "card": "models/depth_anything/README.md",
                }
            )
    return rows


# Google Drive ids and val AP3D R40 (Car, moderate) of the three checkpoints that MonoDETR's README lists.
_MONODETR = (
    ("monodetr-r50-kitti", "1d8fbAt-CQF-IN8UEHuw3NimmfONhH6iA", 20.83),
    ("monodetr-r50-kitti-2", "1kT17M-IaquLiOG8QNw9n3qCtNsnqk-21", 20.64),
    ("monodetr-r50-kitti-3", "1EbUpPmRT7AkL-BHOvyM67Wz1GDY_MuJZ", 20.14),
)


def _monodetr() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "tasks": ("boxes3d",),
            "title": f"MonoDETR ResNet-50 on KITTI train, cars; the authors' val AP3D R40 moderate {score:.2f}",
            "licence": "MIT; trained on KITTI (CC BY-NC-SA 3.0)",
            "address": f"https://drive.usercontent.google.com/download?id={drive}&export=download&confirm=t",
            "file": "checkpoint_best.pth",
            # Depths as KITTI's lens shows them; other cameras are brought to it.
            "model": {"type": "MonoDETR", "backbone": "resnet50", "virtual_focal": 743.6, "focal_tolerance": 0.06},
            "converter": "perception.models.monodetr.weights",
            "card": "models/monodetr/README.md",
        }
        for name, drive, score in _MONODETR
    ]


_CROCO = "https://download.europe.naverlabs.com/ComputerVision/CroCo/StereoFlow_models/"
# Name, file, size, criterion, blending and tile where they are not the published defaults.
_CROCO_FILES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("croco-stereo", "crocostereo.pth", "vitl-base", {}),
    ("croco-stereo-subtrain", "crocostereo_subtrain.pth", "vitl-base", {}),
    ("croco-stereo-subtrain-vitb-base", "crocostereo_subtrain_vitb_basedecoder.pth", "vitb-base", {}),
    ("croco-stereo-subtrain-vitb-small", "crocostereo_subtrain_vitb_smalldecoder.pth", "vitb-small", {}),
    (
        "croco-stereo-eth3d",
        "crocostereo_eth3d.pth",
        "vitl-base",
        {"criterion": "laplacian", "blending": "conf_expbeta3"},
    ),
    ("croco-stereo-kitti", "crocostereo_finetune_kitti.pth", "vitl-base", {"tile": (352, 1216)}),
    ("croco-stereo-spring", "crocostereo_finetune_spring.pth", "vitl-base", {}),
    ("croco-flow", "crocoflow.pth", "vitl-base", {}),
    ("croco-flow-vitb-base", "crocoflow_vitb_basedecoder.pth", "vitb-base", {}),
    ("croco-flow-vitb-small", "crocoflow_vitb_smalldecoder.pth", "vitb-small", {}),
    ("croco-flow-kitti", "crocoflow_finetune_kitti.pth", "vitl-base", {"tile": (352, 1216)}),
    ("croco-flow-spring", "crocoflow_finetune_spring.pth", "vitl-base", {}),
)


def _croco() -> list[dict[str, Any]]:
    rows = []
    for name, file, size, changes in _CROCO_FILES:
        task = "stereo" if "stereo" in name else "flow"
        tile = (352, 704) if task == "stereo" else (320, 384)
        what = "disparity of a stereo pair" if task == "stereo" else "optical flow of two frames"
        rows.append(
            {
                "name": name,
                "tasks": ("disparity" if task == "stereo" else "flow",),
                "title": f"CroCo v2 {size}, {what}",
                "licence": "CC-BY-NC-SA-4.0",
                "address": _CROCO + file,
                "model": {"type": "CroCo", "size": size, "task": task, "tile": tile, **changes},
                "converter": "perception.models.croco.weights",
                "card": "models/croco/README.md",
            }
        )
    return rows


def _spidepth() -> list[dict[str, Any]]:
    return [
        {
            "name": f"spidepth-{data}",
            "tasks": ("depth",),
            "title": f"SPIdepth ConvNeXt V2 huge on {label}, depth up to scale",
            "licence": f"MIT; trained on {label}, which allows research only",
            "address": f"hub:MykolaL/SPIdepth/{data}/encoder.pth",
            "more_files": ("depth.pth", "pose.pth"),
            "model": {"type": "SPIdepth", "size": size},
            "converter": "perception.models.spidepth.weights",
            "card": "models/spidepth/README.md",
        }
        for data, label, size in (("kitti", "KITTI", (320, 1024)),)
    ]


# The authors share one Google Drive folder; passes, patch size and number of patches are read off the file.
_OMNIFUSION = (
    ("omnifusion-2iter-stanford2d3d", "Stanford_2iter.pth", "the file Stanford_2iter.pth, trained on Stanford2D3D"),
    ("omnifusion-2iter-360d", "checkpoint.pth", "the file trained on 360D"),
)


def _omnifusion() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "tasks": ("depth", "panorama"),
            "title": f"OmniFusion in two passes, {title}",
            "licence": "MIT (the authors' code; nothing is said about the weights)",
            "address": "https://drive.google.com/drive/folders/1b6mZJhF3j914AZ6TOGXrqgtGcHzHUAOc",
            "file": file,
            "by_hand": True,
            "converter": "perception.models.omnifusion.weights",
            "card": "models/omnifusion/README.md",
        }
        for name, file, title in _OMNIFUSION
    ]


PUBLISHED: list[dict[str, Any]] = [*_depth_anything(), *_monodetr(), *_omnifusion(), *_croco(), *_spidepth()]
