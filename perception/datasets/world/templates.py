"""Templates: shapes drawn once a process and reused with other materials and sizes, which keeps scenes cheap to build.

A template's triangles carry roles ("paint", "glass", "tyre" ...) instead of materials; `Kit.dress` (`palette.py`) turns roles into
a scene's materials. Template k of a kind is always the same shape: its random numbers depend on (kind, k) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np

from perception.datasets.world.mesh import Mesh, MeshBuilder

ROLES = (
    "paint paint2 glass tyre rim trim chrome plate lamp_front lamp_rear indicator seat grille "
    "skin hair top bottom shoes bag hat child_seat "
    "frame rubber "
    "cargo cargo2 deck warning "
    "bark leaf leaf2 flower metal pole_paint sign_face sign_back sign_rim lamp_red lamp_amber lamp_green lamp_glass "
    "concrete wood cone_body cone_band barrier_body barrier_band bin_body poster hydrant "
    "wall base accent frame_paint pane pane_lit dark roof door shop_sign shop_sign2 awning"
).split()
ROLE = {name: i for i, name in enumerate(ROLES)}


@dataclass(frozen=True, eq=False)
class Template:
    """vertices (V, 3) float32 with the box centre at the origin, x forward; triangles (T, 3) int32; role (T,) int16 index in ROLES;
    size (length, width, height)."""

    vertices: np.ndarray
    triangles: np.ndarray
    role: np.ndarray
    size: tuple[float, float, float]
    model: str = ""

    def mesh(self, lookup: np.ndarray, semantic: int, scale=(1.0, 1.0, 1.0)) -> Mesh:
        """A scaled copy with materials ``lookup[role]`` ((R,) int16)."""
        vertices = self.vertices * np.float32(scale)
        count = len(self.triangles)
        return Mesh(
            vertices,
            self.triangles,
            lookup[self.role],
            np.full(count, semantic, np.uint8),
            np.zeros(count, np.int32),
            vertices,
        )

    def scaled_size(self, scale) -> tuple[float, float, float]:
        """Size after scaling."""
        return tuple(float(a * b) for a, b in zip(self.size, scale, strict=True))


class Shape(MeshBuilder):
    """A `MeshBuilder` whose materials are roles by name: ``shape.box(..., role="paint")``."""

    coarse = False  # generators may draw fewer triangles for distant use

    def batch(self, vertices, triangles, role=None, material=None, **attributes):
        if role is not None:
            material = ROLE[role] if isinstance(role, str) else role
        super().batch(vertices, triangles, material=material, **attributes)

    def template(self, model: str = "", centred: bool = True) -> Template:
        """The finished template; `centred`: shift the box centre to the origin."""
        mesh = self.build()
        low, high = mesh.bounds()
        vertices = mesh.vertices - ((low + high) / 2 if centred else 0)
        size = tuple(float(x) for x in high - low)
        return Template(np.ascontiguousarray(vertices, np.float32), mesh.triangles, mesh.material, size, model)


def template_rng(kind: str, variant: int) -> np.random.Generator:
    """The random stream of one template."""
    key = int.from_bytes(kind.encode(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([7003, key, variant])))


# Modules that register makers.
_HOMES = ("cars", "trucks", "machines", "cycles", "people", "vegetation", "street_furniture", "buildings")
_MAKERS: dict[str, object] = {}


def maker(kind: str):
    """Decorator: register ``function(rng, variant) -> Template`` as the source of a kind of template."""

    def register(function):
        _MAKERS[kind] = function
        return function

    return register


@cache
def template(kind: str, variant: int) -> Template:
    """Template number `variant` of `kind`; made once a process."""
    if kind not in _MAKERS:
        for module in _HOMES:
            import_module(f"perception.datasets.world.{module}")
    return _MAKERS[kind](template_rng(kind, variant), variant)
