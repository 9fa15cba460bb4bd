"""Evaluators against the official ones: KITTI's C++ kit, the nuScenes kit, FB-OCC's Occ3D metric."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from tests.parity.runner import Case, Check


def kitti_eval(case: Case) -> Iterator[Check]:
    """AP tables and precision curves of folders of label files."""
    from perception.evaluation.kitti import evaluate_folders
    from perception.evaluation.kitti_protocol import KittiProtocol
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


def _nuscenes(case: Case):
    from perception.io.nuscenes_results import NuScenesBoxes, NuScenesSamples

    i = case.inputs
    samples = NuScenesSamples(i["sample_scene"], i["sample_time_us"], i["ego_xyz"])
    tables = []
    for side in ("gt", "pred"):
        own = {name[len(side) + 1 :]: value for name, value in i.items() if name.startswith(f"{side}_")}
        columns = {"velocity": own["vel"]}
        columns |= {
            new: own[old] for new, old in (("attribute", "attr"), ("score", "score"), ("track", "track")) if old in own
        }
        if side == "gt":
            columns["points"] = own["lidar_pts"] + own["radar_pts"]
        tables.append(NuScenesBoxes.make(own["sample"], own["class"], own["xyz"], own["wlh"], own["quat"], **columns))
    return tables[0], tables[1], samples


def nuscenes_eval(case: Case) -> Iterator[Check]:
    """NDS, mAP, errors and curves of arrays in the official order."""
    from perception.evaluation.nuscenes_detection import ERRORS, THRESHOLDS, TP_THRESHOLD, evaluate_detection
    from perception.io.nuscenes_results import DETECTION_CLASSES

    result = evaluate_detection(*_nuscenes(case))
    found = {
        "label_ap": result.label_ap,
        "label_tp_errors": result.label_errors,
        "mean_ap": result.mean_ap,
        "tp_errors": result.errors,
        "tp_scores": result.scores,
        "nds": result.nds,
        "n_gt_after_filter": result.truths,
        "n_pred_after_filter": result.predictions,
    }
    at = THRESHOLDS.index(TP_THRESHOLD)
    for name, expected in case.outputs.items():
        for label, title in enumerate(DETECTION_CLASSES):
            rows = result.curves[label]
            found[f"precision_{title}"] = np.stack([row.precision for row in rows])
            found[f"confidence_{title}"] = np.stack([row.confidence for row in rows])
            found |= {f"{error}_{title}_2m": rows[at].errors[error] for error in ERRORS}
        yield Check(name, found[name], expected)


def nuscenes_tracking(case: Case) -> Iterator[Check]:
    """AMOTA, AMOTP and the other figures by class, and their curves over recall."""
    from perception.evaluation.nuscenes_tracking import evaluate_tracking

    result = evaluate_tracking(*_nuscenes(case))
    found = {"label_metrics": result.label_metrics, "all": result.overall, **result.curves}
    for name, expected in case.outputs.items():
        yield Check(name, found[name], expected)


def occ3d_miou(case: Case) -> Iterator[Check]:
    """Confusion, IoU and mIoU of coarse label grids, repeated to 200 x 200 x 16."""
    from perception.evaluation.occupancy import OccupancyEvaluator

    def fine(values: np.ndarray) -> np.ndarray:
        factors = (200 // values.shape[0], 200 // values.shape[1], 16 // values.shape[2])
        for axis, factor in enumerate(factors):
            values = np.repeat(values, factor, axis)
        return values

    evaluator = OccupancyEvaluator(mask="camera")
    i = case.inputs
    for index in range(len(i["gt"])):
        evaluator.update(
            [{"occupancy": fine(i["pred"][index])}],
            {
                "occupancy": fine(i["gt"][index])[None],
                "occupancy_mask_camera": fine(i["mask_camera"][index])[None],
                "meta": [{"index": index}],
            },
        )
    miou = evaluator.compute()["miou"]
    yield Check("hist", evaluator.confusion(), case.outputs["hist"])
    yield Check("iou", evaluator.iou(), case.outputs["iou"])
    yield Check("miou", miou, case.outputs["miou"])
    yield Check("miou_percent_rounded", round(100 * miou, 2), case.outputs["miou_percent_rounded"])


KINDS = {
    "kitti_eval": kitti_eval,
    "nuscenes_eval": nuscenes_eval,
    "nuscenes_tracking": nuscenes_tracking,
    "occ3d_miou": occ3d_miou,
}
