"""Trees, bushes and hedges of a street: one choice of kinds and leaf colours a scene."""

from __future__ import annotations

import numpy as np

from perception.datasets.world.placing import Street
from perception.datasets.world.templates import template
from perception.datasets.world.vegetation import TREES

_LEAVES = ("#5f8f3c", "#6f9a48", "#4f7f34", "#7fa04a", "#55803f", "#86a85a", "#476f3a")
_AUTUMN = ("#c8862a", "#b8642a", "#d8b03a", "#a04a28", "#8a8a3a", "#c05a30")


def far_away(s: float, d: float) -> bool:
    """Whether the coarser template will do: the ego vehicle drives from s = 0 along d = 0."""
    return abs(d) > 17 or s > 48 or s < -12


class Greens:
    """Leaf colours and tree kinds of a scene."""

    def __init__(self, street: Street) -> None:
        rng, kit = street.rng, street.kit
        self.street = street
        tones = _AUTUMN if rng.random() < 0.14 else _LEAVES
        self.kinds = [
            TREES[int(i)] for i in rng.choice(len(TREES), 3, p=[0.42, 0.19, 0.06, 0.12, 0.05, 0.02, 0.1, 0.04])
        ]
        self.lookups = []
        bark = kit.textured("bark", kit.vary(("#5a4a3c", "#7a6a58", "#4a4038", "#a8a090")[int(rng.integers(4))], 0.15))
        for _ in range(4):
            tone = kit.vary(tones[int(rng.integers(len(tones)))], 0.15)
            dark = tuple(0.62 * c for c in tone)
            leaf = kit.textured("foliage", tone, scale_m=float(rng.uniform(0.9, 2.0)))
            shade = kit.textured("foliage", dark, scale_m=float(rng.uniform(0.9, 2.0)))
            flower = kit.plain(kit.vary(("#d8507a", "#f0e8e8", "#e8c83a", "#8a4ab0")[int(rng.integers(4))], 0.2))
            self.lookups.append(kit.roles(leaf=leaf, leaf2=shade, bark=bark, flower=flower))

    def tree(self, s, d, z=0.0, kind: str | None = None, small: bool = False) -> None:
        """A tree with its foot at (s, d)."""
        street, rng = self.street, self.street.rng
        kind = kind or self.kinds[int(rng.choice(3, p=[0.6, 0.3, 0.1]))]
        scale = float(np.exp(rng.normal(-0.25 if small else 0.0, 0.2)))
        coarse = "_far" if far_away(s, d) else ""
        street.still(
            template(kind + coarse, street.variant(7)),
            "vegetation",
            s,
            d,
            z,
            float(rng.uniform(0, 6.28)),
            (scale, scale, scale * float(rng.uniform(0.9, 1.15))),
            self._look(),
        )

    def bush(self, s, d, z=0.0) -> None:
        """A bush at (s, d)."""
        street, rng = self.street, self.street.rng
        scale = float(np.exp(rng.normal(0, 0.3)))
        street.still(
            template("bush_far" if far_away(s, d) else "bush", street.variant(10)),
            "vegetation",
            s,
            d,
            z,
            float(rng.uniform(0, 6.28)),
            (scale,) * 3,
            self._look(),
        )

    def hedge(self, s0, s1, d, z, height: float) -> None:
        """A clipped hedge along the street."""
        street = self.street
        count = max(int(round((s1 - s0) / 1.95)), 1)
        look = self.lookups[0]
        for s in s0 + (np.arange(count) + 0.5) * (s1 - s0) / count:
            street.still(
                template("hedge", street.variant(4)),
                "vegetation",
                float(s),
                d,
                z,
                0.0,
                ((s1 - s0) / count / 1.95, 1.0, height),
                look,
                fixed=True,
            )

    def _look(self) -> np.ndarray:
        return self.lookups[int(self.street.rng.integers(4))]
