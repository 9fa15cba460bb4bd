"""CLEAR-MOT counts of one class under all score thresholds at once: who is matched to whom, frame by frame, and what follows from it.

In each frame an object first keeps the track it was matched to last, if that track is within 2 m; what is left is assigned so that as many pairs
as possible are made, then at the least total distance. A new track for an object is a switch.
"""

from __future__ import annotations

import dataclasses

import numpy as np

MATCH_DISTANCE = 2.0  # metres
PERIOD = 0.5  # seconds between key frames


@dataclasses.dataclass
class Tracks:
    """Boxes of one side in time order: place (N,) of the sample in (scene, time) order, track (N,) number, xy (N, 2), label, score."""

    place: np.ndarray
    track: np.ndarray
    xy: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def of_class(self, label: int, samples: int) -> tuple[Tracks, np.ndarray]:
        """The rows of a class and the bounds (S + 1,) of each sample's rows."""
        rows = self.label == label
        part = Tracks(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))
        return part, np.searchsorted(part.place, np.arange(samples + 1))


@dataclasses.dataclass
class Tally:
    """What happened at T thresholds. detected (T, E): was the object of event e matched; events in time order, `track` (E,) theirs."""

    matches: np.ndarray
    switches: np.ndarray
    false: np.ndarray
    distance: np.ndarray
    frames: np.ndarray
    detected: np.ndarray
    track: np.ndarray
    match_scores: np.ndarray

    def figures(self, number: int) -> dict[str, np.ndarray]:
        """The figures of `METRICS[2:]`, (T,) each; `number` objects."""
        missed = number - self.matches - self.switches
        found = self.matches + self.switches
        recall = self.matches / number
        wrong = missed + self.switches + self.false
        with np.errstate(invalid="ignore", divide="ignore"):
            motar = 1.0 - (wrong - (1.0 - recall) * number) / (recall * number)
            motp = np.where(found > 0, self.distance / found, np.nan)
        order = np.argsort(self.track, kind="stable")
        detected = self.detected[:, order]
        starts = np.flatnonzero(np.diff(self.track[order], prepend=-1))
        length = np.diff(starts, append=len(order))
        hits = np.add.reduceat(detected, starts, axis=1, dtype=np.int64)  # (T, tracks)
        before = np.concatenate([np.zeros((len(detected), 1), bool), detected[:, :-1]], 1)
        before[:, starts] = False
        runs = np.add.reduceat(detected & ~before, starts, axis=1, dtype=np.int64)
        step = np.arange(len(order)) - np.repeat(starts, length)  # frames since the track's first
        first = np.minimum.reduceat(np.where(detected, step, len(order)), starts, axis=1)
        # Length of the run of misses that ends at each event: distance to the last detection (or to before the track began).
        last = np.maximum.accumulate(np.where(detected, np.arange(len(order)), -1), axis=1)
        last = np.maximum(last, np.repeat(starts, length) - 1)
        gap = np.maximum.reduceat(np.arange(len(order)) - last, starts, axis=1)
        seen = hits > 0
        tracks = np.where(seen.sum(1) > 0, seen.sum(1), np.nan)
        ratio = hits / length
        return {
            "recall": found / number,
            "motar": np.where(recall > 0, np.maximum(motar, 0.0), np.nan),
            "gt": np.full(len(hits), float(number)),
            "mota": np.maximum(1.0 - wrong / number, 0.0),
            "motp": motp,
            "mt": (ratio >= 0.8).sum(1).astype(np.float64),
            "ml": (ratio < 0.2).sum(1).astype(np.float64),
            "faf": self.false / self.frames * 100.0,
            "tp": self.matches.astype(np.float64),
            "fp": self.false.astype(np.float64),
            "fn": missed.astype(np.float64),
            "ids": self.switches.astype(np.float64),
            "frag": (runs - seen).sum(1).astype(np.float64),
            "tid": np.where(seen, first, 0).sum(1) * PERIOD / tracks,
            "lgd": np.where(seen, gap, 0).sum(1) * PERIOD / tracks,
        }


