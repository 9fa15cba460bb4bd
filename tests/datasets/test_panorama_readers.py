"""Readers of panoramas: tiny written sets, and the real sample where it is."""

import numpy as np
import pytest

from perception.datasets.panorama import Matterport3D, Panorama3D60, PanoramaFolder, Stanford2D3D
from perception.datasets.panosuncg import PanoSUNCG, camera_from_world_along
from perception.errors import DatasetError
from perception.io.depth_files import write_exr
from tests.datasets.reader_files import picture, put
from tests.helpers import sample


def test_panoramas(tmp_path) -> None:
    stem = "camera_ab_office_1_frame_equirectangular_domain"
    raw = np.full((8, 16), 1024, np.uint16)
    raw[0] = 65535
    for area in ("area_1", "area_5a"):
        put(tmp_path / f"s/{area}/pano/rgb/{stem}_rgb.png", picture(8, 16))
        put(tmp_path / f"s/{area}/pano/depth/{stem}_depth.png", raw)
    train = Stanford2D3D(tmp_path / "s")
    assert (
        len(train) == 1
        and len(Stanford2D3D(tmp_path / "s", "test")) == 1
        and len(Stanford2D3D(tmp_path / "s", "all")) == 2
    )
    item = train[0]
    assert item["depth"][1, 0] == 2.0 and not item["depth_valid"][0].any() and item["meta"]["depth_kind"] == "range"
    small = Stanford2D3D(tmp_path / "s", size=(4, 8))[0]
    assert set(small["depth"].unique().tolist()) <= {0.0, 2.0} and small["image"].shape == (3, 4, 8)
    (tmp_path / "list.txt").write_text(f"/area_1/pano/rgb/{stem}_rgb.png /area_1/pano/depth/{stem}_depth.png\n")
    assert len(Stanford2D3D(tmp_path / "s", listing=tmp_path / "list.txt")) == 1
    put(tmp_path / "m/house/pano_skybox_color/x.jpg", picture(8, 16))
    put(tmp_path / "m/house/pano_depth/x.png", np.full((8, 16), 8000, np.uint16))
    assert Matterport3D(tmp_path / "m")[0]["depth"][3, 3] == 2.0
    assert not Matterport3D(tmp_path / "m", max_depth=1.5)[0]["depth_valid"].any()
    put(tmp_path / "p/house1/color/0.png", picture(8, 16))
    put(tmp_path / "p/house1/depth/0.png", np.full((8, 16, 3), 51, np.uint8))
    assert PanoSUNCG(tmp_path / "p")[0]["depth"][0, 0] == pytest.approx(2.0)
    pytest.importorskip("OpenEXR")
    put(tmp_path / "e/Matterport3D/1_color_0_Left_Down_0.0.png", picture(8, 16))
    values = np.full((8, 16), 3.0, np.float32)
    values[0, 0] = 1e10
    write_exr(tmp_path / "e/Matterport3D/1_depth_0_Left_Down_0.0.exr", {"Y": values})
    item = Panorama3D60(tmp_path / "e")[0]
    assert item["depth"][1, 1] == 3 and not item["depth_valid"][0, 0]


def test_panosuncg_paths(tmp_path) -> None:
    """A path that walks, turns and stands still: neighbours with the motion between them; the standing frame is left out."""
    places = np.array([[0, 1.5, 0], [0, 1.5, 1], [1, 1.5, 1], [2, 1.5, 1], [2, 1.5, 1], [3, 1.5, 1.0]])
    for i in range(6):
        put(tmp_path / f"rotated/house/0.txt/{i}_color.png", np.full((8, 16, 3), 10 * i, np.uint8))
        put(tmp_path / f"rotated/house/0.txt/{i}_depth.png", np.full((8, 16), 51, np.uint8))
    (tmp_path / "labels/house").mkdir(parents=True)
    np.savetxt(tmp_path / "labels/house/0.txt", places)
    (tmp_path / "rotated/train.txt").write_text("house\n")
    assert len(PanoSUNCG(tmp_path, split="train")) == 6
    data = PanoSUNCG(tmp_path, split="train", offsets=(-1, 1))
    assert [e["image"].name for e in data.entries] == ["1_color.png"]  # frame 3 stands still: no frame beside it counts
    item = data[0]
    assert item["neighbours"][:, 0, 0, 0].tolist() == [0, 20] and item["depth"][0, 0] == pytest.approx(2.0)
    small = PanoSUNCG(tmp_path, split="train", offsets=(-1, 1), size=(4, 8))[0]
    assert small["neighbours"].shape == (2, 3, 4, 8) and small["image"].shape == (3, 4, 8)
    with pytest.raises(DatasetError, match="single panoramas"):
        PanoSUNCG(tmp_path, tmp_path / "rotated/train.txt", offsets=(1,))
    poses = camera_from_world_along(places)
    ahead = poses[1, :3, :3] @ (places[2] - places[1])
    np.testing.assert_allclose(ahead, [0, 0, 1], atol=1e-12)
    point = np.array([0.3, 0.2, 4.0, 1.0])
    moved = item["neighbour_from_camera"][0].double().numpy() @ poses[1] @ point
    np.testing.assert_allclose(moved, poses[0] @ point, atol=1e-5)
    assert np.isnan(poses[3]).any() and not np.isnan(poses[5]).any()
    with pytest.raises(DatasetError, match="train, val, all"):
        PanoSUNCG(tmp_path, split="test")


def test_the_check_of_panoramas_compares_with_what_is_known(tmp_path) -> None:
    stem = "camera_e7c078feab_office_11_frame_equirectangular_domain"
    raw = np.linspace(356, 3156, 128).round().astype(np.uint16).reshape(8, 16)
    raw[0] = 65535
    raw[1, 0], raw[1, 1] = 356, 3156
    put(tmp_path / f"area_5a/pano/rgb/{stem}_rgb.png", picture(8, 16))
    put(tmp_path / f"area_5a/pano/depth/{stem}_depth.png", raw)
    text = Stanford2D3D(tmp_path, "test").check().text()
    assert (
        "metres * 512" in text
        and "OmniFusion test 373" in text
        and "(356, 3156, 65535)" in text
        and "warning" not in text
    )
    put(tmp_path / f"area_5a/pano/depth/{stem}_depth.png", raw // 20)
    report = Stanford2D3D(tmp_path, "test").check()
    assert report.ok and "another preparation" in report.text() and "check the stored unit" in report.text()


def test_real_panorama(tmp_path) -> None:
    folder = sample("panorama")
    pytest.importorskip("OpenEXR")
    for name, source in (("image.png", "matterport3d_rgb.png"), ("depth.exr", "matterport3d_depth.exr")):
        (tmp_path / "room").mkdir(exist_ok=True)
        (tmp_path / "room" / name).symlink_to(folder / source)
    item = PanoramaFolder(tmp_path)[0]
    depth = item["depth"][item["depth_valid"]]
    assert item["image"].shape == (3, 512, 1024) and 1.1 < depth.min() < depth.median() < 2.1 and depth.max() < 50
