"""Backward rules: what a gradient becomes on its way back through a unit (Eq. 1–2).

A unit with input ``y`` receives a gradient ``R`` from above and passes on ``T = h(R) g'(y)``.  Rules differ only in ``h``
and in whether the gate ``g'`` of the forward pass applies.  Imports laws of weights and units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np

from theorylab import _validation
from theorylab.model.laws import WeightLaw
from theorylab.model.units import RELU, Unit

_KNOWN: dict[str, Rule] = {}


@_validation.checked
class Rule:
    """How a gradient passes back through a unit.

    :func:`define` registers a rule once; ``Rule(name)`` looks it up.  Every function and every command of the package takes
    a rule or its name.

    =============  =======================  ==================
    rule           ``h(R)``                 ``g'(y)`` of ReLU
    =============  =======================  ==================
    ``SALIENCY``   ``R``                    ``1 if y > 0``
    ``DECONVNET``  ``max(R, 0)``            ``1``
    ``GUIDED``     ``max(R, 0)``            ``1 if y > 0``
    ``LINEAR``     ``R``                    ``1``
    =============  =======================  ==================

    The indicator is strict: ``y == 0`` is masked.

    Parameters
    ----------
    name : str or Rule
        A registered rule, or its name; capitals do not count.

    Attributes
    ----------
    value : str
        The name.
    title : str
        What figures and tables call it.
    up, down : float
        ``h(1)`` and ``h(−1)``.  ``h`` is positively homogeneous, so ``h(R) = up·max(R, 0) + down·max(−R, 0)``.
    gate : bool
        Whether the gate of the forward pass applies on the way back.

    Raises
    ------
    ValueError
        If no rule has that name.

    Notes
    -----
    Eq. 1 and 2 of the paper; its three rules are :data:`PAPER`.

    Examples
    --------
    >>> Rule("guided")
    Rule('guided')
    >>> Rule.DECONVNET.backward([-1.0, 2.0], [3.0, -3.0])
    array([0., 2.])
    """

    value: str
    title: str
    up: float
    down: float
    gate: bool

    __slots__ = ("down", "gate", "title", "up", "value")

    SALIENCY: ClassVar[Rule]
    DECONVNET: ClassVar[Rule]
    GUIDED: ClassVar[Rule]
    LINEAR: ClassVar[Rule]

    def __new__(cls, name: str | Rule) -> Rule:
        """Return the registered rule of that name."""
        return name if isinstance(name, Rule) else _KNOWN[_validation.choice(name, _KNOWN, "rule")]

    def __setattr__(self, attribute: str, value: object) -> None:
        """Refuse: rules are constant."""
        raise AttributeError(f"a rule does not change: cannot set {attribute!r} of {self!r}")

    def __repr__(self) -> str:
        """Return the call that gives this rule."""
        return f"Rule({self.value!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value: a worker process need not have run the script that defined the rule.  A copy is the rule itself."""
        return _register, (self.value, self.up, self.down, self.gate, self.title)

    def shut(self, unit: Unit = RELU) -> float:
        """Return the factor of ``h(R)`` where ``y ≤ 0``: the slope of `unit` there if the gate applies, else 1."""
        return unit.slope if self.gate else 1.0

    def mean(self, law: WeightLaw) -> float:
        """Return ``E[h(V)]`` for a readout weight ``V`` of a law that is symmetric about 0."""
        return (self.up + self.down) * law.relu_mean

    def second_moment(self, law: WeightLaw) -> float:
        """Return ``E[h(V)²]`` for a readout weight ``V`` of a law that is symmetric about 0."""
        return (self.up**2 + self.down**2) * law.relu_second_moment

    def h(self, gradient: np.ndarray) -> np.ndarray:
        """Apply ``h`` of Eq. 2 to a gradient of any shape; the result is a new array of the same dtype."""
        gradient = np.asarray(gradient)
        if gradient.dtype == bool:
            raise TypeError("gradient: expected numbers, got bool")
        if (self.up, self.down) == (1, -1):
            return gradient.copy()
        # Leave out a part with factor 0: 0 times an infinite gradient would be NaN.
        above, below = np.maximum(gradient, 0), np.maximum(-gradient, 0)
        parts = [gradient.dtype.type(k) * part for k, part in ((self.up, above), (self.down, below)) if k]
        result: np.ndarray = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return result

    def backward(self, gradient: np.ndarray, pre_activation: np.ndarray, unit: Unit = RELU) -> np.ndarray:
        """Return ``T = h(R) g'(y)`` of Eq. 1, element by element.

        Parameters
        ----------
        gradient : array_like
            ``R``, the gradient with respect to the unit's output.
        pre_activation : array_like, broadcastable to `gradient`
            ``y``, the unit's input in the forward pass.
        unit : Unit, default ReLU()

        Returns
        -------
        numpy.ndarray
            The (modified) gradient with respect to the unit's input, in the dtype of `gradient`.
        """
        result = self.h(gradient)
        shapes = result.shape, np.shape(pre_activation)
        try:
            fits = np.broadcast_shapes(*shapes) == result.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"pre_activation: expected a shape that fits the gradient's {shapes[0]}, got {shapes[1]}"
            )
        shut = self.shut(unit)
        if shut != 1:
            # np.where instead of a product: an infinite gradient at a closed ReLU becomes 0, not NaN.
            below = result * result.dtype.type(shut) if shut else result.dtype.type(0)
            result = np.where(np.asarray(pre_activation) > 0, result, below)
        return result


