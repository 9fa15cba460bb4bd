"""The World tab's work: exact truth, a model beside it, errors that are right."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.jobs import world
from app.jobs.common import predictor
from app.jobs.looks import Look
from app.jobs.ruler import reading
from app.jobs.world import CAMERA, PANORAMA, SURROUND, Order
from perception.datasets.world.weather import WEATHERS
from perception.errors import InputError
from perception.inference.zoo import list_models

MODEL = "dpt-world-tiny"


class Oracle:
    """A model that knows the truth, `scale` times too far."""

    name, tasks, about = "oracle", ("depth", "normals", "segmentation"), {"licence": "none"}
    device = __import__("torch").device("cpu")

    def __init__(self, truth, scale: float = 1.0) -> None:
        self.truth, self.scale = truth, scale

    def __call__(self, image, camera):
        import dataclasses

        depth = self.truth.depth
        return self.truth.with_parts(depth=dataclasses.replace(depth, depth=depth.depth * self.scale), boxes3d=None)


@pytest.fixture(scope="module")
def room() -> world.WorldAnswer:
    return world.make_world(Order(3, "room"))


def test_weathers_are_those_of_the_world() -> None:
    assert set(world.WEATHERS) == set(WEATHERS)


def test_the_truth_measured_against_itself_is_perfect(room) -> None:
    values = {name: value for name, value, _ in world.measured(room.truths, [Oracle(room.truths[0])(None, None)])}
    assert values["AbsRel, as it is"] == "0.000" and values["δ < 1.25, as it is"] == "100.0%"
    assert values["Normals, mean error"] == "0.0°" and values["Classes, mIoU"] == "100.0%"
    far = Oracle(room.truths[0], 1.5)(None, None)
    values = {name: value for name, value, _ in world.measured(room.truths, [far])}
    assert values["AbsRel, as it is"] == "0.500" and values["δ < 1.25, as it is"] == "0.0%"
    assert values["AbsRel, after scaling to the true median"] == "0.000"


def test_a_model_answers_in_the_same_colours(room) -> None:
    answer = world.make_world(Order(3, "room"), [Oracle(room.truths[0])])
    for what in ("Depth", "Normals", "Segments"):
        assert (world.truth_view(answer, what) == world.model_view(answer, what)).all()
    assert world.model_view(answer, "Boxes") is None and world.model_view(room, "Depth") is None
    assert "oracle" in world.snippet(answer) and compile(world.snippet(answer), "snippet", "exec")


def test_the_bundled_model_is_better_than_nothing(room) -> None:
    name = next(row.name for row in list_models("depth") if row.bundled)
    answer = world.make_world(Order(3, "room"), [predictor(name, "cpu")])
    values = {name: value for name, value, _ in answer.metrics()}
    assert float(values["AbsRel, as it is"]) < 0.6 and float(values["Classes, pixels right"].rstrip("%")) > 30


def test_sensors_see_the_same_scene() -> None:
    wide = world.make_world(Order(3, "room", sensor=PANORAMA))
    assert wide.truths[0].depth.kind == "range" and world.image_view(wide).shape == (384, 768, 3)
    rig = world.make_world(Order(4, "street", sensor=SURROUND))
    assert len(rig.truths) == 6 and rig.names[1] == "CAM_FRONT"
    assert world.truth_view(rig, "Boxes").shape == world.image_view(rig).shape


def test_files_are_the_exact_truth(room, tmp_path: Path) -> None:
    archive, *_ = world.write_files(room, tmp_path)
    with zipfile.ZipFile(archive) as bundle:
        names = set(bundle.namelist())
    assert {"world.json", "truth/camera/depth.npy", "truth/camera/normals.npy", "truth/camera/boxes3d.json"} <= names
    stored = np.load(tmp_path / "results" / "truth" / "camera" / "depth.npy")
    np.testing.assert_array_equal(stored, room.truths[0].depth.depth)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "sea"}, "kind"),
        ({"style": "x"}, "style"),
        ({"sensor": CAMERA.lower()}, "sensor"),
        ({"weather": "../rain"}, "weather"),
        ({"seed": -1}, "seed"),
        ({"seed": 2.5}, "seed"),
        ({"seed": None}, "seed"),
        ({"time": 99.0}, "time"),
        ({"time": float("nan")}, "time"),
        ({"fov": 5.0}, "fov"),
    ],
)
def test_orders_that_cannot_be_filled_get_a_sentence(changes: dict, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        Order(**changes)


def test_boxes_at_any_score_and_the_snippet_that_makes_the_same_answer(tmp_path: Path, monkeypatch) -> None:
    import perception

    models = {name: predictor(name, "cpu") for name in ("dpt-world-tiny", "monodetr-world-tiny")}
    answer = world.make_world(Order(4, time=0.5, fov=60.0), list(models.values()))
    counted = [answer.metrics(score)[-1] for score in (0.0, answer.score, 1.0)]  # drawn again without the model
    found = [int(row[1].split(" of ")[0]) for row in counted]
    assert found[0] >= found[1] >= found[2] == 0 and counted[1][2].endswith("0.3 or more")
    views = [world.model_view(answer, "Boxes", Look(score=score)) for score in (0.0, 1.0)]
    assert (views[0] != views[1]).any() and (views[1] == world.image_view(answer)).all()
    monkeypatch.setattr(perception, "load", lambda name, device: models[name])
    monkeypatch.chdir(tmp_path)
    exec(world.snippet(answer, "cpu"), {})
    found, truth = tmp_path / "out" / "model" / "camera", tmp_path / "out" / "truth" / "camera"
    assert (np.load(found / "depth.npy") == answer.results[0].depth.depth).all() and (found / "boxes3d.json").exists()
    assert (np.load(truth / "depth.npy")[answer.truths[0].depth.valid] > 0).all()


def test_colours_are_those_that_were_chosen(room) -> None:
    suited = world.truth_view(room, "Depth")
    near, far = room.range
    assert (world.truth_view(room, "Depth", Look(near=near, far=far)) == suited).all()
    for other in (Look("gray", near, far), Look(near=near, far=2 * far)):
        assert (world.truth_view(room, "Depth", other) != suited).any()
        assert (world.truth_view(room, "Normals", other) == world.truth_view(room, "Normals")).all()


def test_truth_and_model_are_measured_side_by_side(room) -> None:
    answer = world.make_world(Order(3, "room"), [Oracle(room.truths[0], 1.5)])
    row, column = np.argwhere(answer.truths[0].depth.valid)[len(answer.truths[0].depth.valid)]
    metres = answer.truths[0].depth.depth[row, column]
    text = reading(answer.ahead, [(column, row)])
    assert f"Truth: depth {metres:.2f} m" in text and f"Model: depth {1.5 * metres:.2f} m" in text
    assert list(room.ahead) == ["Truth"]


def test_out_of_memory_is_tried_once_more_at_half_the_size(room) -> None:
    class Fussy(Oracle):
        limit = 300

        def __call__(self, image, camera):
            if image.shape[1] > self.limit:
                raise MemoryError
            return predictor(MODEL, "cpu")(image, camera)

    answer = world.make_world(Order(3, "room"), [Fussy(room.truths[0])])
    assert answer.truths[0].image.shape == (160, 240, 3) and "half the size" in answer.notes[-1]
    assert "'width': 240, 'height': 160" in world.snippet(answer)
    Fussy.limit = 0
    with pytest.raises(InputError, match="this scene is too large for the memory"):
        world.make_world(Order(3, "room"), [Fussy(room.truths[0])])
