"""Wrong folders and broken files, for every task of tools/evaluate.py and every reader: exit code 2 and one sentence, never a traceback."""

import importlib.util
import inspect
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.datasets.registry import dataset_class, list_datasets
from perception.io.images import write_rgb_ids
from perception.io.nuscenes import load_index
from tests.datasets.nuscenes_fixture import write_tables

ROOT = Path(__file__).resolve().parents[2]
LABEL = "Car 0.0 0 0.0 10 10 50 50 1.5 1.6 4 0 1.6 20 0.1\n"


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fails(capsys, name: str, *arguments: object) -> str:
    """Run the tool; returns its one sentence."""
    capsys.readouterr()
    assert load_tool(name).main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert error.startswith("error: ") and "Traceback" not in error
    return error


def write(folder: Path, **files: bytes | str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def npy(values: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, values, allow_pickle=True)
    return held.getvalue()


@pytest.mark.parametrize("task", ["depth", "normals", "semantic"])
def test_maps(task: str, tmp_path, capsys) -> None:
    good = {
        "depth": npy(np.ones((8, 8), np.float32)),
        "normals": npy(np.ones((8, 8, 3), np.float32)),
        "semantic": npy(np.zeros((8, 8), np.uint8)),
    }[task]
    truth = write(tmp_path / "good", a__npy=good)
    rest = ["--num-classes", 3] if task == "semantic" else []
    wrong = {
        "missing": tmp_path / "no",
        "empty": write(tmp_path / "empty"),
        "file": write(tmp_path / "f", x__txt="x") / "x.txt",
        "text": write(tmp_path / "text", a__npy="x"),
        "cut": write(tmp_path / "cut", a__npy=good[:40]),
        "objects": write(tmp_path / "objects", a__npy=npy(np.array([{}], object))),
        "shape": write(tmp_path / "shape", a__npy=npy(np.ones((2, 5, 8, 8)))),
        "other": write(tmp_path / "other", b__npy=good),
        "nothing": write(tmp_path / "nothing", a__png=b""),
    }
    for folder in wrong.values():
        assert len(fails(capsys, "evaluate", task, "--gt", truth, "--pred", folder, *rest)) < 400
    for name in ("missing", "empty", "text", "shape"):
        fails(capsys, "evaluate", task, "--gt", wrong[name], "--pred", truth, *rest)
    out = tmp_path / "good" / "a.npy" / "x.json"
    assert "cannot be written" in fails(capsys, "evaluate", task, "--gt", truth, "--pred", truth, "--json", out, *rest)


def test_pixels_without_a_predicted_depth_are_counted_and_fit_nothing(tmp_path, capsys) -> None:
    """Files hold 0 where there is no depth (sky): that must not move a median, and the report says how many there are."""
    truth = np.linspace(1, 9, 64, dtype=np.float32).reshape(8, 8)
    guess = np.where(np.arange(64).reshape(8, 8) < 40, truth / 2, 0)
    guess[7, 7] = np.nan
    gt = write(tmp_path / "gt", a__npy=npy(truth))
    pred = write(tmp_path / "pred", a__npy=npy(guess[None]))  # (1, H, W), as networks give it
    out = tmp_path / "metrics.json"
    assert (
        load_tool("evaluate").main(
            ["depth", "--gt", str(gt), "--pred", str(pred), "--align", "median", "--no-baselines", "--json", str(out)]
        )
        == 0
    )
    assert "24 pixels (37.5%) have truth and no predicted depth" in capsys.readouterr().out
    metrics = json.loads(out.read_text())
    assert metrics["median/delta1"] == pytest.approx(40 / 64)  # all that was predicted is right after its median
    half = write(tmp_path / "half", a__npy=npy(truth[::2, ::2]))
    assert load_tool("evaluate").main(["depth", "--gt", str(gt), "--pred", str(half)]) == 0
    assert "1 prediction had another size than its truth and was resized bilinearly" in capsys.readouterr().out


def test_predictions_of_another_size(tmp_path, capsys) -> None:
    """Normals are resized and the report says so, as of depth; labels are compared pixel by pixel or not at all."""
    normals = np.zeros((8, 8, 3), np.float32)
    normals[..., 2] = -1
    truth, half = (write(tmp_path / n, a__npy=npy(v)) for n, v in (("n", normals), ("h", normals[::2, ::2])))
    tool = load_tool("evaluate")
    assert tool.main(["normals", "--gt", str(truth), "--pred", str(truth)]) == 0
    assert "another size" not in capsys.readouterr().out
    assert tool.main(["normals", "--gt", str(truth), "--pred", str(half)]) == 0
    assert "1 prediction had another size than its truth and was resized bilinearly" in capsys.readouterr().out
    labels = np.ones((8, 8), np.uint8)
    truth, half = (write(tmp_path / n, a__npy=npy(v)) for n, v in (("l", labels), ("k", labels[::2])))
    sentence = fails(capsys, "evaluate", "semantic", "--gt", truth, "--pred", half, "--num-classes", 3)
    assert "a: predicted semantic labels must have their truth's shape (8, 8)" in sentence and "(4, 8)" in sentence
    for side, size in (("gt", 8), ("pred", 4)):
        write_rgb_ids(tmp_path / f"{side}/0.png", np.ones((size, size), int))
        segment = {"image_id": 7, "file_name": "0.png", "segments_info": [{"id": 1, "category_id": 1}]}
        content = {"annotations": [segment], "categories": [{"id": 1, "isthing": 1}]}
        (tmp_path / f"{side}.json").write_text(json.dumps(content))
    sentence = fails(capsys, "evaluate", "panoptic", "--gt", tmp_path / "gt.json", "--pred", tmp_path / "pred.json")
    assert "0.png: predicted panoptic labels must have their truth's shape (8, 8)" in sentence


def test_labels_are_whole_numbers(tmp_path, capsys) -> None:
    truth = write(tmp_path / "gt", a__npy=npy(np.ones((8, 8), np.float32)))
    pred = write(tmp_path / "pred", a__npy=npy(np.full((8, 8), 1.5)))
    assert "whole numbers; found float64 such as 1.5" in fails(
        capsys, "evaluate", "semantic", "--gt", truth, "--pred", pred, "--num-classes", 3
    )


def test_suffixes_in_upper_case_are_read(tmp_path) -> None:
    from perception.evaluation.folders import depth_folders, semantic_folders

    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / "a.npy", np.ones((2, 3), np.int64))
        (tmp_path / side / "a.npy").rename(tmp_path / side / "a.NPY")
    assert semantic_folders(tmp_path / "gt", tmp_path / "pred", 2).compute()["miou"] == 1
    found = depth_folders(tmp_path / "gt", tmp_path / "pred", kind="inverse", baselines=False).compute()
    assert found["none/abs_rel"] == 0


