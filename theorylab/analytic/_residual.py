"""Residual stages: sums of convolutions and of their input, and gradients that skip the convolutions.

In one channel at one position a stage is a chain of a few independent normals: ``o_0 = σ(g_0)``, ``o_k = σ(o_(k−1) + g_k)``,
where ``g_k`` is what branch ``k`` adds.  The gradient runs the chain backwards: ``V̂_k = T_(k+1) + α_k o_k + β_k ξ_k``, the
first term by the identity, the others through the branch above, and ``T_k = g'(·) h(V̂_k)``.  So everything that the branches
need, ``E[g_k T_k]`` and ``E[T_k²]``, is an integral over at most ``2K + 1`` normals.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic import _equal
from theorylab.analytic._blocks import Path, Stage
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._gaussian_rule import handed_on, normals
from theorylab.analytic._gradient_field import BlockLaw, Field, Projection, handed_down
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import HERE, Step, has_mean
from theorylab.model.rules import Rule
from theorylab.model.units import RELU

POINTS = 4096
"""More than elsewhere: a chain of ResNet-50 has up to eleven dimensions, and few positions.  Second moments are then within
2 %."""


class PathLaw:
    """A path with the inner products along it."""

    def __init__(self, path: Path, products: InnerProducts) -> None:
        self._laws: list[BlockLaw] = []
        for block in path:
            self._laws.append(BlockLaw(Step(block, {HERE}, {HERE}, {HERE}), products, RELU))
            products = self._laws[-1].output

    @property
    def variance(self) -> np.ndarray:
        """Of what the path adds to a sum, one channel: (H, W)."""
        return self._laws[-1].block.std ** 2 * self._laws[-1].patches.energy

    def down(self, slope: np.ndarray, second: np.ndarray, rule: Rule) -> Field:
        """Return the field at the path's input, from ``E[∂T/∂g]`` and ``E[T²]`` behind its last convolution."""
        field = handed_down({HERE: slope}, second, self._laws[-1].block, rule)
        for law in reversed(self._laws[:-1]):
            _, field = law.gradients(field, rule)
        return field


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
        g = [np.sqrt(v[part, None]) * u[:, k] for k, v in enumerate(self.variances)]
        z, o = [g[0]], [np.maximum(g[0], 0)]
        for step in g[1:]:
            z.append(o[-1] + step)
            o.append(np.maximum(z[-1], 0))
        return z, o, g

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


class StageLaw:
    """A stage with the inner products of all that runs through it: energies alone."""

    def __init__(self, stage: Stage, products: InnerProducts) -> None:
        self.block, self.input = stage, products
        self._heads = [PathLaw(path, products) for path in stage.head]
        self._chain = Chain([np.asarray(sum(law.variance for law in self._heads)).ravel()])
        self._tails: list[PathLaw] = []
        self._sums = [self._products()]
        for path in stage.tails:
            self._tails.append(PathLaw(path, self._sums[-1]))
            self._chain = Chain([*self._chain.variances, self._tails[-1].variance.ravel()])
            self._sums.append(self._products())
        self.output = self._sums[-1]

    def _products(self) -> InnerProducts:
        energy = self._chain.energy().reshape(self.block.shape[1:])
        return InnerProducts({HERE: self.block.shape[0] * energy}, _equal.none(energy.shape))

    def gradients(self, field: Field, rule: Rule) -> tuple[list[tuple[int, Projection]], Field]:
        """Return the gradient at every sum below the topmost one, with the convolutions above it, and the field at the input.

        The field at the output is plain, as there is no pool above a stage.
        """
        fields = [(field.shifts[HERE].ravel(), field.beta.ravel())]
        slope, second, *_ = self._moments(fields, rule)
        inside, depth, channels = [], 0, self.block.shape[0]
        for path, law, products in zip(
            reversed(self.block.tails), reversed(self._tails), reversed(self._sums[:-1]), strict=True
        ):
            # What the block adds to the gradient that skips it.
            added = law.down(slope, second, rule)
            fields.append((added.shifts[HERE].ravel(), added.beta.ravel()))
            slope, second, along, power = self._moments(fields, rule)
            depth += len(path)
            projection = Projection.of(products.energy, channels * along, channels * power, channels)
            inside.append((depth, projection))
        below = [law.down(slope, second, rule) for law in self._heads]
        alpha = np.asarray(sum(part.shifts[HERE] for part in below))
        return inside, Field({HERE: alpha}, np.sqrt(np.asarray(sum(part.beta**2 for part in below))))

    def _moments(self, fields: list[tuple[np.ndarray, np.ndarray]], rule: Rule) -> list[np.ndarray]:
        return [part.reshape(self.block.shape[1:]) for part in self._chain.moments(fields, rule)]
