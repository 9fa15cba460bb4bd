"""KITTI's text files: object labels, results, calibration. The only place that knows their conventions.

A label row: type truncated occluded alpha | left top right bottom | height width length | x y z | rotation_y [score].
x y z is the centre of the BOTTOM face in the rectified frame of camera 0 (x right, y down, z forward); rotation_y turns about the
down axis, so it is minus our yaw. Image i sees that frame through the 3x4 matrix P_i, whose last column is NOT zero: the camera
i frame is the rectified frame moved by ``K_i^-1 P_i[:, 3]`` (about 6 cm for camera 2), and our boxes live in the camera i frame.

    rectified camera 0                 camera i:  x_i = x_0 + t_i,  t_i = K_i^-1 P_i[:, 3]
      o--> x      o--> x_i             P_i [x_0; 1] = K_i x_i, so after the shift a plain pinhole projects exactly
      v y         v y_i
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perception.errors import DatasetError
from perception.io.text import read_text

# Values of the numeric columns in a DontCare row (unknown).
UNKNOWN = (-1.0, -1.0, -10.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0, -1.0, -1000.0, -1000.0, -1000.0, -10.0)


@dataclasses.dataclass
class KittiLabels:
    """The rows of one label or result file, in file order.

    types (N,) str; values (N, 14) float64: truncated, occluded, alpha, left, top, right, bottom [px, pixel centres at integers],
    height, width, length [m], x, y, z [m, bottom centre, rectified camera 0], rotation_y [rad]; score (N,) float64 or None.
    """

    types: np.ndarray
    values: np.ndarray
    score: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.types)

    def __getitem__(self, rows: np.ndarray) -> KittiLabels:
        return KittiLabels(self.types[rows], self.values[rows], None if self.score is None else self.score[rows])

    truncated = property(lambda self: self.values[:, 0])
    occluded = property(lambda self: self.values[:, 1])
    alpha = property(lambda self: self.values[:, 2])
    boxes2d = property(lambda self: self.values[:, 3:7])
    dimensions = property(lambda self: self.values[:, 7:10], doc="(N, 3) height, width, length [m]")
    location = property(lambda self: self.values[:, 10:13], doc="(N, 3) bottom centre, rectified camera 0 [m]")
    rotation_y = property(lambda self: self.values[:, 13])

    def boxes3d(self, offset: Sequence[float] = (0.0, 0.0, 0.0)) -> np.ndarray:
        """(N, 7) boxes of this project: centre, length, width, height, yaw about the up axis; camera frame.

        `offset` moves from the rectified frame into the camera's (`KittiCalibration.offset`).
        """
        height, width, length = self.dimensions.T
        centre = self.location + np.asarray(offset, np.float64)
        centre = centre - np.stack([np.zeros_like(height), height / 2, np.zeros_like(height)], 1)
        return np.column_stack([centre, length, width, height, wrap(-self.rotation_y)])

    @classmethod
    def from_boxes(
        cls,
        types: Sequence[str],
        boxes3d: np.ndarray,
        boxes2d: np.ndarray,
        score: np.ndarray | None = None,
        offset: Sequence[float] = (0.0, 0.0, 0.0),
        truncated: np.ndarray | float | None = None,
        occluded: np.ndarray | float | None = None,
        alpha: np.ndarray | None = None,
    ) -> KittiLabels:
        """Rows from boxes of this project: `boxes3d` (N, 7) camera frame, `boxes2d` (N, 4) with pixel centres at integers.

        Truncation and occlusion default to -1 (not estimated) for results and to 0 for labels; alpha to rotation_y - atan2(x, z) of
        the location in the rectified frame.
        """
        boxes3d = np.asarray(boxes3d, np.float64).reshape(-1, 7)
        count = len(boxes3d)
        values = np.zeros((count, 14))
        default = 0.0 if score is None else -1.0
        values[:, 0] = default if truncated is None else truncated
        values[:, 1] = default if occluded is None else occluded
        values[:, 3:7] = np.asarray(boxes2d, np.float64).reshape(-1, 4)
        values[:, 7:10] = boxes3d[:, [5, 4, 3]]
        values[:, 10:13] = boxes3d[:, :3] - np.asarray(offset, np.float64)
        values[:, 11] += boxes3d[:, 5] / 2
        values[:, 13] = wrap(-boxes3d[:, 6])
        observed = wrap(values[:, 13] - np.arctan2(values[:, 10], values[:, 12]))
        values[:, 2] = observed if alpha is None else alpha
        return cls(
            np.array(list(types), dtype=object), values, None if score is None else np.asarray(score, np.float64)
        )

    @classmethod
    def empty(cls, with_score: bool = False) -> KittiLabels:
        return cls(np.zeros(0, object), np.zeros((0, 14)), np.zeros(0) if with_score else None)


def wrap(angle: np.ndarray) -> np.ndarray:
    """Angles in radians -> [-pi, pi]; values inside are left as they are, bit for bit."""
    angle = np.asarray(angle, np.float64)
    return np.where(np.abs(angle) <= math.pi, angle, (angle + math.pi) % (2 * math.pi) - math.pi)


def parse_labels(text: str, source: str = "text") -> KittiLabels:
    """Parse the content of a label file (15 columns a row) or a result file (16). Raises `DatasetError` naming the row."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    if not rows:
        return KittiLabels.empty()
    columns = len(rows[0])
    if columns not in (15, 16) or any(len(row) != columns for row in rows):
        number, row = next((i, r) for i, r in enumerate(rows, 1) if len(r) not in (15, 16) or len(r) != columns)
        raise DatasetError(f"{source}, row {number}: a KITTI label has 15 columns, a result 16; found {len(row)}")
    try:
        numbers = np.array([row[1:] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{source}: a KITTI row must hold a type and numbers; {error}") from error
    if not np.isfinite(numbers).all():
        number = int(np.flatnonzero(~np.isfinite(numbers).all(1))[0]) + 1
        raise DatasetError(
            f"{source}, row {number}: a KITTI row must hold finite numbers; found {' '.join(rows[number - 1])}"
        )
    types = np.array([row[0] for row in rows], dtype=object)
    return KittiLabels(types, numbers[:, :14], numbers[:, 14] if columns == 16 else None)


def read_labels(path: str | Path) -> KittiLabels:
    """Read a label or result file; an empty file is an empty set. Raises `DatasetError`."""
    try:
        return parse_labels(read_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"KITTI labels {str(path)!r} cannot be read: {_reason(error)}") from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not a text file" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def format_labels(labels: KittiLabels, decimals: int = 2) -> str:
    """Write rows as the official files do: two decimals, whole numbers for occlusion and for unknown values; blanks in a type become "_"."""

    def number(value: float, column: int) -> str:
        if column == 1 or (value == UNKNOWN[column] and value < 0):
            return f"{value:.0f}"
        return f"{value:.{decimals}f}"

    lines = []
    for i in range(len(labels)):
        cells = [
            "_".join(str(labels.types[i]).split()),
            *(number(v, c) for c, v in enumerate(labels.values[i].tolist())),
        ]
        if labels.score is not None:
            cells.append(f"{labels.score[i]:.{max(decimals, 4)}f}")
        lines.append(" ".join(cells) + "\n")
    return "".join(lines)


def write_labels(path: str | Path, labels: KittiLabels, decimals: int = 2) -> None:
    """Write a label or result file (folders are made)."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(format_labels(labels, decimals))


@dataclasses.dataclass
class KittiCalibration:
    """One calibration file: ``matrices`` by name as (3, 4) or (3, 3) float64: P0..P3, R0_rect, Tr_velo_to_cam, Tr_imu_to_velo."""

    matrices: dict[str, np.ndarray]
    source: str = "the calibration"

    def projection(self, camera: int = 2) -> np.ndarray:
        """(3, 4) projection of the rectified frame into image `camera`, pixel centres at integers."""
        key = f"P{camera}"
        if key not in self.matrices:
            raise DatasetError(f"{self.source} has no {key}; found {', '.join(self.matrices)}")
        matrix = self.matrices[key]
        if matrix.shape != (3, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :3])) < 1e-9:
            raise DatasetError(
                f"{self.source}: {key} should be 12 finite numbers, a 3x4 projection with focal lengths; found {matrix.ravel().tolist()}"
            )
        return matrix

    def intrinsics(self, camera: int = 2) -> np.ndarray:
        """(3, 3) intrinsics of image `camera` with pixel centres at integer + 0.5 (this project's convention)."""
        matrix = self.projection(camera)[:, :3].copy()
        matrix[:2, 2] += 0.5
        return matrix

    def offset(self, camera: int = 2) -> np.ndarray:
        """(3,) metres: position in the camera frame = position in the rectified frame + offset."""
        matrix = self.projection(camera)
        return np.linalg.solve(matrix[:, :3], matrix[:, 3])

    def project(self, points: np.ndarray, camera: int = 2) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) points of the rectified frame -> (N, 2) pixels (centres at integers) and (N,) depth along the camera's axis."""
        image = np.asarray(points, np.float64) @ self.projection(camera)[:, :3].T + self.projection(camera)[:, 3]
        return image[:, :2] / image[:, 2:3], image[:, 2]

    def unproject(self, pixels: np.ndarray, depth: np.ndarray, camera: int = 2) -> np.ndarray:
        """(N, 2) pixels (centres at integers) and (N,) z of the RECTIFIED frame [m] -> (N, 3) points of that frame, exactly.

        Uses the whole matrix: dropping its last column misplaces points by about 6 cm.
        """
        p = self.projection(camera)
        z = np.asarray(depth, np.float64)
        along = z * p[2, 2] + p[2, 3]
        u, v = np.asarray(pixels, np.float64).T
        right = np.stack([u * along - p[0, 2] * z - p[0, 3], v * along - p[1, 2] * z - p[1, 3]])
        x, y = np.linalg.solve(p[:2, :2], right)
        return np.stack([x, y, z], 1)

    def rectified_from_velodyne(self) -> np.ndarray:
        """(4, 4) LiDAR frame -> rectified camera 0 frame."""
        rectify, velodyne = np.eye(4), np.eye(4)
        rectify[:3, :3] = self._named("R0_rect", "R_rect_00", "R_rect")
        velodyne[:3] = self._named("Tr_velo_to_cam", "Tr_velo_cam", "Tr")
        return rectify @ velodyne

    def _named(self, *names: str) -> np.ndarray:
        for name in names:
            if name in self.matrices:
                return self.matrices[name]
        if names[0] == "R0_rect":  # odometry files hold rectified matrices only
            return np.eye(3)
        raise DatasetError(f"{self.source} has none of {', '.join(names)}; found {', '.join(self.matrices)}")

    @classmethod
    def from_intrinsics(cls, intrinsics: np.ndarray) -> KittiCalibration:
        """A rig whose every frame is the camera's: P = [K | 0], identity rotations. `intrinsics` has centres at integer + 0.5."""
        p = np.zeros((3, 4))
        p[:, :3] = intrinsics
        p[:2, 2] -= 0.5
        velodyne = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
        names = {f"P{i}": p for i in range(4)}
        return cls({**names, "R0_rect": np.eye(3), "Tr_velo_to_cam": velodyne, "Tr_imu_to_velo": np.eye(4)[:3]})


def parse_calibration(text: str, source: str = "text") -> KittiCalibration:
    """Parse ``KEY: numbers`` lines in any order; 9 numbers are a 3x3 matrix, 12 a 3x4 one, others are vectors; dates are skipped."""
    matrices = {}
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        key, cells = (
            (key.strip(), rest.split()) if colon else (line.split()[0] if line.split() else "", line.split()[1:])
        )
        if not key or not cells:
            continue
        try:
            numbers = np.array([float(cell) for cell in cells])
        except ValueError:
            continue  # calib_time
        matrices[key] = numbers.reshape({9: (3, 3), 12: (3, 4)}.get(numbers.size, (-1,)))
    if not matrices:
        raise DatasetError(f"{source}: no line of the form 'P2: 12 numbers' found; expected a KITTI calibration file")
    return KittiCalibration(matrices, source)


def read_calibration(path: str | Path) -> KittiCalibration:
    """Read a calibration file of the object, raw or odometry data. Raises `DatasetError`."""
    try:
        return parse_calibration(read_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"KITTI calibration {str(path)!r} cannot be read: {_reason(error)}") from error


def format_calibration(calibration: KittiCalibration) -> str:
    """Write a calibration as the official object files do (12 significant digits, an empty last line)."""
    lines = [f"{key}: {' '.join(f'{v:.12e}' for v in m.ravel())}\n" for key, m in calibration.matrices.items()]
    return "".join(lines) + "\n"
