"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.of_stack import law
from theorylab.analytic.pooled import pooled_mean_maps
from theorylab.analytic.three_layer import MapLaw
from theorylab.analytic.tolerances import Tolerance, tolerance
from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, rules_named
from theorylab.model.laws import STANDARD_NORMAL
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec
from theorylab.model.stack import Stack, grid_of, single_layer
from theorylab.progress import Progress

LAWS = {
    "exact": "the law is exact for every number of filters",
    "limit": "the law is a limit of large patches; with Gaussian filters it is exact",
}
"""What is said of the law of one hidden layer, by its kind."""
_NO_SPREAD = "there is no law of the standard deviation"
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
        with the mean map, as ratios of expectations.  Behind a max-pool the standard deviation, of which there is no law, is
        left out, and the cosines are estimates.  The notes say how far off the law may be.

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
    notes: dict[str, list[str]] = {}
    for each in rules_named(rule):
        report = None if progress is None else functools.partial(progress, f"{each.title}, the law")
        known = law(stack, x, each, progress=report)
        maps, cosines = _maps_and_cosines(stack, known)
        if not panels or len(maps) > 1:  # the input before each pair of maps, else once
            panels.append(MapPanel("input", x))
        said = ["" if known.mean.any() else "the mean is zero", _NO_SPREAD if len(maps) == 1 else ""]
        beside = {"mean": ", ".join(filter(None, said))}
        panels += [
            MapPanel(f"{each.title}: {name}", map_, note=beside.get(name, "")) for name, map_ in maps.items()
        ]
        rows.append((each.title, *map(_cell, cosines)))
        row: dict[str, Any] = {"rule": each.value}
        for name, (value, error) in zip(("input", "mean_map"), cosines, strict=True):
            row[f"expected_cosine_with_{name}"] = value
            row[f"standard_error_with_{name}"] = None if value is None else error
        off = _tolerance(stack, each)
        law_words = (
            LAWS[known.kind] if off is None else f"the law is a limit of wide layers, measured as {off.words}"
        )
        for sentence in (
            law_words,
            *([f"{_NO_SPREAD} behind a max-pool, so none is shown"] if len(maps) == 1 else []),
        ):
            notes.setdefault(sentence, []).append(each.title)
        numbers.append(row | {"law": known.kind, "tolerance": None if off is None else off._asdict()})
    return Exhibit(
        MapFigure("prediction", "Predicted maps of one logit; no network was run.", tuple(panels)),
        ("rule", "expected cosine with the input", "with the mean map"),
        tuple(rows),
        {"input_shape": list(x.shape), "maps": numbers},
        tuple(f"{', '.join(titles)}: {said}." for said, titles in notes.items()),
    )


def _tolerance(stack: Stack, rule: Rule) -> Tolerance | None:
    """Say how far off the law of a deep stack may be; None for one layer, whose law is no limit of wide layers."""
    if single_layer(stack) is not None:
        return None
    layers = [layer for layer in stack.layers if not isinstance(layer, AdaptiveAveragePool)]
    return tolerance(stack.input_shape, layers, rule)


def _cell(cosine: Cosine) -> str | float | tuple[float, float]:
    value, error = cosine
    if value is None:
        return "mean is zero"
    return (value, error) if error else value


def _maps_and_cosines(stack: Stack, known: MapLaw) -> tuple[dict[str, np.ndarray], list[Cosine]]:
    """Return a rule's maps by name, and expected cosines of one map with the input and with the mean map."""
    mean = known.mean
    try:
        maps = {"mean": mean, "standard deviation": np.sqrt(known.variance)}
        return maps, [
            (known.expected_cosine(target) if mean.any() or target == "input" else None, 0.0)
            for target in ("input", "mean")
        ]
    except NoLaw:
        return {"mean": mean}, _estimated_cosines(stack, known.x, known.rule, mean)


def _estimated_cosines(stack: Stack, x: np.ndarray, rule: Rule, mean: np.ndarray) -> list[Cosine]:
    """Estimate cosines from drawn filters where the variance has no law: three layers with a max-pool."""
    from theorylab import estimates

    filters, pool = stack.layers
    assert isinstance(filters, ConvSpec)
    assert isinstance(pool, MaxPool)
    if not mean.any():
        return [(0.0, 0.0), (None, 0.0)]
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
