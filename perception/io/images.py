"""One way to read a picture, for the command line, the app and the library alike; and PNG out.

Whatever comes in, (H, W, 3) uint8 RGB upright comes out, or one `InputError` with the file's name:

    path, bytes, file, PIL, array, tensor
      -> header: is it a picture, how many pixels (refused BEFORE decoding when too many)
      -> first frame -> turned upright by EXIF -> 16 bit and float scaled, never clipped -> CMYK, palette, grey to RGB
      -> transparency laid on a stated background
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from perception.errors import InputError
from perception.geometry.cameras import Pinhole
from perception.io.atomic import atomic_write

MAX_PIXELS = 50_000_000
_WHITE = (255, 255, 255)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_FOCAL_35MM, _EXIF_IFD = 0xA405, 0x8769


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """pixels: (H, W, 3) uint8 RGB, upright, read-only. name: for messages. focal_35mm: EXIF 35 mm equivalent focal length, mm, or None.

    notes: sentences about what was done to an unusual file (first frame only, 16 bit scaled, background), for the user to see.
    """

    pixels: np.ndarray
    name: str
    focal_35mm: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.pixels.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height

    def camera(self) -> Pinhole:
        """The camera that the file itself tells of: from its EXIF focal length, else the default one (`source` says which)."""
        if self.focal_35mm is None:
            return Pinhole.default(self.width, self.height)
        return Pinhole.from_exif_35mm(self.width, self.height, self.focal_35mm)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.pixels, dtype=dtype) if copy is not False else np.asarray(self.pixels, dtype=dtype)

    def __repr__(self) -> str:
        focal = f", {self.focal_35mm:g} mm (35 mm equivalent)" if self.focal_35mm else ""
        return f"LoadedImage({self.name!r}, {self.width}x{self.height} RGB uint8{focal}{', ' + '; '.join(self.notes) if self.notes else ''})"


def load_image(
    source: Any,
    *,
    background: tuple[int, int, int] = _WHITE,
    max_pixels: int | None = MAX_PIXELS,
    name: str | None = None,
) -> LoadedImage:
    """Read a picture from a path, bytes, binary file, PIL image, array or tensor.

    Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) RGB(A); tensors may be (C, H, W) too. uint8 is taken as it is, uint16 scaled by 1/257,
    bool becomes 0 and 255, float must lie in 0..1, other integers in 0..255. The input is never modified.
    background: RGB behind transparent pixels. max_pixels: refuse larger files before decoding (None = no limit). name: for messages.
    Raises `InputError`: one sentence with the name, for everything that is not a readable picture.
    """
    if isinstance(source, LoadedImage):
        return source
    if isinstance(source, np.ndarray) or _is_tensor(source):
        pixels, notes = _from_array(source, name or "array", background)
        return _loaded(pixels, name or "array", None, notes)
    if isinstance(source, Image.Image):
        label = name or Path(getattr(source, "filename", "") or "image").name
        return _from_pil(source, label, background, max_pixels)
    if isinstance(source, str | Path):
        label = name or Path(source).name or str(source)
        with _open_file(source, label) as file:
            return _from_file(file, label, background, max_pixels)
    elif isinstance(source, bytes | bytearray | memoryview):
        label, data = name or "image", io.BytesIO(source)
    elif hasattr(source, "read"):
        label = name or Path(str(getattr(source, "name", "image"))).name
        data = io.BytesIO(source.read())
    else:
        raise InputError(f"a picture must be a path, bytes, PIL image, array or tensor; found {type(source).__name__}")
    return _from_file(data, label, background, max_pixels)


def _is_tensor(value: Any) -> bool:
    """Without importing torch: binary files have a `detach` too."""
    return hasattr(value, "detach") and hasattr(value, "permute")


def _open_file(source: str | Path, label: str) -> BinaryIO:
    if str(source).startswith(("http://", "https://")):
        raise InputError(f"{label} is an address on the web: download the picture first and give its path")
    path = Path(source).expanduser()
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{label} does not exist") from None
    except IsADirectoryError:
        raise InputError(
            f"{label} is a folder, not a picture; a model's stream(folder) goes through its pictures"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{label} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _from_file(data: BinaryIO, label: str, background: tuple[int, int, int], max_pixels: int | None) -> LoadedImage:
    head = data.read(32)
    data.seek(0)
    if not head:
        raise InputError(f"{label} is empty")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        _register_heic(label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(data)
    except Image.DecompressionBombError:
        limit = "" if max_pixels is None else f"; at most {max_pixels / 1e6:g} are allowed"
        raise InputError(
            f"{label} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels{limit}"
        ) from None
    except UnidentifiedImageError:
        if head[:4] in (b"II*\0", b"MM\0*"):
            raise InputError(
                f"{label} is a TIFF of a kind that cannot be read (colour floats, for example): save it with 8 or 16 bits"
            ) from None
        raise InputError(
            f"{label} is not a picture in a format that can be read (JPEG, PNG, WebP, TIFF, ...)"
        ) from None
    except Exception as error:  # broken headers surface as almost anything
        raise InputError(f"{label} is damaged and cannot be read as a picture ({_first_line(error)})") from None
    with image:
        return _from_pil(image, label, background, max_pixels, first_frame=True)


def _register_heic(label: str) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise InputError(f"{label} is a HEIC picture, which needs an extra: pip install 'perception3d[heic]'") from None
    pillow_heif.register_heif_opener()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _from_pil(
    image: Image.Image,
    label: str,
    background: tuple[int, int, int],
    max_pixels: int | None,
    first_frame: bool = False,
) -> LoadedImage:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{label} has no pixels: it is {width}x{height}")
    if max_pixels is not None and width * height > max_pixels:
        raise InputError(
            f"{label} has {width * height / 1e6:.1f} megapixels ({width}x{height}) but at most {max_pixels / 1e6:g} are allowed: make it smaller"
        )
    notes: list[str] = []
    try:
        if first_frame and getattr(image, "is_animated", False) and image.format != "MPO":
            image.seek(0)
            notes.append("only the first frame of the animation is used")
        image.load()  # before anything else: PNG's getexif() decodes too, and would swallow what is broken
        focal = _exif_focal(image)
        upright = _upright(image)
        pixels = _to_rgb(upright, background, notes)
    except InputError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, zlib.error, ...
        raise InputError(f"{label} is damaged or cut off and cannot be decoded ({_first_line(error)})") from None
    return _loaded(pixels, label, focal, notes)


def _exif_focal(image: Image.Image) -> float | None:
    try:
        value = float(image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM, 0))
    except Exception:  # a broken EXIF block must not cost the picture
        return None
    return value if 1 <= value <= 2000 else None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # same: an unreadable orientation counts as none
        return image


def _to_rgb(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> np.ndarray:
    mode = image.mode
    if mode == "F" or mode.startswith("I"):
        values = np.asarray(image)
        if mode == "F" or values.min() < 0 or values.max() > 65535:
            return _grey_to_rgb(_stretch(values.astype(np.float64), notes))
        notes.append("16-bit values are scaled to 8 bits")
        return _grey_to_rgb(_from_16_bit(values))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getextrema()[3][0] < 255:
            notes.append("transparent parts lie on a background of RGB {}, {}, {}".format(*background))
        canvas = Image.new("RGBA", rgba.size, (*background, 255))
        return np.asarray(Image.alpha_composite(canvas, rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _from_16_bit(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _stretch(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Float values -> uint8: 0..1 as they are, anything else from its smallest to its largest finite value."""
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    notes.append(f"values from {low:g} to {high:g} are scaled to 8 bits")
    span = high - low or 1.0
    return np.rint(np.clip(np.where(finite, values - low, 0) / span, 0, 1) * 255).astype(np.uint8)


