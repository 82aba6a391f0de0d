"""Maps of one picture, seen (one random network) or predicted (closed form), with a few numbers."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab.report.results import MapFigure, MapPanel
from theorylab.rules import Rule

if TYPE_CHECKING:
    from theorylab.laws import WeightLaw
    from theorylab.patches import PatchGrid

_NAMES = {
    Rule.SALIENCY: "saliency map",
    Rule.DECONVNET: "DeconvNet",
    Rule.GUIDED: "guided backpropagation",
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure, and rows of numbers under a header, all as words.

    Attributes
    ----------
    figure : MapFigure
    header : tuple of str
    rows : tuple of tuples of float or str
        One for each rule, as long as the header.
    """

    figure: MapFigure
    header: tuple[str, ...]
    rows: tuple[tuple[float | str, ...], ...]


def rules(name: Rule | str) -> tuple[Rule, ...]:
    """One rule, or all of them for ``"all"``.

    Raises
    ------
    ValueError
        If there is no such rule.

    Examples
    --------
    >>> rules("guided")
    (<Rule.GUIDED: 'guided'>,)
    """
    return tuple(Rule) if name == "all" else (Rule(name),)


def visualized(
    x: np.ndarray,
    *,
    network: str = "cnn",
    n_filters: int | None = None,
    kernel: int = 7,
    stride: int = 2,
    n_logits: int = 10,
    pool: int | None = None,
    rule: Rule | str = "all",
    target: str | int = "max",
    seed: int = 0,
) -> Shown:
    """The maps of one random network.

    Parameters
    ----------
    x : (C, H, W) array
    network : {"cnn", "fcn", "vgg16", "resnet50"}
        Three layers, or one of the deep networks.
    n_filters : int, optional
        Filters of the CNN (256 if not given), or hidden units of the FCN (4096).
    kernel, stride : int
        Of the CNN.
    n_logits : int
    pool : int, optional
        Side of the CNN's max-pooling windows.
    rule : Rule, str or "all"
    target : str or int
        "max", "random", "cost" or the index of a logit.
    seed : int

    Returns
    -------
    Shown
        The norm of each raw map and its cosine with the input.

    Raises
    ------
    TypeError, ValueError
        For an unknown network, rule or target, or sizes that do not fit.

    Examples
    --------
    >>> shown = visualized(np.ones((1, 6, 6)), n_filters=8, kernel=3, rule="guided")
    >>> [panel.title for panel in shown.figure.panels]
    ['input', 'guided backpropagation']
    """
    from theorylab import networks, visualization
    from theorylab.patches import PatchGrid
    from theorylab.pooling import MaxPool

    net: Any
    if network in ("vgg16", "resnet50"):
        for name, given in (("filters", n_filters), ("pool", pool)):
            if given is not None:
                raise ValueError(f"{name}: {network} has its own layers, there is nothing to choose")
        build = networks.vgg16 if network == "vgg16" else networks.resnet50
        net = build(input_shape=x.shape, n_logits=n_logits, seed=seed)
    elif network == "cnn":
        grid = PatchGrid(x.shape, kernel, stride)
        windows = None if pool is None else MaxPool(pool)
        net = networks.three_layer_cnn(grid, n_filters or 256, n_logits, windows, seed=seed)
    elif network == "fcn":
        if pool is not None:
            raise ValueError("pool: the fully connected network has one position, nothing can be pooled")
        net = networks.three_layer_fcn(x.shape, n_hidden=n_filters or 4096, n_logits=n_logits, seed=seed)
    else:
        raise ValueError(f"network: unknown {network!r}, choose 'cnn', 'fcn', 'vgg16' or 'resnet50'")
    chosen = rules(rule)
    maps = visualization.visualize_many(net, x, chosen, [target], seed=seed)[:, 0]
    figure = MapFigure(
        "maps",
        f"Raw maps of the logit {target!r} of a random network ({network}).",
        (MapPanel("input", x), *map(MapPanel, [_NAMES[r] for r in chosen], maps)),
    )
    pairs = zip(chosen, maps, strict=True)
    rows = tuple((_NAMES[one], float(np.linalg.norm(found)), cosine(found, x)) for one, found in pairs)
    return Shown(figure, ("rule", "norm of the map", "cosine with the input"), rows)


