"""The law of a map of a random network: the closed form that holds for its description, or NoLaw."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from theorylab import _validation
from theorylab.analytic.conv_depth import depth_maps
from theorylab.analytic.depth import depth_profile
from theorylab.analytic.nolaw import SIMULATE, NoLaw
from theorylab.analytic.pooled import pooled_mean_map
from theorylab.analytic.pooled_moments import pooled_variance_map
from theorylab.analytic.three_layer import ThreeLayerLaw, cosine_of
from theorylab.model.laws import Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, Stack, grid_of
from theorylab.model.units import RELU

_KNOWN = (ConvSpec, Dense, MaxPool, AdaptiveAveragePool, Residual)


class MapLaw(Protocol):
    """The law of a raw map of one logit.  A part without closed form raises :class:`theorylab.NoLaw`.

    Attributes
    ----------
    mean, variance : arrays, (C, H, W) float64
        Moments of each entry of the map, over networks.
    class_distance : float
        Expected distance of the unit-norm maps of two logits of one network, from a ratio of expectations.
    kind : {"exact", "limit", "estimate"}
        Exact for every number of filters, the limit of wide layers, or an average over draws.
    """

    @property
    def mean(self) -> np.ndarray:
        """``E S``, (C, H, W)."""

    @property
    def variance(self) -> np.ndarray:
        """Variance of each entry, (C, H, W)."""

    @property
    def class_distance(self) -> float:
        """Distance of the unit-norm maps of two logits."""

    @property
    def kind(self) -> str:
        """The strength of the law: "exact", "limit" or "estimate"."""

    def expected_cosine(self, target: str = "input") -> float:
        """Return the cosine of the map to the image ("input") or to its mean ("mean"), as a ratio of expectations."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Moments:
    """A law with mean and variance alone; there is a class distance if the maps of two logits are uncorrelated."""

    x: np.ndarray
    rule: Rule
    mean: np.ndarray
    variance: np.ndarray
    kind: str = "limit"

    def expected_cosine(self, target: str = "input") -> float:
        """Return the cosine to the image or to the mean map, as a ratio of expectations."""
        energy = float((self.mean**2).sum() + self.variance.sum())
        return cosine_of(self.mean, energy, self.x, self.rule, target)

    @property
    def class_distance(self) -> float:
        """``√2`` for rules that are linear in the readout; NoLaw otherwise."""
        return _distance_of_uncorrelated(self.rule)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pooled:
    """One hidden layer below a max-pool of disjoint windows: the mean for every rule, the variance for some."""

    x: np.ndarray
    rule: Rule
    stack: Stack
    pool: MaxPool
    kind: str
    progress: Callable[[int, int], None] | None = None

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """``E S``, (C, H, W)."""
        return pooled_mean_map(
            *self._arguments,
            law=self.stack.readout,
            pool=self.pool,
            filter_std=self._std,
            progress=self.progress,
        )

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """Variance of each entry, (C, H, W)."""
        return pooled_variance_map(
            *self._arguments, law=self.stack.readout, pool=self.pool, filter_std=self._std
        )

    def expected_cosine(self, target: str = "input") -> float:
        """Return the cosine to the image or to the mean map, as a ratio of expectations."""
        # A mean of zero needs no variance, for which there may be no law.
        energy = float((self.mean**2).sum() + self.variance.sum()) if self.mean.any() else 1.0
        return cosine_of(self.mean, energy, self.x, self.rule, target)

    @property
    def class_distance(self) -> float:
        """``√2`` for rules that are linear in the readout; NoLaw otherwise."""
        return _distance_of_uncorrelated(self.rule)

    @property
    def _std(self) -> float:
        return _hidden(self.stack.layers[0]).std

    @property
    def _arguments(self) -> tuple[np.ndarray, PatchGrid, Rule, int]:
        hidden = self.stack.layers[0]
        return self.x, grid_of(_hidden(hidden), self.stack.input_shape), self.rule, _units(hidden)


