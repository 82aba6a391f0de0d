"""What a random convolutional layer keeps of the angles of pictures."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.rows import PerDraw
from theorylab import PatchGrid, photographs
from theorylab.analytic import feature_cosine
from theorylab.montecarlo import Measurement

SIDE = 16
PICTURES = 6
N_FILTERS = 32
REPLICATES = 3000
GRID = PatchGrid((3, SIDE, SIDE), 3, stride=2)
DENSE = PatchGrid((3, SIDE, SIDE), SIDE)


@dataclasses.dataclass(frozen=True)
class Features(PerDraw):
    """Inner products of outputs of one convolution with ReLUs, per filter: means over pictures, ``own``, and pairs, ``pair``."""

    pictures: np.ndarray

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        patches = GRID.extract(self.pictures.astype(np.float32))
        n = len(patches)
        filters = rng.standard_normal((GRID.patch_size, N_FILTERS), dtype=np.float32)
        features = np.maximum(patches @ filters, 0).reshape(n, -1)
        gram = (features @ features.T).astype(np.float64) / N_FILTERS
        own = np.trace(gram)
        return {"own": own / n, "pair": (gram.sum() - own) / (n * (n - 1))}


def even(pictures: list[np.ndarray]) -> np.ndarray:
    """Scale pictures so that the patches of each have one energy."""
    return np.array([x / np.linalg.norm(GRID.extract(x)) for x in pictures])


def photographed() -> np.ndarray:
    """Return crops of photographs, of red, green and blue from 0 on."""
    names = itertools.islice(itertools.cycle(photographs.present()), PICTURES)
    return even([photographs.crop(name, SIDE, seed=number) for number, name in enumerate(names)])


def gaussian(seed: np.random.SeedSequence) -> np.ndarray:
    """Return Gaussian pictures, half of whose energy is shared by all."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal(GRID.input_shape)
    return even([shared + rng.standard_normal(GRID.input_shape) for _ in range(PICTURES)])


def contracted(mean: dict[str, float]) -> float:
    """Return one minus the cosine of features."""
    return 1 - mean["pair"] / mean["own"]


def run(bench: Bench) -> Outcome:
    """Measure cosines of features of photographs and of Gaussian pictures."""
    checks: list[Check] = []
    kept: dict[str, float] = {}
    measured: dict[str, Measurement] = {}
    for kind, pictures in (
        ("photographs", photographed()),
        ("Gaussian pictures", gaussian(bench.seed_of("pictures"))),
    ):
        pairs = list(itertools.combinations(pictures, 2))
        flat = [(a.ravel() / np.linalg.norm(a), b.ravel() / np.linalg.norm(b)) for a, b in pairs]
        kept[kind] = math.fsum(float(a @ b) for a, b in flat) / len(pairs)
        law, dense = (
            math.fsum(1 - feature_cosine(a, b, grid) for a, b in pairs) / len(pairs) for grid in (GRID, DENSE)
        )
        measured[kind] = bench.study(f"features of {kind}", Features(pictures), REPLICATES, block=25)
        checks.append(
            bench.ratio(
                f"1 − cosine of the features, {kind}",
                measured[kind],
                contracted,
                law,
                (
                    Wrong("one layer of a dense network", dense),
                    Wrong("the angles of the pictures are kept", 1 - kept[kind]),
                ),
            )
        )
    natural = kept["photographs"]
    change = measured["photographs"].estimate(lambda mean: 1 - contracted(mean) - natural)
    noise = kept["Gaussian pictures"]
    return Outcome(
        f"The mean cosine of {PICTURES} photographs goes from {natural:.3f} to {natural + change[0]:.3f}, that of Gaussian "
        f"pictures from {noise:.3f} to {1 - checks[1].estimate:.3f}. Photographs start near 1, where "
        "even a dense layer changes little.",
        (Evidence(*change),),
        tuple(checks),
        checks[0].name,
    )


CLAIM = Claim(
    id="feature-geometry",
    order=75,
    section="Nachum, Hązła, Gastpar and Khina 2021, arXiv 2111.02155",
    statement="After one random convolutional layer with ReLUs the geometry of natural images, their angles, is essentially "
    "preserved; Gaussian correlated inputs contract as in a dense layer.",
    exact_law="The cosine of features is Σ_j ‖y_j‖‖y'_j‖ k₁(cos θ_j)/√(Σ‖y_j‖² Σ‖y'_j‖²), θ_j the angle of the two patches at "
    "position j, for every number of filters, as a ratio of expectations; a dense layer has k₁ of the pictures' cosine.",
    formula=(
        r"\rho = \dfrac{\sum_j\, \|y_j\|\,\|y'_j\|\, k_1(\cos\theta_j)}{\sqrt{\sum_j\, \|y_j\|^2\; \sum_j\, \|y'_j\|^2}}",
        r"k_1(\cos\theta) = \dfrac{\sin\theta + (\pi - \theta) \cos\theta}{\pi}",
    ),
    proof="A filter and its ReLU have E[σ(w·y) σ(w·y')] = c²‖y‖‖y'‖ k₁(cos θ)/2 at every position (Cho and Saul 2009), and "
    "positions and filters add up.\n\nIn photographs the patches of one position are bright or dark, and nearly parallel: k₁ "
    "is near 1, as for parallel vectors, and what is left of the cosine is the product of strengths, which a convolution "
    "keeps.",
    n_checks=2,
    run=run,
    margins=(
        Margin(
            "mean cosine of photographs' features, less that of the photographs",
            low=-EPSILON,
            high=EPSILON,
            why="essentially preserved: within a tenth",
        ),
    ),
    authors="The statement is about single layers; through many, angles contract, at a rate that depends on the pictures.",
)