def test_labels_out_of_range(tmp_path, capsys) -> None:
    truth = write(tmp_path / "gt", a__png=png(np.full((8, 8), 9, np.uint8)))
    assert "0..2" in fails(capsys, "evaluate", "semantic", "--gt", truth, "--pred", truth, "--num-classes", 3)


def test_panoptic(tmp_path, capsys) -> None:
    (tmp_path / "p").mkdir()
    entry = {"image_id": 1, "file_name": "a.png", "segments_info": []}
    contents = (
        "x",
        "[]",
        "{}",
        {"annotations": []},
        {"annotations": [1], "categories": [{"id": 1}]},
        {"annotations": [{"image_id": 1}], "categories": [{"id": 1}]},
        {"annotations": [entry], "categories": [{"id": 1}]},
        {"annotations": [entry], "categories": [{}]},
    )
    for content in contents:
        path = tmp_path / "p.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        fails(capsys, "evaluate", "panoptic", "--gt", path, "--pred", path)
    fails(capsys, "evaluate", "panoptic", "--gt", tmp_path / "no.json", "--pred", path)


def test_kitti(tmp_path, capsys) -> None:
    truth = write(tmp_path / "gt", **{"000000__txt": LABEL})
    rows = {"short": "Car 1 2\n", "words": "Car " + "a " * 15, "binary": bytes(range(128, 255)), "plain": LABEL}
    rows["nan"] = LABEL.strip() + " nan\n"
    for name, content in rows.items():
        guess = write(tmp_path / name, **{"000000__txt": content})
        fails(capsys, "evaluate", "kitti", "--gt", truth, "--pred", guess)
    assert "row 1" in fails(capsys, "evaluate", "kitti", "--gt", tmp_path / "short", "--pred", truth)
    fails(capsys, "evaluate", "kitti", "--gt", tmp_path / "no", "--pred", truth)
    fails(capsys, "evaluate", "kitti", "--gt", truth, "--pred", write(tmp_path / "o", **{"000009__txt": LABEL}))


