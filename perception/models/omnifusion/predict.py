"""From the network's maps to typed results at the panorama's own size, in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perception.geometry import Equirectangular
from perception.models.omnifusion.preprocess import shape_notes, to_camera
from perception.models.preprocess import Prepared


def predictions(
    outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
) -> list[Any]:
    """See `OmniFusion.predict`."""
    from perception.results import DepthResult, Prediction

    results = []
    for index, item in enumerate(cameras):
        prepared = isinstance(item, Prepared)
        camera = item.camera if prepared else item
        if camera is None:
            camera = Equirectangular(sizes[index][1], sizes[index][0])
        depth = outputs["depth"][index : index + 1].float()
        seen = (depth > 0).float()
        names = {"depth": depth.clamp(min=1e-3).log(), "seen": seen}
        if "valid_logits" in outputs:
            names["valid"] = outputs["valid_logits"][index : index + 1].float().sigmoid()
        if "confidence" in outputs:
            names["confidence"] = outputs["confidence"][index : index + 1].float()
        maps = to_camera(torch.cat(list(names.values()), 1), camera)[0].cpu()
        found = dict(zip(names, maps, strict=True))
        valid = found["seen"] > 0.5
        if (
            "valid" in found and prepared
        ):  # evaluators ask where there is truth; a pixel called sky would count as depth 0 there
            valid &= found["valid"] > 0.5
        confidence = found.get("confidence", found.get("valid"))
        result = DepthResult(
            found["depth"].exp().numpy(),
            valid.numpy(),
            kind="range",
            camera=camera,
            confidence=None if confidence is None else confidence.clamp(0, 1).numpy(),
        )
        image = item.image if prepared else None
        results.append(Prediction(camera=camera, image=image, depth=result, notes=shape_notes(camera)))
    return results
