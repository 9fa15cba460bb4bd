"""Short panoramic videos of the procedural world: a frame, the frames before and after it, and how the camera moved between them.

What depth and motion are learned from without labels; range and motions are there to measure by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.records import RecordFolder
from perception.datasets.registry import register_dataset
from perception.errors import RecipeError

_VERSION = 2


@register_dataset
class WorldPanoramaVideo(torch.utils.data.Dataset):
    """Samples ``image`` (3, H, W) uint8, ``neighbours`` (T, 3, H, W) uint8, ``neighbour_from_camera`` (T, 4, 4) float32, ``depth``
    (H, W) float32 range, metres, ``depth_valid``, ``meta``.

    kind, style: of `World`. seeds: [first, last]. size: (H, W). offsets: neighbours, in frames. step: (smallest, largest) metres between frames; None:
    0.06 to 0.16 in rooms, 0.25 to 0.7 in streets. turn: standard deviation of the yaw between frames, degrees. effects: noise and other traces of a real
    camera. moving: streets go on between frames (0.1 s each); else time stands still. cache: folder; frames are kept there once rendered.
    """

    def __init__(
        self,
        kind: str = "room",
        seeds: Sequence[int] = (0, 99),
        style: str = "plausible",
        size: tuple[int, int] = (128, 256),
        offsets: Sequence[int] = (-1, 1),
        step: Sequence[float] | None = None,
        turn: float = 1.5,
        views_per_scene: int = 1,
        effects: bool = False,
        moving: bool = False,
        cache: str | Path | None = None,
    ) -> None:
        """Raises `RecipeError` for seeds or offsets that do not fit."""
        if len(seeds) != 2 or seeds[1] < seeds[0]:
            raise RecipeError(f"seeds of WorldPanoramaVideo are [first, last]; found {list(seeds)}")
        if not offsets or 0 in offsets:
            raise RecipeError(f"offsets of WorldPanoramaVideo are frames other than 0; found {list(offsets)}")
        self.kind, self.style, self.seeds, self.size = kind, style, tuple(seeds), tuple(size)
        self.offsets, self.turn, self.views_per_scene = tuple(offsets), float(turn), views_per_scene
        self.step = tuple(step) if step is not None else ((0.06, 0.16) if kind == "room" else (0.25, 0.7))
        self.effects, self.moving = effects, moving
        from perception.datasets.world.classes import WORLD_VERSION

        shape = [kind, style, self.size, self.offsets, self.step, turn, views_per_scene, effects, moving]
        self.records = RecordFolder(cache, "panorama-video", [_VERSION, WORLD_VERSION, *shape])

    def __len__(self) -> int:
        return (self.seeds[1] - self.seeds[0] + 1) * self.views_per_scene

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises `IndexError` outside the data set."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a panoramic video data set of {len(self)}")
        index %= len(self)
        scene, view = divmod(index, self.views_per_scene)
        seed = self.seeds[0] + scene
        record = self.records.get(str(seed), lambda: self._render(seed))  # a scene costs more than its frames
        height, width = self.size
        images = torch.from_numpy(record["images"][view]).permute(0, 3, 1, 2)
        depth = torch.from_numpy(record["depth"][view].astype(np.float32))
        name = f"world-video-{self.kind}-{seed}-{view}"
        return {
            "image": images[0].clone(),
            "neighbours": images[1:].clone(),
            "neighbour_from_camera": torch.from_numpy(record["motions"][view]),
            "depth": depth,
            "depth_valid": depth > 0,
            "meta": {"name": name, "width": width, "height": height, "index": index, "kind": self.kind},
        }

    def _render(self, seed: int) -> dict[str, np.ndarray]:
        """Render all views of a scene, each with its neighbours."""
        from perception.datasets.world.render import World
        from perception.geometry.cameras import Equirectangular

        camera = Equirectangular(self.size[1], self.size[0])
        world = World(seed, self.kind, self.style)
        views = world.views(self.views_per_scene, self.size, camera=camera)
        found = [self._triple(world, camera, item.world_from_camera, [seed, i]) for i, item in enumerate(views)]
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def _triple(self, world: Any, camera: Any, start: np.ndarray, key: list[int]) -> dict[str, np.ndarray]:
        """Render the frame at `start` (4, 4) world <- camera, and its neighbours."""
        from perception.datasets.world.rigs import camera_pose

        rng = np.random.default_rng([*key, 1])
        heading, step = rng.uniform(-np.pi, np.pi), rng.uniform(*self.step)
        ahead = start[:3, 2]
        yaw = float(np.arctan2(ahead[1], ahead[0]))
        poses = [start]
        for offset in self.offsets:
            away = offset * step * (1 + 0.15 * rng.normal())
            place = start[:3, 3] + away * np.array([np.cos(heading), np.sin(heading), 0.06 * rng.normal()])
            turned = yaw + np.radians(self.turn) * offset * rng.normal()
            poses.append(camera_pose(*place, turned, 0.006 * rng.normal(), 0.006 * rng.normal()))
        images, depth = [], None
        for offset, pose in zip((0, *self.offsets), poses, strict=True):
            time = 1.0 + (0.1 * offset if self.moving else 0.0)
            truth = ("depth",) if offset == 0 else ()
            frame = world.render(camera, time, truth=truth, world_from_camera=pose, effects=self.effects)
            images.append(frame.image)
            depth = frame.depth if offset == 0 else depth
        motions = np.stack([np.linalg.inv(pose) @ start for pose in poses[1:]])
        return {
            "images": np.stack(images),
            "depth": np.minimum(depth, 60000).astype(np.float16),
            "motions": motions.astype(np.float32),
        }
