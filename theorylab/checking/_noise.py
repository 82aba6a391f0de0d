"""Maps that differ from call to call: their means beside those of SmoothGrad."""

from __future__ import annotations

import numpy as np

from theorylab.checking._references import Case
from theorylab.model.rules import PAPER, Rule
from theorylab.networks.batches import batch_gradients

CALLS, _DRAWS = 60, 800
# Mean squares of the difference over its standard error, over pixels: 1 where the means are the same.
_SAME, _TOLD, _OTHER = 1.5, 2.5, 3.0


def _distance(maps: np.ndarray, known: np.ndarray) -> float:
    exponent = np.frexp(max(np.abs(maps).max(), np.abs(known).max()))[1]  # squares stay in range
    maps, known = np.ldexp(maps, -exponent), np.ldexp(known, -exponent)
    error = sum(each.var(0, ddof=1) / len(each) for each in (maps, known) if len(each) > 1)
    return float(np.mean((maps.mean(0) - known.mean(0)) ** 2 / np.maximum(error, 1e-300)))


def smoothgrad(case: Case, maps: np.ndarray, seed: np.random.SeedSequence) -> str:
    """Return rule and noise whose mean the mean of `maps`, (N, C, H, W), is, in words; empty if it is no usual one's."""
    x, net = case.x, case.trace.network
    if maps.shape[1:] != x.shape:
        return ""
    noise = np.random.default_rng(seed).standard_normal((_DRAWS, *x.shape))
    target = np.eye(net.n_logits)[case.target]
    shares = {
        f"{share:g} of the picture's range": share * np.ptp(x) for share in (0.15, 0.1, 0.2, 0.05, 0.25, 0.3)
    }
    sizes = shares | {f"{size:g}": size for size in (0.1, 0.2, 0.25, 0.5, 1.0)}

    def off(rule: Rule, size: float) -> float:
        return _distance(maps, batch_gradients(net, x + size * noise, target, rule))

    best: dict[Rule, tuple[float, str]] = {}
    fitting: dict[Rule, list[str]] = {}
    for rule in PAPER:
        plain = _distance(maps, batch_gradients(net, x[None], target, rule))
        found = [(off(rule, size), words) for words, size in sizes.items()]
        fitting[rule] = [words for value, words in found if value < _TOLD]
        best[rule] = min(found) if plain > _OTHER else (plain, "")
    nearest = min(best, key=lambda rule: best[rule][0])
    least, words = best[nearest]
    others = [value for rule, (value, _) in best.items() if rule is not nearest]
    if not (words and least < _SAME and min(others) > _OTHER):
        return ""
    # A usual size is told if no other one fits as well, nor one that is a little larger or smaller.
    near = min(off(nearest, factor * sizes[words]) for factor in (0.85, 1.15))
    told = len(fitting[nearest]) == 1 and near > least
    return f"rule {nearest.value}, noise {words if told else 'of a size that could not be told'}"
