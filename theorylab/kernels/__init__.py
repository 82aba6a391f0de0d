"""Compiled twins of :mod:`theorylab.layers`: same names, same signatures, same numbers to rounding.

Importing this package imports Numba; ``import theorylab`` does not import this package.
"""

from theorylab.kernels import conv, dense, patches, pool, three_layer, unit

__all__ = ["conv", "dense", "patches", "pool", "three_layer", "unit"]
