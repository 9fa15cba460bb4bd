"""Readers of stereo and flow: small written sets, the real samples where they are, and the world's pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from perception.datasets.registry import build_dataset
from perception.errors import DatasetError, RecipeError
from perception.io.depth_files import write_pfm
from perception.io.flow_files import write_flow_png
from tests.helpers import sample


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def picture(height: int = 12, width: int = 20) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 255, (height, width, 3)).astype(np.uint8)


def gain(data: dict, motion: torch.Tensor, valid: torch.Tensor) -> float:
    """Colour error after moving the second picture back along `motion` (2, H, W), as a share of the error before."""
    height, width = motion.shape[-2:]
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    grid = torch.stack([2 * (u + motion[0]) / width - 1, 2 * (v + motion[1]) / height - 1], -1)[None]
    valid = valid & (grid[0].abs() < 1).all(-1)
    second, first = data["second"].float(), data["image"].float()
    moved = F.grid_sample(second[None], grid, align_corners=False, padding_mode="border")[0]
    return ((moved - first).abs().mean(0)[valid].mean() / (second - first).abs().mean(0)[valid].mean()).item()


def leftwards(data: dict) -> torch.Tensor:
    return torch.stack([-data["disparity"], torch.zeros_like(data["disparity"])])


@pytest.mark.parametrize("year", [2012, 2015])
def test_kitti_layouts_windows_and_missing_files(tmp_path: Path, year: int) -> None:
    new = year == 2015
    left, right = ("image_2", "image_3") if new else ("colored_0", "colored_1")
    stored = np.full((12, 20), 256 * 5 + 128, np.uint16)
    stored[0] = 0
    for number, width in ((0, 20), (1, 22)):
        for folder, frame in ((left, 10), (left, 11), (right, 10)):
            put(tmp_path / "training" / folder / f"{number:06d}_{frame}.png", picture(12, width))
        put(
            tmp_path / "training" / ("disp_occ_0" if new else "disp_occ") / f"{number:06d}_10.png",
            np.resize(stored, (12, width)) if width == 20 else np.pad(stored, ((0, 0), (0, 2))),
        )
        flow = np.dstack([np.full((12, width), -2.5), np.full((12, width), 1.0)])
        place = tmp_path / "training" / "flow_occ"
        place.mkdir(exist_ok=True)
        write_flow_png(place / f"{number:06d}_10.png", flow, np.arange(12)[:, None] > np.zeros(width))
    stereo = build_dataset({"type": "KittiStereo", "root": str(tmp_path)})
    assert len(stereo) == 2 and stereo[0]["disparity"][1, 3] == 5.5
    assert not stereo[0]["disparity_valid"][0].any() and stereo[0]["disparity_valid"][1:].all()
    windows = build_dataset({"type": "KittiStereo", "root": str(tmp_path), "crop": [8, 16]})
    assert {tuple(windows[i]["disparity"].shape) for i in range(2)} == {(8, 16)}
    flow = build_dataset({"type": "KittiFlow", "root": str(tmp_path)})[1]
    assert flow["flow"].shape == (2, 12, 22) and flow["flow"][:, 5, 5].tolist() == [-2.5, 1.0]
    assert not flow["flow_valid"][0].any() and flow["meta"]["name"].endswith("000001_10.png")
    with pytest.raises(DatasetError, match="no window of 99x8"):
        build_dataset({"type": "KittiStereo", "root": str(tmp_path), "crop": [8, 99]})[0]
    with pytest.raises(DatasetError, match="disp_noc"):
        build_dataset({"type": "KittiStereo", "root": str(tmp_path), "occluded": False})
    with pytest.raises(DatasetError, match="'training' or 'testing'"):
        build_dataset({"type": "KittiFlow", "root": str(tmp_path), "split": "train"})


def test_scene_flow_and_middlebury(tmp_path: Path) -> None:
    things = tmp_path / "things"
    for side in ("left", "right"):
        put(things / "frames_cleanpass" / "TRAIN" / "A" / "0000" / side / "0006.png", picture())
    place = things / "disparity" / "TRAIN" / "A" / "0000" / "left"
    place.mkdir(parents=True)
    write_pfm(place / "0006.pfm", np.full((12, 20), -7.0))
    found = build_dataset({"type": "SceneFlow", "root": str(things), "passes": ["clean"]})
    assert len(found) == 1 and found[0]["disparity"].unique().item() == 7
    scene = tmp_path / "middlebury" / "Chair"
    put(scene / "im0.png", picture())
    put(scene / "im1.png", picture())
    disparity = np.full((12, 20), 9.0)
    disparity[0] = np.inf
    write_pfm(scene / "disp0GT.pfm", disparity)
    (scene / "calib.txt").write_text("cam0=[100 0 9.5; 0 100 5.5; 0 0 1]\ndoffs=2.5\nbaseline=200\n")
    chair = build_dataset({"type": "Middlebury", "root": str(tmp_path / "middlebury")})[0]
    assert chair["baseline"] == pytest.approx(0.2) and chair["intrinsics"][0].tolist() == [100, 0, 10]
    assert not chair["disparity_valid"][0].any() and chair["disparity"][5, 5] == 9 and chair["doffs"] == 2.5
    (scene / "calib.txt").write_text("cam0=?")
    with pytest.raises(DatasetError, match="not a Middlebury calibration"):
        build_dataset({"type": "Middlebury", "root": str(tmp_path / "middlebury")})[0]


def test_real_stereo_pairs_explain_each_other() -> None:
    kitti = build_dataset({"type": "KittiStereo", "root": str(sample("stereo/kitti2015"))})[0]
    assert gain(kitti, leftwards(kitti), kitti["disparity_valid"]) < 0.4
    scene = build_dataset({"type": "Middlebury", "root": str(sample("stereo/middlebury2014")), "occluded": False})[0]
    assert gain(scene, leftwards(scene), scene["disparity_valid"]) < 0.4


@pytest.mark.parametrize(("task", "kind"), [("stereo", "room"), ("stereo", "street"), ("flow", "street")])
def test_world_pairs_explain_each_other(task: str, kind: str, tmp_path: Path) -> None:
    config = {"type": "WorldPairs", "task": task, "kind": kind, "seeds": [3, 3], "size": [64, 128]}
    config |= {"views_per_scene": 1, "cache": str(tmp_path)}
    data = build_dataset(config)[0]
    motion = data["flow"] if task == "flow" else leftwards(data)
    moved = motion.norm(dim=0) > 0.5  # what stays where it is differs by its noise alone, before and after
    assert moved.float().mean() > 0.2
    assert gain(data, motion, data[f"{'flow' if task == 'flow' else 'disparity'}_valid"] & moved) < 0.55
    if task == "stereo":
        assert data["disparity"].min() >= 0 and 0.01 < data["baseline"] <= 0.6
    assert torch.equal(build_dataset(config)[0]["second"], data["second"])


def test_world_pairs_options() -> None:
    for changes, text in (
        ({"task": "depth"}, "stereo, flow"),
        ({"task": "flow", "kind": "room"}, "'street'"),
        ({"seeds": [2, 1]}, "first, last"),
    ):
        with pytest.raises(RecipeError, match=text):
            build_dataset({"type": "WorldPairs", **changes})
