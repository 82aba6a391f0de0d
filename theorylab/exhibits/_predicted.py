"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from theorylab.analytic.finite_width import finite_width_profile
from theorylab.analytic.of_stack import law
from theorylab.analytic.pooled import pooled_mean_maps
from theorylab.analytic.three_layer import MapLaw
from theorylab.analytic.tolerances import Tolerance, tolerance
from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, rules_named
from theorylab.model.laws import Gaussian
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense
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
        with the mean map, as ratios of expectations.  Behind a max-pool of large or overlapping windows the cosines are
        estimates.  The notes say how far off the law may be.

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
        panels.append(MapPanel("input", x))
        beside = {"mean": "" if one.maps["mean"].any() else MEAN_IS_ZERO}
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
    return Prediction(rule, maps, cosines, known.kind, (words, *_narrow(stack, rule)), off)


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


def _narrow(stack: Stack, rule: Rule) -> tuple[str, ...]:
    """Say what finite widths make of the cosine with the input, where that is known: dense layers of Gaussian weights."""
    for layer in stack.biased_layers:
        if not isinstance(layer, Dense) or layer.bias is not None or not isinstance(layer.weights, Gaussian):
            return ()
    if not isinstance(stack.readout, Gaussian) or not rule.gate or rule.up + rule.down == 0:
        return ()
    widths = [math.prod(shape) for shape in (stack.input_shape, *stack.shapes)]
    found = finite_width_profile(widths, rule, unit=stack.unit)[-1]
    return (
        f"layers of these widths have a mean cosine with the input of about {found.cosine:.3f}, and a ratio of expectations of "
        f"{found.alignment:.3f}",
    )


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
    maps = {"mean": mean, "standard deviation": np.sqrt(known.variance)}
    single = single_layer(stack)
    pool = None if single is None else single[1]
    if mean.any() and pool is not None and not (pool.disjoint and math.prod(pool.size) <= 4):
        return maps, _estimated_cosines(stack, known.x, known.rule)
    return maps, [
        (known.expected_cosine(target) if mean.any() or target == "input" else None, 0.0)
        for target in ("input", "mean")
    ]


def _estimated_cosines(stack: Stack, x: np.ndarray, rule: Rule) -> list[Cosine]:
    """Estimate cosines with the error of what is integrated in the mean map: three layers with large or overlapping windows."""
    from theorylab import estimates

    filters, pool = stack.layers
    assert isinstance(filters, ConvSpec)
    assert isinstance(pool, MaxPool)
    grid = grid_of(filters, stack.input_shape)
    means = pooled_mean_maps(x, grid, rule, 1, pool=pool)
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
