"""The law of a map of a random network: the closed form that holds for its description, or NoLaw."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.analytic import _biases, cam, other_gates, relevance_maps
from theorylab.analytic._one_layer import ATTRIBUTE
from theorylab.analytic._pool_windows import require_law
from theorylab.analytic.conv_depth import LayerMaps, depth_maps
from theorylab.analytic.nolaw import SIMULATE, NoLaw
from theorylab.analytic.pooled import pooled_mean_map
from theorylab.analytic.pooled_moments import pooled_own_variance, pooled_variance_map
from theorylab.analytic.three_layer import MapLaw, ThreeLayerLaw
from theorylab.model.laws import BiasLaw, Gaussian
from theorylab.model.methods import TITLES
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, Stack, grid_of, single_layer

_KNOWN = (ConvSpec, Dense, MaxPool, AdaptiveAveragePool, Residual)


@dataclasses.dataclass(frozen=True, eq=False)
class _Moments(MapLaw):
    """A law of moments, with the distance of two logits if `distance` is given.  No lambdas: they cannot be pickled."""

    x: np.ndarray
    rule: Rule
    kind: str
    mean_map: Callable[[], np.ndarray]
    variance_map: Callable[[], np.ndarray]
    distance: Callable[[MapLaw], float] | None = None

    @functools.cached_property
    def mean(self) -> np.ndarray:
        return self.mean_map()

    @functools.cached_property
    def variance(self) -> np.ndarray:
        return self.variance_map()

    @property
    def class_distance(self) -> float:
        """Of `distance`, if there is one."""
        return super().class_distance if self.distance is None else self.distance(self)


@_validation.checked
def law(
    stack: Stack,
    x: np.ndarray,
    rule: Rule | str,
    *,
    progress: Callable[[int, int], None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> MapLaw:
    """Return the law of the raw map of one logit of a random network.

    Parameters
    ----------
    stack : Stack
    x : array, (C, H, W)
        The image.
    rule : Rule or str
        A rule, or the name of a method that has a law.
    progress : callable, optional
        ``progress(done, total)`` in large pooling windows to integrate, or in layers of a deep network.
    options : mapping, optional
        Of a method, by name as :func:`theorylab.methods.attribute` takes them, where the law depends on them:
        ``{"rule": "guided", "noise": 0.2}``.

    Returns
    -------
    MapLaw
        Each part is computed at its first use.

    Raises
    ------
    NoLaw
        If there is no closed form; the message names rule or method, unit and layer, and what to call instead.
    TypeError, ValueError
        If `stack` is no stack, the rule or an option is unknown, or `x` is no finite image of its input shape or zero everywhere.

    Notes
    -----
    One hidden layer without pooling: :class:`~theorylab.analytic.three_layer.ThreeLayerLaw`, exact, for every rule and unit, and
    with biases: Gaussian ones with all that there is without, of others the mean.
    One hidden layer with max-pooling: :mod:`theorylab.analytic.pooled`, for the ReLU alone.  Other stacks of
    dense layers, convolutions, pools and residual blocks: :func:`~theorylab.analytic.depth_maps`, a limit of wide layers.  They
    hold for Gaussian filters; for others they are limits of large patches.  :func:`theorylab.draw` simulates the same maps.

    Methods, whose name is given for a rule: the map of input-x-gradient is ``x ⊙ S`` with ``S`` the gradient: its mean is
    ``x ⊙ E S``, which is 0, its variance ``x² ⊙ Var S``, and the maps of two logits are uncorrelated as their gradients are:
    their distance is ``√2``.  It is also the map of integrated-gradients from 0 and, as its epsilon falls to 0, of lrp-epsilon:
    without biases these stacks are homogeneous, and the gradient is the same all the way to 0 (Ancona et al. 2018).  grad-cam:
    :mod:`theorylab.analytic.cam`; smoothgrad, rectgrad, activation-weighted and excitation-pullback:
    :mod:`theorylab.analytic.other_gates`; lrp-alpha1beta0 and deep-taylor: :mod:`theorylab.analytic.relevance_maps`.  All other
    methods are refused by name.

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
    x = _validation.image(x, stack.input_shape).astype(np.float64, copy=False)
    method = rule.casefold() if isinstance(rule, str) else ""
    if method in TITLES and method not in _OF_METHODS:
        raise NoLaw(method=method, instead=ATTRIBUTE)
    taken = list(inspect.signature(_OF_METHODS[method]).parameters)[2:] if method in _OF_METHODS else []
    for name in options or {}:
        if name not in taken:
            has = f"it has {', '.join(taken)}" if taken else "it has none"
            raise TypeError(f"options: the law of {method or Rule(rule).value} has no option {name!r}: {has}")
    if method in _OF_METHODS:
        return _OF_METHODS[method](stack, x, **(options or {}))
    rule = Rule(rule)
    for number, layer in enumerate(stack.layers):
        if type(layer) not in _KNOWN:
            raise NoLaw(rule, stack.unit, f"layers[{number}], {layer!r}")
    single = single_layer(stack)
    if single is not None:
        hidden, pool = single
        kind = "exact" if isinstance(hidden.weights, Gaussian) else "limit"
        grid = grid_of(hidden, stack.input_shape)
        if pool is None:
            n, std = hidden.n_filters, hidden.std
            return ThreeLayerLaw(x, grid, rule, n, stack.readout, std, stack.unit, kind, hidden.bias)
        require_law(pool, rule, stack.unit, stack.readout)
        return _pooled(stack, x, rule, kind, hidden, pool, progress)
    return _deep(stack, x, rule, progress)


