"""``tools/evaluate.py``: every task on small folders, the numbers in the JSON, one sentence for what is wrong."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from perception.io.depth_files import write_depth_png, write_npy
from perception.io.images import write_ids, write_image, write_rgb_ids
from perception.io.kitti import write_labels
from perception.io.nuscenes import load_index, truth_boxes
from perception.io.nuscenes_results import write_submission
from tests.datasets.nuscenes_fixture import write_tables
from tests.evaluation.kitti_scenes import make_frames

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool("evaluate")


def run(tmp_path: Path, *arguments: object) -> dict:
    out = tmp_path / "out.json"
    assert tool.main([*map(str, arguments), "--json", str(out)]) == 0
    return json.loads(out.read_text())


def test_depth(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        truth = rng.uniform(1, 9, (48, 64)).astype(np.float32)
        write_depth_png(tmp_path / f"gt/a/{i}.png", truth, scale=1000.0)
        write_npy(tmp_path / f"pred/a/{i}/depth.npy", truth * 2)
    got = run(
        tmp_path,
        "depth",
        "--gt",
        tmp_path / "gt",
        "--pred",
        tmp_path / "pred",
        "--preset",
        "nyu_full",
        "--align",
        "none",
        "median",
    )
    assert got["none/abs_rel"] > 0.4 and got["median/abs_rel"] < 1e-3 and got["images"] == 3
    text = capsys.readouterr().out
    assert "protocol nyu_full" in text and "vertical_prior/median" in text
    (tmp_path / "pred/a/1/depth.npy").unlink()
    assert tool.main(["depth", "--gt", str(tmp_path / "gt"), "--pred", str(tmp_path / "pred")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "1 of 3" in error and "a/1" in error
    for wrong in (["--preset", "nyu_eigem"], ["--align", "median2"], ["--gt-scale", "nyuu"]):
        assert tool.main(["depth", "--gt", str(tmp_path / "gt"), "--pred", str(tmp_path / "gt"), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_relative_inverse_depth(tmp_path) -> None:
    truth = np.random.default_rng(0).uniform(1, 9, (20, 30)).astype(np.float32)
    write_npy(tmp_path / "gt/x.npy", truth)
    write_npy(tmp_path / "pred/x.npy", 3 / truth - 2)
    got = run(
        tmp_path,
        "depth",
        "--gt",
        tmp_path / "gt",
        "--pred",
        tmp_path / "pred",
        "--kind",
        "inverse",
        "--align",
        "affine-disparity",
    )
    assert got["affine-disparity/abs_rel"] < 1e-4


def test_normals_and_labels(tmp_path) -> None:
    normals = np.random.default_rng(0).standard_normal((12, 16, 3))
    normals[..., 2] = -np.abs(normals[..., 2]) - 0.1
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    write_npy(tmp_path / "n/gt/0.npy", normals)
    write_image(tmp_path / "n/pred/0.png", np.rint((normals + 1) / 2 * 255).astype(np.uint8))
    assert run(tmp_path, "normals", "--gt", tmp_path / "n/gt", "--pred", tmp_path / "n/pred")["mean"] < 0.5
    labels = np.random.default_rng(1).integers(0, 6, (12, 16))
    write_ids(tmp_path / "s/gt/0.png", labels)
    write_ids(tmp_path / "s/pred/0.png", np.maximum(labels, 1) - 1)
    got = run(
        tmp_path,
        "semantic",
        "--gt",
        tmp_path / "s/gt",
        "--pred",
        tmp_path / "s/pred",
        "--num-classes",
        5,
        "--reduce-zero",
    )
    assert got["miou"] == 1.0 and got["iou"]["4"] == 1.0


def test_panoptic(tmp_path) -> None:
    ids = np.repeat(np.arange(1, 5), 25).reshape(10, 10) * 300
    for side in ("gt", "pred"):
        write_rgb_ids(tmp_path / side / "0.png", ids if side == "gt" else np.roll(ids, 1, 1))
        segments = [{"id": int(i), "category_id": 1 + k % 2, "iscrowd": 0} for k, i in enumerate(np.unique(ids))]
        content = {
            "annotations": [{"image_id": 7, "file_name": "0.png", "segments_info": segments}],
            "categories": [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}],
        }
        (tmp_path / f"{side}.json").write_text(json.dumps(content))
    got = run(tmp_path, "panoptic", "--gt", tmp_path / "gt.json", "--pred", tmp_path / "pred")
    assert 0 < got["pq"] < 1 and got["categories"] == 2 and set(got["categories_by_id"]) == {"1", "2"}


def test_kitti(tmp_path, capsys) -> None:
    for i, (truth, result) in enumerate(zip(*make_frames(6, 6, 8), strict=True)):
        write_labels(tmp_path / f"label_2/{i:06d}.txt", truth)
        if i:
            write_labels(tmp_path / f"data/{i:06d}.txt", result)
    got = run(tmp_path, "kitti", "--gt", tmp_path / "label_2", "--pred", tmp_path / "data")
    assert got["frames"] == 6 and got["missing_results"] == 1 and "strict/car/3d/R40/moderate" in got
    assert "1 frames have no result file" in capsys.readouterr().out


def test_nuscenes(tmp_path, capsys) -> None:
    root = write_tables(tmp_path / "data")
    index = load_index(root, "v1.0-mini")
    truth, samples = truth_boxes(index, index.samples_of(index.scenes_of("mini_val")))
    for tracking, task, key in ((False, "nuscenes", "ap/car"), (True, "nuscenes-tracking", "amota/car")):
        path = tmp_path / f"{task}.json"
        own = truth[truth.label < 8]
        own.score = np.full(len(own), 0.5)
        write_submission(path, own, samples.tokens, tracking=tracking)
        arguments = (task, "--gt", root, "--pred", path, "--version", "v1.0-mini", "--split", "mini_val")
        assert run(tmp_path, *arguments)[key] == pytest.approx(1.0)
    assert tool.main(["nuscenes", "--gt", str(root), "--pred", str(path)]) == 2
    assert "v1.0-trainval" in capsys.readouterr().err


def test_detections_are_tracked_and_judged_from_files(tmp_path, capsys) -> None:
    root = write_tables(tmp_path / "data")
    index = load_index(root, "v1.0-mini")
    truth, samples = truth_boxes(index, index.samples_of(index.scenes_of("all")))
    truth.score = np.full(len(truth), 0.7)
    write_submission(tmp_path / "detections.json", truth, samples.tokens, {"use_radar": True})
    where = ["--gt", str(root), "--version", "v1.0-mini", "--split", "all"]
    arguments = [*where, "--pred", str(tmp_path / "detections.json"), "--out", str(tmp_path / "tracks.json")]
    assert load_tool("track").main(arguments) == 0
    assert "in 2 scenes" in capsys.readouterr().out
    content = json.loads((tmp_path / "tracks.json").read_text())
    assert content["meta"]["use_radar"] and set(content["results"]) == set(samples.tokens)
    got = run(tmp_path, "nuscenes-tracking", *where, "--pred", tmp_path / "tracks.json")
    assert got["amota/car"] == pytest.approx(1.0) and got["ids"] == 0
    assert load_tool("track").main([*where, "--pred", "nowhere.json", "--out", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_occupancy(tmp_path) -> None:
    truth = np.random.default_rng(0).integers(0, 18, (8, 8, 4)).astype(np.uint8)
    folder = tmp_path / "gts/scene-1/token"
    folder.mkdir(parents=True)
    np.savez(folder / "labels.npz", semantics=truth, mask_camera=np.ones_like(truth), mask_lidar=np.ones_like(truth))
    (tmp_path / "pred").mkdir()
    np.savez(tmp_path / "pred/token.npz", semantics=truth)
    assert run(tmp_path, "occ3d", "--gt", tmp_path / "gts", "--pred", tmp_path / "pred")["miou"] == 1.0
