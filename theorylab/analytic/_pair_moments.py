"""What two logits of one network leave of each other behind a unit or a pool: integrals over what they share.

Both receive ``V̂ = M + τ η + δ ξ``: the mixture ``M = Σ_s a_s o_s`` of activations and the noise ``η`` are the same for both,
``ξ`` is each one's own and is integrated in closed form; ``β² = τ² + δ²``.  A unit hands on ``T``.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic._conditioning import chunks
from theorylab.analytic._gaussian_rule import POINTS, factors, handed_on, normals
from theorylab.analytic._joint_moments import winner
from theorylab.model.rules import Rule
from theorylab.model.units import Unit


@dataclasses.dataclass(frozen=True, eq=False)
class PairMoments:
    """Expectations for each unit of a window, (n, k) each; ``z`` is its pre-activation, and variances are over ``ξ``."""

    lost: np.ndarray  # E[Var T]
    second: np.ndarray  # E[T²]
    along: np.ndarray  # E[z T]
    # E[z M ∂T/∂V̂] and E[M T ∂T/∂V̂]: what of E[z T] and of E[T²] follows the scale of M; the rest follows that of the noise.
    mean_in_along: np.ndarray
    mean_in_second: np.ndarray
    scatter_along: np.ndarray  # E[(z² − E z²) Var T]
    scatter_both: np.ndarray  # E[z Cov(T, T²)]
    scatter_second: np.ndarray  # E[Var T²]


def higher(rule: Rule, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``E[h(v) h'(v)]``, ``E[h(v)³]`` and ``E[h(v)⁴]`` of normals ``v``; `std` may be 0.

    By parts ``E[v₊^k] = mean E[v₊^(k−1)] + (k − 1) std² E[v₊^(k−2)]``; what belongs to ``−v`` follows from the normal's moments.

    Examples
    --------
    >>> [round(float(m), 6) for m in higher(Rule.DECONVNET, np.array(0.0), np.array(1.0))]
    [0.398942, 0.797885, 1.5]
    """
    up, down, variance = rule.up, rule.down, std**2
    _, first, second = handed_on(Rule.DECONVNET, mean, std)
    third = mean * second + 2 * variance * first
    fourth = mean * third + 3 * variance * second
    if down == 0:
        return up**2 * first, up**3 * third, up**4 * fourth
    cube = mean * (mean**2 + 3 * variance)
    return (
        (up**2 - down**2) * first + down**2 * mean,
        (up**3 + down**3) * third - down**3 * cube,
        (up**4 - down**4) * fourth + down**4 * (mean * cube + 3 * variance * (mean**2 + variance)),
    )


def pair_moments(
    gram: np.ndarray,
    a: np.ndarray,
    shared: np.ndarray,
    own: np.ndarray,
    rule: Rule,
    unit: Unit,
    *,
    points: int = POINTS,
) -> PairMoments:
    """Integrate over the pre-activations of ``S`` windows of ``k`` units, and over ``η``.

    `gram` (n, S k, S k) is the covariance of the pre-activations, one window after the other and the receiving one first;
    `a` (n, S) holds the coefficients of their activations, the largest entries behind the unit; `shared` and `own` are ``τ`` and
    ``δ``, (n,).  Windows of one unit are no pools.  Other units than the ReLU have no pools.

    Examples
    --------
    Independent readout weights under guided backpropagation, of which one half passes:

    >>> from theorylab.model.units import RELU
    >>> one = np.ones(1)
    >>> found = pair_moments(np.ones((1, 1, 1)), 0 * one[None], 0 * one, one, Rule.GUIDED, RELU)
    >>> bool(abs(found.lost.item() - (1 / 2 - 1 / (2 * np.pi)) / 2) < 1e-12)
    True
    """
    windows, dimension = a.shape[1], gram.shape[-1]
    size = dimension // windows
    u = normals(dimension + 1, points).T
    sums = np.empty((8, len(gram), size))
    for part in chunks(len(gram), points * dimension):
        z = (factors(gram[part])[0] @ u[:-1]).reshape(-1, windows, size, points)
        output = unit.forward(z.max(axis=2))
        mean = (a[part, None] @ output)[:, 0]
        received = mean + shared[part, None] * u[-1]
        noise = np.broadcast_to(own[part, None], mean.shape)
        slope, first, second = handed_on(rule, received, noise)
        curve, third, fourth = higher(rule, received, noise)
        variance = np.diagonal(gram[part], axis1=1, axis2=2)[:, :size, None]
        scatter = np.maximum(second - first**2, 0)
        z = z[:, 0]
        wins = winner(z, gram[part, :size, :size], rule)[:, None] == np.arange(size)[:, None]
        passed = wins * np.where(z > 0, 1.0, rule.shut(unit))
        for n, (power, with_z, integrand) in enumerate(
            (
                (2, None, scatter),
                (2, None, second),
                (1, z, first),
                (1, z, mean * slope),
                (2, None, mean * curve),
                (2, z**2 - variance, scatter),
                (3, z, third - first * second),
                (4, None, fourth - second**2),
            )
        ):
            weight = passed**power if with_z is None else passed**power * with_z
            sums[n, part] = (weight @ integrand[..., None])[..., 0] / points
    return PairMoments(*sums)