def _input_x_gradient(stack: Stack, x: np.ndarray) -> _Moments:
    plain = law(stack, x, Rule.SALIENCY)
    parts = (functools.partial(_times, x, plain, "mean"), functools.partial(_times, x**2, plain, "variance"))
    return _Moments(x, plain.rule, plain.kind, *parts)


def _times(factor: np.ndarray, plain: MapLaw, part: str) -> np.ndarray:
    return np.asarray(factor * getattr(plain, part))


def _require_no_biases(stack: Stack, method: str) -> None:
    """Refuse biases, with which a stack is not homogeneous, and the method is not input × gradient."""
    for number, layer in enumerate(stack.biased_layers):
        parts: Sequence[Layer] = (layer,)
        if isinstance(layer, Residual):
            parts = (*layer.branch, *(() if layer.shortcut is None else (layer.shortcut,)))
        if any(isinstance(part, (ConvSpec, Dense)) and part.bias is not None for part in parts):
            raise NoLaw(None, stack.unit, f"layers[{number}], {layer!r}, with biases", ATTRIBUTE, method)


def _integrated_gradients(stack: Stack, x: np.ndarray, *, baseline: float = 0.0) -> MapLaw:
    if np.any(baseline):
        what = "a baseline other than 0"
        raise NoLaw(None, stack.unit, what, ATTRIBUTE, "integrated-gradients")
    _require_no_biases(stack, "integrated-gradients")
    return _input_x_gradient(stack, x)


def _lrp_epsilon(stack: Stack, x: np.ndarray) -> MapLaw:
    _require_no_biases(stack, "lrp-epsilon")
    return dataclasses.replace(_input_x_gradient(stack, x), kind="limit")


def _smoothgrad(
    stack: Stack, x: np.ndarray, *, noise: float = 0.15, draws: int = 50, rule: Rule | str = "saliency"
) -> MapLaw:
    blind = not Rule(rule).gate and not any(isinstance(layer, MaxPool) for layer in stack.layers)
    if blind or noise == 0 or np.ptp(x) == 0:
        return law(stack, x, rule)
    return other_gates.smoothgrad(stack, x, noise=noise, draws=draws, rule=rule)


_OF_METHODS: dict[str, Callable[..., MapLaw]] = {
    "input-x-gradient": _input_x_gradient,
    "integrated-gradients": _integrated_gradients,
    "smoothgrad": _smoothgrad,
    "grad-cam": cam.of_stack,
    "rectgrad": other_gates.rectgrad,
    "lrp-epsilon": _lrp_epsilon,
    "lrp-alpha1beta0": relevance_maps.lrp_alpha1beta0,
    "deep-taylor": relevance_maps.deep_taylor,
    "activation-weighted": other_gates.activation_weighted,
    "excitation-pullback": other_gates.excitation_pullback,
}
"""The law of each method that has one, of a stack and a picture that fits it; :class:`NoLaw` where the stack has none."""


def _pooled(
    stack: Stack,
    x: np.ndarray,
    rule: Rule,
    kind: str,
    hidden: ConvSpec,
    pool: MaxPool,
    progress: Callable[[int, int], None] | None,
) -> _Moments:
    grid = grid_of(hidden, stack.input_shape)
    try:
        longer, wide = _biases.longer(x, grid, hidden.std, hidden.bias)
    except NoLaw as refusal:
        raise NoLaw(rule, stack.unit, f"{refusal.layer} behind {pool!r}") from None
    options: dict[str, Any] = {"law": stack.readout, "pool": pool, "filter_std": hidden.std}

    def seen(moment: Callable[..., np.ndarray], **more: Any) -> Callable[[], np.ndarray]:
        whole = functools.partial(moment, longer, wide, rule, hidden.n_filters, **options, **more)
        return functools.partial(_seen, whole, grid, hidden.bias)

    mean, variance = (seen(one, progress=progress) for one in (pooled_mean_map, pooled_variance_map))
    distance = functools.partial(_own_distance, seen(pooled_own_variance))
    return _Moments(x, rule, kind, mean, variance, distance)


def _seen(whole: Callable[[], np.ndarray], grid: PatchGrid, bias: BiasLaw | None) -> np.ndarray:
    return _biases.seen(whole(), grid, bias)


def _own_distance(own: Callable[[], np.ndarray], known: MapLaw) -> float:
    return math.sqrt(2 * float(own().sum()) / known.energy)


def _deep(stack: Stack, x: np.ndarray, rule: Rule, progress: Callable[[int, int], None] | None) -> _Moments:
    layers: list[Layer] = []
    for number, layer in enumerate(stack.biased_layers):
        if isinstance(layer, MaxPool) and not (layers and not isinstance(layers[-1], MaxPool)):
            raise NoLaw(rule, stack.unit, f"layers[{number}], a MaxPool that pools no unit")
        if not isinstance(layer, AdaptiveAveragePool):
            layers.append(layer)
            continue
        shape = stack.reads(number)
        if shape[1:] != layer.plane:
            if number + 1 < len(stack.layers) or layer.plane != (1, 1):
                what = f"layers[{number}], {layer!r} of a plane of {shape[1]}×{shape[2]}"
                instead = f"take a picture that makes it {layer.plane[0]}×{layer.plane[1]}, or {SIMULATE}"
                raise NoLaw(rule, stack.unit, what, instead)
            layers.append(layer)
    record = depth_maps(x, layers, rule, readout=stack.readout, unit=stack.unit, progress=progress)[-1]
    mean, variance = record.mean_map, record.variance_map
    assert mean is not None  # the input's record has both
    assert variance is not None
    parts = (functools.partial(np.asarray, mean), functools.partial(np.asarray, variance))
    return _Moments(x, rule, "limit", *parts, functools.partial(_recorded, record))


def _recorded(record: LayerMaps, _: MapLaw) -> float:
    return record.class_distance
