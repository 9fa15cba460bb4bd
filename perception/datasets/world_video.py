"""Short videos of the procedural world: a frame, the frames before and after it, and how the camera moved between them.

What depth and motion are learned from without labels; depth and motions are there to measure by.
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
_FAR = 60000.0  # metres; float16 ends a little above


@register_dataset
class WorldVideo(torch.utils.data.Dataset):
    """Samples ``image`` (3, H, W) uint8, ``intrinsics`` (3, 3), ``neighbours`` (T, 3, H, W) uint8, ``neighbour_from_camera`` (T, 4, 4) float32,
    ``depth`` (H, W) float32 z, metres, ``depth_valid``, ``meta``; with `stereo` also ``stereo_image`` (3, H, W) and ``stereo_from_camera`` (4, 4).

    kind: "street" (a car's camera along its lane) or "room" (a camera in a hand). style: of `World`. seeds: [first, last]. size: (H, W). degrees: smallest and
    largest horizontal field of view. offsets: neighbours, in frames. step: (smallest, largest) metres between frames; None: 0.3 to 0.9 in streets, 0.05 to
    0.15 in rooms. stereo: metres to a second camera on the right, None for none. moving: traffic goes on between frames (0.1 s each); else time stands
    still. cache: folder; frames are kept there once rendered.
    """

    def __init__(
        self,
        kind: str = "street",
        seeds: Sequence[int] = (0, 99),
        style: str = "plausible",
        size: tuple[int, int] = (96, 320),
        degrees: Sequence[float] = (65.0, 90.0),
        offsets: Sequence[int] = (-1, 1),
        step: Sequence[float] | None = None,
        stereo: float | None = None,
        views_per_scene: int = 2,
        moving: bool = True,
        cache: str | Path | None = None,
    ) -> None:
        """Raises `RecipeError` for kinds, seeds or offsets that do not fit."""
        if kind not in ("street", "room"):
            raise RecipeError(f"kind of WorldVideo is 'street' or 'room'; found {kind!r}")
        if len(seeds) != 2 or seeds[1] < seeds[0]:
            raise RecipeError(f"seeds of WorldVideo are [first, last]; found {list(seeds)}")
        if not offsets or 0 in offsets:
            raise RecipeError(f"offsets of WorldVideo are frames other than 0; found {list(offsets)}")
        self.kind, self.style, self.seeds, self.size = kind, style, tuple(seeds), tuple(size)
        self.degrees, self.offsets, self.stereo = tuple(degrees), tuple(offsets), stereo
        self.step = tuple(step) if step is not None else ((0.05, 0.15) if kind == "room" else (0.3, 0.9))
        self.views_per_scene, self.moving = views_per_scene, moving
        from perception.datasets.world.classes import WORLD_VERSION

        shape = [kind, style, self.size, self.degrees, self.offsets, self.step, stereo, views_per_scene, moving]
        self.records = RecordFolder(cache, "video", [_VERSION, WORLD_VERSION, *shape])

    def __len__(self) -> int:
        return (self.seeds[1] - self.seeds[0] + 1) * self.views_per_scene

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises `IndexError` outside the data set."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a video data set of {len(self)}")
        index %= len(self)
        scene, view = divmod(index, self.views_per_scene)
        seed = self.seeds[0] + scene
        record = self.records.get(f"{seed}-{view}", lambda: self._render(seed, view))
        images = torch.from_numpy(record["images"]).permute(0, 3, 1, 2)
        motions = torch.from_numpy(record["motions"])
        depth = torch.from_numpy(record["depth"].astype(np.float32))
        count = len(self.offsets)
        sample = {
            "image": images[0].clone(),
            "intrinsics": torch.from_numpy(record["intrinsics"]),
            "neighbours": images[1 : 1 + count].clone(),
            "neighbour_from_camera": motions[:count].clone(),
            "depth": depth,
            "depth_valid": depth > 0,
            "meta": {
                "name": f"world-video-{self.kind}-{seed}-{view}",
                "width": self.size[1],
                "height": self.size[0],
                "index": index,
                "kind": self.kind,
            },
        }
        if self.stereo is not None:
            sample |= {"stereo_image": images[-1].clone(), "stereo_from_camera": motions[-1].clone()}
        return sample

    def _render(self, seed: int, view: int) -> Record:
        """Render the frame, its neighbours and perhaps the second camera."""
        from perception.datasets.world.render import World
        from perception.geometry.cameras import Pinhole

        rng = np.random.default_rng([seed, view, _VERSION])
        height, width = self.size
        camera = Pinhole.from_fov(width=width, height=height, horizontal_degrees=float(rng.uniform(*self.degrees)))
        world = World(seed, self.kind, self.style)
        poses = (self._drive if self.kind == "street" else self._walk)(world, view, camera, rng)
        times = [1.0 + (0.1 * step if self.moving else 0.0) for step in (0, *self.offsets)]
        if self.stereo is not None:
            poses.append(poses[0].copy())
            poses[-1][:3, 3] += self.stereo * poses[0][:3, 0]
            times.append(times[0])
        images, depth = [], None
        for number, (time, pose) in enumerate(zip(times, poses, strict=True)):
            truth = () if number else ("depth",)
            frame = world.render(camera, time, truth=truth, world_from_camera=pose, effects=False)
            images.append(frame.image)
            depth = depth if number else frame.depth
        return {
            "images": np.stack(images),
            "depth": np.minimum(depth, _FAR).astype(np.float16),
            "motions": np.stack([np.linalg.inv(pose) @ poses[0] for pose in poses[1:]]).astype(np.float32),
            "intrinsics": camera.matrix.astype(np.float32),
        }

    def _drive(self, world: Any, view: int, camera: Any, rng: np.random.Generator) -> list[np.ndarray]:
        """Poses along the lane of the scene's vehicle, as from behind its windscreen; where there is no lane, as from a hand."""
        from perception.datasets.world.rigs import camera_pose, pose

        if world.scene.route is None:
            return self._walk(world, view, camera, rng)
        path = world.scene.route.path
        start = (0.1 + 0.7 * (view + rng.uniform(0.1, 0.9)) / self.views_per_scene) * path.length
        step = rng.uniform(*self.step)
        mount = camera_pose(1.0, 0.05 * rng.normal(), rng.uniform(1.3, 1.8), 0.02 * rng.normal(), 0.02 * rng.normal())
        poses = []
        for offset in (0, *self.offsets):
            position, yaw, pitch = path.at(float(start + offset * step * (1 + 0.05 * rng.normal())))
            shake = 0.003 * rng.normal(size=2)
            poses.append(np.asarray(pose(*position, yaw + shake[0], pitch + shake[1]), np.float64) @ mount)
        return poses

    def _walk(self, world: Any, view: int, camera: Any, rng: np.random.Generator) -> list[np.ndarray]:
        """Poses of a camera that is moved in a random direction and turned a little."""
        from perception.datasets.world.rigs import CAMERA_FROM_BODY, rotation_zyx

        start = np.asarray(world.views(view + 1, self.size, camera=camera)[view].world_from_camera, np.float64)
        direction = rng.normal(size=3) * (1.0, 0.3, 1.0)  # camera axes: mostly to the side or ahead
        direction *= rng.uniform(*self.step) / max(float(np.linalg.norm(direction)), 1e-6)
        axes = CAMERA_FROM_BODY[:3, :3]
        poses = [start]
        for offset in self.offsets:
            move = np.eye(4)
            turned = rotation_zyx(*(0.015 * offset * rng.normal(size=2)), 0.005 * rng.normal())
            move[:3, :3] = axes @ turned @ axes.T
            move[:3, 3] = offset * direction
            poses.append(start @ move)
        return poses
