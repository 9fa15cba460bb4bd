"""HyDRa as an exported graph."""

from __future__ import annotations

import torch

from perception.models.registry import build_model
from tests.models.hydra.conftest import TINY, make_rig


def test_exports_to_the_same_numbers() -> None:
    torch.manual_seed(0)
    model = build_model(TINY).eval()
    inputs = model.prepare_rig(make_rig())

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images, intrinsics, ego_from_camera, radar, radar_mask):
            out = self.model(images, intrinsics, ego_from_camera, radar=radar, radar_mask=radar_mask)
            return [maps["heatmap"] for maps in out["heads"]] + [out["occupancy"]]

    with torch.no_grad():
        expected = Heads()(**inputs)
        program = torch.export.export(Heads(), (), inputs)
        found = program.module()(**inputs)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
