"""The law of Grad-CAM (Selvaraju et al. 2017) in a random network of one hidden layer of ReLUs: a map of patch norms.

Channel ``i`` has the importance ``α_i``, the mean over the ``J`` positions of what arrives there.  Each of the ``n`` readout
weights of the channel, of standard deviation ``c_V``, arrives once: ``n = J``, or behind a max-pool the number of windows, each
of which sends its weight to its winner.  So the ``α_i`` are independent of the filters and of each other, ``N(0, n c_V²/J²)``.
Given the filters ``L_j = Σ_i α_i σ(w_i·y_j)`` is a Gaussian field of mean 0, the plane of Grad-CAM is ``C = max(L, 0)``, and a
picture without a class in it is left:

- ``E C_j² = E L_j²/2 = (n c_V²/J²) N c²‖y_j‖²/4``, for every ``N``;
- ``E C_j = √(n) c_V c‖y_j‖ m/(J √(2π))`` with ``m = E √(Σ_i σ(z_i)²)``, for every ``N``.  Of ``N`` standard normals ``K`` are
  positive, ``K`` is binomial, and then ``m`` is the mean of a χ of ``K`` degrees of freedom: ``√(N/2) (1 − 5/(8N) + …)``;
- two logits have independent importances: ``E[C_j C_j'] = E[E L_j²|w]/(2π)``, so that their overlap
  ``E⟨C, C'⟩/E‖C‖²`` is ``1/π``, for every ``N``, picture and stride, and likewise for a random head on any features whatever;
- for many filters ``L`` has the correlation ``k₁(cos θ)`` between positions, ``k₁`` the arc-cosine kernel and ``θ`` the angle
  of the patches: ``E[C_j C_j'] = ½ √(E L_j² E L_j'²) k₁(k₁(cos θ))``, and both are positive with the probability
  ``¼ + asin(k₁(cos θ))/(2π)``.  Measured at 32 filters it is 0.3 % lower.

The map comes to the picture's size by bilinear interpolation, which is linear and averages neighbours: it needs their moments.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from scipy import special

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.analytic._inner_products import arc_cosine, quotient
from theorylab.analytic._one_layer import one_layer
from theorylab.analytic.three_layer import MapLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.model.stack import Stack


@dataclasses.dataclass(frozen=True, eq=False)
class CamLaw(MapLaw):
    """The law of Grad-CAM's map, the same in all channels; `gain` is the variance of an importance times ``c²``.

    Its `kind` is "exact" where the plane has the picture's size.  Else the mean is exact, and variance and distance are the
    limit of many filters: what the interpolation adds up of different positions.
    """

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    gain: float
    kind: str
    rule: Rule = Rule.SALIENCY

    @functools.cached_property
    def _scaled(self) -> tuple[np.ndarray, int, np.ndarray]:
        """The picture with its padding, the exponent of its scale, and the patch norms (H', W')."""
        x, exponent = _windows.scaled(self.x)
        return _windows.padded(x, self.grid), exponent, np.sqrt(_windows.energies(x, self.grid))

    @functools.cached_property
    def _interpolation(self) -> list[np.ndarray]:
        """Matrices (H, H') and (W, W')."""
        return [
            interpolation(old, new)
            for old, new in zip(self.grid.output_shape, self.grid.input_shape[1:], strict=True)
        ]

    def _everywhere(self, plane: np.ndarray, degree: int) -> np.ndarray:
        """Give a map of this degree in the picture its scale, and all channels."""
        plane = _windows.rescaled(plane, -degree * self._scaled[1])
        return np.broadcast_to(plane, self.grid.input_shape).copy()

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """``E C`` at the picture's size: (C, H, W)."""
        rows, columns = self._interpolation
        scale = math.sqrt(self.gain / (2 * math.pi)) * mean_norm(self.n_filters)
        return self._everywhere(scale * (rows @ self._scaled[2] @ columns.T), 1)

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """Variance of each entry: (C, H, W)."""
        norms = self._scaled[2]
        second = np.zeros(self.grid.input_shape[1:])
        rows, columns = self._interpolation
        # A pixel is made of a position and the next one, in rows and columns: one of each pair of offsets, the other by symmetry.
        for offset in ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1)):
            of_pairs = norms * _windows.moved(norms, offset) * arc_cosine(self.correlation(offset))
            left, right = (
                interpolated * _windows.moved(interpolated, (0, k))
                for interpolated, k in zip((rows, columns), offset, strict=True)
            )
            second += (1 + any(offset)) * (left @ of_pairs @ right.T)
        return np.asarray(self._everywhere(self.gain * self.n_filters / 4 * second, 2) - self.mean**2)

    def correlation(self, offset: tuple[int, int]) -> np.ndarray:
        """Of ``L`` at each position and the one at an offset, in the limit of many filters: (H', W'), 0 where there is none."""
        image, _, norms = self._scaled
        shift = offset[0] * self.grid.stride[0], offset[1] * self.grid.stride[1]
        products = _windows.window_sums((image * _windows.moved(image, shift)).sum(axis=0), self.grid)
        sizes = norms * _windows.moved(norms, offset)
        return np.where(sizes > 0, arc_cosine(quotient(products, sizes)), 0.0)

    @_validation.checked
    def both_positive(self, offset: tuple[int, int]) -> np.ndarray:
        """Probability that a position and the one at an offset are both above 0, in the limit of many filters: (H', W').

        Where there is no second position, or a patch is zero, it says ¼ as of independent ones.
        """
        return np.asarray(0.25 + np.arcsin(self.correlation(offset)) / (2 * math.pi))

    @property
    def class_distance(self) -> float:
        """Distance of the unit-norm maps of two logits, from a ratio of expectations; ``√(2 − 2/π)`` on the plane itself."""
        rows, columns = self._interpolation
        shared = self._everywhere(rows @ self._scaled[2] @ columns.T, 1)
        product = self.gain * self.n_filters / (4 * math.pi) * float((shared**2).sum())
        return math.sqrt(2 - 2 * product / self.energy)


def interpolation(old: int, new: int) -> np.ndarray:
    """Return the matrix (new, old) that resizes a line bilinearly, pixels being areas (``align_corners=False`` of PyTorch).

    Examples
    --------
    >>> interpolation(2, 4)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.asarray(np.maximum(0, 1 - abs(places[:, None] - np.arange(old))))


def mean_norm(n: int) -> float:
    """``E √(Σ_i σ(z_i)²)`` of `n` standard normals.

    Examples
    --------
    >>> round(mean_norm(1) * math.sqrt(2 * math.pi), 12), round(mean_norm(800) / 20, 6)
    (1.0, 0.999218)
    """
    reach = math.ceil(20 * math.sqrt(n))
    k = np.arange(max(1, n // 2 - reach), min(n, n // 2 + reach) + 1, dtype=np.float64)
    log_binomial = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    logs = log_binomial - n * math.log(2) + special.gammaln((k + 1) / 2) - special.gammaln(k / 2)
    return math.sqrt(2) * float(np.exp(logs).sum())


def of_stack(stack: Stack, x: np.ndarray) -> CamLaw:
    """Return the law of Grad-CAM of the units of a stack, or NoLaw."""
    hidden, grid, pool, kind = one_layer(stack, "grad-cam", pools=True, gaussian=True)
    weights = math.prod(stack.shape_above[1:]) if pool else grid.n_patches
    same = grid.output_shape == grid.input_shape[1:]
    gain = weights * (stack.readout.std * hidden.std / grid.n_patches) ** 2
    return CamLaw(x, grid, hidden.n_filters, gain, kind if same else "limit")
