"""The texture bank: every texture with its mip chain in one atlas, looked up with a single `cv2.remap`.

A texel is (red, green, blue, mask):

    albedo = texel.rgb * ((1 - mask) * colour + mask * tint2)

- neutral textures (`coloured` false: brick, wood, fabric ...) have a mean of 1 in each channel and range over 0..2, so that a
  material's `colour` is its mean albedo; `mask` picks out the part that wears the second colour (mortar, grain, stripes).
- coloured textures (posters, paintings, screens, foliage ...) hold albedo themselves (mask 0): give them colour (1, 1, 1).

Conventions: uv in tiles (1 = one repetition), u to the right, v downwards from the picture's top-left corner, seen from outside the
surface; `footprint` is the size of one pixel on the surface, in tiles. Texels are kept as 8-bit square roots (fine steps in the
dark), which makes the bank about 40 MB; mip levels are averaged in linear light.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from perception.errors import InputError, nearest

from .noise import SIZE

LEVELS = 9  # 256 ... 1
_FULL = 2.0  # stored 255 stands for this factor
_CELL = (SIZE + 2, SIZE + 2 + SIZE // 2 + 2)  # width, height of a texture's place in the atlas


@dataclass(frozen=True)
class _Entry:
    family: str
    variant: int
    draw: Callable
    scale_m: float
    coloured: bool


_ENTRIES: list[_Entry] = []


def texture(family: str, variants: int = 1, scale_m: float = 1.0, coloured: bool = False):
    """Register a texture family. The function gets (rng, variant) and returns `image` or `(image, mask)`.

    image: (SIZE, SIZE) or (SIZE, SIZE, 3) float, linear; neutral ones are rescaled to mean 1. mask: (SIZE, SIZE) in 0..1.
    scale_m: natural edge length of one tile in metres.
    """

    def register(draw: Callable) -> Callable:
        for variant in range(variants):
            _ENTRIES.append(_Entry(family, variant, draw, scale_m, coloured))
        return draw

    return register


@dataclass(frozen=True, eq=False)
class TextureBank:
    """Names, families and the atlas. Texture `i` is called `names[i]`, for example `brick_2`."""

    names: tuple[str, ...]
    families: dict[str, tuple[int, ...]]
    scale_m: np.ndarray  # (K,) float32 natural tile size in metres
    coloured: np.ndarray  # (K,) bool
    mean: np.ndarray  # (K, 4) float32
    atlas: np.ndarray  # (H, W, 4) uint8, square-root coded
    origin: np.ndarray  # (K * LEVELS, 2) float32, first texel of each level in the atlas (x, y)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Number of a texture by its name (`brick_2`) or a family's first texture (`brick`)."""
        found = _numbers(self).get(name)
        if found is None:
            raise InputError(f"texture {name!r} is not in the bank{nearest(name, list(_numbers(self)))}")
        return found

    def pick(self, rng: np.random.Generator, *families: str) -> str:
        """Name of a random texture of the given families (all textures when none is given)."""
        if not families:
            return self.names[int(rng.integers(len(self.names)))]
        family = families[int(rng.integers(len(families)))]
        if family not in self.families:
            raise InputError(f"texture family {family!r} is unknown{nearest(family, list(self.families))}")
        members = self.families[family]
        return self.names[members[int(rng.integers(len(members)))]]

    def image(self, index: int) -> np.ndarray:
        """The texture at full size, (SIZE, SIZE, 4) float32."""
        x, y = self.origin[index * LEVELS].astype(int)
        return _decode(self.atlas[y : y + SIZE, x : x + SIZE])


_NUMBERS: dict[int, dict[str, int]] = {}


def _numbers(bank: TextureBank) -> dict[str, int]:
    table = _NUMBERS.get(id(bank))
    if table is None:
        table = {name: i for i, name in enumerate(bank.names)}
        table |= {family: members[0] for family, members in bank.families.items()}
        _NUMBERS[id(bank)] = table
    return table


def _encode(image: np.ndarray) -> np.ndarray:
    rgb = np.sqrt(np.clip(image[..., :3] / _FULL, 0, 1)) * 255
    return np.concatenate([rgb, np.clip(image[..., 3:], 0, 1) * 255], -1).round().astype(np.uint8)


def _decode(texels: np.ndarray) -> np.ndarray:
    """(..., 4) uint8 or float32 code -> float32 factor and mask."""
    out = texels.astype(np.float32)
    out *= np.float32(1 / 255)
    rgb = out[..., :3]
    rgb *= rgb
    rgb *= np.float32(_FULL)
    return out


def _draw(entry: _Entry) -> np.ndarray:
    # One stream a texture, keyed by its name: adding a texture leaves the others as they are.
    key = int.from_bytes(f"{entry.family}_{entry.variant}".encode(), "little")
    drawn = entry.draw(np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))), entry.variant)
    image, mask = drawn if isinstance(drawn, tuple) else (drawn, None)
    image = np.asarray(image, np.float32)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, -1)
    if not entry.coloured:
        image = np.clip(image, 0.0, None)
        for _ in range(2):  # the second pass makes up for what the first one clips
            image = np.clip(image / max(float(image.mean()), 1e-3), 0, _FULL)
    mask = np.zeros(image.shape[:2], np.float32) if mask is None else np.asarray(mask, np.float32)
    return np.concatenate([image, mask[..., None]], -1)


