"""Rigs from an uploaded ZIP: JSON files as `perception.inference.rig_inputs` describes them, beside their pictures and radar files.

Nothing that the archive says becomes a path: members are copied, within limits, to files named by number, and what the JSON calls "front.jpg" is looked
up among the members. Sizes are counted while unpacking, whatever the archive claims.
"""

from __future__ import annotations

import json
import posixpath
import zipfile
from pathlib import Path
from typing import Any

from perception.errors import InputError, nearest
from perception.geometry.rig import Rig

MAX_FILES, MAX_BYTES, MAX_JSON = 300, 200_000_000, 5_000_000
MAX_MOMENTS, MAX_CAMERAS, MAX_RADARS = 12, 12, 24
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".avif")
_KEPT = (".json", ".pcd", *_PICTURES)


def read_rig_archive(
    archive: str | Path | None, folder: Path, max_pixels: int = 24_000_000, max_bytes: int = MAX_BYTES
) -> list[Rig]:
    """The rigs of all JSON files in the ZIP, in order of their times, else of their names. folder: a fresh one, for what is unpacked.

    Raises `InputError` with one sentence for whatever is wrong.
    """
    if not archive:
        raise InputError("there is no rig yet; choose a ZIP file")
    files = _unpacked(Path(archive), folder, max_bytes)
    rigs = []
    for name in sorted(files):
        if name.lower().endswith(".json"):
            values = _json(name, files[name])
            if isinstance(values, dict) and "cameras" in values:
                rigs.append((values.get("time"), name, values))
    if not rigs:
        raise InputError("the archive has no JSON file with a list 'cameras'; see the format described below")
    if len(rigs) > MAX_MOMENTS:
        raise InputError(f"at most {MAX_MOMENTS} moments are taken at once; found {len(rigs)} JSON files with cameras")
    _check_pixels([path for name, path in files.items() if name.lower().endswith(_PICTURES)], 2 * max_pixels)
    if all(isinstance(time, (int, float)) for time, *_ in rigs):
        rigs.sort(key=lambda entry: entry[0])
    return [_rig(name, values, files, folder, number, max_pixels) for number, (_, name, values) in enumerate(rigs)]


def _unpacked(archive: Path, folder: Path, max_bytes: int) -> dict[str, Path]:
    """Name in the archive -> file of ours, for the kinds that a rig needs."""
    files: dict[str, Path] = {}
    left = max_bytes
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = [item for item in bundle.infolist() if _wanted(item)]
            if len(members) > MAX_FILES:
                raise InputError(f"the archive holds {len(members)} files; at most {MAX_FILES} are taken")
            for number, item in enumerate(members):
                if item.flag_bits & 1:
                    raise InputError("the archive is encrypted; make one without a password")
                suffix = next(kind for kind in _KEPT if item.filename.lower().endswith(kind))
                target = folder / f"member{number:03d}{suffix}"
                left -= _copied(bundle, item, target, left, max_bytes)
                files[_normal(item.filename)] = target
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("this file is not a ZIP archive that can be read") from None
    except Exception as error:  # zlib and lzma have their own errors
        if isinstance(error, InputError):
            raise
        raise InputError("the ZIP archive is damaged") from None
    return files


def _wanted(item: zipfile.ZipInfo) -> bool:
    name = item.filename
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/") if part not in (".", ".."))
    return not item.is_dir() and not hidden and name.lower().endswith(_KEPT)


def _copied(bundle: zipfile.ZipFile, item: zipfile.ZipInfo, target: Path, left: int, limit: int) -> int:
    """Unpack one member; return its size in bytes. Raises `InputError` as soon as it is more than `left`."""
    size = 0
    with bundle.open(item) as source, target.open("wb") as file:
        while block := source.read(1 << 20):
            size += len(block)
            if size > left:
                raise InputError(f"the archive unpacks to more than {limit / 1e6:.0f} MB")
            file.write(block)
    return size


def _check_pixels(pictures: list[Path], limit: int) -> None:
    """All pictures are held in memory at once: their headers are asked before any is decoded. Raises `InputError`."""
    from PIL import Image

    total = 0
    for path in pictures:
        try:
            with Image.open(path) as picture:
                total += picture.width * picture.height
        except Exception:  # what cannot be opened gets its sentence when it is read
            continue
        if total > limit:
            raise InputError(f"the pictures of the archive have more than {limit / 1e6:g} million pixels together")


def _normal(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/")


def _json(name: str, file: Path) -> Any:
    label = posixpath.basename(name)
    if file.stat().st_size > MAX_JSON:
        raise InputError(f"{label} is larger than {MAX_JSON / 1e6:.0f} MB")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{label} is not JSON: {str(error)[:120]}") from None


def _rig(name: str, values: dict, files: dict[str, Path], folder: Path, number: int, max_pixels: int) -> Rig:
    """One moment: its references are replaced by our own names, its errors speak of the visitor's."""
    from perception.inference.rig_inputs import rig_from_json

    cameras, radars = values.get("cameras"), values.get("radars") or []
    label = posixpath.basename(name)
    if not isinstance(cameras, list) or not isinstance(radars, list):
        raise InputError(f"'cameras' and 'radars' of {label} must be lists")
    if len(cameras) > MAX_CAMERAS or len(radars) > MAX_RADARS:
        raise InputError(
            f"{label} has {len(cameras)} cameras and {len(radars)} radars; at most {MAX_CAMERAS} and {MAX_RADARS} are taken"
        )
    names: dict[str, str] = {}

    def ours(reference: Any) -> str:
        wanted = _normal(posixpath.join(posixpath.dirname(name), str(reference)))
        if wanted not in files:
            known = [posixpath.basename(other) for other in files]
            raise InputError(
                f"{label} names {str(reference)[:80]!r}, which is not in the archive.{nearest(str(reference), known)}"
            )
        names[files[wanted].name] = posixpath.basename(wanted)
        return files[wanted].name

    values = dict(values)
    values["cameras"] = [
        {**entry, "image": ours(entry["image"])} if isinstance(entry, dict) and "image" in entry else entry
        for entry in cameras
    ]
    values["radars"] = [
        {**entry, "file": ours(entry["file"])} if isinstance(entry, dict) and "file" in entry else entry
        for entry in radars
    ]
    target = folder / f"moment{number:02d}.json"
    target.write_text(json.dumps(values))
    names[target.name] = label
    try:
        rig = rig_from_json(target, max_pixels=max_pixels)
    except InputError as error:
        text = str(error).replace(str(folder) + "/", "")
        for own, theirs in names.items():
            text = text.replace(own, theirs)
        raise InputError(text) from None
    import dataclasses

    return dataclasses.replace(rig, name=posixpath.splitext(label)[0])
