"""The law of the modified gradient at every position and depth of a random convolutional network, plain or residual.

The recursion of :mod:`theorylab.analytic.depth`, position by position, and no network is run: the sizes of activations come
from :mod:`theorylab.analytic._inner_products`, one layer down of a gradient from :mod:`theorylab.analytic._gradient_field`.
Unit ``(i, j)`` of a layer has the pre-activation ``w_i·y_j ~ N(0, c² ‖y_j‖²)`` and receives ``V̂``, a mixture of the
activations around it and noise.  The filters ``w_i`` are shared by the positions, and that costs what the dense network
had exactly:

*Exact at every number of filters*: without pooling, the energies ``E‖o_pos‖² = n c² E‖y‖²/2``, and for saliency and DeconvNet
the mean zero; for one layer the mean map, the corrected limit of Theorem 1.

*Exact in the limit of wide hidden layers* (errors of one over the width): without pooling, with one max-pool, or with residual
blocks, all means and alignments, up to integrals with 512 points (alignments within 0.002, a map within 2 % of its norm).
Inner products of activations, ``a`` and ``β`` are then numbers, ``V̂`` is Gaussian but for what skips a block, and its noise
is independent of ``z``.

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
noise, always on the high side.  The mean one layer below does not feel it.  What a map scatters from network to network is
more than ``β²`` in narrow networks, whose scale varies as a whole (7 to 30 % with 32 to 64 filters), and was measured 4 %
less for guided backpropagation and 10 % less for DeconvNet under two pools; its pattern is ``β²``'s (correlation 0.99).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from theorylab import _validation
from theorylab.analytic import _blocks
from theorylab.analytic._blocks import Block, Layer, Stage
from theorylab.analytic._gradient_field import HERE, Field, Seen, below, shifts_below
from theorylab.analytic._inner_products import InnerProducts, Shift, differences, pool_needs, times
from theorylab.analytic._residual import StageLaw
from theorylab.rules import Rule


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
    progress: Callable[[int, int], None] | None = None,
) -> list[LayerMaps]:
    """Mean and noise of the modified gradient at every layer of a random convolutional network; none is run.

    Parameters
    ----------
    x : array, (C, H, W)
    layers : sequence of ConvSpec, MaxPool and Residual
        From the input up; a ReLU stands behind each convolution, a max-pool of disjoint windows may stand behind that, and
        a dense linear readout of one logit above all.  A hidden dense layer is a convolution whose kernel is the plane.
        Global average pooling under the readout changes nothing but the scale of the map and is left out.
    rule : Rule or str
    readout_std : float
        Standard deviation of the readout's weights.
    progress : callable, optional
        ``progress(done, total)``, in layers up and down.

    Returns
    -------
    list of LayerMaps, top layer first
        One record for what each convolution or residual block reads; the input's, with the predicted map and its variance,
        comes last.  Saliency, and DeconvNet without pooling, have ``α = 0`` and a map of zeros; inside a residual stage
        DeconvNet aligns with activations all the same, because what skips a block is positive, as they are.

    Raises
    ------
    TypeError, ValueError
        If the image is zero everywhere or not finite, a kernel does not fit, the terms of a residual sum differ in shape, or
        `layers` is empty or holds anything but these; for pools that stand first, behind a pool or above a residual block,
        or whose windows overlap or are padded, and for an identity block behind a pool: there is no law for that.

    Notes
    -----
    Given ``z``, a filter is ``y_j z/‖y_j‖² + w⊥``: the mean of ``Σ_j D_jᵀ Σ_i w_i T_ij`` is ``Σ_j D_jᵀ y_j n E[z T_j]/q_j``,
    and ``D_jᵀ y_j`` is ``o`` restricted to patch ``j``.  So the mean is ``α' ⊙ o`` with
    ``α'_pos = n Σ_{j∋pos} E[z T_j]/q_j``, and ``β'²_pos = c² n Σ_{j∋pos} E[T_j²]``, the two expectations as in
    :mod:`theorylab.analytic._masked_moments`.  Start from ``α = 0``, ``β = c_V``.  At the input ``α`` is what ``κ`` is for
    three layers: every depth has its own contrast normalisation.

    Behind a max-pool ``T_j`` depends on the filter through all patches of the window, and the mean is a mixture of
    activations at the distances of its places; it stays one down to the next pool.  In a residual stage the gradient that
    skips a block is no longer normal: see :mod:`theorylab.analytic._residual`.

    What is exact, what is exact for wide layers, what is approximate and how large the errors were measured to be stands in
    :mod:`theorylab.analytic.conv_depth`.  A VGG-16 at 224×224 takes some fifteen seconds and 0.4 GB.

    Patches of zeros activate nothing; they are left out, but not by DeconvNet, which has no mask.

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
    blocks = _blocks.read(x.shape, layers)

    # Everything is homogeneous: run with scales near 1, and multiply at the end by exp(logarithm).
    norm = float(np.linalg.norm(x / abs(x).max())) * float(abs(x).max())
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, 2 * len(blocks))

    laws = _laws(x / norm, blocks, rule, advance)
    gains = [math.log(block.gain) for block in blocks]
    field = Field.readout(blocks[-1].shape[1:])
    records: list[LayerMaps] = []
    layer, backward = sum(block.depth for block in blocks), math.log(readout_std)
    for number in range(len(blocks) - 1, -1, -1):
        block, law = blocks[number], laws[number]
        forward = math.log(norm) + sum(gains[:number])
        if isinstance(law, StageLaw):
            inside, field = law.gradients(field, rule)
            for depth, seen in inside:
                records.append(_record(layer - depth, seen, backward, forward + gains[number]))
        else:
            field = below(field, law.block, law.output, law.patches, rule)
        advance()
        layer -= block.depth
        backward += gains[number]
        records.append(_record(layer, field.seen(law.input, block.channels), backward, forward))
    # The image is x/norm here: the mean is a mixture of its entries, whatever their size.
    mean_map = _in_units(field.mean_map(x / norm), backward)
    variance_map = np.broadcast_to(_in_units(field.beta**2, 2 * backward), x.shape).copy()
    records[-1] = dataclasses.replace(records[-1], mean_map=mean_map, variance_map=variance_map)
    return records


