"""FID of many resamples of the same pictures at once, from their stem features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evaluator.metrics.fid import Moments

_BLOCK = 256  # resamples at a time: 8 MB of covariances for 64 features


def weights_to_fids(stems: np.ndarray, weights: np.ndarray, real: Moments) -> np.ndarray:
    """Features N,D, how often each row is taken B,N (at least two in all) and the references' moments -> B FIDs.

    The same distance as `evaluator.metrics.fid.moments_to_fid`, in the symmetric form: the eigenvalues of
    S1 S2 are those of S1^1/2 S2 S1^1/2, which numpy finds for a stack of matrices. Not rounded to float32.
    """
    mean, covariance = real
    root = _square_root(covariance)
    wide = stems.astype(np.float64)
    centre = wide.mean(axis=0)
    wide -= centre  # covariances do not care, and sums of squares stay small
    products = (wide[:, :, None] * wide[:, None, :]).reshape(len(wide), -1)
    return np.concatenate(
        [
            _fids(weights[start : start + _BLOCK], wide, products, mean - centre, np.trace(covariance), root)
            for start in range(0, len(weights), _BLOCK)
        ]
    )


def _fids(
    weights: np.ndarray, rows: np.ndarray, products: np.ndarray, mean: np.ndarray, trace: float, root: np.ndarray
) -> np.ndarray:
    taken = weights.astype(np.float64)
    count = taken.sum(axis=1)
    means = taken @ rows / count[:, None]  # B,D
    outer = count[:, None, None] * means[:, :, None] * means[:, None, :]
    covariances = ((taken @ products).reshape(outer.shape) - outer) / (count - 1)[:, None, None]  # B,D,D
    roots = np.sqrt(np.linalg.eigvalsh(root @ covariances @ root).clip(min=0)).sum(axis=1)
    return ((means - mean) ** 2).sum(axis=1) + trace + np.trace(covariances, axis1=1, axis2=2) - 2 * roots


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
