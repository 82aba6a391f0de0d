"""Maps of one picture as the theory predicts them: closed form, no network is run."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab.report.maps import RULE_NAMES, Shown, rules
from theorylab.report.results import MapFigure, MapPanel
from theorylab.rules import Rule

if TYPE_CHECKING:
    from theorylab.laws import WeightLaw
    from theorylab.patches import PatchGrid

Progress = Callable[[str, int, int], None]

_HEADER = ("rule", "expected cosine with the input", "with the mean map")


def predicted(
    x: np.ndarray,
    *,
    n_filters: int = 256,
    kernel: int = 7,
    stride: int = 2,
    pool: int | None = None,
    rule: Rule | str = "guided",
    progress: Progress | None = None,
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
        panels.append(MapPanel(f"{RULE_NAMES[one]}: mean", mean))
        panels.append(MapPanel(f"{RULE_NAMES[one]}: standard deviation", np.sqrt(variance)))
        to_input = analytic.expected_cosine(x, grid, one, n_filters, law=law, filter_std=std)
        # A mean map of zeros has no direction.
        to_mean: float | str = "mean is zero"
        if mean.any():
            to_mean = analytic.expected_cosine(
                x, grid, one, n_filters, law=law, filter_std=std, target="mean"
            )
        rows.append((RULE_NAMES[one], to_input, to_mean))
    caption = f"Predicted maps of one logit, {n_filters} filters of {kernel}×{kernel}, stride {stride}."
    figure = MapFigure("prediction", caption, tuple(panels))
    settings = {"n_filters": n_filters, "kernel": kernel, "stride": stride, "pool": None}
    found = [_numbers(one, *row[1:]) for one, row in zip(rules(rule), rows, strict=True)]
    return Shown(figure, _HEADER, tuple(rows), _described("cnn", x, settings, found))


def _described(network: str, x: np.ndarray, settings: dict[str, Any], maps: list[dict]) -> dict[str, Any]:
    return {"network": network, "input_shape": list(x.shape), **settings, "maps": maps}


def _numbers(
    rule: Rule, to_input: float | str, to_mean: float | str, errors: Sequence[float] = (0.0, 0.0)
) -> dict[str, Any]:
    """One rule's row for programs: words, which stand where there is no number, become None."""
    row: dict[str, Any] = {"rule": rule.value}
    for name, value, error in zip(("input", "mean_map"), (to_input, to_mean), errors, strict=True):
        known = not isinstance(value, str)
        row[f"expected_cosine_with_{name}"] = value if known else None
        row[f"standard_error_with_{name}"] = error if known else None
    return row


def _predicted_pooled(
    x: np.ndarray,
    grid: PatchGrid,
    law: WeightLaw,
    std: float,
    n_filters: int,
    side: int,
    chosen: tuple[Rule, ...],
    progress: Progress | None,
) -> Shown:
    from theorylab import analytic, estimates
    from theorylab.laws import Gaussian
    from theorylab.pooling import MaxPool

    windows = MaxPool(side)
    panels, rows, numbers = [MapPanel("input", x)], [], []
    for one in chosen:
        report = None if progress is None else functools.partial(progress, f"{RULE_NAMES[one]}, windows")
        alone = analytic.pooled_mean_map(x, grid, one, 1, pool=windows, progress=report)
        # One filter and unit laws: the map is proportional to both, and the cosines need no other.
        mean = n_filters * law.relu_mean * std / Gaussian(1.0).relu_mean * alone
        panels.append(MapPanel(f"{RULE_NAMES[one]}: mean", mean))
        found: list[float | str] = []
        values: list[float | str] = []
        errors: list[float] = []
        for target in ("input", "mean"):
            if not mean.any():
                found.append("mean is zero")
                values.append("mean is zero")
                errors.append(0.0)
                continue
            value, error = estimates.pooled_expected_cosine(
                x, grid, one, n_filters, law=law, pool=windows, target=target, unit_mean=alone
            )
            found.append(f"{value:.3f} ± {error:.3f}")
            values.append(value)
            errors.append(error)
        rows.append((RULE_NAMES[one], *found))
        numbers.append(_numbers(one, values[0], values[1], errors))
    caption = f"Predicted mean maps of one logit, {n_filters} filters, max-pooling windows of {side}×{side}."
    settings = {"n_filters": n_filters, "kernel": grid.kernel[0], "stride": grid.stride[0], "pool": side}
    figure = MapFigure("prediction", caption, tuple(panels))
    return Shown(figure, _HEADER, tuple(rows), _described("cnn", x, settings, numbers))


def predicted_vgg16(x: np.ndarray, *, rule: Rule | str = "guided", progress: Progress | None = None) -> Shown:
    """The maps of a random VGG-16 as the laws of depth predict them: no network is run.

    Parameters
    ----------
    x : (C, H, W) array
        224 to 255 pixels a side.
    rule : Rule, str or "all"
    progress : callable, optional
        ``progress(what, done, total)``.

    Returns
    -------
    Shown
        The mean map and the standard deviation of each pixel; expected cosines of one map with the input and with the mean
        map, as ratios of expectations.

    Raises
    ------
    TypeError, ValueError
        For an unknown rule, or a picture of another size.
    """
    from theorylab import analytic, models
    from theorylab.laws import TruncatedGaussian

    chosen = rules(rule)
    std = math.sqrt(TruncatedGaussian(0.1).variance)
    stack = models.vgg16(input_shape=x.shape, std=std)
    panels, rows = [], []
    for one in chosen:
        report = None if progress is None else functools.partial(progress, f"{RULE_NAMES[one]}, layers")
        image = analytic.depth_maps(x, stack.layers, one, readout_std=std, progress=report)[-1]
        assert image.mean_map is not None
        assert image.variance_map is not None
        panels.append(MapPanel("input", x))
        panels.append(MapPanel(f"{RULE_NAMES[one]}: mean", image.mean_map))
        panels.append(MapPanel(f"{RULE_NAMES[one]}: standard deviation", np.sqrt(image.variance_map)))
        signal = float((image.mean_map**2).sum())
        share = math.sqrt(signal / (signal + float(image.variance_map.sum())))
        rows.append((RULE_NAMES[one], image.alignment, share if signal else "mean is zero"))
    caption = "Predicted maps of one logit of a random VGG-16; no network was run."
    found = [_numbers(one, *row[1:]) for one, row in zip(chosen, rows, strict=True)]
    figure = MapFigure("prediction", caption, tuple(panels))
    return Shown(figure, _HEADER, tuple(rows), _described("vgg16", x, {}, found))
