"""How far apart the gradients of two logits of one network are at every layer, from the readout down."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab.analytic._gradient_field import BlockLaw, Field
from theorylab.analytic._pair_moments import PairMoments, pair_moments
from theorylab.analytic._plan import HERE, has_mean
from theorylab.analytic._residual import StageLaw
from theorylab.analytic._scale_fields import Form, Transfer
from theorylab.analytic._unit_moments import lost_between
from theorylab.analytic._windows import fold
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.rules import Rule
from theorylab.model.units import Unit


class TwoLogits:
    """What two logits have alone, layer by layer; each layer is worked out when it is first asked for."""

    def __init__(self, rule: Rule, unit: Unit) -> None:
        self._rule, self._unit = rule, unit
        self._laws: list[tuple[BlockLaw | StageLaw, Field, Field]] = []
        self._own: list[np.ndarray] = []  # δ² at each law's input
        self._transfers: list[Transfer] = []

    def add(self, law: BlockLaw | StageLaw, above: Field, below: Field) -> int:
        """Go on, from the top down, with a law and the fields at its output and at its input; return its number."""
        self._laws.append((law, above, below))
        return len(self._laws) - 1

    def distance(self, number: int) -> float:
        """Return the distance at the input of the law that was added as this number."""
        if self._rule.up + self._rule.down == 0:
            return math.sqrt(2)
        while len(self._own) <= number:
            self._descend()
        law, _, below = self._laws[number]
        along, noise = below.power(law.input), law.block.channels * below.beta**2
        energy = float(along.sum() + noise.sum())
        squared = 2 * law.block.channels * float(self._own[number].sum()) / energy
        if self._scaled:
            form = Form(along / energy, noise / energy)
            for transfer in reversed(self._transfers[: number + 1]):
                squared += form.through(transfer)
        return math.sqrt(max(squared, 0.0))

    @property
    def _scaled(self) -> bool:
        return self._rule.gate and has_mean(self._rule)

    def _descend(self) -> None:
        law, above, _ = self._laws[len(self._own)]
        if isinstance(law, StageLaw):
            raise NoLaw(self._rule, self._unit, "two logits through a residual block")
        own = self._own[-1] if self._own else np.ones(above.beta.shape)
        closed = law.block.pool is None and above.plain
        planes = {} if closed and not self._scaled else self._integrated(law, above, own)
        lost = self._closed(law, above, own) if closed else planes["lost"]
        if self._scaled:
            self._transfers.append(_transfer(law, planes))
        self._own.append(law.block.energy_gain * fold(lost, law.block.grid))

    def _closed(self, law: BlockLaw, above: Field, own: np.ndarray) -> np.ndarray:
        """Use the closed form where a unit's own pre-activation is all that its gradient knows."""
        size = law.block.std * np.sqrt(law.patches.energy)
        lost = lost_between(self._rule, self._unit, above.shifts[HERE] * size, above.beta, own)
        # A patch of zeros activates nothing: both halves are as the gate shuts them.
        shut = self._rule.shut(self._unit) ** 2
        return np.where(size > 0, lost, 2 * shut / (1 + shut) * lost)

    def _integrated(self, law: BlockLaw, above: Field, own: np.ndarray) -> dict[str, np.ndarray]:
        """`PairMoments` as planes over the patches; what is handed on as noise but belongs to the mean follows the mean's scale."""
        planes = {field.name: np.zeros(law.patches.shape) for field in dataclasses.fields(PairMoments)}
        for some in law.received(above):
            apart = own.ravel()[some.part]
            shared = np.sqrt(np.maximum(some.noise**2 - apart, 0))
            moments = pair_moments(some.gram, some.a, shared, np.sqrt(apart), self._rule, self._unit)
            for name, plane in planes.items():
                plane.flat[some.held] = getattr(moments, name)
            rest = some.rest[:, None]
            for follows, whole in (("mean_in_along", moments.along), ("mean_in_second", moments.second)):
                kept = getattr(moments, follows)
                planes[follows].flat[some.held] = kept + rest * (whole - kept)
        return planes


def _transfer(law: BlockLaw, planes: dict[str, np.ndarray]) -> Transfer:
    along, second = np.maximum(planes["along"], 0), planes["second"]
    n = law.block.n_filters
    return Transfer(
        law.block,
        (_over(along, law.patches.energy), second),
        (_over(planes["mean_in_along"], along), _over(planes["mean_in_second"], second)),
        (
            _over(2 * planes["scatter_along"], n * along**2),
            _over(planes["scatter_both"], n * along * second),
            _over(planes["scatter_second"], 2 * n * second**2),
        ),
    )


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
