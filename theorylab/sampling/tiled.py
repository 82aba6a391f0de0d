"""Maps of large three-layer networks, drawn in tiles of patches whose arrays fit a processor's cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab import _normal, _validation
from theorylab._products import product
from theorylab.kernels import _threads
from theorylab.kernels import three_layer as kernels
from theorylab.kernels.columns import scatter
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit

_TILE = 2**17  # hidden units in a tile: two arrays of them are a megabyte


@_validation.checked
class TiledSampler:
    """Sampler of raw maps with standard normal weights and no pooling, in single precision.

    The law is that of :class:`~theorylab.sampling.MapSampler`, the numbers are others.  Activations, readouts and signals
    exist for a few hundred patches at a time, so that parallel workers do not wait for memory.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    n_filters : int
        ``N``.
    unit : Unit, default ReLU()
    scale : float, default 1.0
        Of the maps, which are homogeneous in the filters and in the readout: the product of their standard deviations.

    Raises
    ------
    TypeError, ValueError
        If `x` is no finite image of the grid's shape or zero everywhere, or there are no filters.

    Examples
    --------
    >>> sampler = TiledSampler(np.ones((1, 6, 6)), PatchGrid((1, 6, 6), kernel=3), 8)
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 6, 6)
    """

    def __init__(
        self, x: np.ndarray, grid: PatchGrid, n_filters: int, *, unit: Unit = RELU, scale: float = 1.0
    ) -> None:
        x = _validation.image(x, grid.input_shape)
        self.grid = grid
        self.unit, self.scale = unit, scale
        self.n_filters = _validation.positive_integer(n_filters, "n_filters")
        self.patches = np.ascontiguousarray(grid.extract(x.astype(np.float32)))
        # A tile holds whole rows of patches, so its part of the map is a strip of the picture.
        self._rows = max(1, _TILE // (self.n_filters * grid.output_shape[1]))

    def draw(
        self,
        rng: np.random.Generator,
        rules: Sequence[Rule],
        *,
        n_readouts: int = 1,
        n_logits: int | None = None,
    ) -> np.ndarray:
        """Draw the maps of one fresh network, (rules, n_readouts, C, H, W) float32.

        Parameters: as for :meth:`theorylab.sampling.of_stack.Sampler.draw`; a ValueError if `n_logits` is given.
        """
        if n_logits is not None:
            raise ValueError("n_logits: this sampler draws logits that were picked beforehand")
        # The plan: each tile runs forward and backward for its rows of patches, with a random stream of its own, and adds to
        # its strip; then the overlapping strips are added in order.  So the numbers do not depend on the threads.
        grid, (n_rows, n_columns) = self.grid, self.grid.output_shape
        channels, height, width = grid.input_shape
        kernel, stride, padding = grid.kernel, grid.stride, grid.padding
        filters = rng.standard_normal((grid.patch_size, self.n_filters), dtype=np.float32)
        firsts = range(0, n_rows, self._rows)
        streams = rng.spawn(len(firsts))
        high = (min(self._rows, n_rows) - 1) * stride[0] + kernel[0]
        strips = np.zeros((len(firsts), len(rules), n_readouts, channels, high, width), dtype=np.float32)

        def tile(number: int) -> None:
            rows = min(self._rows, n_rows - firsts[number])
            start, count = firsts[number] * n_columns, rows * n_columns
            activations, signal = _threads.workspace("tile", (2, count, self.n_filters), strips.dtype)
            products = _threads.workspace("products", (grid.patch_size, count), strips.dtype)
            product(self.patches[start : start + count], filters, out=activations)
            for t in range(n_readouts):
                readout = _normal.standard_normal(streams[number], activations.shape)
                for r, rule in enumerate(rules):
                    kernels.backward_signal(activations, readout, rule, signal, self.unit)
                    product(filters, signal.T, out=products)
                    scatter(products, kernel, stride, (0, padding[1]), rows, n_columns, strips[number, r, t])

        _threads.run(tile, len(firsts))
        maps = np.zeros((len(rules), n_readouts, *grid.input_shape), dtype=np.float32)
        for first, strip in zip(firsts, strips, strict=True):
            top = first * stride[0] - padding[0]
            # A strip of border patches may lie entirely in the padding.
            inside = slice(max(0, top), max(0, top, min(height, top + high)))
            maps[..., inside, :] += strip[..., inside.start - top : inside.stop - top, :]
        return maps if self.scale == 1 else maps * np.float32(self.scale)
