"""One scale and one shift a patch, so that the tangent images of a panorama tell one story.

A perspective network answers each tangent image up to a scale, relative ones also up to a shift of the inverse depth. Written as inverse range,

    rho_k(direction) = (a_k d_k + b_k) / n_k            d_k  inverse depth (1 / z) of patch k along the direction, n_k  length of its ray with z = 1

is linear in (a_k, b_k), and where patches overlap all rho_k should agree. Least squares over all overlaps at once, weighted by solid angle, each
residual relative to the level there, with a few reweightings against outliers. The unknowns are 2 N (36 for 18 patches); the normal equations are
sums over directions, made by a handful of matrix products.
"""

from __future__ import annotations

import numpy as np


def align_patches(
    inverse: np.ndarray,
    lengths: np.ndarray,
    weights: np.ndarray,
    trust: np.ndarray | None = None,
    *,
    scale_prior: float = 0.02,
    shift_prior: float = 0.02,
    rounds: int = 4,
) -> np.ndarray:
    """Scale and shift of each patch.

    inverse: (P, N) inverse depth d_k at P directions. lengths: (P, N) n_k. weights: (P, N) >= 0, 0 where a patch does not see the direction or has no
    depth there. trust: (N,) how much each patch's own scale counts for the scale of all. scale_prior, shift_prior: pull towards a = 1 and b = 0, as a share of the data's weight (small for relative networks, larger for metric
    ones, whose own scale means something).

    Returns (N, 2) a_k, b_k; the (trusted) mean log scale is 0, since the scale as a whole is free.
    """
    seen = weights > 0
    basis = np.stack([np.where(seen, inverse, 0) / lengths, np.where(seen, 1 / lengths, 0)], -1)  # (P, N, 2)
    # In units in which every patch has level 1, scale and shift are of one size and the priors mean the same for all networks.
    level, shift_unit = _levels(basis[..., 0], weights), _levels(basis[..., 1], weights)
    basis = basis / np.stack([level, shift_unit], -1)
    prior_scale = level / np.exp(np.log(level).mean())  # a = 1 for all, in these units
    solution = np.stack([prior_scale, np.zeros_like(level)], -1)
    robust = np.ones_like(weights)
    for _ in range(rounds):
        value = (basis * solution[None]).sum(-1)  # (P, N)
        together = (weights * robust).sum(1)
        mean = (weights * robust * value).sum(1) / np.maximum(together, 1e-12)
        scale_of = np.maximum(np.abs(mean), 0.05 * np.abs(mean).mean() + 1e-12)
        w = weights * robust / scale_of[:, None] ** 2
        solution = _solve(basis, w, prior_scale, scale_prior, shift_prior)
        value = (basis * solution[None]).sum(-1)
        error = np.abs(value - (w * value).sum(1, keepdims=True) / np.maximum(w.sum(1, keepdims=True), 1e-12))
        error = error / scale_of[:, None]
        bend = max(1.5 * float(np.median(error[seen])) if seen.any() else 0.0, 1e-3)
        robust = np.where(error <= bend, 1.0, bend / np.maximum(error, 1e-12))
    scale, shift = solution[:, 0] / level, solution[:, 1] / shift_unit
    # Scale is free as a whole: the patches' own mean scale is kept.
    common = np.exp(np.average(np.log(np.maximum(scale, 1e-6)), weights=trust))
    return np.stack([scale, shift], -1) / common


def _levels(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) weighted root mean square over the directions that each patch sees."""
    total = np.maximum(weights.sum(0), 1e-12)
    return np.maximum(np.sqrt((weights * values**2).sum(0) / total), 1e-12)


def _solve(
    basis: np.ndarray, weights: np.ndarray, prior_scale: np.ndarray, scale_prior: float, shift_prior: float
) -> np.ndarray:
    """Minimise the weighted spread of the patches around their mean at every direction. Returns (N, 2)."""
    points, count, _ = basis.shape
    weighted = basis * weights[..., None]  # (P, N, 2)
    total = np.maximum(weights.sum(1), 1e-12)
    flat = weighted.reshape(points, 2 * count)
    normal = -(flat.T / total) @ flat
    own = np.einsum("pni,pnj->nij", weighted, basis)  # (N, 2, 2)
    for i in range(2):
        for j in range(2):
            at = np.arange(count)
            normal[2 * at + i, 2 * at + j] += own[:, i, j]
    data = own[:, 0, 0].mean() + 1e-12
    right = np.zeros(2 * count)
    at = np.arange(count)
    normal[2 * at, 2 * at] += scale_prior * data
    right[2 * at] += scale_prior * data * prior_scale
    normal[2 * at + 1, 2 * at + 1] += shift_prior * data
    return np.linalg.solve(normal, right).reshape(count, 2)
