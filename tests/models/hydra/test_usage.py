"""What the card says about using HyDRa, run as it stands there; and rigs that are not what one hopes for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import perception
from perception.engine.publish import publish
from perception.errors import PerceptionError
from perception.inference.rig_inputs import rig_from_json, rig_from_nuscenes
from perception.inference.rig_predictor import RigPredictor
from perception.io.ply import read_ply
from perception.models.registry import build_model
from tests.datasets.nuscenes_real import write_real_tables
from tests.helpers import sample
from tests.models.hydra.conftest import TINY, make_rig

CARD = Path(__file__).parents[3] / "models/hydra/README.md"


def block(kind: str) -> str:
    return re.search(rf"```{kind}\n(.*?)```", CARD.read_text(), re.DOTALL).group(1)


@pytest.fixture(scope="module")
def predictor() -> RigPredictor:
    torch.manual_seed(0)
    model = build_model({**TINY, "score_threshold": 0.0, "post_max": 20, "history": 1}).eval()
    return RigPredictor(model, torch.device("cpu"), torch.float32)


def folder_of(tmp_path: Path, change=lambda values: None) -> Path:
    """The card's JSON rig with its picture, after `change`."""
    values = json.loads(block("json"))
    change(values)
    (tmp_path / "rig.json").write_text(json.dumps(values))
    pixels = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "front.jpg")
    return tmp_path / "rig.json"


def test_the_cards_json_rig(predictor: RigPredictor, tmp_path: Path) -> None:
    rig = rig_from_json(folder_of(tmp_path))
    assert rig.cameras[0].name == "CAM_FRONT" and rig.cameras[0].camera.width == 160
    # 20 m ahead and 1 m left of a radar 3.4 m ahead of the axle
    np.testing.assert_allclose(rig.radar_points[0, :2], (23.4, 1.0), atol=1e-5)
    np.testing.assert_allclose(rig.radar_points[0, 3:6], (10, -3, 0), atol=1e-5)
    result = predictor(tmp_path / "rig.json")
    assert len(result.boxes3d) and not any("radar" in note for note in result.notes)


def test_the_cards_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config = {**TINY, "score_threshold": 0.0, "post_max": 5}
    publish(tmp_path / "work_dirs/hydra/export", config, build_model(config).state_dict(), {}, False, None)
    monkeypatch.chdir(tmp_path)
    drive = [
        make_rig(seed=i, global_from_ego=np.eye(4), time=0.5 * i, scene="a") for i in range(2)
    ]  # the card's loop over a drive
    names = {"rigs": drive}
    exec(block("python"), names)
    assert isinstance(names["model"], RigPredictor) and names["result"].boxes3d.track_ids is not None
    assert (tmp_path / "out/preview.png").is_file() and (tmp_path / "out/result.json").is_file()
    assert perception.Rig is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.update(cameras=[]), "at least one camera"),
        (lambda v: v["cameras"][0].pop("fov"), "'intrinsics' (3x3) or 'fov'"),
        (lambda v: v["cameras"][0].update(image="none.jpg"), "none.jpg"),
        (lambda v: v["cameras"][0].update(ego_from_camera=[[1, 0], [0, 1]]), "shape (4, 4)"),
        (lambda v: v["cameras"][0].update(ego_from_camera=[[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "rigid"),
        (lambda v: v["cameras"][0].update(intrinsics=[[1, 2], [3, 4]]), "intrinsic matrix"),
        (lambda v: v["cameras"][0].update(fov=400), "degrees"),
        (lambda v: v["cameras"][0].update(fov="wide"), "fov"),
        (lambda v: v["radars"][0].update(points=[[1, 2, 3, 4]]), "radar positions"),
        (lambda v: v["radars"][0].update(points=[[1, 2, "x"]]), "points"),
        (lambda v: v["radars"][0].update(velocity=[[1, 2], [3, 4]]), "velocit"),
        (lambda v: v["radars"][0].update(rcs=[1, 2, 3]), "rcs"),
        (lambda v: v["radars"][0].pop("points"), "'points' or 'file'"),
        (lambda v: v.update(global_from_ego=[1, 2, 3]), "global_from_ego"),
        (lambda v: v.update(time="noon"), "time"),
        (lambda v: v.update(radars=3), "radars"),
    ],
)  # fmt: skip
def test_a_wrong_json_rig_is_one_sentence(tmp_path: Path, change, words: str) -> None:
    with pytest.raises(PerceptionError) as caught:
        rig_from_json(folder_of(tmp_path, change))
    text = str(caught.value)
    assert words in text and "\n" not in text and len(text) < 400


def test_less_than_a_full_rig_still_gives_a_result(predictor: RigPredictor) -> None:
    rig = make_rig(cameras=3)
    for less in (rig.select([0]), rig.select([2, 1]), rig.without_radar(), make_rig(cameras=6, points=0)):
        result = predictor(less)
        assert np.isfinite(result.boxes3d.boxes).all() and result.occupancy is not None
        assert any("no radar" in note for note in result.notes) == (less.radar_points is None)


def test_a_stream_keeps_tracks_and_starts_anew_at_a_scene(predictor: RigPredictor) -> None:
    def moment(time: float | None, scene: str, pose=True):
        return make_rig(seed=3, global_from_ego=np.eye(4) if pose else None, time=time, scene=scene)

    drive = [moment(0.0, "a"), moment(0.5, "a"), moment(1.0, "b"), moment(None, "b", pose=False)]
    first, second, third, alone = predictor.stream(drive)
    ids = [set(r.boxes3d.track_ids.tolist()) - {-1} for r in (first, second, third)]
    assert ids[0] and ids[0] & ids[1], "the same pictures half a second later: objects keep their ids"
    assert ids[2] == set(range(len(ids[2]))), "another scene counts from 0 again"
    assert any("tracking needs" in note for note in alone.notes)


def test_occupancy_is_written_as_coloured_voxels(predictor: RigPredictor, tmp_path: Path) -> None:
    result = predictor(make_rig())
    paths = result.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*occupancy*")} >= {".ply", ".glb"}
    cloud = read_ply(next(tmp_path.rglob("*occupancy*.ply")))
    assert cloud is not None and paths["preview"].is_file()


def test_the_real_key_frame_goes_through_model_and_drawing(predictor: RigPredictor, tmp_path: Path) -> None:
    root = write_real_tables(tmp_path / "data", sample("nuscenes"))
    token = json.loads((root / "v1.0-mini/sample.json").read_text())[0]["token"]
    rig = rig_from_nuscenes(root, token, radar_keep="none")
    assert len(rig.cameras) == 6 and len(rig.radar_points) > 300
    result = predictor(rig)
    assert np.isfinite(result.boxes3d.boxes).all()
    paths = result.save(tmp_path / "out")
    assert Image.open(paths["preview"]).size[0] > 1400


def test_on_the_command_line(predictor: RigPredictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from perception.cli import main
    from perception.inference.rig_inputs import rig_to_json

    model = predictor.save_pretrained(tmp_path / "model")
    rig_to_json(make_rig(), tmp_path / "moment")
    words = ["predict", str(tmp_path / "moment" / "rig.json"), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu"]) == 0
    result = json.loads((tmp_path / "out" / "rig" / "result.json").read_text())
    assert (tmp_path / "out" / "rig" / "boxes3d.json").is_file() and "occupancy" in result
    assert main([*words, "--fov", "70"]) == 1 and "hold their cameras" in capsys.readouterr().err