def _register(name: str, up: float, down: float, gate: bool, title: str) -> Rule:
    known = _KNOWN.get(name)
    if known is not None:
        if (known.up, known.down, known.gate) != (up, down, gate):
            raise ValueError(f"rule {name!r} is already defined, with another h or gate")
        return known
    rule = object.__new__(Rule)
    for attribute, value in zip(
        ("value", "up", "down", "gate", "title"), (name, up, down, gate, title), strict=True
    ):
        object.__setattr__(rule, attribute, value)
    _KNOWN[name] = rule
    return rule


_NAMED_H: Final = {"identity": (1.0, -1.0), "relu": (1.0, 0.0)}
_PROBES: Final = np.array([-1000.0, -2.0, -1.0, -0.25, 0.0, 0.25, 1.0, 2.0, 1000.0])


@_validation.checked
def define(
    name: str, *, h: str | Callable[[np.ndarray], np.ndarray], gate: bool, title: str | None = None
) -> Rule:
    """Register a rule, so that every function and every command takes its name.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens.
    h : "identity", "relu" or callable
        The function of the gradient.  A callable maps an array to an array of the same shape, element by element, and is
        positively homogeneous of degree 1: ``h(t R) = t h(R)`` for ``t > 0``, so that ``h(1)`` and ``h(−1)`` determine it.
    gate : bool
        Whether the gate of the forward pass applies on the way back.
    title : str, optional
        What figures and tables call it; the name if not given.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, ``h`` is not homogeneous or zero, or the name belongs to another rule.

    Notes
    -----
    Eq. 1 with any ``h`` and with or without ``g'``.

    Examples
    --------
    >>> rule = define("size", h=np.abs, gate=True, title="size of the gradient")
    >>> rule.backward([-1.0, 2.0, 3.0], [1.0, 1.0, -1.0])
    array([1., 2., 0.])
    >>> Rule("size") is rule
    True
    """
    if not name.replace("-", "").isalnum() or name != name.lower() or name == "all":
        raise ValueError(
            f"name: expected lower-case letters, digits and hyphens, and not 'all', got {name!r}"
        )
    up, down = _slopes(h)
    return _register(name, up, down, gate, name if title is None else title)


def _slopes(h: str | Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Return ``h(1)`` and ``h(−1)``; raise a ValueError if they do not determine ``h``."""
    if isinstance(h, str):
        if h not in _NAMED_H:
            raise ValueError(f"h: expected 'identity', 'relu' or a callable, got {h!r}")
        return _NAMED_H[h]
    try:
        values = np.asarray(h(_PROBES.copy()), dtype=np.float64)
    except Exception as error:  # of the user's function
        raise ValueError(f"h: {type(error).__name__} for an array of {_PROBES.shape}: {error}") from error
    if values.shape != _PROBES.shape:
        raise ValueError(
            f"h: expected an array of shape {_PROBES.shape} for such an array, got {values.shape}"
        )
    up, down = float(values[_PROBES == 1][0]), float(values[_PROBES == -1][0])
    if not (math.isfinite(up) and math.isfinite(down)):
        raise ValueError(f"h: expected finite values, got h(1) = {up}, h(-1) = {down}")
    if up == down == 0:
        raise ValueError("h: it is zero everywhere, so every map is zero")
    expected = np.maximum(_PROBES, 0) * up + np.maximum(-_PROBES, 0) * down
    if not np.allclose(values, expected, rtol=1e-6, atol=0):
        where = int(np.argmax(~np.isclose(values, expected, rtol=1e-6, atol=0)))
        raise ValueError(
            f"h: not positively homogeneous of degree 1: h({_PROBES[where]:g}) is {values[where]:g}, "
            f"and h(1), h(-1) ask for {expected[where]:g}"
        )
    return up, down


def registered() -> tuple[Rule, ...]:
    """Return all rules defined so far, in the order of their definition; the paper's come first.

    Examples
    --------
    >>> [rule.value for rule in registered()][:4]
    ['saliency', 'deconvnet', 'guided', 'linear']
    """
    return tuple(_KNOWN.values())


Rule.SALIENCY = define("saliency", h="identity", gate=True, title="saliency map")
Rule.DECONVNET = define("deconvnet", h="relu", gate=False, title="DeconvNet")
Rule.GUIDED = define("guided", h="relu", gate=True, title="guided backpropagation")
Rule.LINEAR = define("linear", h="identity", gate=False, title="linear backward pass")

PAPER: Final = (Rule.SALIENCY, Rule.DECONVNET, Rule.GUIDED)
"""The three rules of the paper."""
