"""Compiled twins of the layers: same names and signatures, same numbers to rounding.  Imports `model` and `layers`.

They load Numba, so ``import theorylab`` does not import this room.
"""

from theorylab.kernels import conv, dense, pool, three_layer, unit

__all__ = ["conv", "dense", "pool", "three_layer", "unit"]
