"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.pooled import pooled_mean_maps
from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, rules_named
from theorylab.model.laws import STANDARD_NORMAL
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec
from theorylab.model.stack import Stack, grid_of
from theorylab.progress import Progress

Cosine = tuple[float | None, float]
"""A value, None where the mean map is zero and has no direction, and its standard error, 0 where it is exact."""


def predicted(
    stack: Stack, x: np.ndarray, *, rule: Rule | str = "guided", progress: Progress | None = None
) -> Exhibit:
    """Predict the maps of a random network in closed form; no network is simulated.

    Parameters
    ----------
    stack : Stack
    x : (C, H, W) array
    rule : Rule, str or "all"
    progress : callable, optional
        ``progress(label, done, total)`` where a law takes long.

    Returns
    -------
    Exhibit
        The mean map and the standard deviation of each entry; expected cosines of one map with the input and
        with the mean map, as ratios of expectations.  Behind a max-pool the standard deviation is left out, and the cosines
        are estimates.

    Raises
    ------
    NoLaw
        As :func:`theorylab.law`.
    TypeError, ValueError
        For an unknown rule, or sizes that do not fit.

    Examples
    --------
    >>> from theorylab import PatchGrid
    >>> from theorylab.model import models
    >>> exhibit = predicted(models.three_layer(PatchGrid((1, 6, 6), kernel=3), 8), np.ones((1, 6, 6)))
    >>> [panel.title for panel in exhibit.figure.panels]
    ['input', 'guided backpropagation: mean', 'guided backpropagation: standard deviation']
    """
    panels: list[MapPanel] = []
    rows, numbers = [], []
    for each in rules_named(rule):
        maps, cosines = _maps_and_cosines(stack, x, each, progress)
        if not panels or len(maps) > 1:  # the input before each pair of maps, else once
            panels.append(MapPanel("input", x))
        panels += [MapPanel(f"{each.title}: {name}", map_) for name, map_ in maps.items()]
        rows.append((each.title, *map(_cell, cosines)))
        row: dict[str, Any] = {"rule": each.value}
        for name, (value, error) in zip(("input", "mean_map"), cosines, strict=True):
            row[f"expected_cosine_with_{name}"] = value
            row[f"standard_error_with_{name}"] = None if value is None else error
        numbers.append(row)
    return Exhibit(
        MapFigure("prediction", "Predicted maps of one logit; no network was run.", tuple(panels)),
        ("rule", "expected cosine with the input", "with the mean map"),
        tuple(rows),
        {"input_shape": list(x.shape), "maps": numbers},
    )


def _cell(cosine: Cosine) -> float | str:
    value, error = cosine
    if value is None:
        return "mean is zero"
    return f"{value:.3f} ± {error:.3f}" if error else value


def _maps_and_cosines(
    stack: Stack, x: np.ndarray, rule: Rule, progress: Progress | None
) -> tuple[dict[str, np.ndarray], list[Cosine]]:
    """Return a rule's maps by name, and expected cosines of one map with the input and with the mean map."""
    from theorylab.analytic.of_stack import law

    report = None if progress is None else functools.partial(progress, f"{rule.title}, the law")
    known = law(stack, x, rule, progress=report)
    mean = known.mean
    try:
        maps = {"mean": mean, "standard deviation": np.sqrt(known.variance)}
        return maps, [
            (known.expected_cosine(target) if mean.any() or target == "input" else None, 0.0)
            for target in ("input", "mean")
        ]
    except NoLaw:
        return {"mean": mean}, _estimated_cosines(stack, x, rule, mean)


def _estimated_cosines(stack: Stack, x: np.ndarray, rule: Rule, mean: np.ndarray) -> list[Cosine]:
    """Estimate cosines from drawn filters where the variance has no law: three layers with a max-pool."""
    from theorylab import estimates

    filters, pool = stack.layers
    assert isinstance(filters, ConvSpec)
    assert isinstance(pool, MaxPool)
    if not mean.any():
        return [(None, 0.0), (None, 0.0)]
    grid = grid_of(filters, stack.input_shape)
    # The mean map of one filter and unit laws, to both of which it is proportional; large windows are integrated once more,
    # for the error of the integrals.
    unit = filters.n_filters * filters.std * stack.readout.relu_mean / STANDARD_NORMAL.relu_mean
    means = mean / unit if math.prod(pool.size) <= 4 else pooled_mean_maps(x, grid, rule, 1, pool=pool)
    return [
        estimates.pooled_expected_cosine(
            x,
            grid,
            rule,
            filters.n_filters,
            law=stack.readout,
            pool=pool,
            target=target,
            unit_mean=means,
        )
        for target in ("input", "mean")
    ]
