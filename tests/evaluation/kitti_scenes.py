"""Synthetic KITTI frames: crowded, with neighbours, DontCare areas, duplicates, equal scores."""

import numpy as np

from perception.io.kitti import UNKNOWN, KittiLabels

TYPES = ("Car", "Van", "Pedestrian", "Person_sitting", "Cyclist", "Truck")


def make_frames(
    frames: int, objects: int, detections: int, seed: int = 0
) -> tuple[list[KittiLabels], list[KittiLabels]]:
    """Truth with about `objects` rows and exactly `detections` results a frame, most of them disturbed copies of objects."""
    rng = np.random.default_rng(seed)
    truth, results = [], []
    size = np.array(
        [[1.5, 1.7, 4.0], [2.0, 1.9, 5.0], [1.8, 0.6, 0.8], [1.2, 0.5, 0.8], [1.7, 0.6, 1.8], [3.0, 2.5, 8.0]]
    )
    for _ in range(frames):
        count = max(1, int(rng.poisson(objects)))
        kind = rng.integers(0, len(TYPES), count)
        values = np.zeros((count, 14))
        values[:, 0], values[:, 1] = rng.choice([0.0, 0.2, 0.4, 0.6], count), rng.integers(0, 4, count)
        z, x = rng.uniform(4, 60, count), rng.uniform(-0.6, 0.6, count)
        values[:, 7:10] = size[kind] * rng.uniform(0.9, 1.1, (count, 3))
        values[:, 10:13] = np.stack([x * z, np.full(count, 1.65), z], 1)
        values[:, 13] = rng.uniform(-np.pi, np.pi, count)
        values[:, 2] = values[:, 13] - np.arctan2(values[:, 10], values[:, 12])
        _boxes2d(values)
        area = np.tile(UNKNOWN, (1, 1))
        area[0, 3:7] = [*rng.uniform(0, 600, 2), *rng.uniform(600, 1200, 2)]
        area[0, [4, 6]] = 100, 250
        types = np.array([*[TYPES[k] for k in kind], "DontCare"], object)
        truth.append(KittiLabels(types, np.concatenate([values, area])))
        pick = rng.integers(0, count, detections)
        guess = values[pick].copy()
        guess[:, 10:13] += rng.normal(0, 0.15, (detections, 3))
        guess[:, 13] += rng.normal(0, 0.15, detections)
        guess[:, 2] = guess[:, 13] - np.arctan2(guess[:, 10], guess[:, 12])
        guess[:, 7:10] *= rng.uniform(0.93, 1.07, (detections, 3))
        guess[:, :2] = -1
        _boxes2d(guess)
        guess[:, 3:7] += rng.normal(0, 1.0, (detections, 4))
        named = np.where(rng.random(detections) < 0.85, kind[pick], rng.choice([0, 2, 4], detections))
        score = np.round(rng.random(detections), 1 if rng.random() < 0.5 else 4)
        results.append(KittiLabels(np.array([TYPES[k] for k in named], object), guess, score))
    return truth, results


def _boxes2d(values: np.ndarray) -> None:
    x, z, height = values[:, 10], values[:, 12], values[:, 7]
    width = 720 * (values[:, 8] + values[:, 9]) / 2 / z
    values[:, 3], values[:, 5] = 610 + 720 * x / z - width / 2, 610 + 720 * x / z + width / 2
    values[:, 6] = 172 + 720 * 1.65 / z
    values[:, 4] = values[:, 6] - 720 * height / z
