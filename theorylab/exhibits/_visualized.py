"""Maps of one picture in one network, with a few numbers."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.charts import MapFigure, MapPanel
from theorylab.exhibits._exhibit import Exhibit, maps_shown, rules_named
from theorylab.measures import cosine, similarity
from theorylab.model.rules import Rule
from theorylab.progress import Progress

NETWORKS = ("cnn", "fcn", "vgg16", "resnet50")
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class NetworkChoice:
    """A random network by a few sizes.

    Attributes
    ----------
    network : {"cnn", "fcn", "vgg16", "resnet50"}
        Three layers, or one of the deep networks.
    n_filters : int, optional
        Filters of the CNN (256 if not given), or hidden units of the FCN (4096).
    kernel, stride : int, optional
        Of the CNN (7 and 2 if not given).
    n_logits : int
    pool : int, optional
        Side of the CNN's max-pooling windows.
    weights : str or os.PathLike, optional
        Trained weights of a deep network, as in :func:`theorylab.weights.load`; what they leave out stays random.
    """

    network: str = "cnn"
    n_filters: int | None = None
    kernel: int | None = None
    stride: int | None = None
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
        from theorylab import networks, weights
        from theorylab.model.patches import PatchGrid
        from theorylab.model.pooling import MaxPool

        name = _validation.choice(self.network, NETWORKS, "network")
        units, pool, trained = self.n_filters, self.pool, self.weights
        filters = {"kernel": self.kernel, "stride": self.stride}
        if name in ("vgg16", "resnet50"):
            if trained is not None:
                weights.check_source(os.fspath(trained))  # before seconds of drawing random weights
            for option, given in {"filters": units, "pool": pool, **filters}.items():
                if given is not None:
                    raise ValueError(f"{option}: {name} has its own layers, there is nothing to choose")
            net = getattr(networks, name)(input_shape=input_shape, n_logits=self.n_logits, seed=seed)
            return net if trained is None else weights.load(net, trained)
        if trained is not None:
            raise ValueError(f"weights: there are trained ones for 'vgg16' and 'resnet50', not for {name!r}")
        if name == "cnn":
            grid = PatchGrid(input_shape, self.kernel or 7, self.stride or 2)
            windows = None if pool is None else MaxPool(pool)
            return networks.three_layer_cnn(grid, units or 256, self.n_logits, windows, seed=seed)
        for option, given in {"pool": pool, **filters}.items():
            if given is not None:
                raise ValueError(
                    f"{option}: the fully connected network has one position, there is nothing to choose"
                )
        return networks.three_layer_fcn(input_shape, units or 4096, self.n_logits, seed=seed)


def visualized(
    x: np.ndarray,
    choice: NetworkChoice = NetworkChoice(),
    *,
    rule: Rule | str | None = "all",
    method: str | None = None,
    options: Mapping[str, Any] = _NONE,
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
    rule : Rule, str, "all" or None
    method : str, optional
        A method of :mod:`theorylab.methods`, or "all" of them; behind the rules.
    options : mapping
        Of the method.
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
        As :meth:`NetworkChoice.build` and :func:`theorylab.methods.attribute`, and for an unknown rule or target.

    Examples
    --------
    >>> exhibit = visualized(np.ones((1, 6, 6)), NetworkChoice(n_filters=8, kernel=3), rule="guided")
    >>> [panel.title for panel in exhibit.figure.panels]
    ['input', 'guided backpropagation']
    """
    from theorylab import methods, visualization

    tell = None
    if progress is not None:
        progress(f"maps in a network ({choice.network})", 0, 0)
        tell = functools.partial(progress, "logits, for the target")
    net = choice.build(x.shape, seed)
    rules = () if rule is None else rules_named(rule)
    names = methods.NAMES if method == "all" else () if method is None else (method,)
    chosen = [methods.method(name) for name in names]
    for known in chosen:
        known.check_options(list(options))
    shown: list[Rule | methods.Method] = [*rules, *chosen]
    checked = visualization.check_target(target, net.n_logits)
    trace = net.forward(x, progress=tell)
    maps, index = maps_shown(net, trace, rules, checked, seed)
    same = "cost" if index is None else index
    maps += [methods.attribute(net, x, one, same, seed=seed, **options) for one in chosen]
    logit = float(trace.logit(index)) if read_logit and index is not None else None
    measured: list[dict[str, Any]] = [
        {
            "rule" if isinstance(one, Rule) else "method": one.value,
            "norm": float(np.linalg.norm(map_)),
            "cosine_with_input": cosine(map_, x),
            # The window of the similarity is 7 × 7.
            "ssim_with_input": similarity(map_, x) if min(x.shape[1:]) >= 7 else math.nan,
        }
        for one, map_ in zip(shown, maps, strict=True)
    ]
    titles = [one.title for one in shown]
    kind = "random" if choice.weights is None else "trained"
    said = f"Raw maps of the logit {checked!r} of a {kind} network ({choice.network})"
    return Exhibit(
        MapFigure(
            "maps",
            f"{said}.",
            (MapPanel("input", x), *map(MapPanel, titles, maps)),
            said,
        ),
        ("map" if chosen else "rule", "norm of the map", "cosine with the input"),
        tuple(
            (title, row["norm"], row["cosine_with_input"])
            for title, row in zip(titles, measured, strict=True)
        ),
        {
            "network": choice.network,
            "weights": "random" if choice.weights is None else os.fspath(choice.weights),
            "input_shape": list(x.shape),
            "n_logits": net.n_logits,
            "seed": seed,
            "target": {"asked": checked, "index": index, "logit": logit},
            "maps": measured,
            **({"options": dict(options)} if chosen else {}),
        },
    )
