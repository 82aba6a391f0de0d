"""The law of the modified gradient at every position and depth of a random convolutional network without pooling.

The recursion of :mod:`theorylab.analytic.depth`, position by position.  Patch ``j`` of ``o^(l−1)`` is ``y_j``, its energy
``q_j = E‖y_j‖²``, and unit ``(i, j)`` of layer ``l`` has the pre-activation ``w_i·y_j ~ N(0, c² q_j)`` and receives
``V̂ = α_j σ(z) + β_j ξ``.  The filters ``w_i`` are shared by the positions, which costs what the dense network had exactly:

*Exact at every number of filters*: the energies ``E‖o_pos‖² = n c² q_pos/2`` (the second moment of ``σ(z)`` given the layer
below); for saliency and DeconvNet the mean zero; for one layer the mean map, the corrected limit of Theorem 1.

*Exact in the limit of wide hidden layers*: that ``α ⊙ o^(l)`` is the mean given ``o^(l)``, that the energies of one network
are their means, and that ``V̂`` is Gaussian and its noise independent of ``z``.

*Approximate at any width*: ``β²`` adds the patches that hold a position as if their noises were uncorrelated there.
Two patches put different entries of a filter on one pixel, and these correlate by ``O(1/p)`` through the masks, ``p`` the
patch's size; all pairs together change ``β²`` by a share of ``O(1/C)``, ``C`` the channels below.  Under one 3×3 layer, whose
variance is known exactly, that is ``9.4 %/C`` for an image without contrast, ``3 %/C`` for one like a photograph and less for
noise, always on the high side.  The mean one layer below does not feel it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.analytic._masked_moments import guided_moments
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.rules import Rule
from theorylab.specs import ConvSpec


@dataclasses.dataclass(frozen=True, eq=False)
class LayerMaps:
    """What a rule hands to the output of one layer: ``V̂ ≈ α ⊙ o + β ⊙ ξ``, the same ``α`` and ``β`` for all channels.

    Attributes
    ----------
    layer : int
        ``l``; 0 is the input.
    alpha, beta : array, (H, W)
    alignment : float
        Cosine between ``V̂`` and ``o`` over the whole layer, as a ratio of expectations.
    mean_map : array, (C, H, W), or None
        ``α ⊙ x``, at the input alone: the predicted map.
    """

    layer: int
    alpha: np.ndarray
    beta: np.ndarray
    alignment: float
    mean_map: np.ndarray | None = None


def _grids(shape: tuple[int, int, int], layers: Sequence[ConvSpec]) -> list[PatchGrid]:
    """The patches of every layer's input, from the image up."""
    if len(layers) == 0:
        raise ValueError("layers: expected at least one ConvSpec")
    grids: list[PatchGrid] = []
    for number, layer in enumerate(layers):
        if isinstance(layer, MaxPool):
            raise ValueError(
                f"layers[{number}]: there is no law here yet for stacks with max-pooling; simulate the network instead"
            )
        if not isinstance(layer, ConvSpec):
            raise TypeError(f"layers[{number}]: expected a ConvSpec, got {type(layer).__name__}")
        grid = PatchGrid(shape, layer.kernel, layer.stride, layer.padding)
        grids.append(grid)
        shape = (layer.n_filters, *grid.output_shape)
    return grids


def _unit_std(grid: PatchGrid) -> float:
    """The standard deviation that keeps energies near 1 from layer to layer."""
    return math.sqrt(2 / grid.patch_size)


