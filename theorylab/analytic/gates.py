"""Moments of the gated filters of a three-layer network: the part of its laws that depends on the picture.

Filter ``w`` reaches the map through ``g'(w·y_j) w`` at patch ``j``, where ``g'`` is 1 above 0 and ``s`` elsewhere: the
slope of the unit, or 1 under a rule without a gate.  Filters are standard normal.  Imports geometry alone.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows, halfspace
from theorylab.model.patches import PatchGrid


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """The three maps that laws need of the gate.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    shut : float
        ``s``, the factor of a closed gate.

    Notes
    -----
    Write ``g' = s + (1−s) 1(w·y > 0)``.  The half-space moments of :mod:`theorylab.analytic.halfspace` give

    - ``first = Σ_j D_jᵀ E[g' w] = (1−s)/√(2π) x ⊙ κ``,
    - ``second = Σ_j D_jᵀ E[g'² w²] = s² coverage + (1−s²)/2 active coverage``,
    - ``pairs = (1−s)² Σ_{j≠j'∋t} M_jj'[r, r']``, where ``r`` and ``r'`` are the indices of entry ``t`` in the two patches: the
      terms with one indicator or none are ``E[w_r w_r'] = 0``.

    With ``δ`` the shift between the patches, ``M_jj'[r, r'] = b [x_t² + x_{t+δ} x_{t−δ}]/(n n') − d [x_t x_{t−δ}/n² +
    x_t x_{t+δ}/n'²]``, and the sum over pairs of one ``δ`` is a window sum of its coefficients.

    Examples
    --------
    >>> Gate(np.ones((1, 1, 1)), PatchGrid((1, 1, 1), kernel=1), shut=0.0).second
    array([[[0.5]]])
    """

    x: np.ndarray
    grid: PatchGrid
    shut: float

    @functools.cached_property
    def first(self) -> np.ndarray:
        """``Σ_j D_jᵀ E[g' w]``, (C, H, W)."""
        if self.shut == 1:
            return np.zeros(self.grid.input_shape)
        result: np.ndarray = self.x * local_contrast(self.x, self.grid)
        return (1 - self.shut) / math.sqrt(2 * math.pi) * result

    @functools.cached_property
    def second(self) -> np.ndarray:
        """``Σ_j D_jᵀ E[g'² w²]``, (C, H, W)."""
        open_ = (1 - self.shut**2) / 2 * active_coverage(self.x, self.grid) if self.shut**2 != 1 else 0.0
        return np.asarray(self.shut**2 * self.grid.coverage + open_)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """``Σ_{j≠j'} D_jᵀ D_j' E[g'_j g'_j' w wᵀ]``, its diagonal, (C, H, W)."""
        if self.shut == 1:
            return np.zeros(self.grid.input_shape)
        return (1 - self.shut) ** 2 * _neighbours(self.x, self.grid)


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


def _neighbours(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``Σ_{j≠j'∋t} M_jj'[r, r']``, (C, H, W).

    The plan: all pairs of patches at one offset share the shift between their patches, so the coefficients of ``M`` for
    these pairs are one array, and their sum over pairs is a window sum.
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
