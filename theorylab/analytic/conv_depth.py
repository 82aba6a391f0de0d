"""The law of the modified gradient at every position and depth of a random convolutional network, plain or residual.

The recursion of :mod:`theorylab.analytic.depth`, position by position, in three phases, and no network is run: a plan from
the top down (:mod:`theorylab.analytic._plan`), inner products of activations from the image up
(:mod:`theorylab.analytic._inner_products`), the gradient from the readout down (:mod:`theorylab.analytic._gradient_field`).

Unit ``(i, j)`` of a layer has the pre-activation ``w_i·y_j ~ N(0, c² ‖y_j‖²)`` and receives ``V̂``, a mixture of the
activations around it and noise.  The positions share the filters ``w_i``, and that costs what the dense network has exactly:

*Exact at every number of filters*: without pooling, the energies ``E‖o_pos‖² = n c² E‖y‖² (1 + a²)/2`` of units of slope
``a``; the mean zero and the noise of rules without a gate (DeconvNet) and of rules whose ``h`` is a multiple of the
identity (saliency), for the reasons of :mod:`theorylab.analytic.depth`; for one layer the mean map, the corrected limit of
Theorem 1.

*Exact in the limit of wide hidden layers* (errors of one over the width): for every rule, without pooling, with one
max-pool, or with residual blocks, all means and alignments, up to integrals (alignments within 0.002, a map's direction within
a cosine of 0.999).  Inner products of activations, ``a`` and ``β`` are then numbers, ``V̂`` is Gaussian but for what
skips a block, and its noise is independent of ``z``.  Other units than the ReLU have this law without pools and residual
blocks alone.

*Where windows of a max-pool overlap*, as in ResNet-50, a unit receives the sum of several gradients, whose noises are
correlated: :mod:`theorylab.analytic._several_windows`, a limit of wide layers too.  Cases and errors are said there.

*With a second max-pool above the first* what a pool receives is ``Σ_s a_s M_s + β ξ``, a mixture of the largest values of
its own window and of its eight neighbours.  They depend on the pre-activations of 36 patches or more, which are integrated
together, so that nothing is counted as noise that knows who wins.  Between pools two things are left out: below a pool that
has another one below it the mean is expressed by the activations around, nine of them, by regression (0.4 % of its energy
is lost); and 512 points are few for so many normals.  Measured at 24×24 and 48×48 on 18 pictures, photographs, their grey
and their bright, low-contrast versions, exactly flat areas, a drawing, text, a logo, sky, night, texture and noise, under
two to four pools of 2×2 and 3×3 with 96 to 256 filters, in 150 to 300 networks each: no alignment of guided backpropagation
is off by more than 0.012, none of DeconvNet by more than twice its standard error or 0.011; the mean map's size along the
law is within 2 %, its direction within a cosine of 0.995 of the law's.  Where contrast is a thousandth of the brightness or
less, below any step of 8 bits, it is 0.015 and 3.5 %.  Half of that is of one over the width: with 512 filters, in 120 networks
with three pools on 16 pictures of more contrast, no alignment was off by more than 0.01, no size by more than 1.4 ± 0.6 %.

The work grows with the number of pairs of windows, and where there are too many (``_plan.PAIRS``), pooled activations more than
two steps apart correlate like those that they come from, corrected by how much windows at two steps do: with pools of 2×2 on
pictures of more than 128×128 under three, 56×56 under four, and on all under five, VGG-16's among them.  Where such estimates
contradict each other by more than a window's patches differ, what a window receives across its own activation counts as noise.
On eleven small pictures under three and four pools this put no alignment off by more than 0.012, no map's size by more than 3.3 %
and no cosine below 0.993, against integrals of 4096 points and more.  Nothing is estimated where that would say who wins: several
pools of which one overlaps have no law on large pictures; one that overlaps between two others has none on faint ones either.
:mod:`theorylab.analytic.tolerances` says which of these holds.

Exactly flat areas make patches equal, and then not any one of a window's entries wins but the first, at every pool:
equality is kept apart from the integrals (:mod:`theorylab.analytic._equal`).

*Approximate at the image*: ``β²`` adds the patches that hold a position as if their noises were uncorrelated there.  Two
patches put different entries of a filter on one pixel, and these correlate by ``O(1/p)`` through the masks, ``p`` the
patch's size; all pairs together change ``β²`` by a share of ``O(1/C)``, ``C`` the channels below.  Under one layer, whose
variance is known exactly, the sum of ``β²`` over a 24×24 image is for guided backpropagation too large by ``10.4 %/C``
without contrast, ``3 %/C`` on a photograph and ``2 %/C`` on noise with 3×3 padded patches; by ``11.3 %/C`` with 1×1 ones;
with 11×11 ones and three channels by 2 % without contrast and by 0.1 % or less, of either sign, otherwise.  Single entries
are off by up to 15 % for ``C = 1``.  For other rules it goes like ``E[h(V)]²/E[h(V)²]``.  The mean one layer below does
not feel it.  What a map scatters from network to network is more than ``β²`` in narrow networks, whose scale varies as a
whole: under two to four pools with 96 to 256 filters 1.00 to 1.28 of ``β²`` for guided backpropagation, most on grey
pictures, and 1.00 to 1.13 for DeconvNet; without pools, eight layers of 64 filters, up to 1.34, and 0.84 for DeconvNet.
Its pattern is ``β²``'s (correlation 0.99).

*Two logits* of one network share the mean, and a part of their noises: :mod:`theorylab.analytic._two_logits` says of what their
distance is a mean, and how large errors were measured to be.  ``√2`` is exact for rules whose ``h`` is a multiple of the
identity, through any layers; else it is a limit of wide layers, in VGG-16 within 3 %.

*With biases* the law was as good as without, on a drawing and a picture of little contrast: under three convolutions of 96
filters and Gaussian biases, 0.6 to 1.1 times as large as ``w·y``, the mean cosine to the picture was 0.003 and 0.008 above the
law, the mean map's size 0.5 ± 0.4 and 1.9 ± 0.8 % below; at PyTorch's defaults cosines 0.002 and 0.007 above, at 384 filters
0.000 and 0.003.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from theorylab import _validation
from theorylab.analytic import _blocks
from theorylab.analytic._blocks import Stage
from theorylab.analytic._field import Field, Projection
from theorylab.analytic._layer_laws import readout_kind
from theorylab.analytic._plan import has_mean, plan, shared_noises
from theorylab.analytic._residual import laws_of
from theorylab.analytic._two_logits import TwoLogits
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import WeightLaw
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool
from theorylab.model.stack import Layer
from theorylab.model.units import RELU, Unit


@dataclasses.dataclass(frozen=True, eq=False)
class LayerMaps:
    """What a rule hands to the output of one layer: ``V̂ ≈ α ⊙ o + β ⊙ ξ``, the same ``α`` and ``β`` for all channels.

    Attributes
    ----------
    layer : int
        ``l``, counted in convolutions, through the branches of residual blocks; 0 is the input.  Behind a max-pool it is the
        pool's output, behind a residual block the sum's ReLU.
    alpha, beta : array, (H, W)
        ``β`` holds all that is not along ``o``: below a max-pool also the activations of neighbouring positions.
    alignment : float
        Cosine between ``V̂`` and ``o`` over the whole layer, as a ratio of expectations.
    mean_map : array, (C, H, W), or None
        At the input alone: the predicted map.
    variance_map : array, (C, H, W), or None
        At the input alone: what the map scatters about it from network to network.
    """

    layer: int
    alpha: np.ndarray
    beta: np.ndarray
    alignment: float
    _distance: Callable[[], float] = dataclasses.field(repr=False)
    mean_map: np.ndarray | None = None
    variance_map: np.ndarray | None = None

    @functools.cached_property
    def class_distance(self) -> float:
        """Expected distance between the unit-norm ``V̂`` of two logits of one network, computed at its first use.

        In the limit of wide layers: for rules with a gate and a mean the root of the mean square, without a gate from a ratio of
        expectations, which the mean exceeds: below three or four convolutions of 96 filters by 7 to 10 %, with a pool by 1 %.
        Below a residual block and below a pool with overlapping or padded windows it raises :class:`theorylab.NoLaw` for rules
        with a gate, except where it is ``√2`` because ``h`` is a multiple of the identity; and so it does for all rules below
        such a pool under a global average, where no stride between them makes neighbours independent; and where too many
        pairs of positions would be needed.
        """
        return self._distance()


@_validation.checked
def depth_maps(
    x: np.ndarray,
    layers: Sequence[Layer],
    rule: Rule | str,
    *,
    readout_std: float = 1.0,
    readout: WeightLaw | None = None,
    unit: Unit = RELU,
    progress: Callable[[int, int], None] | None = None,
) -> list[LayerMaps]:
    """Mean and noise of the modified gradient at every layer of a random convolutional network; none is run.

    Parameters
    ----------
    x : array, (C, H, W)
    layers : sequence of ConvSpec, Dense, MaxPool and Residual
        From the input up.  A unit follows each convolution, a max-pool may follow the unit, and a dense linear readout of one
        logit follows the last layer, which may be a global average, ``AdaptiveAveragePool(1)``.
    rule : Rule or str
        Any: of this package or of your own.
    readout_std : float
        Standard deviation of the readout's weights.
    readout : WeightLaw, optional
        Their law, if it is not Gaussian; wins over `readout_std`.
    unit : Unit, default ReLU()
    progress : callable, optional
        ``progress(done, total)``, in layers up and down.

    Returns
    -------
    list of LayerMaps, top layer first
        One record for what each convolution or residual block reads; the input's, with the predicted map and its variance,
        comes last.  Saliency, and rules without a gate where there is no pool, have ``α = 0`` and a map of zeros; inside a
        residual stage DeconvNet aligns with activations all the same, because what skips a block is positive, as they are.

    Raises
    ------
    TypeError, ValueError
        If the image is zero everywhere or not finite, a kernel does not fit, the terms of a residual sum differ in shape,
        `layers` is empty or holds anything but these, or a pool comes first or behind a pool.
    NoLaw
        For pools above a residual block, for an identity block behind a pool, for pools and residual blocks behind another
        unit than the ReLU, for windows that share a unit and together hold more than 121 positions, and on large or faint
        pictures for overlapping windows above another pool; for biases neither Gaussian nor uniform, uniform ones beside
        pools, biases beside residual blocks, and residual blocks and overlapping windows directly under a readout that is not
        Gaussian.

    Notes
    -----
    Given ``z``, a filter is ``y_j z/‖y_j‖² + w⊥``: the mean of ``Σ_j D_jᵀ Σ_i w_i T_ij`` is ``Σ_j D_jᵀ y_j n E[z T_j]/q_j``,
    and ``D_jᵀ y_j`` is ``o`` restricted to patch ``j``.  So the mean is ``α' ⊙ o`` with
    ``α'_pos = n Σ_{j∋pos} E[z T_j]/q_j``, and ``β'²_pos = c² n Σ_{j∋pos} E[T_j²]``, the two expectations as in
    :mod:`theorylab.analytic._unit_moments`.  Start from ``α = 0``, ``β = c_V``.  At the input ``α`` is what ``κ`` is for
    three layers: every depth has its own contrast normalisation.

    Behind a max-pool ``T_j`` depends on the filter through all patches of the window, and the mean is a mixture of
    activations at the distances of its positions; it stays one through the next pools.  In a residual stage the gradient
    that skips a block is no longer normal: see :mod:`theorylab.analytic._residual`.

    :mod:`theorylab.analytic.conv_depth` says what is exact, what is a limit, what is approximate, and how large the errors
    are.  A VGG-16 at 224×224 takes eleven seconds on two cores and 0.6 GB; the distance of two logits, at its first use,
    eight more and 0.7 GB.  A ResNet-50 takes five seconds at 64×64 and about one minute at 224×224.

    Patches of zeros activate nothing; they are left out, but not by rules without a gate.

    A Gaussian bias is one more entry, ``τ = c_b/c``, that all patches share: ``τ²`` is added to all their inner products in what
    units do, and the gradient of that entry goes nowhere.

    Examples
    --------
    >>> from theorylab import ConvSpec, MaxPool
    >>> x = np.array([[[3.0, 4.0, 1.0, 2.0]]])
    >>> records = depth_maps(x, [ConvSpec(256, (1, 2)), ConvSpec(256, (1, 3))], "guided")
    >>> [(record.layer, round(record.alignment, 3)) for record in records]
    [(1, 0.181), (0, 0.943)]
    >>> np.allclose(records[-1].mean_map, records[-1].alpha * x)
    True
    >>> [record.alignment > 0.3 for record in depth_maps(x, [ConvSpec(256, (1, 2)), MaxPool((1, 3))], "guided")]
    [True]
    """
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(f"x: expected (C, H, W), got shape {x.shape}")
    x = _validation.image(x, x.shape).astype(np.float64, copy=False)
    rule = Rule(rule)
    readout_std, kind = _validation.positive_number(readout_std, "readout_std"), 1.0
    if readout is not None:
        readout_std, kind = readout.std, readout_kind(readout)
    try:
        averaged = len(layers) > 0 and layers[-1] == AdaptiveAveragePool(1)
        blocks = _blocks.read(x.shape, layers)
        last = blocks[-1]
        if kind != 1 and (isinstance(last, Stage) or not (last.one_window or averaged or not has_mean(rule))):
            what = "a residual block" if isinstance(last, Stage) else f"overlapping windows, {last.pool!r},"
            raise NoLaw(layer=f"{what} under a readout of the law {readout!r}")
        # Run with scales near 1, and multiply at the end by exp(logarithm): all but biases is homogeneous.
        norm = float(np.linalg.norm(x / abs(x).max())) * float(abs(x).max())
        gains = [math.log(block.gain) for block in blocks]
        forward = list(itertools.accumulate(gains, initial=math.log(norm)))
        blocks = [b if isinstance(b, Stage) else b.behind(f) for b, f in zip(blocks, forward, strict=False)]
        if has_mean(rule):
            _blocks.refuse_faint(x / norm, blocks)
    except NoLaw as error:
        raise NoLaw(rule, unit, error.layer) from None
    for block in blocks:
        pooled = isinstance(block, Stage) or block.pool is not None
        if not unit.homogeneous or (pooled and unit.slope != 0):
            raise NoLaw(rule, unit, "a max-pool or a residual block" if pooled else "a convolution")

    done = itertools.count(1)

    def advance() -> None:
        if progress is not None:
            progress(next(done), 2 * len(blocks))

    laws = laws_of(x / norm, plan(blocks, rule), unit, advance)
    field = Field.readout(blocks[-1].shape[1:], shared_noises(blocks)[-1] if averaged else ())
    records: list[LayerMaps] = []
    layer, backward = sum(block.depth for block in blocks), math.log(readout_std)
    if averaged:  # every position receives its channel's weight over the number of positions
        backward -= math.log(math.prod(blocks[-1].shape[1:]))
    logits = TwoLogits(rule, unit, kind)
    for number, law in reversed(list(enumerate(laws))):
        above = field
        descent = law.gradients(above, rule)
        field = descent.below.below_weights(kind, averaged) if number + 1 == len(laws) else descent.below
        index = logits.add(law, above, field, descent)
        for part, (depth, projection) in enumerate(descent.inside):
            inside = functools.partial(logits.distance, index, part)
            records.append(_record(layer - depth, projection, backward, forward[number + 1], inside))
        advance()
        layer -= law.block.depth
        backward += gains[number]
        projection = field.projection(law.input, law.block.channels)
        records.append(
            _record(layer, projection, backward, forward[number], functools.partial(logits.distance, index))
        )
    # The image is x/norm here: the mean is a mixture of its entries, whatever their size.
    mean_map = _in_units(field.mean_map(x / norm), backward)
    variance_map = np.broadcast_to(_in_units(field.beta**2, 2 * backward), x.shape).copy()
    records[-1] = dataclasses.replace(records[-1], mean_map=mean_map, variance_map=variance_map)
    return records


def _record(
    layer: int, projection: Projection, backward: float, forward: float, distance: Callable[[], float]
) -> LayerMaps:
    """One layer's record; the last two are logarithms of the true scale of gradients and of activations."""
    whole = float(projection.energy.sum()) * float(projection.power.sum())
    signal = float(projection.along.sum())
    return LayerMaps(
        layer,
        _in_units(projection.alpha, backward - forward),
        _in_units(projection.beta, backward),
        signal / math.sqrt(whole) if signal else 0.0,
        distance,
    )


def _in_units(values: np.ndarray, logarithm: float) -> np.ndarray:
    """``values · exp(logarithm)``, infinite or 0 beyond a double's range; zeros stay zeros."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.where(values == 0, 0.0, values * np.exp(logarithm))
