"""Residual stages: sums of convolutions and of their input, and gradients that skip the convolutions.

In one channel at one position a stage is a chain of a few independent normals: ``o_0 = σ(g_0)``, ``o_k = σ(o_(k−1) + g_k)``,
where ``g_k`` is what branch ``k`` adds.  The gradient runs the chain backwards: ``V̂_k = T_(k+1) + α_k o_k + β_k ξ_k``, the
first term by the identity, the others through the branch above, and ``T_k = g'(·) h(V̂_k)``.  So everything that the branches
need, ``E[g_k T_k]`` and ``E[T_k²]``, is an integral over at most ``2K + 1`` normals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from theorylab.analytic import _equal
from theorylab.analytic._blocks import Stage
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._field import Field, Planes, Projection
from theorylab.analytic._gaussian_rule import factors, handed_on, normals
from theorylab.analytic._gradient_field import BlockLaw, handed_down
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import HERE, Shift, Step, half, has_mean, path_steps, stage_levels, through
from theorylab.analytic._windows import moved
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit

POINTS = 4096
"""More than elsewhere: a chain of ResNet-50 has up to eleven dimensions, and few positions.  Second moments are then within
2 %."""


PAIR_POINTS = 1024
"""For what two positions share, of which there are several pairs for each."""


class PathLaw:
    """A path with the inner products along it."""

    def __init__(self, steps: Sequence[Step], products: InnerProducts) -> None:
        self._laws: list[BlockLaw] = []
        for step in steps:
            self._laws.append(BlockLaw(step, products, RELU))
            products = self._laws[-1].output
        self._pairs = steps[-1].pairs

    @property
    def variance(self) -> np.ndarray:
        """Of what the path adds to a sum, one channel: (H, W)."""
        return self.covariance(HERE)

    def covariance(self, shift: Shift) -> np.ndarray:
        """Of that with what it adds at another position."""
        return self._laws[-1].block.std ** 2 * self._laws[-1].patches.at(shift)

    def down(self, slope: np.ndarray, second: np.ndarray, rule: Rule, products: Planes) -> Field:
        """Return the field at the path's input, from ``E[∂T/∂g]``, ``E[T²]`` and ``E[T T']`` behind its last convolution."""
        held = {s: products[s] for s in self._pairs}
        field = handed_down({HERE: slope}, second, self._laws[-1].block, rule, held)
        for law in reversed(self._laws[:-1]):
            _, field = law.gradients(field, rule)
        return field


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


def _paired(plane: np.ndarray, product: np.ndarray, shift: Shift) -> np.ndarray:
    """Covariances (n, 2, 2) at the positions whose neighbour at `shift` lies inside, from the variances and covariances."""
    inside = moved(np.ones(plane.shape), shift) > 0
    matrix = np.stack([plane, product, product, moved(plane, shift)], axis=-1)[inside]
    return np.asarray(matrix.reshape(-1, 2, 2))


class StageLaw:
    """A stage with the inner products of all that runs through it: energies alone."""

    def __init__(self, step: Step, products: InnerProducts) -> None:
        assert isinstance(step.block, Stage)
        self.block, self.input = step.block, products
        _, *levels = stage_levels(step.block, step.pairs, step.output)
        self._shared = set[Shift]().union(*(through(path, step.pairs) for path in self.block.head))
        self._heads = [PathLaw(path_steps(path, step.pairs, levels[0]), products) for path in self.block.head]
        self._paths, self._tails = [self._heads], list[PathLaw]()  # the paths of each sum
        self._sums = [self._products(levels[0])]
        for path, level in zip(self.block.tails, levels[1:], strict=True):
            self._tails.append(PathLaw(path_steps(path, self._shared, level), self._sums[-1]))
            self._paths.append([self._tails[-1]])
            self._sums.append(self._products(level))
        self.output = self._sums[-1]

    def _covariance(self, paths: list[PathLaw], shift: Shift = HERE) -> np.ndarray:
        return np.asarray(sum(law.covariance(shift) for law in paths))

    def _pairs(self, shift: Shift) -> TwoChains:
        return TwoChains(
            [_paired(self._covariance(paths), self._covariance(paths, shift), shift) for paths in self._paths]
        )

    @property
    def _chain(self) -> Chain:
        return Chain([self._covariance(paths).ravel() for paths in self._paths])

    def _products(self, shifts: set[Shift]) -> InnerProducts:
        plane = self.block.shape[1:]
        planes = {HERE: self._chain.energy().reshape(plane)}
        for s in half(shifts) - {HERE}:
            inside = moved(np.ones(plane), s) > 0
            planes[s] = np.zeros(plane)
            gap = self._pairs(s).gap()
            planes[s][inside] = ((planes[HERE] + moved(planes[HERE], s))[inside] - gap) / 2
        return InnerProducts({s: self.block.shape[0] * p for s, p in planes.items()}, _equal.none(plane))

    def gradients(self, field: Field, rule: Rule) -> tuple[list[tuple[int, Projection]], Field]:
        """Return the gradient at every sum below the topmost one, with the convolutions above it, and the field at the input.

        The field at the output is plain, as there is no pool above a stage.
        """
        fields = [field]
        slope, second, *_ = self._moments(fields, rule)
        inside, depth, channels = [], 0, self.block.shape[0]
        for path, law, products in zip(
            reversed(self.block.tails), reversed(self._tails), reversed(self._sums[:-1]), strict=True
        ):
            # What the block adds to the gradient that skips it.
            fields.append(law.down(slope, second, rule, self._products_of_pairs(fields, rule)))
            slope, second, along, power = self._moments(fields, rule)
            depth += len(path)
            projection = Projection.of(products.energy, channels * along, channels * power, channels)
            inside.append((depth, projection))
        pairs = self._products_of_pairs(fields, rule)
        below = [law.down(slope, second, rule, pairs) for law in self._heads]
        return inside, Field(
            {HERE: np.asarray(sum(part.shifts[HERE] for part in below))},
            np.sqrt(np.asarray(sum(part.beta**2 for part in below))),
            {
                s: np.asarray(sum(part.noise(s) for part in below))
                for s in {s for part in below for s in part.shared}
            },
        )

    def _moments(self, fields: list[Field], rule: Rule) -> list[np.ndarray]:
        flat = [(field.shifts[HERE].ravel(), field.beta.ravel()) for field in fields]
        chain = self._chain
        return [part.reshape(self.block.shape[1:]) for part in chain.moments(flat, rule)]

    def _products_of_pairs(self, fields: list[Field], rule: Rule) -> Planes:
        """``E[T_k T'_k]`` at the shifts at which a pool below needs it."""
        planes = {}
        for s in self._shared:
            inside = moved(np.ones(self.block.shape[1:]), s) > 0
            planes[s] = np.zeros(inside.shape)
            # The chain of the sum that the last of the fields belongs to runs from the top to it.
            alphas = [
                np.stack([field.shifts[HERE][inside], moved(field.shifts[HERE], s)[inside]], axis=1)
                for field in fields
            ]
            noises = [_paired(field.noise(HERE), field.noise(s), s) for field in fields]
            planes[s][inside] = self._pairs(s).product(alphas, noises, rule)
        return planes


def laws_of(
    x: np.ndarray, steps: Sequence[Step], unit: Unit, advance: Callable[[], None]
) -> list[BlockLaw | StageLaw]:
    """Every block and stage with the inner products that the plan names."""
    laws: list[BlockLaw | StageLaw] = []
    products = InnerProducts.of_image(x, steps[0].input)
    for step in steps:
        stage = isinstance(step.block, Stage)
        laws.append(StageLaw(step, products) if stage else BlockLaw(step, products, unit))
        products = laws[-1].output
        advance()
    return laws
