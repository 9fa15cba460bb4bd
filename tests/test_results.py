"""The result types: checked at construction, frozen, saved whole, read back, and never NaN on disk."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from perception import io
from perception.drawing import colormap
from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole, boxes3d, transforms
from perception.results import (
    Boxes3DResult,
    DepthResult,
    NormalsResult,
    OccupancyResult,
    PointCloud,
    Prediction,
    Segment,
    SegmentationResult,
)
from perception.results.base import jsonable

H, W = 24, 36
CAMERA = Pinhole.from_fov(W, H, horizontal_degrees=70)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)


def depth_map() -> np.ndarray:
    depth = RNG.uniform(2, 2.2, (H, W)).astype(np.float32)
    depth[0, :4] = [np.nan, np.inf, 0, -1]
    return depth


def boxes(count: int = 3, **options) -> Boxes3DResult:
    values = RNG.uniform([-5, -1, 8, 1, 1, 1, -3], [5, 1, 30, 5, 2, 2, 3], (count, 7))
    return Boxes3DResult(
        values,
        np.arange(count) % 2,
        np.linspace(0.2, 0.9, count),
        class_names=["car", "bicycle"],
        **{"camera": CAMERA, **options},
    )


def segmentation() -> SegmentationResult:
    panoptic = np.zeros((H, W), int)
    panoptic[4:, :10], panoptic[4:, 10:20], panoptic[4:, 20:] = 1, 70_000, 3
    segments = [Segment(1, 0, score=0.5), {"id": 70_000, "label": 0}, Segment(3, 1, is_thing=False)]
    return SegmentationResult(panoptic=panoptic, segments=segments, class_names=["person", "wall"])


def prediction() -> Prediction:
    depth = DepthResult(depth_map(), camera=CAMERA)
    return Prediction(
        depth=depth,
        normals=depth.normals(),
        segmentation=segmentation(),
        boxes3d=boxes(),
        image=IMAGE,
        name="x.jpg",
        model="m",
        notes=["a"],
    )


# -- depth ---------------------------------------------------------------------------------------------------------------


def test_depth_is_masked_frozen_and_copied() -> None:
    source = depth_map()
    result = DepthResult(source, camera=CAMERA)
    assert (result.depth[0, :4] == 0).all() and not result.valid[0, :4].any() and result.valid[1:].all()
    source[5, 5] = 77
    assert result.depth[5, 5] < 3
    for array in (result.depth, result.valid):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.kind = "relative"
    assert "24x36" in repr(result) and "metric" in repr(result) and " m," in repr(result) and "fov" in repr(result)
    np.testing.assert_array_equal(np.asarray(result), result.depth)
    tensor = DepthResult(torch.from_numpy(source).bfloat16().requires_grad_(), valid=torch.ones(H, W), camera=CAMERA)
    assert tensor.depth.dtype == np.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_copies_and_pickles_are_frozen_too(again) -> None:
    result = again(DepthResult(np.ones((2, 3)), kind="range"))
    with pytest.raises(ValueError, match="read-only"):
        result.depth[0, 0] = 5
    assert not result.valid.flags.writeable and not again(boxes(2)).scores.flags.writeable
    np.testing.assert_array_equal(result.points().shape, (2, 3, 3))


def test_depth_says_where_intrinsics_came_from() -> None:
    assert (
        DepthResult(np.ones((H, W))).guessed_intrinsics and DepthResult(np.ones((H, W))).intrinsics_source == "default"
    )
    known = DepthResult(np.ones((H, W)), camera=CAMERA)
    assert not known.guessed_intrinsics and known.summary()["intrinsics_source"] == "fov"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth": np.ones((H, W, 1))}, r"\(H, W\)"),
        ({"depth": np.ones((H, W)), "kind": "disparity"}, "metric, relative, range"),
        ({"depth": np.ones((H, W)), "camera": Pinhole.default(W, W)}, "36x36"),
        ({"depth": np.ones((H, W)), "valid": np.ones((H, 2))}, "valid"),
        ({"depth": np.ones((H, W)), "camera": Equirectangular(W, H)}, "range"),
        ({"depth": np.ones((H, W)), "confidence": np.ones(3)}, "confidence"),
    ],
)
def test_wrong_depth_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        DepthResult(**arguments)


def test_range_of_a_pinhole_camera_gives_the_same_points_as_depth() -> None:
    z = DepthResult(depth_map(), camera=CAMERA)
    distance = DepthResult(CAMERA.range_from_depth(z.depth), camera=CAMERA, kind="range")
    np.testing.assert_allclose(distance.points(), z.points(), atol=1e-6)
    cloud = distance.point_cloud(IMAGE)
    np.testing.assert_allclose(cloud.points, z.point_cloud().points, atol=1e-6)
    np.testing.assert_array_equal(cloud.colors, IMAGE[z.valid])
    assert len(distance.mesh(IMAGE).faces) > 0
    few = z.point_cloud(IMAGE, max_points=100)
    assert 50 < len(few) <= 100 and len(few.colors) == len(few)


def test_saved_depth_is_what_was_predicted(tmp_path: Path) -> None:
    result = DepthResult(depth_map(), camera=CAMERA)
    paths = result.save(tmp_path / "out", IMAGE)
    np.testing.assert_array_equal(np.load(paths["depth"]), result.depth)
    png, valid = io.read_depth(paths["depth_png"])
    np.testing.assert_array_equal(valid, result.valid)
    np.testing.assert_allclose(png, result.depth, atol=0.0006)
    cloud, mesh = io.read_ply(paths["points_ply"]), io.read_ply(paths["mesh_ply"])
    np.testing.assert_array_equal(cloud.points, result.points()[result.valid])
    np.testing.assert_array_equal(cloud.colors, IMAGE[result.valid])
    assert len(mesh.faces) == len(result.mesh().faces) and np.isfinite(mesh.points).all()
    assert paths["points_glb"].read_bytes()[:4] == b"glTF" and paths["mesh_glb"].stat().st_size > 1000
    record = json.loads(paths["depth_json"].read_text())
    assert (
        record["camera"]["fx"] == CAMERA.fx and record["kind"] == "metric" and record["files"]["depth"] == "depth.npy"
    )
    assert io.load_image(paths["depth_preview"]).size == (W, H)


@pytest.mark.parametrize("kind", ["metric", "relative", "range", "inverse"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 3)])
def test_tiny_empty_and_constant_depth_is_saved(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    for name, depth in {
        "constant": np.full(shape, 2.0),
        "nothing": np.full(shape, np.nan),
        "far": np.full(shape, 3000.0),
    }.items():
        result = DepthResult(depth, kind=kind)
        paths = result.save(tmp_path / name, np.zeros((*shape, 3), np.uint8))
        assert np.isfinite(np.load(paths["depth"])).all()
        json.loads(paths["depth_json"].read_text(), parse_constant=lambda word: pytest.fail(word))
        assert "nan" not in repr(result)
        if kind != "inverse":
            result.normals().save(tmp_path / name)


def test_inverse_depth_keeps_what_is_far_away(tmp_path: Path) -> None:
    values = np.linspace(0, 5, H * W).reshape(H, W)
    values[3, 3] = np.nan
    result = DepthResult(values, kind="inverse", camera=CAMERA)
    assert result.valid[0, 0] and not result.valid[3, 3] and result.unit == ""
    paths = result.save(tmp_path)
    stored, valid = io.read_depth(paths["depth_png"])
    np.testing.assert_array_equal(valid, result.valid)
    np.testing.assert_allclose(stored, result.depth, atol=1e-4)
    picture = result.preview().astype(int)
    np.testing.assert_allclose(picture[-1, -1], colormap("spectral")[0], atol=8)  # large = near = warm
    np.testing.assert_allclose(picture[0, 0], colormap("spectral")[255], atol=8)
    assert "points_ply" not in paths
    with pytest.raises(InputError, match="inverse"):
        result.points()
    metric = result.fit_metric([[0.5, 0.5, 10.0], [W - 0.5, H - 0.5, 1.0]])
    assert (
        metric.kind == "metric" and metric.depth[0, 0] == pytest.approx(10) and metric.depth[-1, -1] == pytest.approx(1)
    )


def test_panorama_depth(tmp_path: Path) -> None:
    result = DepthResult(np.full((32, 64), 2.0), kind="range", camera=Equirectangular(64, 32))
    np.testing.assert_allclose(np.linalg.norm(result.points(), axis=-1), 2, rtol=1e-5)
    inwards = (result.normals().normals * result.points()).sum(-1)[result.normals().valid]
    assert (inwards < -1.9).all()
    again = DepthResult.from_dict(result.to_dict())
    assert again.camera == result.camera and again.kind == "range"
    result.save(tmp_path)


# -- normals -------------------------------------------------------------------------------------------------------------


def test_normals_are_made_unit_and_masked(tmp_path: Path) -> None:
    field = RNG.normal(size=(H, W, 3)).astype(np.float32) * 5
    field[0, 0], field[0, 1] = 0, np.nan
    result = NormalsResult(field, camera=CAMERA)
    assert not result.valid[0, :2].any() and result.valid.sum() == H * W - 2
    np.testing.assert_allclose(np.linalg.norm(result.normals[result.valid], axis=-1), 1, rtol=1e-6)
    assert (result.normals[0, :2] == 0).all()
    paths = result.save(tmp_path)
    np.testing.assert_array_equal(np.load(paths["normals"]), result.normals)
    np.testing.assert_array_equal(NormalsResult.from_dict(result.to_dict()).normals, result.normals)
    with pytest.raises(InputError, match=r"\(H, W, 3\)"):
        NormalsResult(field.transpose(2, 0, 1)[..., :5])


# -- segmentation --------------------------------------------------------------------------------------------------------


def test_panoptic_brings_the_semantic_map_and_areas(tmp_path: Path) -> None:
    result = segmentation()
    assert [s.area for s in result.segments] == [200, 200, 320]
    np.testing.assert_array_equal(np.unique(result.semantic), [0, 1, 255])
    assert (result.semantic[:4] == 255).all() and (result.semantic[4:, :20] == 0).all()
    assert result.mask(70_000).sum() == 200 and "3 segments" in repr(result)
    paths = result.save(tmp_path, IMAGE)
    np.testing.assert_array_equal(io.read_rgb_ids(paths["panoptic"]), result.panoptic)
    np.testing.assert_array_equal(io.read_png(paths["semantic"])[0], result.semantic)
    record = json.loads(paths["segmentation_json"].read_text())
    assert record["segments"][2] == {"id": 3, "label": 1, "is_thing": False, "score": 1.0, "area": 320, "name": "wall"}
    assert sum(c["share"] for c in record["classes"]) == pytest.approx(20 / 24)
    again = SegmentationResult.from_dict(result.to_dict())
    np.testing.assert_array_equal(again.panoptic, result.panoptic)
    assert again.segments == result.segments and again.class_names == result.class_names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "at least one"),
        ({"semantic": np.zeros((2, 3)), "instance": np.zeros((3, 3))}, "instance"),
        ({"panoptic": np.ones((2, 2))}, r"without a segment: \[1\]"),
        ({"panoptic": np.ones((2, 2)), "segments": [Segment(1, 0), Segment(1, 1)]}, "once"),
        ({"semantic": np.full((2, 2), 3), "class_names": ["a"]}, "class index 3"),
        ({"semantic": np.array([[255, 3]]), "class_names": ["a"]}, "class index 3"),
        ({"semantic": np.array([[255, -3]]), "class_names": ["a"]}, "class index -3"),
        ({"semantic": np.zeros((2, 2)), "segments": [Segment(1, 0)]}, "without a panoptic"),
    ],
)
def test_wrong_segmentations_are_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SegmentationResult(**arguments)


# -- boxes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maps", [{"instance": [[2**33 + 5]]}, {"instance": np.array([[2**33 + 5]])}])
def test_ids_that_do_not_fit_are_refused_and_not_wrapped(maps: dict) -> None:
    with pytest.raises(InputError, match="int32|arrays of numbers"):
        SegmentationResult(**maps)
    with pytest.raises(InputError, match="uint8.*300"):
        OccupancyResult(np.full((1, 1, 1), 300), (0, 0, 0), (1, 1, 1))  # 300 would have become 44
    assert SegmentationResult(instance=np.array([[7.0]])).instance == 7


def test_boxes_behave_like_a_sequence() -> None:
    result = boxes(5, track_ids=np.arange(5) + 10, attributes=list("abcde"), velocity=np.zeros((5, 2)))
    assert len(result) == 5 and [len(one) for one in result] == [1] * 5
    picked = result[result.labels == 1]
    np.testing.assert_array_equal(picked.track_ids, [11, 13])
    assert picked.attributes == ("b", "d") and picked.names == ["bicycle"] * 2
    np.testing.assert_array_equal(result[-1].boxes[0], result.boxes[4])
    np.testing.assert_array_equal(result[1:3].scores, result.scores[1:3])
    assert len(result.above(0.5)) == 3 and result.sorted().scores[0] == result.scores.max()
    assert len(result[[]]) == 0 and "3 car, 2 bicycle" in repr(result)


def test_empty_boxes_work_everywhere(tmp_path: Path) -> None:
    for empty in (Boxes3DResult([], []), boxes(0, velocity=np.zeros((0, 2))), boxes(3).above(2)):
        assert len(empty) == 0 and empty.corners().shape == (0, 8, 3)
        assert json.loads(empty.to_json())["boxes"] == []
        empty.save(tmp_path, IMAGE)
        assert len(empty.to_frame("ego", transforms.EGO_FROM_CAMERA)) == 0
        assert len(Boxes3DResult.from_dict(empty.to_dict())) == 0


def test_boxes_change_frames_with_their_velocity() -> None:
    result = boxes(6, velocity=RNG.normal(size=(6, 2)))
    ego_from_camera = transforms.rigid(transforms.rotation_about("z", 0.5), [1, 0, 1.6]) @ transforms.EGO_FROM_CAMERA
    ego = result.to_frame("ego", ego_from_camera)
    moving = np.stack([result.velocity[:, 0], np.zeros(6), result.velocity[:, 1]], -1) @ ego_from_camera[:3, :3].T
    np.testing.assert_allclose(ego.velocity, moving[:, :2], atol=1e-6)
    expected = transforms.apply(ego_from_camera, boxes3d.corners(result.boxes.astype(float), "camera"))
    np.testing.assert_allclose(ego.corners(), expected, atol=1e-4)
    assert ego.frame == "ego" and ego.camera is None
    back = ego.to_frame("camera", np.linalg.inv(ego_from_camera))
    np.testing.assert_allclose(back.velocity, result.velocity, atol=1e-5)


def test_box_json_is_strict_and_complete(tmp_path: Path) -> None:
    result = boxes(2, velocity=[[np.nan, 1], [2, 3]], boxes2d=np.ones((2, 4)))
    text = result.to_json(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_text() == text and "NaN" not in text
    record = json.loads(text)
    assert record["boxes"][0]["velocity"] == [None, 1.0] and record["boxes"][0]["name"] == "car"
    np.testing.assert_allclose(record["boxes"][1]["center"], result.boxes[1, :3])
    again = Boxes3DResult.from_dict(result.to_dict())
    np.testing.assert_array_equal(again.boxes2d, result.boxes2d)
    assert again.camera == CAMERA


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"boxes": np.ones((2, 6))}, "7"),
        ({"boxes": np.full((2, 7), np.nan)}, "finite"),
        ({"boxes": -np.ones((2, 7))}, "negative"),
        ({"labels": np.array([0, 5])}, r"0\.\.1"),
        ({"labels": np.array([0])}, "labels"),
        ({"labels": np.array([0, -1]), "class_names": ()}, "0 or more"),
        ({"frame": "world"}, "camera, ego"),
        ({"attributes": ["a"]}, "attributes"),
        ({"scores": np.array([np.nan, 1])}, "scores"),
        ({"labels": np.array([0, 0.7])}, "whole numbers.*0.7"),
        ({"labels": np.array([0, np.nan])}, "whole numbers.*nan"),
        ({"boxes": [[1, 2], [3]]}, "arrays of numbers"),
    ],
)
def test_wrong_boxes_are_refused(options: dict, words: str) -> None:
    values = {"boxes": np.ones((2, 7)), "labels": np.zeros(2, int), "class_names": ["a", "b"], **options}
    with pytest.raises(InputError, match=words):
        Boxes3DResult(**values)


def test_projection_needs_a_camera() -> None:
    assert np.isfinite(Boxes3DResult([[0, 0, 9, 2, 2, 2, 0]], [0], camera=CAMERA).projected()).all()
    with pytest.raises(InputError, match="camera"):
        boxes(1, camera=None).projected()


# -- point cloud ---------------------------------------------------------------------------------------------------------


def test_point_cloud_drops_what_is_not_finite(tmp_path: Path) -> None:
    points = RNG.normal(size=(20, 3))
    points[3, 1], points[4] = np.nan, np.inf
    colors = RNG.integers(0, 256, (20, 3), dtype=np.uint8)
    cloud = PointCloud(points, colors)
    assert len(cloud) == 18 and len(cloud.colors) == 18
    np.testing.assert_array_equal(cloud.colors[3], colors[5])
    np.testing.assert_array_equal(io.read_ply(cloud.save(tmp_path / "one.ply")["points"]).points, cloud.points)
    assert set(cloud.save(tmp_path / "both")) == {"points_ply", "points_glb"}
    moved = cloud.transformed(transforms.EGO_FROM_CAMERA, "ego")
    np.testing.assert_allclose(moved.points[:, 0], cloud.points[:, 2], atol=1e-6)
    assert 0 < len(cloud.downsampled(10.0)) <= 8 and PointCloud.from_dict(cloud.to_dict()).frame == "camera"
    assert cloud.preview().dtype == np.uint8 and "18 points" in repr(cloud) and len(PointCloud(np.zeros((0, 3)))) == 0
    with pytest.raises(InputError, match="uint8"):
        PointCloud(points, colors / 255)


# -- all together --------------------------------------------------------------------------------------------------------


def test_empty_point_cloud_goes_through_json_and_back() -> None:
    nothing = PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 3)))
    again = PointCloud.from_dict(jsonable(nothing.to_dict()))
    assert len(again) == 0 and again.points.shape == again.normals.shape == (0, 3) and again.colors.dtype == np.uint8


def test_prediction_saves_everything_and_strictly(tmp_path: Path) -> None:
    result = prediction()
    assert result.camera == CAMERA and list(result.parts) == ["depth", "normals", "segmentation", "boxes3d"]
    paths = result.save(tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {
        "image.png", "preview.png", "result.json", "depth.npy", "depth.png", "depth_preview.png", "points.ply", "mesh.glb",
        "normals.npy", "normals_preview.png", "panoptic.png", "semantic.png", "segmentation_preview.png", "boxes3d.json",
        "boxes3d_preview.png", "boxes3d_bev.png",
    } <= names  # fmt: skip
    assert not any(name.startswith(".") for name in names)
    for path in (tmp_path / "out").glob("*.json"):
        json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))
    record = json.loads(paths["result"].read_text())
    assert record["intrinsics_source"] == "fov" and all(
        (tmp_path / "out" / f).exists() for f in record["files"].values()
    )
    for text in ("x.jpg", "by m", "DepthResult", "Pinhole", "note: a"):
        assert text in repr(result)


def test_prediction_round_trip_plot_and_changes() -> None:
    result = prediction()
    again = Prediction.from_dict(result.to_dict())
    np.testing.assert_array_equal(again.depth.depth, result.depth.depth)
    np.testing.assert_array_equal(again.boxes3d.boxes, result.boxes3d.boxes)
    np.testing.assert_array_equal(again.image, IMAGE)
    assert (
        again.notes == ("a",) and again.camera == CAMERA and again.segmentation.segments == result.segmentation.segments
    )
    picture = result.plot()
    assert picture.mode == "RGB" and picture.size[0] > W
    assert result.with_parts(depth=None).depth is None
    assert Prediction(image=IMAGE).preview().shape[2] == 3
    with pytest.raises(InputError, match="empty"):
        Prediction().preview()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth": np.ones((2, 2))}, "DepthResult"),
        ({"depth": DepthResult(np.ones((H, W))), "image": IMAGE[:-1]}, "picture's size"),
        ({"image": IMAGE / 255.0}, "uint8"),
        ({"image": IMAGE, "camera": Pinhole.default(W, W)}, "picture's size"),
    ],
)
def test_wrong_predictions_are_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Prediction(**arguments)


def test_results_cannot_be_saved_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(InputError, match="cannot be saved"):
        DepthResult(np.ones((2, 2))).save(tmp_path / "taken")