def _fold(values: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``Σ_{j∋pos} values_j``, (H, W)."""
    full = _windows.spread(values, grid, range(grid.kernel[0]), range(grid.kernel[1]))
    return _windows.crop(full, grid)


def _step(
    alpha: np.ndarray, beta: np.ndarray, patches: np.ndarray, grid: PatchGrid, n_filters: int, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """``α`` and ``β`` of a layer's input from those of its output and the energies of its patches."""
    std = _unit_std(grid)
    if rule is Rule.GUIDED:
        norms = np.sqrt(patches)
        first, second = guided_moments(alpha * std * norms, beta)
        ratio = np.divide(first, norms, out=np.zeros(norms.shape), where=norms > 0)
        alpha = n_filters * std * _fold(ratio, grid)
    else:
        second = beta**2 / 2
        alpha = np.zeros(grid.input_shape[1:])
    if rule.masks_by_activation:
        # A patch of zeros activates nothing: the mask is strict.
        second = np.where(patches > 0, second, 0.0)
    return alpha, std * np.sqrt(n_filters * _fold(second, grid))


def depth_maps(
    x: np.ndarray, layers: Sequence[ConvSpec], rule: Rule | str, *, readout_std: float = 1.0
) -> list[LayerMaps]:
    """Mean and noise of the modified gradient at every layer of a random convolutional network; none is run.

    Parameters
    ----------
    x : array, (C, H, W)
    layers : sequence of ConvSpec
        From the input up, each with a ReLU; a dense linear readout of one logit stands above them.
    rule : Rule or str
    readout_std : float
        Standard deviation of the readout's weights.

    Returns
    -------
    list of LayerMaps, top layer first
        One record for the output of every layer below the last, whose own ``V̂`` is the readout, and the input's at the end
        with the predicted map.  Saliency and DeconvNet have ``α = 0``, alignment 0 and a map of zeros.

    Raises
    ------
    TypeError, ValueError
        If the image is zero everywhere or not finite, a kernel does not fit, or `layers` is empty or holds anything but
        ConvSpec.  Stacks with max-pooling have no law here yet.

    Notes
    -----
    Given ``z``, a filter is ``y_j z/‖y_j‖² + w⊥``: the mean of ``Σ_j D_jᵀ Σ_i w_i T_ij`` is ``Σ_j D_jᵀ y_j n E[z T_j]/q_j``,
    and ``D_jᵀ y_j`` is ``o`` restricted to patch ``j``.  So the mean is ``α' ⊙ o`` with
    ``α'_pos = n Σ_{j∋pos} E[z T_j]/q_j``, and ``β'²_pos = c² n Σ_{j∋pos} E[T_j²]``, the two expectations as in
    :mod:`theorylab.analytic._masked_moments`.  Start from ``α = 0``, ``β = c_V``.  At the input ``α`` is what ``κ`` is for
    three layers: every depth has its own contrast normalisation.  What is exact and what is not stands above.

    Patches of zeros activate nothing; they are left out, but not by DeconvNet, which has no mask.

    Examples
    --------
    >>> x = np.array([[[3.0, 4.0, 1.0, 2.0]]])
    >>> records = depth_maps(x, [ConvSpec(256, (1, 2)), ConvSpec(256, (1, 3))], "guided")
    >>> [(record.layer, round(record.alignment, 3)) for record in records]
    [(1, 0.181), (0, 0.943)]
    >>> bool((records[-1].mean_map == records[-1].alpha * x).all())
    True
    """
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(f"x: expected (C, H, W), got shape {x.shape}")
    x = _validation.image(x, x.shape).astype(np.float64, copy=False)
    rule = Rule(rule)
    readout_std = _validation.positive_number(readout_std, "readout_std")
    grids = _grids(x.shape, layers)

    # Everything is homogeneous: run with scales near 1, and multiply at the end by exp(logarithm).
    norm = float(np.linalg.norm(x / abs(x).max())) * float(abs(x).max())
    energies = [((x / norm) ** 2).sum(axis=0)]
    patches = []
    for layer, grid in zip(layers, grids, strict=True):
        padded = _windows.padded(energies[-1][None], grid)[0]
        patches.append(_windows.window_sums(padded, grid))
        energies.append(layer.n_filters * _unit_std(grid) ** 2 * patches[-1] / 2)
    gains = [math.log(layer.std / _unit_std(grid)) for layer, grid in zip(layers, grids, strict=True)]

    records = []
    alpha, beta = np.zeros(grids[-1].output_shape), np.ones(grids[-1].output_shape)
    for number in range(len(layers) - 1, -1, -1):
        grid = grids[number]
        alpha, beta = _step(alpha, beta, patches[number], grid, layers[number].n_filters, rule)
        signal = float((alpha * energies[number]).sum())
        total = float((alpha**2 * energies[number]).sum()) + grid.input_shape[0] * float((beta**2).sum())
        whole = float(energies[number].sum())
        backward = math.log(readout_std) + sum(gains[number:])
        with np.errstate(over="ignore", under="ignore"):
            true_alpha = alpha * np.exp(backward - math.log(norm) - sum(gains[:number]))
            true_beta = beta * np.exp(backward)
        records.append(
            LayerMaps(
                number,
                true_alpha,
                true_beta,
                signal / math.sqrt(whole * total) if signal > 0 else 0.0,
                true_alpha * x if number == 0 else None,
            )
        )
    return records
