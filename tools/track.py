"""Link the detections of a nuScenes result file over time, and write the tracks in the official format.

python tools/track.py --gt DATAROOT --version v1.0-trainval --split val --pred detections.json --out tracks.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception.engine.command import run_command


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gt", required=True, metavar="PATH", help="data root with the tables' folder; annotations are not read"
    )
    parser.add_argument("--pred", required=True, metavar="JSON", help="detection results in the official format")
    parser.add_argument("--out", required=True, metavar="JSON", help="tracking results in the official format")
    parser.add_argument("--version", default="v1.0-trainval")
    parser.add_argument("--split", default="val")
    parser.add_argument("--max-age", type=int, default=3, help="frames that a track survives unseen (default 3)")
    parser.add_argument("--min-score", type=float, default=0.0, help="weaker detections are left out (default 0)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)

    def body() -> int:
        import numpy as np

        from perception.io.nuscenes import load_index, truth_boxes
        from perception.io.nuscenes_results import read_submission, write_submission
        from perception.tracking import track_results

        index = load_index(options.gt, options.version)
        _, samples = truth_boxes(index, index.samples_of(index.scenes_of(options.split, options.gt, options.version)))
        boxes, meta = read_submission(options.pred, samples.tokens)
        tracks = track_results(boxes, samples, max_age=options.max_age, min_score=options.min_score)
        write_submission(options.out, tracks, samples.tokens, meta, tracking=True)
        scenes = len(np.unique(samples.scene))
        count = len(np.unique(tracks.track))
        print(f"{count} tracks of {len(tracks)} boxes in {scenes} scenes ({len(boxes)} detections): {options.out}")
        return 0

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
