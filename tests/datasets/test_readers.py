"""What all readers share: the registry, plain folders, resizing, the check command."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.datasets.folder import ImageFolder, write_sample
from perception.datasets.registry import build_dataset, dataset_class, list_datasets
from perception.datasets.resize import resize_sample
from perception.errors import DatasetError, RecipeError
from tests.datasets.reader_files import picture, put

ROOT = Path(__file__).resolve().parents[2]


def test_registry_builds_every_reader_lazily() -> None:
    for name in list_datasets():
        if name != "World":
            assert dataset_class(name).__name__ == name
    with pytest.raises(RecipeError, match="KittiObject"):
        build_dataset({"type": "KittiObjects"})
    with pytest.raises(RecipeError, match="cannot be built"):
        build_dataset({"type": "ADE20K", "rot": "x"})
    with pytest.raises(RecipeError, match="'type'"):
        build_dataset({"root": "x"})


def test_plain_folder_both_layouts(tmp_path) -> None:
    depth = np.random.default_rng(1).uniform(0.5, 9, (12, 16)).astype(np.float32)
    depth[0] = 0
    normals = np.dstack([np.zeros((12, 16)), np.zeros((12, 16)), -np.ones((12, 16))])
    matrix = np.array([[20.0, 0, 8], [0, 21, 6], [0, 0, 1]])
    labels = np.arange(192).reshape(12, 16) % 5
    write_sample(
        tmp_path / "nested/a/b", picture(), matrix, depth, normals=normals, semantic=labels, instance=labels + 300
    )
    item = ImageFolder(tmp_path / "nested")[0]
    assert item["meta"] == {"name": "a/b", "index": 0, "width": 16, "height": 12, "depth_kind": "z"}
    np.testing.assert_allclose(item["depth"], depth, atol=6e-4)
    assert not item["depth_valid"][0].any() and item["depth_valid"][1:].all()
    assert item["instance"].max() == 304 and item["semantic"].dtype == torch.int64
    np.testing.assert_allclose(item["intrinsics"], matrix)
    np.testing.assert_array_equal(item["image"], picture().transpose(2, 0, 1))
    assert (item["normals"][2] == -1).all()
    root = tmp_path / "flat"
    put(root / "images/x.png", picture())
    put(root / "depth/x.png", (depth * 256).astype(np.uint16))
    (root / "meta.json").write_text(
        json.dumps({"fx": 20, "fy": 20, "cx": 7.5, "cy": 5.5, "pixel_centres": 0, "depth_scale": 256})
    )
    item = ImageFolder(root)[0]
    assert item["intrinsics"][0, 2] == 8 and item["depth"].max() == pytest.approx(depth.max(), abs=0.004)
    (root / "meta.json").write_text('{"intrinsics": [[1]]}')
    with pytest.raises(DatasetError, match="3x3"):
        ImageFolder(root)[0]
    assert not ImageFolder(root).check().ok
    with pytest.raises(DatasetError, match="no sample found"):
        ImageFolder(put(tmp_path / "empty/x.txt.png", picture()).parent)
    assert ImageFolder(tmp_path / "nested/a/b")[0]["meta"]["name"] == "b"
    put(root / "depth/x.png", np.ones((3, 3), np.uint16))
    (root / "meta.json").write_text("{}")
    with pytest.raises(DatasetError, match="picture's size"):
        ImageFolder(root)[0]


def test_suffixes_in_upper_case_names_in_a_list_and_broken_intrinsics(tmp_path) -> None:
    image, depth = np.zeros((8, 9, 3), np.uint8), np.ones((8, 9))
    normals = np.zeros((8, 9, 3)) - [0, 0, 1]
    for name in ("one", "two"):
        folder = write_sample(tmp_path / name, image, np.diag([5.0, 5, 1]), depth, normals=normals)
        for part in ("depth.png", "normals.npy"):
            (folder / part).rename((folder / part).with_suffix(Path(part).suffix.upper()))
    (tmp_path / "names.txt").write_text("two\n")
    for names in (tmp_path / "names.txt", str(tmp_path / "names.txt"), ["two"]):
        data = ImageFolder(tmp_path, names=names)
        assert [data.name_of(entry) for entry in data.entries] == ["two"]
    assert data[0]["depth"].min() == 1 and data[0]["normals"].shape == (3, 8, 9)
    (tmp_path / "two" / "meta.json").write_text('{"intrinsics": [[5, 0], [1]]}')
    with pytest.raises(DatasetError, match="meta.json.*intrinsics must be a finite 3x3 matrix"):
        data[0]


def test_resize_keeps_maps_and_camera_together() -> None:
    """A bright column stays under its label and its ray, whatever the size."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 24:28] = 255
    labels = (image[..., 0] > 0).astype(np.int64)
    item = {
        "image": torch.from_numpy(image.transpose(2, 0, 1).copy()),
        "semantic": torch.from_numpy(labels),
        "depth": torch.from_numpy(labels.astype(np.float32) * 5),
        "depth_valid": torch.from_numpy(labels > 0),
        "intrinsics": torch.tensor([[30.0, 0, 20], [0, 30, 15], [0, 0, 1]]),
        "meta": {"name": "x"},
    }
    ray = (26 - 20) / 30
    for size, fit in (((15, 20), "crop"), ((60, 60), "crop"), ((45, 20), "stretch"), ((90, 120), "stretch")):
        new = resize_sample(item, size, fit)
        u = float(new["intrinsics"][0, 0] * ray + new["intrinsics"][0, 2])
        bright = np.flatnonzero(new["image"][0, size[0] // 2].numpy() > 127) + 0.5
        marked = np.flatnonzero(new["semantic"][size[0] // 2].numpy()) + 0.5
        assert abs(bright.mean() - u) <= 0.51 and abs(marked.mean() - u) <= 0.51
        assert set(new["depth"].unique().tolist()) == {0.0, 5.0} and new["meta"]["name"] == "x"
    with pytest.raises(RecipeError):
        resize_sample(item, (5, 5), "pad")


def test_check_command(tmp_path, capsys) -> None:
    spec = importlib.util.spec_from_file_location("tools_check", ROOT / "tools" / "check_dataset.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    write_sample(tmp_path / "a", picture(), None, np.ones((12, 16)))
    assert tool.main(["ImageFolder", str(tmp_path), "size=[6,8]"]) == 0
    assert "8x6 (1)" in capsys.readouterr().out
    (tmp_path / "a/image.png").write_bytes(b"x")
    assert tool.main(["ImageFolder", str(tmp_path)]) == 1
    assert "1 broken" in capsys.readouterr().out
    for name in "bcdefgh":  # six samples that lack their picture do not keep the others from being checked
        write_sample(tmp_path / name, picture(), None, np.ones((12, 16)))
        (tmp_path / name / ("image.png" if name == "h" else "depth.png")).write_bytes(b"")
    assert tool.main(["ImageFolder", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "8 samples, 0 missing files, 8 broken" in text and "h/image.png" not in text and "3 more broken" in text
    assert tool.main(["ImageFolder", str(tmp_path), "--all"]) == 1
    assert "h/image.png" in capsys.readouterr().out
    for wrong in (
        ["ImageFolder"],
        ["ImageFoldr", "x"],
        ["ImageFolder", str(tmp_path / "no")],
        ["ImageFolder", "x", "size"],
    ):
        assert tool.main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1
