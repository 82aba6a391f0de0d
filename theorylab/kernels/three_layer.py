"""The three-layer network in the layout of a Monte Carlo replicate, positions by filters: gradients below units, pooling."""

from __future__ import annotations

import numpy as np

from theorylab._compiled import Array, compiled
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


@compiled
def select(
    y: Array, gradient: Array, up: np.floating, down: np.floating, shut: np.floating, out: Array
) -> None:
    """Write ``h(R)`` where ``y > 0`` and ``shut·h(R)`` elsewhere, on flat arrays.

    The common cases have loops without other branches, which compile to vector instructions.
    """
    zero = gradient.dtype.type(0)
    n = out.size
    if up == 1 and down == 0 and shut == 0:
        for i in range(n):
            value = gradient[i]
            rectified = zero if value < zero else value
            out[i] = rectified if y[i] > 0 else zero
    elif up == 1 and down == 0 and shut == 1:
        for i in range(n):
            value = gradient[i]
            out[i] = zero if value < zero else value
    elif up == 1 and down == -1 and shut == 0:
        for i in range(n):
            value = gradient[i]
            out[i] = value if y[i] > 0 else zero
    elif up == 1 and down == -1 and shut == 1:
        for i in range(n):
            out[i] = gradient[i]
    else:
        for i in range(n):
            value = gradient[i]
            # No product with 0, which would turn an infinite gradient into NaN.  A NaN stays NaN.
            if value < zero:
                value = zero if down == 0 else value * -down
            elif value > zero:
                value = zero if up == 0 else value * up
            out[i] = value if y[i] > 0 else (zero if shut == 0 else value * shut)


def constants(rule: Rule, unit: Unit, dtype: np.dtype) -> tuple[np.floating, np.floating, np.floating]:
    """Return what the compiled loops need of a rule and a unit: ``h(1)``, ``h(−1)`` and the factor of a closed gate."""
    return dtype.type(rule.up), dtype.type(rule.down), dtype.type(rule.shut(unit))


def _check(out: np.ndarray, **arrays: np.ndarray) -> None:
    for name, array in {**arrays, "out": out}.items():
        if array.shape != out.shape or array.dtype != out.dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name}: expected a C-contiguous {out.shape} of {out.dtype}, "
                f"got {array.shape} of {array.dtype}"
            )


def backward_signal(
    pre_activation: np.ndarray, readout: np.ndarray, rule: Rule, out: np.ndarray, unit: Unit = RELU
) -> np.ndarray:
    """Write ``h(V) g'(y)`` for every patch and filter, in one pass and without temporary arrays.

    Parameters
    ----------
    pre_activation : array, (J, N)
        ``w_i · y_j``.
    readout : array, (J, N)
        ``V_ij``, the gradient of one logit with respect to the activations.
    rule : Rule
    out : array, (J, N)
        Overwritten; may be `readout` or `pre_activation` itself.
    unit : Unit, default ReLU()

    Returns
    -------
    array
        `out`.

    Raises
    ------
    ValueError
        If the three arrays differ in shape or dtype, or one of them is not C-contiguous.

    Notes
    -----
    ``h(V_ij)`` and the gate are those of Eq. 4.  Specification: :meth:`theorylab.model.rules.Rule.backward`.

    Examples
    --------
    >>> import numpy as np
    >>> y, v = np.array([[1.0, -1.0, 1.0]]), np.array([[2.0, 3.0, -4.0]])
    >>> backward_signal(y, v, Rule.GUIDED, out=np.empty_like(v))
    array([[2., 0., 0.]])
    """
    _check(out, pre_activation=pre_activation, readout=readout)
    numbers = constants(rule, unit, out.dtype)
    select(pre_activation.reshape(-1), readout.reshape(-1), *numbers, out.reshape(-1))
    return out


@compiled
def spread(y: Array, values: Array, up: np.floating, down: np.floating, out: Array) -> None:
    """Write ``h`` of the next of `values` to each entry with ``y > 0`` and zero to the others, without branches."""
    zero = out.dtype.type(0)
    n = 0
    last = values.size - 1
    for i in range(out.size):
        active = y[i] > 0
        value = values[min(n, last)]
        if value < zero:
            value = zero if down == 0 else value * -down
        elif value > zero:
            value = zero if up == 0 else value * up
        out[i] = value if active else zero
        n += active


