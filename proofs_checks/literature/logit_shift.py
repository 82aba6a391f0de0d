"""Whether a map of a logit says what tells the classes apart."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome
from proofs_checks.studies import shelf
from theorylab import PatchGrid, Rule, networks, visualize

SIDE = 8
N_FILTERS = 8
LOGITS = 5
NETWORKS = 4
STEP = 1e-8  # so short that it crosses no kink, but for one seed in some ten thousand


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def of_log_probabilities(maps: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the gradients of log p, (logits, C, H, W), from those of the logits."""
    return maps - np.tensordot(p, maps, 1)


def run(bench: Bench) -> Outcome:
    """Shift all logits of random networks by one function, and compare maps before and after."""
    rng = np.random.default_rng(bench.seed_of("shifted logits"))
    crop = shelf.small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(3, *crop.shape[1:]), stride=2)
    direction = rng.standard_normal(crop.shape)
    slopes, predicted, unsoftened = [], [], []
    before, after, own, moved = [], [], [], []
    changes, cosines = [], []
    for _ in range(NETWORKS):
        filters = rng.standard_normal((N_FILTERS, crop.shape[0], *grid.kernel))
        readout, shift = rng.standard_normal((2, LOGITS, N_FILTERS, *grid.output_shape))
        net, shifted = (
            networks.ThreeLayerNetwork(grid, filters, readout + added) for added in (0, 3 * shift[0])
        )
        maps, others = (
            np.array([visualize(n, crop, Rule.SALIENCY, k) for k in range(LOGITS)]) for n in (net, shifted)
        )
        p, q = (probabilities(n.logits(crop)) for n in (net, shifted))
        ends = [np.log(probabilities(net.logits(crop + sign * STEP * direction))) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * STEP))
        predicted.append((of_log_probabilities(maps, p) * direction).sum(axis=(1, 2, 3)))
        unsoftened.append((maps * direction).sum(axis=(1, 2, 3)))
        before.append(of_log_probabilities(maps, p))
        after.append(of_log_probabilities(others, q))
        own.append(maps)
        moved.append(others)
        changes.append(float(abs(p - q).max()))
        cosines += [
            float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
            for a, b in zip(maps, others, strict=True)
        ]
    derivative = bench.identity(
        "slope of log p_k = ⟨S_k − Σ p_m S_m, direction⟩, by finite differences",
        slopes,
        predicted,
        "the logit's own map",
        unsoftened,
        tolerance=1e-5,
    )
    kept = bench.identity(
        "map of log p_k, all logits shifted by one function of the picture",
        after,
        before,
        "the map moves as the logit's does",
        [a + b - c for a, b, c in zip(before, moved, own, strict=True)],
    )
    return Outcome(
        f"A shift of all logits changes no probability (by {max(changes):.0e} at most) and no map of log p_k; the maps of "
        f"logits before and after have a mean cosine of {np.mean(cosines):.2f}.",
        (Evidence(max(changes), 0.0, NETWORKS),),
        (derivative, kept),
        kept.name,
    )


CLAIM = Claim(
    id="logit-shift",
    order=80,
    section="Srinivas and Fleuret 2020, arXiv 2006.09128",
    statement="The softmax does not see a function of the picture that is added to every logit. Gradients of logits can "
    "therefore be changed at will without a change of what the network decides, so that they need not say how it tells "
    "classes apart.",
    exact_law="∇ log p_k = S_k − Σ_m p_m S_m, S_m the gradient of logit m: a shift of all by g adds ∇g to each S_m and cancels.",
    formula=(
        r"\nabla \log p_k = S_k - \sum_m\, p_m\, S_m",
        r"f_m \to f_m + g: \quad S_m \to S_m + \nabla g,\quad \nabla \log p_k \text{ as before}",
    ),
    proof="log p_k = f_k − log Σ_m exp f_m; its gradient subtracts the mean of the maps under p. A function g added to every "
    "logit adds ∇g to S_k and, as the p_m add up to 1, to the mean.\n\nIn a random network the same vector added to the "
    "readout of every logit is such a shift.",
    n_checks=2,
    run=run,
    margins=(
        Margin(
            "largest change of a probability when all logits are shifted",
            low=-1e-9,
            high=1e-9,
            why="no change but rounding",
        ),
    ),
    authors="That is the point; that logits of trained networks have structured maps all the same has to be explained otherwise.",
)
