"""Whether the weights of two units of a trained VGG-16's first dense layer have nearly the same histogram."""

from __future__ import annotations

import math
import os

import numpy as np

from proofs_checks.claim import Bench, Claim, CurveFigure, Evidence, Line, Margin, Outcome
from theorylab import _files

LAYER = "classifier.0"
PAIRS = 200
NEARLY_EQUAL = 0.1
"""The largest distance between two distribution functions at which histograms count as nearly equal."""
NEEDS = (
    "Needs all weights of a trained VGG-16, its dense layers too: give a file of them (.pth, .safetensors or .npz) or "
    "'torchvision'."
)


def check_weights(source: str) -> None:
    """Raise a ValueError, before a long run, if weights cannot hold the dense layers of VGG-16.

    Examples
    --------
    >>> check_weights("hed")
    Traceback (most recent call last):
        ...
    ValueError: weights: 'hed' holds no dense layers, expected a whole VGG-16
    """
    if source == "hed":
        raise ValueError("weights: 'hed' holds no dense layers, expected a whole VGG-16")
    if source != "torchvision":
        _files.check_readable(source, f"weights {source!r}")


def first_dense_weights(source: str | os.PathLike[str]) -> np.ndarray:
    """Load the weights (4096, 25088) of the first dense layer of a trained VGG-16, as `theorylab.weights.load` does."""
    from theorylab import weights
    from theorylab.networks import GraphNetwork
    from theorylab.networks.deep import vgg16_nodes
    from theorylab.networks.parameters import trace_shapes

    nodes = vgg16_nodes()
    # Zeros instead of a random draw, since all of them are replaced.
    empty = {name: np.zeros(shape, dtype=np.float32) for name, shape in trace_shapes(nodes)[1].items()}
    return weights.load(GraphNetwork(nodes, empty), source).parameters[f"{LAYER}.weight"]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return Kolmogorov and Smirnov's distance of two samples, the largest between their distribution functions.

    Examples
    --------
    >>> distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    first, second = np.sort(first), np.sort(second)
    values = np.concatenate([first, second])
    shares = (np.searchsorted(rows, values, side="right") / len(rows) for rows in (first, second))
    return float(np.abs(np.subtract(*shares)).max())


def measure(weights: np.ndarray, pairs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return distances and moments of the rows of weights (units, inputs), over random pairs of different rows.

    ``distance`` of the two rows; ``standardised``, the same of the rows less their means over their standard deviations;
    ``spread``, the standard deviation of the first row; ``kurtosis``, its excess.  A ValueError if there are not two rows,
    or a row is constant.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]])
    >>> numbers = measure(rows, 4, np.random.default_rng(0))
    >>> numbers["distance"], numbers["standardised"]
    (array([1., 1., 1., 1.]), array([0., 0., 0., 0.]))
    """
    if weights.ndim != 2 or len(weights) < 2:
        raise ValueError(f"weights: expected at least two rows of weights, got {weights.shape}")
    rows: dict[str, list[float]] = {name: [] for name in ("distance", "standardised", "spread", "kurtosis")}
    for _ in range(pairs):
        row, other_row = weights[rng.choice(len(weights), 2, replace=False)].astype(np.float64)
        first, second = _standardised(row), _standardised(other_row)
        rows["distance"].append(distance(row, other_row))
        rows["standardised"].append(distance(first, second))
        rows["spread"].append(float(row.std()))
        rows["kurtosis"].append(float((first**4).mean() - 3))
    return {name: np.array(values) for name, values in rows.items()}


def _standardised(row: np.ndarray) -> np.ndarray:
    spread = row.std()
    if spread == 0:
        raise ValueError("weights: a unit has equal weights, which have no histogram")
    return np.asarray((row - row.mean()) / spread)


def run(bench: Bench) -> Outcome:
    """Measure distances between the histograms of random pairs of units, if there are weights."""
    if bench.weights is None:
        return Outcome(NEEDS, (), (), "")
    weights = first_dense_weights(bench.weights)
    numbers = measure(weights, PAIRS, np.random.default_rng(bench.seed_of("pairs of units")))
    return outcome(numbers, weights, f"Over {PAIRS} random pairs of the {len(weights)} units of fc1")


def outcome(numbers: dict[str, np.ndarray], weights: np.ndarray, subject: str) -> Outcome:
    """Judge measured pairs by the interval of their mean distance."""
    means = {name: (values.mean(), values.std(ddof=1)) for name, values in numbers.items()}
    mean, scatter = means["distance"]
    count = len(numbers["distance"])
    noise = math.sqrt(math.pi / weights.shape[1]) * math.log(2)
    return Outcome(
        f"{subject}, the distribution functions of two units' weights are {mean:.3f} ± {scatter:.3f} apart (mean and "
        f"spread over pairs; nearly equal is below {NEARLY_EQUAL}, two samples of one law of this size would be "
        f"{noise:.3f} apart), and {means['standardised'][0]:.3f} once each has mean 0 and variance 1. Their standard "
        f"deviation is {means['spread'][0]:.2g} ± {means['spread'][1]:.1g}, their excess kurtosis "
        f"{means['kurtosis'][0]:.2f}: 0 would be Gaussian.",
        (Evidence(mean, scatter / math.sqrt(count), count),),
        (),
        "",
        (_figure(weights),),
    )


def _figure(weights: np.ndarray) -> CurveFigure:
    """Draw histograms of two units: the 27th and the 45th, if there are as many."""
    lines = []
    reach = 4 * float(weights[:64].std())
    edges = np.linspace(-reach, reach, 81)
    for unit in (26, 44):
        heights, _ = np.histogram(weights[unit % len(weights)], bins=edges, density=True)
        lines.append(Line(f"unit {unit % len(weights)}", (edges[1:] + edges[:-1]) / 2, heights))
    return CurveFigure(
        "fc1-histograms",
        "Histograms of the weights of two units of the first dense layer.",
        "weight",
        "density",
        tuple(lines),
        (),
    )


CLAIM = Claim(
    id="fc1-histograms",
    order=270,
    section="3.2.3, Figure 3",
    statement="The histograms of the weights of any two units of the first dense layer of the trained VGG-16 are "
    "nearly the same, close to Gaussians of a small standard deviation.",
    exact_law="None: this is a measurement on one trained network. Equal histograms are not equal weights, nor equal "
    "maps: random units have equal histograms too.",
    proof="Two units whose weights are independent draws of one law have nearly the same histogram, whatever the law, "
    "and weights that are uncorrelated. So nothing about their maps follows from the histograms; equation9 measures "
    "the maps.",
    n_checks=0,
    run=run,
    margins=(Margin("mean distance between the distribution functions of two units", high=NEARLY_EQUAL),),
    authors="Figure 3 shows two units at random; similar was said, and approximately Gaussian.",
    check_weights=check_weights,
)