def predicted(
    x: np.ndarray,
    *,
    n_filters: int = 256,
    kernel: int = 7,
    stride: int = 2,
    pool: int | None = None,
    rule: Rule | str = "guided",
    progress: Callable[[str, int, int], None] | None = None,
) -> Shown:
    """The closed-form maps of the random three-layer CNN: no network is simulated.

    Parameters
    ----------
    x : (C, H, W) array
    n_filters, kernel, stride : int
    pool : int, optional
        Side of max-pooling windows.  With them the standard deviation is left out and the cosines are estimates.
    rule : Rule, str or "all"
    progress : callable, optional
        ``progress(what, done, total)`` while large windows are integrated.

    Returns
    -------
    Shown
        The mean map and the standard deviation of each entry; expected cosines of one map with the input and
        with the mean map.

    Raises
    ------
    TypeError, ValueError
        For an unknown rule, or sizes that do not fit.

    Examples
    --------
    >>> shown = predicted(np.ones((1, 6, 6)), n_filters=8, kernel=3)
    >>> [panel.title for panel in shown.figure.panels]
    ['input', 'guided backpropagation: mean', 'guided backpropagation: standard deviation']
    """
    from theorylab import analytic
    from theorylab.laws import TruncatedGaussian
    from theorylab.patches import PatchGrid

    grid, law = PatchGrid(x.shape, kernel, stride), TruncatedGaussian(0.1)
    # The networks draw their filters from the truncated law too; its true deviation is below its parameter.
    std = math.sqrt(law.variance)
    if pool is not None:
        return _predicted_pooled(x, grid, law, std, n_filters, pool, rules(rule), progress)
    panels, rows = [], []
    for one in rules(rule):
        mean = analytic.mean_map(x, grid, one, n_filters, law=law, filter_std=std)
        variance = analytic.variance_map(x, grid, one, n_filters, law=law, filter_std=std)
        panels.append(MapPanel("input", x))
        panels.append(MapPanel(f"{_NAMES[one]}: mean", mean))
        panels.append(MapPanel(f"{_NAMES[one]}: standard deviation", np.sqrt(variance)))
        to_input = analytic.expected_cosine(x, grid, one, n_filters, law=law, filter_std=std)
        # A mean map of zeros has no direction.
        to_mean: float | str = "mean is zero"
        if mean.any():
            to_mean = analytic.expected_cosine(
                x, grid, one, n_filters, law=law, filter_std=std, target="mean"
            )
        rows.append((_NAMES[one], to_input, to_mean))
    caption = f"Predicted maps of one logit, {n_filters} filters of {kernel}×{kernel}, stride {stride}."
    figure = MapFigure("prediction", caption, tuple(panels))
    return Shown(figure, ("rule", "expected cosine with the input", "with the mean map"), tuple(rows))


def _predicted_pooled(
    x: np.ndarray,
    grid: PatchGrid,
    law: WeightLaw,
    std: float,
    n_filters: int,
    side: int,
    chosen: tuple[Rule, ...],
    progress: Callable[[str, int, int], None] | None,
) -> Shown:
    from theorylab import analytic
    from theorylab.laws import Gaussian
    from theorylab.pooling import MaxPool

    windows = MaxPool(side)
    panels, rows = [MapPanel("input", x)], []
    for one in chosen:
        report = None if progress is None else functools.partial(progress, f"{_NAMES[one]}, windows")
        alone = analytic.pooled_mean_map(x, grid, one, 1, pool=windows, progress=report)
        # One filter and unit laws: the map is proportional to both, and the cosines need no other.
        mean = n_filters * law.relu_mean * std / Gaussian(1.0).relu_mean * alone
        panels.append(MapPanel(f"{_NAMES[one]}: mean", mean))
        found: list[float | str] = []
        for target in ("input", "mean"):
            if not mean.any():
                found.append("mean is zero")
                continue
            value, error = analytic.pooled_expected_cosine(
                x, grid, one, n_filters, law=law, pool=windows, target=target, unit_mean=alone
            )
            found.append(f"{value:.3f} ± {error:.3f}")
        rows.append((_NAMES[one], *found))
    caption = f"Predicted mean maps of one logit, {n_filters} filters, max-pooling windows of {side}×{side}."
    header = ("rule", "expected cosine with the input", "with the mean map")
    return Shown(MapFigure("prediction", caption, tuple(panels)), header, tuple(rows))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two maps; NaN where one of them is zero.

    Examples
    --------
    >>> cosine(np.array([3.0, 4.0]), np.array([1.0, 0.0]))
    0.6
    """
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norms if norms else math.nan
