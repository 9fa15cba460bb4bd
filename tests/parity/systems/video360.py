"""View synthesis and losses of BiFuse++."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from perception.models.video360 import losses
from perception.models.video360.view_synthesis import rotation_from_axis_angle, warp_panorama
from tests.parity.runner import Case, Check


def sphere_photometric(case: Case) -> Iterator[Check]:
    given = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    reference, depth, pose, mask = given["ref"], given["depth"], given["pose"], given["mask"]
    plain = aware = 0
    for j in range(pose.shape[1]):
        rotation = rotation_from_axis_angle(pose[:, j, :3])
        warped = warp_panorama(given[f"tgt{j + 1}"], depth, rotation, pose[:, j, 3:], "official")
        explained = mask[:, j : j + 1]
        plain = plain + losses.photometric_loss(reference, warped, explained)
        aware = aware + losses.photometric_loss(reference, warped, explained, losses.contrast(reference, wrap=False))
        yield Check(f"warp{j + 1}", warped, case.outputs[f"warp{j + 1}"])
    yield Check("spl", plain, case.outputs["spl"])
    yield Check("capl", aware, case.outputs["capl"])
    yield Check("smooth", losses.smoothness_loss(depth, wrap=False), case.outputs["smooth"])
    yield Check("explain", losses.explainability_loss(mask), case.outputs["explain"])


KINDS = {"sphere_photometric": sphere_photometric}
