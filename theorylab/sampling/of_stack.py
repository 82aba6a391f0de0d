"""Maps of fresh random networks of a description, by the fastest sampler that is exact for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator

from theorylab import _random, _validation
from theorylab.model.laws import Gaussian
from theorylab.model.rules import Rule
from theorylab.model.stack import Stack, grid_of, single_layer
from theorylab.networks.from_stack import Blueprint
from theorylab.sampling._winner import winning_readout
from theorylab.sampling.dense import DenseSampler
from theorylab.sampling.three_layer import MapSampler
from theorylab.sampling.tiled import TiledSampler


class Sampler(Protocol):
    """Sampler of maps of fresh networks for one picture."""

    def draw(
        self, rng: Generator, rules: Sequence[Rule], *, n_readouts: int = 1, n_logits: int | None = None
    ) -> np.ndarray:
        """Draw the maps of one fresh network.

        Parameters
        ----------
        rng : Generator
        rules : sequence of Rule
        n_readouts : int
            Number of logits with a map; they share all weights below the readout.
        n_logits : int, optional
            If given, each map is that of the largest of `n_logits` logits, with an independent readout.

        Returns
        -------
        array, (rules, n_readouts, C, H, W)
        """


@_validation.checked
class GraphSampler:
    """Sampler of maps of any stack, by its definition: one forward pass and all backward passes of a drawn network.

    Parameters
    ----------
    stack : Stack
    x : array, (C, H, W)
    dtype : float64 or float32

    Notes
    -----
    No logit is computed: its gradient with respect to the input of the readout is a row of the readout.

    Examples
    --------
    >>> from theorylab.model.specs import ConvSpec
    >>> sampler = GraphSampler(Stack((1, 9, 9), [ConvSpec(8, 3, stride=2), ConvSpec(4, 3, padding=1)]), np.ones((1, 9, 9)))
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 9, 9)
    """

    def __init__(self, stack: Stack, x: np.ndarray, *, dtype: type = np.float64) -> None:
        self.stack, self.dtype = stack, np.dtype(dtype)
        self.x = _validation.image(x, stack.input_shape).astype(self.dtype)
        self.blueprint = Blueprint(stack, readout=False)

    def draw(
        self, rng: Generator, rules: Sequence[Rule], *, n_readouts: int = 1, n_logits: int | None = None
    ) -> np.ndarray:
        """Draw the maps of one fresh network: see :meth:`Sampler.draw`."""
        net = self.blueprint.draw(rng, self.dtype.type)
        trace = net.forward(self.x)
        readouts = self.stack.readout.sample((n_readouts, net.n_logits), seed=rng, dtype=self.dtype.type)
        if n_logits is not None:
            std = self.stack.readout.std
            readouts = np.stack([winning_readout(v, trace.logits, std, n_logits, rng) for v in readouts])
        return net.backward(trace, readouts, list(rules))


class _Whole(MapSampler):
    """A :class:`MapSampler` without the axis of groups of filters."""

    def draw(self, *args: Any, **options: Any) -> np.ndarray:
        return super().draw(*args, **options)[:, :, 0]


@_validation.checked
def sampler(stack: Stack, x: np.ndarray, *, dtype: type = np.float64, n_logits: int | None = None) -> Sampler:
    """Choose the fastest sampler that is exact for a stack.

    Parameters
    ----------
    stack : Stack
    x : array, (C, H, W)
    dtype : float64 or float32
        Dtype of weights, products and maps.
    n_logits : int, optional
        If given, the sampler will draw maps of the largest of this many logits.

    Returns
    -------
    Sampler

    Raises
    ------
    TypeError, ValueError
        If `x` is no finite image of the stack's input shape or zero everywhere, or the dtype is none of the two.

    Notes
    -----
    For one hidden layer that reads a single patch and is not pooled: :class:`DenseSampler`.  For other hidden layers without
    pooling, in single precision with Gaussian weights: :class:`TiledSampler`.  For one hidden layer otherwise:
    :class:`MapSampler`.  For all other stacks, and for biases: :class:`GraphSampler`.

    Examples
    --------
    >>> from theorylab.model import models
    >>> from theorylab.model.patches import PatchGrid
    >>> stack = models.three_layer(PatchGrid((1, 6, 6), kernel=3), 8)
    >>> type(sampler(stack, np.ones((1, 6, 6)))).__name__, type(sampler(models.vgg16(), np.ones((3, 224, 224)))).__name__
    ('_Whole', 'GraphSampler')
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    x = _validation.image(x, stack.input_shape)
    single = single_layer(stack)
    if single is None or single[0].bias is not None:
        return GraphSampler(stack, x, dtype=dtype)
    hidden, pool = single
    grid, gaussian = grid_of(hidden, stack.input_shape), isinstance(hidden.weights, Gaussian)
    readout, unit = stack.readout, stack.unit
    if pool is None and gaussian and grid.kernel == grid.input_shape[1:] and not any(grid.padding):
        return DenseSampler(
            x, hidden.n_filters, filter_std=hidden.std, readout=readout, unit=unit, dtype=dtype
        )
    single_precision = np.dtype(dtype) == np.float32
    if single_precision and gaussian and isinstance(readout, Gaussian) and pool is None and n_logits is None:
        return TiledSampler(x, grid, hidden.n_filters, unit=unit, scale=hidden.std * readout.std)
    return _Whole(
        x, grid, hidden.n_filters, law=readout, filter_law=hidden.weights, pool=pool, unit=unit, dtype=dtype
    )


