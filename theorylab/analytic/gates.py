"""Moments of filters behind the gate of a ReLU: the part of the three-layer laws that depends on the picture.

Filters are standard normal.  Imports geometry alone.
"""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.analytic import _conditioning, _windows, halfspace
from theorylab.model.patches import PatchGrid


@_validation.checked
def local_contrast(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``κ``, the factor by which guided backpropagation multiplies the image.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid

    Returns
    -------
    array, (H, W) float64
        ``κ_t = Σ_{j∋t} 1/‖y_j‖``, without patches of zeros; infinite where that exceeds the largest number.

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
    image, exponent = _windows.scaled(_validation.image(x, grid.input_shape))
    return _windows.rescaled(_windows.fold(_inverse(np.sqrt(_windows.energies(image, grid))), grid), exponent)


@_validation.checked
def active_coverage(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Count the patches *that are not all zero* that hold each entry: (C, H, W) float64.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 1))
    >>> active_coverage(np.array([[[3.0, 4.0, 0.0]]]), grid)
    array([[[1., 1., 0.]]])
    """
    x, _ = _windows.scaled(_validation.real_array(x, "x", grid.input_shape))
    active = (_windows.energies(x, grid) > 0).astype(np.float64)
    return np.broadcast_to(_windows.fold(active, grid), grid.input_shape).copy()


def neighbours(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``Σ_{j≠j'∋t} M_jj'[r, r']``, (C, H, W), where ``r`` and ``r'`` are the indices of entry ``t`` in the two patches.

    ``M = k₊ (u+v)(u+v)ᵀ − k₋ (u−v)(u−v)ᵀ`` off its diagonal, ``u = n y`` and ``v = m y'`` the patches over their norms
    (:func:`~theorylab.analytic.halfspace.pair_terms`).  Let the shift between the patches be ``δ``, ``A = x_{t+δ} − x_t`` and
    ``B = x_t − x_{t−δ}``, and ``g = n − m``, ``d = k₋ − k₊``.  Then entry ``[r, r']`` is
    ``x_t x_{t+δ} (2 k₊ n m + d m g) + x_t x_{t−δ} (2 k₊ n m − d n g) − (k₊ + k₋) n m A B``, with coefficients that depend on the
    pair alone.  All pairs at one offset share ``δ``, so their sum is a sum of windows.  Differences of pixels, not of products,
    keep the digits of patches that are nearly equal; of nearly opposite ones, ``−y'`` is taken.  Where two patches differ by far
    more in norm than in direction the terms in ``g`` cancel, and these few pairs are taken tap by tap.
    """
    x, _ = _windows.scaled(x)
    image, sizes = _windows.padded(x, grid), np.sqrt(_windows.energies(x, grid))
    n = _inverse(sizes)
    total = np.zeros(image.shape)
    for offset in _windows.overlapping_offsets(grid):
        shift = i, k = offset[0] * grid.stride[0], offset[1] * grid.stride[1]
        ahead, behind = _windows.moved(image, shift), _windows.moved(image, (-i, -k))
        m = _windows.moved(n, offset)
        nm = n * m
        g = (_windows.moved(sizes, offset) - sizes) * nm
        # The part of the window of the first patch that the second patch holds too.
        rows, columns = range(i, grid.kernel[0]), range(max(k, 0), grid.kernel[1] + min(k, 0))
        left = nm > 0  # where there is a second patch
        for _ in ("y'", "-y'"):
            step = ahead - image
            # ‖u − v‖² = (‖y − y'‖² − (‖y‖ − ‖y'‖)²) n m
            of_norms = np.divide(g * g, nm, out=np.zeros(nm.shape), where=left)
            apart = _windows.window_sums(np.einsum("cij,cij->ij", step, step), grid) * nm - of_norms
            near = left & (apart <= _ACROSS)
            left &= ~near
            tapped = near & (of_norms > _CANCELS**2 * apart)
            near &= ~tapped
            if left.sum() <= _FEW * left.size:
                tapped, left = tapped | left, np.zeros_like(left)
            for part in _conditioning.chunks(int(tapped.sum()), grid.patch_size):
                _tap_by_tap(total, image, grid, shift, np.argwhere(tapped)[part])
            _, plus, minus = halfspace.pair_terms(
                *(np.sqrt(np.where(near, value, 0.0)) for value in (apart, 4 - apart))
            )
            even, odd = 2 * plus * nm, (minus - plus) * g
            of_ahead, of_behind, of_steps = (
                _windows.spread(values, grid, rows, columns)
                for values in (even + odd * m, even - odd * n, (plus + minus) * nm)
            )
            step *= (image - behind) * of_steps
            term = ahead * of_ahead
            term += behind * of_behind
            term *= image
            term -= step
            total += term
            if not left.any():
                break
            np.negative(ahead, out=ahead)
            np.negative(behind, out=behind)
    return 2 * np.stack([_windows.crop(plane, grid) for plane in total])


_ACROSS = 3.8  # ‖u − v‖² beyond which −v is taken for v: an angle of 154°
_FEW = 0.05  # share of pairs that are quicker to take tap by tap than all once more
_CANCELS = 16.0  # times ‖u − v‖: a relative difference of norms beyond it would cost another digit


def _tap_by_tap(
    total: np.ndarray, image: np.ndarray, grid: PatchGrid, shift: tuple[int, int], pairs: np.ndarray
) -> None:
    """Add to `total` what :func:`neighbours` adds up, for a few pairs of patches at one offset; (f, 2) positions of the first."""
    views = np.lib.stride_tricks.sliding_window_view(image, grid.kernel, axis=(1, 2))
    corner = pairs * grid.stride
    u, v = (views[:, rows, columns] for rows, columns in (corner.T, (corner + shift).T))  # (C, f, kh, kw)
    u, v = (y / np.sqrt((y * y).sum(axis=(0, 2, 3), keepdims=True)) for y in (u, v))
    apart, together = u - v, u + v
    lengths = (np.sqrt((d * d).sum(axis=(0, 2, 3))) for d in (apart, together))
    _, plus, minus = (term[:, None, None] for term in halfspace.pair_terms(*lengths))
    (i, k), (height, width) = shift, grid.kernel
    first = np.s_[:, :, i:, max(k, 0) : width + min(k, 0)]
    second = np.s_[:, :, : height - i, max(-k, 0) : width - max(k, 0)]
    entries = plus * together[first] * together[second] - minus * apart[first] * apart[second]
    places = np.ogrid[i:height, first[3]]
    rows, columns = ((corner[:, a, None, None] + places[a]).astype(np.intp) for a in (0, 1))
    for plane, values in zip(total, entries, strict=True):
        np.add.at(plane, (rows, columns), values)


def _inverse(norms: np.ndarray) -> np.ndarray:
    """Return ``1/‖y_j‖``, and 0 for patches of zeros, (H', W')."""
    return np.asarray(np.divide(1.0, norms, out=np.zeros(norms.shape), where=norms > 0))
