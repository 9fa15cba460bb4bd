"""Where a panorama shows sky, told by the picture where the patches disagree.

A network that sees clouds through one tangent image may take them for a wall while its neighbour sees sky; the border between the two is then the outline of a
patch. The picture knows better: from the zenith downwards, everything that has a colour of the sky that was found, with no edge in between, is sky too.
"""

from __future__ import annotations

import numpy as np

GRID = (128, 256)  # rows and columns of the panorama on which sky is looked for
LEAST_SHARE = 0.1  # of the upper half sphere: less is a window, and tells nothing of a ceiling
EDGE = 0.06  # a change of colour between neighbouring pixels (0..1) that ends the sky
BINS = 16  # of each colour channel
ROUNDS = 3
AROUND = 6  # columns on each side whose median corrects a skyline


def spread_sky(image: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Return all directions that are sky, (H, W) bool; never fewer than `sky`.

    image: (H, W, 3) float32, 0..1, a full panorama. sky: (H, W) bool, where the patches found it.
    """
    height, width = sky.shape
    middle = height // 2
    area = np.cos((0.5 - (np.arange(middle) + 0.5) / height) * np.pi)
    if (area @ sky[:middle]).sum() < LEAST_SHARE * width * area.sum():
        return sky
    soft, edge = _softened(np.asarray(image, np.float32))
    cells = np.clip(soft * BINS, 0, BINS - 1).astype(np.int64)
    calm = edge < EDGE
    calm[middle:] = False
    rows = np.arange(height)[:, None]
    for _ in range(ROUNDS):  # what was added brings colours of its own
        alike = _known_colours(cells, sky)[tuple(np.moveaxis(cells, -1, 0))]
        column = np.logical_and.accumulate((alike & calm) | sky, axis=0)  # from the zenith down to the first thing
        column |= _joined(alike & calm, column)  # and around it, behind a spire or under a wire
        lowest = np.logical_and.accumulate(column, axis=0).sum(0)
        beside = np.median(np.stack([np.roll(lowest, shift) for shift in range(-AROUND, AROUND + 1)]), axis=0)
        sky = sky | column | (rows < np.minimum(beside, middle))
    return _without_islands(_closed(sky))


def _softened(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture slightly blurred, around the seam, and (H, W) the largest change of a channel from pixel to pixel."""
    import cv2

    wide = np.concatenate([image[:, -8:], image, image[:, :8]], 1)
    soft = cv2.GaussianBlur(wide, (0, 0), 1.0)
    across, down = (np.abs(cv2.Sobel(soft, cv2.CV_32F, *axis, ksize=3)).max(-1) / 4 for axis in ((1, 0), (0, 1)))
    return soft[:, 8:-8], np.hypot(across, down)[:, 8:-8]


def _known_colours(cells: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """(BINS, BINS, BINS) bool: colours that the inside of the sky has, and those next to them."""
    import cv2

    inner = cv2.erode(sky.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    inner[len(sky) // 2 :] = False
    counts = np.zeros((BINS, BINS, BINS), np.int64)
    np.add.at(counts, tuple(cells[inner].T), 1)
    table = np.pad(counts >= max(3, 0.0005 * inner.sum()), 1)
    near = table.copy()
    for axis in range(3):
        for step in (1, -1):
            near |= np.roll(table, step, axis)  # the border is empty: nothing comes in from the other side
    return near[1:-1, 1:-1, 1:-1]


def _joined(alike: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """The parts of `alike` at least 3 pixels wide that touch `sky`, around the seam."""
    import cv2

    wide = np.concatenate([alike, alike], 1).astype(np.uint8)
    broad = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)
    known = np.concatenate([sky, sky], 1)
    count, labels = cv2.connectedComponents((broad | known).astype(np.uint8), connectivity=4)
    touched = np.zeros(count, bool)
    touched[np.unique(labels[known])] = True
    touched[0] = False
    first, second = np.split(touched[labels], 2, axis=1)
    return first | second


def _without_islands(sky: np.ndarray) -> np.ndarray:
    """What hangs in the sky, with no way down to the ground, is sky."""
    import cv2

    things = np.concatenate([~sky, ~sky], 1)
    count, labels = cv2.connectedComponents(things.astype(np.uint8), connectivity=8)
    grounded = np.zeros(count, bool)
    grounded[np.unique(labels[len(sky) // 2 :])] = True
    grounded[0] = False
    first, second = np.split(grounded[labels], 2, axis=1)
    return ~(first | second)


def _closed(sky: np.ndarray) -> np.ndarray:
    """Without holes of one pixel, around the seam."""
    import cv2

    wide = np.concatenate([sky[:, -2:], sky, sky[:, :2]], 1).astype(np.uint8)
    return sky | cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))[:, 2:-2].astype(bool)
