"""Compiled twins of :mod:`theorylab.layers`: same names and signatures, same numbers to rounding.

Imports layers, rules, units and geometry.  It loads Numba, so ``import theorylab`` does not import it.
"""

from theorylab.kernels import conv, dense, patches, pool, three_layer, unit

__all__ = ["conv", "dense", "patches", "pool", "three_layer", "unit"]
