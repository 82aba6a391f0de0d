"""The layers as explicit NumPy: forward and backward passes written by hand.

Pure functions on batched arrays.  They are the specification: :mod:`theorylab.kernels` compiles the same
functions under the same names.  An array keeps its dtype as long as everything beside it has the same one.
"""

from theorylab.layers import conv, dense, unit

__all__ = ["conv", "dense", "unit"]
