"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import dataclasses
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

_HEADER = ("rule", "expected cosine with the input", "with the mean map")

Cosine = tuple[float | None, float]
"""A value, None where the mean map is zero and has no direction, and its standard error, 0 where it is exact."""


@dataclasses.dataclass(frozen=True)
class _Prediction:
    """One rule's maps by their names, and the expected cosines of one map with the input and with the mean map."""

    rule: Rule
    maps: dict[str, np.ndarray]
    to_input: Cosine
    to_mean: Cosine

    def row(self) -> tuple[float | str, ...]:
        """Return a row for people."""
        return self.rule.title, _cell(self.to_input), _cell(self.to_mean)

    def numbers(self) -> dict[str, Any]:
        """Return numbers for programs."""
        row: dict[str, Any] = {"rule": self.rule.value}
        for name, (value, error) in (("input", self.to_input), ("mean_map", self.to_mean)):
            row[f"expected_cosine_with_{name}"] = value
            row[f"standard_error_with_{name}"] = None if value is None else error
        return row


def _cell(cosine: Cosine) -> float | str:
    value, error = cosine
    if value is None:
        return "mean is zero"
    return f"{value:.3f} ± {error:.3f}" if error else value


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
    predictions = [_prediction(stack, x, each, progress) for each in rules_named(rule)]
    panels: list[MapPanel] = []
    for prediction in predictions:
        if not panels or len(prediction.maps) > 1:  # the input before each pair of maps, else once
            panels.append(MapPanel("input", x))
        panels += [
            MapPanel(f"{prediction.rule.title}: {name}", map_) for name, map_ in prediction.maps.items()
        ]
    return Exhibit(
        MapFigure("prediction", "Predicted maps of one logit; no network was run.", tuple(panels)),
        _HEADER,
        tuple(prediction.row() for prediction in predictions),
        {"input_shape": list(x.shape), "maps": [prediction.numbers() for prediction in predictions]},
    )


def _prediction(stack: Stack, x: np.ndarray, rule: Rule, progress: Progress | None) -> _Prediction:
    from theorylab.analytic.of_stack import law

    report = None if progress is None else functools.partial(progress, f"{rule.title}, the law")
    known = law(stack, x, rule, progress=report)
    mean = known.mean
    try:
        maps = {"mean": mean, "standard deviation": np.sqrt(known.variance)}
        cosines: list[Cosine] = [
            (known.expected_cosine(target) if mean.any() or target == "input" else None, 0.0)
            for target in ("input", "mean")
        ]
    except NoLaw:
        maps, cosines = {"mean": mean}, _estimated_cosines(stack, x, rule, mean)
    return _Prediction(rule, maps, *cosines)


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
