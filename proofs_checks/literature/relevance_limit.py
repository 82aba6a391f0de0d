"""What relevance propagation shows of a network with random weights."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

import theorylab
from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.judge import common_share
from proofs_checks.referee import TENTH_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.three_layers import inner, unit
from theorylab import PatchGrid, models, montecarlo
from theorylab.charts import MapFigure, MapPanel
from theorylab.montecarlo import ArrayMoments, Measurement

SIDE = 12
LOGITS = 8
NETWORKS = {128: 1200, 512: 400}
"""Pairs of networks, by their number of filters."""
METHODS = ("lrp-alpha1beta0", "deep-taylor")
ALIKE_ENOUGH = 0.995


def relevances(
    x: np.ndarray, grid: PatchGrid, filters: np.ndarray, readout: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the maps of both methods, (logits, C, H, W), each over its sum, which is the absolute logit.

    ``filters`` are (N, p), the readout is (logits, J, N).
    """
    patches = grid.extract(x)
    above, below = np.maximum(filters, 0), np.minimum(filters, 0)
    outputs = np.maximum(patches @ filters.T, 0)
    of_units = outputs * np.maximum(readout, 0)
    of_units /= of_units.sum(axis=(1, 2), keepdims=True)
    shares = {
        "lrp-alpha1beta0": ((np.maximum(patches, 0), above), (np.minimum(patches, 0), below)),
        "deep-taylor": ((grid.extract(np.ones_like(x)), filters**2),),
    }
    maps = {}
    for method, terms in shares.items():
        z = sum(inputs @ weights.T for inputs, weights in terms)
        ratio = np.divide(of_units, z, out=np.zeros_like(of_units), where=z > 0)
        maps[method] = grid.fold(sum(inputs * (ratio @ weights) for inputs, weights in terms))
    return maps


@dataclasses.dataclass(frozen=True)
class Maps:
    """Of pairs of networks: means over logits and both, and what the two have in common.

    By method ``<method> along``, ⟨R, d⟩ for a unit `direction`, ``common``, ⟨R, R'⟩ of the networks' mean maps, ``toward``, the
    cosine to the picture, ``strength``, ⟨R, |x|⟩/‖x‖, ``apart``, the mean squared distance of two logits' unit-norm maps; of
    maps of sum 1.
    """

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    directions: dict[str, np.ndarray]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        x = self.x.astype(np.float32)
        rows = []
        kept: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
        for _ in range(size):
            row: dict[str, float] = {}
            both = [
                relevances(
                    x,
                    self.grid,
                    rng.standard_normal((self.n_filters, self.grid.patch_size), dtype=np.float32),
                    rng.standard_normal((LOGITS, self.grid.n_patches, self.n_filters), dtype=np.float32),
                )
                for _ in range(2)
            ]
            for method in METHODS:
                maps = np.array([network[method] for network in both], dtype=np.float64)
                means = maps.mean(axis=1)
                units = maps / np.sqrt((maps**2).sum(axis=(2, 3, 4), keepdims=True))
                centred = units - units.mean(axis=1, keepdims=True)
                kept[method].append(means[0])
                row |= {
                    f"{method} along": float((means * self.directions[method]).sum()) / 2,
                    f"{method} common": inner(means[0], means[1]),
                    f"{method} strength": inner(means.mean(axis=0), unit(np.abs(self.x))),
                    f"{method} toward": inner(units.mean(axis=(0, 1)), unit(self.x)),
                    f"{method} apart": float((centred**2).sum()) / (LOGITS - 1),
                }
            rows.append(row)
        maps_of = {method: ArrayMoments.of(np.array(maps)) for method, maps in kept.items()}
        return montecarlo.measurement(rows, maps_of)


def cosine_to_strength(method: str, mean: dict[str, float]) -> float:
    """Return the cosine of the mean map and |x|."""
    return mean[f"{method} strength"] / math.sqrt(mean[f"{method} common"])


