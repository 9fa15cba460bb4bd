"""How varied the world's pictures are, measured: bare rooms, exposure, skies, classes, sizes of things.

Variety limits what models learn, so it is counted and not believed: ``python tools/world_variety.py`` prints this for any seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perception.datasets.world.classes import CATEGORIES, ID
from perception.datasets.world.render import World

SHELL = (ID["floor"], ID["wall"], ID["ceiling"])
_LUMA = np.array([0.2126, 0.7152, 0.0722])


def measure(
    kind: str,
    seeds: range,
    style: str = "plausible",
    views: int = 3,
    size: tuple[int, int] = (96, 128),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Render `views` pictures of each seed and return figures by name; shares are of the frames, brightness is in 0..1 of sRGB.

    ``bare``: share with more than 85 % wall, floor and ceiling. ``dark``, ``bright``: mean brightness below 0.2, above 0.75. ``clipped``: more
    than a quarter of the pixels at 250 or above. ``brightness_05`` ...: percentiles of the mean brightness. Where a twentieth of the picture is sky:
    ``sky_dark``, ``sky_bright`` (mean below 0.4, above 0.9), ``sky_05`` ... ``classes``: median number of classes in a frame.
    ``CLASS_count``, ``CLASS_length_05``, ``CLASS_height_95`` ...: things in the scenes and their sizes, metres.
    """
    rows: list[tuple[float, ...]] = []
    sizes: dict[str, list[tuple[float, float, float]]] = {}
    for number, seed in enumerate(seeds):
        world = World(seed, kind, style)
        for view in world.views(views, size):
            frame = world.render_view(view, truth=("semantic",))
            light = frame.image @ _LUMA / 255
            sky = ~frame.valid
            rows.append(
                (
                    np.isin(frame.semantic, SHELL).mean() > 0.85,
                    light.mean(),
                    (frame.image.min(-1) >= 250).mean() > 0.25,
                    light[sky].mean() if sky.mean() > 0.05 else np.nan,
                    len(np.unique(frame.semantic)),
                )
            )
        for item in world.scene.objects:
            sizes.setdefault(CATEGORIES[item.category].name, []).append(item.size)
        if progress is not None:
            progress(number + 1, len(seeds))
    table = np.array(rows, float)
    bare, brightness, clipped, sky, classes = table.T
    sky = sky[~np.isnan(sky)]
    figures = {
        "frames": float(len(table)),
        "bare": float(bare.mean()),
        "dark": float((brightness < 0.2).mean()),
        "bright": float((brightness > 0.75).mean()),
        "clipped": float(clipped.mean()),
        "classes": float(np.median(classes)),
        **_spread("brightness", brightness),
    }
    if len(sky):
        figures |= {
            "sky_dark": float((sky < 0.4).mean()),
            "sky_bright": float((sky > 0.9).mean()),
            **_spread("sky", sky),
        }
    for name in sorted(sizes):
        lengths = np.array(sizes[name])
        figures[f"{name}_count"] = float(len(lengths))
        figures |= _spread(f"{name}_length", lengths[:, 0]) | _spread(f"{name}_height", lengths[:, 2])
    return figures


def _spread(name: str, values: np.ndarray) -> dict[str, float]:
    """5th, 50th and 95th percentile."""
    return {f"{name}_{q:02d}": float(np.percentile(values, q)) for q in (5, 50, 95)}