def law(
    stack: Stack, x: np.ndarray, rule: Rule | str, *, progress: Callable[[int, int], None] | None = None
) -> MapLaw:
    """Return the law of the raw map of one logit of a random network.

    Parameters
    ----------
    stack : Stack
    x : array, (C, H, W)
        The image.
    rule : Rule or str
    progress : callable, optional
        ``progress(done, total)`` in large pooling windows to integrate, or in layers of a deep network.

    Returns
    -------
    MapLaw
        Each part is computed at its first use.

    Raises
    ------
    NoLaw
        If there is no closed form; the message names rule, unit and layer, and what to call instead.
    TypeError, ValueError
        If `stack` is no stack, the rule is unknown, or `x` is no finite image of its input shape or zero everywhere.

    Notes
    -----
    One hidden layer without pooling: :class:`~theorylab.analytic.three_layer.ThreeLayerLaw`, exact, for every rule and unit.  One
    hidden layer with max-pooling of disjoint windows: :mod:`theorylab.analytic.pooled`, for the ReLU alone.  Dense layers
    alone: :func:`~theorylab.analytic.depth_profile`; convolutions, pools and residual blocks:
    :func:`~theorylab.analytic.depth_maps`; both are limits of wide layers.  Laws hold for Gaussian filters; for other filters
    they are limits of large patches.  :func:`theorylab.draw` simulates the same maps.

    Examples
    --------
    >>> from theorylab.model import models
    >>> from theorylab.model.patches import PatchGrid
    >>> x = np.array([[[3.0, 4.0, 1.0]]])
    >>> guided = law(models.three_layer(PatchGrid((1, 1, 3), kernel=(1, 2)), 1000), x, "guided")
    >>> round(guided.expected_cosine("input"), 4), guided.kind
    (0.9444, 'exact')
    """
    if not isinstance(stack, Stack):
        raise TypeError(f"stack: expected a Stack, got {type(stack).__name__}")
    rule = Rule(rule)
    x = _validation.image(x, stack.input_shape).astype(np.float64, copy=False)
    if stack.bias_std:
        raise NoLaw(rule, stack.unit, f"a hidden layer with biases of std {stack.bias_std:g}")
    for number, layer in enumerate(stack.layers):
        if type(layer) not in _KNOWN:
            raise NoLaw(rule, stack.unit, f"layers[{number}], {layer!r}")
    hidden, above = stack.layers[0], stack.layers[1:]
    kind = "exact" if all(_gaussian(layer) for layer in stack.layers) else "limit"
    if isinstance(hidden, (ConvSpec, Dense)) and not above:
        grid = grid_of(hidden, stack.input_shape)
        return ThreeLayerLaw(x, grid, rule, _units(hidden), stack.readout, hidden.std, stack.unit, kind)
    if isinstance(hidden, ConvSpec) and len(above) == 1 and isinstance(above[0], MaxPool):
        if stack.unit != RELU:
            raise NoLaw(rule, stack.unit, repr(above[0]))
        if not above[0].disjoint:
            raise NoLaw(rule, stack.unit, f"{above[0]!r}, whose windows overlap")
        return _Pooled(x, rule, stack, above[0], kind, progress)
    if all(isinstance(layer, Dense) for layer in stack.layers):
        return _dense(stack, x, rule)
    return _convolutional(stack, x, rule, progress)


def _dense(stack: Stack, x: np.ndarray, rule: Rule) -> _Moments:
    layers = [_hidden(layer) for layer in stack.layers]
    record = depth_profile(
        [x.size, *(_units(layer) for layer in layers)],
        rule,
        stds=[*(layer.std for layer in layers), _readout_std(rule, stack)],
        input_norm=float(np.linalg.norm(x)),
        unit=stack.unit,
    )[-1]
    return _Moments(x, rule, record.alpha * x, np.full(x.shape, record.beta**2))


def _convolutional(
    stack: Stack, x: np.ndarray, rule: Rule, progress: Callable[[int, int], None] | None
) -> _Moments:
    layers: list[Layer] = []
    scale = 1.0
    for number, layer in enumerate(stack.layers):
        if not isinstance(layer, AdaptiveAveragePool):
            layers.append(layer)
            continue
        shape = stack.reads(number)
        if shape[1:] != layer.plane:
            if number + 1 < len(stack.layers) or layer.plane != (1, 1):
                what = f"layers[{number}], {layer!r} of a plane of {shape[1]}×{shape[2]}"
                instead = f"take a picture that makes it {layer.plane[0]}×{layer.plane[1]}, or {SIMULATE}"
                raise NoLaw(rule, stack.unit, what, instead)
            # Every position receives the readout weight of its channel over the number of positions.
            scale = 1 / (shape[1] * shape[2])
    record = depth_maps(
        x, layers, rule, readout_std=_readout_std(rule, stack), unit=stack.unit, progress=progress
    )[-1]
    assert record.mean_map is not None  # the input's record has both
    assert record.variance_map is not None
    return _Moments(x, rule, scale * record.mean_map, scale**2 * record.variance_map)


def _hidden(layer: Layer) -> ConvSpec | Dense:
    assert isinstance(layer, (ConvSpec, Dense))
    return layer


def _units(layer: Layer) -> int:
    layer = _hidden(layer)
    return layer.n_filters if isinstance(layer, ConvSpec) else layer.n_units


def _gaussian(layer: Layer) -> bool:
    return not isinstance(layer, (ConvSpec, Dense)) or isinstance(layer.weights, Gaussian)


def _readout_std(rule: Rule, stack: Stack) -> float:
    readout: WeightLaw = stack.readout
    if not isinstance(readout, Gaussian):
        raise NoLaw(rule, stack.unit, f"a readout of the law {readout!r} above a deep network")
    return readout.std


def _distance_of_uncorrelated(rule: Rule) -> float:
    """Return ``√2`` if the map is linear in the readout; raise NoLaw otherwise."""
    if rule.up + rule.down == 0:
        return math.sqrt(2)
    raise NoLaw(rule, None, "two logits of a deep or pooled network", SIMULATE)
