"""Panoramas in half precision, as networks under autocast hold them: places are computed in float32, only values are rounded."""

from __future__ import annotations

import math

import pytest
import torch

from perception.geometry.cubemap import cube_to_equirectangular, equirectangular_to_cube
from perception.geometry.sphere import equirectangular_directions, sample_sphere
from perception.geometry.tangent import TangentLayout

PANORAMA = torch.linspace(-math.pi, math.pi, 512).sin().expand(1, 1, 256, 512)  # no step at the seam
CUBE = equirectangular_to_cube(PANORAMA, 64)
RAYS = equirectangular_directions(31, 63, torch.device("cpu"))
LOOK_UPS = {
    "tangent": (PANORAMA, lambda value: TangentLayout(4, 80.0).sample(value, (64, 64))),
    "official tangent": (PANORAMA, lambda value: TangentLayout(4, 80.0, "official").sample(value, (64, 64))),
    "sphere": (PANORAMA, lambda value: sample_sphere(value, RAYS)),
    "to cube": (PANORAMA, lambda value: equirectangular_to_cube(value, 64)),
    "from cube": (CUBE, lambda value: cube_to_equirectangular(value, (64, 128))),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOOK_UPS)
def test_half_precision_rounds_values_and_not_places(name: str, dtype: torch.dtype) -> None:
    values, look_up = LOOK_UPS[name]
    found = look_up(values.to(dtype))
    assert found.dtype == dtype
    assert float((found.float() - look_up(values)).abs().max()) <= 2 * torch.finfo(dtype).eps
