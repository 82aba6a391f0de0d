"""Residual stages: sums of convolutions and of their input, and gradients that skip the convolutions.

In one channel at one position a stage is a chain of a few independent normals: ``o_0 = σ(g_0)``, ``o_k = σ(o_(k−1) + g_k)``,
where ``g_k`` is what branch ``k`` adds.  The gradient runs the chain backwards: ``V̂_k = T_(k+1) + α_k o_k + β_k ξ_k``, the
first term by the identity, the others through the branch above, and ``T_k = g'(·) h(V̂_k)``.  So everything that the branches
need, ``E[g_k T_k]`` and ``E[T_k²]``, is an integral over at most ``2K + 1`` normals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from theorylab.analytic import _equal
from theorylab.analytic._blocks import Stage
from theorylab.analytic._chains import Chain, TwoChains
from theorylab.analytic._field import Field, Planes, Projection
from theorylab.analytic._gradient_field import BlockLaw, Descent, handed_down
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import HERE, Shift, Step, half, path_steps, stage_levels, through
from theorylab.analytic._windows import moved
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


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

    def down(self, slope: np.ndarray, second: np.ndarray, rule: Rule, products: Planes) -> list[Field]:
        """Return the fields at its convolutions' inputs, from the top, of ``E[∂T/∂g]``, ``E[T²]`` and ``E[T T']`` at its end."""
        held = {s: products[s] for s in self._pairs}
        fields = [handed_down({HERE: slope}, second, self._laws[-1].block, rule, held)]
        for law in reversed(self._laws[:-1]):
            fields.append(law.gradients(fields[-1], rule).below)
        return fields

    def own(self, fields: list[Field], lost: np.ndarray, rule: Rule) -> np.ndarray:
        """Return what one logit has alone of ``β²`` at the path's input, from :meth:`down`'s fields and its part of ``E[T²]``."""
        own = self._laws[-1].folded(lost)
        for law, field in zip(reversed(self._laws[:-1]), fields, strict=False):
            own = law.folded(law.units(field).lost(own, rule, RELU))
        return own


def _paired(plane: np.ndarray, product: np.ndarray, shift: Shift) -> np.ndarray:
    """Covariances (n, 2, 2) at the positions whose neighbour at `shift` lies inside, from the variances and covariances."""
    inside = moved(np.ones(plane.shape), shift) > 0
    matrix = np.stack([plane, product, product, moved(plane, shift)], axis=-1)[inside]
    return np.asarray(matrix.reshape(-1, 2, 2))


def _flat(fields: list[Field]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(field.shifts[HERE].ravel(), field.beta.ravel()) for field in fields]


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

    def gradients(self, field: Field, rule: Rule) -> Descent:
        """Return the gradient at every sum below the topmost one, with the convolutions above it, and the field at the input.

        The field at the output is plain, as there is no pool above a stage.
        """
        fields, paths = [field], []
        slope, second, *_ = self._moments(fields, rule)
        inside, depth, channels = [], 0, self.block.shape[0]
        for path, law, products in zip(
            reversed(self.block.tails), reversed(self._tails), reversed(self._sums[:-1]), strict=True
        ):
            # What the block adds to the gradient that skips it.
            paths.append(law.down(slope, second, rule, self._products_of_pairs(fields, rule)))
            fields.append(paths[-1][-1])
            slope, second, along, power = self._moments(fields, rule)
            depth += len(path)
            projection = Projection.of(products.energy, channels * along, channels * power, channels)
            inside.append((depth, projection))
        pairs = self._products_of_pairs(fields, rule)
        heads = [law.down(slope, second, rule, pairs) for law in self._heads]
        below = [fields[-1] for fields in heads]
        whole = Field(
            {HERE: np.asarray(sum(part.shifts[HERE] for part in below))},
            np.sqrt(np.asarray(sum(part.beta**2 for part in below))),
            {
                s: np.asarray(sum(part.noise(s) for part in below))
                for s in {s for part in below for s in part.shared}
            },
        )
        return Descent(whole, inside, [*paths, *heads])

    def own(
        self, field: Field, paths: Sequence[list[Field]], own: np.ndarray, rule: Rule
    ) -> list[np.ndarray]:
        """Return what one logit has alone of a channel's energy at every sum below the topmost one, and at the input.

        `field` and `own`, its part of ``β²``, are at the output, `paths` those of :meth:`gradients`.
        """
        fields, of_noise, found = [field], [own], []
        for law, down in zip(reversed(self._tails), paths, strict=False):
            lost = self._lost(fields, of_noise, rule)
            fields.append(down[-1])
            of_noise.append(law.own(down, lost, rule))
            found.append(lost + of_noise[-1])
        lost = self._lost(fields, of_noise, rule)
        heads = zip(self._heads, paths[len(self._tails) :], strict=True)
        return [*found, np.asarray(sum(law.own(down, lost, rule) for law, down in heads))]

    def _lost(self, fields: list[Field], own: list[np.ndarray], rule: Rule) -> np.ndarray:
        lost = self._chain.lost(_flat(fields), [plane.ravel() for plane in own], rule)
        return lost.reshape(self.block.shape[1:])

    def _moments(self, fields: list[Field], rule: Rule) -> list[np.ndarray]:
        return [part.reshape(self.block.shape[1:]) for part in self._chain.moments(_flat(fields), rule)]

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
