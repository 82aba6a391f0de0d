"""What a network shows of a picture, beside what it would show if it knew nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab.analytic.nolaw import NoLaw
from theorylab.charts import MapFigure, MapPanel
from theorylab.description import biased, description
from theorylab.exhibits._exhibit import Exhibit, maps_shown, rules_named
from theorylab.exhibits._predicted import MEAN_IS_ZERO, Cosine, Prediction, by_law, cell, said_of
from theorylab.measures import cosine
from theorylab.model.rules import Rule
from theorylab.model.specs import Residual
from theorylab.model.stack import Stack
from theorylab.networks import GraphNetwork
from theorylab.progress import Progress
from theorylab.sampling.of_stack import draw

DRAWN = 8
"""Networks that are drawn where there is no law."""


def beside(
    net: GraphNetwork,
    x: np.ndarray,
    *,
    rule: Rule | str = "guided",
    target: str | int = "max",
    classes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Exhibit:
    """Set the maps of a network beside those of its architecture with random weights of the same size.

    Parameters
    ----------
    net : GraphNetwork
    x : (C, H, W) array
    rule : Rule, str or "all"
    target : str or int
        "max", "random", "cost" or the index of a logit.
    classes : sequence of str
        Names of the logits, if they have any.
    progress : callable, optional
        ``progress(label, done, total)`` where a law or a draw takes long.

    Returns
    -------
    Exhibit
        For each rule the mean map of :func:`theorylab.law` and the network's own, with their cosines.  Where there is no law,
        the note says why, and the mean of `DRAWN` networks and the mean cosine of their maps with the input are shown.

    Raises
    ------
    NoLaw
        If no Stack is this network, or its unit has no law.
    TypeError, ValueError
        For an unknown rule or target, or an image that does not fit.

    Examples
    --------
    >>> from theorylab import training
    >>> net = training.small_classifier().network
    >>> exhibit = beside(net, training.crops("test", 1, seed=0)[0][0])
    >>> [panel.title for panel in exhibit.figure.panels]
    ['input', 'guided backpropagation: if it knew nothing', 'guided backpropagation: what it shows']
    """
    stack = description(net.nodes, net.parameters, biases=True)
    left_out = []
    if any(isinstance(layer, Residual) for layer in stack.layers):  # of which there is no law with biases
        stack, left_out = description(net.nodes, net.parameters), biased(net.nodes, net.parameters)
    rules = rules_named(rule)
    maps, index = maps_shown(net, net.forward(x), rules, target, 0)
    found = [_prediction(stack, x, each, progress) for each in rules]
    panels: list[MapPanel] = []
    rows, numbers = [], []
    for one, shown in zip(found, maps, strict=True):
        mean, title = one.maps["mean"], one.rule.title
        drawn = DRAWN if one.law == "simulation" else 0
        note = f"mean of {drawn} drawn networks" if drawn else "" if mean.any() else MEAN_IS_ZERO
        panels += [
            MapPanel("input", x),
            MapPanel(f"{title}: if it knew nothing", mean, note=note),
            MapPanel(f"{title}: what it shows", shown),
        ]
        own: list[Cosine] = [(cosine(shown, x), 0.0), (cosine(shown, mean) if mean.any() else None, 0.0)]
        rows += [(title, "predicted", *map(cell, one.cosines)), ("", "shown", *map(cell, own))]
        numbers.append(
            {
                **one.numbers,
                "networks_drawn": drawn,
                "model_cosine_with_input": own[0][0],
                "model_cosine_with_mean_map": own[1][0],
            }
        )
    name = "the cost" if index is None else f"logit {index}"
    name += f" ({classes[index]})" if classes and index is not None else ""
    more = [
        f"What it shows is the map of {name}. What it would show if it knew nothing is the mean over Gaussian weights and "
        "biases that are independent and as large as its own in each layer."
    ]
    if left_out:
        more.append(
            f"The prediction leaves out the biases of these layers: {', '.join(left_out)}. No law has biases and residual blocks."
        )
    caption = f"Mean map of random weights, and the map of {name}."
    return Exhibit(
        MapFigure("prediction", caption, tuple(panels), caption.rstrip(".")),
        ("rule", "map", "cosine with the input", "with the mean map"),
        tuple(rows),
        {
            "input_shape": list(x.shape),
            "n_logits": net.n_logits,
            "target": {"asked": target, "index": index, "name": name},
            "biases_left_out": left_out,
            "maps": numbers,
        },
        (*said_of(found), *more),
    )


def _prediction(stack: Stack, x: np.ndarray, rule: Rule, progress: Progress | None) -> Prediction:
    try:
        return by_law(stack, x, rule, progress)
    except NoLaw as refusal:
        why = f"{refusal.layer} under {stack.unit}"
    maps = []
    for seed in range(DRAWN):
        if progress is not None:
            progress(f"{rule.title}, drawn networks", seed, DRAWN)
        maps.append(draw(stack, x, rule, size=1, seed=seed, dtype=np.float32)[0, 0, 0])
    cosines = [cosine(map_, x) for map_ in maps]
    error = float(np.std(cosines, ddof=1)) / math.sqrt(DRAWN)
    words = f"no law at {why}, so {DRAWN} networks were drawn: a simulation, its mean map and mean cosine"
    mean = np.asarray(np.mean(maps, axis=0, dtype=np.float64))
    return Prediction(
        rule, {"mean": mean}, [(float(np.mean(cosines)), error), (math.nan, 0.0)], "simulation", (words,)
    )
