"""The texture bank: every texture with its mip chain in one atlas, looked up with a single `cv2.remap`.

A texel is (red, green, blue, mask):

    albedo = texel.rgb * ((1 - mask) * colour + mask * tint2)

- neutral textures (`coloured` false: brick, wood, fabric ...) have a mean of 1 in each channel and range over 0..2, so that a
  material's `colour` is its mean albedo; `mask` picks out the part that wears the second colour (mortar, grain, stripes).
- coloured textures (posters, paintings, screens, foliage ...) hold albedo themselves (mask 0): give them colour (1, 1, 1).

Conventions: uv in tiles (1 = one repetition), u to the right, v downwards from the picture's top-left corner, seen from outside the
surface; `footprint` is the size of one pixel on the surface, in tiles. Texels are kept as 8-bit square roots (fine steps in the
dark), mip levels are averaged in linear light.
"""

import contextlib
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


class TextureBank:
    """Names, families and the atlas. Texture `i` is called `names[i]`, for example `brick_2`.

    names: tuple of str. families: name -> texture numbers. scale_m (K,) float32: natural tile size in metres. coloured (K,) bool.
    atlas (H, W, 4) uint8, square-root coded. origin (K * LEVELS, 2) float32: first texel of each level in the atlas (x, y).
    Textures are drawn when they are first looked up, each from its own random stream; `draw()` draws the rest at once (do so before
    forking workers, that they share the memory).
    """

    def __init__(self, entries: list[_Entry]) -> None:
        columns = 64
        rows = -(-len(entries) // columns)
        width, height = _CELL
        self._entries = list(entries)
        self.names = tuple(f"{entry.family}_{entry.variant}" for entry in entries)
        families: dict[str, list[int]] = {}
        for i, entry in enumerate(entries):
            families.setdefault(entry.family, []).append(i)
        self.families = {family: tuple(members) for family, members in families.items()}
        self.scale_m = np.array([entry.scale_m for entry in entries], np.float32)
        self.coloured = np.array([entry.coloured for entry in entries])
        self.atlas = np.zeros((rows * height, min(columns, len(entries)) * width, 4), np.uint8)
        number = np.arange(len(entries))
        corner = np.stack([(number % columns) * width, (number // columns) * height], 1)
        self.origin = (corner[:, None] + np.array(_level_places())[None]).reshape(-1, 2).astype(np.float32)
        self.pending = np.ones(len(entries), bool)  # not drawn yet
        self._all_drawn = False
        self._drawn: np.ndarray | None = None  # (K,) of an atlas that processes share
        self._lock: contextlib.AbstractContextManager = contextlib.nullcontext()
        self._numbers = {name: i for i, name in enumerate(self.names)}
        self._numbers |= {family: members[0] for family, members in self.families.items()}

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Number of a texture by its name (`brick_2`) or a family's first texture (`brick`). Raises InputError."""
        found = self._numbers.get(name)
        if found is None:
            raise InputError(f"texture {name!r} is not in the bank.{nearest(name, self._numbers)}")
        return found

    def pick(self, rng: np.random.Generator, *families: str) -> str:
        """Name of a random texture of the given families or textures (of all textures when none is given). Raises InputError."""
        if not families:
            return self.names[int(rng.integers(len(self.names)))]
        family = families[int(rng.integers(len(families)))]
        members = self.families.get(family)
        if members is None:
            return self.names[self.index(family)]
        return self.names[members[int(rng.integers(len(members)))]]

    def image(self, index: int) -> np.ndarray:
        """The texture at full size, (SIZE, SIZE, 4) float32."""
        self.draw(np.array([index]))
        x, y = self.origin[index * LEVELS].astype(int)
        return _decode(self.atlas[y : y + SIZE, x : x + SIZE])

    def mean(self, index: int) -> np.ndarray:
        """Mean texel, (4,) float32."""
        self.draw(np.array([index]))
        x, y = self.origin[(index + 1) * LEVELS - 1].astype(int)
        return _decode(self.atlas[y, x])

    def draw(self, index: np.ndarray | None = None) -> None:
        """Draw those of the textures `index` (N,) that are still missing; all of them without an argument."""
        if self._all_drawn:
            return
        wanted = self.pending
        if index is not None:
            wanted = wanted & (np.bincount(index, minlength=len(self)) > 0)
        missing = np.flatnonzero(wanted)
        if not len(missing):
            return
        with self._lock:
            for i in missing:
                if self._drawn is None or not self._drawn[i]:
                    self._place(int(i), _draw(self._entries[i]))
                    if self._drawn is not None:
                        self._drawn[i] = True
                self.pending[i] = False
        self._all_drawn = not self.pending.any()

    def share(self, atlas: np.ndarray, drawn: np.ndarray, lock: contextlib.AbstractContextManager) -> None:
        """Use an atlas that other processes draw into as well. drawn (K,) bool: what it holds already; it is read and written under `lock`
        alone, so that whoever finds a texture drawn also finds its texels."""
        self.atlas, self._drawn, self._lock = atlas, drawn, lock
        self.pending[:] = True
        self._all_drawn = False

    def _place(self, number: int, image: np.ndarray) -> None:
        for level in range(LEVELS):
            size = SIZE >> level
            if level:
                image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).reshape(size, size, 4)
            left, top = self.origin[number * LEVELS + level].astype(int)
            framed = cv2.copyMakeBorder(_encode(image), 1, 1, 1, 1, cv2.BORDER_WRAP)
            self.atlas[top - 1 : top + size + 1, left - 1 : left + size + 1] = framed


_CODE = np.array([255 / np.sqrt(_FULL)] * 3 + [255], np.float32)


def _encode(image: np.ndarray) -> np.ndarray:
    """(..., 4) float32 factor and mask -> uint8 code."""
    code = np.maximum(image, 0)
    np.sqrt(code[..., :3], out=code[..., :3])
    code *= _CODE
    code += np.float32(0.5)
    return np.minimum(code, 255, out=code).astype(np.uint8)


def _decode(texels: np.ndarray) -> np.ndarray:
    """(..., 4) uint8 code -> float32 factor and mask."""
    out = texels.astype(np.float32)
    out *= np.float32(1 / 255)
    rgb = out[..., :3]
    rgb *= rgb
    rgb *= np.float32(_FULL)
    return out


def _draw(entry: _Entry) -> np.ndarray:
    """(SIZE, SIZE, 4) float32 of one texture, from a random stream of its own: adding a texture leaves the others as they are."""
    key = int.from_bytes(f"{entry.family}_{entry.variant}".encode(), "little")
    drawn = entry.draw(np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))), entry.variant)
    image, mask = drawn if isinstance(drawn, tuple) else (drawn, None)
    image = np.maximum(image, 0, dtype=np.float32)
    if not entry.coloured:
        for _ in range(2):  # the second pass makes up for what the first one clips
            image = np.minimum(image * np.float32(1 / max(float(image.mean()), 1e-3)), np.float32(_FULL))
    texel = np.zeros((SIZE, SIZE, 4), np.float32)
    texel[..., :3] = image if image.ndim == 3 else image[..., None]
    if mask is not None:
        texel[..., 3] = np.clip(mask, 0, 1)
    return texel


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
    """The bank of all registered textures, one a process."""
    from . import fabrics, floors, graphics, outdoor, patterns, walls  # noqa: F401  (they register their families)

    return TextureBank(_ENTRIES)


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
    if not trilinear:
        return _decode(colour_codes(bank, index, uv, footprint, sharpness))
    bank.draw(index)
    level = np.clip(_level(len(index), footprint, sharpness), 0, LEVELS - 1)
    first, uv = _first_and_part(index, uv)
    low = level.astype(np.int32)
    part = (level - low).astype(np.float32)[:, None]
    fine = _decode(_fetch(bank, first, low, uv))
    coarse = _decode(_fetch(bank, first, np.minimum(low + 1, LEVELS - 1), uv))
    return fine + part * (coarse - fine)


