"""The layers in plain NumPy, forward and backward: the specification.  Imports `model` alone.

Pure functions on batched arrays; :mod:`theorylab.kernels` has compiled twins under the same names.  Results have the common
dtype of the arguments.
"""

from theorylab.layers import conv, dense, unit

__all__ = ["conv", "dense", "unit"]
