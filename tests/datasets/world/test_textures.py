"""Textures: real detail at all scales, seamless, neutral where promised, exact lookup."""

import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from perception.datasets.world.textures import SIZE, box_uv, dominant_face, sample, shared, texture, texture_bank
from perception.datasets.world.textures import bank as bank_module
from perception.datasets.world.textures.bank import TextureBank, _draw, _Entry
from perception.errors import InputError


@pytest.fixture(scope="module")
def bank():
    return texture_bank()


@pytest.fixture(scope="module")
def images(bank):
    return np.stack([bank.image(i) for i in range(len(bank))])


def test_many_textures_in_many_families(bank):
    assert len(bank) >= 60
    assert len(bank.families) >= 25
    assert len(set(bank.names)) == len(bank)


def test_neutral_textures_have_mean_one(bank, images):
    mean = images[~bank.coloured][..., :3].mean((1, 2))
    assert np.abs(mean - 1).max() < 0.08


def test_detail_reaches_the_pixel(bank, images):
    """The finest octave (64..128 cycles a tile) holds energy in almost every texture; pastel noise would not."""
    grey = images[..., :3].mean(-1) + 0.3 * images[..., 3]
    spectrum = np.abs(np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True))) ** 2
    fy = np.abs(np.fft.fftfreq(SIZE) * SIZE)[:, None]
    radius = np.hypot(fy, np.arange(SIZE // 2 + 1)[None])
    fine = spectrum[:, (radius >= 64) & (radius < 128)].sum(-1) * 2 / SIZE**4
    contrast = np.sqrt(fine) / grey.mean((1, 2))
    assert np.median(contrast) > 0.03
    assert np.mean(contrast > 0.008) > 0.9


def test_tiles_without_a_seam(bank, images):
    """Steps across the border are no larger than steps inside, for textures that fill surfaces."""
    sheets = ("poster", "painting", "screen", "paper", "packet", "keyboard", "sign_text", "cardboard", "rug", "spine")
    keep = [i for i, name in enumerate(bank.names) if name.rsplit("_", 1)[0] not in sheets]
    grey = images[keep][..., :3].mean(-1) + images[keep][..., 3]
    across = np.abs(grey[:, :, 0] - grey[:, :, -1]).mean(1)
    steps = np.abs(np.diff(grey, axis=2)).mean(1)
    assert (across < steps.max(1) * 1.5 + 0.02).all()
    assert np.median(across / (steps.mean(1) + 1e-3)) < 1.6


def test_drawing_is_deterministic_and_independent_of_order(bank, images):
    again = TextureBank(bank._entries)
    for index in (len(bank) - 1, 3, 0, 57):
        assert np.array_equal(again.image(index), images[index])


def test_lookup_returns_texels(bank, images):
    rng = np.random.default_rng(0)
    index = rng.integers(len(bank), size=500)
    row, column = rng.integers(SIZE, size=(2, 500))
    uv = np.stack([(column + 0.5) / SIZE, (row + 0.5) / SIZE], 1) + rng.integers(-3, 3, (500, 2))
    found = sample(bank, index, uv, 0.0)
    assert np.abs(found - images[index, row, column]).max() < 0.02


def test_coarse_levels_converge_to_the_mean(bank, images):
    index = np.arange(len(bank))
    found = sample(bank, index, np.full((len(bank), 2), 0.3), 4.0)
    assert np.abs(found - images.mean((1, 2))).max() < 0.03


def test_trilinear_lies_between_levels(bank):
    index = np.full(200, bank.index("brick_0"))
    uv = np.random.default_rng(1).random((200, 2))
    low, high = (sample(bank, index, uv, 2.0**k / SIZE, sharpness=0.0) for k in (2, 3))
    middle = sample(bank, index, uv, 2.0**2.5 / SIZE, trilinear=True, sharpness=0.0)
    assert np.abs(middle - (low + high) / 2).max() < 0.05
    assert np.abs(low - high).max() > 0.05


def test_lookup_is_fast(bank):
    bank.draw()
    count = 240 * 320
    index = np.repeat(np.arange(count // 400) % len(bank), 400)
    uv = np.random.default_rng(2).random((count, 2), dtype=np.float32)
    sample(bank, index, uv, 0.01)
    best = min(_seconds(lambda: sample(bank, index, uv, 0.01)) for _ in range(5))
    assert best < 0.05  # 6 ms alone on one core; the margin is for busy machines


def _seconds(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def test_empty_lookup(bank):
    assert sample(bank, np.zeros(0, int), np.zeros((0, 2)), 0.1).shape == (0, 4)


def test_unknown_name_suggests(bank):
    with pytest.raises(InputError, match="brick"):
        bank.index("brik")


def test_new_texture_leaves_the_others_alone(bank, images):
    entry = _Entry("unheard_of", 0, lambda rng, variant: np.ones((SIZE, SIZE)), 1.0, False)
    longer = TextureBank([entry, *bank._entries])
    assert np.array_equal(longer.image(1), images[0])
    assert _draw(entry).shape == (SIZE, SIZE, 4)
    assert callable(texture("again"))


def test_box_mapping_reads_the_right_way_round():
    """On every upright face, u grows to the viewer's right and v downwards."""
    for normal in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)):
        face = dominant_face(np.float32([normal]))
        right = np.cross(-np.float32(normal), [0, 0, 1])
        origin, along, up = (box_uv(np.float32([p]), face, 1.0)[0] for p in (np.zeros(3), right, np.float32([0, 0, 1])))
        assert np.allclose(along - origin, [1, 0])
        assert np.allclose(up - origin, [0, -1])


def test_processes_share_what_they_draw(bank, monkeypatch):
    """A texture that one process drew is there for the others, texel for texel; what the parent had drawn comes along."""
    entries = bank._entries
    parent, first, second = (bank_module.TextureBank(entries) for _ in range(3))
    parent.draw(np.array([3]))
    monkeypatch.setattr(shared, "texture_bank", lambda: parent)
    drawn = []
    original = bank_module._draw
    monkeypatch.setattr(bank_module, "_draw", lambda entry: (drawn.append(entry), original(entry))[1])
    with shared.shared_atlas(get_context("spawn")) as handle:
        shared.attach(handle, first)
        shared.attach(handle, second)
        first.draw(np.array([3, 5]))
        second.draw(np.array([5, 7]))
        assert drawn == [entries[5], entries[7]], "each is drawn once, and what the parent had not at all"
        parent.draw(np.array([5, 7]))
        for number, bank in ((3, first), (5, first), (5, second), (7, second)):
            np.testing.assert_array_equal(bank.image(number), parent.image(number))
        folder = Path(handle[0]).parent
    assert not folder.exists()


def test_a_full_temporary_folder_means_no_sharing(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared.os, "posix_fallocate", full, raising=False)
    with shared.shared_atlas(get_context("spawn")) as handle:
        assert handle is None
        shared.attach(handle)  # and the process draws for itself
