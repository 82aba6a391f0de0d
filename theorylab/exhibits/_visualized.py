"""Maps of one picture in one network, with a few numbers."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from typing import Any

import numpy as np

from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, rules_named
from theorylab.measures import cosine, similarity
from theorylab.model.rules import Rule
from theorylab.progress import Progress

_DEEP = ("vgg16", "resnet50")


@dataclasses.dataclass(frozen=True)
class NetworkChoice:
    """A random network by a few sizes.

    Attributes
    ----------
    network : {"cnn", "fcn", "vgg16", "resnet50"}
        Three layers, or one of the deep networks.
    n_filters : int, optional
        Filters of the CNN (256 if not given), or hidden units of the FCN (4096).
    kernel, stride : int
        Of the CNN.
    n_logits : int
    pool : int, optional
        Side of the CNN's max-pooling windows.
    weights : str or os.PathLike, optional
        Trained weights of a deep network, as in :func:`theorylab.weights.load`; what they leave out stays random.
    """

    network: str = "cnn"
    n_filters: int | None = None
    kernel: int = 7
    stride: int = 2
    n_logits: int = 10
    pool: int | None = None
    weights: str | os.PathLike[str] | None = None

    def build(self, input_shape: tuple[int, int, int], seed: int) -> Any:
        """Build the network for pictures of one shape.

        Raises
        ------
        TypeError, ValueError, ModuleNotFoundError
            For an unknown network, sizes or weights that do not fit, or a missing library to read them.

        Examples
        --------
        >>> NetworkChoice(n_filters=8, kernel=3).build((1, 6, 6), 0).n_logits
        10
        """
        from theorylab import networks
        from theorylab.model.patches import PatchGrid
        from theorylab.model.pooling import MaxPool

        if self.network in _DEEP:
            return self._build_deep(input_shape, seed)
        if self.weights is not None:
            raise ValueError(
                f"weights: there are trained ones for 'vgg16' and 'resnet50', not for {self.network!r}"
            )
        if self.network == "cnn":
            grid = PatchGrid(input_shape, self.kernel, self.stride)
            windows = None if self.pool is None else MaxPool(self.pool)
            return networks.three_layer_cnn(grid, self.n_filters or 256, self.n_logits, windows, seed=seed)
        if self.network == "fcn":
            if self.pool is not None:
                raise ValueError("pool: the fully connected network has one position, nothing can be pooled")
            return networks.three_layer_fcn(
                input_shape, n_hidden=self.n_filters or 4096, n_logits=self.n_logits, seed=seed
            )
        raise ValueError(f"network: unknown {self.network!r}, choose 'cnn', 'fcn', 'vgg16' or 'resnet50'")

    def _build_deep(self, input_shape: tuple[int, int, int], seed: int) -> Any:
        from theorylab import networks, weights

        if self.weights is not None:
            weights.check_source(os.fspath(self.weights))  # before seconds of drawing random weights
        for name, given in (("filters", self.n_filters), ("pool", self.pool)):
            if given is not None:
                raise ValueError(f"{name}: {self.network} has its own layers, there is nothing to choose")
        build = networks.vgg16 if self.network == "vgg16" else networks.resnet50
        net = build(input_shape=input_shape, n_logits=self.n_logits, seed=seed)
        return net if self.weights is None else weights.load(net, self.weights)


class _Watched:
    """A network that keeps its trace and logit gradients, and reports the slow reading of logits."""

    def __init__(self, net: Any, progress: Progress | None) -> None:
        self._net, self.n_logits = net, net.n_logits
        self._progress = None if progress is None else functools.partial(progress, "logits, for the target")

    def forward(self, x: np.ndarray) -> Any:
        self.trace = self._net.forward(x, progress=self._progress)
        return self.trace

    def backward(self, trace: Any, logit_gradients: np.ndarray, rules: list[Rule]) -> np.ndarray:
        self.gradients = logit_gradients
        maps: np.ndarray = self._net.backward(trace, logit_gradients, rules)
        return maps

    def target(self, request: str | int, read_logit: bool) -> dict[str, Any]:
        """Return the logit that the maps are of, and its value; none for the cost, a function of all logits."""
        if request == "cost":
            return {"asked": request, "index": None, "logit": None}
        index = int(np.argmax(self.gradients[0]))
        return {
            "asked": request,
            "index": index,
            "logit": float(self.trace.logit(index)) if read_logit else None,
        }


def visualized(
    x: np.ndarray,
    choice: NetworkChoice = NetworkChoice(),
    *,
    rule: Rule | str = "all",
    target: str | int = "max",
    seed: int = 0,
    read_logit: bool = False,
    progress: Progress | None = None,
) -> Exhibit:
    """Draw one network's maps.

    Parameters
    ----------
    x : (C, H, W) array
    choice : NetworkChoice
    rule : Rule, str or "all"
    target : str or int
        "max", "random", "cost" or the index of a logit.
    seed : int
    read_logit : bool, default False
        Also say the value of the logit that is shown.
    progress : callable, optional
        ``progress(label, done, total)``: of the whole with a total of 0, since it is not known how long it takes; of the
        logits of a network of three layers where the target needs them all.

    Returns
    -------
    Exhibit
        The norm of each raw map and its cosine with the input; in `numbers` also their structural similarity.

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        As :meth:`NetworkChoice.build`, and for an unknown rule or target.

    Examples
    --------
    >>> exhibit = visualized(np.ones((1, 6, 6)), NetworkChoice(n_filters=8, kernel=3), rule="guided")
    >>> [panel.title for panel in exhibit.figure.panels]
    ['input', 'guided backpropagation']
    """
    from theorylab import visualization

    if progress is not None:
        progress(f"maps in a network ({choice.network})", 0, 0)
    net = choice.build(x.shape, seed)
    rules, watched = rules_named(rule), _Watched(net, progress)
    maps = visualization.visualize_many(watched, x, rules, [target], seed=seed)[:, 0]
    kind = "random" if choice.weights is None else "trained"
    figure = MapFigure(
        "maps",
        f"Raw maps of the logit {target!r} of a {kind} network ({choice.network}).",
        (MapPanel("input", x), *(MapPanel(rule.title, map_) for rule, map_ in zip(rules, maps, strict=True))),
    )
    measured = [_measured(rule, map_, x) for rule, map_ in zip(rules, maps, strict=True)]
    rows = tuple(
        (rule.title, row["norm"], row["cosine_with_input"]) for rule, row in zip(rules, measured, strict=True)
    )
    numbers = {
        "network": choice.network,
        "weights": "random" if choice.weights is None else os.fspath(choice.weights),
        "input_shape": list(x.shape),
        "n_logits": net.n_logits,
        "seed": seed,
        "target": watched.target(target, read_logit),
        "maps": measured,
    }
    return Exhibit(figure, ("rule", "norm of the map", "cosine with the input"), rows, numbers)


def _measured(rule: Rule, map_: np.ndarray, x: np.ndarray) -> dict[str, Any]:
    return {
        "rule": rule.value,
        "norm": float(np.linalg.norm(map_)),
        "cosine_with_input": cosine(map_, x),
        # The window of the similarity is 7 × 7.
        "ssim_with_input": similarity(map_, x) if min(x.shape[1:]) >= 7 else math.nan,
    }
