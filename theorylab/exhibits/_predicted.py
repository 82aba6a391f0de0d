"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
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
EXPECTED = ("expected cosine with the input", "with the mean map")
"""Titles of the columns of cosines."""
MEAN_IS_ZERO = "the mean is zero"
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
    found = [by_law(stack, x, each, progress) for each in rules_named(rule)]
    for one in found:
        if not panels or len(one.maps) > 1:  # the input before each pair of maps, else once
            panels.append(MapPanel("input", x))
        said = ["" if one.maps["mean"].any() else MEAN_IS_ZERO, _NO_SPREAD if len(one.maps) == 1 else ""]
        beside = {"mean": ", ".join(filter(None, said))}
        panels += [
            MapPanel(f"{one.rule.title}: {name}", map_, note=beside.get(name, ""))
            for name, map_ in one.maps.items()
        ]
    caption = "Predicted maps of one logit; no network was run."
    return Exhibit(
        MapFigure("prediction", caption, tuple(panels), caption.rstrip(".")),
        ("rule", *EXPECTED),
        tuple((one.rule.title, *map(cell, one.cosines)) for one in found),
        {"input_shape": list(x.shape), "maps": [one.numbers for one in found]},
        said_of(found),
    )


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is predicted of one rule's map: maps by name, cosines with the input and with the mean map, and where that is from."""

    rule: Rule
    maps: dict[str, np.ndarray]
    cosines: list[Cosine]
    law: str
    notes: tuple[str, ...]
    off: Tolerance | None = None

    @property
    def numbers(self) -> dict[str, Any]:
        """For programs."""
        row: dict[str, Any] = {"rule": self.rule.value}
        for name, (value, error) in zip(("input", "mean_map"), self.cosines, strict=True):
            row[f"expected_cosine_with_{name}"] = value
            row[f"standard_error_with_{name}"] = None if value is None or math.isnan(value) else error
        return row | {"law": self.law, "tolerance": None if self.off is None else self.off._asdict()}


def by_law(stack: Stack, x: np.ndarray, rule: Rule, progress: Progress | None) -> Prediction:
    """Predict the map of a rule in closed form, or raise NoLaw."""
    report = None if progress is None else functools.partial(progress, f"{rule.title}, the law")
    known = law(stack, x, rule, progress=report)
    maps, cosines = _maps_and_cosines(stack, known)
    off = _tolerance(stack, rule)
    words = LAWS[known.kind] if off is None else f"the law is a limit of wide layers, measured as {off.words}"
    spread = (f"{_NO_SPREAD} behind a max-pool, so none is shown",) if len(maps) == 1 else ()
    return Prediction(rule, maps, cosines, known.kind, (words, *spread), off)


def said_of(found: Iterable[Prediction]) -> tuple[str, ...]:
    """Return the notes, a line each, that name the rules which they are about."""
    notes: dict[str, list[str]] = {}
    for one in found:
        for sentence in one.notes:
            notes.setdefault(sentence, []).append(one.rule.title)
    return tuple(f"{', '.join(titles)}: {said}." for said, titles in notes.items())


def _tolerance(stack: Stack, rule: Rule) -> Tolerance | None:
    """Say how far off the law of a deep stack may be; None for one layer, whose law is no limit of wide layers."""
    if single_layer(stack) is not None:
        return None
    layers = [layer for layer in stack.layers if not isinstance(layer, AdaptiveAveragePool)]
    return tolerance(stack.input_shape, layers, rule)


def cell(cosine: Cosine) -> str | float | tuple[float, float]:
    """Return a cosine for a table."""
    value, error = cosine
    if value is None:
        return "mean is zero"
    if math.isnan(value):
        return "not known"
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
    closed = pool.disjoint and math.prod(pool.size) <= 4
    means = mean / unit if closed else pooled_mean_maps(x, grid, rule, 1, pool=pool)
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
