"""Depth, normals and segments as pictures: stable colours, no division by zero, nothing painted where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from perception.drawing import (
    COLORMAPS,
    SteadyLimits,
    apply_colormap,
    color_of,
    colorize_depth,
    colorize_ids,
    colormap,
    contact_sheet,
    depth_limits,
    draw_depth,
    draw_normals,
    draw_segmentation,
    palette,
)
from perception.drawing.maps import INVALID
from perception.errors import InputError
from perception.results import Segment, SegmentationResult


@pytest.mark.parametrize("name", COLORMAPS)
def test_colormaps_have_256_entries_and_reverse(name: str) -> None:
    table = colormap(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8 and not table.flags.writeable
    np.testing.assert_array_equal(colormap(name + "_r"), table[::-1])
    assert (np.abs(np.diff(table.astype(int), axis=0)).max(-1) <= 14).all()  # no bands
    np.testing.assert_array_equal(apply_colormap(np.array([-1, 0, 1, 2, np.nan]), name), table[[0, 0, 255, 255, 0]])


def test_colormap_names_and_known_colours() -> None:
    with pytest.raises(InputError, match="Did you mean 'turbo'"):
        colormap("turbow")
    assert (colormap("gray")[:, 0] == np.arange(256)).all()
    r, g, b = colormap("turbo")[240]
    assert r > 150 > g and b < 60  # the warm end of turbo is red


def test_class_colours_are_distinct_and_stable() -> None:
    colors = palette(150).astype(int)
    apart = np.abs(colors[:, None] - colors[None]).sum(-1) + 1000 * np.eye(150, dtype=int)
    assert (apart > 0).all() and (apart[:20, :20] >= 30).all()
    assert color_of(3) == color_of(3) != color_of(3, shade=1) and color_of(-1) == (128, 128, 128)


def test_depth_limits_are_round_and_stable_between_frames() -> None:
    rng = np.random.default_rng(0)
    limits = {depth_limits(rng.uniform(1.1 + 0.01 * i, 9.2 - 0.01 * i, (50, 50))) for i in range(10)}
    assert limits == {(1.0, 10.0)}
    for depth in (
        np.zeros((4, 4)),
        np.full((4, 4), np.nan),
        np.full((4, 4), 2.0),
        np.full((1, 1), 1e-9),
        np.full((1, 1), 1e9),
    ):
        near, far = depth_limits(depth)
        assert 0 < near < far < np.inf
    assert depth_limits(np.array([[1.0, 50.0]]), np.array([[True, False]]))[1] < 5


def test_near_is_warm_far_is_cold_invalid_is_grey() -> None:
    depth = np.array([[1, 2, 10, 0, np.nan, np.inf, -3]], np.float32)
    picture = colorize_depth(depth, limits=(1, 10))
    np.testing.assert_array_equal(picture[0, 0], colormap("spectral")[0])
    np.testing.assert_array_equal(picture[0, 2], colormap("spectral")[255])
    assert (picture[0, 3:] == INVALID).all()
    masked = colorize_depth(depth, np.zeros((1, 7), bool))
    assert (masked == INVALID).all()
    for bad in ((0, 1), (2, 1), (1, np.inf)):
        with pytest.raises(InputError, match="near < far"):
            colorize_depth(depth, limits=bad)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (480, 640), (96, 160), (400, 150)])
def test_depth_pictures_keep_the_size_and_constant_maps_work(shape: tuple[int, int]) -> None:
    for depth in (np.full(shape, 3, np.float32), np.zeros(shape, np.float32)):
        picture = draw_depth(depth)
        assert picture.shape == (*shape, 3) and picture.dtype == np.uint8
    plain, legend = draw_depth(np.full(shape, 3), legend=False), draw_depth(np.full(shape, 3))
    assert (plain != legend).any() == (shape[0] >= 96 and shape[1] >= 160)
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1


def test_normal_colours() -> None:
    normals = np.zeros((1, 5, 3), np.float32)
    normals[0, :4] = [[1, 0, 0], [0, -1, 0], [0, 0, -1], [np.nan, 0, 0]]
    picture = draw_normals(normals)
    np.testing.assert_array_equal(picture[0], [[255, 128, 128], [128, 255, 128], [128, 128, 255], INVALID, INVALID])


def test_ids_and_segments() -> None:
    ids = np.array([[0, 1], [7, -1]])
    picture = colorize_ids(ids, {1: (1, 2, 3)})
    np.testing.assert_array_equal(picture.reshape(-1, 3), [color_of(0), (1, 2, 3), color_of(7), (128, 128, 128)])
    image = np.full((120, 160, 3), 90, np.uint8)
    semantic = np.zeros((120, 160), int)
    semantic[:, 80:] = 1
    semantic[:20] = 255
    result = SegmentationResult(semantic=semantic, class_names=["road", "sky"])
    drawn = draw_segmentation(result, image)
    assert drawn.shape == image.shape and (image == 90).all()
    assert (drawn[2:18, 10:150] == 90).all()  # unlabelled stays the photo
    left, right = drawn[110, 10].astype(int), drawn[110, 150].astype(int)
    assert np.abs(left - right).sum() > 60
    label = (drawn[25:, :79] == color_of(0)).all(-1)
    assert label.any()  # the name's box
    assert draw_segmentation(result).shape == image.shape
    with pytest.raises(InputError, match="picture"):
        draw_segmentation(result, image[:50])


def test_instances_of_one_class_differ() -> None:
    panoptic = np.zeros((100, 100), int)
    panoptic[:, :50], panoptic[:, 50:] = 4, 9
    result = SegmentationResult(panoptic=panoptic, segments=[Segment(4, 2), Segment(9, 2)], class_names=list("abc"))
    drawn = draw_segmentation(result, labels=False).astype(int)
    assert np.abs(drawn[50, 10] - drawn[50, 90]).sum() > 20
    only = SegmentationResult(instance=panoptic)
    assert draw_segmentation(only, np.zeros((100, 100, 3), np.uint8)).any()


def test_contact_sheet_places_every_picture() -> None:
    pictures = [np.full((30, 40, 3), v, np.uint8) for v in (60, 120, 180)] + [np.full((40, 10, 3), 240, np.uint8)]
    sheet = contact_sheet(pictures, titles=["a", "b", "", "d"], columns=2)
    for value in (60, 120, 180, 240):
        assert (sheet == value).all(-1).sum() > 500
    assert contact_sheet(pictures[:1]).shape[0] >= 30
    wide = [np.zeros((100, 400, 3), np.uint8)] * 4
    assert contact_sheet(wide).shape[0] > 400  # one below the other
    for bad in ([], [np.zeros((3, 3))]):
        with pytest.raises(InputError):
            contact_sheet(bad)
    with pytest.raises(InputError, match="titles"):
        contact_sheet(pictures, titles=["a"])


def test_differences_are_white_at_zero_blue_below_and_red_above() -> None:
    from perception.drawing import draw_values

    values = np.array([[-3.0, -1.0, 0.0, 1.0, 3.0, np.nan]])
    red, green, blue = draw_values(values, limits=(-1, 1), unit="m")[0].astype(int).T
    assert blue[0] > red[0] + 50 and red[3] > blue[3] + 50
    assert min(red[2], green[2], blue[2]) > 240
    assert (red[0], blue[0]) == (red[1], blue[1]) and (red[3], blue[3]) == (red[4], blue[4])  # clipped at the limits
    assert (red[5], green[5], blue[5]) == INVALID


def test_the_legend_of_values_has_its_low_end_on_the_left() -> None:
    from perception.drawing import draw_values

    picture = draw_values(np.zeros((200, 400)), limits=(-2, 2), unit="m")
    rows, columns = np.nonzero((picture[..., 2].astype(int) - picture[..., 0]) > 60)  # blue
    reds = np.nonzero((picture[..., 0].astype(int) - picture[..., 2]) > 60)[1]
    assert columns.size and reds.size and columns.max() < reds.min()
    with pytest.raises(InputError, match="low < high"):
        draw_values(np.zeros((3, 3)), limits=(1, 1))


def test_steady_limits_hold_until_a_film_really_changes() -> None:
    limits, near, far = (
        SteadyLimits(patience=3),
        np.linspace(1, 5, 400).reshape(20, 20),
        np.linspace(2, 50, 400).reshape(20, 20),
    )
    assert depth_limits(near) != depth_limits(far)
    assert limits(near) == depth_limits(near)
    assert [limits(frame) for frame in (far, far, near, far, far)] == [depth_limits(near)] * 5  # never three in a row
    assert limits(far) == depth_limits(far) and limits(near) == depth_limits(far)
    with pytest.raises(InputError, match="at least 1; found 0"):
        SteadyLimits(patience=0)
