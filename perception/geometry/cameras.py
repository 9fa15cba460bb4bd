"""Cameras: where a pixel looks and where a point lands.

Pinhole, camera frame (OpenCV axes)                Picture, continuous pixel coordinates

            z forward (optical axis)               (0,0)                u ->
           /                                         +---+---+---+-- ... --+ (W,0)
          /                                          | * |   |   |         |     * centre of the first pixel:
         o------> x right                          v +---+---+---+         |       (0.5, 0.5), not (0, 0)
         |                                         | |   |   |             |
         |                                         v ...     (cx, cy)      |
         v y down                                    +-----------------  --+ (W,H)

    u = fx x/z + cx        v = fy y/z + cy         a camera whose axis meets the middle has cx = W/2, cy = H/2

Files that follow OpenCV, KITTI, nuScenes put the centre of the first pixel at (0, 0): their cx, cy are smaller by 0.5. Read such a matrix with
``Pinhole.from_matrix(K, width, height, integer_centres=True)``. Depth is z along the optical axis, metres.

Equirectangular, same axes, seen from above and from the side

             z, longitude 0 (picture centre)             -y up, latitude +pi/2 (first row)
             |   /                                        |   /
             |  / longitude grows to the right            |  / latitude grows upwards
             | /                                          | /
    seam ... o------> x, longitude +pi/2                  o------> horizon, latitude 0 (middle row)
    behind

    x = sin(lon) cos(lat)    y = -sin(lat)    z = cos(lon) cos(lat)         depth is the Euclidean range, metres
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry.camera_rays import (
    SOURCES,
    check_depth,
    check_raster,
    pinhole_rays,
    sphere_angles,
    sphere_rays,
)
from perception.geometry.image_transform import ImageTransform

DEFAULT_FOCAL_35MM = 28.0  # the main camera of most phones and compact cameras lies between 24 and 30 mm
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion: focal lengths and principal point in pixels, picture size in pixels.

    source says where the intrinsics came from: "caller", "fov", "exif", "file", "model" or "default". Metric results under "default" are guesses.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    source: str = "caller"

    def __post_init__(self) -> None:
        width, height = check_raster(self.width, self.height)
        values = [float(v) for v in (self.fx, self.fy, self.cx, self.cy)]
        if not all(map(math.isfinite, values)) or values[0] <= 0 or values[1] <= 0:
            raise InputError(
                f"a pinhole camera needs finite intrinsics and positive focal lengths; found fx, fy, cx, cy = {values}"
            )
        if self.source not in SOURCES:
            raise InputError(f"the source of intrinsics must be one of {', '.join(SOURCES)}; found {self.source!r}")
        for name, value in zip(("fx", "fy", "cx", "cy", "width", "height"), (*values, width, height), strict=True):
            object.__setattr__(self, name, value)

    # -- where the numbers may come from -------------------------------------------------------------------------------

    @classmethod
    def from_matrix(
        cls, matrix: Any, width: int, height: int, *, integer_centres: bool = False, source: str = "caller"
    ) -> Pinhole:
        """Read a (3, 3) or (3, 4) intrinsic matrix (array, tensor or nested list).

        integer_centres: the matrix puts the centre of the first pixel at (0, 0), as OpenCV, KITTI and nuScenes do; adds 0.5 to cx and cy.
        Raises `InputError` for another shape, skew, or a last row other than [0, 0, 1].
        """
        try:
            k = np.asarray(matrix.detach().cpu() if hasattr(matrix, "detach") else matrix, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"an intrinsic matrix must hold 3 rows of 3 numbers; found {str(matrix)[:60]}") from None
        if k.shape not in ((3, 3), (3, 4)):
            raise InputError(f"an intrinsic matrix must have shape (3, 3); found {k.shape}")
        k = k[:, :3]
        if not np.isfinite(k).all() or k[2, 2] == 0:
            raise InputError("an intrinsic matrix must be finite with 1 in its lower right corner")
        k = k / k[2, 2]
        if abs(k[0, 1]) > 1e-6 * abs(k[0, 0]) or np.abs([k[1, 0], k[2, 0], k[2, 1]]).max() > 1e-6:
            raise InputError(
                f"an intrinsic matrix must be [[fx,0,cx],[0,fy,cy],[0,0,1]] without skew; found {k.tolist()}"
            )
        half = 0.5 if integer_centres else 0.0
        return cls(k[0, 0], k[1, 1], k[0, 2] + half, k[1, 2] + half, width, height, source)

    @classmethod
    def from_fov(
        cls,
        width: int,
        height: int,
        horizontal_degrees: float | None = None,
        vertical_degrees: float | None = None,
        diagonal_degrees: float | None = None,
        source: str = "fov",
    ) -> Pinhole:
        """Centred camera from a field of view, degrees. One angle gives square pixels; horizontal and vertical together give fx and fy."""
        check_raster(width, height)
        given = {"horizontal": horizontal_degrees, "vertical": vertical_degrees, "diagonal": diagonal_degrees}
        given = {name: angle for name, angle in given.items() if angle is not None}
        if not given or (len(given) > 1 and "diagonal" in given):
            raise InputError("a camera from its field of view needs one angle, or horizontal and vertical together")
        for name, angle in given.items():
            if not 0 < angle < 180:
                raise InputError(f"the {name} field of view must lie between 0 and 180 degrees; found {angle:g}")
        extent = {"horizontal": width, "vertical": height, "diagonal": math.hypot(width, height)}
        focal = {name: extent[name] / 2 / math.tan(math.radians(angle) / 2) for name, angle in given.items()}
        fx = focal.get("horizontal", next(iter(focal.values())))
        fy = focal.get("vertical", next(iter(focal.values())))
        return cls(fx, fy, width / 2, height / 2, width, height, source)

    @classmethod
    def from_focal_mm(cls, width: int, height: int, focal_mm: float, sensor_width_mm: float) -> Pinhole:
        """Centred camera from the lens's focal length and the width of the sensor (the side along the picture's width), millimetres."""
        if not (focal_mm > 0 and sensor_width_mm > 0):
            raise InputError(
                f"focal length and sensor width must be positive; found {focal_mm} mm and {sensor_width_mm} mm"
            )
        focal = focal_mm / sensor_width_mm * width
        return cls(focal, focal, width / 2, height / 2, width, height, "caller")

    @classmethod
    def from_exif_35mm(cls, width: int, height: int, focal_35mm: float, source: str = "exif") -> Pinhole:
        """Centred camera from the 35 mm equivalent focal length (EXIF tag 41989), defined over the diagonal of 36 x 24 mm film."""
        if not focal_35mm > 0:
            raise InputError(f"the 35 mm equivalent focal length must be positive; found {focal_35mm} mm")
        focal = focal_35mm * math.hypot(width, height) / FILM_DIAGONAL_MM
        return cls(focal, focal, width / 2, height / 2, width, height, source)

    @classmethod
    def default(cls, width: int, height: int) -> Pinhole:
        """The camera assumed when nothing is known: a 28 mm lens in 35 mm terms, that is 75 degrees across the diagonal."""
        return cls.from_exif_35mm(width, height, DEFAULT_FOCAL_35MM, source="default")

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) float64, pixel centres at integer + 0.5."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def opencv_matrix(self) -> np.ndarray:
        """(3, 3) float64 for OpenCV, KITTI and nuScenes, where the first pixel's centre is (0, 0)."""
        matrix = self.matrix
        matrix[:2, 2] -= 0.5
        return matrix

    @property
    def fov(self) -> tuple[float, float]:
        """(horizontal, vertical) field of view, radians, exact for an off-centre principal point too."""
        horizontal = math.atan(self.cx / self.fx) + math.atan((self.width - self.cx) / self.fx)
        vertical = math.atan(self.cy / self.fy) + math.atan((self.height - self.cy) / self.fy)
        return horizontal, vertical

    @property
    def fov_degrees(self) -> tuple[float, float]:
        """(horizontal, vertical) field of view, degrees."""
        return math.degrees(self.fov[0]), math.degrees(self.fov[1])

    def __repr__(self) -> str:
        return (
            f"Pinhole({self.width}x{self.height} px, f=({self.fx:.2f}, {self.fy:.2f}) px, c=({self.cx:.2f}, {self.cy:.2f}) px, "
            f"fov={self.fov_degrees[0]:.1f}x{self.fov_degrees[1]:.1f} deg, source={self.source!r})"
        )

    # -- moved with its picture ----------------------------------------------------------------------------------------

    def transformed(self, transform: ImageTransform) -> Pinhole:
        """The camera of the transformed picture. A mirrored picture shows the mirrored scene (x -> -x), so focal lengths stay positive."""
        if transform.source != self.size:
            raise InputError(
                f"the image transform starts from {transform.source} but the camera's picture is {self.size}"
            )
        t = transform
        return Pinhole(
            self.fx * abs(t.scale_x),
            self.fy * abs(t.scale_y),
            self.cx * t.scale_x + t.shift_x,
            self.cy * t.scale_y + t.shift_y,
            *t.target,
            self.source,
        )

    def crop(self, left: int, top: int, width: int, height: int) -> Pinhole:
        """Camera of the window at (left, top), pixels."""
        return self.transformed(ImageTransform.crop(self.size, left, top, width, height))

    def resize(self, width: int, height: int) -> Pinhole:
        """Camera of the stretched picture."""
        return self.transformed(ImageTransform.resize(self.size, width, height))

    def letterbox(self, width: int, height: int) -> Pinhole:
        """Camera of the picture fitted into (width, height) and centred."""
        return self.transformed(ImageTransform.letterbox(self.size, width, height))

    def flip(self) -> Pinhole:
        """Camera of the picture mirrored left to right."""
        return self.transformed(ImageTransform.flip(self.size))

    def with_source(self, source: str) -> Pinhole:
        """The same camera under another `source`."""
        return replace(self, source=source)

    # -- rays and points -----------------------------------------------------------------------------------------------

    def rays(self, unit: bool = False) -> np.ndarray:
        """(H, W, 3) float32 directions through the pixel centres, z = 1, or of length 1 with `unit`. Read-only, cached."""
        return pinhole_rays(self.width, self.height, self.fx, self.fy, self.cx, self.cy, unit)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project (..., 3) points, camera frame, metres.

        Returns (..., 2) continuous pixel coordinates, NaN where z <= 0, and (...) depth z in metres. Pixels may lie outside the picture.
        """
        points = np.asarray(points, dtype=np.float64)
        z = points[..., 2]
        safe = np.where(z > 0, z, np.nan)
        pixels = np.stack([points[..., 0] / safe * self.fx + self.cx, points[..., 1] / safe * self.fy + self.cy], -1)
        return pixels, z

    def unproject(self, depth: np.ndarray) -> np.ndarray:
        """(H, W) depth z, metres -> (H, W, 3) float32 points, camera frame. Raises `InputError` when the sizes differ."""
        check_depth(depth, self.size)
        return self.rays() * np.asarray(depth, dtype=np.float32)[..., None]

    def unproject_pixels(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """(..., 2) continuous pixel coordinates and (...) depth z, metres -> (..., 3) float64 points, camera frame."""
        pixels, depth = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        x, y = (pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy
        return np.stack([x * depth, y * depth, depth], -1)

    def range_from_depth(self, depth: np.ndarray) -> np.ndarray:
        """(H, W) depth z -> (H, W) float32 Euclidean range, metres."""
        check_depth(depth, self.size)
        return np.asarray(depth, dtype=np.float32) * np.linalg.norm(self.rays(), axis=-1)

    def depth_from_range(self, distance: np.ndarray) -> np.ndarray:
        """(H, W) Euclidean range -> (H, W) float32 depth z, metres."""
        check_depth(distance, self.size)
        return np.asarray(distance, dtype=np.float32) / np.linalg.norm(self.rays(), axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able dictionary; `camera_from_dict` reads it."""
        return {"type": "pinhole", **asdict(self)}