@_validation.checked
def draw(
    stack: Stack,
    x: np.ndarray,
    rules: Iterable[Rule | str] | Rule | str,
    *,
    size: int,
    n_readouts: int = 1,
    n_logits: int | None = None,
    seed: _random.Seed = 0,
    dtype: type = np.float64,
) -> np.ndarray:
    """Draw raw maps of fresh random networks of a description.

    Parameters
    ----------
    stack : Stack
    x : array, (C, H, W)
    rules : iterable of Rule or str, or a single rule
    size : int
        Number of networks.
    n_readouts : int, default 1
        Number of logits of each network with a map; all rules see the same network and the same logits.
    n_logits : int, optional
        ``K``: each map is that of the largest of ``K`` logits, by the exact law of the winner; needs a Gaussian readout.
        By default the logits are fixed in advance.
    seed : int or Generator
    dtype : float64 or float32
        Dtype of weights, products and maps.

    Returns
    -------
    array, (size, rules, n_readouts, C, H, W), of the dtype

    Raises
    ------
    TypeError, ValueError
        For bad input, maps that no memory holds, and for `n_logits` with a readout that is not Gaussian.

    Notes
    -----
    Child ``i`` of the seed determines network ``i``: a longer run begins with the same maps.  :func:`sampler` chooses the
    fastest sampler that is exact for the stack.  :func:`theorylab.law` predicts the law of these maps.

    Examples
    --------
    >>> from theorylab.model import models
    >>> from theorylab.model.patches import PatchGrid
    >>> stack = models.three_layer(PatchGrid((1, 6, 6), kernel=3), 8)
    >>> draw(stack, np.ones((1, 6, 6)), ["guided", "saliency"], size=5, n_readouts=2).shape
    (5, 2, 2, 1, 6, 6)
    """
    if not isinstance(stack, Stack):
        raise TypeError(f"stack: expected a Stack, got {type(stack).__name__}")
    if not isinstance(rules, (Rule, Iterable)):
        raise TypeError(f"rules: expected a rule or several, got {type(rules).__name__}")
    listed = [Rule(rule) for rule in ([rules] if isinstance(rules, (str, Rule)) else rules)]
    size = _validation.positive_integer(size, "size")
    n_readouts = _validation.positive_integer(n_readouts, "n_readouts")
    if n_logits is not None:
        n_logits = _validation.positive_integer(n_logits, "n_logits")
        if not isinstance(stack.readout, Gaussian):
            raise ValueError(
                "n_logits: the law of the winner is exact for a Gaussian readout only, got "
                f"{type(stack.readout).__name__}; visualize a network of theorylab.networks instead"
            )
    source = sampler(stack, x, dtype=dtype, n_logits=n_logits)
    parent = _random.sequence(seed)
    shape = size, len(listed), n_readouts, *stack.input_shape
    try:
        maps: np.ndarray = np.empty(shape, dtype=dtype)
    except (ValueError, MemoryError):
        raise ValueError(f"size, n_readouts: expected maps that fit in memory, got {shape}") from None
    for i in range(size):
        rng = np.random.default_rng(_random.child(parent, i))
        maps[i] = source.draw(rng, listed, n_readouts=n_readouts, n_logits=n_logits)
    return maps
