"""One loader for every picture: orientation, depth of bits, transparency, limits, and one sentence for everything that is not a picture."""

from __future__ import annotations

import io
import os
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perception.errors import InputError
from perception.io import LoadedImage, load_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


def blocks() -> np.ndarray:
    """A picture without symmetry whose flat blocks survive JPEG."""
    colors = np.array(
        [[[230, 30, 30], [30, 220, 40], [30, 40, 230]], [[240, 240, 240], [20, 20, 20], [230, 220, 20]]], np.uint8
    )
    return np.kron(colors, np.ones((16, 16, 1), np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# How a camera stores an upright picture under each EXIF orientation: the inverse of what the viewer must do.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_exif_orientations_come_out_upright(orientation: int, kind: str) -> None:
    upright = blocks()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    got = load_image(encoded(stored, kind, exif=exif, **options))
    assert got.size == (48, 32)
    difference = np.abs(got.pixels[4::16, 4::16].astype(int) - upright[4::16, 4::16])
    assert difference.max() < 24
    if orientation == 6:
        # The letter of the standard: row 0 of the file is the picture's right side.
        np.testing.assert_allclose(got.pixels[4::16, -1].astype(int), np.asarray(stored).astype(int)[0, 4::16], atol=24)


def test_exif_focal_length_makes_the_camera() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    exif[0x0112] = 6
    got = load_image(encoded(Image.fromarray(RGB), "JPEG", exif=exif), name="phone.jpg")
    assert got.focal_35mm == 28 and got.camera().source == "exif" and got.camera().size == (12, 20)
    plain = load_image(RGB)
    assert plain.focal_35mm is None and plain.camera().source == "default"
    exif.get_ifd(0x8769)[0xA405] = 0
    assert load_image(encoded(Image.fromarray(RGB), "JPEG", exif=exif)).focal_35mm is None


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF", "PPM"):
        got = load_image(encoded(Image.fromarray(ramp), kind))
        np.testing.assert_allclose(got.pixels[..., 0].reshape(-1), np.arange(256), atol=1, err_msg=kind)
        assert (got.pixels[..., 0] == got.pixels[..., 2]).all() and "16-bit" in got.notes[0]
    np.testing.assert_array_equal(load_image(ramp).pixels[..., 1].reshape(-1), np.arange(256))


def test_16_bit_colour_is_scaled() -> None:
    import cv2

    wide = (RGB.astype(np.uint16) * 257)[..., ::-1]
    for suffix in (".png", ".tif"):
        done, data = cv2.imencode(suffix, wide)
        assert done
        np.testing.assert_allclose(load_image(data.tobytes()).pixels.astype(int), RGB, atol=1, err_msg=suffix)


def test_float_tiff_is_scaled_with_a_note() -> None:
    metres = np.linspace(2, 10, 12 * 20, dtype=np.float32).reshape(12, 20)
    metres[0, 0] = np.nan
    got = load_image(encoded(Image.fromarray(metres), "TIFF"))
    assert got.pixels.max() == 255 and got.pixels[-1, -1, 0] == 255 and "10" in got.notes[0]
    unit = load_image(encoded(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"))
    assert (unit.pixels == 128).all()
    assert np.ptp(load_image(encoded(Image.fromarray(np.full((4, 4), 7, np.float32)), "TIFF")).pixels) == 0  # no 0/0


def test_cmyk_palette_grey_and_bilevel() -> None:
    flat = Image.new("RGB", (8, 6), (200, 40, 90))
    assert (
        np.abs(load_image(encoded(flat.convert("CMYK"), "JPEG", quality=98)).pixels.astype(int) - (200, 40, 90)).max()
        < 12
    )
    assert np.abs(load_image(encoded(flat.convert("CMYK"), "TIFF")).pixels.astype(int) - (200, 40, 90)).max() < 3
    palette = flat.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    np.testing.assert_array_equal(load_image(encoded(palette)).pixels, np.asarray(flat))
    grey = RGB[..., 0]
    np.testing.assert_array_equal(load_image(encoded(Image.fromarray(grey))).pixels, np.repeat(grey[..., None], 3, -1))
    bits = Image.fromarray(grey > 99).convert("1")
    np.testing.assert_array_equal(load_image(encoded(bits)).pixels[..., 0], (grey > 99) * 255)


def test_transparency_lies_on_the_stated_background() -> None:
    rgba = np.dstack([RGB, np.where(np.arange(20) < 10, 0, 255).astype(np.uint8)[None].repeat(12, 0)])
    for source in (
        encoded(Image.fromarray(rgba)),
        encoded(Image.fromarray(rgba), "WEBP", lossless=True),
        rgba,
        Image.fromarray(rgba),
    ):
        white = load_image(source)
        assert (white.pixels[:, :10] == 255).all()
        np.testing.assert_array_equal(white.pixels[:, 10:], RGB[:, 10:])
        assert "255, 255, 255" in white.notes[0]
        assert (load_image(source, background=(10, 20, 30)).pixels[:, :10] == (10, 20, 30)).all()
    la = Image.fromarray(np.dstack([RGB[..., 0], np.full((12, 20), 128, np.uint8)]))
    half = load_image(encoded(la), background=(0, 0, 0)).pixels.astype(int)
    np.testing.assert_allclose(half[..., 1], RGB[..., 0].astype(float) * 128 / 255, atol=1)
    keyed = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    got = load_image(encoded(keyed, transparency=0), background=(1, 2, 3)).pixels
    assert (got[np.asarray(keyed) == 0] == (1, 2, 3)).all()
    opaque = load_image(encoded(Image.fromarray(RGB).convert("RGBA")))
    assert opaque.notes == ()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_give_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in ((250, 10, 10), (10, 250, 10), (10, 10, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    got = load_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.abs(got.pixels.astype(int) - (250, 10, 10)).max() < 8
    assert any("first frame" in note for note in got.notes)


def test_heic_with_the_extra_and_the_extras_name_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encoded(Image.fromarray(blocks()), "HEIF", quality=95)
    got = load_image(data, name="phone.heic")
    assert got.size == (48, 32) and np.abs(got.pixels[8::16, 8::16].astype(int) - blocks()[8::16, 8::16]).max() < 24
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"phone\.heic.*perception3d\[heic\]"):
        load_image(data, name="phone.heic")


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(10_000, 5_001), (20_000, 10_000), (60_000, 60_000)])
def test_pixel_limit_is_checked_before_decoding(size: tuple[int, int], tmp_path: Path) -> None:
    import psutil

    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(*size))
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"bomb\.png.*megapixels.*50"):
        load_image(path)
    assert time.perf_counter() - start < 0.2
    assert psutil.Process().memory_info().rss - before < 50e6


def test_pixel_limit_is_configurable() -> None:
    data = encoded(Image.fromarray(RGB))
    with pytest.raises(InputError, match="megapixels"):
        load_image(data, max_pixels=100)
    assert load_image(data, max_pixels=240).size == (20, 12)
    assert load_image(data, max_pixels=None).size == (20, 12)


JPEG = encoded(Image.fromarray(blocks()), "JPEG")
PNG = encoded(Image.fromarray(RGB))
SMOOTH = encoded(Image.fromarray(blocks()))
BAD = {
    "empty.jpg": b"",
    "text.jpg": b"this is not a picture at all",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>',
    "cut.jpg": JPEG[: len(JPEG) // 2],
    "cut.png": PNG[: len(PNG) // 2],
    "header.png": PNG[:20],
    "one_byte.png": PNG[:1],
    "damaged.png": SMOOTH[:60] + b"\xff" * 30 + SMOOTH[90:],
    "zeros.bin": bytes(5000),
    "broken.tif": b"II*\0" + b"\xff" * 60,
    "broken.gif": b"GIF89a" + b"\xff" * 30,
    "broken.heic": b"\0\0\0\x18ftypheic" + b"\0" * 40,
    "broken.webp": b"RIFF\x20\0\0\0WEBPVP8 " + b"\0" * 20,
    "program.exe": b"MZ" + bytes(range(256)) * 4,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_sentence_with_their_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BAD[name])
    for source, options in (
        (path, {}),
        (str(path), {}),
        (BAD[name], {"name": name}),
        (io.BytesIO(BAD[name]), {"name": name}),
    ):
        with pytest.raises(InputError) as caught:
            load_image(source, **options)
        message = str(caught.value)
        assert name in message and "\n" not in message and str(tmp_path) not in message


def test_missing_folder_unreadable_and_foreign_things(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.png does not exist"):
        load_image(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(InputError, match="web"):
        load_image("https://example.org/cat.jpg")
    with pytest.raises(InputError, match="found int"):
        load_image(7)
    with pytest.raises(InputError):
        load_image("bad\0name.png")
    if os.geteuid() != 0:
        locked = tmp_path / "locked.png"
        locked.write_bytes(PNG)
        locked.chmod(0)
        with pytest.raises(InputError, match=r"locked\.png cannot be read"):
            load_image(locked)


def test_arrays_of_every_kind_and_the_input_is_never_modified() -> None:
    expected = RGB
    float_image = (RGB / 255).astype(np.float32)
    wide = np.zeros((12, 40, 3), np.uint8)
    wide[:, ::2] = RGB
    readonly = RGB.copy()
    readonly.setflags(write=False)
    sources = {
        "uint8": RGB.copy(),
        "negative stride": RGB[::-1].copy()[::-1],
        "not contiguous": wide[:, ::2],
        "fortran": np.asfortranarray(RGB),
        "read-only": readonly,
        "float": float_image,
        "float64": RGB / 255.0,
        "uint16": RGB.astype(np.uint16) * 257,
        "int64": RGB.astype(np.int64),
        "tensor CHW": torch.from_numpy(RGB).permute(2, 0, 1),
        "tensor HWC": torch.from_numpy(RGB),
        "tensor float": torch.from_numpy(float_image).permute(2, 0, 1),
        "tensor half": torch.from_numpy(RGB / 255.0).permute(2, 0, 1).double(),
        "PIL": Image.fromarray(RGB),
        "bytearray": bytearray(PNG),
        "memoryview": memoryview(PNG),
    }
    for name, source in sources.items():
        before = np.array(source) if not isinstance(source, bytearray | memoryview) else bytes(source)
        got = load_image(source)
        np.testing.assert_array_equal(got.pixels, expected, err_msg=name)
        after = np.array(source) if not isinstance(source, bytearray | memoryview) else bytes(source)
        np.testing.assert_array_equal(after, before) if not isinstance(before, bytes) else None
        assert got.pixels.flags.c_contiguous and not got.pixels.flags.writeable
    mutable = RGB.copy()
    got = load_image(mutable)
    mutable[:] = 0
    np.testing.assert_array_equal(got.pixels, RGB)
    assert (load_image(RGB[..., 0] > 99).pixels[..., 0] == (RGB[..., 0] > 99) * 255).all()
    assert load_image(RGB[..., :1]).pixels.shape == (12, 20, 3)
    assert load_image(got) is got and isinstance(got, LoadedImage)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((3, 40, 50), np.uint8),
        np.zeros((2, 4, 5, 3), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.full((4, 5, 3), 2.0),
        np.full((4, 5, 3), np.nan),
        np.full((4, 5, 3), -0.5, np.float32),
        np.full((4, 5, 3), 256),
        np.array([["a", "b"]]),
        torch.zeros(2, 3, 8, 8),
    ],
    ids=str,
)
def test_arrays_that_are_no_pictures_are_refused(array) -> None:
    with pytest.raises(InputError, match="my array"):
        load_image(array, name="my array")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (8000, 10)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    got = load_image(encoded(Image.new("RGB", size, (1, 2, 3))))
    assert got.size == size and (got.pixels == (1, 2, 3)).all()


def test_a_pil_animation_stays_on_its_frame() -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in ((250, 10, 10), (10, 250, 10))]
    gif = Image.open(io.BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    gif.seek(1)
    assert load_image(gif).pixels[0, 0, 1] > 200 and gif.tell() == 1


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(Image.fromarray(blocks()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff\xff")
    assert load_image(data).size == (48, 32)
