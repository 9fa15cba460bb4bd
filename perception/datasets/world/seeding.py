"""One rule for every random number of the world: a generator is named by the seed, a purpose and optional counters."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return ``Generator(PCG64(SeedSequence([seed, crc32(purpose), *counters])))``: equal on every run, process and worker count."""
    words = [int(seed) & 0xFFFFFFFF, (int(seed) >> 32) & 0xFFFFFFFF, zlib.crc32(purpose.encode())]
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([*words, *(int(c) & 0xFFFFFFFF for c in counters)]))
    )
