"""Units below a max-pool whose windows overlap or are padded: one unit can win several, and their gradients add.

Window ``p`` sends ``V̂_p = Σ_s a_s(p) M_(p+s) + β_p ξ_p`` to its winner.  Let ``K_p(j)`` say that unit ``j`` wins it: with a
positive value, as the first of the largest; without a gate also where all are closed and ``j`` is the first that is no padding.
Then the unit receives ``R_j = Σ_p K_p(j) V̂_p`` and hands on ``T_j = h(R_j)``.  Given the pre-activations of all windows that
this names, ``R_j`` is normal, of mean ``Σ_p K_p Σ_s a_s M_(p+s)`` and variance ``Σ_pp' K_p K_p' C_pp'``, ``C`` the covariance
of the noises of two windows.  Padding holds no value: its pre-activation is 0 here and wins nothing.

*The covariance* of noises at two positions is no small number where ``h`` has a mean, because positions share the filters.  At
two positions ``s`` apart, the same entry of a filter meets ``T_q`` and ``T_(q+s/t)``, ``t`` the stride; different entries are
uncorrelated up to one over the patch's size, which is left out as in ``β²``.  So ``C'_s(pos) = n c² Σ_(q∋pos) E[T_q T_(q+s/t)]``,
and 0 where the stride does not divide ``s``: a readout, or a stride of two, makes neighbours independent.  Behind a global
average all positions receive the same, and ``C = 1``.  :mod:`theorylab.analytic._plan` says at which shifts ``C`` is needed, from
the pool upwards; ``E[T T']`` is an integral over the pre-activations that both depend on, and over the noise of one of the two.
In a residual stage both are ends of chains (:mod:`theorylab.analytic._residual`).

*Errors.*  Under one hidden layer it is the three-layer law (:mod:`theorylab.analytic._unions`) up to the integral: the mean
map has cosine 0.999 to that one.  Behind one such pool, of 3×3 at stride 2 with padding 1, and two more convolutions or two
residual blocks of 96 to 128 filters, in 128 networks on 13 pictures of 24×24, photographs, flat areas, a drawing, text, little
contrast and noise among them, no alignment was off by more than 0.01, nor the mean map's size by more than 3.4 ± 1.3 %.  With
512 filters the alignment with the input was, law | simulated, 0.675 | 0.674(2).  In 40 random ResNet-50s at 64×64, whose first
layers have 64 filters, it was 0.459 | 0.454(2) for guided backpropagation and 0.305 | 0.304(4) for DeconvNet; of what the blocks
read, none was off by more than 0.011, twice its standard error.  Noises taken for independent lose 40 % of DeconvNet's mean
behind windows at stride 1.

Above another such pool, in 80 networks, no alignment was off by more than 0.01 and no size by more than 2.7 ± 1.0 %.  That needs
inner products above the lower pool that are good to a small share of the differences between its windows: with 512 points for
these, as behind disjoint windows, the mean over flat areas came out too large by half.  On two pictures made after that,
in 80 networks of 128 filters with one pool or two, alignments were within 0.009 or 1.3 standard errors, sizes 1 to 4 % below;
in 150 of 96 on two others alignments within 0.003 or 1.6, sizes 0.9 ± 1.0 and 2.3 ± 1.1 % below.

Above another pool a unit's own windows reach four steps, or two where the stride is one.  With estimates beyond two steps, as
on large pictures under disjoint windows, maps at 24×24 were wrong: ``200 + cat/25`` had one 2.5 and 7.6 times as large as
with integrals under two and three pools of 3×3, 13 % larger under three of 2×2 at stride 1, and night one 3 and 10 % larger;
under two of 2×2 above one of 3×3 that overlaps, ``200 + cat/500`` had 51 %.  So where one of several pools overlaps all is
integrated, up to ``_plan.ALL_PAIRS`` pairs: with pools of 3×3 at stride 2 on pictures of up to 448×448 under two, 190×190
under three.

Under three such pools of 128 filters, all integrated, in 60 to 80 networks on ``200 + cat/25``, cat, rocket, night and
stripes no alignment was off by more than 0.01, DeconvNet's by more than 0.023 or three standard errors, sizes by more than
2.6 ± 1.2 %.  On fainter pictures the integrals are too rough for a pool that is handed a mixture: ``200 + cat/100`` had 0.14
and a map 2.5 times too large, ``200 + rocket/500`` 0.04 and 38 %.  There :func:`theorylab.analytic._blocks.refuse_faint`
refuses.  Under two pools, and under disjoint ones above one that overlaps, ``200 + cat/500`` was within 0.018, DeconvNet two
standard errors, and 4.6 ± 1.3 %, its cosine 0.976 or more.  Four such pools were not measured.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from theorylab.analytic import _gaussian_rule
from theorylab.analytic._blocks import Block
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._field import Field
from theorylab.analytic._gaussian_rule import factors, handed_on, normals
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._joint_moments import TIE
from theorylab.analytic._lying import Lying, lyings
from theorylab.analytic._plan import ALONE, Shift
from theorylab.analytic._windows import moved
from theorylab.model.rules import Rule

POINTS = 2048
"""More than behind disjoint windows: a unit of ResNet-50 depends on the patches of 25 positions.  Products of pairs, which have
no direction, take fewer."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sites:
    """Some units that lie alike, with what their windows receive; every array (n,) or (n, …)."""

    lying: Lying
    rows: np.ndarray
    columns: np.ndarray
    gram: np.ndarray  # (n, D, D) covariances of the pre-activations of the listed patches
    first: dict[
        tuple[int, Shift], np.ndarray
    ]  # of a unit and a window: whether it is the first that is no padding
    a: dict[tuple[Shift, Shift], np.ndarray]  # of a window and a shift
    noise: dict[tuple[Shift, Shift], np.ndarray]  # covariance of the noises of two windows

    def part(self, of: slice) -> Sites:
        """Keep some of them."""
        return Sites(
            self.lying,
            self.rows[of],
            self.columns[of],
            self.gram[of],
            {key: values[of] for key, values in self.first.items()},
            {key: values[of] for key, values in self.a.items()},
            {key: values[of] for key, values in self.noise.items()},
        )

    def parts(self, points: int) -> Iterator[tuple[slice, Sites]]:
        """Yield a few at a time."""
        for of in chunks(len(self.rows), points * len(self.lying.listed)):
            yield of, self.part(of)

    def received(self, z: np.ndarray, rule: Rule) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Means of what the units receive, and their covariances, (n, points) each, at pre-activations (n, D, points).

        Of two units the variance of the first, its covariance with the other, and the variance of that.
        """
        lying, gate = self.lying, rule.gate
        count = z.shape[1]
        scale = np.sqrt(np.trace(self.gram, axis1=1, axis2=2) / count)
        z = z - TIE * scale[:, None, None] * np.arange(count)[:, None]
        tops = {d: z[:, members].max(axis=1) for d, members in lying.members.items()}
        largest = {d: np.maximum(top, 0) for d, top in tops.items()}
        means, wins = [], []
        for n, (own, windows) in enumerate(zip(lying.own, lying.receiving, strict=True)):
            mean, won = np.zeros(z[:, own].shape), {}
            for d in windows:
                win = (z[:, own] >= tops[d]) & (z[:, own] > 0)
                if not gate:
                    win |= (tops[d] <= 0) & self.first[n, d][:, None]
                handed = [
                    a[:, None] * largest[d[0] + s[0], d[1] + s[1]]
                    for (window, s), a in self.a.items()
                    if window == d
                ]
                if handed:
                    mean += win * sum(handed)
                won[d] = win
            means.append(mean)
            wins.append(won)
        covariances = []
        for one, other in itertools.combinations_with_replacement(wins, 2):
            total = np.zeros(means[0].shape)
            for d, e in itertools.product(one, other):
                if self.noise[d, e].any():
                    total += (one[d] & other[e]) * self.noise[d, e][:, None]
            covariances.append(total)
        return means, covariances


def sites_of(
    block: Block, patches: InnerProducts, field: Field, partner: Shift | None = None
) -> Iterator[Sites]:
    """All units of a block, or all pairs of units, some at a time, under the gradient at its output."""
    pool = block.pool or ALONE
    ones = np.ones(field.beta.shape)
    a = {s: plane * moved(ones, s) for s, plane in field.shifts.items() if plane.any()}
    for lying in lyings(pool, field.shifts, partner):
        held = sorted({d for windows in lying.receiving for d in windows})
        noise = {(d, e): field.noise((e[0] - d[0], e[1] - d[1])) for d in held for e in held}
        every = lying.places(patches.shape, pool)
        for part in chunks(len(every[0]), len(lying.listed) ** 2):
            rows, columns = every[0][part], every[1][part]
            last = [
                (line + pad) // step
                for line, pad, step in zip((rows, columns), pool.padding, pool.stride, strict=True)
            ]
            present = {s: _taken(np.ones(patches.shape), (rows, columns), s) > 0 for s in lying.listed}
            first = {}
            for n, windows in enumerate(lying.receiving):
                for d in windows:
                    inside = np.stack([present[lying.listed[m]] for m in lying.members[d]])
                    first[n, d] = lying.members[d][inside.argmax(axis=0)] == lying.own[n]
            yield Sites(
                lying,
                rows,
                columns,
                block.std**2 * patches.gram(lying.listed, (rows, columns)),
                first,
                {(d, s): _taken(plane, last, d) for d in held for s, plane in a.items()},
                {(d, e): _taken(plane, last, d) for (d, e), plane in noise.items()},
            )


def _taken(plane: np.ndarray, places: Sequence[np.ndarray], shift: Shift) -> np.ndarray:
    """Values at some places plus a shift, 0 outside."""
    at = [line + step for line, step in zip(places, shift, strict=True)]
    inside = [(line >= 0) & (line < size) for line, size in zip(at, plane.shape, strict=True)]
    return np.where(inside[0] & inside[1], plane[at[0] * inside[0], at[1] * inside[1]], 0.0)


def moments_of_sum(sites: Sites, rule: Rule, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Return ``b`` (n, D) in ``E[w T_j] = c² Σ_m b_m y_m``, over the listed patches, and ``E[T_j²]`` (n,).

    With ``z = L u`` and ``u`` standard normal ``b = L⁻ᵀ E[u T]``.  ``Yᵀ L⁻ᵀ`` has orthonormal columns, so that the mean has the
    integral's error and no more, however nearly singular the Gram matrix is.
    """
    count = len(sites.lying.listed)
    u = normals(count, points)
    coefficients, second = np.empty((len(sites.rows), count)), np.empty(len(sites.rows))
    for of, some in sites.parts(points):
        root, inverse = factors(some.gram)
        (mean,), (variance,) = some.received(root @ u.T, rule)
        _, first, energy = handed_on(rule, mean, np.sqrt(np.maximum(variance, 0)))
        second[of] = energy.mean(axis=1)
        coefficients[of] = ((first[:, None] @ u / points) @ inverse.swapaxes(1, 2))[:, 0]
    return coefficients, second