@dataclasses.dataclass(frozen=True, eq=False)
class _BlockLaw:
    """A block with the inner products of its input, of the patches it reads and of its output."""

    block: Block
    input: InnerProducts
    patches: InnerProducts
    output: InnerProducts


def _laws(
    x: np.ndarray, blocks: Sequence[Block | Stage], rule: Rule, advance: Callable[[], None]
) -> list[_BlockLaw | StageLaw]:
    """Every block and stage with the inner products that its gradient will ask for."""
    # From the top down: which shifts each gradient has, and which inner products are asked for.
    shifts: set[Shift] = {HERE}
    asked: list[set[Shift]] = [shifts]
    asked_of_patches: list[set[Shift]] = []
    for block in reversed(blocks):
        if isinstance(block, Stage):
            asked_of_patches.insert(0, shifts)
            asked.insert(0, shifts)
            continue
        own = asked[0]
        of_patches = own | differences(shifts) if block.pool is None else pool_needs(own, block.pool)
        shifts = shifts_below(block, shifts, rule)
        asked_of_patches.insert(0, of_patches)
        asked.insert(0, {times(s, block.grid.stride) for s in of_patches} | differences(shifts))
    laws: list[_BlockLaw | StageLaw] = []
    products = InnerProducts.of_image(x, asked[0])
    for block, wanted, of_patches in zip(blocks, asked[1:], asked_of_patches, strict=True):
        if isinstance(block, Stage):
            laws.append(StageLaw(block, products))
        else:
            patches, gain = products.of_patches(block.grid, of_patches), block.n_filters * block.std**2
            output = (
                patches.rectified(gain, wanted)
                if block.pool is None
                else patches.pooled(gain, block.pool, wanted)
            )
            laws.append(_BlockLaw(block, products, patches, output))
        products = laws[-1].output
        advance()
    return laws


def _record(layer: int, seen: Seen, backward: float, forward: float) -> LayerMaps:
    """One layer's record; the last two are logarithms of the true scale of gradients and of activations."""
    whole = float(seen.energy.sum()) * float(seen.power.sum())
    signal = float(seen.along.sum())
    return LayerMaps(
        layer,
        _in_units(seen.alpha, backward - forward),
        _in_units(seen.beta, backward),
        signal / math.sqrt(whole) if signal else 0.0,
    )


def _in_units(values: np.ndarray, logarithm: float) -> np.ndarray:
    """``values · exp(logarithm)``, infinite or 0 beyond a double's range; zeros stay zeros."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.where(values == 0, 0.0, values * np.exp(logarithm))