def colour_codes(
    bank: TextureBank, index: np.ndarray, uv: np.ndarray, footprint: np.ndarray | float = 0.0, sharpness: float = 0.5
) -> np.ndarray:
    """(N, 4) uint8 texels as they are stored: `sample` without `trilinear`, before decoding; see `decoding`."""
    bank.draw(index)
    near = np.clip(np.rint(_level(len(index), footprint, sharpness)), 0, LEVELS - 1).astype(np.int32)
    first, uv = _first_and_part(index, uv)
    return _fetch(bank, first, near, uv)


@cache
def decoding() -> tuple[np.ndarray, np.ndarray]:
    """Two tables (256,) float32: code -> colour factor, code -> mask."""
    table = _decode(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1))
    return table[:, 0].copy(), table[:, 3].copy()


def _level(count: int, footprint: np.ndarray | float, sharpness: float) -> np.ndarray:
    """(N,) float32 mip level that suits a footprint."""
    pixels = np.broadcast_to(np.asarray(footprint, np.float32), (count,)) * np.float32(SIZE)
    return np.log2(np.maximum(pixels, np.float32(1e-6))) - np.float32(sharpness)


def _first_and_part(index: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each texture's first level, and the coordinates within a tile."""
    uv = np.asarray(uv, np.float32)
    return np.asarray(index, np.int32) * np.int32(LEVELS), uv - np.floor(uv)


_LEVEL_SIZE = np.float32(SIZE) * np.exp2(-np.arange(LEVELS)).astype(np.float32)
_ROW = 1024  # cv2.remap takes images, not lists: points are laid out in rows of this length


def _fetch(bank: TextureBank, first: np.ndarray, level: np.ndarray, uv: np.ndarray) -> np.ndarray:
    count = len(first)
    if not count:
        return np.zeros((0, 4), np.uint8)
    place = np.zeros((-(-count // _ROW) * _ROW, 2), np.float32)
    size = np.take(_LEVEL_SIZE, level)
    origin = np.take(bank.origin, first + level, axis=0)
    for k in range(2):
        np.multiply(uv[:, k], size, out=place[:count, k])
    place[:count] += origin
    place -= np.float32(0.5)
    place = place.reshape(-1, _ROW, 2)
    parts = [  # an image of more than 32767 rows is beyond cv2.remap
        cv2.remap(bank.atlas, place[i : i + 32000], None, cv2.INTER_LINEAR) for i in range(0, len(place), 32000)
    ]
    texels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return texels.reshape(-1, 4)[:count]
