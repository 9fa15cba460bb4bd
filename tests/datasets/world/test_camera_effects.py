"""Camera effects: reproducible, metered, in range, switchable."""

import time

import numpy as np
import pytest

from perception.datasets.world.camera_effects import CLEAN, apply, meter


@pytest.fixture
def radiance():
    rng = np.random.default_rng(0)
    smooth = np.linspace(0.05, 0.8, 320, dtype=np.float32)[None, :, None] * np.float32([1, 0.9, 0.7])
    return (smooth * rng.uniform(0.7, 1.3, (240, 320, 1))).astype(np.float32)


def test_same_seed_same_bytes(radiance):
    first, second, other = (apply(radiance, np.random.default_rng(s)) for s in (4, 4, 5))
    assert first.dtype == np.uint8 and first.shape == radiance.shape
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_input_is_left_alone(radiance):
    before = radiance.copy()
    for seed in range(10):
        apply(radiance, np.random.default_rng(seed))
    assert np.array_equal(before, radiance)


def test_metering_makes_brightness_irrelevant(radiance):
    dim, bright = (
        apply(radiance * 0.01, np.random.default_rng(3), strength=CLEAN),
        apply(radiance * 50, np.random.default_rng(3), strength=CLEAN),
    )
    assert np.abs(dim.astype(int) - bright).mean() < 2
    assert 90 < dim.mean() < 165
    assert meter(radiance * 2) == pytest.approx(meter(radiance) / 2, rel=1e-3)


def test_some_frames_are_under_and_some_over_exposed(radiance):
    means = np.array([apply(radiance, np.random.default_rng(seed)).mean() for seed in range(120)])
    assert (means < 75).any() and (means > 185).any()
    assert 95 < np.median(means) < 160


def test_clean_is_monotonic_and_free_of_noise():
    ramp = np.repeat(np.linspace(0.01, 1, 64, dtype=np.float32)[None, :, None], 48, 0).repeat(3, 2)
    out = apply(ramp, np.random.default_rng(0), exposure=None, strength=CLEAN)
    assert (out == out[:1]).all()
    assert (np.diff(out[0, :, 0].astype(int)) >= 0).all() and out[0, -1, 0] > out[0, 0, 0] + 80


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (33, 200), (800, 1000)])
def test_any_size(shape):
    image = np.full((*shape, 3), 0.3, np.float32)
    for seed in range(6):
        assert apply(image, np.random.default_rng(seed)).shape == (*shape, 3)


def test_extreme_light_stays_in_range():
    image = np.zeros((40, 60, 3), np.float32)
    image[10:20] = 1e4
    for seed in range(20):
        out = apply(image, np.random.default_rng(seed))
        assert out[12, 30].min() > 150 and out[30, 30].max() < 110


def test_fast(radiance):
    apply(radiance, np.random.default_rng(0))
    start = time.process_time()
    for seed in range(20):
        apply(radiance, np.random.default_rng(seed))
    assert (time.process_time() - start) / 20 < 0.03  # 5 ms alone on one core
