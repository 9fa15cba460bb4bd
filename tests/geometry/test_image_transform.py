"""Pictures and maps moved forwards and exactly back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.geometry import ImageTransform

SIZE = (37, 23)
WHOLE = {
    "crop with padding": ImageTransform.crop(SIZE, -4, -2, 60, 40),
    "flip": ImageTransform.flip(SIZE),
    "both flips": ImageTransform.flip(SIZE, True, True),
    "doubled": ImageTransform.resize(SIZE, 74, 46),
    "pad, flip": ImageTransform.pad(SIZE, 3, 1, 2, 5).then(ImageTransform.flip((42, 29))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_undo_is_exact_for_whole_pixel_moves(name: str) -> None:
    transform = WHOLE[name]
    image = np.random.default_rng(0).integers(0, 256, (23, 37, 3), dtype=np.uint8)
    image.setflags(write=False)
    moved = transform.apply(image, "nearest")
    assert moved.shape[:2] == transform.target[::-1]
    np.testing.assert_array_equal(transform.undo(moved, "nearest"), image)
    if abs(transform.scale_x) == 1:
        np.testing.assert_array_equal(transform.undo(transform.apply(image), "linear"), image)


@pytest.mark.parametrize("size", [(64, 64), (20, 31), (37, 23), (111, 40), (5, 5)])
@pytest.mark.parametrize("mode", ["area", "linear"])
def test_a_ramp_stays_a_ramp_at_the_right_place(size: tuple[int, int], mode: str) -> None:
    """A linear function of continuous pixel coordinates keeps its values under any resize: no half-pixel shift anywhere."""
    transform = ImageTransform.letterbox(SIZE, *size)
    u, v = np.meshgrid(np.arange(37) + 0.5, np.arange(23) + 0.5)
    ramp = (2 * u - 3 * v).astype(np.float64)
    moved = transform.apply(ramp, mode, fill=np.nan)
    tu, tv = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    su, sv = np.moveaxis(transform.undo_points(np.stack([tu, tv], -1)), -1, 0)
    scale = max(1 / transform.scale_x, 1 / transform.scale_y, 1)
    inner = (su > scale) & (su < 37 - scale) & (sv > scale) & (sv < 23 - scale)
    if min(size) > 5:
        assert inner.any()
    # An area average counts the cut pixels at its rim by their centres: off by a few hundredths of a pixel, never by half a pixel.
    np.testing.assert_allclose(moved[inner], (2 * su - 3 * sv)[inner], atol=0.2 if mode == "area" else 1e-6)
    outside = (su < 0) | (su > 37) | (sv < 0) | (sv > 23)
    assert np.isnan(moved[outside]).all() and np.isfinite(moved[~outside]).all()


def test_undo_brings_a_networks_map_back_for_arrays_and_tensors() -> None:
    transform = ImageTransform.letterbox(SIZE, 64, 64)
    tu, tv = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    su, sv = np.moveaxis(transform.undo_points(np.stack([tu, tv], -1)), -1, 0)
    u, v = np.meshgrid(np.arange(37) + 0.5, np.arange(23) + 0.5)
    prediction = 2 * su - 3 * sv
    np.testing.assert_allclose(transform.undo(prediction)[1:-1, 1:-1], (2 * u - 3 * v)[1:-1, 1:-1], atol=1e-9)
    tensor = torch.from_numpy(prediction).expand(2, 3, 64, 64)
    np.testing.assert_allclose(transform.undo(tensor)[1, 2].numpy(), transform.undo(prediction), atol=1e-12)
    labels = torch.randint(0, 9, (2, 64, 64))
    np.testing.assert_array_equal(
        transform.undo(labels, "nearest")[0].numpy(), transform.undo(labels[0].numpy(), "nearest")
    )


def test_undo_fills_what_a_crop_never_saw() -> None:
    transform = ImageTransform.crop(SIZE, 10, 5, 12, 9)
    back = transform.undo(np.ones((9, 12), np.float32), fill=np.nan)
    assert np.isfinite(back).sum() == 9 * 12 and np.isfinite(back[5:14, 10:22]).all()
    tensor = transform.undo(torch.ones(1, 9, 12), fill=-1)
    assert (tensor == -1).sum() == 37 * 23 - 9 * 12


def test_masks_labels_and_integers_keep_their_type() -> None:
    transform = ImageTransform.resize(SIZE, 74, 46)
    for dtype in (bool, np.uint8, np.uint16, np.int32, np.int64, np.float32):
        value = np.random.default_rng(1).integers(0, 2, (23, 37)).astype(dtype)
        for mode in ("nearest", "linear", "area"):
            assert transform.apply(value, mode).dtype == dtype
        shrunk = ImageTransform.resize(SIZE, 9, 9).apply(value, "area")
        assert shrunk.dtype == dtype and shrunk.shape == (9, 9)


def test_area_mode_averages() -> None:
    image = np.zeros((8, 8), np.float32)
    image[::2] = 1
    shrunk = ImageTransform.resize((8, 8), 4, 4).apply(image)
    np.testing.assert_allclose(shrunk, 0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_means_of_whole_numbers_are_rounded(dtype: type) -> None:
    """1.75 became 1 for the types that OpenCV does not average itself."""
    assert ImageTransform.resize((2, 2), 1, 1).apply(np.array([[1, 2], [2, 2]], dtype)) == 2


def test_matrix_and_misuse() -> None:
    transform = WHOLE["pad, flip"]
    point = np.array([5.25, 7.5])
    np.testing.assert_allclose(transform.matrix @ [*point, 1], transform.points(point))
    integers = torch.tensor([[3, 4]])
    np.testing.assert_allclose(transform.points(integers).numpy(), transform.points(np.array([[3, 4]])))
    assert transform.mirrors and not WHOLE["both flips"].mirrors
    with pytest.raises(InputError, match="37x23"):
        transform.apply(np.zeros((37, 23)))
    with pytest.raises(InputError, match="starts from"):
        transform.then(WHOLE["flip"])
    with pytest.raises(InputError, match="mode"):
        transform.undo(np.zeros((29, 42)), "cubic")
