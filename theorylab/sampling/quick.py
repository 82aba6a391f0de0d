"""Gaussian weights in single precision in a third of the time, for simulations that mostly draw normal numbers."""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab import _random, _validation
from theorylab.kernels import normal
from theorylab.model.laws import Gaussian


@_validation.checked
@dataclasses.dataclass(frozen=True)
class QuickGaussian(Gaussian):
    """The law of :class:`~theorylab.model.laws.Gaussian`, drawn by another algorithm: other numbers.

    Parameters, errors: as for :class:`~theorylab.model.laws.Gaussian`.

    Notes
    -----
    See :func:`theorylab.kernels.normal.standard_normal`; in double precision, NumPy draws the numbers.

    Examples
    --------
    >>> QuickGaussian(2.0).sample((2, 3), seed=0, dtype=np.float32).dtype
    dtype('float32')
    """

    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Draw independent weights of the given shape and floating dtype."""
        if np.dtype(dtype) != np.float32:
            return super().sample(shape, seed=seed, dtype=dtype)
        draws = normal.standard_normal(_random.generator(seed), shape)
        if self.std != 1:
            draws *= np.float32(self.std)
        return draws