def active_signal(
    pre_activation: np.ndarray, active_readout: np.ndarray, rule: Rule, out: np.ndarray
) -> np.ndarray:
    """Write ``h(V) 1(y > 0)``, given ``V`` for the active units alone.

    Under a rule with a gate, the readout weight of a closed ReLU has no effect, so a simulation need not draw it.

    Parameters
    ----------
    pre_activation, out
        As of :func:`backward_signal`.
    active_readout : array, (n,)
        ``V`` of the entries with ``pre_activation > 0``, in C order; ``n`` is their number.
    rule : Rule
        A rule that applies the gate.

    Returns
    -------
    array
        `out`.

    Raises
    ------
    ValueError
        If `pre_activation` and `out` differ in shape or dtype or are not C-contiguous.

    Notes
    -----
    Equal to `backward_signal` with these values at the active units and any values elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1.0, -1.0, 1.0]])
    >>> active_signal(y, np.array([2.0, -4.0]), Rule.GUIDED, out=np.empty_like(y))
    array([[2., 0., 0.]])
    """
    _check(out, pre_activation=pre_activation)
    if active_readout.size == 0:
        out[...] = 0
    else:
        up, down, _ = constants(rule, RELU, out.dtype)
        spread(pre_activation.reshape(-1), active_readout, up, down, out.reshape(-1))
    return out


@compiled
def _pool(activations: Array, windows: Array, slope: np.floating, values: Array, winners: Array) -> None:
    """Write the largest ``φ(a)`` of every window and filter, and the first position that has it."""
    zero = activations.dtype.type(0)
    for w in range(windows.shape[0]):
        for i in range(activations.shape[1]):
            best = zero
            winner = -1
            for m in range(windows.shape[1]):
                j = windows[w, m]
                if j >= 0:
                    value = activations[j, i]
                    if value < zero:
                        value = zero if slope == 0 else value * slope
                    if winner < 0 or value > best:
                        best = value
                        winner = j
            values[w, i] = best
            winners[w, i] = winner


def pool(activations: np.ndarray, windows: np.ndarray, unit: Unit = RELU) -> tuple[np.ndarray, np.ndarray]:
    """Return the pooled activations and their winners.

    Parameters
    ----------
    activations : array, (J, N)
        Input of the unit; its output will do for a ReLU.
    windows : int64 array, (n, size)
        From :meth:`theorylab.model.pooling.MaxPool.windows`.
    unit : Unit, default ReLU()

    Returns
    -------
    values : array, (n, N)
    winners : int64 array, (n, N)
        Position of the first maximum of ``φ(a)``; with a ReLU, the first position if no entry is positive.

    Notes
    -----
    Specification: :func:`theorylab.layers.pool.forward`.

    Examples
    --------
    >>> import numpy as np
    >>> values, winners = pool(np.array([[1.0, -1.0], [2.0, -2.0]]), np.array([[0, 1]]))
    >>> values, winners
    (array([[2., 0.]]), array([[1, 0]]))
    """
    values = np.empty((len(windows), activations.shape[1]), dtype=activations.dtype)
    winners = np.empty(values.shape, dtype=np.int64)
    _pool(activations, windows, activations.dtype.type(unit.slope), values, winners)
    return values, winners


@compiled
def unpool(readout: Array, winners: Array, out: Array) -> Array:
    """Send each readout weight back to the winner of its window, and add where windows overlap.

    Parameters
    ----------
    readout : array, (n, N)
    winners : int64 array, (n, N)
    out : array, (J, N)
        Overwritten.

    Returns
    -------
    array
        `out`.

    Notes
    -----
    Specification: :func:`theorylab.layers.pool.backward`.

    Examples
    --------
    >>> import numpy as np
    >>> unpool(np.array([[5.0]]), np.array([[1]]), np.empty((2, 1)))
    array([[0.],
           [5.]])
    """
    out[:] = 0
    for w in range(winners.shape[0]):
        for i in range(winners.shape[1]):
            out[winners[w, i], i] += readout[w, i]
    return out
