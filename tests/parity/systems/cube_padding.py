"""Cube padding of BiFuse."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from perception.geometry.cubemap import pad_cube
from tests.parity.runner import Case, Check


def cube_padding(case: Case) -> Iterator[Check]:
    faces = torch.from_numpy(case.inputs["faces"])  # (6 B, C, h, h), number 6 b + face
    cube = faces.view(-1, 6, *faces.shape[1:])
    for name, expected in case.outputs.items():
        pad, corner = re.fullmatch(r"pad(\d+)_(corner|nocorner)", name).groups()
        yield Check(name, pad_cube(cube, int(pad), corner == "corner").flatten(0, 1), expected)


KINDS = {"cube_padding": cube_padding}
