"""Products of matrices without the false alarm of a BLAS.

In single precision, OpenBLAS (0.3.31, processors with AVX-512) loads memory that nobody wrote when five terms are summed into
a vector, and drops those lanes again.  The product is right; but where that memory holds a signaling NaN, the processor
notes an invalid operation, and NumPy warns of it, or raises under ``warnings.simplefilter("error")``.  Whether it does
depends on what ran before.  A NaN that belongs to the product stays in the product.
"""

from __future__ import annotations

import numpy as np


def product(left: np.ndarray, right: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``left @ right``; NumPy's warning of invalid values, which may be false, is left out.

    Parameters, result, errors: as :func:`numpy.matmul`.

    Examples
    --------
    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    with np.errstate(invalid="ignore"):
        result: np.ndarray = np.matmul(left, right, out=out)
    return result
