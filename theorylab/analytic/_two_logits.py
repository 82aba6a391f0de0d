"""How far apart the gradients of two logits of one network are at every layer, from the readout down.

For rules without a gate the distance is from a ratio of expectations, in the limit of wide layers.  In 60 to 150 random VGG-16s
with the readout above the last pool it was, law | simulated, at 96×96 on three photographs 0.360 | 0.357(5), 0.362 | 0.358(5) and
0.347 | 0.346(4), and at 224×224 on the first 0.383 | 0.379(11).  The mean distance of unit-norm maps is larger, by 4 to 5 %
there: the scale of a map of three channels varies from network to network, and without pools, where all positions share three
normals, it was larger by a quarter under ten layers of 96 filters.  Below residual blocks and overlapping windows, in five stacks
of up to four layers or blocks, extrapolated from 24 and 72 filters, no squared distance was off by more than 2 % and four
standard errors.  ResNet-50 is deep for its widths: at 64×64 it had 0.099 | 0.119(3); the square is 44 % above the law's, and 78
and 150 % with half and a quarter of all filters.

For rules with a gate and a mean it is the root of the mean squared distance of unit-norm maps.  What is white of the
difference is a limit of wide layers and dies out with depth.  What is left, more than half of a VGG-16's distance, is of
order one over the width, and its second order is left out.  In the same networks guided backpropagation had
0.0310 | 0.0302(4), 0.0336 | 0.0330(5), 0.0312 | 0.0304(4) and 0.0412 | 0.0412(4); at 32×32 with 96 filters, under ten layers
0.0408 | 0.0426(2), nine with one pool 0.0613 | 0.0625(4), seven with three pools 0.1189 | 0.1208(9).

On two pictures on which nothing else was measured, a drawing and one of little contrast, guided backpropagation's distance at
the picture exceeded the law, without pools, by 1.0 and 4.7 % under four convolutions of 96 filters and by 0.0 and 1.5 % (0.6) of
384; with Gaussian biases under three by 1.7 and 8.5 %, and 0.4 and 2.6 %: one over the width.  Behind pools not all is.  Behind
one it was 0.6 and 0.9 % (0.4) below the law at 384 filters, and DeconvNet's 0.9 and 0.4 % above; behind two of 2×2, at 128 to
512 filters alike, 1.2 to 1.6 % below, and 1.6 to 2.1 % and 0 to 1.0 % above.  Energies at a picture of three channels add patches
as if uncorrelated: with twelve channels one pool leaves 0.9 % or less, two leave 1.1 %, of which 512 points make up to 0.9 %.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab.analytic._field import Field
from theorylab.analytic._gradient_field import BlockLaw, Descent, Units
from theorylab.analytic._inner_products import quotient
from theorylab.analytic._pair_moments import PairMoments, pair_moments
from theorylab.analytic._plan import has_mean
from theorylab.analytic._residual import StageLaw
from theorylab.analytic._scale_fields import Form, Transfer
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Uniform
from theorylab.model.rules import Rule
from theorylab.model.units import Unit


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """A block or a stage, the fields at its output and on the way down, and ``‖mean‖²`` and the noise's energy at its input."""

    law: BlockLaw | StageLaw
    above: Field
    descent: Descent
    units: Units | None  # of a block without overlapping windows
    mean: np.ndarray
    noise: np.ndarray


