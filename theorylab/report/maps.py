"""Maps of one picture as one random network shows them, with a few numbers."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from typing import Any

import numpy as np

from theorylab.measures import cosine, similarity
from theorylab.report.progress import Progress
from theorylab.report.results import MapFigure, MapPanel
from theorylab.rules import PAPER, Rule

RULE_NAMES = {
    Rule.SALIENCY: "saliency map",
    Rule.DECONVNET: "DeconvNet",
    Rule.GUIDED: "guided backpropagation",
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure, rows of numbers under a header for people, and the same numbers by name for programs.

    Attributes
    ----------
    figure : MapFigure
    header : tuple of str
    rows : tuple of tuples of float or str
        One for each rule, as long as the header.
    numbers : dict
        Standard types; what is not a number is NaN.
    """

    figure: MapFigure
    header: tuple[str, ...]
    rows: tuple[tuple[float | str, ...], ...]
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)


class _Watched:
    """A network that keeps its trace and the logit gradients of its backward pass: which logit was shown.

    Where logits are read one after another, which can take a minute, `progress` is told.
    """

    def __init__(self, net: Any, progress: Progress | None) -> None:
        from theorylab.networks import ThreeLayerNetwork

        self._net, self.n_logits = net, net.n_logits
        self._one_by_one = isinstance(net, ThreeLayerNetwork)
        self._progress = None if progress is None else functools.partial(progress, "logits, for the target")

    def forward(self, x: np.ndarray) -> Any:
        if self._one_by_one:
            self.trace = self._net.forward(x, progress=self._progress)
        else:
            self.trace = self._net.forward(x)
        return self.trace

    def logit(self, index: int) -> float:
        """The value of the logit, read alone where that is possible."""
        return float(self.trace.logit(index) if self._one_by_one else self.trace.logits[index])

    def backward(self, trace: Any, logit_gradients: np.ndarray, chosen: list[Rule]) -> np.ndarray:
        self.gradients = logit_gradients
        maps: np.ndarray = self._net.backward(trace, logit_gradients, chosen)
        return maps


def rules(name: Rule | str) -> tuple[Rule, ...]:
    """One rule, or all of them for ``"all"``.

    Raises
    ------
    ValueError
        If there is no such rule.

    Examples
    --------
    >>> rules("guided")
    (Rule('guided'),)
    """
    return PAPER if name == "all" else (Rule(name),)


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
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    read_logit: bool = False,
    progress: Progress | None = None,
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
    weights : str or os.PathLike, optional
        Trained weights of a deep network, as in :func:`theorylab.weights.load`; what they leave out stays random.
    seed : int
    read_logit : bool, default False
        Also say the value of the logit that is shown.
    progress : callable, optional
        ``progress(what, done, total)``: of the whole with a total of 0, since it is not known how long it takes; of the
        logits of a network of three layers where the target needs them all.

    Returns
    -------
    Shown
        The norm of each raw map and its cosine with the input; in `numbers` also their structural similarity.

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        For an unknown network, rule or target, sizes or weights that do not fit, or a missing library to read them.

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
    if progress is not None:
        progress(f"maps in a network ({network})", 0, 0)
    if weights is not None and network not in ("vgg16", "resnet50"):
        raise ValueError(f"weights: there are trained ones for 'vgg16' and 'resnet50', not for {network!r}")
    if weights is not None:
        from theorylab.weights import check_source, load

        check_source(os.fspath(weights))  # before the random weights are drawn, which takes seconds
    if network in ("vgg16", "resnet50"):
        for name, given in (("filters", n_filters), ("pool", pool)):
            if given is not None:
                raise ValueError(f"{name}: {network} has its own layers, there is nothing to choose")
        build = networks.vgg16 if network == "vgg16" else networks.resnet50
        net = build(input_shape=x.shape, n_logits=n_logits, seed=seed)
        if weights is not None:
            net = load(net, weights)
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
    chosen, watched = rules(rule), _Watched(net, progress)
    maps = visualization.visualize_many(watched, x, chosen, [target], seed=seed)[:, 0]
    figure = MapFigure(
        "maps",
        f"Raw maps of the logit {target!r} of a {'random' if weights is None else 'trained'} network ({network}).",
        (MapPanel("input", x), *map(MapPanel, [RULE_NAMES[r] for r in chosen], maps)),
    )
    pairs = zip(chosen, maps, strict=True)
    rows = tuple((RULE_NAMES[one], float(np.linalg.norm(found)), cosine(found, x)) for one, found in pairs)
    numbers = {
        "network": network,
        "weights": "random" if weights is None else os.fspath(weights),
        "input_shape": list(x.shape),
        "n_logits": net.n_logits,
        "seed": seed,
        "target": _target(watched, target, read_logit),
        "maps": [
            {
                "rule": one.value,
                "norm": norm,
                "cosine_with_input": along,
                # The window of the similarity is 7 × 7.
                "ssim_with_input": similarity(found, x) if min(x.shape[1:]) >= 7 else math.nan,
            }
            for one, found, (_, norm, along) in zip(chosen, maps, rows, strict=True)
        ],
    }
    return Shown(figure, ("rule", "norm of the map", "cosine with the input"), rows, numbers)


def _target(watched: _Watched, asked: str | int, read_logit: bool) -> dict[str, Any]:
    """Which logit the maps are of; none where they are of the cost, a function of all."""
    if asked == "cost":
        return {"asked": asked, "index": None, "logit": None}
    index = int(np.argmax(watched.gradients[0]))
    return {
        "asked": asked,
        "index": index,
        "logit": watched.logit(index) if read_logit else None,
    }