class Frames:
    """The frames of one class, with the distances of all pairs."""

    def __init__(self, truth: Tracks, truth_bounds: np.ndarray, guess: Tracks, guess_bounds: np.ndarray) -> None:
        self.objects = int(truth.track.max(initial=-1)) + 1
        self.tracks = int(guess.track.max(initial=-1)) + 1
        self.truth = truth.track
        self.frames = []
        for place in range(len(truth_bounds) - 1):
            own = slice(truth_bounds[place], truth_bounds[place + 1])
            other = slice(guess_bounds[place], guess_bounds[place + 1])
            if own.stop == own.start and other.stop == other.start:
                continue
            difference = truth.xy[own, None] - guess.xy[None, other]
            distance = np.sqrt((difference**2).sum(-1))
            distance[distance >= MATCH_DISTANCE] = np.nan
            self.frames.append((truth.track[own], guess.track[other], guess.score[other], distance))

    def run(self, thresholds: np.ndarray) -> Tally:
        """Walk through time once with the states of all T thresholds."""
        count = len(thresholds)
        held = np.full((count, self.objects), -1)  # the track that each object was matched to last
        column_of = np.full(self.tracks + 1, -1)  # the last entry stands for "none"
        zeros = np.zeros(count, np.int64)
        tally = Tally(zeros.copy(), zeros.copy(), zeros.copy(), np.zeros(count), zeros.copy(), None, self.truth, None)
        detected, scores = [], []
        for objects, tracks, score, distance in self.frames:
            keep = score[None] >= thresholds[:, None]  # (T, K)
            tally.frames += 1 if len(objects) else keep.any(1)
            chosen = np.full((count, len(objects)), -1)  # column of each object
            former = held[:, objects]
            if len(objects) and len(tracks):
                finite = ~np.isnan(distance)
                column_of[tracks] = np.arange(len(tracks))
                wish = column_of[former]
                column_of[tracks] = -1
                rows = np.arange(len(objects))[None]
                kept = (wish >= 0) & np.take_along_axis(keep, wish.clip(min=0), 1) & finite[rows, wish.clip(min=0)]
                t, i = np.nonzero(kept)
                # Two objects may remember one track: the first in order has it.
                first = np.unique(t * len(tracks) + wish[t, i], return_index=True)[1]
                chosen[t[first], i[first]] = wish[t[first], i[first]]
                self._assign_rest(chosen, keep, finite, distance)
            hit = chosen >= 0
            t, i = np.nonzero(hit)
            track = tracks[chosen[t, i]]
            switch = (former[t, i] >= 0) & (former[t, i] != track)
            held[t, objects[i]] = track
            tally.switches += np.bincount(t[switch], minlength=count)
            tally.matches += np.bincount(t[~switch], minlength=count)
            tally.distance += np.bincount(t, distance[i, chosen[t, i]], count)
            tally.false += keep.sum(1) - hit.sum(1)
            detected.append(hit)
            if count == 1:
                named = np.isin(tracks, track[~switch])
                scores.append(score[named])
        tally.detected = np.concatenate([np.zeros((count, 0), bool), *detected], 1)
        tally.match_scores = np.concatenate([np.zeros(0), *scores])
        return tally

    @staticmethod
    def _assign_rest(chosen: np.ndarray, keep: np.ndarray, finite: np.ndarray, distance: np.ndarray) -> None:
        """Assign objects and tracks that are still free, in place: most pairs first, then least distance."""
        free = keep.copy()
        t, i = np.nonzero(chosen >= 0)
        free[t, chosen[t, i]] = False
        possible = finite[None] & (chosen < 0)[:, :, None] & free[:, None]  # (T, N, K)
        plain = (possible.sum(2) <= 1).all(1) & (possible.sum(1) <= 1).all(1)
        t, i, j = np.nonzero(possible & plain[:, None, None])
        chosen[t, i] = j
        solved: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        for at in np.flatnonzero(~plain):
            key = np.packbits(possible[at]).tobytes()
            if key not in solved:
                solved[key] = _most_pairs(possible[at], distance)
            i, j = solved[key]
            chosen[at, i] = j


def _most_pairs(possible: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-to-one pairs (rows, columns) among `possible`: as many as there can be, at the least sum of distances."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = np.flatnonzero(possible.any(1)), np.flatnonzero(possible.any(0))
    part, cost = possible[np.ix_(rows, columns)], distance[np.ix_(rows, columns)]
    barred = 2.0 * min(part.shape) * (MATCH_DISTANCE + 1.0) + 1.0
    i, j = linear_sum_assignment(np.where(part, cost, barred))
    good = part[i, j]
    return rows[i[good]], columns[j[good]]
