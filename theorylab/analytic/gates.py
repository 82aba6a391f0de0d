"""Moments of filters behind the gate of a ReLU: the part of the three-layer laws that depends on the picture.

Filters are standard normal.  Imports geometry alone.
"""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows, halfspace
from theorylab.model.patches import PatchGrid


def local_contrast(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``κ``, the factor by which guided backpropagation multiplies the image.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid

    Returns
    -------
    array, (H, W) float64
        ``κ_t = Σ_{j∋t} 1/‖y_j‖``, without patches of zeros.

    Notes
    -----
    ``D_jᵀ y_j`` is the image restricted to patch ``j``, so ``Σ_j D_jᵀ y_j/‖y_j‖ = x ⊙ κ``: a local contrast
    normalisation, and the corrected target of Theorem 1.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> local_contrast(np.array([[[3.0, 4.0, 0.0]]]), grid)
    array([[0.2 , 0.45, 0.25]])
    """
    x = _validation.image(x, grid.input_shape)
    return _windows.fold(_inverse_norms(x, grid), grid)


def active_coverage(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Count the patches *that are not all zero* that hold each entry: (C, H, W) float64.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 1))
    >>> active_coverage(np.array([[[3.0, 4.0, 0.0]]]), grid)
    array([[[1., 1., 0.]]])
    """
    active = (_windows.energies(x, grid) > 0).astype(np.float64)
    return np.broadcast_to(_windows.fold(active, grid), grid.input_shape).copy()


def neighbours(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``Σ_{j≠j'∋t} M_jj'[r, r']``, (C, H, W), where ``r`` and ``r'`` are the indices of entry ``t`` in the two patches.

    ``M`` is :func:`~theorylab.analytic.halfspace.pair_matrix`.  With ``δ`` the shift between the patches,
    ``M_jj'[r, r'] = b [x_t² + x_{t+δ} x_{t−δ}]/(n n') − d [x_t x_{t−δ}/n² + x_t x_{t+δ}/n'²]``.  All pairs of patches at one
    offset share ``δ``, so their coefficients are one array, and their sum over pairs is a window sum.
    """
    image = _windows.padded(x, grid)
    n = _inverse_norms(x, grid)
    total = np.zeros(image.shape)
    for offset in _windows.overlapping_offsets(grid):
        i, k = offset[0] * grid.stride[0], offset[1] * grid.stride[1]
        ahead, behind = _windows.moved(image, (i, k)), _windows.moved(image, (-i, -k))
        m = _windows.moved(n, offset)
        # Where there is no second patch the cosine is 0, and so are all terms below.
        _, b, d = halfspace.pair_coefficients(_windows.window_sums((image * ahead).sum(axis=0), grid) * n * m)
        # The part of the window of the first patch that the second patch holds too.
        rows, columns = range(i, grid.kernel[0]), range(max(k, 0), grid.kernel[1] + min(k, 0))
        of_b, of_n, of_m = (
            _windows.spread(values, grid, rows, columns) for values in (b * n * m, d * n * n, d * m * m)
        )
        total += of_b * (image * image + ahead * behind)
        total -= image * (of_n * behind + of_m * ahead)
    return 2 * np.stack([_windows.crop(plane, grid) for plane in total])


def _inverse_norms(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``1/‖y_j‖``, and 0 for patches of zeros, (H', W')."""
    norms = np.sqrt(_windows.energies(x, grid))
    return np.asarray(np.divide(1.0, norms, out=np.zeros(norms.shape), where=norms > 0))
