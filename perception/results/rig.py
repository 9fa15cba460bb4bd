"""Everything a model said about the surroundings of a vehicle with several cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.results.base import Result, output_folder, write_json
from perception.results.boxes import Boxes3DResult
from perception.results.occupancy import OccupancyResult


@dataclass(frozen=True, eq=False, repr=False)
class RigPrediction(Result):
    """boxes3d: in the ego frame, with velocities and, from `stream`, track ids. occupancy: or None. rig: what the model was given, for drawing."""

    boxes3d: Boxes3DResult
    occupancy: OccupancyResult | None = None
    rig: Any = None
    name: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.boxes3d, Boxes3DResult) or self.boxes3d.frame == "camera":
            raise InputError("a rig's prediction needs Boxes3DResult in a vehicle or global frame as boxes3d")
        object.__setattr__(self, "notes", tuple(map(str, self.notes)))

    def __repr__(self) -> str:
        lines = [f"  boxes3d: {self.boxes3d!r}"]
        if self.occupancy is not None:
            lines.append(f"  occupancy: {self.occupancy!r}")
        lines += [f"  note: {note}" for note in self.notes]
        return (
            "\n".join([f"RigPrediction({self.name or 'unnamed'}{', by ' + self.model if self.model else ''}", *lines])
            + ")"
        )

    def with_parts(self, **parts: Any) -> RigPrediction:
        """A copy with some fields replaced."""
        return replace(self, **parts)

    def preview(self, image: np.ndarray | None = None) -> np.ndarray:
        """uint8 RGB: the cameras with the boxes drawn in, and the bird's-eye view with radar points, velocities and track ids."""
        from perception.drawing.rig import draw_rig

        if self.rig is None:
            tiles = [self.boxes3d.preview()]
            return tiles[0]
        return draw_rig(self.rig, self.boxes3d)

    def summary(self) -> dict[str, Any]:
        """JSON-able description of every part."""
        out = {"type": "rig_prediction", "name": self.name, "model": self.model, "notes": list(self.notes)}
        out["boxes3d"] = self.boxes3d.summary()
        if self.occupancy is not None:
            out["occupancy"] = self.occupancy.summary()
        return out

    def save(self, folder: str | Path, image: np.ndarray | None = None) -> dict[str, Path]:
        """Write boxes3d.json, the bird's-eye view, the occupancy's files, preview.png and result.json."""
        from perception.io import images

        folder = output_folder(folder)
        paths = self.boxes3d.save(folder)
        if self.occupancy is not None:
            paths |= self.occupancy.save(folder)
        paths["preview"] = images.write_image(folder / "preview.png", self.preview())
        files = {key: str(path.relative_to(folder)) for key, path in paths.items()}
        paths["result"] = write_json(folder / "result.json", {**self.summary(), "files": files})
        return paths

    def to_dict(self) -> dict[str, Any]:
        """The parts as dictionaries; the rig is left out."""
        return {
            "type": "rig_prediction",
            "name": self.name,
            "model": self.model,
            "notes": list(self.notes),
            "boxes3d": self.boxes3d.to_dict(),
            "occupancy": None if self.occupancy is None else self.occupancy.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RigPrediction:
        """Inverse of `to_dict`."""
        rest = {key: value for key, value in values.items() if key != "type"}
        rest["boxes3d"] = Boxes3DResult.from_dict(rest["boxes3d"])
        if rest.get("occupancy") is not None:
            rest["occupancy"] = OccupancyResult.from_dict(rest["occupancy"])
        return cls(**rest)
