"""Predict the bundled sample pictures with the default model: what ``make demo`` shows first."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from perception.errors import PerceptionError  # noqa: E402

SAMPLES = ROOT / "app" / "examples"


def main() -> int:
    """Write depth, normals, masks and point clouds of every sample below ``--out``; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="out", help="folder for the results (default: out)")
    parser.add_argument("--model", default="default")
    parser.add_argument("pictures", nargs="*", help="pictures or folders instead of the bundled samples")
    options = parser.parse_args()
    from perception.inference import load
    from perception.inference.predictor import input_files

    try:
        start = time.perf_counter()
        model = load(options.model)
        print(f"{model} loaded in {time.perf_counter() - start:.1f} s")
        for file in input_files(options.pictures or [SAMPLES]):
            start = time.perf_counter()
            result = model(file)
            seconds = time.perf_counter() - start
            folder = Path(options.out) / file.stem
            result.save(folder)
            print(f"{file.name}: predicted in {seconds:.2f} s, results in {folder}/ ({', '.join(result.parts)})")
    except PerceptionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"Open {Path(options.out)}/*/preview.png, or load points.ply and mesh.glb in a 3D viewer.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
