"""One pass over a readout column: the signal behind the ReLU of the three-layer network."""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import compiled


@compiled
def select(y, gradient, rectify, mask, out):
    """``h(R) 1(y > 0)`` on flat arrays; with the flags outside, each loop is a vector select."""
    zero = gradient.dtype.type(0)
    n = out.size
    if rectify and mask:
        for i in range(n):
            value = gradient[i]
            rectified = zero if value < zero else value
            out[i] = rectified if y[i] > 0 else zero
    elif rectify:
        for i in range(n):
            value = gradient[i]
            out[i] = zero if value < zero else value
    elif mask:
        for i in range(n):
            value = gradient[i]
            out[i] = value if y[i] > 0 else zero
    else:
        for i in range(n):
            out[i] = gradient[i]


def backward_signal(
    pre_activation: np.ndarray, readout: np.ndarray, rectify: bool, mask: bool, out: np.ndarray
) -> np.ndarray:
    """``h(V) 1(y > 0)`` for every patch and filter, in one pass and without temporaries.

    Parameters
    ----------
    pre_activation : array, (J, N)
        ``w_i · y_j``.
    readout : array, (J, N)
        ``V_ij``, the gradient of one logit with respect to the activations.
    rectify, mask : bool
        :attr:`Rule.rectifies_gradient` and :attr:`Rule.masks_by_activation`.
    out : array, (J, N)
        Overwritten; may be `readout` or `pre_activation` itself.

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
    ``h(V_ij)`` and the indicator of Eq. 4.  Specification: :meth:`theorylab.rules.Rule.backward`.

    Examples
    --------
    >>> import numpy as np
    >>> y, v = np.array([[1.0, -1.0, 1.0]]), np.array([[2.0, 3.0, -4.0]])
    >>> backward_signal(y, v, rectify=True, mask=True, out=np.empty_like(v))
    array([[2., 0., 0.]])
    """
    for name, array in (("pre_activation", pre_activation), ("readout", readout), ("out", out)):
        if array.shape != out.shape or array.dtype != out.dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name}: expected a C-contiguous {out.shape} of {out.dtype}, "
                f"got {array.shape} of {array.dtype}"
            )
    select(pre_activation.reshape(-1), readout.reshape(-1), bool(rectify), bool(mask), out.reshape(-1))
    return out


@compiled
def place(y, values, rectify, out):
    """Hand the next of `values`, through ``h``, to each entry with ``y > 0``; zero to the others; without branches."""
    zero = out.dtype.type(0)
    n = 0
    last = values.size - 1
    for i in range(out.size):
        active = y[i] > 0
        value = values[min(n, last)]
        if rectify and value < zero:
            value = zero
        out[i] = value if active else zero
        n += active


def active_signal(
    pre_activation: np.ndarray, active_readout: np.ndarray, rectify: bool, out: np.ndarray
) -> np.ndarray:
    """``h(V) 1(y > 0)`` where ``V`` is known for the active units alone.

    A rule that masks by the forward activation never sees the readout of a closed unit, so a simulation need not
    draw it.

    Parameters
    ----------
    pre_activation : array, (J, N)
    active_readout : array, (n,)
        ``V`` of the entries with ``pre_activation > 0``, in C order; ``n`` is their number.
    rectify : bool
        :attr:`Rule.rectifies_gradient`.
    out : array, (J, N)
        Overwritten.

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
    Equal to `backward_signal` with the same values spread out and any at all elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1.0, -1.0, 1.0]])
    >>> active_signal(y, np.array([2.0, -4.0]), rectify=True, out=np.empty_like(y))
    array([[2., 0., 0.]])
    """
    if pre_activation.shape != out.shape or pre_activation.dtype != out.dtype:
        raise ValueError(
            f"pre_activation: expected {out.shape} of {out.dtype}, "
            f"got {pre_activation.shape} of {pre_activation.dtype}"
        )
    if not (pre_activation.flags.c_contiguous and out.flags.c_contiguous):
        raise ValueError("pre_activation and out: expected C-contiguous arrays")
    if active_readout.size == 0:
        out[...] = 0
    else:
        place(pre_activation.reshape(-1), active_readout, bool(rectify), out.reshape(-1))
    return out
