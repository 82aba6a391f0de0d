"""The law of the modified gradient at every position and depth of a random convolutional network, plain or residual.

The recursion of :mod:`theorylab.analytic.depth`, position by position, in three phases, and no network is run: a plan from the
top down (:mod:`theorylab.analytic._plan`), inner products of activations from the image up
(:mod:`theorylab.analytic._inner_products`), the gradient from the readout down (:mod:`theorylab.analytic._gradient_field`).

Unit ``(i, j)`` of a layer has the pre-activation ``w_i·y_j ~ N(0, c² ‖y_j‖²)`` and receives ``V̂``, a mixture of the
activations around it and noise.  The positions share the filters ``w_i``, and that costs what the dense network has exactly:

*Exact at every number of filters*: without pooling, the energies ``E‖o_pos‖² = n c² E‖y‖² (1 + a²)/2`` of units of slope ``a``;
the mean zero and the noise of rules without a gate (DeconvNet) and of rules whose ``h`` is a multiple of the identity
(saliency), for the reasons of :mod:`theorylab.analytic.depth`; for one layer the mean map, the corrected limit of Theorem 1.

*Exact in the limit of wide hidden layers* (errors of one over the width): for every rule, without pooling, with one max-pool, or
with residual blocks, all means and alignments, up to integrals with 512 points (alignments within 0.002, a map within 2 % of its
norm).  Inner products of activations, ``a`` and ``β`` are then numbers, ``V̂`` is Gaussian but for what skips a block, and its
noise is independent of ``z``.  Other units than the ReLU have this law without pools and residual blocks alone.

*Approximate at any width*, with a second max-pool above the first:

- what a pool's output receives from its neighbours' activations, the part along its own excepted, counts as noise;
- pooled activations farther apart than neighbouring windows correlate like the activations they come from, corrected
  by how much the neighbours do.

For a random VGG-16 on a photograph both together were measured to move no alignment by more than 0.02, and to leave
the predicted map as close to the mean of 16 networks' maps as that mean is to its own expectation (0.993).  Where they
show most is a bright picture of little contrast under two pools: 0.04 too high an alignment at the input, and a map at
0.994 of what its mean allows.

*Approximate at the image*: ``β²`` adds the patches that hold a position as if their noises were uncorrelated there.
Two patches put different entries of a filter on one pixel, and these correlate by ``O(1/p)`` through the masks, ``p`` the
patch's size; all pairs together change ``β²`` by a share of ``O(1/C)``, ``C`` the channels below.  Under one 3×3 layer, whose
variance is known exactly, that is ``9.4 %/C`` for an image without contrast, ``3 %/C`` for one like a photograph and less for
noise, always on the high side, for guided backpropagation; for other rules it goes like ``E[h(V)]²/E[h(V)²]``.  The mean one
layer below does not feel it.  What a map scatters from network to network is more than ``β²`` in narrow networks, whose scale
varies as a whole (7 to 30 % with 32 to 64 filters), and was measured 4 % less for guided backpropagation and 10 % less for
DeconvNet under two pools; its pattern is ``β²``'s (correlation 0.99).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from theorylab import _validation
from theorylab.analytic import _blocks
from theorylab.analytic._blocks import Stage
from theorylab.analytic._gradient_field import BlockLaw, Field, Projection
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import Step, plan
from theorylab.analytic._residual import StageLaw
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.rules import Rule
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
    mean_map: np.ndarray | None = None
    variance_map: np.ndarray | None = None


def depth_maps(
    x: np.ndarray,
    layers: Sequence[Layer],
    rule: Rule | str,
    *,
    readout_std: float = 1.0,
    unit: Unit = RELU,
    progress: Callable[[int, int], None] | None = None,
) -> list[LayerMaps]:
    """Mean and noise of the modified gradient at every layer of a random convolutional network; none is run.

    Parameters
    ----------
    x : array, (C, H, W)
    layers : sequence of ConvSpec, Dense, MaxPool and Residual
        From the input up.  A unit follows each convolution, a max-pool of disjoint windows may follow the unit, and a dense
        linear readout of one logit follows the last layer.
        Global average pooling under the readout changes nothing but the scale of the map and is left out.
    rule : Rule or str
        Any: of this package or of your own.
    readout_std : float
        Standard deviation of the readout's weights.
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
        For pools above a residual block or whose windows overlap or are padded, for an identity block behind a pool, and for
        pools and residual blocks behind another unit than the ReLU.

    Notes
    -----
    Given ``z``, a filter is ``y_j z/‖y_j‖² + w⊥``: the mean of ``Σ_j D_jᵀ Σ_i w_i T_ij`` is ``Σ_j D_jᵀ y_j n E[z T_j]/q_j``,
    and ``D_jᵀ y_j`` is ``o`` restricted to patch ``j``.  So the mean is ``α' ⊙ o`` with
    ``α'_pos = n Σ_{j∋pos} E[z T_j]/q_j``, and ``β'²_pos = c² n Σ_{j∋pos} E[T_j²]``, the two expectations as in
    :mod:`theorylab.analytic._unit_moments`.  Start from ``α = 0``, ``β = c_V``.  At the input ``α`` is what ``κ`` is for
    three layers: every depth has its own contrast normalisation.

    Behind a max-pool ``T_j`` depends on the filter through all patches of the window, and the mean is a mixture of
    activations at the distances of its positions; it stays one down to the next pool.  In a residual stage the gradient that
    skips a block is no longer normal: see :mod:`theorylab.analytic._residual`.

    :mod:`theorylab.analytic.conv_depth` says what is exact, what is a limit, what is approximate, and how large the errors
    are.  A VGG-16 at 224×224 takes some fifteen seconds and 0.4 GB.

    Patches of zeros activate nothing; they are left out, but not by rules without a gate.

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
    readout_std = _validation.positive_number(readout_std, "readout_std")
    try:
        blocks = _blocks.read(x.shape, layers)
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

    # Everything is homogeneous: run with scales near 1, and multiply at the end by exp(logarithm).
    norm = float(np.linalg.norm(x / abs(x).max())) * float(abs(x).max())
    laws = _energies(x / norm, plan(blocks, rule), unit, advance)
    gains = [math.log(block.gain) for block in blocks]
    field = Field.readout(blocks[-1].shape[1:])
    records: list[LayerMaps] = []
    layer, backward = sum(block.depth for block in blocks), math.log(readout_std)
    for number, law in reversed(list(enumerate(laws))):
        forward = math.log(norm) + sum(gains[:number])
        inside, field = law.gradients(field, rule)
        for depth, projection in inside:
            records.append(_record(layer - depth, projection, backward, forward + gains[number]))
        advance()
        layer -= law.block.depth
        backward += gains[number]
        records.append(_record(layer, field.projection(law.input, law.block.channels), backward, forward))
    # The image is x/norm here: the mean is a mixture of its entries, whatever their size.
    mean_map = _in_units(field.mean_map(x / norm), backward)
    variance_map = np.broadcast_to(_in_units(field.beta**2, 2 * backward), x.shape).copy()
    records[-1] = dataclasses.replace(records[-1], mean_map=mean_map, variance_map=variance_map)
    return records


def _energies(
    x: np.ndarray, steps: Sequence[Step], unit: Unit, advance: Callable[[], None]
) -> list[BlockLaw | StageLaw]:
    """Every block and stage with the inner products that the plan names."""
    laws: list[BlockLaw | StageLaw] = []
    products = InnerProducts.of_image(x, steps[0].input)
    for step in steps:
        stage = step.block if isinstance(step.block, Stage) else None
        laws.append(BlockLaw(step, products, unit) if stage is None else StageLaw(stage, products))
        products = laws[-1].output
        advance()
    return laws


def _record(layer: int, projection: Projection, backward: float, forward: float) -> LayerMaps:
    """One layer's record; the last two are logarithms of the true scale of gradients and of activations."""
    whole = float(projection.energy.sum()) * float(projection.power.sum())
    signal = float(projection.along.sum())
    return LayerMaps(
        layer,
        _in_units(projection.alpha, backward - forward),
        _in_units(projection.beta, backward),
        signal / math.sqrt(whole) if signal else 0.0,
    )


def _in_units(values: np.ndarray, logarithm: float) -> np.ndarray:
    """``values · exp(logarithm)``, infinite or 0 beyond a double's range; zeros stay zeros."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.where(values == 0, 0.0, values * np.exp(logarithm))
