"""Evaluators against the official ones: KITTI's C++ kit, the nuScenes kit, FB-OCC's Occ3D metric."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from tests.parity.runner import Case, Check


def kitti_eval(case: Case) -> Iterator[Check]:
    """AP tables and precision curves of folders of label files."""
    from perception.evaluation.kitti import KittiProtocol, evaluate_folders
    from perception.io.kitti import read_labels

    expected = json.loads((case.folder / "expected.json").read_text())
    tolerance = expected["tolerance"]
    got = evaluate_folders(case.folder / "label_2", case.folder / "data", expected["classes"])
    yield Check("frames", got["frames"], expected["frames"])
    for title, rows in expected["ap"].items():
        for row, values in rows.items():
            for positions in ("R40", "R11"):
                actual = got["ap"][title][row][positions]
                yield Check(f"{title} {row} {positions}", actual, values[positions], 0.0, tolerance["ap_percent"])
    if (case.folder / "curves.npz").exists():
        for key, curve in np.load(case.folder / "curves.npz").items():
            title, name, metric = key.split("/")
            actual = got["ap"][title][f"{name.lower()}/{metric}"]["curve"]
            yield Check(f"curve {key}", actual, curve, 0.0, tolerance["curve"])
    # The order of frames must not matter.
    files = sorted((case.folder / "label_2").glob("*.txt"))[::-1]
    results = [case.folder / "data" / file.name for file in files]
    turned = KittiProtocol([read_labels(f) for f in files], [read_labels(f) for f in results]).evaluate(
        expected["classes"]
    )
    title = next(iter(expected["ap"]))
    for row in expected["ap"][title]:
        yield Check(
            f"{title} {row}, frames reversed", turned[title][row]["R40"], got["ap"][title][row]["R40"], 0.0, 1e-9
        )


KINDS = {"kitti_eval": kitti_eval}
