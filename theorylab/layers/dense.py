"""The fully connected layer: a matrix, and its gradient."""

from __future__ import annotations

import numpy as np


def check(array: np.ndarray, name: str, sizes: tuple[int | None, int | None]) -> np.ndarray:
    """Return `array` as an array; raise a ValueError unless it has two axes of these sizes (None: any size)."""
    array = np.asarray(array)
    if array.ndim != 2 or any(
        size is not None and actual != size for actual, size in zip(array.shape, sizes, strict=False)
    ):
        expected = ", ".join("any" if size is None else str(size) for size in sizes)
        raise ValueError(f"{name}: expected ({expected}), got {array.shape}")
    return array


def check_bias(bias: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return `bias` as an array; raise a ValueError unless its shape is ``(n_out,)``."""
    bias = np.asarray(bias)
    if bias.shape != (n_outputs,):
        raise ValueError(f"bias: expected ({n_outputs},), got {bias.shape}")
    return bias


def forward(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Return ``x Wᵀ + b`` for a batch of rows.

    Parameters
    ----------
    x : array, (B, n_in)
    weights : array, (n_out, n_in)
    bias : array, (n_out,), optional

    Returns
    -------
    array, (B, n_out), of the common dtype of the arguments

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    The readout of the network of Eq. 4: row ``k`` of `weights` is ``V_{·k}``.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]), np.array([0.0, 1.0]))
    array([[11., -6.]])
    """
    weights = check(weights, "weights", (None, None))
    x = check(x, "x", (None, weights.shape[1]))
    result: np.ndarray = x @ weights.T
    return result if bias is None else result + check_bias(bias, len(weights))


def backward_input(gradient: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of `forward` in ``x``.

    Parameters
    ----------
    gradient : array, (B, n_out)
        With respect to the output.
    weights : array, (n_out, n_in)

    Returns
    -------
    array, (B, n_in)

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    ``R W`` is the gradient ``R`` of Eq. 1 for the ReLU below.

    Examples
    --------
    >>> import numpy as np
    >>> backward_input(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]))
    array([[13., -8.]])
    """
    weights = check(weights, "weights", (None, None))
    return np.asarray(check(gradient, "gradient", (None, len(weights))) @ weights)