class TwoLogits:
    """What two logits have alone, layer by layer from the top down; each layer is worked out when it is first asked for.

    ``V̂ = m + τ η + δ ξ``: the mean ``m`` and ``η`` are the same for both, ``ξ`` is a logit's own.  Given what is shared, what the
    filters of one patch hand on for one logit and for the other differs by a mean of zero, independently of other patches.  So
    the difference is white, and ``δ'²(pos) = n c² Σ_(j∋pos) E[Var(T_j | shared)]``.  Where windows overlap a unit's own part is
    the sum of those of the windows that it wins, and in a residual stage it is carried along the chain.  To that come the scales,
    of order ``1/n`` but slow to fall: :mod:`theorylab.analytic._scale_fields`.
    """

    def __init__(self, rule: Rule, unit: Unit, kind: float = 1.0) -> None:
        self._rule, self._unit = rule, unit
        self._kind = kind  # of the readout: `_layer_laws.readout_kind`
        self._layers: list[_Layer] = []
        self._own: list[list[np.ndarray]] = []  # δ² at sums inside each, and at its input
        self._transfers: list[Transfer] = []

    def add(self, law: BlockLaw | StageLaw, above: Field, below: Field, descent: Descent) -> int:
        """Go on, from the top down, with a law and the fields at its output and at its input; return its number."""
        units = law.units(above) if isinstance(law, BlockLaw) and law.block.one_window else None
        noise = law.block.channels * below.beta**2
        self._layers.append(_Layer(law, above, descent, units, below.power(law.input), noise))
        return len(self._layers) - 1

    def distance(self, number: int, inside: int | None = None) -> float:
        """Return the distance at the input of the law that was added as this number, or at a sum inside, from the top."""
        if self._rule.up + self._rule.down == 0:
            return math.sqrt(2)
        while len(self._own) <= number:
            self._descend(self._layers[len(self._own)])
        layer = self._layers[number]
        if inside is not None:
            energy = float(layer.descent.inside[inside][1].power.sum())
            return math.sqrt(2 * layer.law.block.shape[0] * float(self._own[number][inside].sum()) / energy)
        energy = float(layer.mean.sum() + layer.noise.sum())
        squared = 2 * layer.law.block.channels * float(self._own[number][-1].sum()) / energy
        if self._scaled:
            form = Form(layer.mean / energy, layer.noise / energy)
            try:
                squared += sum(form.through(layer) for layer in reversed(self._transfers[: number + 1]))
            except NoLaw as refusal:
                raise NoLaw(self._rule, self._unit, refusal.layer, refusal.instead) from None
        return math.sqrt(max(squared, 0.0))

    @property
    def _scaled(self) -> bool:
        """Whether the white part dies out, and the scales count: where there is a gate and a mean."""
        return self._rule.gate and has_mean(self._rule)

    def _descend(self, layer: _Layer) -> None:
        law, units = layer.law, layer.units
        own = self._own[-1][-1] if self._own else np.ones(layer.above.beta.shape)
        if units is None:
            self._own.append(self._without_scales(layer, own))
            return
        assert isinstance(law, BlockLaw)
        alone = len(units.listed) == 1
        if isinstance(units.block.bias, Uniform) and self._scaled:
            raise NoLaw(self._rule, self._unit, "two logits behind uniform biases")
        if self._kind != 1 and not self._own and (self._scaled or not alone):
            raise NoLaw(self._rule, self._unit, "two logits of a readout that is not Gaussian")
        planes = {} if alone and not self._scaled else self._integrated(units, own.ravel())
        lost = units.lost(own, self._rule, self._unit) if alone else planes["lost"]
        if self._kind != 1 and not self._own:
            # Without a gate E[h²] of each unit passes; of that two logits share E[h]², which is larger or smaller.
            every = (self._rule.up**2 + self._rule.down**2) / 2
            lost = every - self._kind**2 * (every - lost)
        if self._scaled:
            self._transfers.append(_transfer(units, planes))
        self._own.append([law.folded(lost)])

    def _without_scales(self, layer: _Layer, own: np.ndarray) -> list[np.ndarray]:
        """Go through a stage, or through windows that overlap."""
        stage = isinstance(layer.law, StageLaw)
        what = "a residual block" if stage else "a max-pool with overlapping or padded windows"
        if self._scaled:
            raise NoLaw(self._rule, self._unit, f"two logits through {what}")
        if isinstance(layer.law, StageLaw):
            return layer.law.own(layer.above, layer.descent.paths, own, self._rule)
        if self._kind != 1 and not self._own:
            raise NoLaw(self._rule, self._unit, "two logits of a readout that is not Gaussian")
        if self._layers[0].above.shared:
            # One weight at all positions, and neighbouring ones come down to here: what a logit has alone is not white.
            raise NoLaw(self._rule, self._unit, f"two logits of a global average through {what}")
        return [layer.law.folded(layer.law.lost(layer.above, own, self._rule))]

    def _integrated(self, units: Units, own: np.ndarray) -> dict[str, np.ndarray]:
        """`PairMoments` as planes over the patches."""
        planes = {field.name: np.zeros(units.patches.shape) for field in dataclasses.fields(PairMoments)}
        for some in units.windows():
            apart = own[some.part]
            shared = np.sqrt(np.maximum(some.noise**2 - apart, 0))
            moments = pair_moments(some.gram, some.a, shared, np.sqrt(apart), self._rule, self._unit)
            for name, plane in planes.items():
                plane.flat[some.held] = getattr(moments, name)
        return planes


def _transfer(units: Units, planes: dict[str, np.ndarray]) -> Transfer:
    along, second = np.maximum(planes["along"], 0), planes["second"]
    n = units.block.n_filters
    return Transfer(
        units.block,
        (quotient(along, units.patches.energy), second),
        (quotient(planes["mean_in_along"], along), quotient(planes["mean_in_second"], second)),
        (
            quotient(2 * planes["scatter_along"], n * along**2),
            quotient(planes["scatter_both"], n * along * second),
            quotient(planes["scatter_second"], 2 * n * second**2),
        ),
    )