def run(bench: Bench) -> Outcome:
    """Compare mean maps with their laws, and measure how far the maps of two logits are apart."""
    crop = shelf.small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(3, *crop.shape[1:]), stride=2)
    most = max(NETWORKS)
    laws = {method: theorylab.law(models.three_layer(grid, most), crop, method) for method in METHODS}
    directions = {method: unit(law.mean) for method, law in laws.items()}
    studies = {
        n: bench.study(f"relevance maps, {n} filters", Maps(crop, grid, n, directions), count, block=8)
        for n, count in NETWORKS.items()
    }
    flat, strength = unit(grid.coverage), unit(np.abs(crop))

    def shape(method: str, other: str, tolerance: float) -> Check:
        def along(direction: np.ndarray) -> float:
            return inner(directions[method], direction) ** 2

        return bench.limit(
            f"{method}: share of the mean map's energy along the law, many filters",
            studies,
            lambda m: m[f"{method} along"] ** 2 / m[f"{method} common"],
            1.0,
            (
                Wrong("coverage alone: no picture", along(flat)),
                Wrong("the other method's map", along(directions[other])),
                Wrong("the picture's strength in every pixel", along(strength)),
            ),
            tolerance=tolerance,
        )

    strengths = [
        bench.limit(
            f"{method}: cosine of the mean map and the picture's strength |x|, many filters",
            studies,
            functools.partial(cosine_to_strength, method),
            inner(directions[method], strength),
            (Wrong("coverage alone: no picture", inner(flat, strength)), Wrong("the map is |x|", 1.0)),
            tolerance=tolerance,
        )
        for method, tolerance in zip(METHODS, (5e-3, 0.0), strict=True)
    ]
    first, second = METHODS
    shapes = (
        # The law is a limit of large patches; its cosine to the mean map was measured as 0.9999 at 27 entries.
        shape(first, second, 1e-3),
        shape(second, first, 0.0),
    )
    cosine = laws[second].expected_cosine("input")
    toward = bench.limit(
        f"{second}: 1 − cosine of map and picture, many filters",
        studies,
        lambda m: 1 - m[f"{second} toward"],
        1 - cosine,
        (
            Wrong("the picture's strength", 1 - inner(strength, unit(crop))),
            Wrong("the picture", 0.0),
        ),
    )
    distance = laws[second].class_distance * math.sqrt(most)
    scaled = {n: math.sqrt(n) for n in NETWORKS}
    ends = [
        (scaled[n] * value, scaled[n] * error, count)
        for n in sorted(studies)
        for value, error, count in [studies[n].estimate(lambda m: math.sqrt(m[f"{second} apart"]))]
    ]
    apart = bench.judge(
        f"{second}: distance of two logits' maps times √N, many filters",
        "ratio",
        (4 * ends[1][0] - ends[0][0]) / 3,
        math.hypot(4 * ends[1][1], ends[0][1]) / 3,
        min(ends[0][2], ends[1][2]),
        distance,
        Wrong(
            "the second moment of the readout's positive part for its variance",
            distance * math.sqrt(math.pi / (math.pi - 1)),
        ),
        share=common_share(studies.values()),
    )
    alike = studies[most].estimate(lambda m: 1 - m[f"{second} apart"] / 2)
    return Outcome(
        "With random weights the maps of both methods are those of the law, whatever logit is explained: the share of their "
        f"mean's energy along it is {shapes[0].estimate:.4f} and {shapes[1].estimate:.4f}. Two logits of one network of {most} "
        f"filters have deep Taylor maps with a cosine of {alike[0]:.3f}; what is left falls as 1/N.",
        (Evidence(*alike, reached=distance**2 / 2 / (1 - ALIKE_ENOUGH), checked=apart.convincing),),
        (*shapes, *strengths, toward, apart),
        apart.name,
        (_figure(crop, directions, studies[most]),),
    )


def _figure(crop: np.ndarray, directions: dict[str, np.ndarray], measured: Measurement) -> MapFigure:
    """Draw the laws and the measured means."""
    return MapFigure(
        "relevance-limit",
        "Relevance maps of random networks of one hidden layer: the law, which has no logit in it, and the measured mean of "
        f"{measured.replicates} networks of {max(NETWORKS)} filters.",
        (
            MapPanel("input x", crop),
            *(
                panel
                for method in METHODS
                for panel in (
                    MapPanel(f"{method}, law", directions[method]),
                    MapPanel("measured", measured.maps[method].mean),
                )
            ),
        ),
        title="Relevance maps of random weights show the picture's strength and no logit",
    )


CLAIM = Claim(
    id="relevance-limit",
    order=55,
    section="Sixt, Granz and Landgraf 2020, arXiv 1912.09818, Sections 4 and 5",
    statement="In trained VGG-16 and ResNet-50 the explanations of deep Taylor decomposition and LRP-α1β0 are independent of "
    "the parameters of later layers, which say what is explained; the maps of two logits are alike to the eye.",
    exact_law="Of one hidden layer with random weights and many filters the map is |f| m, one m for every logit: m = Σ_j D_jᵀ "
    "r_j/Σ‖y_j‖ with r_jt = ‖y_j‖(1 + u_t²)/(p + 1) for deep Taylor, u = y_j/‖y_j‖, and r_jt ∝ |y_t| k₁(|u_t|) for α1β0, k₁ "
    "the arc-cosine kernel. Two logits are O(1/√N) apart.",
    formula=(
        r"m = \dfrac{\sum_j\, D_j^{\mathrm{T}}\, r_j}{\sum_j\, \|y_j\|},\quad \sum_t\, r_{jt} = \|y_j\|,\quad"
        r" u = \dfrac{y_j}{\|y_j\|}",
        r"\text{deep Taylor: } r_{jt} = \|y_j\|\, \dfrac{1 + u_t^2}{p + 1}",
        r"\alpha1\beta0: \; r_{jt} \propto |u_t|\, k_1(|u_t|)",
    ),
    proof="Relevance reaches a hidden unit in proportion to a⁺V⁺ and is handed on in shares that depend on its filter alone. "
    "Given the filters, readouts average out over many units, and then filters do: what is left is the mean over w of σ(w·y) "
    "times the share.\n\nDeep Taylor's shares w_t²/‖w‖² are independent of ‖w‖, so that the mean is E[σ(w·y) w_t²] over "
    "E‖w‖³/E‖w‖ = p + 1, and Gaussian moments give 1 + u_t². Those of α1β0 have the sum of (y_t w_t)⁺ in the denominator, "
    "which settles on its mean for patches of many entries; the numerator's mean E[σ(w·y) σ(w_t)] is an arc-cosine "
    "kernel.\n\nAt N filters two logits differ by their readouts' positive parts, of variance π − 1 relative to the squared "
    "mean, which gives the distance to first order in 1/√N. The checks extrapolate N and 4N to infinity.",
    n_checks=6,
    run=run,
    margins=(
        Margin(
            f"cosine of the deep Taylor maps of two logits of {max(NETWORKS)} filters",
            low=ALIKE_ENOUGH,
            why=TENTH_WHY,
        ),
    ),
    authors="The finding is about trained deep networks, where it was measured; random ones of three layers show that neither "
    "training nor depth is needed.",
)
