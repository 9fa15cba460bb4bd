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


PUBLISHED: list[dict[str, Any]] = _depth_anything()
