"""A method as a value in a registry: its name, its title, its options, and the function that runs it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from theorylab import _random, _validation
from theorylab.model.methods import TITLES
from theorylab.networks import GraphNetwork, GraphTrace
from theorylab.networks.nodes import Node

NAMES: Final = tuple(TITLES)
"""The names of all methods."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a method is asked: the picture in its network, and the combination of logits to explain.

    Attributes
    ----------
    trace : GraphTrace
        Of the picture's forward pass; it holds the outputs of all nodes but the last.
    gradient : array, (K,)
        ``g`` of ``f = Σ_k g_k f_k``: a unit vector for a single logit.
    seed : int or Generator
    """

    trace: GraphTrace
    gradient: np.ndarray
    seed: _random.Seed

    @property
    def net(self) -> GraphNetwork:
        """The network."""
        net: GraphNetwork = self.trace.network
        return net

    @property
    def x(self) -> np.ndarray:
        """The picture, (C, H, W), of the network's dtype."""
        return np.asarray(self.trace.image)


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Method:
    """A method of attribution; :func:`method` gives it by its name.

    Attributes
    ----------
    value : str
        The name.
    title : str
        What figures and tables call it.
    run : callable
        ``run(asked, **options)`` gives the map, (C, H, W); its docstring says what the options mean and which networks it takes.

    Examples
    --------
    >>> method("rectgrad")
    Method('rectgrad')
    """

    value: str
    title: str
    run: Callable[..., np.ndarray]

    def __repr__(self) -> str:
        """Return the name."""
        return f"Method({self.value!r})"

    @property
    def options(self) -> dict[str, Any]:
        """The defaults of its options, by name."""
        _, *options = inspect.signature(self.run).parameters.values()
        return {option.name: option.default for option in options}

    def check_options(self, names: Sequence[str]) -> None:
        """Raise a TypeError for an option that the method does not have."""
        known = self.options
        for name in names:
            if name not in known:
                guess = _validation.did_you_mean(name, known)
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise TypeError(
                    f"options: {self.value} has no option {name!r}: {guess and f'{guess}? '}{has}"
                )


@_validation.checked
class NoRule(ValueError):
    """A method does not say what to do at a layer of the network.

    Parameters
    ----------
    method : str
    node : Node
        The layer.
    instead : str
        What would do.

    Attributes
    ----------
    method, node, instead

    Examples
    --------
    >>> from theorylab.networks.nodes import Flatten
    >>> raise NoRule("rectgrad", Flatten("flat", "x"), "leave it out")
    Traceback (most recent call last):
    ...
    theorylab.methods._method.NoRule: rectgrad has no rule for node 'flat' (Flatten): leave it out
    """

    def __init__(self, method: str, node: Node, instead: str) -> None:
        self.method, self.node, self.instead = method, node, instead
        super().__init__(f"{method} has no rule for node {node.name!r} ({type(node).__name__}): {instead}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the arguments, because an exception would pickle the message."""
        return NoRule, (self.method, self.node, self.instead)


def broadcast(value: float | np.ndarray, name: str, x: np.ndarray) -> np.ndarray:
    """Return a number, or an array that broadcasts to a picture's shape, for each entry of the picture."""
    array = _validation.real_array(value, name)
    try:
        return np.broadcast_to(array, x.shape)
    except ValueError:
        raise ValueError(
            f"{name}: expected a number or an array that broadcasts to {x.shape}, got {array.shape}"
        ) from None


_KNOWN: dict[str, Method] = {}


def registered(run: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Have a function run the method of its name, with hyphens, and check its options against its type hints."""
    name = run.__name__.replace("_", "-")
    checked = _validation.checked(run)
    _KNOWN[name] = Method(name, TITLES[name], checked)
    return checked


@_validation.checked
def method(name: str | Method) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    name : str or Method
        One of `NAMES`; capitals do not count.

    Returns
    -------
    Method

    Raises
    ------
    ValueError
        If no method has that name.

    Examples
    --------
    >>> method("integrated-gradients").options
    {'baseline': 0.0, 'steps': 50}
    """
    return name if isinstance(name, Method) else _KNOWN[_validation.choice(name, NAMES, "method")]
