"""Fetching weights: a file is in its place complete and with the right SHA-256, or not at all."""

from __future__ import annotations

import hashlib
import urllib.request
from pathlib import Path

from perception.errors import WeightsError
from perception.io.atomic import atomic_path

CHUNK = 1 << 20


def download_file(address: str, place: Path, sha256: str = "", timeout: float = 60) -> Path:
    """Download `address` to `place` by way of a temporary file beside it; return `place`.

    Args:
        sha256: expected digest, or empty where none is known.
        timeout: seconds without a byte after which the server counts as gone.

    Raises:
        WeightsError: fewer bytes came than the server announced, or their digest is another one. Nothing is left behind.
        OSError: the network's own errors. Nothing is left behind either.
    """
    from tqdm import tqdm

    digest, received = hashlib.sha256(), 0
    request = urllib.request.Request(address, headers={"User-Agent": "perception3d"})
    with urllib.request.urlopen(request, timeout=timeout) as response, atomic_path(place) as temporary:
        announced = int(response.headers.get("Content-Length") or 0)
        bar = tqdm(total=announced or None, unit="B", unit_scale=True, desc=place.name, leave=False, mininterval=0.5)
        with bar, open(temporary, "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
        if announced and received != announced:
            raise WeightsError(f"the download of {address} broke off after {received} of {announced} bytes")
        if sha256 and digest.hexdigest() != sha256:
            raise WeightsError(
                f"what {address} sent is not the published file: its SHA-256 is {digest.hexdigest()}, expected {sha256}"
            )
    return place