def _grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _from_array(source: Any, label: str, background: tuple[int, int, int]) -> tuple[np.ndarray, list[str]]:
    is_tensor = _is_tensor(source)
    if is_tensor:
        source = source.detach().cpu()
        if source.is_floating_point():
            source = source.float()
        if source.ndim == 3 and source.shape[0] in (1, 3, 4):
            source = source.permute(1, 2, 0)
    value = np.asarray(source)
    value = value[..., None] if value.ndim == 2 else value
    if value.ndim != 3 or value.shape[2] not in (1, 3, 4) or 0 in value.shape:
        hint = ""
        if value.ndim == 4:
            hint = "; several pictures are a list"
        elif not is_tensor and value.ndim == 3 and value.shape[0] in (1, 3, 4):
            hint = " (channels last, please)"
        known = "(H, W), (H, W, 3) or (H, W, 4)" + (", or (C, H, W)" if is_tensor else "")
        raise InputError(f"{label} must have shape {known}{hint}; found {tuple(np.shape(source))}")
    notes: list[str] = []
    if value.dtype == np.uint8:
        pixels = value
    elif value.dtype == bool:
        pixels = value.astype(np.uint8) * 255
    elif value.dtype == np.uint16:
        notes.append("16-bit values are scaled to 8 bits")
        pixels = _from_16_bit(value)
    elif value.dtype.kind in "fiu":
        top = 1.0 if value.dtype.kind == "f" else 255
        with np.errstate(invalid="ignore"):
            inside = bool(((value >= -1e-3 * top) & (value <= top * 1.001)).all())
        if not inside:
            raise InputError(
                f"{label} of type {value.dtype} must hold finite values in 0..{top:g}; uint8 RGB in 0..255 is what a picture usually is"
            )
        pixels = np.rint(np.clip(value.astype(np.float64), 0, top) * (255 / top)).astype(np.uint8)
    else:
        raise InputError(f"{label} must hold numbers; found type {value.dtype}")
    if pixels.shape[2] == 1:
        pixels = _grey_to_rgb(pixels[..., 0])
    elif pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        if (pixels[..., 3] < 255).any():
            notes.append("transparent parts lie on a background of RGB {}, {}, {}".format(*background))
        pixels = np.rint(pixels[..., :3] * alpha + np.float32(background) * (1 - alpha)).astype(np.uint8)
    return pixels, notes