@dataclass(frozen=True)
class Equirectangular:
    """A panorama: columns are longitudes, rows are latitudes (radians). Partial panoramas state their limits.

    longitude: (left edge, right edge), growing to the right; latitude: (bottom edge, top edge), growing upwards.
    """

    width: int
    height: int
    longitude: tuple[float, float] = (-math.pi, math.pi)
    latitude: tuple[float, float] = (-math.pi / 2, math.pi / 2)
    source: str = "caller"

    def __post_init__(self) -> None:
        width, height = check_raster(self.width, self.height)
        lon, lat = tuple(map(float, self.longitude)), tuple(map(float, self.latitude))
        slack = 1e-9
        if not (
            0 < lon[1] - lon[0] <= 2 * math.pi + slack
            and -math.pi / 2 - slack <= lat[0] < lat[1] <= math.pi / 2 + slack
        ):
            raise InputError(
                "a panorama's longitudes must grow to the right over at most 360 degrees and its latitudes upwards within +-90 degrees (in radians here); "
                f"found longitude {_degrees(lon)}, latitude {_degrees(lat)} degrees"
            )
        for name, value in (("width", width), ("height", height), ("longitude", lon), ("latitude", lat)):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height

    @property
    def wraps(self) -> bool:
        """Whether the left and right edges are neighbours (all 360 degrees are there)."""
        return self.longitude[1] - self.longitude[0] > 2 * math.pi - 1e-6

    @property
    def full(self) -> bool:
        """Whether it covers the whole sphere."""
        return self.wraps and self.latitude[1] - self.latitude[0] > math.pi - 1e-6

    @property
    def fov_degrees(self) -> tuple[float, float]:
        """(horizontal, vertical) extent, degrees."""
        return tuple(math.degrees(hi - lo) for lo, hi in (self.longitude, self.latitude))  # type: ignore[return-value]

    def __repr__(self) -> str:
        lon, lat = ([round(math.degrees(v), 2) for v in pair] for pair in (self.longitude, self.latitude))
        return f"Equirectangular({self.width}x{self.height} px, longitude={lon} deg, latitude={lat} deg)"

    def angles(self) -> tuple[np.ndarray, np.ndarray]:
        """(W,) longitudes and (H,) latitudes of the pixel centres, float64, radians."""
        return sphere_angles(self.width, self.height, self.longitude, self.latitude)

    def rays(self, unit: bool = True) -> np.ndarray:
        """(H, W, 3) float32 directions of length 1 through the pixel centres. Read-only, cached. `unit` is there for symmetry."""
        return sphere_rays(self.width, self.height, self.longitude, self.latitude)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project (..., 3) points, camera frame, metres.

        Returns (..., 2) continuous pixel coordinates (NaN for the origin; outside the picture for directions that a partial panorama lacks)
        and (...) Euclidean range, metres.
        """
        points = np.asarray(points, dtype=np.float64)
        distance = np.linalg.norm(points, axis=-1)
        safe = np.where(distance > 0, distance, np.nan)
        lon = np.arctan2(points[..., 0], points[..., 2])
        lat = np.arcsin(np.clip(-points[..., 1] / safe, -1, 1))
        (left, right), (bottom, top) = self.longitude, self.latitude
        # Wrap into the 2 pi window around the panorama's middle, so that partial panoramas across the seam work.
        middle = (left + right) / 2
        lon = middle + np.mod(lon - middle + math.pi, 2 * math.pi) - math.pi
        u = (lon - left) / (right - left) * self.width
        v = (top - lat) / (top - bottom) * self.height
        return np.stack([np.where(distance > 0, u, np.nan), v], -1), distance

    def unproject(self, distance: np.ndarray) -> np.ndarray:
        """(H, W) Euclidean range, metres -> (H, W, 3) float32 points, camera frame."""
        check_depth(distance, self.size)
        return self.rays() * np.asarray(distance, dtype=np.float32)[..., None]

    def resize(self, width: int, height: int) -> Equirectangular:
        """The same view with another number of pixels."""
        return replace(self, width=width, height=height)

    def crop(self, left: int, top: int, width: int, height: int) -> Equirectangular:
        """The partial panorama of a window in pixels; beyond the left and right edges only where the panorama wraps."""
        if top < 0 or top + height > self.height or (not self.wraps and (left < 0 or left + width > self.width)):
            raise InputError(
                f"the window {width}x{height} at ({left}, {top}) leaves the {self.width}x{self.height} panorama"
            )
        per_column = (self.longitude[1] - self.longitude[0]) / self.width
        per_row = (self.latitude[1] - self.latitude[0]) / self.height
        lon = self.longitude[0] + left * per_column
        lat = self.latitude[1] - top * per_row
        return replace(
            self,
            width=width,
            height=height,
            longitude=(lon, lon + width * per_column),
            latitude=(max(lat - height * per_row, -math.pi / 2), lat),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able dictionary; `camera_from_dict` reads it."""
        return {
            "type": "equirectangular",
            **asdict(self),
            "longitude": list(self.longitude),
            "latitude": list(self.latitude),
        }


def _degrees(limits: tuple[float, float]) -> str:
    return f"{math.degrees(limits[0]):g} to {math.degrees(limits[1]):g}"


Camera = Pinhole | Equirectangular


def camera_from_dict(values: Mapping[str, Any]) -> Camera:
    """Read what `to_dict` of either camera wrote. Raises `InputError` for an unknown type or missing keys."""
    kinds = {"pinhole": Pinhole, "equirectangular": Equirectangular}
    rest = dict(values)
    kind = rest.pop("type", None)
    if kind not in kinds:
        raise InputError(f"a camera's type must be 'pinhole' or 'equirectangular'; found {kind!r}")
    try:
        return kinds[kind](**rest)
    except TypeError as error:
        raise InputError(f"a {kind} camera cannot be read from keys {sorted(rest)}: {error}") from error
