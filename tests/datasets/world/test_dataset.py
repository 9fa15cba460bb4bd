"""Plans, the training data set and the cache on disk."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.datasets.registry import build_dataset
from perception.datasets.world import classes
from perception.datasets.world.cache import PrerenderedWorld, prerender, size_in_bytes
from perception.datasets.world.plan import Plan, make_plan
from perception.errors import DatasetError, InputError, RecipeError

ROOT = Path(__file__).resolve().parents[3]
TINY = Plan(kind="mixed", scenes=4, size=(48, 64), views_per_scene=2, block=1, wide_share=0.25)  # 4 blocks


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> PrerenderedWorld:
    return prerender(tmp_path_factory.mktemp("cache"), TINY, workers=1, progress=False)


def test_plan_numbers_frames_by_scene():
    assert len(TINY) == 8 and TINY.locate(5) == (2, 1)
    with pytest.raises(IndexError):
        TINY.locate(8)
    sizes = {TINY.block_size(b) for b in range(TINY.blocks)}
    assert sizes == {(48, 64), (32, 96)} and sum(TINY.is_wide(b) for b in range(4)) == 1
    wide = Plan(kind="street", scenes=400, size=(240, 320), wide_share=0.3)
    assert sum(wide.is_wide(b) for b in range(wide.blocks)) == pytest.approx(0.3 * wide.blocks, abs=1)
    height, width = next(wide.block_size(b) for b in range(wide.blocks) if wide.is_wide(b))
    assert 3.1 < width / height < 3.5 and 0.8 < height * width / (240 * 320) < 1.25
    assert not any(Plan(kind="room", wide_share=0.9).is_wide(b) for b in range(7))


@pytest.mark.parametrize("seeds", [[5, 2], [1, 2, 3], range(0), range(0, 9, 2), "all", [0.5, 2]])
def test_bad_seeds_are_named(seeds):
    with pytest.raises(InputError, match="seeds"):
        make_plan(seeds)


def test_options_that_do_not_exist_are_named():
    with pytest.raises(RecipeError, match="colour"):
        build_dataset({"type": "World", "colour": 1})
    with pytest.raises(InputError, match="street"):
        build_dataset({"type": "World", "kind": "stret"})
    with pytest.raises(RecipeError, match="car"):
        build_dataset({"type": "World", "box_classes": ["carr"]})
    with pytest.raises(InputError, match="16 pixels"):
        build_dataset({"type": "World", "size": [2, 2]})


def test_one_and_four_processes_write_equal_bytes(cache, tmp_path):
    other = prerender(tmp_path, TINY, workers=4, progress=False)
    assert digest(other.folder) == digest(cache.folder)


def test_a_killed_run_goes_on_where_it_stopped(cache, tmp_path):
    folder = tmp_path / cache.folder.name
    shutil.copytree(cache.folder, folder)
    shutil.rmtree(folder / "block-00002")
    rest = folder / ".block-00002.99999"
    rest.mkdir()
    (rest / "image.npy").write_bytes(b"half")
    kept = (folder / "block-00001" / "image.npy").stat().st_mtime_ns
    with pytest.raises(DatasetError, match="1 of 4 blocks"):
        PrerenderedWorld(folder)
    counts = []
    prerender(tmp_path, TINY, workers=1, progress=lambda done, total: counts.append((done, total)))
    assert digest(folder) == digest(cache.folder)
    assert counts[0] == (6, 8) and counts[-1] == (8, 8)
    assert (folder / "block-00001" / "image.npy").stat().st_mtime_ns == kept


def test_two_processes_share_a_folder_and_one_is_killed(cache, tmp_path):
    """Both start at once; the one that renders is killed after its first block; the other takes over, and the bytes are the same."""
    code = (
        "import sys; from tests.datasets.world.test_dataset import TINY, prerender\n"
        "prerender(sys.argv[1], TINY, workers=1, progress=False)"
    )
    root = Path(__file__).parents[3]
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=root) for _ in range(2)]
    folder, owner = tmp_path / cache.folder.name, None
    while owner is None and any(run.poll() is None for run in runs):
        started = [path.suffix[1:] for path in folder.glob(".block-*")] if any(folder.glob("block-*")) else []
        owner = next((run for run in runs if str(run.pid) in started), None)
        time.sleep(0.005)
    assert owner is not None
    owner.kill()
    owner.wait()
    assert len(list(folder.glob("block-*"))) < 4
    other = next(run for run in runs if run is not owner)
    assert other.wait(timeout=300) == 0
    assert digest(folder) == digest(cache.folder)


def test_the_size_on_disk_is_bounded(cache, tmp_path):
    stored = sum(p.stat().st_size for p in cache.folder.rglob("*.npy"))
    assert size_in_bytes(TINY) == pytest.approx(stored, rel=0.05)
    with pytest.raises(DatasetError, match="GB"):
        prerender(tmp_path, TINY, max_gigabytes=1e-6, progress=False)


def test_a_broken_block_is_named(cache, tmp_path):
    shutil.copytree(cache.folder, tmp_path / "copy")
    (tmp_path / "copy" / "block-00000" / "image.npy").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="block-00000"):
        PrerenderedWorld(tmp_path / "copy")[0]
    with pytest.raises(DatasetError, match="plan.json"):
        PrerenderedWorld(tmp_path)


def test_cached_samples_equal_rendered_ones(cache):
    options = {"kind": "mixed", "seeds": [0, 3], "size": [48, 64], "views_per_scene": 2}
    live = build_dataset({"type": "World", **options})
    stored = build_dataset(
        {"type": "World", **options, "cache": str(cache.folder.parent / "other"), "workers": 1, "progress": False}
    )
    for index in (0, 3, 7):
        a, b = live[index], stored[index]
        assert a.keys() == b.keys() and a["meta"]["name"] == b["meta"]["name"]
        for key in ("image", "semantic", "instance", "intrinsics", "boxes3d", "labels3d", "boxes2d", "track_ids"):
            assert torch.equal(a[key], b[key]), key
        torch.testing.assert_close(a["depth"], b["depth"], rtol=6e-4, atol=1e-4)
        torch.testing.assert_close(a["normals"], b["normals"], rtol=0, atol=0.02)
    assert pickle.loads(pickle.dumps(stored))[1]["image"].shape == (3, 48, 64)


def test_sample_keys_types_and_shapes():
    data = build_dataset({"type": "World", "kind": "room", "seeds": [3, 4], "size": [60, 80], "labels": "groups"})
    assert len(data) == 6 and data.class_names == classes.TRAINING_GROUPS
    sample = data[1]
    assert sample["image"].dtype == torch.uint8 and sample["image"].shape == (3, 60, 80)
    assert sample["depth"].dtype == torch.float32 and sample["depth_valid"].dtype == torch.bool
    assert sample["normals"].shape == (3, 60, 80) and sample["semantic"].dtype == torch.int64
    assert int(sample["semantic"].max()) < len(classes.TRAINING_GROUPS)
    assert sample["instance"].dtype == torch.int32
    assert sample["boxes3d"].shape[1] == 7 and len(sample["boxes3d"]) == len(sample["labels3d"]) == len(
        sample["boxes2d"]
    )
    assert sample["intrinsics"].shape == (3, 3) and sample["meta"]["width"] == 80
    with pytest.raises(IndexError):
        data[6]


def test_box_classes_select_and_label():
    data = build_dataset(
        {
            "type": "World",
            "kind": "street",
            "seeds": [0, 3],
            "size": [96, 320],
            "box_classes": ["person", "car"],
            "min_pixels": 1,
        }
    )
    labels = torch.cat([data[i]["labels3d"] for i in range(len(data))])
    assert len(labels) and set(labels.tolist()) <= {0, 1} and (labels == 1).any()


def test_panorama_samples_have_range_and_no_intrinsics():
    data = build_dataset(
        {
            "type": "World",
            "kind": "room",
            "seeds": [0, 0],
            "size": [64, 128],
            "camera": "panorama",
            "views_per_scene": 1,
        }
    )
    sample = data[0]
    assert sample["image"].shape == (3, 64, 128) and "intrinsics" not in sample
    assert sample["depth_valid"].float().mean() > 0.5


def test_groups_are_of_one_size(cache):
    groups = cache.groups
    assert sorted(groups) == [(32, 96), (48, 64)] and sum(map(len, groups.values())) == 8
    for size, numbers in groups.items():
        assert {cache[i]["depth"].shape for i in numbers.tolist()} == {size}


def test_normals_and_boxes_survive_the_cache(cache):
    record = cache[3]
    length = np.linalg.norm(record["normals"].astype(float) / 127, axis=-1)
    assert np.abs(length[record["depth"] > 0] - 1).max() < 0.02
    assert len(record["boxes"].attribute) == len(record["boxes"])


def test_a_script_without_a_guard_is_told_so_and_does_not_wait_for_itself(tmp_path: Path) -> None:
    """Rendering processes import the script that started them; one that renders again there would wait for its parent for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "from perception.datasets.world.cache import prerender\n"
        f"prerender({str(tmp_path / 'cache')!r}, kind='room', seeds=(0, 1), size=(24, 32), block=1, workers=2)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode != 0 and "below `if __name__ == '__main__':`" in done.stderr
    assert "see what it printed above" in done.stderr