def _loaded(pixels: np.ndarray, label: str, focal: float | None, notes: list[str]) -> LoadedImage:
    out = np.array(pixels, dtype=np.uint8, order="C")
    out.setflags(write=False)
    return LoadedImage(out, label, focal, tuple(notes))


# -- out -----------------------------------------------------------------------------------------------------------------


def write_image(path: str | Path, image: np.ndarray, text: dict[str, str] | None = None, quality: int = 92) -> Path:
    """Write (H, W), (H, W, 3) or (H, W, 4) uint8, or (H, W) uint16, atomically as the suffix says (.png, .jpg, .webp).

    text: key-value pairs for PNG text chunks. Raises `InputError` for other arrays: nothing is rounded or wrapped silently.
    """
    from PIL.PngImagePlugin import PngInfo

    path, image = Path(path), np.asarray(image)
    grey, colour = image.ndim == 2, image.ndim == 3 and image.shape[2] in (3, 4)
    if not ((image.dtype == np.uint8 and (grey or colour)) or (image.dtype == np.uint16 and grey)) or 0 in image.shape:
        raise InputError(
            f"{path.name} can hold uint8 grey, RGB or RGBA, or uint16 grey pixels; found {image.dtype} of shape {image.shape}"
        )
    suffix = path.suffix.lower()
    kinds = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
    if suffix not in kinds or (image.dtype == np.uint16 and suffix != ".png"):
        raise InputError(f"{path.name} must end in {', '.join(kinds)} (16 bit: .png)")
    options: dict[str, Any] = {}
    if kinds[suffix] == "PNG":
        info = PngInfo()
        for key, value in (text or {}).items():
            info.add_text(key, str(value))
        options = {"pnginfo": info, "compress_level": 4}
    elif kinds[suffix] == "JPEG":
        options = {"quality": quality, "subsampling": 0}
    with atomic_write(path) as file:
        Image.fromarray(np.ascontiguousarray(image)).save(file, kinds[suffix], **options)
    return path


def read_png(path: str | Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read a PNG exactly as stored ((H, W) uint8/uint16, (H, W, 3 or 4) uint8; palettes as indices) with its text chunks."""
    path = Path(path)
    try:
        with _open_file(path, path.name) as file, Image.open(file) as image:
            text = {key: value for key, value in image.info.items() if isinstance(value, str)}
            value = np.asarray(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path.name} is not a readable PNG file ({_first_line(error)})") from None
    if value.dtype == np.int32:  # 16-bit grey of other Pillow versions and of PGM files
        value = value.astype(np.uint16) if value.size == 0 or (value.min() >= 0 and value.max() <= 65535) else value
    return value, text


def write_ids(path: str | Path, ids: np.ndarray) -> Path:
    """Write an (H, W) integer map as 8-bit PNG where it fits and as 16-bit PNG otherwise. Raises `InputError` outside 0..65535."""
    path, ids = Path(path), np.asarray(ids)
    low, high = (int(ids.min()), int(ids.max())) if ids.size else (0, 0)
    if ids.dtype.kind not in "iub" or low < 0 or high > 65535:
        raise InputError(f"{path.name} can hold whole numbers in 0..65535; found {ids.dtype} from {low} to {high}")
    return write_image(path, ids.astype(np.uint8 if high < 256 else np.uint16))


def write_rgb_ids(path: str | Path, ids: np.ndarray) -> Path:
    """Write an (H, W) map of ids below 2**24 in COCO's panoptic form: id = R + 256 G + 65536 B."""
    path, ids = Path(path), np.asarray(ids)
    if ids.size and (ids.min() < 0 or ids.max() >= 1 << 24):
        raise InputError(f"{path.name} can hold ids in 0..{(1 << 24) - 1}; found {int(ids.min())}..{int(ids.max())}")
    return write_image(path, np.stack([ids & 255, (ids >> 8) & 255, (ids >> 16) & 255], -1).astype(np.uint8))


def read_rgb_ids(path: str | Path) -> np.ndarray:
    """Read COCO's panoptic PNG -> (H, W) int32 ids, 0 = void."""
    value, _ = read_png(path)
    if value.ndim != 3:
        raise InputError(f"{Path(path).name} must be an RGB picture of segment ids; found shape {value.shape}")
    r, g, b = np.moveaxis(value[..., :3].astype(np.int32), -1, 0)
    return r + (g << 8) + (b << 16)
