"""Greedy one-to-one assignment of many small independent groups at once, for several thresholds at once.

Official 3D evaluators walk through the choosers (detections or objects) of a frame one after the other and let each take its best free
partner. Choosers of different frames never compete, so the n-th chooser of every frame can choose in one step.
"""

from __future__ import annotations

import numpy as np


def greedy_assign(
    rank: np.ndarray,
    chooser: np.ndarray,
    target: np.ndarray,
    priority: np.ndarray,
    free: np.ndarray,
    admitted: np.ndarray | None = None,
) -> np.ndarray:
    """Let each chooser take its free target of highest priority (the first of equals), in order of rank.

    rank, chooser, target, priority  (P,) of the candidate pairs, sorted by rank, then chooser: `rank` is the place of the chooser in
             its group; choosers of one rank must have no target in common
    free     (T, number of targets) bool: targets that exist under each of T thresholds
    admitted (T, P) bool: pairs that exist under each threshold; None = all
    Returns (T, P) bool: the pair was chosen.
    """
    free = free.copy()
    chosen = np.zeros((len(free), len(rank)), bool)
    if not len(rank):
        return chosen
    bounds = np.flatnonzero(np.diff(rank, prepend=-1, append=rank[-1] + 1))
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        goal = target[begin:end]
        possible = free[:, goal] if admitted is None else free[:, goal] & admitted[:, begin:end]
        starts = np.flatnonzero(np.diff(chooser[begin:end], prepend=-1))
        key = np.where(possible, priority[begin:end], -np.inf)  # (T, pairs of this rank)
        best = np.maximum.reduceat(key, starts, axis=1)
        lengths = np.diff(starts, append=end - begin)
        is_best = possible & (key == np.repeat(best, lengths, axis=1))
        position = np.where(is_best, np.arange(end - begin), end - begin)
        first = np.minimum.reduceat(position, starts, axis=1)  # (T, choosers of this rank)
        t, which = np.nonzero(first < end - begin)
        pair = first[t, which]
        chosen[t, begin + pair] = True
        free[t, goal[pair]] = False
    return chosen


def pairs_of_groups(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows that share a group, from the two tables' group bounds (G + 1,)."""
    n, m = np.diff(first), np.diff(second)
    owner = np.repeat(np.arange(len(n)), n)  # group of each first row
    per_row = m[owner]
    rows = np.repeat(np.arange(len(owner)), per_row)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    return rows, second[owner[rows]] + within


def rank_in_group(rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(P,) place of each pair's chooser among the choosers of its group that have pairs.

    `rows` (P,) choosers of the pairs, sorted; `group` (choosers,) non-decreasing along the choosers.
    """
    unique, inverse = np.unique(rows, return_inverse=True)
    owner = group[unique]
    first = np.searchsorted(owner, owner, side="left")
    return (np.arange(len(unique)) - first)[inverse] if len(unique) else np.zeros(0, np.int64)
