"""Whether the weights of two units of a trained VGG-16's first dense layer have nearly the same histogram."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome
from proofs_checks.studies.units import fc1_weights
from theorylab import stats
from theorylab.charts import CurveFigure, Line
from theorylab.figures.figure3 import UNITS

PAIRS = 200
NEARLY_EQUAL = 0.1
"""The largest distance between two distribution functions at which histograms count as nearly equal."""


def measure(weights: np.ndarray, pairs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return distances and moments of the rows of weights (units, inputs), over at most `pairs` random pairs of units.

    No unit is in two pairs, so that pairs are independent if units are.  ``kolmogorov`` and ``wasserstein`` of the two rows
    (:func:`theorylab.stats.sample_distances`); ``standardised``, the first of the rows less their means over their standard
    deviations; of the first row alone ``mean``, ``spread``, its standard deviation, ``kurtosis``, its excess, and
    ``gaussian``, Kolmogorov's distance to the Gaussian with its mean and variance.  A ValueError if there are not four rows, or a
    row is constant.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0], [0.0, 1.0, 2.0], [10.0, 11.0, 12.0]])
    >>> measure(rows, 9, np.random.default_rng(0))["standardised"]
    array([0., 0.])
    """
    from scipy import stats as scipy_stats

    if weights.ndim != 2 or len(weights) < 4:
        raise ValueError(f"weights: expected at least four rows of weights, got {weights.shape}")
    found = []
    for pair in rng.permutation(len(weights))[: 2 * min(pairs, len(weights) // 2)].reshape(-1, 2):
        rows = weights[pair].astype(np.float64)
        means, spreads = rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)
        if not spreads.all():
            raise ValueError("weights: a unit has equal weights, which have no histogram")
        standard = (rows - means) / spreads
        found.append(
            stats.sample_distances(*rows)
            | {
                "standardised": stats.sample_distances(*standard)["kolmogorov"],
                "mean": float(means[0, 0]),
                "spread": float(spreads[0, 0]),
                "kurtosis": float((standard[0] ** 4).mean() - 3),
                "gaussian": float(scipy_stats.kstest(standard[0], "norm", method="asymp").statistic),
            }
        )
    return {name: np.array([row[name] for row in found]) for name in found[0]}


def run(bench: Bench) -> Outcome:
    """Measure distances between the histograms of random pairs of units, if the dense layers are trained."""
    subject = bench.subject
    if not subject.trained_dense:
        return Outcome(
            f"The dense layers of the network looked at are random: {subject.label}. Their histograms are one by "
            "construction; the statement needs a VGG-16 whose dense layers are trained.",
            (),
            (),
            "",
        )
    weights = fc1_weights(subject)
    numbers = measure(weights, PAIRS, np.random.default_rng(bench.seed_of("pairs of units")))
    return outcome(numbers, weights, f"On {subject.label}")


def outcome(numbers: dict[str, np.ndarray], weights: np.ndarray, subject: str) -> Outcome:
    """Judge measured pairs by the intervals of the two mean distances."""
    count = len(numbers["kolmogorov"])
    means = {name: (float(v.mean()), float(v.std(ddof=1))) for name, v in numbers.items()}
    estimates = {name: (mean, spread / math.sqrt(count), count) for name, (mean, spread) in means.items()}
    low, high = stats.interval(*estimates["wasserstein"][:2], count - 1)
    noise = math.sqrt(math.pi / weights.shape[1]) * math.log(2)
    return Outcome(
        f"{subject}, over {count} pairs of the {len(weights)} units of fc1, no unit in two, the distribution functions of "
        f"two units' weights are {means['kolmogorov'][0]:.3f} ± {means['kolmogorov'][1]:.3f} apart (mean and spread over "
        f"pairs; two samples of one law of this size would be {noise:.3f} apart), and {means['standardised'][0]:.3f} once "
        f"each has mean 0 and variance 1. Their Wasserstein distance is {means['wasserstein'][0]:.3f} standard deviations "
        f"(95 % interval of the mean {low:.3f} to {high:.3f}). A unit's mean is {means['mean'][0]:.2g} ± "
        f"{means['mean'][1]:.1g} and its standard deviation {means['spread'][0]:.2g} ± {means['spread'][1]:.1g}; its "
        f"distance from the Gaussian with these two is {means['gaussian'][0]:.3f}, its excess kurtosis "
        f"{means['kurtosis'][0]:.2f}, of a Gaussian 0.",
        tuple(Evidence(*estimates[name]) for name in ("kolmogorov", "gaussian")),
        (),
        "",
        (_figure(weights),),
    )


def _figure(weights: np.ndarray) -> CurveFigure:
    """Draw histograms of the paper's two units, or others if there are not as many, and the Gaussians fitted to them."""
    chosen = {unit: weights[(unit - 1) % len(weights)].astype(np.float64) for unit in UNITS}
    reach = 4 * max(row.std() for row in chosen.values())
    edges = np.linspace(-reach, reach, 1 + min(80, math.isqrt(weights.shape[1])))
    at = (edges[1:] + edges[:-1]) / 2
    lines, fits = [], []
    for unit, row in chosen.items():
        mean, std = row.mean(), row.std()
        gaussian = np.exp(-(((at - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
        heights, _ = np.histogram(row, bins=edges, density=True)
        name = f"unit {(unit - 1) % len(weights) + 1}"
        lines += [Line(name, at, heights), Line(f"{name}, Gaussian", at, gaussian)]
        fits.append(f"{name} {mean:.2g} and {std:.2g}")
    return CurveFigure(
        "fc1-histograms",
        "Histograms of the weights of two units of the first dense layer, and the Gaussians with their means and standard "
        f"deviations: {', '.join(fits)}.",
        "weight",
        "density",
        tuple(lines),
        (),
        title="Are the weights of two units alike, and Gaussian?",
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
    trained=("convolutions", "dense"),
    margins=(
        Margin("mean distance between the distribution functions of two units", high=NEARLY_EQUAL),
        Margin("mean distance between a unit's distribution function and its Gaussian's", high=NEARLY_EQUAL),
    ),
    authors="Figure 3 shows two units at random; similar was said, and approximately Gaussian.",
)
