"""Two pictures of the procedural world with exact matches: rectified stereo pairs, and a moment and the next one.

What stereo, optical flow and cross-view completion are trained on without a download.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.records import Record, RecordFolder
from perception.datasets.registry import register_dataset
from perception.errors import RecipeError

_VERSION = 1
TASKS = ("stereo", "flow")


@register_dataset
class WorldPairs(torch.utils.data.Dataset):
    """Samples ``image``, ``second`` (3, H, W) uint8, ``intrinsics`` (3, 3), ``meta``, and

    task "stereo": ``disparity`` (H, W) float32 pixels of the left picture, hidden points included and 0 in the sky, ``disparity_valid``, ``baseline`` () metres;
    task "flow":   ``flow`` (2, H, W) float32 pixels to the second picture, ``flow_valid`` (H, W): seen in both.

    kind, style: of `World`; flow needs streets, where a vehicle drives. seeds: [first, last]. size: (H, W). degrees: smallest and largest horizontal field of
    view. baselines: smallest and largest distance of the cameras, metres, drawn on a logarithmic scale; None: 0.05 to 0.25 in rooms, 0.2 to 0.6 in streets.
    max_disparity: where a view has more than 1 % of pixels above it, its baseline is made smaller. step: seconds between the frames of flow. cache: folder;
    pairs are kept there once rendered.
    """

    def __init__(
        self,
        task: str = "stereo",
        kind: str = "street",
        seeds: Sequence[int] = (0, 99),
        style: str = "plausible",
        size: tuple[int, int] = (96, 192),
        degrees: Sequence[float] = (50.0, 90.0),
        baselines: Sequence[float] | None = None,
        max_disparity: float = 64.0,
        step: float = 0.1,
        views_per_scene: int = 2,
        cache: str | Path | None = None,
    ) -> None:
        """Raises `RecipeError` for tasks, kinds or seeds that do not fit."""
        if task not in TASKS:
            raise RecipeError(f"task of WorldPairs is one of {', '.join(TASKS)}; found {task!r}")
        if kind not in ("street", "room") or (task == "flow" and kind != "street"):
            raise RecipeError(f"kind of WorldPairs is 'street', or for stereo also 'room'; found {kind!r} for {task}")
        if len(seeds) != 2 or seeds[1] < seeds[0]:
            raise RecipeError(f"seeds of WorldPairs are [first, last]; found {list(seeds)}")
        self.task, self.kind, self.style, self.seeds, self.size = task, kind, style, tuple(seeds), tuple(size)
        self.degrees, self.step, self.views_per_scene = tuple(degrees), float(step), views_per_scene
        self.baselines = tuple(baselines) if baselines is not None else ((0.05, 0.25) if kind == "room" else (0.2, 0.6))
        self.max_disparity = float(max_disparity)
        from perception.datasets.world.classes import WORLD_VERSION

        shape = [task, kind, style, self.size, self.degrees, self.baselines, self.max_disparity, self.step]
        self.records = RecordFolder(cache, f"pairs-{task}", [_VERSION, WORLD_VERSION, *shape, views_per_scene])

    def __len__(self) -> int:
        return (self.seeds[1] - self.seeds[0] + 1) * self.views_per_scene

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises `IndexError` outside the data set."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a data set of {len(self)} pairs")
        index %= len(self)
        scene, view = divmod(index, self.views_per_scene)
        seed = self.seeds[0] + scene
        make = self._stereo if self.task == "stereo" else self._flow
        record = self.records.get(f"{seed}-{view}", lambda: make(seed, view))
        images = torch.from_numpy(record["images"]).permute(0, 3, 1, 2)
        sample: dict[str, Any] = {
            "image": images[0].clone(),
            "second": images[1].clone(),
            "intrinsics": torch.from_numpy(record["intrinsics"]),
            "meta": {
                "name": f"world-{self.task}-{self.kind}-{seed}-{view}",
                "width": self.size[1],
                "height": self.size[0],
                "index": index,
                "kind": self.kind,
            },
        }
        if self.task == "flow":
            sample["flow"] = torch.from_numpy(record["flow"]).permute(2, 0, 1).contiguous()
            sample["flow_valid"] = torch.from_numpy(record["valid"])
            return sample
        sample["disparity"] = torch.from_numpy(record["disparity"])
        sample["disparity_valid"] = torch.ones_like(sample["disparity"], dtype=torch.bool)
        sample["baseline"] = torch.tensor(float(record["baseline"]))
        return sample

    def _stereo(self, seed: int, view: int) -> Record:
        """Render both pictures of a drawn viewpoint; the right camera stands to the right of the left one, along its own axis."""
        from perception.datasets.world import motion_truth
        from perception.datasets.world.render import World

        rng = np.random.default_rng([seed, view, _VERSION])
        camera = self._camera(rng)
        world = World(seed, self.kind, self.style)
        pose = np.asarray(world.views(view + 1, self.size, camera=camera)[view].world_from_camera, np.float64)
        left = world.render(camera, 0.0, truth=("depth",), world_from_camera=pose, effects=False)
        baseline = float(np.exp(rng.uniform(*np.log(self.baselines))))
        near = float(np.percentile(np.where(left.valid, left.depth, np.inf), 1))
        baseline = min(baseline, self.max_disparity * near / camera.fx) if np.isfinite(near) else baseline
        moved = pose.copy()
        moved[:3, 3] += baseline * pose[:3, 0]
        right = world.render(camera, 0.0, truth=(), world_from_camera=moved, effects=False)
        return {
            "images": np.stack([left.image, right.image]),
            "disparity": motion_truth.disparity(left.depth, left.valid, camera.fx, baseline),
            "intrinsics": camera.matrix.astype(np.float32),
            "baseline": np.array(baseline, np.float32),
        }

    def _flow(self, seed: int, view: int) -> Record:
        """Render two moments of a drive."""
        from perception.datasets.world.render import World

        rng = np.random.default_rng([seed, view, _VERSION])
        camera = self._camera(rng)
        world = World(seed, self.kind, self.style)
        degrees = float(np.degrees(2 * np.arctan(0.5 * camera.width / camera.fx)))
        rig = {"type": "pinhole", "width": camera.width, "height": camera.height, "horizontal_degrees": degrees}
        rig["rate_hz"] = 1000.0  # fires whenever it is asked
        time = round(0.5 + 2.0 * (view + float(rng.uniform(0, 1))), 3)
        options = {"effects": False, "flow_step": self.step}
        now = world.render(rig, time, truth=("flow",), **options).frames["camera"]
        then = world.render(rig, time + self.step, truth=(), **options).frames["camera"]
        return {
            "images": np.stack([now.image, then.image]),
            "flow": now.flow,
            "valid": now.flow_valid,
            "intrinsics": now.intrinsics,
        }

    def _camera(self, rng: np.random.Generator) -> Any:
        from perception.geometry.cameras import Pinhole

        height, width = self.size
        return Pinhole.from_fov(width=width, height=height, horizontal_degrees=float(rng.uniform(*self.degrees)))