def test_nuscenes(tmp_path, capsys) -> None:
    root = write_tables(tmp_path / "data")
    tokens = [str(token) for token in load_index(root, "v1.0-mini").sample_token]
    box = {
        "translation": [0, 0, 0],
        "size": [1, 1, 1],
        "rotation": [1, 0, 0, 0],
        "velocity": [0, 0],
        "detection_name": "car",
        "detection_score": 0.5,
        "attribute_name": "",
    }

    def one(value: object) -> str:
        return json.dumps({"results": {token: [value] if token == tokens[0] else [] for token in tokens}})

    contents = {
        "text": "x",
        "list": "[]",
        "empty": "{}",
        "results list": '{"results": []}',
        "missing": '{"results": {}}',
        "no box": one(1),
        "size": one({**box, "size": [1, 1]}),
        "negative": one({**box, "size": [-1, 1, 1]}),
        "class": one({**box, "detection_name": "ship"}),
        "field": one({key: value for key, value in box.items() if key != "rotation"}),
        "no turn": one({**box, "rotation": [0, 0, 0, 0]}),
        "null": one({**box, "detection_score": None}),
        "many": json.dumps({"results": {token: [box] * 501 for token in tokens}}),
    }
    path = tmp_path / "r.json"
    where = ["--gt", root, "--version", "v1.0-mini", "--split", "all", "--pred", path]
    for content in contents.values():
        path.write_text(content)
        fails(capsys, "evaluate", "nuscenes", *where)
        fails(capsys, "track", *where, "--out", tmp_path / "t.json")
    path.write_text(one(box))
    assert "tracking_name" in fails(capsys, "evaluate", "nuscenes-tracking", *where)
    assert "cannot be written" in fails(capsys, "track", *where, "--out", path / "t.json")
    (root / "v1.0-mini/splits.json").write_text("[]")
    assert "splits.json" in fails(capsys, "evaluate", "nuscenes", *where)


def test_occupancy(tmp_path, capsys) -> None:
    folder = tmp_path / "gts/scene/token"
    grid = np.zeros((4, 4, 2), np.uint8)
    folder.mkdir(parents=True)

    def run(**arrays: np.ndarray) -> str:
        np.savez(folder / "labels.npz", **arrays)
        return fails(capsys, "evaluate", "occ3d", "--gt", tmp_path / "gts", "--pred", tmp_path / "gts")

    assert "semantics" in run(other=grid)
    assert "camera mask" in run(semantics=grid)
    for content in (b"x", b"", npy(np.array([{}], object))):
        guess = write(tmp_path / "pred", token__npz=content)
        np.savez(folder / "labels.npz", semantics=grid, mask_camera=grid + 1)
        fails(capsys, "evaluate", "occ3d", "--gt", tmp_path / "gts", "--pred", guess)
    (folder / "labels.npz").write_bytes(b"x")
    fails(capsys, "evaluate", "occ3d", "--gt", tmp_path / "gts", "--pred", tmp_path / "gts")


@pytest.mark.parametrize("name", list_datasets())
def test_readers(name: str, tmp_path, capsys) -> None:
    if "root" not in inspect.signature(dataset_class(name)).parameters:
        pytest.skip("makes its samples itself")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for root in ("no", "empty", "file"):
        assert str(tmp_path / root) in fails(capsys, "check_dataset", name, tmp_path / root) or name == "NYUv2"
    assert "no_such_option" in fails(capsys, "check_dataset", name, tmp_path, "no_such_option=1")
