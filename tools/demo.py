"""Predict the bundled sample pictures with the bundled models: what ``make demo`` shows first."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from perception.errors import PerceptionError  # noqa: E402

SAMPLES = ROOT / "app" / "examples"
# what the samples of a kind are called -> the model that reads them, and what is known of their camera
KINDS = (
    ("scenes/street_*.jpg", "monodetr-world-tiny", {"fov": 80.0}),
    ("scenes/panorama_*.jpg", "omnifusion-world-tiny", {}),
    ("scenes/rig.zip", "hydra-world-tiny", {}),
    ("*.jpg", "default", {}),
)


def samples(bundled: set[str]) -> Iterator[tuple[str, Any, str, dict[str, Any]]]:
    """(name, input, model, options of the call) of every bundled sample whose model is bundled, too; each sample once."""
    taken: set[Path] = set()
    for pattern, model, options in KINDS:
        for file in sorted(SAMPLES.glob(pattern)):
            if file not in taken and model.removeprefix("panorama-") in bundled | {"default"}:
                yield file.stem, (rig_of(file) if file.suffix == ".zip" else file), model, options
            taken.add(file)


def parts_of(result: Any) -> tuple[str, ...]:
    """What was found: the parts of a picture's result; of a rig's, boxes and occupancy."""
    found = getattr(result, "parts", ("boxes3d", "occupancy"))
    return tuple(name for name in found if getattr(result, name) is not None)


def rig_of(archive: Path) -> Any:
    """The first moment of a bundled rig: six pictures, their cameras and the radars' points."""
    from perception.inference.rig_inputs import rig_from_json

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as bundle:
        bundle.extractall(folder)
        return rig_from_json(sorted(Path(folder).glob("*.json"))[0])


def main() -> int:
    """Write what the models see in every sample below ``--out``; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="out", help="folder for the results (default: out)")
    parser.add_argument("--model", default="default", help="for pictures that are given (default: the default model)")
    parser.add_argument("pictures", nargs="*", help="pictures or folders instead of the bundled samples")
    options = parser.parse_args()
    from perception.inference import list_models, load
    from perception.inference.predictor import input_files

    try:
        if options.pictures:
            work = [(file.stem, file, options.model, {}) for file in input_files(options.pictures)]
        else:
            work = samples({entry.name for entry in list_models() if entry.address == "bundled"})
        model, loaded = None, ""
        for name, source, wanted, arguments in work:
            if wanted != loaded:
                start = time.perf_counter()
                model, loaded = load(wanted), wanted
                print(f"{model} loaded in {time.perf_counter() - start:.1f} s", flush=True)
            start = time.perf_counter()
            result = model(source, **arguments)
            seconds = time.perf_counter() - start
            folder = Path(options.out) / name
            result.save(folder)
            print(
                f"{name}: predicted in {seconds:.2f} s, results in {folder}/ ({', '.join(parts_of(result))})",
                flush=True,
            )
    except PerceptionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"Open {Path(options.out)}/*/preview.png, or load points.ply and mesh.glb in a 3D viewer.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
