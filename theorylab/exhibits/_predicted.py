"""Maps of one picture as the theory predicts them: no network is run."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, rules_named, title
from theorylab.progress import Progress
from theorylab.rules import Rule

if TYPE_CHECKING:
    from theorylab.patches import PatchGrid
    from theorylab.pooling import MaxPool

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
        """For people."""
        return title(self.rule), _cell(self.to_input), _cell(self.to_mean)

    def numbers(self) -> dict[str, Any]:
        """For programs."""
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
    x: np.ndarray,
    *,
    n_filters: int = 256,
    kernel: int = 7,
    stride: int = 2,
    pool: int | None = None,
    rule: Rule | str = "guided",
    progress: Progress | None = None,
) -> Exhibit:
    """The closed-form maps of the random three-layer CNN: no network is simulated.

    Parameters
    ----------
    x : (C, H, W) array
    n_filters, kernel, stride : int
    pool : int, optional
        Side of max-pooling windows.  With them the standard deviation is left out and the cosines are estimates.
    rule : Rule, str or "all"
    progress : callable, optional
        ``progress(label, done, total)`` while large windows are integrated.

    Returns
    -------
    Exhibit
        The mean map and the standard deviation of each entry; expected cosines of one map with the input and
        with the mean map.

    Raises
    ------
    TypeError, ValueError
        For an unknown rule, or sizes that do not fit.

    Examples
    --------
    >>> exhibit = predicted(np.ones((1, 6, 6)), n_filters=8, kernel=3)
    >>> [panel.title for panel in exhibit.figure.panels]
    ['input', 'guided backpropagation: mean', 'guided backpropagation: standard deviation']
    """
    from theorylab.patches import PatchGrid
    from theorylab.pooling import MaxPool

    grid = PatchGrid(x.shape, kernel, stride)
    settings = {"n_filters": n_filters, "kernel": kernel, "stride": stride, "pool": pool}
    if pool is None:
        what = f"maps of one logit, {n_filters} filters of {kernel}×{kernel}, stride {stride}"
        predictions = [_three_layers(x, grid, one, n_filters) for one in rules_named(rule)]
    else:
        what = f"mean maps of one logit, {n_filters} filters, max-pooling windows of {pool}×{pool}"
        windows = MaxPool(pool)
        predictions = [_pooled(x, grid, one, n_filters, windows, progress) for one in rules_named(rule)]
    return _exhibit("cnn", x, predictions, f"Predicted {what}.", settings)


def _exhibit(
    network: str, x: np.ndarray, predictions: Sequence[_Prediction], caption: str, settings: dict[str, Any]
) -> Exhibit:
    panels: list[MapPanel] = []
    for prediction in predictions:
        if not panels or len(prediction.maps) > 1:  # the input before each pair of maps, else once
            panels.append(MapPanel("input", x))
        panels += [
            MapPanel(f"{title(prediction.rule)}: {name}", one) for name, one in prediction.maps.items()
        ]
    return Exhibit(
        MapFigure("prediction", caption, tuple(panels)),
        _HEADER,
        tuple(prediction.row() for prediction in predictions),
        {
            "network": network,
            "input_shape": list(x.shape),
            **settings,
            "maps": [prediction.numbers() for prediction in predictions],
        },
    )


def _three_layers(x: np.ndarray, grid: PatchGrid, rule: Rule, n_filters: int) -> _Prediction:
    from theorylab import analytic
    from theorylab.laws import TruncatedGaussian

    law = TruncatedGaussian(0.1)
    # The networks draw their filters from the truncated law too; its true deviation is below its parameter.
    std = math.sqrt(law.variance)
    mean = analytic.mean_map(x, grid, rule, n_filters, law=law, filter_std=std)
    variance = analytic.variance_map(x, grid, rule, n_filters, law=law, filter_std=std)
    cosine = functools.partial(analytic.expected_cosine, x, grid, rule, n_filters, law=law, filter_std=std)
    return _Prediction(
        rule,
        {"mean": mean, "standard deviation": np.sqrt(variance)},
        (cosine(), 0.0),
        (cosine(target="mean") if mean.any() else None, 0.0),
    )


def _pooled(
    x: np.ndarray, grid: PatchGrid, rule: Rule, n_filters: int, windows: MaxPool, progress: Progress | None
) -> _Prediction:
    from theorylab import analytic
    from theorylab.laws import Gaussian, TruncatedGaussian

    law = TruncatedGaussian(0.1)
    told = None if progress is None else functools.partial(progress, f"{title(rule)}, windows")
    alone = analytic.pooled_mean_map(x, grid, rule, 1, pool=windows, progress=told)
    # One filter and unit laws: the map is proportional to both, and the cosines need no other.
    mean = n_filters * law.relu_mean * math.sqrt(law.variance) / Gaussian(1.0).relu_mean * alone
    cosines: list[Cosine] = [(None, 0.0), (None, 0.0)]
    if mean.any():
        cosines = [
            analytic.pooled_expected_cosine(
                x, grid, rule, n_filters, law=law, pool=windows, target=target, unit_mean=alone
            )
            for target in ("input", "mean")
        ]
    return _Prediction(rule, {"mean": mean}, *cosines)


def predicted_vgg16(
    x: np.ndarray, *, rule: Rule | str = "guided", progress: Progress | None = None
) -> Exhibit:
    """The maps of a random VGG-16 as the laws of depth predict them: no network is run.

    Parameters
    ----------
    x : (C, H, W) array
        224 to 255 pixels a side.
    rule : Rule, str or "all"
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    Exhibit
        The mean map and the standard deviation of each pixel; expected cosines of one map with the input and with the mean
        map, as ratios of expectations.

    Raises
    ------
    TypeError, ValueError
        For an unknown rule, or a picture of another size.
    """
    from theorylab import analytic
    from theorylab.architectures import vgg16_layers
    from theorylab.laws import TruncatedGaussian

    std = math.sqrt(TruncatedGaussian(0.1).variance)
    layers = vgg16_layers((x.shape[0], x.shape[1], x.shape[2]), std=std)
    predictions = []
    for one in rules_named(rule):
        told = None if progress is None else functools.partial(progress, f"{title(one)}, layers")
        image = analytic.depth_maps(x, layers, one, readout_std=std, progress=told)[-1]
        assert image.mean_map is not None
        assert image.variance_map is not None
        signal = float((image.mean_map**2).sum())
        share = math.sqrt(signal / (signal + float(image.variance_map.sum())))
        maps = {"mean": image.mean_map, "standard deviation": np.sqrt(image.variance_map)}
        predictions.append(_Prediction(one, maps, (image.alignment, 0.0), (share if signal else None, 0.0)))
    caption = "Predicted maps of one logit of a random VGG-16; no network was run."
    return _exhibit("vgg16", x, predictions, caption, {})
