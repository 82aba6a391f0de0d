"""What the claims about whole architectures share: checks, sentences and the figure of alignments."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Margin, Wrong
from proofs_checks.judge import Control
from proofs_checks.results import Check
from proofs_checks.studies.three_layers import inner, unit
from theorylab.analytic.conv_depth import LayerMaps
from theorylab.charts import CurveFigure, Line, MapPanel, Points
from theorylab.display import unit_norm
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

PREDICTED = (Rule.GUIDED, Rule.DECONVNET)
"""Rules whose maps are predicted to show the picture."""

MARGINS = (
    *(
        Margin(f"{rule.value}: cosine to x", low=EPSILON, why="above what counts as noise")
        for rule in PREDICTED
    ),
    Margin("saliency: cosine to x", low=-EPSILON, high=EPSILON),
)
"""What decides whether an architecture shows what three layers show."""


def mean_alignment(rule: Rule, layers: int, mean: dict[str, float]) -> float:
    """Return the mean alignment over the topmost watched layers."""
    return sum(mean[f"{rule.value} alignment {n}"] for n in range(layers)) / layers


def guided_checks(
    bench: Bench,
    measured: Measurement,
    records: Sequence[LayerMaps],
    beside: tuple[str, str, np.ndarray],
    hidden: str,
    wrong: Control,
    tolerance: float,
) -> tuple[Check, Check]:
    """Check guided backpropagation's mean alignment with the hidden layers and its mean map's direction.

    The direction is seen as the mean map's part along a map `beside` it (what it is, the number measured, the map) over its
    part along the prediction, of which no map's noise is left.
    """
    count = len(records) - 1
    alignment = bench.judge(
        f"guided: mean alignment with {hidden}",
        "approximation",
        *measured.estimate(functools.partial(mean_alignment, Rule.GUIDED, count)),
        float(np.mean([record.alignment for record in records[:count]])),
        wrong,
        share=measured.share,
        tolerance=tolerance,
    )
    what, number, other = beside
    cosine = inner(unit(np.asarray(records[-1].mean_map)), unit(other))
    tilt = bench.judge(
        f"guided: mean map along {what} over along the prediction",
        "approximation",
        *measured.estimate(lambda mean: mean[number] / mean["guided along guided"]),
        cosine,
        Wrong(f"{what} itself: 1/cos", 1 / cosine),
        share=measured.share,
        tolerance=tolerance,
    )
    return alignment, tilt


def likeness(measured: Measurement) -> str:
    """Write each rule's cosine and structural similarity to the picture, and cosine of two logits' maps."""
    words = []
    for rule in reversed(PAPER):
        toward, error, _ = measured.estimate(f"{rule.value} toward")
        similar, logits = (measured.estimate(f"{rule.value} {what}")[0] for what in ("similar", "logits"))
        words.append(f"{rule.value} {toward:.2f} ± {error:.2f}, {similar:.2f} and {logits:.3f}")
    return "; ".join(words)


def map_panels(
    x: np.ndarray, means: Mapping[Rule, np.ndarray], measured: Measurement, single: Mapping[Rule, np.ndarray]
) -> tuple[MapPanel, ...]:
    """Return two rows of four: what each rule's map is by the law, as a mean and in one network; the picture; saliency."""
    first = {
        Rule.GUIDED: MapPanel("input x", x),
        Rule.DECONVNET: MapPanel(f"{Rule.SALIENCY.title}: one network", unit_norm(single[Rule.SALIENCY])),
    }
    panels = []
    for rule, panel in first.items():
        maps = measured.maps[rule.value]
        panels += [
            panel,
            MapPanel(f"{rule.title}: predicted", unit_norm(means[rule]), rule.value),
            MapPanel(f"{rule.title}: mean of {maps.count}", unit_norm(maps.mean), rule.value),
            MapPanel(f"{rule.title}: one network", unit_norm(single[rule])),
        ]
    return tuple(panels)


def alignment_figure(
    name: str, caption: str, laws: Mapping[Rule, Sequence[LayerMaps]], measured: Measurement
) -> CurveFigure:
    """Draw the alignment against depth: predicted lines, measured points with 95 % intervals."""
    lines, points = [], []
    for rule, records in laws.items():
        layers = np.array([record.layer for record in records], dtype=float)
        estimates = [measured.estimate(f"{rule.value} alignment {n}") for n in range(len(records))]
        lines.append(Line(rule.title, layers, np.array([record.alignment for record in records])))
        points.append(Points.of(rule.title, layers, estimates))
    return CurveFigure(
        name,
        caption,
        "convolutions below",
        "alignment",
        tuple(lines),
        tuple(points),
        title="How much of each layer is recovered: by guided backpropagation more than by DeconvNet",
    )