def lost_of_sum(sites: Sites, own: Sites, rule: Rule, points: int = _gaussian_rule.POINTS) -> np.ndarray:
    """``E[Var T_j]`` over what one logit has alone, (n,); `own` are the same units under that part of the noise."""
    u = normals(len(sites.lying.listed) + 1, points).T
    lost = np.empty(len(sites.rows))
    for of, some in sites.parts(points):
        z = factors(some.gram)[0] @ u[:-1]
        (mean,), (variance,) = some.received(z, rule)
        _, (alone,) = own.part(of).received(z, rule)
        common = np.sqrt(np.maximum(variance - alone, 0))
        _, first, second = handed_on(rule, mean + common * u[-1], np.sqrt(alone))
        lost[of] = np.maximum(second - first**2, 0).mean(axis=1)
    return lost


def product_of_pair(sites: Sites, rule: Rule, points: int = _gaussian_rule.POINTS) -> np.ndarray:
    """``E[T_j T_j']`` of pairs of units, (n,)."""
    u = normals(len(sites.lying.listed) + 1, points).T
    products = np.empty(len(sites.rows))
    for of, some in sites.parts(points):
        (mean, other), (variance, shared, left) = some.received(factors(some.gram)[0] @ u[:-1], rule)
        std = np.sqrt(np.maximum(variance, 0))
        share = np.divide(shared, std, out=np.zeros(std.shape), where=std > 0)
        one = mean + std * u[-1]
        _, first, _ = handed_on(rule, other + share * u[-1], np.sqrt(np.maximum(left - share**2, 0)))
        products[of] = (rule.h(one) * first).mean(axis=1)
    return products
