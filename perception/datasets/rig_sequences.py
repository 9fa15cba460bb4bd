"""Past frames beside each sample: ``history`` for models that look back.

    {"type": "RigSequences", "dataset": {"type": "NuScenes", ...}, "history": 1, "stride": 1}

Works over any data set of vehicle rigs whose samples have ``global_from_ego`` and ``meta`` with ``previous`` and ``timestamp``. A sample is a function of
its index alone, so temporal training resumes exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from perception.datasets.registry import build_dataset, register_dataset
from perception.errors import RecipeError
from perception.geometry import transforms

KEPT = ("images", "intrinsics", "ego_from_camera", "radar_points")


@register_dataset
class RigSequences:
    """Samples of `dataset` with ``history``: a list of past frames of the same scene, newest first, shorter (or empty) near the scene's start.

    Each has ``images``, ``intrinsics``, ``ego_from_camera``, ``radar_points`` (its own ego frame), ``past_from_now`` (4, 4) float32, the ego frame then
    from the ego frame now, and ``age`` seconds.

    history: frames; stride: key frames between them.
    """

    def __init__(self, dataset: Mapping[str, Any] | Any, history: int = 1, stride: int = 1) -> None:
        if history < 0 or stride < 1:
            raise RecipeError(f"RigSequences needs history >= 0 and stride >= 1; found {history} and {stride}")
        self.dataset = build_dataset(dict(dataset)) if isinstance(dataset, Mapping) else dataset
        self.history, self.stride = int(history), int(stride)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.dataset[index]
        sample["history"] = []
        before = sample
        for _ in range(self.history):
            for _ in range(self.stride):
                previous = int(before["meta"]["previous"]) if before is not None else -1
                before = self.dataset[previous] if previous >= 0 else None
            if before is None:
                break
            sample["history"].append(past_frame(before, sample))
        return sample


def past_frame(before: Mapping[str, Any], sample: Mapping[str, Any]) -> dict[str, Any]:
    """What a model needs of an earlier sample of the same scene."""
    past_from_now = transforms.inverse(np.asarray(before["global_from_ego"])) @ np.asarray(sample["global_from_ego"])
    age = (int(sample["meta"]["timestamp"]) - int(before["meta"]["timestamp"])) * 1e-6
    out = {name: before[name] for name in KEPT if name in before}
    out["past_from_now"] = torch.from_numpy(past_from_now).float()
    out["age"] = torch.tensor(age, dtype=torch.float32)
    return out
