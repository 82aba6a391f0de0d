"""Maps of fresh random three-layer networks, drawn without building the networks.

A replicate draws the filters and the readout of the logits with a map, not of all logits.  The patches of the picture are
cut once; each map is one product and one fold.  The map of the largest of ``K`` logits is drawn from the law of the winner,
so the ``K`` readouts (12 GB at the paper's size) never exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab import _validation
from theorylab._products import product
from theorylab.kernels import three_layer as kernels
from theorylab.model.laws import Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit
from theorylab.sampling._winner import winning_readout


@_validation.checked
class MapSampler:
    """Sampler of raw maps (Lemma 1, Eq. 4) for one picture and one architecture.

    Parameters
    ----------
    x, grid, n_filters, law, filter_law, pool
        As for :func:`~theorylab.sampling.three_layer_maps`.
    unit : Unit, default ReLU()
    dtype : float64 or float32
        Dtype of weights, products and maps.

    Notes
    -----
    A product of matrices rounds the rows of equal patches differently, depending on where they lie.  Behind a max-pool equal
    patches tie, and the first wins: so there the pre-activations of a repeated patch are those of its first occurrence.

    Examples
    --------
    >>> grid = PatchGrid((1, 6, 6), kernel=3)
    >>> sampler = MapSampler(np.ones((1, 6, 6)), grid, 8, law=Gaussian(1.0))
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 1, 6, 6)
    """

    def __init__(
        self,
        x: np.ndarray,
        grid: PatchGrid,
        n_filters: int,
        *,
        law: WeightLaw,
        filter_law: WeightLaw | None = None,
        pool: MaxPool | None = None,
        unit: Unit = RELU,
        dtype: type = np.float64,
    ) -> None:
        x = _validation.image(x, grid.input_shape)
        self.grid = grid
        self.n_filters = _validation.positive_integer(n_filters, "n_filters")
        self.law = law
        self.unit = unit
        self.filter_law: WeightLaw = Gaussian(law.std) if filter_law is None else filter_law
        self.dtype = np.dtype(dtype)
        self.patches = np.ascontiguousarray(grid.extract(x.astype(self.dtype)))
        self._activations = np.zeros((grid.n_patches, self.n_filters), dtype=self.dtype)
        self._signal = np.empty_like(self._activations)
        self._unpooled = np.empty_like(self._activations) if pool is not None else self._signal
        # One row for each entry of a patch: `fold` then adds long rows to the picture instead of scattering short ones.
        self._products = np.empty((grid.patch_size, grid.n_patches), dtype=self.dtype)
        self._windows = None if pool is None else pool.windows(grid.output_shape)
        self._repeats = None if pool is None else _repeats(self.patches)

    def draw(
        self,
        rng: np.random.Generator,
        rules: Sequence[Rule],
        *,
        n_readouts: int = 1,
        n_logits: int | None = None,
        groups: int = 1,
    ) -> np.ndarray:
        """Draw the maps of one fresh network.

        Parameters
        ----------
        rng, rules, n_readouts, n_logits
            As for :meth:`theorylab.sampling.of_stack.Sampler.draw`.
        groups : int
            Number of independent groups of filters; each has its own map.  The sum of these is the map of the network, and
            products between groups estimate ``‖E S‖²`` without the bias of the noise.

        Returns
        -------
        array, (rules, n_readouts, groups, C, H, W)
        """
        sampled = self.filter_law.sample(
            (self.grid.patch_size, self.n_filters), seed=rng, dtype=self.dtype.type
        )
        windows = self._windows
        factors = [rule.shut(self.unit) for rule in rules]
        if windows is not None or n_logits is not None or any(factor != 1 for factor in factors):
            product(self.patches, sampled, out=self._activations)
        # If closed units pass no gradient and nothing pools them, their half of the readout need not be drawn.
        sparse = not any(factors) and windows is None and n_logits is None
        active = int(np.count_nonzero(self._activations > 0)) if sparse else 0
        # What the readout is applied to: pooled outputs of units, or pre-activations without pooling.
        seen, winners = self._activations, None
        if windows is not None:
            if self._repeats is not None:
                later, first = self._repeats
                self._activations[later] = self._activations[first]
            seen, winners = kernels.pool(self._activations, windows, self.unit)
        bounds = np.linspace(0, self.n_filters, groups + 1).astype(int)
        maps = np.empty((len(rules), n_readouts, groups, *self.grid.input_shape), dtype=self.dtype)
        for t in range(n_readouts):
            readout = self.law.sample(active if sparse else seen.shape, seed=rng, dtype=self.dtype.type)
            if n_logits is not None:
                outputs = self.unit.forward(seen) if windows is None else seen
                readout = winning_readout(readout, outputs, self.law.std, n_logits, rng)
            if winners is not None:
                readout = kernels.unpool(readout, winners, self._unpooled)
            for r, rule in enumerate(rules):
                if sparse:
                    kernels.active_signal(self._activations, readout, rule, self._signal)
                else:
                    kernels.backward_signal(self._activations, readout, rule, self._signal, self.unit)
                for part in range(groups):
                    group = slice(bounds[part], bounds[part + 1])
                    product(sampled[:, group], self._signal[:, group].T, out=self._products)
                    maps[r, t, part] = self.grid.fold(self._products.T)
        return maps


def _repeats(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers of the rows that repeat an earlier one, and of the first row that is equal; None if there are none."""
    seen: dict[bytes, int] = {}
    # Adding 0 turns −0 into 0, which is equal to it.
    first = np.array([seen.setdefault(row.tobytes(), number) for number, row in enumerate(patches + 0)])
    later = np.flatnonzero(first != np.arange(len(first)))
    return (later, first[later]) if len(later) else None
