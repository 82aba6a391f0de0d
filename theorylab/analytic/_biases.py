"""Biases in the laws of one layer of filters: Gaussian ones are a channel of the picture, others have a density at 0.

A bias ``b ~ N(0, c_b²)`` beside filters ``N(0, c² I)`` is the inner product of more filter taps with a constant picture: let a
channel of the constant ``τ/√p'``, ``τ = c_b/c``, stand beside the others, ``p'`` the pixels of a patch.  Its taps are filters
like all others, every patch holds ``τ²`` more energy, and ``w·y + b`` is one inner product, with one bias for all patches of a
filter.  So each law of the three-layer network, whatever rule, unit and pool, is the law without biases of the longer picture,
of whose map the other channels are kept: exact wherever that is.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from theorylab.analytic import _windows
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import BiasLaw, Constant, Gaussian, Uniform, WeightLaw
from theorylab.model.patches import PatchGrid


def longer(
    x: np.ndarray, grid: PatchGrid, filter_std: float, bias: BiasLaw | None
) -> tuple[np.ndarray, PatchGrid]:
    """Return the picture with the channel of its Gaussian biases, padded, and its patches; both unchanged without biases.

    Examples
    --------
    >>> longer(np.ones((1, 2, 2)), PatchGrid((1, 2, 2), kernel=2), 1.0, Gaussian(3.0))[0][1]
    array([[1.5, 1.5],
           [1.5, 1.5]])
    """
    if bias is None:
        return x, grid
    if not isinstance(bias, Gaussian):
        raise NoLaw(layer=f"biases of the law {bias!r}")
    image = _windows.padded(x, grid)
    constant = np.full((1, *image.shape[1:]), bias.std / filter_std / math.sqrt(math.prod(grid.kernel)))
    image = np.concatenate([image, constant])
    return image, PatchGrid(image.shape, grid.kernel, grid.stride)


def seen(values: np.ndarray, grid: PatchGrid, bias: BiasLaw | None) -> np.ndarray:
    """Return the part of a longer picture's map, (C + 1, H + 2P, W + 2P), that belongs to the picture."""
    return values if bias is None else np.stack([_windows.crop(plane, grid) for plane in values[:-1]])


def density(bias: BiasLaw, size: np.ndarray) -> np.ndarray:
    """Density at 0 of ``s g + b``, ``g`` standard normal and ``b`` a bias, for each ``s`` of `size`; 0 where that is 0.

    Examples
    --------
    >>> density(Uniform(2.0), np.array([0.0, 1e-3])).round(6)
    array([0.  , 0.25])
    """
    size = np.asarray(size, dtype=np.float64)
    inverse = np.divide(1, size, out=np.zeros(size.shape), where=size > 0)
    match bias:
        case Gaussian():
            return np.asarray((size > 0) / (math.sqrt(2 * math.pi) * np.hypot(size, bias.std)))
        case Uniform():
            h = bias.half_width
            return np.asarray(special.erf(h * inverse / math.sqrt(2)) / (2 * h))
        case Constant():
            return np.asarray(np.exp(-((bias.value * inverse) ** 2) / 2) * inverse / math.sqrt(2 * math.pi))
    raise NoLaw(layer=f"biases of the law {bias!r}")


def open_energy(x: np.ndarray, grid: PatchGrid, filter_std: float, bias: BiasLaw) -> np.ndarray:
    """``Σ_j D_jᵀ E[w² 1(w·y_j + b > 0)]`` for standard normal filters, (C, H, W).

    Half of each patch for biases that are symmetric about 0 and not 0: ``(w, b)`` and ``(−w, −b)`` are as likely.  For a constant
    ``b`` with ``t = b/s``, ``s = c ‖y_j‖``: ``Φ(t) − t φ(t) û²``, of which the second term is along the patch.
    """
    if isinstance(bias, WeightLaw):
        return np.asarray(grid.coverage / 2)
    image, exponent = _windows.scaled(x)
    norms = np.sqrt(_windows.energies(image, grid))
    value = np.ldexp(bias.value / filter_std, exponent)
    inverse = np.divide(1, norms, out=np.zeros(norms.shape), where=norms > 0)
    t = value * inverse
    # A patch of zeros is open for a positive bias, and for no other.
    share = np.where(norms > 0, special.ndtr(t), float(value > 0))
    along = t * np.exp(-t * t / 2) / math.sqrt(2 * math.pi) * inverse**2
    return np.asarray(_windows.fold(share, grid) - image**2 * _windows.fold(along, grid))
