"""``python tools/predict.py INPUT...``: the same as ``perception predict``, from a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
