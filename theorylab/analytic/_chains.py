"""The normals of one channel of a residual stage, at one position or at two, and integrals over them.

``o_0 = σ(g_0)``, ``o_k = σ(o_(k−1) + g_k)``, and backwards ``V̂_k = T_(k+1) + α_k o_k + β_k ξ_k``, ``T_k = g'(·) h(V̂_k)``:
:mod:`theorylab.analytic._residual`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic._conditioning import chunks
from theorylab.analytic._gaussian_rule import factors, handed_on, normals
from theorylab.analytic._plan import has_mean
from theorylab.model.rules import Rule

POINTS = 4096
"""More than elsewhere: a chain of ResNet-50 has up to eleven dimensions, and few positions.  Second moments are then within
2 %, what two logits lose of them within 3 %."""


PAIR_POINTS = 1024
"""For what two positions share, of which there are several pairs for each."""


def _climb(g: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    z, o = [g[0]], [np.maximum(g[0], 0)]
    for step in g[1:]:
        z.append(o[-1] + step)
        o.append(np.maximum(z[-1], 0))
    return z, o, g


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """The normals of one channel of a stage, all positions at once."""

    variances: list[np.ndarray]  # of g_0 … g_K, (n,) each

    def energy(self, points: int = POINTS) -> np.ndarray:
        """``E[o_K²]``, (n,)."""
        result = np.empty(self.variances[0].shape)
        u = normals(len(self.variances), points)
        for part in chunks(len(result), points * len(self.variances)):
            result[part] = (self._activations(u, part)[1][-1] ** 2).mean(axis=1)
        return result

    def _activations(
        self, u: np.ndarray, part: slice
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """``z_k``, ``o_k`` and ``g_k`` of some positions, (n, points) each."""
        return _climb([np.sqrt(v[part, None]) * u[:, k] for k, v in enumerate(self.variances)])

    def moments(
        self, fields: list[tuple[np.ndarray, np.ndarray]], rule: Rule, points: int = POINTS
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """``E[g_k T_k]/Var g_k``, ``E[T_k²]``, ``E[V̂_k o_k]``, ``E[V̂_k²]``; `fields` holds ``α`` and ``β`` of ``o_K … o_k``."""
        top = len(self.variances) - 1
        last = top + 1 - len(fields)
        u = normals(len(self.variances) + len(fields) - 1, points)
        sums = np.empty((4, len(self.variances[0])))
        for part in chunks(sums.shape[1], points * u.shape[1]):
            z, o, g = self._activations(u, part)
            skipped = np.zeros(z[0].shape)
            for n, (alpha, beta) in enumerate(fields):
                k = top - n
                mean = skipped + alpha[part, None] * o[k]
                if k == last:
                    break
                skipped = rule.backward(mean + beta[part, None] * u[:, len(self.variances) + n], z[k])
            _, first, energy = handed_on(rule, mean, np.broadcast_to(beta[part, None], mean.shape))
            if rule.gate:
                first, energy = first * (z[last] > 0), energy * (z[last] > 0)
            sums[0, part] = (g[last] * first).mean(axis=1)
            sums[1, part] = energy.mean(axis=1)
            sums[2, part] = (mean * o[last]).mean(axis=1)
            sums[3, part] = (mean**2).mean(axis=1) + beta[part] ** 2
        variance = self.variances[last]
        if not has_mean(rule):
            sums[[0, 2]] = 0  # what the points leave of it
        slope = np.divide(sums[0], variance, out=np.zeros(variance.shape), where=variance > 0)
        return slope, sums[1], sums[2], sums[3]

    def lost(
        self,
        fields: list[tuple[np.ndarray, np.ndarray]],
        own: list[np.ndarray],
        rule: Rule,
        points: int = POINTS,
    ) -> np.ndarray:
        """``E[Var T_k]`` over what one logit has alone, (n,); `fields` as for :meth:`moments`, and of each ``β²`` that part."""
        top, count = len(self.variances) - 1, len(self.variances)
        last = top + 1 - len(fields)
        # For each noise what two logits share, and what each has alone; the last of these is integrated in closed form.
        u = normals(count + 3 * len(fields) - 2, points)
        result = np.empty(self.variances[0].shape)
        for part in chunks(len(result), points * u.shape[1]):
            z, o, _ = self._activations(u, part)
            skipped = np.zeros((2, *z[0].shape))
            for n, ((alpha, beta), apart) in enumerate(zip(fields, own, strict=True)):
                k, noises = top - n, u[:, count + 3 * n :]
                common = np.sqrt(np.maximum(beta[part, None] ** 2 - apart[part, None], 0))
                mean = skipped + alpha[part, None] * o[k] + common * noises[:, 0]
                alone = np.sqrt(apart[part, None])
                if k > last:
                    skipped = rule.backward(mean + alone * noises[:, 1:3].T[:, None], z[k])
            _, first, energy = handed_on(rule, mean, np.broadcast_to(alone, mean.shape))
            # Half the mean square of T − T': what two logits skip differs.
            lost = np.maximum(energy - first**2, 0).mean(axis=0) + (first[0] - first[1]) ** 2 / 2
            result[part] = (lost * (z[last] > 0 if rule.gate else 1)).mean(axis=1)
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class TwoChains:
    """The normals of one channel at two positions, of many pairs of positions: covariances (n, 2, 2) of ``g_0 … g_K``."""

    covariances: list[np.ndarray]

    def gap(self, points: int = PAIR_POINTS) -> np.ndarray:
        """``E[(o_K − o'_K)²]``, (n,): small for neighbours, and so is then its error."""
        result = np.empty(len(self.covariances[0]))
        u = normals(2 * len(self.covariances), points).T
        for part in chunks(len(result), points * len(u)):
            o = _climb(self._normals(self.covariances, u, part))[1][-1]
            result[part] = ((o[:, 0] - o[:, 1]) ** 2).mean(axis=1)
        return result

    def product(
        self, alphas: list[np.ndarray], noises: list[np.ndarray], rule: Rule, points: int = PAIR_POINTS
    ) -> np.ndarray:
        """``E[T_k T'_k]``, (n,); `alphas` (n, 2) and covariances of `noises` (n, 2, 2) as the fields of :meth:`Chain.moments`."""
        top, count = len(self.covariances) - 1, len(self.covariances)
        u = normals(2 * (count + len(noises)), points).T
        result = np.empty(len(self.covariances[0]))
        for part in chunks(len(result), points * len(u)):
            z, o, _ = _climb(self._normals(self.covariances, u, part))
            handed = np.zeros(o[0].shape)
            noise = self._normals(noises, u[2 * count :], part)
            for n, alpha in enumerate(alphas):
                received = handed + alpha[part, :, None] * o[top - n] + noise[n]
                handed = rule.backward(received, z[top - n])
            result[part] = (handed[:, 0] * handed[:, 1]).mean(axis=1)
        return result

    @staticmethod
    def _normals(covariances: list[np.ndarray], u: np.ndarray, part: slice) -> list[np.ndarray]:
        """Return normals (n, 2, points) of these covariances."""
        return [factors(c[part])[0] @ u[2 * k : 2 * k + 2] for k, c in enumerate(covariances)]