def _level_places() -> list[tuple[int, int]]:
    """Top-left of each level's first texel inside a cell: level 0 on top, the others below it in a row, the tiny ones stacked."""
    places = [(1, 1)]
    x, y = 1, SIZE + 3
    for level in range(1, LEVELS):
        places.append((x, y))
        size = SIZE >> level
        if level < 4:
            x += size + 2
        else:
            y += size + 2
    return places


@cache
def texture_bank() -> TextureBank:
    """All registered textures, drawn once a process (deterministic; about a second)."""
    from . import fabrics, floors, graphics, outdoor, patterns, walls  # noqa: F401  (they register their families)

    columns = 64
    rows = -(-len(_ENTRIES) // columns)
    width, height = _CELL
    atlas = np.zeros((rows * height, min(columns, len(_ENTRIES)) * width, 4), np.uint8)
    origin = np.zeros((len(_ENTRIES), LEVELS, 2), np.float32)
    mean = np.zeros((len(_ENTRIES), 4), np.float32)
    families: dict[str, list[int]] = {}
    for i, entry in enumerate(_ENTRIES):
        families.setdefault(entry.family, []).append(i)
        level_image = _draw(entry)
        mean[i] = level_image.mean((0, 1))
        for level, (x, y) in enumerate(_level_places()):
            size = SIZE >> level
            if level:
                level_image = cv2.resize(level_image, (size, size), interpolation=cv2.INTER_AREA).reshape(size, size, 4)
            left, top = (i % columns) * width + x, (i // columns) * height + y
            framed = cv2.copyMakeBorder(_encode(level_image), 1, 1, 1, 1, cv2.BORDER_WRAP)
            atlas[top - 1 : top + size + 1, left - 1 : left + size + 1] = framed
            origin[i, level] = left, top
    return TextureBank(
        names=tuple(f"{entry.family}_{entry.variant}" for entry in _ENTRIES),
        families={family: tuple(members) for family, members in families.items()},
        scale_m=np.array([entry.scale_m for entry in _ENTRIES], np.float32),
        coloured=np.array([entry.coloured for entry in _ENTRIES]),
        mean=mean,
        atlas=atlas,
        origin=origin.reshape(-1, 2),
    )


def sample(
    bank: TextureBank,
    index: np.ndarray,
    uv: np.ndarray,
    footprint: np.ndarray | float = 0.0,
    trilinear: bool = False,
    sharpness: float = 0.5,
) -> np.ndarray:
    """Look textures up, bilinear in the nearest mip level (or between two levels with `trilinear`).

    index: (N,) integer texture numbers, mixed freely. uv: (N, 2) float32 in tiles. footprint: (N,) or scalar, pixel size in tiles.
    sharpness: levels to stay below the footprint's own level (0 = soft, 1 = crisp with a little aliasing).
    Returns (N, 4) float32: colour factor and mask, see the module's text.
    """
    count = len(index)
    pixels = np.broadcast_to(np.asarray(footprint, np.float32), (count,)) * np.float32(SIZE)
    level = np.log2(np.maximum(pixels, np.float32(1e-6))) - np.float32(sharpness)
    first = np.asarray(index, np.int32) * np.int32(LEVELS)
    uv = np.asarray(uv, np.float32)
    uv = uv - np.floor(uv)
    if not trilinear:
        near = np.clip(np.rint(level), 0, LEVELS - 1).astype(np.int32)
        return _decode(_fetch(bank, first, near, uv))
    level = np.clip(level, 0, LEVELS - 1)
    low = level.astype(np.int32)
    part = (level - low).astype(np.float32)[:, None]
    fine = _decode(_fetch(bank, first, low, uv))
    coarse = _decode(_fetch(bank, first, np.minimum(low + 1, LEVELS - 1), uv))
    return fine + part * (coarse - fine)


_ROW = 1024  # cv2.remap takes images, not lists: points are laid out in rows of this length


def _fetch(bank: TextureBank, first: np.ndarray, level: np.ndarray, uv: np.ndarray) -> np.ndarray:
    count = len(first)
    if not count:
        return np.zeros((0, 4), np.uint8)
    place = np.zeros((-(-count // _ROW) * _ROW, 2), np.float32)
    size = np.float32(SIZE) * np.exp2(-level).astype(np.float32)
    np.multiply(uv, size[:, None], out=place[:count])
    place[:count] += np.take(bank.origin, first + level, axis=0)
    place -= np.float32(0.5)
    place = place.reshape(-1, _ROW, 2)
    parts = [  # an image of more than 32767 rows is beyond cv2.remap
        cv2.remap(bank.atlas, place[i : i + 32000], None, cv2.INTER_LINEAR) for i in range(0, len(place), 32000)
    ]
    texels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return texels.reshape(-1, 4)[:count]
